//! How long to wait before the next attempt: twice as long each time up to a limit, and each time a random part less,
//! so that machines which lost the same server in the same instant do not come back in the same instant.

use fastrand::Rng;
use std::time::Duration;

/// A row of pauses.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    coming: Duration,
    chance: Rng,
}

impl Backoff {
    /// Pauses that begin at `first` and grow to `last`. Each is between half of its step and the whole of it.
    pub fn new(first: Duration, last: Duration) -> Backoff {
        Backoff { first, last, coming: first.min(last), chance: Rng::new() }
    }

    /// The same pauses in every run, for a test or a simulation.
    pub fn seeded(first: Duration, last: Duration, seed: u64) -> Backoff {
        Backoff { chance: Rng::with_seed(seed), ..Backoff::new(first, last) }
    }

    /// The pause before the next attempt.
    #[expect(clippy::should_implement_trait, reason = "a row without an end is no iterator to loop over")]
    pub fn next(&mut self) -> Duration {
        let step = self.coming;
        self.coming = step.saturating_mul(2).min(self.last);
        step / 2 + (step / 2).mul_f64(self.chance.f64())
    }

    /// Begins again at the first pause, after a success.
    pub fn reset(&mut self) {
        self.coming = self.first.min(self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_to_the_limit_and_begin_again() {
        let mut backoff = Backoff::seeded(SECOND, 5 * SECOND, 7);
        for step in [1, 2, 4, 5, 5] {
            let pause = backoff.next();
            assert!((step * SECOND / 2..=step * SECOND).contains(&pause), "{pause:?} in step {step}");
        }
        backoff.reset();
        assert!(backoff.next() <= SECOND);
    }

    #[test]
    fn machines_do_not_come_back_together() {
        let pauses: Vec<_> = (0..20).map(|seed| Backoff::seeded(SECOND, SECOND, seed).next()).collect();
        let distinct: std::collections::BTreeSet<_> = pauses.iter().map(|pause| pause.as_millis() / 10).collect();
        assert!(distinct.len() > 10, "{pauses:?}");
    }

    #[test]
    fn a_limit_below_the_first_pause_holds() {
        assert!(Backoff::new(10 * SECOND, SECOND).next() <= SECOND);
        let mut forever = Backoff::new(Duration::MAX, Duration::MAX);
        forever.next();
        forever.next();
    }
}
