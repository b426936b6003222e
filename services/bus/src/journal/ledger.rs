//! The bytes of a ledger: cursors, known keys and what was dropped. Pure.
//!
//! What was learnt from a record is in it before the record goes from the disk. So the ledger and the records that are
//! still there say together what every record said.
//!
//! Format 2 is bincode, since the cursors of thousands of links are written each second; format 1 was JSON.

use super::cursor::Cursor;
use super::record::Position;
use super::shelf::Past;
use super::sources::Kept;
use protocol::codec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format that is written, and the newest that is read.
pub(crate) const FORMAT: u16 = 2;
/// The last format that was JSON.
const JSON: u16 = 1;
/// No ledger is so large: the names of all consumers, the windows of a few, and the keys of all sources.
const MOST: usize = 128 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"pistopL\n";
const HEADER: usize = 8 + 4 + 4 + 4;

/// What is kept beside the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// Counts the ledgers of a journal; the greater one is the newer one.
    pub(crate) generation: u64,
    /// Whether the journal was closed in order and nothing has been appended since.
    pub(crate) closed: bool,
    pub(crate) next: Position,
    pub(crate) second: u32,
    pub(crate) past: Past,
    pub(crate) consumers: BTreeMap<Box<str>, Cursor>,
    pub(crate) sources: Vec<Kept>,
}

/// A [`Ledger`] that is to be written, of what is the journal's.
#[derive(Debug, Serialize)]
pub(crate) struct Page<'a> {
    pub(crate) generation: u64,
    pub(crate) closed: bool,
    pub(crate) next: Position,
    pub(crate) second: u32,
    pub(crate) past: &'a Past,
    pub(crate) consumers: &'a BTreeMap<Box<str>, Cursor>,
    pub(crate) sources: Vec<Kept>,
}

impl Page<'_> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        framed(FORMAT, |bytes| codec::put(bytes, self))
    }
}

/// Why there is no ledger in some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadLedger {
    Damaged,
    Newer(u16),
}

impl Ledger {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Ledger, BadLedger> {
        let (header, rest) = bytes.split_at_checked(HEADER).ok_or(BadLedger::Damaged)?;
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let body = rest.get(..number(12) as usize).ok_or(BadLedger::Damaged)?;
        if &header[..8] != MAGIC || sum(&header[..16], body) != number(16) {
            return Err(BadLedger::Damaged);
        }
        match number(8) as u16 {
            format if format > FORMAT => Err(BadLedger::Newer(format)),
            format if format <= JSON => serde_json::from_slice(body).map_err(|_| BadLedger::Damaged),
            _ => codec::decode_own::<_, MOST>(body).map_err(|_| BadLedger::Damaged),
        }
    }
}

fn framed(format: u16, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    body(&mut bytes);
    let (header, body) = bytes.split_at_mut(HEADER);
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&u32::from(format).to_le_bytes());
    header[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
    let sum = sum(&header[..16], body);
    header[16..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn sum(header: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        let mut ledger = Ledger { generation: 7, next: Position(9), ..Ledger::default() };
        let mut cursor = Cursor::new(Position(3));
        cursor.hand([Position(4)], Position(6));
        ledger.consumers.insert("hooks".into(), cursor);
        ledger
    }

    #[test]
    fn a_ledger_of_the_first_format_is_read() {
        let json = serde_json::to_vec(&ledger()).unwrap();
        assert!(String::from_utf8_lossy(&json).contains(r#""hooks":{"next":6,"open":[4]}"#));
        assert_eq!(Ledger::decode(&framed(1, |bytes| bytes.extend(&json))), Ok(ledger()));
    }

    #[test]
    fn a_ledger_of_a_newer_format_is_told_apart_from_damage() {
        assert_eq!(Ledger::decode(&framed(FORMAT + 1, |bytes| bytes.push(b'?'))), Err(BadLedger::Newer(FORMAT + 1)));
    }

    #[test]
    fn a_ledger_comes_back_and_one_flipped_bit_is_noticed() {
        let ledger = ledger();
        let Ledger { generation, closed, next, second, ref past, ref consumers, ref sources } = ledger;
        let page = Page { generation, closed, next, second, past, consumers, sources: sources.clone() };
        let bytes = page.encode();
        assert_eq!(Ledger::decode(&bytes), Ok(ledger));
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Ledger::decode(&flipped), Err(BadLedger::Damaged), "bit {bit}");
        }
        assert!((0..bytes.len()).all(|end| Ledger::decode(&bytes[..end]) == Err(BadLedger::Damaged)));
    }
}
