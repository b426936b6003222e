//! `torture`: kills, fills, tears and stops what carries events, and counts what was acknowledged against what was heard.
//! Exit 1 if anything acknowledged was lost, heard twice or out of order.

use clap::Parser;
use std::process::ExitCode;
use tests::torture::program::Program;
use tests::torture::{Measure, run};

/// Kills, fills, tears and stops what carries events, and counts what is lost
#[derive(Debug, Parser)]
struct Options {
    /// Kill points of chance
    #[arg(long, default_value_t = 600)]
    points: usize,
    /// Where chance begins; by the clock if it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Only the trials with this in their names
    #[arg(long, default_value = "")]
    only: String,
    #[command(subcommand)]
    program: Option<Program>,
}

fn main() -> ExitCode {
    let Options { points, seed, only, program } = Options::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let good = match program {
        Some(program) => program.run().map_err(|why| eprintln!("torture: {why}")).is_ok(),
        None => run(Measure { points, seed }, &only),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
