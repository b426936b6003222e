//! Finds the records in the bytes of a segment, past whatever is damaged. Pure.

use super::codec::{Decoded, decode, search};
use super::notice::Gap;
use super::record::{Entry, Position};

/// What stands in a segment, from its start to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A record.
    Entry {
        /// Where it begins.
        at: usize,
        /// The bytes that it takes.
        size: usize,
        /// The record.
        entry: Entry,
    },
    /// Bytes that are none any more, with more records behind them or a good header before them.
    Damaged {
        /// Where they begin.
        at: usize,
        /// So many.
        size: usize,
        /// Which record it was, if its header says so.
        position: Option<Position>,
    },
    /// From here to the end there is no whole record.
    Torn {
        /// Where that begins.
        at: usize,
    },
}

/// Goes through the bytes of a segment.
#[derive(Debug)]
pub struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    salt: u32,
}

impl<'a> Scan<'a> {
    /// Begins at `at`, where a record should be.
    pub fn new(bytes: &'a [u8], at: usize, salt: u32) -> Scan<'a> {
        Scan { bytes, at, salt }
    }

    fn step(&mut self, size: usize) -> usize {
        let at = self.at;
        self.at += size;
        at
    }

    fn resync(&mut self) -> Found {
        let rest = &self.bytes[self.at + 1..];
        match search(rest, self.salt) {
            Some(skip) => Found::Damaged { at: self.step(skip + 1), size: skip + 1, position: None },
            None => self.torn(),
        }
    }

    fn torn(&mut self) -> Found {
        Found::Torn { at: self.step(self.bytes.len() - self.at) }
    }
}

impl Iterator for Scan<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        Some(match decode(rest, self.salt) {
            Decoded::Entry(entry, size) => Found::Entry { at: self.step(size), size, entry },
            Decoded::BadBody(lost, size) => Found::Damaged { at: self.step(size), size, position: Some(lost) },
            Decoded::Short(_) => self.torn(),
            Decoded::Nothing => self.resync(),
        })
    }
}

/// What was found in a stretch of a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The records and where they begin.
    pub entries: Vec<(usize, Entry)>,
    /// Where bytes are none any more, and how many.
    pub damaged: Vec<(usize, usize)>,
    /// The positions of which a record may have been damaged.
    pub gaps: Vec<Gap>,
    /// From here to the end there is no whole record.
    pub torn: Option<usize>,
}

/// Looks through bytes that hold what lies behind `after`. Records whose positions do not rise are none.
pub fn survey(bytes: &[u8], at: usize, salt: u32, after: Position) -> Survey {
    let mut survey = Survey::default();
    let (mut last, mut lost) = (after, false);
    for found in Scan::new(bytes, at, salt) {
        match found {
            Found::Entry { at, entry, .. } if entry.position > last => {
                if lost && entry.position > last.next() {
                    survey.gaps.push(Gap { from: last.next(), to: entry.position.before() });
                }
                (last, lost) = (entry.position, false);
                survey.entries.push((at, entry));
            }
            Found::Entry { at, size, .. } => survey.damaged.push((at, size)),
            Found::Damaged { at, size, position } => {
                survey.damaged.push((at, size));
                match position.filter(|&position| position > last) {
                    Some(position) if !lost => {
                        survey.gaps.push(Gap { from: position, to: position });
                        last = position;
                    }
                    _ => lost = true,
                }
            }
            Found::Torn { at } => survey.torn = Some(at),
        }
    }
    survey
}

impl Survey {
    /// The last position that was seen.
    pub fn last(&self) -> Option<Position> {
        let entry = self.entries.last().map(|(_, entry)| entry.position);
        entry.max(self.gaps.last().map(|gap| gap.to))
    }
}
