//! When to try to reach the server. Pure: it says when, the loop tries.
//!
//! Attempts come at growing, random intervals from 0.2 s to 5 s. An announcement brings the next one forward to a random
//! moment within 0.15 s, even if one hangs; so a house full of clients finds its server within a second and never all
//! at once. Announcements are anybody's, so they force no more than one attempt in [`FORCED_EVERY`].

use crate::machine::Pause;
use protocol::Instant;
use runner::retry::Backoff;
use std::time::Duration;

/// The first pause between two attempts.
pub const FIRST: Duration = Duration::from_millis(200);
/// No pause is longer.
pub const LAST: Duration = Duration::from_secs(5);
/// An announcement is followed within this time.
pub const SPREAD: Duration = Duration::from_millis(150);
/// Two attempts that announcements brought forward are at least this far apart.
pub const FORCED_EVERY: Duration = Duration::from_millis(200);
/// How long a server that has just gone is left alone: as long as the longest pause, and no longer.
pub const REST: Duration = LAST;
/// How long a client that was refused waits.
pub const REFUSED: Duration = Duration::from_secs(60);
/// A link that lasted this long was one; after a shorter one the pauses go on growing.
const LASTED: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
enum Stand {
    Linked(Instant),
    Waiting(Instant),
    /// Somebody has to change something first, so no announcement changes anything.
    Refused(Instant),
    /// An attempt is under way; it is given up for a new one at this instant.
    Trying(Option<Instant>),
}

/// The way to the server.
#[derive(Debug)]
pub struct Approach {
    backoff: Backoff,
    stand: Stand,
    forced: Option<Instant>,
}

impl Approach {
    /// The first attempt is due at once.
    pub fn new(backoff: Backoff, now: Instant) -> Self {
        Self { backoff, stand: Stand::Waiting(now), forced: None }
    }

    /// When [`Approach::due`] should be asked.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stand {
            Stand::Waiting(at) | Stand::Refused(at) => Some(at),
            Stand::Trying(at) => at,
            Stand::Linked(_) => None,
        }
    }

    /// Whether a new attempt begins now, in place of the one that may be under way.
    pub fn due(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|at| at <= now);
        if due {
            self.stand = Stand::Trying(None);
        }
        due
    }

    /// The attempt led nowhere.
    pub fn failed(&mut self, now: Instant) {
        if let Stand::Trying(forced) = self.stand {
            let next = now + self.backoff.next();
            self.stand = Stand::Waiting(forced.map_or(next, |at| at.min(next)));
        }
    }

    /// The attempt led to a link.
    pub fn made(&mut self, now: Instant) {
        self.stand = Stand::Linked(now);
    }

    /// There is no link any more.
    pub fn over(&mut self, pause: Pause, now: Instant) {
        if let Stand::Linked(since) = self.stand
            && now.since(since) >= LASTED
        {
            self.backoff.reset();
        }
        self.stand = match pause {
            Pause::Soon => Stand::Waiting(now + self.backoff.next()),
            Pause::Rest => Stand::Waiting(now + REST),
            Pause::Refused => Stand::Refused(now + REFUSED),
        };
    }

    /// This machine was paired: whatever stood in the way before, the next attempt is due at once.
    pub fn paired(&mut self, now: Instant) {
        if !matches!(self.stand, Stand::Linked(_)) {
            self.backoff.reset();
            self.stand = Stand::Waiting(now);
        }
    }

    /// Some server came up. `spread` is a random part of [`SPREAD`].
    pub fn announced(&mut self, spread: Duration, now: Instant) {
        let earliest = self.forced.map_or(now, |last| last + FORCED_EVERY);
        let at = (now + spread).max(earliest);
        let sooner = match self.stand {
            Stand::Linked(_) | Stand::Refused(_) | Stand::Trying(Some(_)) => return,
            Stand::Waiting(due) if due <= at => return,
            Stand::Waiting(_) => Stand::Waiting(at),
            Stand::Trying(None) => Stand::Trying(Some(at)),
        };
        (self.stand, self.forced) = (sooner, Some(at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Instant {
        Instant::at(Duration::from_secs_f64(seconds))
    }

    fn approach() -> Approach {
        Approach::new(Backoff::seeded(FIRST, LAST, 7), at(0.0))
    }

    /// Fails every attempt at once until `end`; when each was made.
    fn attempts(approach: &mut Approach, end: f64) -> Vec<Instant> {
        let mut tried = Vec::new();
        while let Some(due) = approach.deadline().filter(|&due| due <= at(end)) {
            assert!(approach.due(due));
            tried.push(due);
            approach.failed(due);
        }
        tried
    }

    #[test]
    fn attempts_begin_at_once_and_grow_apart_up_to_5_seconds() {
        let tried = attempts(&mut approach(), 120.0);
        assert_eq!(tried[0], at(0.0));
        let gaps: Vec<_> = tried.windows(2).map(|pair| pair[1].since(pair[0])).collect();
        assert!(gaps[0] <= FIRST && gaps.iter().all(|&gap| gap <= LAST) && gaps.len() < 60, "{gaps:?}");
    }

    #[test]
    fn an_announcement_brings_the_next_attempt_forward_even_if_one_hangs() {
        let mut approach = approach();
        attempts(&mut approach, 60.0);
        approach.announced(Duration::from_millis(120), at(60.0));
        assert_eq!(approach.deadline(), Some(at(60.12)));
        assert!(approach.due(at(60.12)) && approach.deadline().is_none(), "one hangs");
        approach.announced(Duration::from_millis(10), at(61.0));
        assert!(approach.due(at(61.01)));
    }

    #[test]
    fn a_storm_of_announcements_forces_five_attempts_a_second_at_most() {
        let mut approach = approach();
        attempts(&mut approach, 60.0);
        let mut tried = 0;
        for millisecond in 0..1000 {
            let now = at(60.0 + f64::from(millisecond) / 1000.0);
            approach.announced(Duration::ZERO, now);
            if approach.due(now) {
                tried += 1;
                approach.failed(now);
            }
        }
        assert!((3..=6).contains(&tried), "{tried}");
    }

    #[test]
    fn a_server_that_has_just_gone_is_left_alone_unless_announced() {
        let mut approach = approach();
        assert!(approach.due(at(0.0)));
        approach.made(at(0.0));
        approach.announced(Duration::ZERO, at(5.0));
        assert_eq!(approach.deadline(), None, "linked");
        approach.over(Pause::Rest, at(9.0));
        assert_eq!(approach.deadline(), Some(at(14.0)));
        approach.announced(Duration::from_millis(100), at(12.0));
        assert_eq!(approach.deadline(), Some(at(12.1)));
        approach.due(at(12.1));
        approach.made(at(12.1));
        approach.over(Pause::Refused, at(13.0));
        approach.announced(Duration::ZERO, at(20.0));
        assert_eq!(approach.deadline(), Some(at(73.0)), "somebody has to change something first");
    }

    #[test]
    fn a_server_that_hangs_up_at_once_is_tried_less_and_less_often() {
        let mut approach = approach();
        let mut now = at(0.0);
        for _ in 0..12 {
            now = approach.deadline().unwrap();
            assert!(approach.due(now));
            approach.made(now);
            approach.over(Pause::Soon, now);
        }
        assert!(approach.deadline().unwrap().since(now) >= LAST / 2);
        approach.due(now + LAST);
        approach.made(now + LAST);
        approach.over(Pause::Soon, now + LAST * 2);
        assert!(approach.deadline().unwrap().since(now + LAST * 2) <= FIRST);
    }
}
