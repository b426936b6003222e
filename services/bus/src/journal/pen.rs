//! The open segment: appends to it, makes sure that it is on the disk, and begins the next one.
//!
//! What always holds: nothing counts as written until the disk has said so. A sync that failed says nothing about what
//! was written before it either, as Linux forgets which pages it could not write. So from then on the file is spoilt:
//! what it holds is written anew to another file before anything else.

use super::codec::{PREFACE, Preface};
use super::core::{Core, Volume, name};
use super::failure::Failure;
use super::record::Position;
use super::shelf::{Now, Segment};
use super::store::{Medium, place};
use std::io;
use std::sync::Arc;

/// What the writer writes with.
#[derive(Debug, Default)]
pub(crate) struct Pen {
    pub(crate) volume: Option<Volume>,
    pub(crate) first: Position,
    /// Here the next record goes.
    pub(crate) length: u64,
    /// Whether there are bytes of which the disk has not said that it has them.
    pub(crate) unsynced: bool,
    pub(crate) spoilt: bool,
}

impl Pen {
    /// Goes on in a file.
    pub(crate) fn at(volume: Volume, first: Position, length: u64) -> Pen {
        Pen { volume: Some(volume), first, length, unsynced: false, spoilt: false }
    }

    /// Appends, and returns when the bytes are on the disk if they have to be.
    pub(crate) fn append(&mut self, core: &Core, bytes: &[u8], durable: bool) -> Result<(), Failure> {
        let medium = self.medium().clone();
        // A part may be there even if it says no, and so may be that it was cut off.
        self.unsynced = true;
        if let Err(why) = medium.write_at(self.length, bytes) {
            self.spoilt = medium.cut(self.length).is_err();
            return Err(core.refused(&name(self.first), why));
        }
        if durable {
            self.sync(core)?;
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Returns when all that was appended is on the disk.
    pub(crate) fn sync(&mut self, core: &Core) -> Result<(), Failure> {
        let Some(medium) = self.begin_sync(core)? else { return Ok(()) };
        self.end_sync(core, medium.sync())
    }

    /// What has to be synced, if anything; what is appended from here on is left to the next sync.
    pub(crate) fn begin_sync(&mut self, core: &Core) -> Result<Option<Arc<dyn Medium>>, Failure> {
        if self.spoilt {
            let why = io::Error::other("a part of it could not be written");
            return Err(core.refused(&name(self.first), why));
        }
        let unsynced = std::mem::take(&mut self.unsynced) && self.volume.is_some();
        Ok(unsynced.then(|| self.medium().clone()))
    }

    /// What the disk said to that.
    pub(crate) fn end_sync(&mut self, core: &Core, synced: io::Result<()>) -> Result<(), Failure> {
        self.spoilt |= synced.is_err();
        synced.map_err(|why| core.refused(&name(self.first), why))
    }

    /// Whether another segment has to be begun before so many bytes are appended.
    pub(crate) fn is_full(&self, core: &Core, more: u64, now: Now) -> bool {
        let state = core.lock();
        let open = state.shelf.segments.last().filter(|_| self.volume.is_some());
        open.is_none_or(|open| state.shelf.is_full(open, more, now))
    }

    /// Begins the next segment.
    pub(crate) fn turn(&mut self, core: &Core) -> Result<(), Failure> {
        self.sync(core)?;
        let first = core.lock().shelf.next;
        let preface = Preface { salt: fastrand::u32(..), first, until: Position::START };
        let medium = place(&*core.store, &name(first), &preface.encode());
        let medium = medium.and_then(|medium| core.store.sync().map(|()| medium));
        let medium = medium.map_err(|why| core.refused(&name(first), why))?;
        let volume = Volume { medium, salt: preface.salt };
        let mut state = core.lock();
        // A segment without a record has the name of the next one, and was just begun anew.
        if state.shelf.segments.last().is_some_and(|segment| segment.first == first) {
            state.shelf.segments.pop();
        }
        state.shelf.segments.push(Segment::new(first, Position::START));
        state.volumes.insert(first, volume.clone());
        *self = Pen::at(volume, first, PREFACE as u64);
        Ok(())
    }

    pub(crate) fn volume(&self) -> &Volume {
        self.volume.as_ref().expect("a segment was begun")
    }

    fn medium(&self) -> &Arc<dyn Medium> {
        &self.volume().medium
    }
}
