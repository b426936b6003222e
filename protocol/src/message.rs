//! What new peers say to each other in frames, in either direction. The order of the variants is the wire: new
//! kinds go to the end, and each has a golden file that a test compares byte for byte.

use crate::cause::Cause;
use crate::name::{Epoch, HostName, Identity, ShutdownId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many kinds this version knows; a number from here on is a newer peer's and is skipped.
pub const KINDS: u32 = 11;

/// One frame's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// The first frame each way.
    Hello(Hello),
    /// Server to client, about once a second: I am here.
    Beat(Beat),
    /// Client to server: I heard beat `number`.
    Echo {
        /// The number of the beat that is answered.
        number: u64,
    },
    /// Server to client: let go until the deadline, or hold still for a restart.
    Prepare(Prepare),
    /// Client to server: how far it has come with a [`Prepare`].
    Progress(Progress),
    /// Server to client: the shutdown of this id does not happen; take up work again.
    Cancel(ShutdownId),
    /// Server to client: everybody has let go or the time is over; there is no way back.
    Commit(ShutdownId),
    /// Client to server: what it last decided and why, for `pistop why`.
    Decision(Decision),
    /// Client to server: a line that an old start script wrote, for the server's log.
    Text(String),
    /// Server to client: this link is not wanted; the text names the reason and the remedy.
    Refused(String),
    /// One step of the handshake after which the link is sealed; what is in it is between the two handshakes. Only
    /// ever before a [`Message::Hello`].
    Handshake(Vec<u8>),
}

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The frame dialect's version, [`crate::line::VERSION`].
    pub version: u16,
    /// The speaker's host name.
    pub name: HostName,
    /// The speaker's machine, whatever its name.
    pub identity: Identity,
    /// The program and its version, for status and log.
    pub program: String,
    /// Names of what the speaker can do beyond this version; unknown ones are ignored.
    pub capabilities: Vec<String>,
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Counts the beats of this link, from 1.
    pub number: u64,
    /// When the next one is to be expected, in milliseconds.
    pub next_ms: u32,
}

/// The first phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// Hearing the same id again changes nothing.
    pub id: ShutdownId,
    /// [`Cause::Shutdown`] or [`Cause::Restart`].
    pub cause: Cause,
    /// For a shutdown: how long the server waits, from now. For a restart: when it expects to be back.
    pub within: Duration,
    /// The operator's words, for people.
    pub reason: String,
    /// All phases with harmless commands in place of hooks; nothing really stops.
    pub drill: bool,
}

/// How far a client is with a shutdown. The order is the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It knows.
    Received,
    /// Its services have stopped; unmounting begins.
    Stopped,
    /// Nothing of it holds the server any more.
    Unmounted,
    /// It goes, or would go in a drill.
    Bye,
}

impl Stage {
    /// The word shown to people and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Stage::Received => "received",
            Stage::Stopped => "stopped",
            Stage::Unmounted => "unmounted",
            Stage::Bye => "bye",
        }
    }
}

/// A client's report on one shutdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Which shutdown.
    pub id: ShutdownId,
    /// What has been reached.
    pub stage: Stage,
    /// The hooks that ended since the last report.
    pub outcomes: Vec<HookOutcome>,
}

/// How one hook ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HookOutcome {
    /// The event and the file, as in `server-stopping/50-unmount-share`.
    pub hook: String,
    /// How it ended.
    pub result: HookResult,
    /// How long it ran, over all attempts.
    pub took: Duration,
}

/// The end of a hook, as its exit status tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookResult {
    /// Exit 0.
    Done,
    /// Any other exit code; 100 by convention. Not tried again.
    Failed(i32),
    /// Exit 111, and no time or attempt was left.
    GaveUp,
    /// Died by this signal.
    Signal(i32),
    /// The deadline passed and it was ended.
    TimedOut,
    /// A newer state overtook it.
    Cancelled,
    /// It could not be started; the text names the remedy.
    NotRun(String),
}

impl std::fmt::Display for HookResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            HookResult::Done => write!(f, "done"),
            HookResult::Failed(code) => write!(f, "failed, exit {code}"),
            HookResult::GaveUp => write!(f, "gave up, exit 111 each time"),
            HookResult::Signal(number) => write!(f, "died by signal {number}"),
            HookResult::TimedOut => write!(f, "timed out"),
            HookResult::Cancelled => write!(f, "cancelled"),
            HookResult::NotRun(why) => write!(f, "not run: {why}"),
        }
    }
}

/// A decision with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// How long ago it was taken, so that no two clocks need to agree.
    pub ago: Duration,
    /// What was decided, as in `server lost`.
    pub what: String,
    /// What it rests on, a fact a line.
    pub evidence: Vec<String>,
    /// The server's run that it concerns, if one was known.
    pub epoch: Option<Epoch>,
}
