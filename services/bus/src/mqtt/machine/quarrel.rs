//! Whether somebody else uses our client id. A broker closes the older of two such connections; brokers in use (such as
//! mosquitto 2.0.11) do not say why, so both clients come back and throw each other out for ever.
//!
//! A broker that died looks the same at first. But then nothing listens for a moment, so after such an end we look again
//! at once: only who is let in each time has a quarrel.

use super::Trouble;
use protocol::Instant;
use std::time::Duration;

/// A connection that ends so soon after it began was hardly ended by chance.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// So many of them in a row.
const MOST: u32 = 3;

/// What the end of a connection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It happens.
    Ordinary,
    /// Look again at once.
    Suspicious,
    /// Somebody else uses our client id.
    Quarrel,
}

/// What speaks for it.
#[derive(Debug, Default)]
pub(super) struct Quarrel {
    since: Option<Instant>,
    short: u32,
}

impl Quarrel {
    /// A connection begins.
    pub(super) fn up(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// It ends, or none could be made.
    pub(super) fn down(&mut self, now: Instant, trouble: &Trouble) -> End {
        let soon = self.since.take().is_some_and(|since| now.since(since) <= SOON);
        self.short = if soon && *trouble == Trouble::Closed { self.short + 1 } else { 0 };
        match self.short {
            _ if *trouble == Trouble::Taken => End::Quarrel,
            0 => End::Ordinary,
            MOST.. => End::Quarrel,
            _ => End::Suspicious,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::at(Duration::from_secs(seconds))
    }

    #[test]
    fn short_connections_in_a_row_are_a_quarrel() {
        let mut quarrel = Quarrel::default();
        quarrel.up(at(0));
        assert_eq!(quarrel.down(at(3600), &Trouble::Closed), End::Ordinary);
        for end in [End::Suspicious, End::Suspicious, End::Quarrel] {
            quarrel.up(at(3601));
            assert_eq!(quarrel.down(at(3602), &Trouble::Closed), end);
        }
    }

    #[test]
    fn a_broker_that_was_away_has_none_with_us() {
        let mut quarrel = Quarrel::default();
        for second in 0..50 {
            quarrel.up(at(second * 3));
            assert_eq!(quarrel.down(at(second * 3 + 1), &Trouble::Closed), End::Suspicious);
            assert_eq!(quarrel.down(at(second * 3 + 1), &Trouble::Other("refused".into())), End::Ordinary);
        }
    }

    #[test]
    fn a_broker_that_says_so_is_believed() {
        assert_eq!(Quarrel::default().down(at(1), &Trouble::Taken), End::Quarrel);
    }
}
