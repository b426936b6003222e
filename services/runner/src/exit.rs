//! How a program ends: 0 done, 100 it will not work and trying again does not help, 111 not now. These are the codes of
//! daemontools and UCSPI, and the ones that hooks use; one line on standard error says what to do.

use crate::settings::BadConfig;
use std::fmt;
use std::process::ExitCode;

/// The exit code for "it will not work": wrong settings, wrong usage, a lasting obstacle.
pub const PERMANENT: u8 = 100;
/// The exit code for "not now, try again".
pub const TEMPORARY: u8 = 111;

/// Why a program ends before its work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was told something that it cannot use.
    Config(BadConfig),
    /// It will not work until somebody does something; the text names it.
    Permanent(String),
    /// It may work the next time.
    Temporary(String),
}

impl Failure {
    /// What the process exits with.
    pub const fn code(&self) -> u8 {
        match self {
            Failure::Config(_) | Failure::Permanent(_) => PERMANENT,
            Failure::Temporary(_) => TEMPORARY,
        }
    }

    const fn word(&self) -> &'static str {
        match self {
            Failure::Config(_) | Failure::Permanent(_) => "fatal",
            Failure::Temporary(_) => "temporary",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Config(bad) => bad.fmt(f),
            Failure::Permanent(why) | Failure::Temporary(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Failure {}

impl From<BadConfig> for Failure {
    fn from(bad: BadConfig) -> Failure {
        Failure::Config(bad)
    }
}

/// Says in one line on standard error why the program ends, and gives its exit code.
pub fn report(program: &str, result: Result<(), Failure>) -> ExitCode {
    let Err(failure) = result else {
        crate::log::end();
        return ExitCode::SUCCESS;
    };
    crate::log::last_words(&line(program, &failure));
    ExitCode::from(failure.code())
}

fn line(program: &str, failure: &Failure) -> String {
    let why = failure.to_string().replace('\n', "; ");
    format!("{program}: {}: {why}\n", failure.word())
}

/// The command line, or the end of the process: 100 after wrong usage, 0 after `--help` and `--version`.
pub fn parse<P: clap::Parser>() -> P {
    P::try_parse().unwrap_or_else(|why| {
        let _ = why.print();
        std::process::exit(usage_code(&why).into())
    })
}

fn usage_code(why: &clap::Error) -> u8 {
    if why.use_stderr() { PERMANENT } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(version)]
    struct Flags {
        #[arg(long)]
        port: Option<u16>,
    }

    #[test]
    fn the_line_names_program_kind_and_remedy() {
        let bad = BadConfig { source: "flag --port".into(), key: "port".into(), why: "`x` is no u16".into() };
        assert_eq!(line("fserver", &bad.into()), "fserver: fatal: flag --port: `x` is no u16\n");
        let failure = Failure::Temporary("no route to attic\nis the cable in?".into());
        assert_eq!(line("fclient", &failure), "fclient: temporary: no route to attic; is the cable in?\n");
    }

    #[test]
    fn the_exit_code_tells_whether_to_try_again() {
        assert_eq!(report("x", Ok(())), ExitCode::SUCCESS);
        assert_eq!(report("x", Err(Failure::Permanent("p".into()))), ExitCode::from(100));
        assert_eq!(report("x", Err(Failure::Temporary("t".into()))), ExitCode::from(111));
    }

    #[test]
    fn wrong_usage_is_permanent_and_help_is_not_wrong() {
        let code = |arguments: &[&str]| usage_code(&Flags::try_parse_from(arguments).unwrap_err());
        assert_eq!(code(&["x", "--colour"]), 100);
        assert_eq!(code(&["x", "--port", "many"]), 100);
        assert_eq!(code(&["x", "--help"]), 0);
        assert_eq!(code(&["x", "--version"]), 0);
        assert_eq!(Flags::try_parse_from(["x", "--port", "1"]).unwrap().port, Some(1));
    }
}
