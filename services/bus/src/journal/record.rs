//! What is kept: opaque bytes, and what the journal must know to keep them as long as they are worth it.

use protocol::{Epoch, HostName};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest subject in bytes: topics of MQTT brokers in practice are far shorter.
pub const MAX_SUBJECT: usize = 1024;
/// The longest body in bytes. An event names a file, it does not carry it.
pub const MAX_BODY: usize = 256 * 1024;

/// Which record this is, wherever it has come by: the same key is the same record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The machine that made it.
    pub node: HostName,
    /// The run of the program that made it.
    pub epoch: Epoch,
    /// Counts what that run made.
    pub sequence: u64,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.node, self.epoch, self.sequence)
    }
}

/// What goes first when there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Nothing, until the bound of these records is reached; then the oldest, loudly.
    All,
    /// Whatever a newer record of the same subject replaces: states.
    LatestPerSubject,
    /// The oldest: what is worth less the older it is.
    DropOldest,
}

impl Keep {
    /// All of them; the place in this list is a number on the disk and never changes.
    pub const EACH: [Keep; 3] = [Keep::All, Keep::LatestPerSubject, Keep::DropOldest];

    pub(crate) const fn index(self) -> usize {
        match self {
            Keep::All => 0,
            Keep::LatestPerSubject => 1,
            Keep::DropOldest => 2,
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["keep-all", "latest-per-subject", "drop-oldest"][self.index()])
    }
}

/// How a record is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Class {
    /// What goes first when there is too much.
    pub keep: Keep,
    /// Whether it must be on the disk before its `append` is answered. Otherwise it survives the end of the process,
    /// but not a power cut in the next half minute.
    pub durable: bool,
}

/// What is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which one it is.
    pub key: Key,
    /// How it is kept.
    pub class: Class,
    /// What it is about, at most [`MAX_SUBJECT`] bytes; [`Keep::LatestPerSubject`] goes by it.
    pub subject: String,
    /// When it is worth nothing any more, in seconds since 1970 by the wall clock. On a machine whose clock is not
    /// set it is delivered too long, never too short; what must not be obeyed late carries its epoch as well.
    pub expires: Option<u64>,
    /// The rest, at most [`MAX_BODY`] bytes.
    pub body: Vec<u8>,
}

/// The place of a record in one journal. Positions rise in the order of appending and none is given twice, not even
/// after a power cut; between two of them may be nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// Before or at every record.
    pub const START: Position = Position(0);

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Position {
        Position(self.0.saturating_add(1))
    }

    pub(crate) const fn before(self) -> Position {
        Position(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The place.
    pub position: Position,
    /// When it was appended: seconds that journals at this place have been open by then. No clock can be wrong about
    /// that, so ages are measured by it.
    pub second: u32,
    /// The record.
    pub record: Record,
}

impl Entry {
    /// Whether it is worth nothing any more at `unix`, in seconds since 1970.
    pub fn is_expired(&self, unix: u64) -> bool {
        self.record.expires.is_some_and(|expires| expires <= unix)
    }
}
