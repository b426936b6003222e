//! The one thread that writes what has to be on the disk. Whoever appends leaves an order and waits; the orders that
//! came together go to the disk together, and one sync serves them all. The thread also keeps the ledger and tidies.

use super::batch::{Answers, answers, judge};
use super::books::Books;
use super::codec;
use super::core::{Core, name};
use super::desk::{Desk, Waits, sync_apart};
use super::failure::Failure;
use super::pen::Pen;
use super::record::{Position, Record};
use super::rewrite::{Take, rewrite};
use super::shelf::Tidy;
use protocol::Instant;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

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
/// Tidying waits for a pause of so long, unless room is short.
const PAUSE: Duration = Duration::from_millis(1);

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
    /// Ends before the answer.
    pub(crate) waits: Waits,
}

/// The thread's own.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    pub(crate) orders: Receiver<Order>,
    pub(crate) desk: Arc<Mutex<Desk>>,
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
    pub(crate) fn new(core: Arc<Core>, orders: Receiver<Order>, desk: Arc<Mutex<Desk>>, books: Books) -> Writer {
        Writer {
            core,
            orders,
            desk,
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
        self.core.retire(self.core.now());
        loop {
            match self.turn() {
                Turn::Serve(Order::Append(append)) => self.append(append),
                Turn::Serve(Order::Note) => {
                    self.ledger_due = self.ledger_due.or(Some(self.core.instant() + LEDGER_DELAY))
                }
                Turn::Serve(Order::Settle(answer)) => self.settle(answer),
                #[cfg(test)]
                Turn::Serve(Order::Abandon) => return,
                Turn::Serve(Order::Close) | Turn::End => return self.close(),
                Turn::Idle => self.idle(),
            }
        }
    }

    /// Thousands of followers come at the same time when a server starts, and each waits for his cursor: one writing
    /// serves all who are here.
    fn settle(&mut self, first: oneshot::Sender<Result<(), Failure>>) {
        let mut waiting = vec![first];
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Settle(answer) => waiting.push(answer),
                order => {
                    self.next = Some(order);
                    break;
                }
            }
        }
        let written = self.write_books(false);
        for answer in waiting {
            let _ = answer.send(written.clone());
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
            Err(TryRecvError::Empty) if self.has_to_tidy() => self.wait(PAUSE),
            Err(TryRecvError::Empty) => self.wait(ROUND),
        }
    }

    fn wait(&mut self, most: Duration) -> Turn {
        let due = self.ledger_due.map_or(most, |due| due.since(self.core.instant()));
        match self.orders.recv_timeout(due.min(most)) {
            Ok(order) => Turn::Serve(order),
            Err(RecvTimeoutError::Timeout) => Turn::Idle,
            Err(RecvTimeoutError::Disconnected) => Turn::End,
        }
    }

    fn idle(&mut self) {
        self.core.retire(self.core.now());
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

    /// Others may write records meanwhile.
    fn write_books(&mut self, closed: bool) -> Result<(), Failure> {
        let desk = self.desk.clone();
        heal(&self.core, &mut locked(&desk))?;
        self.books.write(&self.core, || sync_apart(&self.core, &desk), closed)
    }

    /// The same for whoever has the desk.
    fn write_books_at(&mut self, desk: &mut Desk) -> Result<(), Failure> {
        self.books.write(&self.core, || desk.pen.sync(&self.core), false)
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
        for Append { records: mut own, answer, waits } in appends {
            waiting.push((own.len(), answer, waits));
            records.append(&mut own);
        }
        let mut answers = self.store(records).into_iter();
        for (count, answer, waits) in waiting {
            drop(waits);
            // Whoever does not wait any more does not want to know.
            let _ = answer.send(answers.by_ref().take(count).collect());
        }
    }

    fn store(&mut self, records: Vec<Record>) -> Answers {
        let desk = self.desk.clone();
        let mut desk = locked(&desk);
        if let Err(why) = heal(&self.core, &mut desk) {
            return records.iter().map(|_| Err(why.clone())).collect();
        }
        let (verdicts, fresh) = judge(records, &self.core.lock().shelf);
        let stored = self.put_all(&mut desk, fresh);
        self.core.retire(self.core.now());
        answers(verdicts, &stored)
    }

    /// Puts records on the disk, as many at a time as may be; after one refusal the rest is refused as well.
    fn put_all(&mut self, desk: &mut Desk, fresh: Vec<Record>) -> Vec<Result<Position, Failure>> {
        let most = self.core.lock().shelf.bounds.record() as usize;
        let (count, mut stored) = (fresh.len(), Vec::with_capacity(fresh.len()));
        let mut rest = fresh.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut part, mut bytes) = (Vec::new(), 0);
            while let Some(record) = rest.next_if(|record| part.is_empty() || bytes + codec::size(record) <= most) {
                bytes += codec::size(&record);
                part.push(record);
            }
            match self.make_ready(desk, bytes as u64).and_then(|()| desk.put(&self.core, part, self.core.now())) {
                Ok(positions) => stored.extend(positions.into_iter().map(Ok)),
                Err(why) => stored.resize(count, Err(why)),
            }
            if stored.len() == count {
                break;
            }
        }
        self.refused &= stored.iter().all(Result::is_err);
        stored
    }

    /// A file with room for so many bytes, on a disk where the journal takes no more than it may, and no ledger that
    /// says nothing was appended.
    fn make_ready(&mut self, desk: &mut Desk, size: u64) -> Result<(), Failure> {
        while self.core.lock().shelf.is_over() && self.make_room(desk)? {}
        if self.books.closed {
            self.write_books_at(desk)?;
        }
        if desk.pen.is_full(&self.core, size, self.core.now()) {
            desk.pen.turn(&self.core)?;
        }
        desk.ready = true;
        Ok(())
    }

    fn has_to_tidy(&self) -> bool {
        !self.refused && self.core.lock().shelf.tidy().is_some()
    }

    /// One step, if there is one. Records may be written while segments are removed, but not while some are rewritten:
    /// a record that went meanwhile would be counted among the living ones.
    fn tidy(&mut self) -> Result<bool, Failure> {
        let step = self.core.lock().shelf.tidy();
        match step {
            None => Ok(false),
            Some(Tidy::Rewrite(_)) => {
                let desk = self.desk.clone();
                self.make_room(&mut locked(&desk))
            }
            Some(Tidy::Remove(segments)) => {
                if self.core.lock().unwritten {
                    self.write_books(false)?;
                }
                self.remove(&segments).map(|()| true)
            }
        }
    }

    /// One step for whoever has the desk. The ledger goes first: what is known from a record only must outlive it.
    fn make_room(&mut self, desk: &mut Desk) -> Result<bool, Failure> {
        let Some(step) = self.core.lock().shelf.tidy() else { return Ok(false) };
        heal(&self.core, desk)?;
        if self.core.lock().unwritten {
            self.write_books_at(desk)?;
        }
        match step {
            Tidy::Remove(segments) => self.remove(&segments)?,
            Tidy::Rewrite(segments) => drop(rewrite(&self.core, segments, Take::Living)?),
        }
        Ok(true)
    }

    /// Only this thread adds and removes segments, so they are where they were when that was decided.
    fn remove(&mut self, segments: &[usize]) -> Result<(), Failure> {
        for &segment in segments.iter().rev() {
            let first = self.core.lock().shelf.segments[segment].first;
            self.core.store.remove(&name(first)).map_err(|why| self.core.refused(&name(first), why))?;
            let mut state = self.core.lock();
            state.shelf.segments.remove(segment);
            state.volumes.remove(&first);
        }
        Ok(())
    }
}

/// Whoever wrote records at the desk and fell over it has left it as it was before or behind that, so it is taken.
fn locked(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// If the open segment is spoilt, what it holds is written anew.
fn heal(core: &Core, desk: &mut Desk) -> Result<(), Failure> {
    if !desk.pen.spoilt {
        return Ok(());
    }
    let last = core.lock().shelf.segments.len() - 1;
    let volume = rewrite(core, last..last + 1, Take::All)?;
    let length = core.lock().shelf.segments[last].bytes;
    desk.pen = Pen::at(volume, desk.pen.first, length);
    Ok(())
}

/// Bytes and number of the records of an order.
fn weigh(append: &Append) -> (usize, usize) {
    (append.records.iter().map(codec::size).sum(), append.records.len())
}
