//! `fserver`: flags, settings, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::exit::report("fserver", fserver::main(runner::exit::parse()))
}
