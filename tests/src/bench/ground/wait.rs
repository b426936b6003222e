//! Waiting for a condition, with a limit. The pause between two looks is short and stands in for nothing.

use std::io;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(2);

/// Looks until `seen` answers with something; an error that names the wish when the limit has passed.
pub fn until<T>(wish: &str, limit: Duration, mut seen: impl FnMut() -> io::Result<Option<T>>) -> io::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = seen()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(late(wish, limit));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The error of a wish that did not come true.
pub fn late(wish: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{wish}: not within {:.0} s", limit.as_secs_f64()))
}
