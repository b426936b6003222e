//! The newest records, in memory, for those who follow: they cost no reading. Bounded in bytes. Pure.

use crate::journal::codec;
use crate::journal::record::{Entry, Key, Position};
use std::collections::VecDeque;
use std::sync::Arc;

/// All records that were appended at `since` or behind.
#[derive(Debug)]
pub(crate) struct Recent {
    entries: VecDeque<Arc<Entry>>,
    since: Position,
    bytes: u64,
    most: u64,
}

/// What an entry takes beside the bytes of its record: the allocations and counters around it.
const AROUND: usize = 128;

impl Recent {
    pub(crate) fn new(since: Position, most: u64) -> Recent {
        Recent { entries: VecDeque::new(), since, bytes: 0, most }
    }

    pub(crate) fn push(&mut self, entry: Arc<Entry>) {
        self.bytes += weight(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.most {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= weight(&oldest);
            self.since = oldest.position.next();
        }
    }

    /// All records from a position on, if they are all here.
    pub(crate) fn from(&self, position: Position) -> Option<impl Iterator<Item = &Arc<Entry>>> {
        // No two have one position, so there are at most so many of them behind it.
        let end = self.entries.back().map_or(position, |last| last.position.next());
        let most = usize::try_from(end.0.saturating_sub(position.0)).unwrap_or(usize::MAX);
        let newest = self.entries.range(self.entries.len().saturating_sub(most)..);
        (position >= self.since).then(|| newest.skip_while(move |entry| entry.position < position))
    }

    /// Where a record of this key is, if it is here.
    pub(crate) fn find(&self, key: &Key) -> Option<Position> {
        self.entries.iter().rev().find(|entry| entry.record.key == *key).map(|entry| entry.position)
    }
}

fn weight(entry: &Entry) -> u64 {
    (codec::size(&entry.record) + AROUND) as u64
}
