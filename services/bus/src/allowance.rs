//! How much is told about the mistakes of others: anybody at the broker, and every peer, can make them, as fast as he likes.

use protocol::Instant;
use std::time::Duration;

/// So many are told at a time.
const MOST: u32 = 20;
/// After so long, one more.
const EACH: Duration = Duration::from_secs(6);

/// What is left of it.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    spent: u32,
    since: Instant,
}

impl Allowance {
    /// Whether one more may be told now.
    pub(crate) fn spend(&mut self, now: Instant) -> bool {
        let back = u32::try_from(now.since(self.since).as_secs() / EACH.as_secs()).unwrap_or(u32::MAX);
        if back > 0 {
            (self.spent, self.since) = (self.spent.saturating_sub(back), now);
        }
        let some = self.spent < MOST;
        self.spent += u32::from(some);
        some
    }

    /// Whether everything that was spent has come back.
    pub(crate) fn is_whole(&self, now: Instant) -> bool {
        now.since(self.since).as_secs() / EACH.as_secs() >= u64::from(self.spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_comes_back_slowly() {
        let mut allowance = Allowance::default();
        let at = |seconds| Instant::at(Duration::from_secs(seconds));
        assert_eq!((0..100).filter(|_| allowance.spend(at(1))).count(), 20);
        assert!(allowance.spend(at(7)) && !allowance.spend(at(7)));
        assert_eq!((0..100).filter(|_| allowance.spend(at(5000))).count(), 20);
    }
}
