//! What can be asked of a server through its local socket, by the real `pistop`.

use super::place::Place;
use super::process::Process;
use super::programs;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

/// The local socket of the server in a place.
#[derive(Debug, Clone)]
pub struct Control {
    place: Place,
}

/// What a command that has ended said.
#[derive(Debug, Clone)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
}

impl Control {
    /// Of the server in this place.
    pub fn of(place: &Place) -> Self {
        Self { place: place.clone() }
    }

    /// Where the socket is.
    pub fn path(&self) -> PathBuf {
        self.place.path("control.sock")
    }

    /// Runs `pistop` to its end.
    #[track_caller]
    pub fn pistop(&self, arguments: &[&str]) -> Said {
        let mut process = self.pistop_begins(arguments);
        let status = process.wait_exit();
        Said { status, output: process.output(), error: process.log() }
    }

    /// Starts `pistop`, for instance a shutdown that takes its time.
    pub fn pistop_begins(&self, arguments: &[&str]) -> Process {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let path = self.place.path(format!("pistop-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
        let mut command = self.place.world().command(programs::find("pistop"));
        command.arg("--control").arg(self.path()).args(arguments);
        Process::start(self.place.world(), &mut command, &path)
    }

    /// What `pistop status --json` says.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.ask().unwrap_or_else(|why| panic!("pistop status: {why}"))
    }

    /// The peers in that status; none if no server answers, as in the middle of a restart.
    #[track_caller]
    pub fn peers(&self) -> Vec<Value> {
        self.ask().ok().and_then(|status| status["peers"].as_array().cloned()).unwrap_or_default()
    }

    #[track_caller]
    fn ask(&self) -> Result<Value, String> {
        let said = self.pistop(&["status", "--json"]);
        match said.status.success() {
            true => serde_json::from_str(&said.output).map_err(|why| format!("{why}: {}", said.output)),
            false => Err(said.error),
        }
    }

    /// Waits until that many peers are here, of that kind: `new`, `old` or `unclassified`.
    #[track_caller]
    pub fn until_peers(&self, count: usize, kind: &str) {
        let what = format!("{} has {count} {kind} peers", self.place.name());
        let of_kind = || self.peers().iter().filter(|peer| peer["kind"] == kind).count();
        self.place.world().until(&what, || of_kind() == count);
    }
}
