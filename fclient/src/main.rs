//! `fclient`: flags, settings, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mounts::errand::obey();
    runner::exit::report("fclient", fclient::main(&runner::exit::parse()))
}
