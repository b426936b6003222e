//! Hearing that the server lets everybody go, for programs that have something to bring to its end by then.

use super::{Bus, Item, Subscription};
use crate::carry::CLOCK_IS_SET;
use crate::told::{self, Told};
use protocol::Cause;
use protocol::door::{From, Subscribe};
use protocol::fact::Fact;
use runner::clock::unix_now;
use std::time::Duration;

/// What is heard of the server's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// It goes, and waits for everybody so long from now at most.
    Announced(Duration),
    /// It stays after all.
    Cancelled,
}

/// Shutdowns of the server as they are announced. A restart of its service is none: nobody lets go then.
#[derive(Debug)]
pub struct Shutdowns(Subscription);

impl Shutdowns {
    pub(super) fn start(bus: &Bus) -> Shutdowns {
        let (shutdown, cause, reason) = Default::default();
        let facts = [
            Fact::ShutdownAnnounced { shutdown, cause, reason, within: 0 },
            Fact::ShutdownCancelled { shutdown: String::new() },
        ];
        let filters = facts.iter().map(|fact| told::filter_of(&fact.rule()).to_string()).collect();
        Shutdowns(bus.subscribe(Subscribe { name: None, filters, from: From::Next }))
    }

    /// The next word. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Shutdown {
        loop {
            let Item::Event(_, event) = self.0.next().await else { continue };
            let told = told::decode(&event.body.0).ok();
            if let Some(word) = told.and_then(|told| word(&told, unix_now())) {
                return word;
            }
        }
    }
}

/// What a fact says at this time since 1970; an announcement that comes after its own deadline says nothing.
fn word(told: &Told, now: Duration) -> Option<Shutdown> {
    match &told.fact {
        Fact::ShutdownAnnounced { cause, within, .. } if cause == Cause::Shutdown.word() => {
            let left = Duration::from_secs(*within).checked_sub(age(told, now))?;
            Some(Shutdown::Announced(left))
        }
        Fact::ShutdownCancelled { .. } => Some(Shutdown::Cancelled),
        _ => None,
    }
}

/// A clock that is not set says nothing about it.
fn age(told: &Told, now: Duration) -> Duration {
    match told.clock_unset || now.as_secs() < CLOCK_IS_SET {
        true => Duration::ZERO,
        false => now.saturating_sub(Duration::from_millis(told.at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_795_658_040);

    fn announced(cause: Cause, at: Duration) -> Told {
        let (shutdown, reason) = ("1-1".into(), String::new());
        Told::new(at, Fact::ShutdownAnnounced { shutdown, cause: cause.word().into(), reason, within: 30 })
    }

    #[test]
    fn what_is_left_of_the_deadline_counts() {
        let heard = |told: &Told| word(told, NOW);
        let seconds = Duration::from_secs;
        assert_eq!(heard(&announced(Cause::Shutdown, NOW)), Some(Shutdown::Announced(seconds(30))));
        assert_eq!(heard(&announced(Cause::Shutdown, NOW - seconds(10))), Some(Shutdown::Announced(seconds(20))));
        assert_eq!(heard(&announced(Cause::Shutdown, NOW - seconds(31))), None, "it was heard too late");
        assert_eq!(heard(&announced(Cause::Restart, NOW)), None, "nobody lets go");
        let ahead = announced(Cause::Shutdown, NOW + seconds(500));
        assert_eq!(heard(&ahead), Some(Shutdown::Announced(seconds(30))), "its clock is ahead of ours");
        let cancelled = Told::new(NOW, Fact::ShutdownCancelled { shutdown: "1-1".into() });
        assert_eq!(heard(&cancelled), Some(Shutdown::Cancelled));
    }

    #[test]
    fn a_clock_that_is_not_set_makes_nothing_old() {
        let whole = Some(Shutdown::Announced(Duration::from_secs(30)));
        assert_eq!(word(&announced(Cause::Shutdown, Duration::from_secs(9)), NOW), whole);
        assert_eq!(word(&announced(Cause::Shutdown, NOW), Duration::from_secs(9)), whole);
    }
}
