//! `pishutdown`: arguments, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::exit::report("pishutdown", pistop::pishutdown::main(std::env::args_os().skip(1).collect()))
}
