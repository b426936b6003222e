//! How far a consumer is. Pure.
//!
//! What always holds: a record was acknowledged, or it is `open`, or it lies at `next` or behind. So a cursor that is
//! kept and read again may repeat records, and never leaves one out.

use super::record::Position;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many records may be handed out and not acknowledged at a time.
pub const WINDOW: usize = 4096;

/// The place of one consumer. There may be thousands of them, and nearly all have nothing open nearly always: then it is
/// two words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Cursor {
    next: Position,
    /// Never empty.
    out: Option<Box<Out>>,
}

/// What was handed out and is not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Out {
    /// In their order.
    open: VecDeque<Position>,
    /// Those of `open` that are to be handed out again, the first of them last.
    again: Vec<Position>,
}

static NOTHING: Out = Out { open: VecDeque::new(), again: Vec::new() };

/// A cursor in the ledger: what was to be handed out again is not told from what else is open.
#[derive(Serialize, Deserialize)]
struct Kept {
    next: Position,
    #[serde(with = "spans")]
    open: VecDeque<Position>,
}

impl From<Kept> for Cursor {
    fn from(Kept { next, open }: Kept) -> Cursor {
        Cursor { next, out: (!open.is_empty()).then(|| Box::new(Out { open, again: Vec::new() })) }
    }
}

impl From<Cursor> for Kept {
    fn from(Cursor { next, out }: Cursor) -> Kept {
        Kept { next, open: out.map(|out| out.open).unwrap_or_default() }
    }
}

impl Cursor {
    /// Nothing before `next` is wanted.
    pub fn new(next: Position) -> Cursor {
        Cursor { next, out: None }
    }

    fn out(&self) -> &Out {
        self.out.as_deref().unwrap_or(&NOTHING)
    }

    fn out_mut(&mut self) -> &mut Out {
        self.out.get_or_insert_with(|| Box::new(NOTHING.clone()))
    }

    /// The first position that was never handed out.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Everything before it is acknowledged.
    pub fn waits_at(&self) -> Position {
        self.out().open.front().map_or(self.next, |&first| first)
    }

    /// How many are handed out and not acknowledged.
    pub fn open(&self) -> usize {
        self.out().open.len()
    }

    /// How many may be handed out now.
    pub fn room(&self) -> usize {
        WINDOW.saturating_sub(self.out().open.len())
    }

    /// The first that is to be handed out again.
    pub fn again(&self) -> Option<Position> {
        self.out().again.last().copied()
    }

    /// `positions` are handed out, in their order, and everything else before `next` is of no interest.
    pub fn hand(&mut self, positions: impl IntoIterator<Item = Position>, next: Position) {
        for position in positions {
            if position >= self.next {
                let open = &mut self.out_mut().open;
                if open.is_empty() {
                    // One event for each of thousands is what there is most often.
                    open.reserve_exact(1);
                }
                open.push_back(position);
            }
            self.out.iter_mut().for_each(|out| out.forget_again(position));
        }
        self.next = self.next.max(next);
    }

    /// The consumer is done with it. False if it never had it, or is done already.
    pub fn acknowledge(&mut self, position: Position) -> bool {
        let Some(out) = &mut self.out else { return false };
        let Ok(place) = out.open.binary_search(&position) else { return false };
        out.open.remove(place);
        out.forget_again(position);
        self.give_room_back();
        true
    }

    /// The consumer is done with all that it has up to here; how many that were.
    pub fn acknowledge_through(&mut self, position: Position) -> usize {
        let Some(out) = &mut self.out else { return 0 };
        let count = out.open.partition_point(|&open| open <= position);
        out.open.drain(..count);
        out.again.retain(|&again| again > position);
        self.give_room_back();
        count
    }

    /// What was to be handed out again and lies before this position is gone; which that is.
    pub fn pass_over(&mut self, until: Position) -> Vec<Position> {
        let Some(out) = &mut self.out else { return Vec::new() };
        let mut gone = Vec::new();
        while let Some(position) = out.again.pop_if(|again| *again < until) {
            if let Ok(place) = out.open.binary_search(&position) {
                out.open.remove(place);
            }
            gone.push(position);
        }
        self.give_room_back();
        gone
    }

    /// What is open is handed out again, as the consumer may have lost it.
    pub fn rewind(&mut self) {
        if let Some(out) = &mut self.out {
            out.again = out.open.iter().rev().copied().collect();
        }
    }

    /// Hands one out again, for another try.
    pub fn give_back(&mut self, position: Position) -> bool {
        let Some(out) = self.out.as_mut().filter(|out| out.open.binary_search(&position).is_ok()) else { return false };
        let place = out.again.binary_search_by(|again| position.cmp(again));
        place.is_err_and(|place| {
            out.again.insert(place, position);
            true
        })
    }

    fn give_room_back(&mut self) {
        self.out.take_if(|out| out.open.is_empty());
    }
}

impl Out {
    fn forget_again(&mut self, position: Position) {
        if let Ok(place) = self.again.binary_search_by(|again| position.cmp(again)) {
            self.again.remove(place);
        }
    }
}

/// Positions as pairs of numbers: how many lie between, and how many then follow each other. In JSON, which ledgers
/// were once written in, all of them.
mod spans {
    use super::{Position, VecDeque, WINDOW};
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::{Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(open: &VecDeque<Position>, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return open.serialize(serializer);
        }
        let (mut spans, mut end) = (Vec::<(u64, u64)>::new(), 0);
        for &Position(position) in open {
            match spans.last_mut().filter(|_| position == end) {
                Some((_, count)) => *count += 1,
                None => spans.push((position - end, 1)),
            }
            end = position.saturating_add(1);
        }
        spans.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<Position>, D::Error> {
        if deserializer.is_human_readable() {
            return VecDeque::deserialize(deserializer);
        }
        let (mut open, mut end) = (VecDeque::new(), 0u64);
        for (between, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            let start = end.saturating_add(between);
            if open.len() as u64 + count > WINDOW as u64 {
                return Err(D::Error::custom("more is open than ever may be"));
            }
            end = start.saturating_add(count);
            open.extend((start..end).map(Position));
        }
        Ok(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::codec;
    use std::collections::BTreeSet;

    fn after_a_crash(cursor: &Cursor) -> Cursor {
        let json: Cursor = serde_json::from_str(&serde_json::to_string(cursor).unwrap()).unwrap();
        let mut cursor: Cursor = codec::decode(&codec::encode(cursor)).unwrap();
        assert_eq!(cursor, json);
        cursor.rewind();
        cursor
    }

    #[test]
    fn hooks_may_finish_in_any_order() {
        let mut cursor = Cursor::new(Position(1));
        cursor.hand([1, 2, 5].map(Position), Position(9));
        assert!(
            cursor.acknowledge(Position(2)) && !cursor.acknowledge(Position(2)) && !cursor.acknowledge(Position(3))
        );
        assert_eq!(cursor.waits_at(), Position(1));
        assert!(cursor.acknowledge(Position(1)));
        assert_eq!(cursor.waits_at(), Position(5));
        assert!(cursor.acknowledge(Position(5)));
        assert_eq!(cursor.waits_at(), Position(9), "what it does not want is done as well");
    }

    #[test]
    fn an_open_record_that_is_given_back_comes_again_once() {
        let mut cursor = Cursor::new(Position(1));
        cursor.hand([1, 2, 3].map(Position), Position(4));
        assert!(cursor.give_back(Position(3)) && cursor.give_back(Position(1)) && !cursor.give_back(Position(1)));
        assert!(!cursor.give_back(Position(9)));
        assert_eq!(cursor.again(), Some(Position(1)));
        cursor.hand([Position(1)], Position::START);
        assert_eq!((cursor.again(), cursor.open(), cursor.next()), (Some(Position(3)), 3, Position(4)));
    }

    #[test]
    fn a_ledger_that_says_more_is_open_than_may_be_is_none() {
        let cursor = (Position(9), vec![(1u64, u64::MAX)]);
        assert!(codec::decode::<Cursor>(&codec::encode(&cursor)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_is_left_out(steps in proptest::collection::vec((0u8..5, 0u64..60), 0..120)) {
            let (mut cursor, mut done, mut handed) = (Cursor::new(Position(1)), BTreeSet::new(), Position(1));
            for (what, number) in steps {
                match what {
                    0 => {
                        let next = Position(handed.0 + number % 5);
                        cursor.hand((handed.0..next.0).map(Position), next);
                        handed = next;
                    }
                    1 => if cursor.acknowledge(Position(number)) { done.insert(Position(number)); },
                    2 => { cursor.give_back(Position(number)); }
                    3 => {
                        let through = cursor.out().open.iter().copied().filter(|open| open.0 <= number).collect::<Vec<_>>();
                        prop_assert_eq!(cursor.acknowledge_through(Position(number)), through.len());
                        done.extend(through);
                    }
                    _ => cursor = after_a_crash(&cursor),
                }
                let missing = (1..cursor.next().0).map(Position).filter(|p| !done.contains(p));
                prop_assert_eq!(missing.collect::<Vec<_>>(), Vec::from(cursor.out().open.clone()));
                prop_assert!(cursor.out().again.is_sorted_by(|one, other| one > other));
                prop_assert!(cursor.out().again.iter().all(|again| cursor.out().open.contains(again)));
                prop_assert!(cursor.out.as_ref().is_none_or(|out| !out.open.is_empty()));
                prop_assert!((1..cursor.waits_at().0).all(|p| done.contains(&Position(p))));
            }
        }
    }
}
