//! When has silence lasted too long? An accrual failure detector (Hayashibara et al., "The phi accrual failure
//! detector", 2004) over the last intervals between signs of life, held between a floor and a ceiling.
//!
//! The normal distribution behind phi is too sure of itself where a link stalls in bursts, as TCP does under loss;
//! so the longest silence of the window counts too, and the floor is several beats wide. On a quiet link the floor
//! decides; on a bad one the time-out grows by itself until the ceiling.

use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// How many intervals are remembered: two minutes of beats, so that a bad evening is forgotten soon.
pub const WINDOW: usize = 120;

/// How many standard deviations above the mean silence may last: phi = 12, one wrong verdict in 10^12 under the model.
pub const DEVIATIONS: f64 = 7.0;

/// How much longer than the longest silence that ended well a silence may last.
pub const MARGIN: f64 = 2.0;

/// Between what bounds the time-out may move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Never lost sooner than this after the last sign of life.
    pub floor: Duration,
    /// Never lost later than this.
    pub ceiling: Duration,
}

impl Bounds {
    /// A cut link is noticed in 3 to 4 seconds when the network is quiet, and in 12 at worst.
    pub const DEFAULT: Bounds = Bounds { floor: Duration::from_secs(4), ceiling: Duration::from_secs(12) };
}

/// Watches one stream of signs of life.
#[derive(Debug, Clone)]
pub struct Detector {
    bounds: Bounds,
    beat: Instant,
    alive: Instant,
    intervals: VecDeque<f32>,
}

impl Detector {
    /// Starts with a sign of life.
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        Self { bounds, beat: now, alive: now, intervals: VecDeque::new() }
    }

    /// A beat came: a sign of life, and a sample of how long silence may last.
    pub fn beat(&mut self, now: Instant) {
        if self.intervals.len() == WINDOW {
            self.intervals.pop_front();
        }
        self.intervals.push_back(now.since(self.beat).as_secs_f32());
        self.beat = now;
        self.alive = now;
    }

    /// A sign of life that says nothing about the rhythm, or a silence that was our own fault: the count starts anew.
    pub fn extend(&mut self, now: Instant) {
        self.alive = now;
    }

    /// A new link: the count starts anew, and the silence before it is no sample.
    pub fn restart(&mut self, now: Instant) {
        self.beat = now;
        self.alive = now;
    }

    /// How long silence may last, by what was seen.
    pub fn timeout(&self) -> Duration {
        let longest = self.intervals.iter().copied().fold(0.0, f32::max) as f64;
        let (mean, deviation) = self.moments();
        let seconds = (mean + DEVIATIONS * deviation).max(longest * MARGIN);
        Duration::from_secs_f64(seconds).clamp(self.bounds.floor, self.bounds.ceiling)
    }

    fn moments(&self) -> (f64, f64) {
        let count = self.intervals.len().max(1) as f64;
        let mean = self.intervals.iter().map(|&s| s as f64).sum::<f64>() / count;
        let variance = self.intervals.iter().map(|&s| (s as f64 - mean).powi(2)).sum::<f64>() / count;
        (mean, variance.sqrt())
    }

    /// When silence becomes suspicious: half of the time-out.
    pub fn suspect_at(&self) -> Instant {
        self.alive + self.timeout() / 2
    }

    /// When silence has lasted too long.
    pub fn lost_at(&self) -> Instant {
        self.alive + self.timeout()
    }

    /// When the last beat came.
    pub fn last_beat(&self) -> Instant {
        self.beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_beats(gaps: &[f64]) -> Detector {
        let mut now = Instant::default();
        let mut detector = Detector::new(Bounds::DEFAULT, now);
        for &gap in gaps {
            now = now + Duration::from_secs_f64(gap);
            detector.beat(now);
        }
        detector
    }

    #[test]
    fn a_quiet_link_is_judged_by_the_floor() {
        assert_eq!(after_beats(&[1.0; 300]).timeout(), Bounds::DEFAULT.floor);
        assert_eq!(after_beats(&[]).timeout(), Bounds::DEFAULT.floor);
    }

    #[test]
    fn a_bad_link_gets_more_patience_and_loses_it_again() {
        let mut gaps = vec![1.0; 60];
        gaps.push(3.5);
        let bad = after_beats(&gaps);
        assert!(bad.timeout() >= Duration::from_secs(7), "{:?}", bad.timeout());
        gaps.extend([1.0; WINDOW]);
        assert_eq!(after_beats(&gaps).timeout(), Bounds::DEFAULT.floor);
        assert_eq!(after_beats(&[60.0; 5]).timeout(), Bounds::DEFAULT.ceiling);
    }
}
