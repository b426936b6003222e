//! `pistop`: flags, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mounts::errand::obey();
    runner::exit::report("pistop", pistop::main(runner::exit::parse()))
}
