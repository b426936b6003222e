//! How long `ls` takes on a machine, again and again, by a loop inside it that prints milliseconds. A listing that hangs prints
//! nothing, so the time since the last line counts too.

use crate::door;
use crate::machine::Machine;
use crate::watch::Watch;
use std::io::{self, BufRead};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A loop is not given up before it was silent for that long.
const SILENCE: Duration = Duration::from_secs(300);

/// One listing: when it ended, and how long it took.
type Listing = (Duration, Duration);

/// The listings of one directory of one machine.
pub struct Samples {
    /// Whose.
    pub who: &'static str,
    /// Of what.
    pub directory: &'static str,
    watch: Watch,
    listings: Arc<Mutex<Vec<Listing>>>,
}

impl Samples {
    /// Begins; the loop ends with the machine.
    ///
    /// # Errors
    /// The machine's door is closed.
    pub fn begin(machine: &Machine, directory: &'static str, watch: &Watch) -> io::Result<Self> {
        let command = format!("exec /usr/local/lib/house/sample {directory}");
        let lines = door::knock(machine.address(), &command, SILENCE)?;
        let listings = Arc::new(Mutex::new(vec![(watch.now(), Duration::ZERO)]));
        let (kept, clock) = (listings.clone(), watch.clone());
        thread::spawn(move || {
            let spans = lines.lines().map_while(Result::ok).filter_map(|line| line.trim().parse().ok());
            spans.for_each(|span| locked(&kept).push((clock.now(), Duration::from_millis(span))));
        });
        Ok(Self { who: machine.name(), directory, watch: watch.clone(), listings })
    }

    /// How many listings have ended between these moments.
    pub fn count(&self, from: Duration, to: Duration) -> usize {
        locked(&self.listings).iter().filter(|(at, _)| (from..=to).contains(at)).count()
    }

    /// The longest one that began after this moment; one that has not ended is as old as the silence since the last one.
    pub fn longest(&self, from: Duration) -> Duration {
        let listings = locked(&self.listings);
        let ended = listings.iter().filter(|(at, span)| *at >= from + *span).map(|(_, span)| *span).max();
        let silence = listings.last().map_or(Duration::ZERO, |(at, _)| self.watch.now().saturating_sub(*at));
        // Between two listings there is a pause of half a second.
        ended.unwrap_or_default().max(silence.saturating_sub(Duration::from_millis(500)))
    }
}

fn locked(listings: &Mutex<Vec<Listing>>) -> MutexGuard<'_, Vec<Listing>> {
    listings.lock().unwrap_or_else(PoisonError::into_inner)
}
