//! `pistop cam`: what concerns cameras.
//!
//! | module | what it does |
//! |---|---|
//! | [`gaps`] | what is missing of a day, and why |

pub mod gaps;

use clap::Subcommand;
use gaps::GapsFlags;
use runner::exit::Failure;
use std::path::PathBuf;

/// What to do with cameras.
#[derive(Debug, Subcommand)]
pub enum CamVerb {
    /// What is missing of a day, and why; ends with 1 if something has no reason
    Gaps(GapsFlags),
}

/// Does it.
///
/// # Errors
/// It does not work; the text names the remedy.
pub fn run(verb: &CamVerb, variables: Option<PathBuf>) -> Result<(), Failure> {
    match verb {
        CamVerb::Gaps(flags) => gaps::run(flags, variables),
    }
}
