//! The one thread that writes. Whoever appends leaves an order and waits; the orders that came together go to the disk
//! together, and one sync serves them all.

use super::batch::{Appended, Verdict, judge};
use super::books::Books;
use super::codec;
use super::core::{Core, name};
use super::failure::Failure;
use super::pen::Pen;
use super::record::{Entry, Position, Record};
use super::rewrite::{Take, rewrite};
use super::shelf::{Now, Tidy};
use protocol::Instant;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Acknowledgements of so long are written together. So much a consumer may get again after a crash.
const LEDGER_DELAY: Duration = Duration::from_secs(1);
/// After the disk has refused the ledger.
const LEDGER_RETRY: Duration = Duration::from_secs(5);
/// Records grow old while nothing is appended, too.
const ROUND: Duration = Duration::from_secs(60);
/// No batch waits longer for those who may come.
const PATIENCE: Duration = Duration::from_millis(2);
/// So many records go to the disk together at most.
const BATCH: usize = 4096;

/// The answers to the records of one order.
pub(crate) type Answers = Vec<Result<Appended, Failure>>;

/// What the writer is asked for.
#[derive(Debug)]
pub(crate) enum Order {
    Append(Append),
    /// The ledger is to be written soon.
    Note,
    /// Everything is to be on the disk when this is answered.
    Settle(oneshot::Sender<Result<(), Failure>>),
    Close,
    /// As a crash would.
    #[cfg(test)]
    Abandon,
}

/// Records that go into the journal together, in this order.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) records: Vec<Record>,
    pub(crate) answer: oneshot::Sender<Answers>,
    /// Given back with the answer, so that those who wait have bounded memory.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// The thread's own.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    pub(crate) orders: Receiver<Order>,
    pub(crate) pen: Pen,
    pub(crate) books: Books,
    /// An order that was taken and not yet served.
    next: Option<Order>,
    ledger_due: Option<Instant>,
    /// So many records were in the last batch.
    usual: usize,
    /// So long the disk took for it.
    took: Duration,
    /// The disk refused to be tidied; no second try before it took something.
    refused: bool,
}

/// What is to be done now.
enum Turn {
    Serve(Order),
    Idle,
    End,
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>, orders: Receiver<Order>, pen: Pen, books: Books) -> Writer {
        Writer {
            core,
            orders,
            pen,
            books,
            next: None,
            ledger_due: None,
            usual: 0,
            took: Duration::ZERO,
            refused: false,
        }
    }

    /// Writes until the journal is closed.
    pub(crate) fn run(mut self) {
        self.retire();
        loop {
            match self.turn() {
                Turn::Serve(Order::Append(append)) => self.append(append),
                Turn::Serve(Order::Note) => {
                    self.ledger_due = self.ledger_due.or(Some(self.core.instant() + LEDGER_DELAY))
                }
                Turn::Serve(Order::Settle(answer)) => {
                    let _ = answer.send(self.write_books(false));
                }
                #[cfg(test)]
                Turn::Serve(Order::Abandon) => return,
                Turn::Serve(Order::Close) | Turn::End => return self.close(),
                Turn::Idle => self.idle(),
            }
        }
    }

    /// The ledger goes first, when its time has come; then orders, then tidying, as long as the disk has not run over.
    fn turn(&mut self) -> Turn {
        if self.ledger_due.is_some_and(|due| due <= self.core.instant()) {
            self.write_ledger();
        }
        match self.next.take().map_or_else(|| self.orders.try_recv(), Ok) {
            Ok(order) => Turn::Serve(order),
            Err(TryRecvError::Disconnected) => Turn::End,
            Err(TryRecvError::Empty) if self.has_to_tidy() => Turn::Idle,
            Err(TryRecvError::Empty) => self.wait(),
        }
    }

    fn wait(&mut self) -> Turn {
        let due = self.ledger_due.map_or(ROUND, |due| due.since(self.core.instant()));
        match self.orders.recv_timeout(due.min(ROUND)) {
            Ok(order) => Turn::Serve(order),
            Err(RecvTimeoutError::Timeout) => Turn::Idle,
            Err(RecvTimeoutError::Disconnected) => Turn::End,
        }
    }

    fn idle(&mut self) {
        self.retire();
        if self.has_to_tidy() {
            self.refused = self.tidy().is_err();
        }
    }

    fn write_ledger(&mut self) {
        let written = self.write_books(false);
        self.ledger_due = written.is_err().then(|| self.core.instant() + LEDGER_RETRY);
    }

    fn close(mut self) {
        // Whoever drops a journal cannot be told; what is missing then is a cursor's last second.
        let _ = self.write_books(true);
    }

    fn write_books(&mut self, closed: bool) -> Result<(), Failure> {
        self.heal()?;
        self.books.write(&self.core, &mut self.pen, closed)
    }

    /// Takes along what was appended meanwhile, and what those are about to append who have just got their answers:
    /// else the first of them would have a sync for himself, and the others would wait for two.
    fn append(&mut self, first: Append) {
        let most = self.core.lock().shelf.bounds.record() as usize;
        let (mut bytes, mut count) = weigh(&first);
        let mut appends = vec![first];
        let patience = self.core.instant() + (self.took / 4).min(PATIENCE);
        while bytes < most && count < BATCH {
            let left = if count < self.usual { patience.since(self.core.instant()) } else { Duration::ZERO };
            match self.orders.try_recv().or_else(|_| self.orders.recv_timeout(left)) {
                Ok(Order::Append(append)) => {
                    let more = weigh(&append);
                    (bytes, count) = (bytes + more.0, count + more.1);
                    appends.push(append);
                }
                Ok(order) => {
                    self.next = Some(order);
                    break;
                }
                Err(_) => break,
            }
        }
        let start = self.core.instant();
        self.serve(appends);
        (self.usual, self.took) = (count, self.core.instant().since(start));
    }

    fn serve(&mut self, appends: Vec<Append>) {
        let mut waiting = Vec::with_capacity(appends.len());
        let mut records = Vec::new();
        for Append { records: mut own, answer, _room } in appends {
            waiting.push((own.len(), answer, _room));
            records.append(&mut own);
        }
        let mut answers = self.store(records).into_iter();
        self.retire();
        for (count, answer, _room) in waiting {
            // Whoever does not wait any more does not want to know.
            let _ = answer.send(answers.by_ref().take(count).collect());
        }
    }

    fn store(&mut self, records: Vec<Record>) -> Answers {
        if let Err(why) = self.heal() {
            return records.iter().map(|_| Err(why.clone())).collect();
        }
        let (verdicts, fresh) = judge(records, &self.core.lock().shelf);
        let stored = self.put_all(fresh);
        let answer = |verdict| match verdict {
            Verdict::Done(answer) => answer,
            Verdict::Fresh(n) => stored[n].clone().map(Appended::Stored),
            Verdict::Twin(n) => stored[n].clone().map(|position| Appended::Already(Some(position))),
        };
        verdicts.into_iter().map(answer).collect()
    }

    /// Puts records on the disk, as many at a time as may be; after one refusal the rest is refused as well.
    fn put_all(&mut self, fresh: Vec<Record>) -> Vec<Result<Position, Failure>> {
        let most = self.core.lock().shelf.bounds.record() as usize;
        let (count, mut stored) = (fresh.len(), Vec::with_capacity(fresh.len()));
        let mut rest = fresh.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut part, mut bytes) = (Vec::new(), 0);
            while let Some(record) = rest.next_if(|record| part.is_empty() || bytes + codec::size(record) <= most) {
                bytes += codec::size(&record);
                part.push(record);
            }
            match self.put(part, bytes as u64) {
                Ok(positions) => stored.extend(positions.into_iter().map(Ok)),
                Err(why) => stored.resize(count, Err(why)),
            }
            if stored.len() == count {
                break;
            }
        }
        stored
    }

    fn put(&mut self, records: Vec<Record>, size: u64) -> Result<Vec<Position>, Failure> {
        let now = self.core.now();
        self.make_ready(size, now)?;
        let (start, salt) = (self.pen.length, self.pen.volume().salt);
        let durable = records.iter().any(|record| record.class.durable);
        let (mut bytes, mut entries) = (Vec::with_capacity(size as usize), Vec::with_capacity(records.len()));
        let mut position = self.core.lock().shelf.next;
        for record in records {
            let entry = Arc::new(Entry { position, second: now.second, record });
            entries.push((start + bytes.len() as u64, entry.clone()));
            codec::encode(&entry, salt, &mut bytes);
            position = position.next();
        }
        self.pen.append(&self.core, &bytes, durable)?;
        Ok(self.publish(entries))
    }

    fn publish(&mut self, entries: Vec<(u64, Arc<Entry>)>) -> Vec<Position> {
        self.refused = false;
        let positions = entries.iter().map(|(_, entry)| entry.position).collect();
        let mut state = self.core.lock();
        state.unwritten = true;
        entries.into_iter().for_each(|(at, entry)| state.shelf.append(entry, at));
        let end = state.shelf.next;
        drop(state);
        self.core.end.send_replace(end);
        positions
    }

    /// A file with room for so many bytes, on a disk where the journal takes no more than it may, and no ledger that
    /// says nothing was appended.
    fn make_ready(&mut self, size: u64, now: Now) -> Result<(), Failure> {
        while self.core.lock().shelf.is_over() && self.tidy()? {}
        if self.books.closed {
            self.write_books(false)?;
        }
        if self.pen.is_full(&self.core, size, now) { self.pen.turn(&self.core) } else { Ok(()) }
    }

    /// If the open segment is spoilt, what it holds is written anew.
    fn heal(&mut self) -> Result<(), Failure> {
        if !self.pen.spoilt {
            return Ok(());
        }
        let last = self.core.lock().shelf.segments.len() - 1;
        let volume = rewrite(&self.core, last..last + 1, Take::All)?;
        let length = self.core.lock().shelf.segments[last].bytes;
        self.pen = Pen::at(volume, self.pen.first, length);
        Ok(())
    }

    fn retire(&mut self) {
        let now = self.core.now();
        let dropped = self.core.lock().shelf.retire(now);
        self.core.tell_dropped(dropped);
    }

    fn has_to_tidy(&self) -> bool {
        !self.refused && self.core.lock().shelf.tidy().is_some()
    }

    /// One step, if there is one. The ledger goes first: what is known from a record only must outlive it.
    fn tidy(&mut self) -> Result<bool, Failure> {
        let Some(step) = self.core.lock().shelf.tidy() else { return Ok(false) };
        if self.core.lock().unwritten {
            self.write_books(false)?;
        }
        match step {
            Tidy::Remove(segment) => self.remove(segment)?,
            Tidy::Rewrite(segments) => drop(rewrite(&self.core, segments, Take::Living)?),
        }
        Ok(true)
    }

    fn remove(&mut self, segment: usize) -> Result<(), Failure> {
        let first = self.core.lock().shelf.segments[segment].first;
        self.core.store.remove(&name(first)).map_err(|why| self.core.refused(&name(first), why))?;
        let mut state = self.core.lock();
        state.shelf.segments.remove(segment);
        state.volumes.remove(&first);
        Ok(())
    }
}

/// Bytes and number of the records of an order.
fn weigh(append: &Append) -> (usize, usize) {
    (append.records.iter().map(codec::size).sum(), append.records.len())
}
