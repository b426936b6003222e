//! Whether somebody else uses our client id. A broker closes the older of two such connections; brokers in use (such as
//! mosquitto 2.0.11) do not say why, so both clients come back and throw each other out for ever.

use super::Trouble;
use protocol::Instant;
use std::time::Duration;

/// A connection that ends so soon after it began was hardly ended by chance.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// So many of them in a row.
const MOST: u32 = 2;

/// What speaks for it.
#[derive(Debug, Default)]
pub(super) struct Quarrel {
    since: Option<Instant>,
    short: u32,
}

impl Quarrel {
    /// A connection begins. A broker that knows nothing of us was away itself, and that explains the end of the last one.
    pub(super) fn up(&mut self, now: Instant, resumed: bool) {
        self.since = Some(now);
        if !resumed {
            self.short = 0;
        }
    }

    /// It ends, or none could be made. Whether somebody else is the reason.
    pub(super) fn down(&mut self, now: Instant, was_up: bool, trouble: &Trouble) -> bool {
        let soon = self.since.take().is_some_and(|since| now.since(since) <= SOON);
        let suspicious = was_up && soon && *trouble == Trouble::Closed;
        self.short = if suspicious { self.short + 1 } else { 0 };
        self.short >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::at(Duration::from_secs(seconds))
    }

    #[test]
    fn two_short_connections_in_a_row_are_a_quarrel() {
        let mut quarrel = Quarrel::default();
        quarrel.up(at(0), true);
        assert!(!quarrel.down(at(3600), true, &Trouble::Closed));
        quarrel.up(at(3601), true);
        assert!(!quarrel.down(at(3602), true, &Trouble::Closed));
        quarrel.up(at(3603), true);
        assert!(quarrel.down(at(3604), true, &Trouble::Closed));
    }

    #[test]
    fn a_broker_that_was_away_is_none() {
        let closed = Trouble::Closed;
        for resumed in [true, false] {
            let mut quarrel = Quarrel::default();
            for second in 0..20 {
                quarrel.up(at(second * 3), resumed);
                assert!(!quarrel.down(at(second * 3 + 1), true, &closed));
                // A broker that remembers us was seen to be away in between.
                if resumed {
                    assert!(!quarrel.down(at(second * 3 + 2), false, &Trouble::Other("refused".into())));
                }
            }
        }
    }
}
