//! A stretch of time that is painted over: what comes later covers what was there. It has a colour everywhere from the start.

use super::{Piece, Reason, State};
use std::collections::BTreeMap;

/// The state of each moment of `from..to`, by where each piece begins.
#[derive(Debug)]
pub struct Canvas {
    to: u64,
    from: u64,
    begins: BTreeMap<u64, State>,
}

impl Canvas {
    /// Unexplained all over.
    pub fn new(from: u64, to: u64) -> Canvas {
        let blank = (from < to).then_some((from, State::Gap(Reason::Unexplained)));
        Canvas { from, to, begins: blank.into_iter().collect() }
    }

    /// Paints what of `from..to` lies on it.
    pub fn paint(&mut self, from: u64, to: u64, state: State) {
        let (from, to) = (from.max(self.from), to.min(self.to));
        if from >= to {
            return;
        }
        let after = self.begins.range(..=to).next_back().map(|(_, state)| state.clone());
        let covered: Vec<u64> = self.begins.range(from..to).map(|(&at, _)| at).collect();
        covered.iter().for_each(|at| drop(self.begins.remove(at)));
        self.begins.insert(from, state);
        if let Some(after) = after.filter(|_| to < self.to) {
            self.begins.insert(to, after);
        }
    }

    /// What is on it.
    pub fn pieces(self) -> Vec<Piece> {
        let ends: Vec<u64> = self.begins.keys().copied().skip(1).chain([self.to]).collect();
        self.begins.into_iter().zip(ends).map(|((from, state), to)| Piece { from, to, state }).collect()
    }
}
