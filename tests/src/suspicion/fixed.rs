//! What a plain fixed time-out would have made of the same beats: no probe, no look at the own link, no excuse for sleep;
//! silence that lasts longer is a verdict. The beats are those that our client saw, over links that it renewed.

use super::Time;

/// The time-outs, in seconds.
pub const FIXED: [u64; 4] = [3, 5, 10, 15];

/// One watcher for each time-out.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    last: Option<Time>,
    /// Wrong verdicts of each.
    pub wrong: [u64; FIXED.len()],
    /// How long each took to notice a death, in nanoseconds.
    pub noticed: [Vec<Time>; FIXED.len()],
}

impl Fixed {
    /// A beat came, at this instant of the client's clock.
    pub fn beat(&mut self, now: Time) {
        if let Some(last) = self.last.replace(now) {
            let wrong = self.wrong.iter_mut().zip(FIXED);
            wrong.for_each(|(wrong, timeout)| *wrong += u64::from(now - last > timeout * 1_000_000_000));
        }
    }

    /// The server has died: from its last beat on, each time-out runs; one that had run out already counts for nothing.
    pub fn death(&mut self, now: Time) {
        let Some(last) = self.last.take() else { return };
        for (noticed, timeout) in self.noticed.iter_mut().zip(FIXED) {
            noticed.extend((last + timeout * 1_000_000_000).checked_sub(now));
        }
    }

    /// The silence was no mistake: another run of the server is there.
    pub fn excuse(&mut self) {
        self.last = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_out_judges_for_itself() {
        let mut fixed = Fixed::default();
        [0, 1, 7, 8].into_iter().for_each(|second| fixed.beat(second * 1_000_000_000));
        assert_eq!(fixed.wrong, [1, 1, 0, 0]);
        fixed.death(12_000_000_000);
        assert_eq!(fixed.noticed, [vec![], vec![1_000_000_000], vec![6_000_000_000], vec![11_000_000_000]]);
    }
}
