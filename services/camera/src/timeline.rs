//! When each picture was taken, on one clock that only goes forward. Pure.
//!
//! Pictures arrive in bursts; the camera's own clock (`X-Timestamp`) knows better when they were taken, but starts anywhere, drifts, and
//! begins again with each reboot. So its differences are believed, and the sum is drawn gently towards the time of arrival. Without it,
//! the time of arrival is smoothed in the same way by the pace of the last pictures.

use std::time::Duration;

/// Two pictures are never closer: x264 and MPEG time stamps of 90 kHz tell them apart, and no camera sends 500 a second.
const CLOSEST: f64 = 0.002;
/// A camera clock that goes on by more than this between two pictures, or by less than nothing, was set, or its camera started again.
const LONGEST_STEP: f64 = 10.0;
/// This share of what is wrong is mended with each picture: over two seconds at 15 a second, so jitter of arrival is not seen.
const GAIN: f64 = 1.0 / 32.0;
/// Further off than this the sum is not drawn but set: something else happened, such as a pause.
const FARTHEST: f64 = 0.75;

/// The time line of one camera, over all its connections.
#[derive(Debug, Default)]
pub struct Timeline {
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    arrived: f64,
    camera: Option<f64>,
    taken: f64,
}

impl Timeline {
    /// When a picture was taken that arrived at `arrived`, both on the same monotonic clock; later than the one before.
    pub fn place(&mut self, arrived: Duration, camera: Option<Duration>) -> Duration {
        let (arrived, camera) = (arrived.as_secs_f64(), camera.map(|time| time.as_secs_f64()));
        let taken = match self.last {
            None => arrived,
            Some(last) => next(last, arrived, camera),
        };
        self.last = Some(Last { arrived, camera, taken });
        Duration::from_secs_f64(taken)
    }

    /// The camera has a new connection: its clock may have begun again.
    pub fn reconnected(&mut self) {
        if let Some(last) = &mut self.last {
            last.camera = None;
        }
    }
}

fn next(last: Last, arrived: f64, camera: Option<f64>) -> f64 {
    let step = match (last.camera, camera) {
        (Some(before), Some(now)) if (0.0..LONGEST_STEP).contains(&(now - before)) => now - before,
        _ => arrived - last.arrived,
    };
    let expected = last.taken + step;
    let wrong = arrived - expected;
    let taken = if wrong.abs() > FARTHEST { arrived } else { expected + wrong * GAIN };
    taken.max(last.taken + CLOSEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn bursts_of_arrival_are_not_seen_where_the_camera_tells_the_time() {
        let mut line = Timeline::default();
        let taken: Vec<f64> = (0..300)
            .map(|n| {
                let real = f64::from(n) / 15.0;
                // Three pictures arrive together each 0.2 s.
                let arrived = 100.0 + (real / 0.2).floor() * 0.2 + 0.2;
                line.place(at(arrived), Some(at(7.0 + real))).as_secs_f64()
            })
            .collect();
        let steps = taken[30..].windows(2).map(|pair| pair[1] - pair[0]);
        for step in steps {
            assert!((step - 1.0 / 15.0).abs() < 0.008, "{step}");
        }
    }

    #[test]
    fn a_camera_clock_that_runs_wrong_is_drawn_to_ours() {
        let mut line = Timeline::default();
        let mut last = 0.0;
        for n in 0..3000 {
            let real = f64::from(n) / 15.0;
            last = line.place(at(50.0 + real), Some(at(real * 1.01))).as_secs_f64() - 50.0 - real;
        }
        assert!(last.abs() < 0.05, "{last}");
    }

    #[test]
    fn a_camera_that_starts_again_or_pauses_is_followed() {
        let mut line = Timeline::default();
        line.place(at(10.0), Some(at(5000.0)));
        line.place(at(10.1), Some(at(5000.1)));
        let after = line.place(at(10.2), Some(at(0.3))).as_secs_f64();
        assert!((after - 10.2).abs() < 0.01, "{after}");
        let paused = line.place(at(14.0), Some(at(0.4))).as_secs_f64();
        assert!((paused - 14.0).abs() < 0.01, "{paused}");
        line.reconnected();
        let again = line.place(at(14.1), Some(at(3.0))).as_secs_f64();
        assert!((again - 14.1).abs() < 0.01, "{again}");
    }

    proptest! {
        #[test]
        fn time_only_goes_forward_and_stays_near(pictures in prop::collection::vec((0.0..3.0_f64, prop::option::of(0.0..1e6_f64)), 1..200)) {
            let mut line = Timeline::default();
            let (mut arrived, mut before) = (0.0, None);
            for (pause, camera) in pictures {
                arrived += pause;
                let taken = line.place(at(arrived), camera.map(at)).as_secs_f64();
                prop_assert!(before.is_none_or(|before| taken > before));
                prop_assert!(taken - arrived < FARTHEST + 1.0 && arrived - taken <= FARTHEST + 1e-6, "{taken} {arrived}");
                before = Some(taken);
            }
        }
    }
}
