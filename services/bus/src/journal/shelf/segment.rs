//! What is known of one segment file: how much of it is alive, and where in it a position is. Pure.

use crate::journal::codec::PREFACE;
use crate::journal::record::{Entry, Keep, Position};

/// One mark in so many bytes: what has to be read in vain to find a position.
pub(crate) const MARK_EVERY: u64 = 16 * 1024;

/// A segment file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// It is named by it; nothing in it lies before.
    pub(crate) first: Position,
    /// Nothing in it lies behind.
    pub(crate) last: Position,
    /// Its length.
    pub(crate) bytes: u64,
    /// When its first record was appended.
    pub(crate) begun: Option<u32>,
    shares: [Share; 3],
    marks: Vec<(Position, u64)>,
}

/// The live records of one class in one segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    pub(crate) first: Position,
    pub(crate) last: Position,
    /// When the newest was appended.
    pub(crate) newest: u32,
    /// When the last of them expires; the end of time if one never does.
    pub(crate) expires: u64,
}

impl Segment {
    pub(crate) fn new(first: Position, until: Position) -> Segment {
        Segment {
            first,
            last: until.max(first),
            bytes: PREFACE as u64,
            begun: None,
            shares: [Share::default(); 3],
            marks: Vec::new(),
        }
    }

    /// A record stands in it, dead or alive.
    pub(crate) fn add(&mut self, entry: &Entry, at: u64, size: u64, alive: bool) {
        self.last = self.last.max(entry.position);
        self.bytes = at + size;
        self.begun.get_or_insert(entry.second);
        if self.marks.last().is_none_or(|&(_, offset)| at >= offset + MARK_EVERY) {
            self.marks.push((entry.position, at));
        }
        if alive {
            self.shares[entry.record.class.keep.index()].add(entry, size);
        }
    }

    pub(crate) fn share(&self, keep: Keep) -> Share {
        self.shares[keep.index()]
    }

    /// Everything of a class in it is dead.
    pub(crate) fn clear(&mut self, keep: Keep) -> Share {
        std::mem::take(&mut self.shares[keep.index()])
    }

    /// One record of a class in it is dead.
    pub(crate) fn bury(&mut self, keep: Keep, size: u64) {
        let share = &mut self.shares[keep.index()];
        share.count = share.count.saturating_sub(1);
        share.bytes = share.bytes.saturating_sub(size);
    }

    /// Bytes of live records.
    pub(crate) fn alive(&self) -> u64 {
        self.shares.iter().map(|share| share.bytes).sum()
    }

    /// From where to read to find `position` and all behind it.
    pub(crate) fn offset(&self, position: Position) -> u64 {
        let behind = self.marks.partition_point(|&(first, _)| first <= position);
        behind.checked_sub(1).map_or(PREFACE as u64, |mark| self.marks[mark].1)
    }
}

impl Share {
    fn add(&mut self, entry: &Entry, size: u64) {
        if self.count == 0 {
            *self = Share { first: entry.position, ..Share::default() };
        }
        self.count += 1;
        self.bytes += size;
        self.last = entry.position;
        self.newest = self.newest.max(entry.second);
        self.expires = self.expires.max(entry.record.expires.unwrap_or(u64::MAX));
    }
}
