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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::codec::{encode, size};
    use crate::journal::record::{Class, Keep, Key, Record};
    use proptest::prelude::*;
    use protocol::{Epoch, HostName};

    const SALT: u32 = 77;

    fn entry(position: u64, body: usize) -> Entry {
        let key = Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(1), sequence: position };
        let class = Class { keep: Keep::EACH[position as usize % 3], durable: position.is_multiple_of(2) };
        let expires = position.is_multiple_of(5).then_some(position * 7);
        let record = Record { key, class, subject: "a/b".into(), expires, body: vec![0xB6; body] };
        Entry { position: Position(position), second: 3, record }
    }

    /// Records, their bytes, and where each of them begins.
    fn segment(sizes: &[usize]) -> (Vec<Entry>, Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        let entries: Vec<_> = sizes.iter().zip(1..).map(|(&size, position)| entry(position, size)).collect();
        for entry in &entries {
            starts.push(bytes.len());
            encode(entry, SALT, &mut bytes);
        }
        (entries, bytes, starts)
    }

    proptest! {
        #[test]
        fn a_stretch_of_damage_costs_the_records_that_it_touches(
            sizes in prop::collection::vec(0usize..300, 1..20),
            (from, length) in (any::<prop::sample::Index>(), 1usize..200),
            noise in any::<u8>(),
        ) {
            let (entries, mut bytes, starts) = segment(&sizes);
            let from = from.index(bytes.len());
            let to = bytes.len().min(from + length);
            bytes[from..to].iter_mut().for_each(|byte| *byte ^= noise | 1);
            let touched = |n: usize| starts[n] < to && starts[n] + size(&entries[n].record) > from;
            let whole = (0..entries.len()).filter(|&n| !touched(n));
            let expected: Vec<_> = whole.map(|n| (starts[n], entries[n].clone())).collect();
            let survey = survey(&bytes, 0, SALT, Position::START);
            prop_assert_eq!(&survey.entries, &expected);
            prop_assert!(!survey.damaged.is_empty() || survey.torn.is_some());
            let lost = (0..entries.len()).filter(|&n| touched(n)).map(|n| entries[n].position);
            for lost in lost.filter(|&lost| survey.last().is_some_and(|last| lost < last)) {
                prop_assert!(survey.gaps.iter().any(|gap| gap.from <= lost && lost <= gap.to), "{:?}", survey.gaps);
            }
        }

        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..2000), salt in any::<u32>()) {
            let mut end = 0;
            for found in Scan::new(&bytes, 0, salt) {
                end = match found {
                    Found::Entry { at, size, .. } | Found::Damaged { at, size, .. } => {
                        prop_assert_eq!(at, end);
                        at + size
                    }
                    Found::Torn { at } => {
                        prop_assert_eq!(at, end);
                        bytes.len()
                    }
                };
            }
            prop_assert_eq!(end, bytes.len());
        }
    }

    #[test]
    fn a_record_of_another_file_is_none() {
        let (_, bytes, _) = segment(&[10, 20]);
        assert_eq!(survey(&bytes, 0, SALT + 1, Position::START).torn, Some(0));
        assert!(survey(&bytes, 0, SALT, Position(1)).entries.iter().all(|(_, entry)| entry.position == Position(2)));
    }
}
