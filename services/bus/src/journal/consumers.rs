//! Reading with a cursor: each consumer gets every record, and gets it again until it has said that it is done.

use super::Journal;
use super::codec;
use super::core::State;
use super::cursor::Cursor;
use super::failure::Failure;
use super::notice::Gap;
use super::reader::{Batch, Plan};
use super::record::{Entry, Position};
use super::writer::Order;

/// Consumers that a journal keeps cursors for.
pub const MAX_CONSUMERS: usize = 16 * 1024;

/// The longest name of one, in bytes.
pub const MAX_NAME: usize = 256;

/// What a new consumer gets first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that is there.
    Earliest,
    /// The next record that comes.
    Latest,
}

/// How far a consumer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// It has acknowledged everything before.
    pub waits_at: Position,
    /// It was handed everything before.
    pub next: Position,
    /// So many records it was handed and has not acknowledged.
    pub open: usize,
}

/// Where a consumer goes on.
struct Place {
    next: Position,
    /// It has to get something again before anything new: then it goes on there, and has not caught up.
    again: bool,
    /// So many new records it may be handed.
    room: usize,
    /// And where they are.
    plan: Plan,
}

impl Journal {
    /// Gives a consumer a cursor, if it has none yet; one that has goes on where it was. Says whether it is new: then a
    /// crash within the next second forgets it, unless [`Journal::settle`] is waited for.
    ///
    /// # Errors
    /// There are [`MAX_CONSUMERS`] already, or the name is over [`MAX_NAME`] bytes.
    pub fn register(&self, name: &str, start: Start) -> Result<bool, Failure> {
        let mut state = self.core.lock();
        let shelf = &mut state.shelf;
        if shelf.consumers.contains_key(name) {
            return Ok(false);
        }
        let refuse = |why| Err(Failure::Consumer { name: name.chars().take(40).collect(), why });
        if name.len() > MAX_NAME {
            return refuse("its name is over 256 bytes; take a shorter one");
        }
        if shelf.consumers.len() >= MAX_CONSUMERS {
            return refuse("the journal keeps cursors for 16384 consumers already; let it forget one of them");
        }
        let next = if start == Start::Latest { shelf.next } else { Position::START };
        shelf.consumers.insert(name.into(), Cursor::new(next));
        self.changed(&mut state).map(|()| true)
    }

    /// For so many more consumers there are places.
    pub fn room_for_consumers(&self) -> usize {
        MAX_CONSUMERS - self.core.lock().shelf.consumers.len()
    }

    /// Takes a consumer's cursor away.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn forget(&self, name: &str) -> Result<(), Failure> {
        let mut state = self.core.lock();
        state.shelf.consumers.remove(name).ok_or_else(|| unknown(name))?;
        self.changed(&mut state)
    }

    /// Hands a consumer what it has not got yet, as [`Journal::read`] does; first of all what it has to get again. Only
    /// one at a time may take for a consumer.
    ///
    /// Nothing new is handed out while it has [`super::WINDOW`] records that it has not acknowledged.
    ///
    /// # Errors
    /// There is no such consumer, or the disk refused.
    pub fn take(&self, name: &str, wanted: &dyn Fn(&Entry) -> bool, most: usize) -> Result<Batch, Failure> {
        let (mut place, mut batch, mut left) = (self.place(name)?, Batch::default(), most);
        if place.again {
            batch = self.take_again(name, most)?;
            left -= batch.entries.iter().map(|entry| codec::size(&entry.record)).sum::<usize>().min(left);
            place = self.place(name)?;
        }
        batch.next = place.next;
        if place.room == 0 || left == 0 {
            return Ok(batch);
        }
        let fresh = self.core.follow(place.plan, place.next, wanted, left)?;
        self.hand(name, place.room, batch, fresh)
    }

    fn place(&self, name: &str) -> Result<Place, Failure> {
        let mut state = self.core.lock();
        let cursor = state.shelf.consumers.get(name).ok_or_else(|| unknown(name))?;
        let (again, next, room) = (cursor.again(), cursor.next(), cursor.room());
        Ok(match again {
            Some(next) => Place { next, again: true, room: 0, plan: Plan::End },
            None => Place { next, again: false, room, plan: if room > 0 { state.plan(next) } else { Plan::End } },
        })
    }

    /// Hands out of what was read as much as there is room for, behind what was handed out again.
    fn hand(&self, name: &str, room: usize, mut batch: Batch, mut fresh: Batch) -> Result<Batch, Failure> {
        if let Some(beyond) = fresh.entries.get(room) {
            fresh.next = beyond.position;
            fresh.entries.truncate(room);
        }
        let mut state = self.core.lock();
        let gap = state.shelf.gap(batch.next, fresh.next);
        batch.gap = batch.gap.into_iter().chain(gap).reduce(Gap::and);
        let cursor = state.shelf.consumers.get_mut(name).ok_or_else(|| unknown(name))?;
        cursor.hand(fresh.entries.iter().map(|entry| entry.position), fresh.next);
        if fresh.next > batch.next {
            self.changed(&mut state)?;
        }
        batch.entries.append(&mut fresh.entries);
        batch.next = fresh.next;
        Ok(batch)
    }

    /// What was handed out before, and is still there.
    fn take_again(&self, name: &str, most: usize) -> Result<Batch, Failure> {
        let (mut batch, mut bytes) = (Batch::default(), 0);
        while let Some(position) = self.with(name, Cursor::again)?.filter(|_| bytes < most) {
            let found = self.core.read(position, &|_| true, 1)?;
            let next = found.entries.into_iter().next();
            // What lies before the next one that is there is gone, all of it: nothing is looked through twice.
            let there = next.as_ref().map_or(found.next, |entry| entry.position).max(position);
            let until = if next.is_some() { there } else { there.max(position.next()) };
            let gone = self.change(name, |cursor| cursor.pass_over(until))?;
            batch.gap = self.gaps(batch.gap, &gone);
            if let Some(entry) = next.filter(|entry| entry.position == position) {
                self.change(name, |cursor| cursor.hand([position], Position::START))?;
                bytes += codec::size(&entry.record);
                batch.entries.push(entry);
            }
        }
        Ok(batch)
    }

    /// Which of these are lost, and not only outdated.
    fn gaps(&self, before: Option<Gap>, gone: &[Position]) -> Option<Gap> {
        let state = self.core.lock();
        let gaps = gone.iter().filter_map(|&position| state.shelf.gap(position, position.next()));
        before.into_iter().chain(gaps).reduce(Gap::and)
    }

    /// Everything before this position was handed to a consumer, or was of no interest to it.
    ///
    /// # Errors
    /// There is no such consumer.
    pub fn reached(&self, name: &str) -> Result<Position, Failure> {
        self.with(name, Cursor::next)
    }

    /// A consumer is done with a record; in any order. False if it never got it or was done with it already.
    ///
    /// It is on the disk a second later: after a crash before that, the record comes again.
    ///
    /// # Errors
    /// There is no such consumer.
    pub fn acknowledge(&self, name: &str, position: Position) -> Result<bool, Failure> {
        self.change(name, |cursor| cursor.acknowledge(position))
    }

    /// A consumer is done with everything that it was handed up to a position; how many records that were.
    ///
    /// # Errors
    /// There is no such consumer.
    pub fn acknowledge_through(&self, name: &str, position: Position) -> Result<usize, Failure> {
        self.change(name, |cursor| cursor.acknowledge_through(position))
    }

    /// A record is handed out again at the next [`Journal::take`], for another try. False if it is not open.
    ///
    /// # Errors
    /// There is no such consumer.
    pub fn give_back(&self, name: &str, position: Position) -> Result<bool, Failure> {
        self.change(name, |cursor| cursor.give_back(position))
    }

    /// All that a consumer got and has not acknowledged is handed out again: its link broke.
    ///
    /// # Errors
    /// There is no such consumer.
    pub fn rewind(&self, name: &str) -> Result<(), Failure> {
        self.change(name, Cursor::rewind)
    }

    /// Who is how far.
    pub fn consumers(&self) -> Vec<Standing> {
        let state = self.core.lock();
        let each = state.shelf.consumers.iter().map(|(name, cursor)| Standing {
            name: name.to_string(),
            waits_at: cursor.waits_at(),
            next: cursor.next(),
            open: cursor.open(),
        });
        each.collect()
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&Cursor) -> T) -> Result<T, Failure> {
        self.core.lock().shelf.consumers.get(name).map(look).ok_or_else(|| unknown(name))
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Cursor) -> T) -> Result<T, Failure> {
        let mut state = self.core.lock();
        let result = state.shelf.consumers.get_mut(name).map(change).ok_or_else(|| unknown(name))?;
        self.changed(&mut state)?;
        Ok(result)
    }

    /// A cursor has moved.
    fn changed(&self, state: &mut State) -> Result<(), Failure> {
        state.unwritten = true;
        if std::mem::replace(&mut state.asked, true) { Ok(()) } else { self.order(Order::Note) }
    }
}

fn unknown(name: &str) -> Failure {
    Failure::Consumer { name: name.into(), why: "there is none of that name; register it first" }
}
