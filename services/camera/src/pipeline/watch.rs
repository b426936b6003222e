//! Whether a pipeline still does something. Pure: it is told what was sent, what was taken and what came.

use std::time::Duration;

/// A pipeline that takes pictures and gives none for so long swallows them: jpegdec says nothing of what it cannot decode.
const DRY: Duration = Duration::from_secs(5);
/// And so many of them, for slow cameras.
const DRY_PICTURES: u64 = 5;

/// Looks after one pipeline.
#[derive(Debug)]
pub struct Watch {
    patience: Duration,
    seen: u64,
    waiting_since: Option<Duration>,
    /// Pictures that had been taken, and when, before the first one that nothing came of.
    dry: Option<(u64, Duration)>,
}

impl Watch {
    /// A pipeline that takes nothing for so long is given up.
    pub fn new(patience: Duration) -> Watch {
        Watch { patience, seen: 0, waiting_since: None, dry: None }
    }

    /// A picture was sent; so many have been taken up to now.
    pub fn sent(&mut self, taken: u64, now: Duration) {
        self.look(taken, now);
        self.waiting_since.get_or_insert(now);
    }

    /// A coded picture came.
    pub fn came(&mut self) {
        self.dry = None;
    }

    /// Whether it hangs.
    pub fn hangs(&mut self, taken: u64, now: Duration) -> bool {
        self.look(taken, now);
        self.waiting_since.is_some_and(|since| now.saturating_sub(since) >= self.patience)
    }

    /// Whether it takes pictures and gives none.
    pub fn swallows(&mut self, taken: u64, now: Duration) -> bool {
        self.look(taken, now);
        self.dry.is_some_and(|(before, since)| taken - before >= DRY_PICTURES && now.saturating_sub(since) >= DRY)
    }

    fn look(&mut self, taken: u64, now: Duration) {
        if self.seen != taken {
            self.dry.get_or_insert((self.seen, now));
            self.seen = taken;
            self.waiting_since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_takes_nothing_hangs_and_who_is_sent_nothing_does_not() {
        let mut watch = Watch::new(at(10));
        assert!(!watch.hangs(0, at(100)));
        watch.sent(0, at(100));
        assert!(!watch.hangs(1, at(200)), "it was taken");
        watch.sent(1, at(200));
        watch.sent(1, at(205));
        assert!(!watch.hangs(1, at(209)));
        assert!(watch.hangs(1, at(210)), "the first one counts");
        watch.sent(2, at(211));
        assert!(!watch.hangs(2, at(220)), "it went on");
    }

    #[test]
    fn who_takes_pictures_and_gives_none_swallows_them() {
        let mut watch = Watch::new(at(10));
        for n in 0..100 {
            watch.sent(n, at(n));
            assert!(!watch.swallows(n, at(n)), "something comes");
            watch.came();
        }
        assert!(!watch.swallows(100, at(500)), "a camera that pauses");
        (101..104).for_each(|n| watch.sent(n, at(400 + n)));
        assert!(!watch.swallows(103, at(506)), "four of a slow camera may be on their way");
        assert!(watch.swallows(104, at(507)));
        watch.came();
        assert!(!watch.swallows(104, at(600)));
    }
}
