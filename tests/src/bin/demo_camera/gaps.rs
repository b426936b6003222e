//! What is missing of each camera, and why, by the ledger that `camera` keeps beside its recordings.

use crate::stage::{BAD, GOOD, Stage};
use segments::account::{Reason, account};
use segments::ledger;

/// A time of which nothing was recorded.
#[derive(Debug, Clone)]
pub struct Gap {
    /// Of which camera.
    pub camera: String,
    /// From, in milliseconds since 1970.
    pub from_ms: u64,
    /// To.
    pub to_ms: u64,
    /// Why.
    pub reason: Reason,
}

/// All gaps between these times, in milliseconds since 1970, by camera and time.
pub fn of(stage: &Stage, (from, to): (u64, u64)) -> Vec<Gap> {
    let mut all = Vec::new();
    for camera in [GOOD, BAD] {
        let lines = ledger::read(&stage.ram(), camera).expect("the ledger can be read");
        let account = account(&lines, from, to);
        all.extend(account.gaps().map(|(piece, reason)| Gap {
            camera: camera.into(),
            from_ms: piece.from,
            to_ms: piece.to,
            reason: reason.clone(),
        }));
    }
    all
}

/// `04:41:07.250`, in UTC.
pub fn time(unix_ms: u64) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| at.strftime("%H:%M:%S%.3f").to_string())
}
