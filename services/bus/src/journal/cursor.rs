//! How far a consumer is. Pure.
//!
//! What always holds: a record was acknowledged, or it is `open`, or it lies at `next` or behind. So a cursor that is
//! kept and read again may repeat records, and never leaves one out.

use super::record::Position;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// So many records may be handed out and not acknowledged at a time.
pub const WINDOW: usize = 4096;

/// The place of one consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    next: Position,
    /// In their order.
    #[serde(with = "spans")]
    open: VecDeque<Position>,
    /// Those of `open` that are to be handed out again, the first of them last.
    #[serde(skip)]
    again: Vec<Position>,
}

impl Cursor {
    /// Nothing before `next` is wanted.
    pub fn new(next: Position) -> Cursor {
        Cursor { next, open: VecDeque::new(), again: Vec::new() }
    }

    /// The first position that was never handed out.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Everything before it is acknowledged.
    pub fn waits_at(&self) -> Position {
        self.open.front().map_or(self.next, |&first| first)
    }

    /// How many are handed out and not acknowledged.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// How many may be handed out now.
    pub fn room(&self) -> usize {
        WINDOW.saturating_sub(self.open.len())
    }

    /// The first that is to be handed out again.
    pub fn again(&self) -> Option<Position> {
        self.again.last().copied()
    }

    /// `positions` are handed out, in their order, and everything else before `next` is of no interest.
    pub fn hand(&mut self, positions: impl IntoIterator<Item = Position>, next: Position) {
        for position in positions {
            if position >= self.next {
                self.open.push_back(position);
            }
            self.forget_again(position);
        }
        self.next = self.next.max(next);
    }

    /// The consumer is done with it. False if it never had it, or is done already.
    pub fn acknowledge(&mut self, position: Position) -> bool {
        let Ok(place) = self.open.binary_search(&position) else { return false };
        self.open.remove(place);
        self.forget_again(position);
        self.give_room_back();
        true
    }

    /// The consumer is done with all that it has up to here; how many that were.
    pub fn acknowledge_through(&mut self, position: Position) -> usize {
        let count = self.open.partition_point(|&open| open <= position);
        self.open.drain(..count);
        self.again.retain(|&again| again > position);
        self.give_room_back();
        count
    }

    /// What is open is handed out again, as the consumer may have lost it.
    pub fn rewind(&mut self) {
        self.again = self.open.iter().rev().copied().collect();
    }

    /// Hands one out again, for another try.
    pub fn give_back(&mut self, position: Position) -> bool {
        if self.open.binary_search(&position).is_err() {
            return false;
        }
        let place = self.again.binary_search_by(|again| position.cmp(again));
        place.is_err_and(|place| {
            self.again.insert(place, position);
            true
        })
    }

    fn forget_again(&mut self, position: Position) {
        if let Ok(place) = self.again.binary_search_by(|again| position.cmp(again)) {
            self.again.remove(place);
        }
    }

    /// There may be thousands of consumers, and nearly all of them have nothing open nearly always.
    fn give_room_back(&mut self) {
        if self.open.is_empty() {
            (self.open, self.again) = (VecDeque::new(), Vec::new());
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
                        let through = cursor.open.iter().copied().filter(|open| open.0 <= number).collect::<Vec<_>>();
                        prop_assert_eq!(cursor.acknowledge_through(Position(number)), through.len());
                        done.extend(through);
                    }
                    _ => cursor = after_a_crash(&cursor),
                }
                let missing = (1..cursor.next().0).map(Position).filter(|p| !done.contains(p));
                prop_assert_eq!(missing.collect::<Vec<_>>(), Vec::from(cursor.open.clone()));
                prop_assert!(cursor.again.is_sorted_by(|one, other| one > other));
                prop_assert!(cursor.again.iter().all(|again| cursor.open.contains(again)));
                prop_assert!((1..cursor.waits_at().0).all(|p| done.contains(&Position(p))));
            }
        }
    }
}
