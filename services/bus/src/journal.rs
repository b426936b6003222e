//! A durable journal: records go in at the end, consumers take them from the front, a bound decides what goes when
//! there is too much. It is the outbox of every agent, so a record that was acknowledged survives `kill -9` and, if its
//! class is durable, a power cut.
//!
//! ```
//! use bus::journal::{Bounds, Class, Clock, Journal, Keep, Key, Place, Record, Start, wait};
//! use protocol::{Epoch, HostName};
//!
//! let (journal, damage) = Journal::open(Place::Memory, Bounds::in_memory(), Clock::system())?;
//! assert!(damage.is_empty());
//! journal.register("hooks", Start::Earliest)?;
//! let key = Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(1), sequence: 1 };
//! let class = Class { keep: Keep::All, durable: true };
//! wait(journal.append(Record { key, class, subject: "backup/done".into(), expires: None, body: b"{}".into() }))?;
//! let batch = journal.take("hooks", &|_| true, 4096)?;
//! journal.acknowledge("hooks", batch.entries[0].position)?;
//! # Ok::<(), bus::journal::Failure>(())
//! ```
//!
//! | module | what it settles |
//! |---|---|
//! | [`record`], [`bounds`], [`notice`], [`failure`] | the vocabulary: what is kept, how much, what is told, what can fail |
//! | [`codec`], [`scan`], `ledger` | the bytes on the disk, and how they are read when some are damaged. Pure |
//! | `shelf`, `sources`, `runs`, `cursor` | what is alive, what goes, what was here already, who is how far. Pure |
//! | `store` | the few things that are wanted of a disk: a directory, or memory |
//! | `open`, `pen`, `books`, `rewrite` | open what is there, append, keep the ledger, make room |
//! | `desk`, `batch` | how records are written, and what becomes of those of a batch |
//! | `writer` | the one thread that syncs, keeps the ledger and tidies |
//! | `reader`, `consumers` | reading, which waits for nobody, and reading with a cursor |
//!
//! On the disk: `N.records`, segments named by their first position; `ledger.0` and `ledger.1`, cursors and what else
//! records do not say; `lock`. What ends in `.aside-N` was put aside and is never touched again.

mod batch;
mod books;
pub mod bounds;
pub mod clock;
pub mod codec;
mod consumers;
mod core;
mod cursor;
mod desk;
pub mod failure;
mod ledger;
pub mod notice;
mod open;
mod pen;
mod reader;
pub mod record;
mod rewrite;
mod runs;
pub mod scan;
mod shelf;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod wait;
mod writer;

use batch::Answers;
pub use batch::Appended;
pub use bounds::{Bound, Bounds};
pub use clock::{Clock, Moment};
pub use consumers::{MAX_CONSUMERS, MAX_NAME, Standing, Start};
pub use cursor::WINDOW;
pub use failure::Failure;
pub use notice::{Bounded, Damage, Dropped, Gap, MAX_UNREAD, Notice, What};
pub use reader::Batch;
pub use record::{Class, Entry, Keep, Key, Position, Record};
pub use wait::wait;

use desk::{Desk, Waits};
use open::Opened;
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use store::{Disk, Ram, Store};
use tokio::sync::{Semaphore, oneshot, watch};
use writer::{Append, Order, Writer};

/// Bytes of records that wait to be written; whoever appends more waits until there is room.
pub const QUEUE: u32 = 8 * 1024 * 1024;

/// Where the records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In this directory, which is made if need be and belongs to one journal at a time.
    Directory(PathBuf),
    /// In memory, until the process ends: for machines whose disk is not to be written to.
    Memory,
}

/// How full the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Bytes of the segments.
    pub bytes: u64,
    /// So many they are at most.
    pub most: u64,
    /// Segments.
    pub segments: usize,
    /// Records that were dropped because of a bound since the journal was begun, in the order of [`Keep::EACH`].
    pub dropped: [u64; 3],
}

/// An open journal. It closes when it is dropped, which waits for the disk.
#[derive(Debug)]
pub struct Journal {
    core: Arc<core::Core>,
    orders: Sender<Order>,
    desk: Arc<Mutex<Desk>>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens the journal at a place, and says what is damaged there.
    ///
    /// # Errors
    /// Another process has it, the place cannot be used, the disk refuses, or the bounds cannot be held.
    pub fn open(place: Place, bounds: Bounds, clock: Clock) -> Result<(Journal, Vec<Damage>), Failure> {
        bounds.check()?;
        match place {
            Place::Directory(path) => Journal::on(Arc::new(Disk::take(&path)?), bounds, clock),
            Place::Memory => Journal::on(Arc::new(Ram::default()), bounds, clock),
        }
    }

    fn on(store: Arc<dyn Store>, bounds: Bounds, clock: Clock) -> Result<(Journal, Vec<Damage>), Failure> {
        let Opened { core, pen, books, damage } = open::open(store, bounds, clock)?;
        let (core, desk, (orders, queue)) = (Arc::new(core), Arc::new(Mutex::new(Desk::new(pen))), channel());
        let writer = Writer::new(core.clone(), queue, desk.clone(), books);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run());
        let writer = Some(thread.map_err(|why| Failure::disk("the thread of the journal", why))?);
        Ok((Journal { core, orders, desk, room: Arc::new(Semaphore::new(QUEUE as usize)), writer }, damage))
    }

    /// Appends a record; it is kept when this returns. If the caller does not wait for that, it may be kept or not.
    ///
    /// A record whose key was here before is not kept twice. Keys are remembered longer than records, as far as the
    /// bounds of `sources.rs` go: of the last 1024 runs of programs, with 512 holes in the numbers of each.
    ///
    /// # Errors
    /// The disk refused (temporary) or the record is none that could be kept; then it is not in the journal.
    pub async fn append(&self, record: Record) -> Result<Appended, Failure> {
        let answers = self.append_all(vec![record]).await?;
        answers.into_iter().next().unwrap_or(Err(Failure::Closed))
    }

    /// Appends records in their order, with an answer for each. Records that need not be on the disk are mostly written
    /// by whoever polls this.
    ///
    /// # Errors
    /// The journal is closed.
    pub async fn append_all(&self, records: Vec<Record>) -> Result<Vec<Result<Appended, Failure>>, Failure> {
        let records = match self.append_now(records) {
            Ok(answers) => return Ok(answers),
            Err(records) => records,
        };
        let mut waits = Waits::new(self.core.clone());
        let (answer, answered) = oneshot::channel::<Answers>();
        let bytes: usize = records.iter().map(codec::size).sum();
        let permits = u32::try_from(bytes).unwrap_or(QUEUE).min(QUEUE);
        waits.room = Some(self.room.clone().acquire_many_owned(permits).await.map_err(|_| Failure::Closed)?);
        self.order(Order::Append(Append { records, answer, waits }))?;
        answered.await.map_err(|_| Failure::Closed)
    }

    /// Appends records on this thread, if nothing is in the way; else gives them back.
    fn append_now(&self, records: Vec<Record>) -> Result<Answers, Vec<Record>> {
        if self.core.queued.load(SeqCst) > 0 {
            return Err(records);
        }
        let Ok(mut desk) = self.desk.try_lock() else { return Err(records) };
        let now = self.core.now();
        let answers = desk.put_now(&self.core, records, now)?;
        if self.core.retire(now) {
            // There may be something to tidy.
            let _ = self.order(Order::Note);
        }
        Ok(answers)
    }

    /// Returns when records of every class and all acknowledgements are on the disk.
    ///
    /// # Errors
    /// The disk refused.
    pub async fn settle(&self) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Settle(answer))?;
        answered.await.map_err(|_| Failure::Closed)?
    }

    /// Reads from a position on: what is `wanted`, up to `most` bytes of records, at least one if there is one. What
    /// was appended lately costs no reading from the disk; of older records about 1 MiB is looked through at a time.
    ///
    /// # Errors
    /// The disk refused.
    pub fn read(&self, from: Position, wanted: &dyn Fn(&Entry) -> bool, most: usize) -> Result<Batch, Failure> {
        self.core.read(from, wanted, most)
    }

    /// The newest record of each subject that is `wanted` and of which the last word counts, in their order.
    ///
    /// If a newer one of a subject is appended meanwhile, that subject may be missing; the newer record is then behind
    /// where the journal ended before.
    ///
    /// # Errors
    /// The disk refused.
    pub fn latest(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<Arc<Entry>>, Failure> {
        self.core.latest(wanted)
    }

    /// How long ago a record was appended, in time that the journal was open, in seconds.
    pub fn age(&self, entry: &Entry) -> u64 {
        u64::from(self.core.now().second.saturating_sub(entry.second))
    }

    /// Seconds that journals at this place have been open: the time that ages are counted in.
    pub fn second(&self) -> u32 {
        self.core.now().second
    }

    /// Where the newest records begin, of which there are at least so many bytes. Positions do not tell: after a crash they
    /// go on far behind.
    pub fn tail(&self, bytes: u64) -> Position {
        self.core.lock().shelf.tail(bytes)
    }

    /// The position of the next record.
    pub fn next(&self) -> Position {
        *self.core.end.borrow()
    }

    /// The same, for whoever waits until there are new ones to be read.
    pub fn end(&self) -> watch::Receiver<Position> {
        self.core.end.subscribe()
    }

    /// How full it is.
    pub fn fill(&self) -> Fill {
        let shelf = &self.core.lock().shelf;
        let (bytes, most) = (shelf.bytes(), shelf.bounds.disk());
        Fill { bytes, most, segments: shelf.segments.len(), dropped: shelf.past.counts }
    }

    /// What was dropped or found damaged since the last call.
    pub fn notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.core.lock().notices)
    }

    /// Changes when there are notices.
    pub fn told(&self) -> watch::Receiver<u64> {
        self.core.told.subscribe()
    }

    fn order(&self, order: Order) -> Result<(), Failure> {
        self.orders.send(order).map_err(|_| Failure::Closed)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let _ = self.order(Order::Close);
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}
