//! How long to wait before the next attempt: doubling, with jitter, so that a house full of cameras does not come back in step.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The pauses of one camera.
#[derive(Debug)]
pub struct BackOff {
    range: RangeInclusive<Duration>,
    base: Duration,
}

impl BackOff {
    /// From the range's start to its end.
    pub fn new(range: RangeInclusive<Duration>) -> Self {
        Self { base: *range.start(), range }
    }

    /// The next pause; `random` is 0..1. A quarter more or less, within the range.
    pub fn pause(&mut self, random: f64) -> Duration {
        let (least, most) = (*self.range.start(), *self.range.end());
        let pause = self.base.mul_f64(0.75 + 0.5 * random);
        self.base = (self.base * 2).min(most);
        pause.min(most).max(least)
    }

    /// The camera is well again.
    pub fn reset(&mut self) {
        self.base = *self.range.start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_begin_anew() {
        let mut back_off = BackOff::new(Duration::from_millis(250)..=Duration::from_secs(10));
        let pauses: Vec<u128> = (0..8).map(|_| back_off.pause(0.5).as_millis()).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        assert_eq!([back_off.pause(0.0).as_millis(), back_off.pause(1.0).as_millis()], [7_500, 10_000]);
        back_off.reset();
        assert_eq!([back_off.pause(0.0).as_millis(), back_off.pause(1.0).as_millis()], [250, 625]);
    }
}
