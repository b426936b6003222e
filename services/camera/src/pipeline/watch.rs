//! Whether a pipeline still does something. Pure: it is told what was sent and what was taken.

use std::time::Duration;

/// Looks after one pipeline.
#[derive(Debug)]
pub struct Watch {
    patience: Duration,
    seen: u64,
    waiting_since: Option<Duration>,
}

impl Watch {
    /// A pipeline that takes nothing for so long is given up.
    pub fn new(patience: Duration) -> Watch {
        Watch { patience, seen: 0, waiting_since: None }
    }

    /// A picture was sent; so many have been taken up to now.
    pub fn sent(&mut self, taken: u64, now: Duration) {
        self.look(taken);
        self.waiting_since.get_or_insert(now);
    }

    /// Whether it hangs.
    pub fn hangs(&mut self, taken: u64, now: Duration) -> bool {
        self.look(taken);
        self.waiting_since.is_some_and(|since| now.saturating_sub(since) >= self.patience)
    }

    fn look(&mut self, taken: u64) {
        if self.seen != taken {
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
}
