//! Which keys were here already, so that a record that is sent again is kept once. Pure.
//!
//! Exact, as long as at most half of [`MAX_RUNS`] holes are in the numbers of a run of a program, and at most
//! [`MAX_SOURCES`] runs of programs are known. Beyond, what may be new is kept: so repetitions of the oldest numbers of
//! such a run, and from the program that has been silent longest, may be kept twice, and nothing that is new is left
//! out. Of states, which may come long after their time, the newest one of each subject is known by itself
//! (`shelf/subjects.rs`).

use super::record::{Key, Position};
use super::runs::Runs;
use protocol::{Epoch, HostName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Holes in the numbers of one source that are remembered, plus one.
pub const MAX_RUNS: usize = 1024;
/// Runs of programs that are remembered.
pub const MAX_SOURCES: usize = 1024;

/// The keys that were here.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    nodes: BTreeMap<HostName, BTreeMap<Epoch, Source>>,
    count: usize,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It was not here.
    No,
    /// It lies where holes were closed: it may have been one of them.
    Perhaps,
    /// It was here.
    Surely,
}

#[derive(Debug, Clone, Default)]
struct Source {
    runs: Runs,
    last: Position,
}

/// One source, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    node: HostName,
    epoch: Epoch,
    last: Position,
    runs: Runs,
}

impl Sources {
    /// Whether the key was here.
    pub fn knows(&self, key: &Key) -> Known {
        let source = self.nodes.get(&key.node).and_then(|epochs| epochs.get(&key.epoch));
        match source.map(|source| &source.runs) {
            Some(runs) if !runs.contains(key.sequence) => Known::No,
            Some(runs) if runs.count() > MAX_RUNS / 2 && runs.is_in_lowest(key.sequence) => Known::Perhaps,
            Some(_) => Known::Surely,
            None => Known::No,
        }
    }

    /// Remembers the key of the record at `position`.
    pub fn insert(&mut self, key: &Key, position: Position) {
        let source = self.source(&key.node, key.epoch);
        source.runs.insert(key.sequence);
        source.runs.close_holes(MAX_RUNS);
        source.last = source.last.max(position);
        self.forget();
    }

    /// All of it, to be kept.
    pub fn kept(&self) -> Vec<Kept> {
        let each = self.nodes.iter().flat_map(|(node, epochs)| epochs.iter().map(move |it| (node, it)));
        let kept = each.map(|(node, (&epoch, source))| Kept {
            node: node.clone(),
            epoch,
            last: source.last,
            runs: source.runs.clone(),
        });
        kept.collect()
    }

    fn source(&mut self, node: &HostName, epoch: Epoch) -> &mut Source {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.clone(), BTreeMap::new());
        }
        let epochs = self.nodes.get_mut(node).expect("it was just put there");
        self.count += usize::from(!epochs.contains_key(&epoch));
        epochs.entry(epoch).or_default()
    }

    /// The one that has been silent longest goes.
    fn forget(&mut self) {
        if self.count <= MAX_SOURCES {
            return;
        }
        let each = self.nodes.iter().flat_map(|(node, epochs)| epochs.iter().map(move |it| (node, it)));
        let Some((node, (&epoch, _))) = each.min_by_key(|(_, (_, source))| source.last) else { return };
        let node = node.clone();
        let epochs = self.nodes.get_mut(&node).expect("it was found there");
        epochs.remove(&epoch);
        self.count -= 1;
        if epochs.is_empty() {
            self.nodes.remove(&node);
        }
    }
}

impl From<Vec<Kept>> for Sources {
    fn from(kept: Vec<Kept>) -> Sources {
        let mut sources = Sources::default();
        for Kept { node, epoch, last, runs } in kept {
            *sources.source(&node, epoch) = Source { runs, last };
        }
        sources
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(epoch: u64, sequence: u64) -> Key {
        Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(epoch), sequence }
    }

    #[test]
    fn keys_are_known_again_and_after_they_were_kept() {
        let mut sources = Sources::default();
        for sequence in [1, 2, 4] {
            sources.insert(&key(7, sequence), Position(sequence));
        }
        for sources in [Sources::from(sources.kept()), sources] {
            let known: Vec<_> = (0..6).filter(|&n| sources.knows(&key(7, n)) == Known::Surely).collect();
            assert_eq!(known, [1, 2, 4]);
            assert_eq!(sources.knows(&key(8, 1)), Known::No);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_longest_silent_goes_first() {
        let mut sources = Sources::default();
        for number in 0..=MAX_SOURCES as u64 {
            sources.insert(&key(number, 1), Position(number + 1));
            sources.insert(&key(0, number), Position(number + 1));
        }
        assert_eq!(sources.kept().len(), MAX_SOURCES);
        let known = [key(0, 1), key(1, 1), key(2, 1)].map(|key| sources.knows(&key));
        assert_eq!(known, [Known::Surely, Known::No, Known::Surely]);
    }

    #[test]
    fn holes_are_bounded_and_what_fills_a_closed_one_may_be_new() {
        let mut sources = Sources::default();
        for number in 0..3000 {
            sources.insert(&key(1, 2 * number), Position(number));
        }
        let known = [2, 3, 5997, 5998].map(|sequence| sources.knows(&key(1, sequence)));
        assert_eq!(known, [Known::Perhaps, Known::Perhaps, Known::No, Known::Surely]);
        assert_eq!(Vec::<(u64, u64)>::from(sources.kept()[0].runs.clone()).len(), MAX_RUNS);
    }
}
