//! How long a command such as `ls` takes on a machine, again and again, by a loop inside it that prints milliseconds. One that
//! hangs prints nothing, so the time since the last line counts too.

use crate::door;
use crate::machine::Machine;
use crate::watch::Watch;
use std::io::{self, BufRead};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A loop is not given up before it was silent for that long.
const SILENCE: Duration = Duration::from_secs(300);

/// One run: when it ended, and how long it took.
type Run = (Duration, Duration);

/// The runs of one command on one machine.
pub struct Samples {
    /// Whose.
    pub who: &'static str,
    /// Which.
    pub command: &'static str,
    watch: Watch,
    door: TcpStream,
    runs: Arc<Mutex<Vec<Run>>>,
}

impl Samples {
    /// Begins; the loop ends with this value, or with the machine.
    ///
    /// # Errors
    /// The machine's door is closed.
    pub fn begin(machine: &Machine, command: &'static str, watch: &Watch) -> io::Result<Self> {
        let sample = format!("exec /usr/local/lib/house/sample {command}");
        let lines = door::knock(machine.address(), &sample, SILENCE)?;
        let door = lines.get_ref().try_clone()?;
        let runs = Arc::new(Mutex::new(vec![(watch.now(), Duration::ZERO)]));
        let (kept, clock) = (runs.clone(), watch.clone());
        thread::spawn(move || {
            let spans = lines.lines().map_while(Result::ok).filter_map(|line| line.trim().parse().ok());
            spans.for_each(|span| locked(&kept).push((clock.now(), Duration::from_millis(span))));
        });
        Ok(Self { who: machine.name(), command, watch: watch.clone(), door, runs })
    }

    /// How many have ended since this moment.
    pub fn count(&self, from: Duration) -> usize {
        locked(&self.runs).iter().filter(|(at, _)| *at >= from).count()
    }

    /// The longest one that began after this moment; one that has not ended is as old as the silence since the last one.
    pub fn longest(&self, from: Duration) -> Duration {
        let runs = locked(&self.runs);
        let ended = runs.iter().filter(|(at, span)| *at >= from + *span).map(|(_, span)| *span).max();
        let silence = runs.last().map_or(Duration::ZERO, |(at, _)| self.watch.now().saturating_sub(*at));
        // Between two of them there is a pause of half a second.
        ended.unwrap_or_default().max(silence.saturating_sub(Duration::from_millis(500)))
    }
}

impl Drop for Samples {
    /// A loop that nobody listens to ends when it prints; it would keep a slow machine busy.
    fn drop(&mut self) {
        let _ = self.door.shutdown(Shutdown::Both);
    }
}

fn locked(runs: &Mutex<Vec<Run>>) -> MutexGuard<'_, Vec<Run>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}
