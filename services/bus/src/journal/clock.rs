//! The two clocks of a journal, as a parameter: one that cannot jump, for ages, and the wall clock, for what expires.

use protocol::Instant;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic, from a start of its own choosing.
    pub instant: Instant,
    /// Seconds since 1970.
    pub unix: u64,
}

/// Where the time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// The clocks of this machine.
    pub fn system() -> Clock {
        let start = std::time::Instant::now();
        Clock::new(move || {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            Moment { instant: Instant::at(start.elapsed()), unix }
        })
    }

    /// Clocks of somebody's own.
    pub fn new(read: impl Fn() -> Moment + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(read))
    }

    pub(crate) fn read(&self) -> Moment {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
