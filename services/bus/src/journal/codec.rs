//! The bytes of a segment file: a preface, then records. Pure.
//!
//! A record is a header of 56 bytes and what it measures. The header has a checksum of its own, so a damaged body costs
//! one record and not the way to the next; past a damaged header the next good one is searched for. That checksum
//! begins with a number of chance from the preface, so that nobody can put into a body what is then taken for a record.

use super::record::{Class, Entry, Keep, Key, MAX_BODY, MAX_SUBJECT, Position, Record};
use protocol::{Epoch, HostName};

/// The format that is written, and the newest that is read.
pub const FORMAT: u16 = 1;
/// Bytes of the preface: two copies, so that one flipped bit does not cost a file.
pub const PREFACE: usize = 2 * COPY;
/// Bytes of a record's header.
pub const HEADER: usize = 56;

const COPY: usize = 36;
const MAGIC: &[u8; 8] = b"pistopJ\n";
const MARK: u32 = 0xB6EC_0A5D;
const DURABLE: u8 = 0x80;

/// The start of a segment file. Its form is the same in all formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preface {
    /// Begins the checksum of each header.
    pub salt: u32,
    /// No record in the file lies before it; the file is named by it.
    pub first: Position,
    /// For a file that was written anew in place of several: the last position that it stands for.
    pub until: Position,
}

/// Why there is no preface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadPreface {
    /// The file ends within it, so no record was ever in it.
    Short,
    /// Neither copy is whole.
    Damaged,
    /// It is of this newer format.
    Newer(u16),
}

impl Preface {
    /// Its bytes.
    pub fn encode(&self) -> [u8; PREFACE] {
        self.encode_as(FORMAT)
    }

    pub(crate) fn encode_as(&self, format: u16) -> [u8; PREFACE] {
        let mut copy = Vec::with_capacity(PREFACE);
        copy.extend_from_slice(MAGIC);
        copy.extend_from_slice(&u32::from(format).to_le_bytes());
        copy.extend_from_slice(&self.salt.to_le_bytes());
        copy.extend_from_slice(&self.first.0.to_le_bytes());
        copy.extend_from_slice(&self.until.0.to_le_bytes());
        copy.extend_from_slice(&crc32fast::hash(&copy).to_le_bytes());
        copy.extend_from_within(..);
        copy.try_into().expect("two copies of 36 bytes")
    }

    /// Reads it, and says whether both copies are whole.
    ///
    /// # Errors
    /// There is none that this version can read.
    pub fn decode(bytes: &[u8]) -> Result<(Preface, bool), BadPreface> {
        let copies = bytes.get(..PREFACE).ok_or(BadPreface::Short)?;
        let (one, other) = copies.split_at(COPY);
        let whole = [one, other].map(|copy| crc32fast::hash(&copy[..COPY - 4]) == u32_at(copy, COPY - 4));
        let copy = match whole {
            [true, _] => one,
            [false, true] => other,
            [false, false] => return Err(BadPreface::Damaged),
        };
        if &copy[..8] != MAGIC {
            return Err(BadPreface::Damaged);
        }
        match u32_at(copy, 8) as u16 {
            format if format > FORMAT => Err(BadPreface::Newer(format)),
            _ => Ok((Preface::fields(copy), whole == [true, true])),
        }
    }

    fn fields(copy: &[u8]) -> Preface {
        Preface { salt: u32_at(copy, 12), first: Position(u64_at(copy, 16)), until: Position(u64_at(copy, 24)) }
    }
}

/// The bytes that a record takes in a file.
pub fn size(record: &Record) -> usize {
    HEADER + record.key.node.as_str().len() + record.subject.len() + record.body.len()
}

/// Writes a record in its place.
pub fn encode(entry: &Entry, salt: u32, into: &mut Vec<u8>) {
    let Entry { position, second, record } = entry;
    let start = into.len();
    let node = record.key.node.as_str();
    into.extend_from_slice(&MARK.to_le_bytes());
    into.extend_from_slice(&((size(record) - HEADER) as u32).to_le_bytes());
    for number in [position.0, record.key.epoch.0, record.key.sequence, record.expires.unwrap_or(u64::MAX)] {
        into.extend_from_slice(&number.to_le_bytes());
    }
    into.extend_from_slice(&second.to_le_bytes());
    into.push(record.class.keep.index() as u8 | if record.class.durable { DURABLE } else { 0 });
    into.push(node.len() as u8);
    into.extend_from_slice(&(record.subject.len() as u16).to_le_bytes());
    into.extend_from_slice(&[0; 8]);
    for part in [node.as_bytes(), record.subject.as_bytes(), &record.body] {
        into.extend_from_slice(part);
    }
    let body = crc32fast::hash(&into[start + HEADER..]);
    into[start + 48..start + 52].copy_from_slice(&body.to_le_bytes());
    let header = salted(&into[start..start + 52], salt);
    into[start + 52..start + HEADER].copy_from_slice(&header.to_le_bytes());
}

/// What stands at the start of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// A record, and the bytes that it takes.
    Entry(Entry, usize),
    /// A good header over a damaged body: the place of the record that is lost, and the bytes that it took.
    BadBody(Position, usize),
    /// A good header; its record takes so many bytes, and they are not all there.
    Short(usize),
    /// No header.
    Nothing,
}

/// Reads what stands at the start of `bytes`.
pub fn decode(bytes: &[u8], salt: u32) -> Decoded {
    let Some(header) = bytes.get(..HEADER).filter(|header| is_header(header, salt)) else { return Decoded::Nothing };
    let (position, size) = (Position(u64_at(header, 8)), HEADER + u32_at(header, 4) as usize);
    let Some(body) = bytes.get(HEADER..size) else { return Decoded::Short(size) };
    if crc32fast::hash(body) != u32_at(header, 48) {
        return Decoded::BadBody(position, size);
    }
    let entry = record(header, body).map(|record| Entry { position, second: u32_at(header, 40), record });
    entry.map_or(Decoded::BadBody(position, size), |entry| Decoded::Entry(entry, size))
}

/// Where the next header is, searched from the start of `bytes`.
pub fn search(bytes: &[u8], salt: u32) -> Option<usize> {
    let mark = MARK.to_le_bytes();
    bytes.windows(HEADER).position(|window| window.starts_with(&mark) && is_header(window, salt))
}

fn is_header(header: &[u8], salt: u32) -> bool {
    u32_at(header, 0) == MARK
        && u32_at(header, 4) as usize <= MAX_BODY + MAX_SUBJECT + protocol::name::MAX_HOST_NAME
        && u32_at(header, 52) == salted(&header[..52], salt)
}

fn record(header: &[u8], body: &[u8]) -> Option<Record> {
    let (node, rest) = body.split_at_checked(header[45].into())?;
    let (subject, body) = rest.split_at_checked(u16_at(header, 46).into())?;
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).map(String::from).ok();
    let node = HostName::parse(&text(node)?).ok()?;
    let expires = Some(u64_at(header, 32)).filter(|&expires| expires != u64::MAX);
    Some(Record {
        key: Key { node, epoch: Epoch(u64_at(header, 16)), sequence: u64_at(header, 24) },
        class: Class { keep: *Keep::EACH.get(usize::from(header[44] & !DURABLE))?, durable: header[44] & DURABLE != 0 },
        subject: text(subject)?,
        expires,
        body: body.to_vec(),
    })
}

fn salted(bytes: &[u8], salt: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(salt);
    hasher.update(bytes);
    hasher.finalize()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
