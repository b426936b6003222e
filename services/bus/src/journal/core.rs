//! What the writer and the readers of a journal share. The lock is held for moments only, never over the disk.

use super::clock::Clock;
use super::failure::Failure;
use super::notice::{self, Damage, Dropped, Gap, Notice, What};
use super::reader::Handful;
use super::record::Position;
use super::scan::Survey;
use super::shelf::{Now, Shelf};
use super::store::{Medium, Store};
use protocol::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// A segment file that is open.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub(crate) medium: Arc<dyn Medium>,
    pub(crate) salt: u32,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) shelf: Shelf,
    /// The file of each segment on the shelf, by its first position.
    pub(crate) volumes: BTreeMap<Position, Volume>,
    pub(crate) notices: Vec<Notice>,
    /// The damage that was told of.
    pub(crate) known: BTreeSet<(PathBuf, u64)>,
    /// What the last reading from memory found.
    pub(crate) seen: Option<Handful>,
    /// Whether the ledger on the disk is out of date.
    pub(crate) unwritten: bool,
    /// Whether the writer knows that it is to be written soon.
    pub(crate) asked: bool,
}

/// So many places of damage are told of; a disk with more of them has been told often enough.
const MAX_DAMAGED: usize = 1024;

impl State {
    /// Tells of damage once.
    fn damaged(&mut self, file: PathBuf, offset: u64, size: usize) -> bool {
        if self.known.len() >= MAX_DAMAGED || !self.known.insert((file.clone(), offset)) {
            return false;
        }
        let what = What::Record { bytes: size as u64 };
        notice::add(&mut self.notices, Notice::Damaged(Damage { file, offset, what }));
        true
    }
}

/// What is shared.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) end: watch::Sender<Position>,
    pub(crate) told: watch::Sender<u64>,
    /// So many appends wait for the thread that writes.
    pub(crate) queued: AtomicUsize,
    state: Mutex<State>,
    clock: Clock,
    opened: Instant,
    /// Seconds that journals at this place had been open before this one.
    base: u32,
}

impl Core {
    pub(crate) fn new(store: Arc<dyn Store>, state: State, clock: Clock, base: u32) -> Core {
        let (end, opened) = (watch::Sender::new(state.shelf.next), clock.read().instant);
        let (told, queued) = (watch::Sender::new(0), AtomicUsize::new(0));
        Core { store, end, told, queued, state: Mutex::new(state), clock, opened, base }
    }

    /// What is behind the lock is changed in steps that each leave it whole, so one that is poisoned is as good as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn instant(&self) -> Instant {
        self.clock.read().instant
    }

    pub(crate) fn now(&self) -> Now {
        let moment = self.clock.read();
        let open = u32::try_from(moment.instant.since(self.opened).as_secs()).unwrap_or(u32::MAX);
        Now { second: self.base.saturating_add(open), unix: moment.unix }
    }

    /// Lets go what is too much, too old or expired; whether something was lost by it.
    pub(crate) fn retire(&self, now: Now) -> bool {
        let dropped = self.lock().shelf.retire(now);
        let lost = !dropped.is_empty();
        if lost {
            self.tell_dropped(dropped);
        }
        lost
    }

    fn tell_dropped(&self, dropped: Vec<Dropped>) {
        let mut state = self.lock();
        (state.unwritten, state.seen) = (true, None);
        dropped.into_iter().for_each(|dropped| notice::add(&mut state.notices, Notice::Dropped(dropped)));
        drop(state);
        self.told.send_modify(|count| *count += 1);
    }

    /// Tells what is damaged in a segment, from byte `offset` on, and remembers the gap. `last` is known to have been
    /// in what was looked at, if anything is.
    pub(crate) fn tell_survey(&self, first: Position, offset: u64, survey: &Survey, last: Option<Position>) {
        let mut state = self.lock();
        let mut news = false;
        for &(at, size) in &survey.damaged {
            news |= state.damaged(self.store.path(&name(first)), offset + at as u64, size);
        }
        survey.gaps.iter().for_each(|&gap| state.shelf.damaged(gap));
        if let (Some(at), Some(last)) = (survey.torn, last) {
            news |= state.damaged(self.store.path(&name(first)), offset + at as u64, 0);
            let from = survey.last().unwrap_or(first).next();
            state.shelf.damaged(Gap { from, to: last });
        }
        drop(state);
        if news {
            self.told.send_modify(|count| *count += 1);
        }
    }

    pub(crate) fn refused(&self, name: &str, why: io::Error) -> Failure {
        Failure::disk(self.store.path(name).display().to_string(), why)
    }
}

/// The name of the segment whose first position this is.
pub(crate) fn name(first: Position) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The first position in the segment of this name, if it is one.
pub(crate) fn first(name: &str) -> Option<Position> {
    name.strip_suffix(SUFFIX).filter(|digits| digits.len() == 20)?.parse().ok().map(Position)
}

const SUFFIX: &str = ".records";
