//! When has silence lasted too long? An accrual failure detector in the manner of Hayashibara et al. ("The phi accrual
//! failure detector", 2004), held between a floor and a ceiling.
//!
//! Three things set the time-out: the floor, which decides on a quiet link; mean and deviation of the last intervals; and
//! the longest silence that ended well, since the normal distribution behind phi is too sure of itself where a link
//! stalls in bursts. That longest silence is forgotten only over hours: a spot where the Wi-Fi hangs now and then
//! hangs again tonight. Silence that was the client's own fault is no sample. The constants were chosen with
//! `cargo run --release -p tests --bin suspicion`.

use crate::time::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// How many intervals are remembered: two minutes of beats.
pub const WINDOW: usize = 120;

/// How many standard deviations above the mean silence may last: phi = 12, one wrong verdict in 10^12 under the model.
pub const DEVIATIONS: f64 = 7.0;

/// How much longer than the longest silence that ended well a silence may last.
pub const MARGIN: f64 = 1.5;

/// After this time the longest silence counts for half.
pub const HALF_LIFE: Duration = Duration::from_secs(24 * 3600);

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
    quiet_since: Option<Instant>,
    intervals: VecDeque<f32>,
    longest: f64,
    timeout: Duration,
}

impl Detector {
    /// Starts with a sign of life.
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        let (intervals, timeout) = (VecDeque::with_capacity(WINDOW), bounds.floor);
        Self { bounds, beat: now, alive: now, quiet_since: None, intervals, longest: 0.0, timeout }
    }

    /// A beat came: a sign of life, and a sample of the rhythm.
    pub fn beat(&mut self, now: Instant) {
        self.longest *= 1.0 - (now.since(self.beat).as_secs_f64() / HALF_LIFE.as_secs_f64()).min(1.0) / 2.0;
        if let Some(silence) = self.silence(now) {
            if self.intervals.len() == WINDOW {
                self.intervals.pop_front();
            }
            self.intervals.push_back(silence.as_secs_f32());
        }
        self.beat = now;
        self.answer(now);
    }

    /// Another sign of life, which says nothing about the rhythm but ends a silence.
    pub fn answer(&mut self, now: Instant) {
        self.longest = self.silence(now).map_or(0.0, |silence| silence.as_secs_f64()).max(self.longest);
        (self.alive, self.quiet_since) = (now, Some(now));
        self.timeout = self.timeout_now();
    }

    /// The silence so far was our own fault, or the server's good right: the count starts anew, and it is no sample.
    pub fn excuse(&mut self, now: Instant) {
        (self.alive, self.quiet_since) = (now, None);
    }

    /// A new link: the count starts anew; the silence before it ends with the first sign of life on it.
    pub fn relink(&mut self, now: Instant) {
        (self.alive, self.beat) = (now, now);
    }

    /// A silence that more patience could have bridged; a longer one teaches nothing.
    fn silence(&self, now: Instant) -> Option<Duration> {
        self.quiet_since.map(|since| now.since(since)).filter(|&silence| silence <= self.bounds.ceiling)
    }

    fn timeout_now(&self) -> Duration {
        let (mean, deviation) = self.moments();
        let seconds = (mean + DEVIATIONS * deviation).max(self.longest * MARGIN);
        Duration::from_secs_f64(seconds).clamp(self.bounds.floor, self.bounds.ceiling)
    }

    fn moments(&self) -> (f64, f64) {
        let count = self.intervals.len().max(1) as f64;
        let (sum, squares) = self.intervals.iter().fold((0.0, 0.0), |(sum, squares), &seconds| {
            (sum + f64::from(seconds), squares + f64::from(seconds * seconds))
        });
        let mean = sum / count;
        (mean, (squares / count - mean * mean).max(0.0).sqrt())
    }

    /// How long silence may last, by what was seen.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How much patience more than the least the link has earned.
    pub fn unease(&self) -> Duration {
        self.timeout - self.bounds.floor
    }

    /// When silence becomes suspicious: after half of the floor, however bad the link, so that answers to probes keep the
    /// silences short by which the time-out grows.
    pub fn suspect_at(&self) -> Instant {
        self.alive + self.bounds.floor / 2
    }

    /// When silence has lasted too long.
    pub fn lost_at(&self) -> Instant {
        self.alive + self.timeout
    }

    /// When the last beat came.
    pub fn last_beat(&self) -> Instant {
        self.beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::repeat_n;

    /// After beats at these intervals, in seconds.
    fn after_beats(gaps: &[f64]) -> (Detector, Instant) {
        let mut now = Instant::default();
        let mut detector = Detector::new(Bounds::DEFAULT, now);
        detector.beat(now);
        for &gap in gaps {
            now = now + Duration::from_secs_f64(gap);
            detector.beat(now);
        }
        (detector, now)
    }

    fn timeout(gaps: &[f64]) -> Duration {
        after_beats(gaps).0.timeout()
    }

    #[test]
    fn a_quiet_link_is_judged_by_the_floor() {
        assert_eq!(timeout(&[1.0; 300]), Bounds::DEFAULT.floor);
        assert_eq!(timeout(&[]), Bounds::DEFAULT.floor);
    }

    #[test]
    fn a_bad_link_gets_more_patience_and_loses_it_over_hours() {
        let mut gaps = vec![1.0; 60];
        gaps.push(5.0);
        let bad = timeout(&gaps);
        assert!(bad >= Duration::from_secs(7), "{bad:?}");
        gaps.extend(repeat_n(1.0, 3600));
        assert!(timeout(&gaps) > Duration::from_secs(6), "an hour is not long");
        gaps.extend(repeat_n(1.0, 48 * 3600));
        assert_eq!(timeout(&gaps), Bounds::DEFAULT.floor);
        assert_eq!(timeout(&[11.0; 5]), Bounds::DEFAULT.ceiling);
    }

    #[test]
    fn a_silence_beyond_all_patience_or_of_our_own_making_teaches_nothing() {
        assert_eq!(timeout(&[1.0, 60.0, 1.0]), Bounds::DEFAULT.floor);
        let (mut detector, now) = after_beats(&[1.0; 60]);
        detector.excuse(now + Duration::from_secs(9));
        detector.beat(now + Duration::from_secs(10));
        assert_eq!(detector.timeout(), Bounds::DEFAULT.floor);
    }

    #[test]
    fn an_answer_to_a_probe_keeps_the_silence_short() {
        let (mut detector, now) = after_beats(&[1.0; 60]);
        detector.answer(now + Duration::from_secs(3));
        detector.answer(now + Duration::from_secs(5));
        detector.beat(now + Duration::from_secs(7));
        let timeout = detector.timeout().as_secs_f64();
        assert!((timeout - 3.0 * MARGIN).abs() < 0.01, "{timeout}");
    }
}
