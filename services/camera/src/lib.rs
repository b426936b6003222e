//! camera

pub mod config;
pub mod house;
pub mod machine;
pub mod mend;
pub mod orphans;
pub mod pace;
pub mod pipeline;
pub mod ram;
pub mod recorder;
pub mod segment;
pub mod status;
pub mod timeline;
pub mod ts;
pub mod wall;

/// The whole program.
///
/// # Errors
/// none
pub fn main(_: &config::Options) -> Result<(), runner::exit::Failure> {
    Ok(())
}
