//! Reading: from memory for those who follow, from the files for those who were away. Nobody waits for the writer.

use super::codec;
use super::core::{Core, Volume, name};
use super::failure::Failure;
use super::notice::Gap;
use super::record::{Entry, Position};
use super::scan::survey;
use super::shelf::MARK_EVERY;
use super::store::read;
use std::sync::Arc;

/// One reading from a file: less for who wants less, more for a record that does not fit.
const CHUNK: u64 = 64 * 1024;
/// After so many bytes a reading ends even if it has found nothing that was wanted.
const PATIENCE: u64 = 1024 * 1024;
/// So many records are taken from memory under the lock at a time.
const HANDFUL: usize = 512;

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The records, in order.
    pub entries: Vec<Arc<Entry>>,
    /// Where to read on. Reading has caught up when this is the end of the journal, not when there are no entries.
    pub next: Position,
    /// Something that lay in what was read is lost.
    pub gap: Option<Gap>,
}

/// Where to look next.
enum Plan {
    End,
    Memory(Vec<Arc<Entry>>, Position),
    File(Reach),
}

/// A part of a file.
struct Reach {
    volume: Volume,
    first: Position,
    offset: u64,
    end: u64,
    /// The last position in the file.
    last: Position,
}

/// What is wanted, and what is still to be looked at.
struct Reading<'a> {
    core: &'a Core,
    wanted: &'a dyn Fn(&Entry) -> bool,
    most: usize,
    bytes: usize,
    batch: Batch,
}

impl Core {
    /// Reads from a position on, up to `most` bytes of records, at least one record if there is one.
    pub(crate) fn read(&self, from: Position, wanted: &dyn Fn(&Entry) -> bool, most: usize) -> Result<Batch, Failure> {
        let batch = Batch { next: from, ..Batch::default() };
        let mut reading = Reading { core: self, wanted, most, bytes: 0, batch };
        let mut patience = PATIENCE.max(most as u64);
        loop {
            let seen = match self.plan(reading.batch.next) {
                Plan::End => break,
                Plan::Memory(entries, next) => reading.take(entries, next),
                Plan::File(reach) => reading.look(reach)?,
            };
            patience = patience.saturating_sub(seen);
            if reading.bytes >= reading.most || patience == 0 {
                break;
            }
        }
        reading.batch.gap = self.lock().shelf.gap(from, reading.batch.next);
        Ok(reading.batch)
    }

    fn plan(&self, from: Position) -> Plan {
        let state = self.lock();
        if from >= state.shelf.next {
            return Plan::End;
        }
        if let Some(recent) = state.shelf.recent.from(from) {
            let entries: Vec<_> = recent.take(HANDFUL).cloned().collect();
            let full = entries.len() == HANDFUL;
            let next = entries.last().filter(|_| full).map_or(state.shelf.next, |entry| entry.position.next());
            return Plan::Memory(entries, next);
        }
        let Some(segment) = state.shelf.segment_from(from) else { return Plan::Memory(Vec::new(), state.shelf.next) };
        let (first, offset, end) = (segment.first, segment.offset(from), segment.bytes);
        // An open segment without a record ends before it begins.
        let last = segment.last.min(state.shelf.next.before());
        let volume = state.volumes.get(&first).expect("each segment has its file").clone();
        Plan::File(Reach { volume, first, offset, end, last })
    }
}

impl Reading<'_> {
    /// Takes of `entries` what is wanted, then all before `next` was looked at; says how many bytes were.
    fn take(&mut self, entries: Vec<Arc<Entry>>, next: Position) -> u64 {
        let unix = self.core.now().unix;
        let alive = self.alive(&entries);
        let mut seen = 0;
        for (entry, alive) in entries.into_iter().zip(alive) {
            let size = codec::size(&entry.record);
            if alive && !entry.is_expired(unix) && (self.wanted)(&entry) {
                if self.bytes > 0 && self.bytes + size > self.most {
                    self.batch.next = entry.position;
                    self.bytes = self.most;
                    return seen;
                }
                self.bytes += size;
                self.batch.entries.push(entry);
            }
            seen += size as u64;
        }
        self.batch.next = self.batch.next.max(next);
        seen.max(1)
    }

    fn alive(&self, entries: &[Arc<Entry>]) -> Vec<bool> {
        let state = self.core.lock();
        entries.iter().map(|entry| state.shelf.is_alive(entry)).collect()
    }

    fn look(&mut self, reach: Reach) -> Result<u64, Failure> {
        let mut most = CHUNK.min(self.most as u64 + MARK_EVERY);
        loop {
            let length = most.min(reach.end - reach.offset);
            let read = read(&*reach.volume.medium, reach.offset, length);
            let bytes = read.map_err(|why| self.core.refused(&name(reach.first), why))?.bytes;
            let at_end = reach.offset + length == reach.end;
            let (entries, next) = self.sift(&bytes, &reach, at_end);
            if let Some(next) = next {
                return Ok(self.take(entries, next).max(length));
            }
            most *= 2;
        }
    }

    /// The records behind those that were read already, and where they end; nothing if that cannot be said from so
    /// few bytes.
    fn sift(&self, bytes: &[u8], reach: &Reach, at_end: bool) -> (Vec<Arc<Entry>>, Option<Position>) {
        let before = self.batch.next;
        let survey = survey(bytes, 0, reach.volume.salt, Position::START);
        self.core.tell_survey(reach.first, reach.offset, &survey, at_end.then_some(reach.last));
        let entries = survey.entries.into_iter().map(|(_, entry)| entry).filter(|entry| entry.position >= before);
        let entries: Vec<_> = entries.map(Arc::new).collect();
        let next = match at_end {
            true => Some(reach.last.next()),
            false => entries.last().map(|entry| entry.position.next()),
        };
        (entries, next)
    }
}
