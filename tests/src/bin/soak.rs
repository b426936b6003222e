//! `soak`: a day with two cameras in some minutes, with every fault of cameras, storages and programs. Exit 1 if
//! anything was lost, doubled or torn, if the wrong recording had to go, or if anything grew.

use clap::Parser;
use std::process::ExitCode;
use std::time::Duration;

/// A day with two cameras in some minutes, with every fault of cameras, storages and programs
#[derive(Debug, Parser)]
struct Options {
    /// How long the day is; one minute at least
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Where chance begins; by the clock if it is not given
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let Options { minutes, seed } = Options::parse();
    let span = Duration::try_from_secs_f64(minutes * 60.0).unwrap_or_default();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    if tests::soak::run(span, seed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
