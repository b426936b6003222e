//! How far a consumer is. Pure.
//!
//! What always holds: a record was acknowledged, or it is `open`, or it lies at `next` or behind. So a cursor that is
//! kept and read again may repeat records, and never leaves one out.

use super::record::Position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// So many records may be handed out and not acknowledged at a time.
pub const WINDOW: usize = 4096;

/// The place of one consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    next: Position,
    open: BTreeSet<Position>,
    /// Those of `open` that are to be handed out again.
    #[serde(skip)]
    again: BTreeSet<Position>,
}

impl Cursor {
    /// Nothing before `next` is wanted.
    pub fn new(next: Position) -> Cursor {
        Cursor { next, open: BTreeSet::new(), again: BTreeSet::new() }
    }

    /// The first position that was never handed out.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Everything before it is acknowledged.
    pub fn waits_at(&self) -> Position {
        self.open.first().map_or(self.next, |&first| first)
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
        self.again.first().copied()
    }

    /// `positions` are handed out, and everything else before `next` is of no interest.
    pub fn hand(&mut self, positions: impl IntoIterator<Item = Position>, next: Position) {
        for position in positions {
            if position >= self.next {
                self.open.insert(position);
            }
            self.again.remove(&position);
        }
        self.next = self.next.max(next);
    }

    /// The consumer is done with it. False if it never had it, or is done already.
    pub fn acknowledge(&mut self, position: Position) -> bool {
        self.again.remove(&position);
        self.open.remove(&position)
    }

    /// What is open is handed out again, as the consumer may have lost it.
    pub fn rewind(&mut self) {
        self.again = self.open.clone();
    }

    /// Hands one out again, for another try.
    pub fn give_back(&mut self, position: Position) -> bool {
        self.open.contains(&position) && self.again.insert(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after_a_crash(cursor: &Cursor) -> Cursor {
        let mut cursor: Cursor = serde_json::from_str(&serde_json::to_string(cursor).unwrap()).unwrap();
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

    proptest! {
        #[test]
        fn nothing_is_left_out(steps in proptest::collection::vec((0u8..4, 0u64..60), 0..120)) {
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
                    _ => cursor = after_a_crash(&cursor),
                }
                let missing = (1..cursor.next().0).map(Position).filter(|p| !done.contains(p));
                prop_assert_eq!(missing.collect::<BTreeSet<_>>(), cursor.open.clone());
                prop_assert!(cursor.again.is_subset(&cursor.open));
                prop_assert!((1..cursor.waits_at().0).all(|p| done.contains(&Position(p))));
            }
        }
    }
}
