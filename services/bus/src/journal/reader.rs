//! Reading: from memory for those who follow, from the files for those who were away. Nobody waits for the writer.

use super::codec;
use super::core::{Core, State, Volume, name};
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
pub(crate) enum Plan {
    End,
    Memory(Handful),
    File(Reach),
}

/// Living records from memory.
#[derive(Debug, Clone)]
pub(crate) struct Handful {
    from: Position,
    entries: Arc<[Arc<Entry>]>,
    /// Where to read on.
    next: Position,
    /// Where the journal ended.
    end: Position,
}

/// A part of a file.
pub(crate) struct Reach {
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
    unix: u64,
    most: usize,
    bytes: usize,
    batch: Batch,
}

impl State {
    /// Where to look for what is at a position or behind it.
    pub(crate) fn plan(&mut self, from: Position) -> Plan {
        if from >= self.shelf.next {
            return Plan::End;
        }
        if let Some(handful) = self.handful(from) {
            return Plan::Memory(handful);
        }
        let shelf = &self.shelf;
        let Some(segment) = shelf.segment_from(from) else {
            return Plan::Memory(Handful { from, entries: Arc::default(), next: shelf.next, end: shelf.next });
        };
        let (first, offset, end) = (segment.first, segment.offset(from), segment.bytes);
        // An open segment without a record ends before it begins.
        let last = segment.last.min(shelf.next.before());
        let volume = self.volumes.get(&first).expect("each segment has its file").clone();
        Plan::File(Reach { volume, first, offset, end, last })
    }

    /// What is alive from a position on, if that is in memory; the same as the last time, if thousands of followers ask
    /// for it one after another.
    fn handful(&mut self, from: Position) -> Option<Handful> {
        let shelf = &self.shelf;
        if let Some(same) = self.seen.as_ref().filter(|seen| (seen.from, seen.end) == (from, shelf.next)) {
            return Some(same.clone());
        }
        let (mut entries, mut last, mut count) = (Vec::new(), from, 0);
        for entry in shelf.recent.from(from)?.take(HANDFUL) {
            (last, count) = (entry.position, count + 1);
            entries.extend(shelf.is_alive(entry).then(|| entry.clone()));
        }
        let next = if count == HANDFUL { last.next() } else { shelf.next };
        self.seen = Some(Handful { from, entries: entries.into(), next, end: shelf.next });
        self.seen.clone()
    }
}

impl Core {
    /// Reads from a position on, up to `most` bytes of records, at least one record if there is one.
    pub(crate) fn read(&self, from: Position, wanted: &dyn Fn(&Entry) -> bool, most: usize) -> Result<Batch, Failure> {
        let plan = self.lock().plan(from);
        let mut batch = self.follow(plan, from, wanted, most)?;
        batch.gap = self.lock().shelf.gap(from, batch.next);
        Ok(batch)
    }

    /// The same with the first step planned already; the gap is left to the caller.
    pub(crate) fn follow(
        &self,
        first: Plan,
        from: Position,
        wanted: &dyn Fn(&Entry) -> bool,
        most: usize,
    ) -> Result<Batch, Failure> {
        let batch = Batch { next: from, ..Batch::default() };
        let mut reading = Reading { core: self, wanted, unix: self.now().unix, most, bytes: 0, batch };
        let (mut plan, mut patience) = (first, PATIENCE.max(most as u64));
        while let Some(seen) = reading.step(plan)? {
            patience = patience.saturating_sub(seen);
            if reading.bytes >= reading.most || patience == 0 {
                break;
            }
            plan = self.lock().plan(reading.batch.next);
        }
        Ok(reading.batch)
    }

    /// What is wanted of the newest record of each subject, in their order. Reads no more of the files than holds them.
    pub(crate) fn latest(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Arc<Entry>>, Failure> {
        let positions = self.lock().shelf.latest(wanted);
        let is_one = |entry: &Entry| positions.binary_search(&entry.position).is_ok();
        let (most, unix, mut next) = (MARK_EVERY as usize, self.now().unix, Position::START);
        let mut entries = Vec::with_capacity(positions.len());
        while let Some(&at) = positions.get(positions.partition_point(|&position| position < next)) {
            let (plan, batch) = (self.lock().plan(at), Batch { next: at, ..Batch::default() });
            let mut reading = Reading { core: self, wanted: &is_one, unix, most, bytes: 0, batch };
            reading.step(plan)?;
            entries.append(&mut reading.batch.entries);
            next = reading.batch.next.max(at.next());
        }
        Ok(entries)
    }

    /// Of some records those that are alive.
    fn living(&self, entries: impl Iterator<Item = Entry>) -> Vec<Arc<Entry>> {
        let state = self.lock();
        entries.filter(|entry| state.shelf.is_alive(entry)).map(Arc::new).collect()
    }
}

impl Reading<'_> {
    /// One look; how many bytes were looked at, or nothing if there is no more to be seen.
    fn step(&mut self, plan: Plan) -> Result<Option<u64>, Failure> {
        Ok(match plan {
            Plan::End => None,
            Plan::Memory(Handful { entries, next, end, .. }) => {
                Some(self.take(entries.iter().cloned(), next)).filter(|_| next < end)
            }
            Plan::File(reach) => Some(self.look(reach)?),
        })
    }

    /// Takes of `entries`, which are alive, what is wanted, then all before `next` was looked at; says how many bytes
    /// were.
    fn take(&mut self, entries: impl Iterator<Item = Arc<Entry>>, next: Position) -> u64 {
        let mut seen = 0;
        for entry in entries {
            let size = codec::size(&entry.record);
            if !entry.is_expired(self.unix) && (self.wanted)(&entry) {
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

    fn look(&mut self, reach: Reach) -> Result<u64, Failure> {
        let mut most = CHUNK.min(self.most as u64 + MARK_EVERY);
        loop {
            let length = most.min(reach.end - reach.offset);
            let read = read(&*reach.volume.medium, reach.offset, length);
            let bytes = read.map_err(|why| self.core.refused(&name(reach.first), why))?.bytes;
            let at_end = reach.offset + length == reach.end;
            let (entries, next) = self.sift(&bytes, &reach, at_end);
            if let Some(next) = next {
                return Ok(self.take(entries.into_iter(), next).max(length));
            }
            most *= 2;
        }
    }

    /// The living records behind those that were read already, and where they end; nothing if that cannot be said from
    /// so few bytes.
    fn sift(&self, bytes: &[u8], reach: &Reach, at_end: bool) -> (Vec<Arc<Entry>>, Option<Position>) {
        let before = self.batch.next;
        let survey = survey(bytes, 0, reach.volume.salt, Position::START);
        self.core.tell_survey(reach.first, reach.offset, &survey, at_end.then_some(reach.last));
        let entries = survey.entries.into_iter().map(|(_, entry)| entry).filter(|entry| entry.position >= before);
        let mut last = None;
        let entries = self.core.living(entries.inspect(|entry| last = Some(entry.position)));
        let next = if at_end { Some(reach.last) } else { last };
        (entries, next.map(Position::next))
    }
}
