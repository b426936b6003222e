//! camera

pub mod config;
pub mod machine;
pub mod pace;
pub mod timeline;
pub mod ts;

/// The whole program.
///
/// # Errors
/// none
pub fn main(_: &config::Options) -> Result<(), runner::exit::Failure> {
    Ok(())
}
