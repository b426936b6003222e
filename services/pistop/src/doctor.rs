//! `pistop doctor`: looks at this machine's part of the event bus, and says what is wrong and what helps. Changes nothing
//! but for pings, which are commands that do nothing.
//!
//! | module | what it does |
//! |---|---|
//! | [`seen`], [`ping`], [`clock`] | looking |
//! | [`findings`], [`broker`] | what follows from it. Pure |
//! | [`report`] | how it is said. Pure |

pub mod broker;
pub mod clock;
pub mod findings;
pub mod ping;
pub mod report;
pub mod seen;

use crate::words::out;
use runner::exit::Failure;
use std::path::Path;

/// Looks, and says what was found.
///
/// # Errors
/// There are problems, or the agent does not answer.
pub async fn run(door: &Path, as_json: bool) -> Result<(), Failure> {
    let seen = seen::look(door).await?;
    let findings = findings::of(&seen);
    out(&if as_json { format!("{}\n", report::json(&seen, &findings)) } else { report::people(&seen, &findings) })?;
    match findings.iter().filter(|finding| finding.is_problem).count() {
        0 => Ok(()),
        1 => Err(Failure::Permanent("1 problem, with its remedy above".into())),
        n => Err(Failure::Permanent(format!("{n} problems, each with its remedy above"))),
    }
}
