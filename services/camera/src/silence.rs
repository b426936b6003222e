//! What the ledger is told of pictures that do not come, or do not change. Pure; times are milliseconds of the kernel's clock.

use segments::account::TOLERANCE_MS;
use segments::ledger::{Line, What};

/// A picture that is to be recorded.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// When it was taken.
    pub taken: u64,
    /// Until the next one, as far as is known.
    pub interval: u64,
    /// It has been the same for so long.
    pub frozen: Option<u64>,
    /// Broken ones up to now.
    pub flawed: u64,
}

/// One camera.
#[derive(Debug)]
pub struct Silence {
    /// The end of the last picture, or the begin of the run.
    since: u64,
    first: bool,
    away: bool,
    frozen: bool,
    flawed: u64,
}

impl Silence {
    /// A run begins.
    pub const fn new(begun: u64) -> Silence {
        Silence { since: begun, first: true, away: false, frozen: false, flawed: 0 }
    }

    /// The camera gives no pictures, for a reason of this word.
    pub fn lost(&mut self, cause: &str, now: u64) -> Line {
        self.away = true;
        Line { at: now, what: What::Away { since: self.since.min(now), cause: cause.into() } }
    }

    /// A picture came.
    pub fn picture(&mut self, seen: Seen) -> Vec<Line> {
        let mut lines: Vec<Line> = self.silence(&seen).into_iter().collect();
        match (seen.frozen, self.frozen) {
            (Some(span), false) => {
                lines.push(Line { at: seen.taken, what: What::Frozen { since: seen.taken.saturating_sub(span) } });
            }
            (None, true) => lines.push(Line { at: seen.taken, what: What::Thawed }),
            _ => {}
        }
        *self = Silence {
            since: seen.taken + seen.interval,
            first: false,
            away: false,
            frozen: seen.frozen.is_some(),
            flawed: seen.flawed,
        };
        lines
    }

    /// What was before it.
    fn silence(&self, seen: &Seen) -> Option<Line> {
        let at = seen.taken;
        if self.away || self.first {
            return Some(Line { at, what: What::Back });
        }
        if at <= self.since + TOLERANCE_MS {
            return None;
        }
        let cause = if seen.flawed > self.flawed { "broken-pictures" } else { "stalled" };
        Some(Line { at, what: What::Silent { since: self.since, cause: cause.into() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mjpeg::Cause;
    use std::time::Duration;

    fn seen(taken: u64) -> Seen {
        Seen { taken, interval: 66, frozen: None, flawed: 0 }
    }

    fn whats(lines: Vec<Line>) -> Vec<(u64, What)> {
        lines.into_iter().map(|line| (line.at, line.what)).collect()
    }

    #[test]
    fn a_pause_is_told_when_it_is_over_and_a_loss_at_once() {
        let mut silence = Silence::new(100);
        assert_eq!(whats(silence.picture(seen(5000))), [(5000, What::Back)], "the run was starting");
        assert_eq!(silence.picture(seen(5566)), []);
        let stalled = What::Silent { since: 5632, cause: "stalled".into() };
        assert_eq!(whats(silence.picture(seen(6200))), [(6200, stalled)]);
        let broken = What::Silent { since: 6266, cause: "broken-pictures".into() };
        assert_eq!(whats(silence.picture(Seen { flawed: 3, ..seen(7000) })), [(7000, broken)]);
        let away = |at, cause: &str| Line { at, what: What::Away { since: 7066, cause: cause.into() } };
        assert_eq!(silence.lost("silent", 9000), away(9000, "silent"));
        assert_eq!(silence.lost("refused", 9500), away(9500, "refused"));
        assert_eq!(whats(silence.picture(seen(20_000))), [(20_000, What::Back)]);
        assert_eq!(silence.picture(seen(20_066)), []);
    }

    #[test]
    fn a_frozen_picture_is_told_from_its_beginning_to_its_end() {
        let mut silence = Silence::new(100);
        let mut told = Vec::new();
        for (n, frozen) in [None, None, Some(10_000), Some(10_066), None, None].into_iter().enumerate() {
            told.extend(whats(silence.picture(Seen { frozen, ..seen(50_000 + n as u64 * 66) })));
        }
        assert_eq!(told[1..], [(50_132, What::Frozen { since: 40_132 }), (50_264, What::Thawed)]);
    }

    #[test]
    fn the_words_are_those_of_the_reader() {
        assert_eq!(Cause::Stalled(Duration::ZERO).word(), "stalled");
        assert_eq!(Cause::Broken { what: String::new() }.word(), "broken-pictures");
    }
}
