//! `camera`: flags, settings, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::exit::report("camera", camera::main(&runner::exit::parse()))
}
