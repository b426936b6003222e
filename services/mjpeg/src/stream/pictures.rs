//! A multipart body as pictures. A picture goes from its SOI to its EOI; the Content-Length of its part is believed only if an EOI is at its end.

use super::Piece;
use super::part::{Between, Part};
use super::scan::{Found, Scan};
use crate::flaw::Flaw;
use bytes::{Buf, Bytes, BytesMut};
use std::time::Duration;

/// Where a picture breaks off because another begins, the headers of the other's part are in the bytes before it.
const TAIL: usize = 512;

/// How much after an EOI says that the picture is really over, although its part should be longer.
const AFTER: usize = 4;

/// The state: what has come of the picture under way.
#[derive(Debug)]
pub struct Pictures {
    held: BytesMut,
    cap: usize,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Between(Between),
    Within(Within),
}

#[derive(Debug, Default)]
struct Within {
    scan: Scan,
    camera_time: Option<Duration>,
    /// The part's length, as long as it may be true.
    length: Option<usize>,
    /// An EOI before that, and whether what comes after it is still to be seen.
    end: Option<usize>,
    doubt: bool,
}

enum Verdict {
    More,
    Picture(usize),
    /// Reading goes on between pictures, from here.
    Flaw(Flaw, usize),
    /// Another picture begins here, before this one's end.
    Half(usize),
}

impl Pictures {
    /// Pictures of at most `cap` bytes.
    pub fn new(cap: usize) -> Self {
        Self { held: BytesMut::new(), cap, place: Place::Between(Between::default()) }
    }

    /// Bytes kept at this moment.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The next bytes of the body.
    pub fn receive(&mut self, bytes: &[u8], tell: &mut impl FnMut(Piece)) {
        self.held.extend_from_slice(bytes);
        loop {
            match &mut self.place {
                Place::Between(between) => {
                    let Some((at, part)) = between.read(&self.held, |flaw| tell(Piece::Flaw(flaw))) else {
                        self.held.clear();
                        return;
                    };
                    self.begin(at, part);
                }
                Place::Within(within) => match within.judge(&self.held, self.cap) {
                    Verdict::More => return,
                    Verdict::Picture(end) => {
                        let camera_time = within.camera_time;
                        tell(Piece::Picture { jpeg: Bytes::copy_from_slice(&self.held[..end]), camera_time });
                        self.leave(end);
                    }
                    Verdict::Flaw(flaw, from) => {
                        tell(Piece::Flaw(flaw));
                        self.leave(from);
                    }
                    Verdict::Half(at) => {
                        tell(Piece::Flaw(Flaw::Half));
                        let before = &self.held[at.saturating_sub(TAIL)..at];
                        let part = Between::before_a_picture(before, |flaw| tell(Piece::Flaw(flaw)));
                        self.begin(at as isize, part);
                    }
                },
            }
        }
    }

    /// `at` may lie up to two bytes before what is held: those bytes were the start of `FF D8 FF`.
    fn begin(&mut self, at: isize, part: Part) {
        match usize::try_from(at) {
            Ok(at) => self.held.advance(at),
            Err(_) => {
                let rest = self.held.split_off((at + 2) as usize);
                self.held = BytesMut::from(&b"\xff\xd8"[..]);
                self.held.extend_from_slice(&rest);
            }
        }
        let length = part.length.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= self.cap);
        self.place = Place::Within(Within { length, camera_time: part.camera_time, ..Within::default() });
    }

    fn leave(&mut self, from: usize) {
        self.held.advance(from);
        self.place = Place::Between(Between::default());
    }

    /// Nothing more will come.
    pub fn finish(&mut self) -> Option<Flaw> {
        let held = self.held.len();
        match &self.place {
            Place::Between(_) => None,
            Place::Within(_) => {
                self.leave(held);
                Some(Flaw::Half)
            }
        }
    }
}

impl Within {
    /// What is to be done with the picture, given all that has come. Each look sees only up to where the next decision falls, so that reads
    /// of any size lead to the same.
    fn judge(&mut self, held: &[u8], cap: usize) -> Verdict {
        loop {
            let border = self.length.unwrap_or(cap).min(cap);
            let seen = &held[..held.len().min(border)];
            if let (true, Some(end)) = (self.doubt, self.end) {
                match seen.get(end..end + AFTER) {
                    Some(after) if is_after_a_picture(after) => return Verdict::Picture(end),
                    None if seen.len() < border => return Verdict::More,
                    _ => self.doubt = false,
                }
            }
            match self.scan.go_on(seen) {
                Found::End(end) if self.length.is_none_or(|length| length == end) => return Verdict::Picture(end),
                Found::End(end) => (self.end, self.doubt) = (Some(end), true),
                Found::Start(at) => return self.end.map_or(Verdict::Half(at), Verdict::Picture),
                Found::Broken => return Verdict::Flaw(Flaw::Header, 2),
                Found::More if seen.len() < border => return Verdict::More,
                Found::More => {
                    if let Some(verdict) = self.at_border(seen, cap) {
                        return verdict;
                    }
                }
            }
        }
    }

    /// All that the part should have is here, or all that a picture may have.
    fn at_border(&mut self, seen: &[u8], cap: usize) -> Option<Verdict> {
        if self.length.is_some() && seen.ends_with(b"\xff\xd9") {
            return Some(Verdict::Picture(seen.len()));
        }
        if let Some(end) = self.end {
            return Some(Verdict::Picture(end));
        }
        if self.length.take().is_some_and(|length| length < cap) {
            return None;
        }
        let from = if self.scan.in_data() { seen.len() } else { 2 };
        Some(Verdict::Flaw(Flaw::TooBig, from))
    }
}

/// A boundary, a header, or the next picture.
fn is_after_a_picture(after: &[u8]) -> bool {
    [&b"\r\n--"[..], b"\n--", b"--", b"\r\n\r\n", b"\n\n", b"Cont", b"cont", b"\r\nC", b"\xff\xd8\xff"]
        .iter()
        .any(|start| after.starts_with(start))
}
