//! Time as a parameter. An [`Instant`] is what the one loop of a program read from its clock before it called a
//! machine; machines only compare and add. A test or a simulation makes its own.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on the monotonic clock of one process, counted from a start of its own choosing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The instant that lies `since_start` after the process's own zero.
    pub const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The distance from the process's own zero.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(by))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, by: Duration) -> Instant {
        Instant(self.0.saturating_sub(by))
    }
}

/// The earlier of two deadlines, where a missing one means "never".
pub fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
