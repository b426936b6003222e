//! What the journal has to tell besides records: what is damaged, what was dropped, what cannot be read any more.

use super::open::LEAP;
use super::record::{Keep, Position};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// Something on the disk that is not what was written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is the matter there.
    pub what: What,
}

/// What is the matter with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Its end is no whole record, as after a crash; it was cut off there. Nothing that was acknowledged ends so,
    /// unless the disk changed it.
    TornTail {
        /// So many bytes went.
        bytes: u64,
    },
    /// These bytes are no record any more; they are passed over.
    Record {
        /// So many bytes.
        bytes: u64,
    },
    /// One of the two copies of its preface; the other one serves.
    Preface,
    /// Nothing in it can be trusted; it was renamed and is not read any more.
    PutAside {
        /// Its new name.
        name: String,
    },
    /// It was written by a newer version; it was renamed, and a new journal was begun.
    Newer {
        /// Its new name.
        name: String,
        /// Its format.
        format: u16,
    },
    /// The newest list of cursors; the one before it serves, so some records come again.
    Ledger,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.file.display(), self.offset)?;
        match &self.what {
            What::TornTail { bytes } => write!(f, "a torn end of {bytes} bytes was cut off"),
            What::Record { bytes } => write!(f, "{bytes} bytes are no record any more and are passed over"),
            What::Preface => write!(f, "one of two copies of the preface is damaged, the other one serves"),
            What::PutAside { name } => write!(f, "the preface is damaged twice; the file was put aside as {name}"),
            What::Newer { name, format } => {
                write!(f, "format {format} is of a newer version; put aside as {name}, and a new journal is begun")
            }
            What::Ledger => write!(f, "the newest cursors are damaged, older ones serve; some records come again"),
        }
    }
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bounded {
    /// The bytes of the class.
    Bytes,
    /// The age of the class.
    Age,
}

/// So many consumers are named that have missed something; of more, only how many they are.
pub const MAX_UNREAD: usize = 16;

/// Records that went because of a bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Of which class.
    pub keep: Keep,
    /// Which bound it was.
    pub by: Bounded,
    /// How many.
    pub count: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The first of them.
    pub from: Position,
    /// The last of them.
    pub to: Position,
    /// Consumers that had not acknowledged all up to there, the first [`MAX_UNREAD`] of them. Nobody: then nothing is
    /// lost but history.
    pub unread_by: Vec<String>,
    /// So many more had not.
    pub unread_by_more: usize,
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Dropped { keep, count, bytes, from, to, .. } = self;
        write!(f, "{count} {keep} records of {bytes} bytes, {from} to {to}, were dropped")?;
        let names = self.unread_by.join(", ");
        match self.unread_by_more {
            0 if names.is_empty() => write!(f, "; every consumer had them"),
            0 => write!(f, " before {names} had acknowledged them"),
            more => write!(f, " before {names} and {more} more had acknowledged them"),
        }
    }
}

/// What is told while the journal runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A bound was reached.
    Dropped(Dropped),
    /// Something that was written cannot be read any more.
    Damaged(Damage),
}

/// Positions of which something was dropped or damaged. May be told wider than it is, never narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first.
    pub from: Position,
    /// The last.
    pub to: Position,
}

impl Gap {
    /// From the first of both to the last of both.
    #[must_use]
    pub fn and(self, other: Gap) -> Gap {
        Gap { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// So many records at most. The leaps of crashes in it are none; a gap of as many records as one leap is taken for one.
    pub fn count(self) -> u64 {
        self.to.0.saturating_sub(self.from.0) % LEAP + 1
    }
}

/// So many notices wait for somebody who listens; of more, the oldest go. Dropped records are counted in any case.
pub(crate) const MAX_NOTICES: usize = 256;

/// Adds a notice; drops that follow each other become one, and the same damage is told once.
pub(crate) fn add(notices: &mut Vec<Notice>, notice: Notice) {
    if notices.contains(&notice) {
        return;
    }
    if let (Notice::Dropped(new), Some(Notice::Dropped(old))) = (&notice, notices.last_mut())
        && (old.keep, old.by, &old.unread_by, old.unread_by_more)
            == (new.keep, new.by, &new.unread_by, new.unread_by_more)
    {
        (old.count, old.bytes, old.to) = (old.count + new.count, old.bytes + new.bytes, new.to);
        return;
    }
    if notices.len() == MAX_NOTICES {
        notices.remove(0);
    }
    notices.push(notice);
}
