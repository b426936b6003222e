//! The clock of a program's one loop: monotonic, so no time server and no summer time can move it. Beside it stands
//! the time that the machine slept, by which a laptop knows that it was itself away.

use nix::time::{ClockId, clock_gettime};
use protocol::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Two clocks cannot be read in the same instant; less than this between them is no sleep.
const NOISE: Duration = Duration::from_millis(10);

/// Counts from the start of the program.
#[derive(Debug)]
pub struct Clock {
    start: tokio::time::Instant,
    outran: Duration,
}

impl Clock {
    /// Starts to count.
    pub fn start() -> Clock {
        Clock { start: tokio::time::Instant::now(), outran: boottime_ahead() }
    }

    /// The time since the start, not counting sleep of the machine (`CLOCK_MONOTONIC`).
    pub fn now(&self) -> Instant {
        Instant::at(self.start.elapsed())
    }

    /// The same instant for tokio's timers.
    pub fn tokio(&self, at: Instant) -> tokio::time::Instant {
        // Beyond what tokio can count means "never"; a year is that to its timers.
        const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
        self.start.checked_add(at.since_start()).unwrap_or_else(|| tokio::time::Instant::now() + NEVER)
    }

    /// How long the machine slept since the last call, or since the start.
    pub fn slept(&mut self) -> Duration {
        outran(&mut self.outran, boottime_ahead())
    }
}

/// The time since 1970, for what outlives the process; zero on a machine whose clock stands before that.
pub fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn outran(last: &mut Duration, now: Duration) -> Duration {
    let by = now.saturating_sub(*last);
    if by < NOISE {
        return Duration::ZERO;
    }
    *last = now;
    by
}

/// How far `CLOCK_BOOTTIME`, which counts sleep, is ahead of `CLOCK_MONOTONIC`, which does not. Being scheduled away
/// between the two readings makes the distance look larger, so the smallest of a few is the true one.
fn boottime_ahead() -> Duration {
    let reading = || {
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).ok()?;
        let boottime = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).ok()?;
        Some(boottime.saturating_sub(monotonic))
    };
    (0..3).filter_map(|_| reading()).min().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_is_told_once_and_noise_never() {
        let seconds = Duration::from_secs;
        let mut last = seconds(100);
        assert_eq!(outran(&mut last, seconds(100) + NOISE / 2), Duration::ZERO);
        assert_eq!(outran(&mut last, seconds(130)), seconds(30));
        assert_eq!(outran(&mut last, seconds(130)), Duration::ZERO);
        assert_eq!(outran(&mut last, seconds(129)), Duration::ZERO);
    }

    #[test]
    fn an_awake_machine_did_not_sleep() {
        let mut clock = Clock::start();
        assert_eq!((0..1000).map(|_| clock.slept()).sum::<Duration>(), Duration::ZERO);
    }

    #[test]
    fn both_kinds_of_instant_are_the_same_point() {
        let clock = Clock::start();
        let soon = clock.now() + Duration::from_secs(5);
        assert_eq!(clock.tokio(soon) - clock.tokio(Instant::default()), soon.since_start());
        assert!(clock.now() <= clock.now());
        assert!(clock.tokio(Instant::at(Duration::MAX)) > clock.tokio(soon));
    }
}
