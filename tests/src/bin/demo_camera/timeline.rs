//! What is said in the house and what the demo does, each with its time, printed as it happens.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Moment {
    /// In milliseconds since 1970.
    pub at_ms: u64,
    /// Who did or said it.
    pub who: String,
    /// What.
    pub what: String,
}

/// All of it; clones are the same one.
#[derive(Debug, Clone)]
pub struct Timeline {
    began: Instant,
    began_ms: u64,
    moments: Arc<Mutex<Vec<Moment>>>,
}

impl Timeline {
    /// Begins now.
    pub fn begin() -> Timeline {
        Timeline { began: Instant::now(), began_ms: now_ms(), moments: Arc::default() }
    }

    /// Something happens now.
    pub fn tell(&self, who: &str, what: impl Display) {
        let what = what.to_string();
        println!("{:8.3} s  {who:8}{what}", self.began.elapsed().as_secs_f64());
        let moment = Moment { at_ms: now_ms(), who: who.into(), what };
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).push(moment);
    }

    /// When it began, in milliseconds since 1970.
    pub fn began_ms(&self) -> u64 {
        self.began_ms
    }

    /// When the last thing happened, in milliseconds since 1970.
    pub fn ended_ms(&self) -> u64 {
        self.moments().last().map_or(self.began_ms, |moment| moment.at_ms)
    }

    /// Everything, as it happened.
    pub fn moments(&self) -> Vec<Moment> {
        self.moments.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The time of day, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().try_into().unwrap_or_default()
}
