//! A sealed stream: plain bytes in, records out, and back. Layer under `protocol::session::Session`.
//!
//! A record is a length of 4 bytes, big-endian, then ciphertext with its tag, as Noise's transport messages. Both ends
//! count the records and the count is the nonce, so a record that is changed, repeated, left out or moved does not
//! open, and nothing opens after it. An empty record is the last one.
//!
//! Each direction is 32 bytes of key and 8 of count, apart from the other: two tasks may hold them.

use chacha20poly1305::{AeadInPlace, ChaCha20Poly1305, KeyInit, Nonce};
use zeroize::Zeroizing;

/// The longest ciphertext of one record, in bytes: what Noise allows.
pub const MAX_RECORD: usize = 65_535;

/// The longest plain text of one record, in bytes.
pub const MAX_PLAIN: usize = MAX_RECORD - TAG;

/// The bytes of the length before a record.
pub const HEADER: usize = 4;

/// The bytes of the tag behind the text, within the record.
pub const TAG: usize = 16;

/// Both directions of a link after its handshake.
#[derive(Debug)]
pub struct Sealed {
    /// What this end says.
    pub sealer: Sealer,
    /// What this end hears.
    pub opener: Opener,
}

/// Why nothing more can be heard on this link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The length of a record is over [`MAX_RECORD`].
    #[error(
        "a sealed record of {0} bytes is over the limit of {MAX_RECORD}; the other end does not speak sealed, or somebody is in between"
    )]
    TooLong(u32),
    /// The length of a record has no room for its tag.
    #[error(
        "a sealed record of {0} bytes is too short to be one; the other end does not speak sealed, or somebody is in between"
    )]
    TooShort(u32),
    /// A record does not open: it was changed, repeated, left out or moved.
    #[error(
        "a sealed record was changed, repeated or left out on the way; the link starts anew, and if it goes on so, somebody is in between"
    )]
    Forged,
    /// Something came behind the last record.
    #[error("something came behind the end of a sealed link; somebody is in between")]
    AfterEnd,
    /// The stream ended before its last record.
    #[error("a sealed link was cut off: it ended without the other end saying so")]
    Truncated,
}

/// 32 bytes of key, 8 of count.
struct Direction {
    key: Zeroizing<[u8; 32]>,
    count: u64,
}

impl Direction {
    fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key, count: 0 }
    }

    /// The cipher, and the nonce of the next record in the form of Noise: 4 bytes of zero, then the count.
    fn next(&mut self) -> (ChaCha20Poly1305, Nonce) {
        let mut nonce = Nonce::default();
        nonce[4..].copy_from_slice(&self.count.to_le_bytes());
        self.count = self.count.checked_add(1).expect("2^64 records take longer than a link lasts");
        (ChaCha20Poly1305::new((&*self.key).into()), nonce)
    }
}

/// The sending direction.
pub struct Sealer(Direction);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer(after {} records)", self.0.count)
    }
}

impl Sealer {
    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self(Direction::new(key))
    }

    /// Appends `plain`, sealed, to `into`: one record, or several if it is over [`MAX_PLAIN`] bytes. Nothing in,
    /// nothing out.
    pub fn seal(&mut self, plain: &[u8], into: &mut Vec<u8>) {
        for part in plain.chunks(MAX_PLAIN) {
            self.record(part, into);
        }
    }

    /// Appends the last record to `into`: the other end then knows that this one has closed by its own will.
    pub fn end(mut self, into: &mut Vec<u8>) {
        self.record(&[], into);
    }

    fn record(&mut self, plain: &[u8], into: &mut Vec<u8>) {
        let (cipher, nonce) = self.0.next();
        into.reserve(HEADER + plain.len() + TAG);
        into.extend_from_slice(&((plain.len() + TAG) as u32).to_be_bytes());
        let start = into.len();
        into.extend_from_slice(plain);
        let tag = cipher.encrypt_in_place_detached(&nonce, &[], &mut into[start..]);
        into.extend_from_slice(&tag.expect("a record is far below the cipher's limit of 256 GiB"));
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Open,
    Ended,
    Broken(Broken),
}

/// The receiving direction. Holds at most one record that is not whole yet, and nothing while idle.
pub struct Opener {
    direction: Direction,
    pending: Vec<u8>,
    state: State,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener(after {} records, {:?})", self.direction.count, self.state)
    }
}

impl Opener {
    pub(super) fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { direction: Direction::new(key), pending: Vec::new(), state: State::Open }
    }

    /// Bytes kept until more come; zero on an idle link.
    pub fn held(&self) -> usize {
        self.pending.capacity()
    }

    /// Takes the bytes of one read and calls `on` with the plain bytes of each record in them, in order.
    ///
    /// # Errors
    /// The stream is not what the other end sealed. What `on` got before is genuine; nothing is heard ever after.
    pub fn receive(&mut self, bytes: &[u8], on: impl FnMut(&[u8])) -> Result<(), Broken> {
        self.records(bytes, on).inspect_err(|&why| self.state = State::Broken(why))
    }

    fn records(&mut self, mut bytes: &[u8], mut on: impl FnMut(&[u8])) -> Result<(), Broken> {
        let mut record = std::mem::take(&mut self.pending);
        while !bytes.is_empty() {
            self.may_go_on()?;
            if !fill(&mut record, &mut bytes)? {
                break;
            }
            match self.open(&mut record[HEADER..])? {
                [] => self.state = State::Ended,
                plain => on(plain),
            }
            record.clear();
        }
        if !record.is_empty() {
            self.pending = record;
        }
        Ok(())
    }

    fn may_go_on(&self) -> Result<(), Broken> {
        match self.state {
            State::Open => Ok(()),
            State::Ended => Err(Broken::AfterEnd),
            State::Broken(why) => Err(why),
        }
    }

    /// Opens one record where it lies.
    fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<&'a [u8], Broken> {
        let (cipher, nonce) = self.direction.next();
        let (text, tag) = record.split_last_chunk_mut::<TAG>().expect("a record is at least its tag");
        cipher.decrypt_in_place_detached(&nonce, &[], text, (&*tag).into()).map_err(|_| Broken::Forged)?;
        Ok(text)
    }

    /// To be asked at the end of file.
    ///
    /// # Errors
    /// [`Broken::Truncated`] if the other end did not say that it has closed.
    pub fn finish(&self) -> Result<(), Broken> {
        match self.state {
            State::Ended => Ok(()),
            State::Open => Err(Broken::Truncated),
            State::Broken(why) => Err(why),
        }
    }
}

/// Moves bytes until `record` is whole, which it then says. Nothing is set aside before the length was checked.
fn fill(record: &mut Vec<u8>, bytes: &mut &[u8]) -> Result<bool, Broken> {
    move_until(record, bytes, HEADER);
    let Some(header) = record.first_chunk::<HEADER>() else { return Ok(false) };
    let length = match u32::from_be_bytes(*header) {
        length if length as usize > MAX_RECORD => return Err(Broken::TooLong(length)),
        length if (length as usize) < TAG => return Err(Broken::TooShort(length)),
        length => length as usize,
    };
    move_until(record, bytes, HEADER + length);
    Ok(record.len() == HEADER + length)
}

fn move_until(record: &mut Vec<u8>, bytes: &mut &[u8], length: usize) {
    let (now, later) = bytes.split_at(bytes.len().min(length.saturating_sub(record.len())));
    record.extend_from_slice(now);
    *bytes = later;
}
