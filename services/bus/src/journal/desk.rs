//! Where records are written: the open segment, and how what is written there becomes known. The thread of the journal
//! writes what has to be on the disk before it is answered. What does not, the caller writes himself, if nothing is in
//! the way: no sync, no next segment, nothing that was appended before and still waits. That spares him the way to the
//! thread and back, which is most of what one record costs.
//!
//! Whoever has the desk gives the next positions. The order of locks: the desk, then the core.

use super::batch::{Answers, answers, judge};
use super::codec;
use super::core::Core;
use super::failure::Failure;
use super::pen::Pen;
use super::record::{Entry, Position, Record};
use super::shelf::{Now, Shelf};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// What whoever waits for the thread has of the journal, given back when that ends.
#[derive(Debug)]
pub(crate) struct Waits {
    core: Arc<Core>,
    /// So that those who wait have bounded memory.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

impl Waits {
    /// From here on nobody who appends later overtakes.
    pub(crate) fn new(core: Arc<Core>) -> Waits {
        core.queued.fetch_add(1, SeqCst);
        Waits { core, room: None }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.core.queued.fetch_sub(1, SeqCst);
    }
}

/// The desk, which one at a time has.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) pen: Pen,
    /// Whether the ledger on the disk allows for appending. It does not if it says that the journal is closed.
    pub(crate) ready: bool,
}

impl Desk {
    pub(crate) fn new(pen: Pen) -> Desk {
        Desk { pen, ready: false }
    }

    /// Writes records, as many as may go together, and returns when they are on the disk if they have to be.
    pub(crate) fn put(&mut self, core: &Core, records: Vec<Record>, now: Now) -> Result<Vec<Position>, Failure> {
        let (start, salt) = (self.pen.length, self.pen.volume().salt);
        let durable = records.iter().any(|record| record.class.durable);
        let size = records.iter().map(codec::size).sum();
        let (mut bytes, mut entries) = (Vec::with_capacity(size), Vec::with_capacity(records.len()));
        let mut position = core.lock().shelf.next;
        for record in records {
            let entry = Arc::new(Entry { position, second: now.second, record });
            entries.push((start + bytes.len() as u64, entry.clone()));
            codec::encode(&entry, salt, &mut bytes);
            position = position.next();
        }
        self.pen.append(core, &bytes, durable)?;
        Ok(publish(core, entries))
    }

    /// Writes records that need no sync, if nothing is in the way; else gives them back.
    pub(crate) fn put_now(&mut self, core: &Core, records: Vec<Record>, now: Now) -> Result<Answers, Vec<Record>> {
        let state = core.lock();
        if !self.may_put_now(&state.shelf, &records, now) {
            return Err(records);
        }
        let (verdicts, fresh) = judge(records, &state.shelf);
        drop(state);
        let stored = match fresh.len() {
            0 => Vec::new(),
            count => match self.put(core, fresh, now) {
                Ok(positions) => positions.into_iter().map(Ok).collect(),
                Err(why) => vec![Err(why); count],
            },
        };
        Ok(answers(verdicts, &stored))
    }

    fn may_put_now(&self, shelf: &Shelf, records: &[Record], now: Now) -> bool {
        let size = records.iter().map(codec::size).sum::<usize>() as u64;
        self.ready
            && !self.pen.spoilt
            && self.pen.volume.is_some()
            && size <= shelf.bounds.record()
            && records.iter().all(|record| !record.class.durable)
            && !shelf.is_over()
            && shelf.segments.last().is_some_and(|open| !shelf.is_full(open, size, now))
    }
}

fn publish(core: &Core, entries: Vec<(u64, Arc<Entry>)>) -> Vec<Position> {
    let positions = entries.iter().map(|(_, entry)| entry.position).collect();
    let mut state = core.lock();
    state.unwritten = true;
    entries.into_iter().for_each(|(at, entry)| state.shelf.append(entry, at));
    let end = state.shelf.next;
    drop(state);
    core.end.send_replace(end);
    positions
}

/// Returns when everything that was written before is on the disk. Others may write meanwhile.
pub(crate) fn sync_apart(core: &Core, desk: &Mutex<Desk>) -> Result<(), Failure> {
    let lock = || desk.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(medium) = lock().pen.begin_sync(core)? else { return Ok(()) };
    let synced = medium.sync();
    lock().pen.end_sync(core, synced)
}
