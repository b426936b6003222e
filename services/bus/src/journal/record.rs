//! What is kept: opaque bytes, and what the journal must know to keep them as long as they are worth it.

pub use protocol::event::{Class, EventId as Key, Keep};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest subject in bytes: topics of MQTT brokers in practice are far shorter.
pub const MAX_SUBJECT: usize = 1024;
/// The longest body in bytes: many times that of an event.
pub const MAX_BODY: usize = 256 * 1024;

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
