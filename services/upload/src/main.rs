//! `upload`: flags, settings, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::exit::report("upload", upload::main(&runner::exit::parse()))
}
