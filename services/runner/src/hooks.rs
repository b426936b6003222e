//! The executables of one event, found and run: strictly in order, each with a deadline, its output in our log, and
//! its end reported. What a hook can rely on is `protocol::hook` and, in words, `hooks/README.md`.
//!
//! What always holds: no hook outlives its deadline by more than the time from TERM to KILL, none can block us by
//! what it reads, writes or leaves running, and none is run after a cancellation.

mod child;
mod find;
mod folders;
mod legacy;
mod output;
mod run;
mod trace;

pub use find::find;
pub use folders::{Folders, folders};
pub use run::run;
pub use trace::end_orphan;

use protocol::hook::HookEvent;
use protocol::message::HookOutcome;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How long a hook usually has between SIGTERM and SIGKILL.
pub const KILL_AFTER: Duration = Duration::from_secs(2);

/// One executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The event and the file, as in `server-up/20-mount-share`.
    pub name: String,
    /// What is run.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it is run; `None` is `/`, so that no hook holds a mount by standing in it.
    pub directory: Option<PathBuf>,
    /// Whether it gets descriptors 6 and 7 as an old start script does, and nothing on its standard input.
    pub legacy_socket: bool,
    /// Why it will not be run, and the remedy.
    pub fault: Option<String>,
}

/// How long hooks may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time of each attempt of each hook, until it gets SIGTERM.
    pub per_hook: Duration,
    /// By then every hook has ended, so SIGTERM comes earlier than this by `kill_after`, or by half of what is left
    /// if that is less. Hooks for which no time is left are not run.
    pub until: Option<tokio::time::Instant>,
    /// The time from SIGTERM to SIGKILL, usually [`KILL_AFTER`].
    pub kill_after: Duration,
    /// How often a hook that exits 111 is run in all; `None` is until it succeeds, is cancelled, or `until` comes.
    pub temporary_attempts: Option<u32>,
}

/// One event's hooks and what they get.
#[derive(Debug, Clone)]
pub struct Run {
    /// The event; it says whether a failure ends the run.
    pub event: HookEvent,
    /// The hooks in their order.
    pub hooks: Vec<Hook>,
    /// The whole environment of each, but for `PISTOP_DEADLINE` and `PISTOP_ATTEMPT`, which are added.
    pub environment: Vec<(OsString, OsString)>,
    /// What each finds on its standard input, followed by an end of file.
    pub stdin: Vec<u8>,
    /// How long they may take.
    pub limits: Limits,
    /// A harmless program that is run in place of each hook.
    pub drill: Option<PathBuf>,
    /// Where to note which hook runs, for [`end_orphan`] after a crash.
    pub trace: Option<PathBuf>,
}

/// What happens while hooks run.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A hook was started.
    Started {
        /// Its name.
        hook: String,
        /// From 1; greater if it asked to be tried again.
        attempt: u32,
    },
    /// An old start script wrote this line to descriptor 7. Bytes outside ASCII are escaped.
    Text(String),
    /// A hook ended, after its last attempt.
    Ended(HookOutcome),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every hook exited 0.
    AllDone,
    /// At least one did not; for `server-up` the ones behind it were not run.
    SomeFailed,
    /// It was cancelled; hooks that had not begun were not run.
    Cancelled,
}
