//! How many pictures a camera really sends, and which ones are taken. Pure.
//!
//! Nothing a camera says about its rate is true (`X-Framerate: 60`), and it changes with light and Wi-Fi.

use std::collections::VecDeque;
use std::time::Duration;

/// The rate is that of the pictures in so much time.
const WINDOW: f64 = 3.0;
/// With fewer than these nothing is known.
const LEAST: usize = 4;
/// Between two pictures, in seconds, as long as nothing is known.
const UNKNOWN: f64 = 0.75;
/// A camera that sends up to this share more than is wanted loses no pictures: leaving out each tenth one stutters.
const TOLERANCE: f64 = 0.2;
/// What an encoder can be told. The least is that of a camera which is not given up yet, `mjpeg::source::patience`.
const RATES: std::ops::RangeInclusive<f64> = 0.03..=120.0;

/// What one camera sends.
#[derive(Debug)]
pub struct Pace {
    most: f64,
    taken: VecDeque<f64>,
    sent: VecDeque<f64>,
    due: f64,
    /// Measured last.
    known: Option<f64>,
}

impl Pace {
    /// At most so many pictures a second are wanted.
    pub fn new(most: f64) -> Pace {
        Pace { most, taken: VecDeque::new(), sent: VecDeque::new(), due: f64::NEG_INFINITY, known: None }
    }

    /// Another number is wanted from now on.
    pub fn limit(&mut self, most: f64) {
        self.most = most;
    }

    /// Whether the next picture is taken; its time is later than that of the one before.
    pub fn takes(&mut self, time: Duration) -> bool {
        let time = time.as_secs_f64();
        remember(&mut self.sent, time);
        let too_many = rate(&self.sent).is_some_and(|sent| sent > self.most * (1.0 + TOLERANCE));
        let interval = 1.0 / self.most;
        if too_many && time < self.due - interval / 2.0 {
            return false;
        }
        // What comes late does not make what follows late.
        self.due = if time > self.due + interval { time + interval } else { self.due + interval };
        remember(&mut self.taken, time);
        self.known = self.fps().map(|fps| fps.clamp(*RATES.start(), *RATES.end())).or(self.known);
        true
    }

    /// Pictures a second that are taken; `None` until that is known.
    pub fn fps(&self) -> Option<f64> {
        rate(&self.taken)
    }

    /// The time between two pictures, as far as it is known.
    pub fn interval(&self) -> Duration {
        let (last, before) = (self.taken.back(), self.taken.len().checked_sub(2).and_then(|at| self.taken.get(at)));
        let step = last.zip(before).map(|(last, before)| last - before);
        let known = self.known.map(|fps| 1.0 / fps).or(step);
        Duration::from_secs_f64(known.unwrap_or(UNKNOWN).clamp(1.0 / RATES.end(), 1.0 / RATES.start()))
    }

    /// The rate that was measured last, also before a pause, as an encoder can be told it.
    pub fn known(&self) -> Option<f64> {
        self.known.map(rounded)
    }

    /// Enough pictures were seen to know.
    pub fn is_known(&self) -> bool {
        self.taken.len() >= LEAST + 2
    }

    /// Pictures pause or the connection is new: what was measured before says nothing about what follows.
    pub fn paused(&mut self) {
        self.taken.clear();
        self.sent.clear();
    }
}

/// Near a whole number it is that: cameras are set to whole numbers.
fn rounded(fps: f64) -> f64 {
    let whole = fps.round();
    if whole >= 1.0 && (fps / whole - 1.0).abs() < 0.05 { whole } else { (fps * 100.0).round() / 100.0 }
}

fn remember(times: &mut VecDeque<f64>, time: f64) {
    times.push_back(time);
    while times.len() > LEAST && times.front().is_some_and(|&first| time - first > WINDOW) {
        times.pop_front();
    }
}

fn rate(times: &VecDeque<f64>) -> Option<f64> {
    let (first, last) = (times.front()?, times.back()?);
    (times.len() >= LEAST && last > first).then(|| (times.len() - 1) as f64 / (last - first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pace: &mut Pace, fps: f64, from: f64, seconds: f64) -> usize {
        let times = (0..(fps * seconds) as u32).map(|n| from + f64::from(n) / fps);
        times.filter(|&time| pace.takes(Duration::from_secs_f64(time))).count()
    }

    #[test]
    fn what_is_measured_is_known_and_something_else_when_it_changes() {
        let mut pace = Pace::new(15.0);
        assert_eq!((pace.known(), pace.interval().as_millis()), (None, 750));
        assert_eq!(taken(&mut pace, 17.0, 0.0, 0.4), 6);
        assert_eq!(pace.known(), Some(17.0), "a burst at the beginning");
        taken(&mut pace, 15.0, 0.4, 4.0);
        assert_eq!(pace.known(), Some(15.0));
        taken(&mut pace, 4.0, 12.0, 8.0);
        assert_eq!((pace.known(), pace.interval().as_millis()), (Some(4.0), 250));
    }

    #[test]
    fn before_anything_is_measured_the_last_step_counts() {
        let mut pace = Pace::new(15.0);
        pace.takes(Duration::from_secs(1));
        assert!(pace.takes(Duration::from_secs(3)));
        assert_eq!(pace.interval().as_millis(), 2000);
        taken(&mut pace, 4.0, 10.0, 4.0);
        pace.paused();
        assert_eq!(pace.interval().as_millis(), 250, "what it was before a pause");
    }

    #[test]
    fn more_than_is_wanted_is_thinned_out_evenly() {
        let mut pace = Pace::new(15.0);
        let all = taken(&mut pace, 25.0, 0.0, 20.0);
        assert!((295..=310).contains(&all), "{all}");
        assert!((pace.fps().unwrap() - 15.0).abs() < 0.7, "{:?}", pace.fps());
        let mut pace = Pace::new(15.0);
        assert_eq!(taken(&mut pace, 16.5, 0.0, 10.0), 165, "a little more is no reason to stutter");
        pace.limit(5.0);
        assert!(taken(&mut pace, 16.5, 10.0, 10.0) < 56);
    }

    #[test]
    fn a_very_slow_camera_has_a_rate_too() {
        let mut pace = Pace::new(15.0);
        taken(&mut pace, 0.5, 0.0, 20.0);
        assert_eq!(pace.known(), Some(0.5));
        pace.paused();
        assert_eq!((pace.fps(), pace.is_known()), (None, false));
    }

    #[test]
    fn a_picture_each_ten_seconds_leaves_no_time_between_two() {
        let mut pace = Pace::new(0.1);
        taken(&mut pace, 15.0, 0.0, 200.0);
        assert_eq!((pace.interval().as_secs_f64().round(), pace.known()), (10.0, Some(0.1)));
    }
}
