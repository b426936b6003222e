//! What time it is, and whether that is to be believed. A Raspberry Pi has no clock that goes on without power: after a start it believes
//! that it is still the evening before, until a time server has told it better.

use nix::time::{ClockId, clock_gettime};
use runner::clock::unix_now;
use segments::ledger::Reading;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// No machine that this program runs on lives before it: 2026, in milliseconds since 1970.
pub const EPOCH_MS: u64 = 1_767_225_600_000;

/// Another one for each run of the kernel.
const KERNEL: &str = "/proc/sys/kernel/random/boot_id";
/// Longer than this nobody takes to read two clocks, unless he is held up.
const BETWEEN_MS: u64 = 50;

/// The clocks of one run. Times between its parts are durations since its start, on the monotonic clock.
#[derive(Debug)]
pub struct Wall {
    start: Instant,
    /// The kernel's monotonic clock then.
    monotonic: Duration,
    /// Which run of the kernel that is.
    kernel: String,
    clock_dir: PathBuf,
}

impl Wall {
    /// Starts to count. `clock_dir` is where systemd-timesyncd makes a file `synchronized`; without that folder, the clock is believed.
    pub fn start(clock_dir: PathBuf) -> Wall {
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        let start = Instant::now();
        let kernel = std::fs::read_to_string(KERNEL).unwrap_or_default().trim().to_owned();
        Wall { start, monotonic, kernel, clock_dir }
    }

    /// Now.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Another instant.
    pub fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.start)
    }

    /// The same for tokio's timers.
    pub fn tokio(&self, at: Duration) -> tokio::time::Instant {
        (self.start + at).into()
    }

    /// The kernel's monotonic clock at a time, in milliseconds: the same for all runs until the machine starts again.
    pub fn monotonic_ms(&self, at: Duration) -> u64 {
        (self.monotonic + at).as_millis() as u64
    }

    /// The run of the kernel to which they belong; empty if it does not say.
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// The time of day at a time, in milliseconds since 1970, as the clock tells it now.
    pub fn unix_ms(&self, at: Duration) -> u64 {
        self.unix_ms_of(self.monotonic_ms(at))
    }

    /// The same for a reading of [`Wall::monotonic_ms`] in this run of the kernel.
    pub fn unix_ms_of(&self, monotonic_ms: u64) -> u64 {
        let (now, clock) = self.reading();
        (clock.unix + monotonic_ms).saturating_sub(now)
    }

    /// Both clocks at one moment: the kernel's monotonic one in milliseconds, and what the ledger is told of the other.
    pub fn reading(&self) -> (u64, Reading) {
        let mut reading = self.read();
        // Whoever is held up between two clocks reads a distance that there is not.
        for _ in 0..3 {
            if self.monotonic_ms(self.now()) < reading.0 + BETWEEN_MS {
                break;
            }
            reading = self.read();
        }
        reading
    }

    fn read(&self) -> (u64, Reading) {
        let read = |clock| clock_gettime(clock).map(Duration::from).unwrap_or_default();
        let slept = read(ClockId::CLOCK_BOOTTIME).saturating_sub(read(ClockId::CLOCK_MONOTONIC)).as_millis() as u64;
        let (at, set) = (self.monotonic_ms(self.now()), self.is_set());
        (at, Reading { unix: unix_now().as_millis() as u64, set, slept })
    }

    /// Whether the clock is set.
    pub fn is_set(&self) -> bool {
        let told = !self.clock_dir.is_dir() || self.clock_dir.join("synchronized").exists();
        told && unix_now().as_millis() as u64 >= EPOCH_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_believed_when_a_time_server_was_heard_or_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Wall::start(dir.path().join("none")).is_set());
        let wall = Wall::start(dir.path().into());
        assert!(!wall.is_set());
        std::fs::write(dir.path().join("synchronized"), "").unwrap();
        assert!(wall.is_set());
    }

    #[test]
    fn all_clocks_tell_the_same_instant() {
        let wall = Wall::start("/nowhere".into());
        let at = wall.now() + Duration::from_secs(100);
        let (one, other) = (wall.unix_ms(at), wall.unix_ms_of(wall.monotonic_ms(at)));
        assert!(one.abs_diff(other) < 50, "{one} {other}");
        assert!(one.abs_diff(unix_now().as_millis() as u64 + 100_000) < 1000);
    }
}
