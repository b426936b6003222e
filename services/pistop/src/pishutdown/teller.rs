//! Says what goes on, from a thread of its own: a terminal that is gone or that nobody reads holds no shutdown up.

use crate::words::say;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long the last lines may take to be read.
const LAST_LINES: Duration = Duration::from_millis(500);

/// Takes lines and never waits.
#[derive(Debug)]
pub(super) struct Teller {
    lines: Sender<String>,
    told: Receiver<()>,
}

impl Teller {
    pub(super) fn start() -> Teller {
        let (lines, read) = channel::<String>();
        let (done, told) = channel();
        thread::spawn(move || {
            read.iter().for_each(|line| say(&line));
            // Dropped when all is told, which `finish` waits for.
            drop(done);
        });
        Teller { lines, told }
    }

    pub(super) fn tell(&self, line: String) {
        let _ = self.lines.send(line);
    }

    /// Waits a moment for the last lines.
    pub(super) fn finish(self) {
        let Teller { lines, told } = self;
        drop(lines);
        let _: Result<(), _> = told.recv_timeout(LAST_LINES);
    }
}
