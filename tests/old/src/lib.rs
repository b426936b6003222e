//! What both old programs share: a wait for data that only grows, and how they end.
//!
//! Nothing here ever drops an idle peer: that is the old behaviour.

use std::env;
use std::fmt::Display;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Most bytes that one read takes; the programs judge each read by itself.
pub const READ_SIZE: usize = 256;

const DEFAULT_TIMEOUT: i64 = 120;
const SHORTEST_GROWING_TIMEOUT: i64 = 5;

/// How long one wait for data may last, in seconds.
#[derive(Debug, PartialEq)]
pub enum Patience {
    /// `0`: block.
    Endless,
    /// A negative number: always its absolute value.
    Fixed(u64),
    /// A positive number, at least 5: tripled by each idle wait, back to the first value with data.
    Growing {
        /// The value to return to.
        first: u64,
        /// The value of the next wait.
        now: u64,
    },
}

impl Patience {
    /// From `-d n`, else `DATA_TIMEOUT`, else 120; text that is no number counts as 0.
    pub fn from_settings() -> Self {
        let setting = option_d(env::args().skip(1)).or_else(|| env::var("DATA_TIMEOUT").ok());
        Self::new(setting.map_or(DEFAULT_TIMEOUT, |text| text.trim().parse().unwrap_or(0)))
    }

    /// From the signed number of the old programs.
    pub fn new(seconds: i64) -> Self {
        let first = seconds.max(SHORTEST_GROWING_TIMEOUT).unsigned_abs();
        match seconds {
            0 => Self::Endless,
            1.. => Self::Growing { first, now: first },
            _ => Self::Fixed(seconds.unsigned_abs()),
        }
    }

    /// A wait ended without data.
    pub fn idle(&mut self) {
        if let Self::Growing { now, .. } = self {
            *now = now.saturating_mul(3);
        }
    }

    /// A wait ended with data.
    pub fn data(&mut self) {
        if let Self::Growing { first, now } = self {
            *now = *first;
        }
    }

    fn limit(&self) -> PollTimeout {
        match self {
            Self::Endless => PollTimeout::NONE,
            Self::Fixed(now) | Self::Growing { now, .. } => {
                Duration::from_secs(*now).try_into().unwrap_or(PollTimeout::MAX)
            }
        }
    }
}

fn option_d(mut arguments: impl Iterator<Item = String>) -> Option<String> {
    let argument = arguments.next()?;
    match argument.strip_prefix("-d")? {
        "" => arguments.next(),
        attached => Some(attached.to_owned()),
    }
}

/// Waits as long as it takes, then reads once. An error of the wait itself leads to the read, as of old.
pub fn read_when_ready(source: impl AsFd, buffer: &mut [u8], patience: &mut Patience) -> io::Result<usize> {
    loop {
        let mut watched = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, patience.limit()) {
            Ok(0) => patience.idle(),
            Err(Errno::EINTR) => {}
            _ => break,
        }
    }
    patience.data();
    Ok(nix::unistd::read(source, buffer)?)
}

/// Why a program gives up, with its exit status.
#[derive(Debug)]
pub struct Failure {
    status: u8,
    message: String,
}

impl Failure {
    /// Trying again will not help: 100.
    pub fn permanent(message: impl Display) -> Self {
        Self { status: 100, message: message.to_string() }
    }

    /// The system refused something: 111.
    pub fn temporary(what: &str, error: impl Display) -> Self {
        Self { status: 111, message: format!("{what}: {error}") }
    }
}

/// Reports a failure on standard error and gives the exit status.
pub fn conclude(program: &str, outcome: Result<ExitCode, Failure>) -> ExitCode {
    outcome.unwrap_or_else(|failure| {
        eprintln!("{program}: fatal: {}", failure.message);
        ExitCode::from(failure.status)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_patience_starts_at_five_or_more_triples_when_idle_and_returns_with_data() {
        let mut patience = Patience::new(2);
        assert_eq!(patience, Patience::Growing { first: 5, now: 5 });
        patience.idle();
        patience.idle();
        assert_eq!(patience.limit(), PollTimeout::try_from(45_000).expect("45 s fit"));
        patience.data();
        assert_eq!(patience, Patience::new(5));
    }

    #[test]
    fn negative_patience_never_grows_and_zero_is_endless() {
        let mut patience = Patience::new(-7);
        patience.idle();
        assert_eq!(patience, Patience::Fixed(7));
        assert_eq!(Patience::new(0).limit(), PollTimeout::NONE);
    }

    #[test]
    fn a_wait_too_long_for_poll_becomes_the_longest_one() {
        assert_eq!(Patience::new(i64::MAX).limit(), PollTimeout::MAX);
    }

    #[test]
    fn option_d_takes_both_spellings() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>().into_iter();
        assert_eq!(option_d(words("-d 9")).as_deref(), Some("9"));
        assert_eq!(option_d(words("-d-9")).as_deref(), Some("-9"));
        assert_eq!(option_d(words("other")), None);
    }
}
