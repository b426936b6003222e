//! What `pistop` and the `--ucspi` children say to the running fserver, over its local socket. The same framing as
//! on the network, other types: a request is answered by one or more replies, the last of which says that it is.
//! After [`Request::Join`] and its answer the connection is no longer framed: it carries a peer's bytes.

use crate::message::{Decision, HookOutcome};
use crate::name::{Epoch, HostName, ShutdownId};
use crate::shutdown::{Afterwards, PartStatus};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How many peers one reply carries at most, so that it stays within the frame limit.
pub const PEERS_PER_REPLY: usize = 32;

/// The only word of [`Reply::Done`] after a shutdown that was taken back.
pub const CANCELLED: &str = "cancelled";

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Who is here.
    Status,
    /// Begin a shutdown, a restart or a drill, and tell how it goes until it is over.
    Shutdown(ShutdownRequest),
    /// Take it back.
    Cancel,
    /// The last decisions about a host, and what they rest on.
    Why(HostName),
    /// A child of tcpserver brings its peer along.
    Join(Join),
    /// Make a code with which one machine can be paired, and tell how that goes until it is over.
    Pair(PairRequest),
    /// Who is paired.
    Paired,
    /// Pair that machine no longer.
    Unpair(HostName),
}

/// Which machine may join, and as what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairRequest {
    /// What it may do, in the words of `authorized_peers`.
    pub roles: String,
    /// Only a machine of this name.
    pub name: Option<HostName>,
    /// How long the code is good.
    pub lasts: Duration,
}

/// What kind of shutdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShutdownRequest {
    /// How long to wait for everybody; the configured time if it is not given.
    pub deadline: Option<Duration>,
    /// For people.
    pub reason: String,
    /// If given, it is a restart, and the server is back within this time.
    pub restart: Option<Duration>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// All phases with harmless commands.
    pub drill: bool,
    /// What the asker makes of the server's machine when everybody has let go.
    pub then: Afterwards,
}

/// A peer behind a `--ucspi` child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Join {
    /// The peer's address as UCSPI tells it, or `unknown`.
    pub address: String,
    /// The peer has been greeted before, by an earlier run of the server.
    pub greeted: bool,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The first answer to [`Request::Status`].
    Server(ServerStatus),
    /// Some of the peers.
    Peers(Vec<PeerStatus>),
    /// What a dry run found.
    Plan(Vec<String>),
    /// Something happened in a shutdown.
    Moment(Moment),
    /// The answer to [`Request::Why`], newest first.
    Why(Vec<Verdict>),
    /// It cannot be done; the text names the reason and the remedy.
    Refused(String),
    /// Nothing more follows. For a shutdown: who did not finish.
    Done {
        /// In words, empty if all went well.
        late: Vec<String>,
    },
    /// The peer counts; its bytes follow.
    Joined,
    /// The first answer to [`Request::Pair`].
    PairingCode {
        /// To be typed on the other machine.
        code: Secret,
        /// How long it is good.
        lasts: Duration,
    },
    /// Somebody tried to join and could not, in words.
    PairingFailed(String),
    /// The machine that has joined, or some of the answer to [`Request::Paired`].
    Paired(Vec<PairedStatus>),
    /// The last answer to [`Request::Status`].
    House(HouseStatus),
}

/// A text for one person's eyes. It is shown by nothing but [`Secret::reveal`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// Keeps it from logs.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A machine that is paired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedStatus {
    /// Its name.
    pub name: HostName,
    /// The print of its key, for people to compare.
    pub fingerprint: String,
    /// What it may do, in the words of `authorized_peers`.
    pub roles: String,
    /// It has a sealed link now.
    pub here: bool,
    /// How long ago it had one; `None` if this run of the server has not seen it.
    pub seen: Option<Duration>,
}

/// The server itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name.
    pub name: HostName,
    /// Which run.
    pub epoch: Epoch,
    /// How long it has run.
    pub up: Duration,
    /// Its program and version.
    pub program: String,
    /// Where it listens.
    pub listening: Vec<String>,
    /// How many peers, and how many it will take.
    pub peers: usize,
    /// The cap.
    pub most_peers: usize,
    /// The shutdown in progress.
    pub shutdown: Option<ShutdownStatus>,
}

/// Whom a server lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HouseStatus {
    /// Only paired machines follow it.
    pub closed: bool,
    /// How many machines are paired.
    pub paired: usize,
    /// How many new clients are here that are not.
    pub unpaired: usize,
    /// How many old clients are here.
    pub old: usize,
    /// Whether old clients are let in; in a closed house those of some addresses at least.
    pub old_allowed: bool,
}

/// A shutdown in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShutdownStatus {
    /// Its id.
    pub id: ShutdownId,
    /// `announced` or `committed`.
    pub phase: String,
    /// `shutdown`, `restart` or `drill`.
    pub kind: String,
    /// The operator's words.
    pub reason: String,
    /// How much of the deadline is left.
    pub left: Duration,
    /// The first parties, at most [`PEERS_PER_REPLY`].
    pub parts: Vec<PartStatus>,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its host name; `None` for one that has not given any.
    pub host: Option<HostName>,
    /// Where it comes from.
    pub address: String,
    /// `paired`, `new`, `old`, or `unclassified`.
    pub kind: String,
    /// `tcp` or `ucspi`.
    pub via: String,
    /// How long it has been here.
    pub since: Duration,
    /// Of the last answered beat.
    pub round_trip: Option<Duration>,
    /// How its last hook ended.
    pub last_hook: Option<HookOutcome>,
    /// Frames of kinds that this server does not know.
    pub unknown_frames: u32,
}

/// Something that happened in a shutdown, for a time line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Since the shutdown began.
    pub at: Duration,
    /// Who.
    pub who: String,
    /// What, in words.
    pub what: String,
}

/// A decision about a host.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Who took it: `server`, or the client itself.
    pub by: String,
    /// The decision; `ago` counted to the moment of this answer.
    pub decision: Decision,
}
