//! The frame dialect: a length of 4 bytes, big-endian, then one encoded [`Message`].
//!
//! The length is checked before anything is allocated. A kind that this version does not know is skipped and
//! counted by the caller; a body that does not decode ends the link, since nothing behind it can be trusted.

use crate::codec::{self, BadBody};
use crate::message::{KINDS, Message};
use serde::Serialize;

/// The longest body, in bytes: ten times the largest message we send, and small enough for any machine.
pub const MAX_BODY: usize = 64 * 1024;

/// The bytes of the length before a body.
pub const HEADER: usize = 4;

/// A whole frame taken off a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// A message that this version knows.
    Known(Message),
    /// The number of a kind that a newer peer knows; skipped.
    Unknown(u32),
}

/// Why a stream of frames cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadFrame {
    /// The length is over [`MAX_BODY`].
    TooLong(usize),
    /// The body is not what its kind promises.
    Body(BadBody),
}

impl std::fmt::Display for BadFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BadFrame::TooLong(n) => write!(f, "a frame of {n} bytes is over the limit of {MAX_BODY}"),
            BadFrame::Body(BadBody(why)) => write!(f, "a frame that cannot be read: {why}"),
        }
    }
}

/// The bytes of one message as a frame, or of any other value: local sockets frame types of their own.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    put(&mut bytes, value);
    // Thousands of them wait for peers.
    bytes.shrink_to_fit();
    bytes
}

/// Adds a value as a frame to others.
pub fn put<T: Serialize>(to: &mut Vec<u8>, value: &T) {
    let start = to.len();
    to.extend([0; HEADER]);
    codec::put(to, value);
    let length = to.len() - start - HEADER;
    to[start..start + HEADER].copy_from_slice(&header(length));
}

/// The bytes of an encoded value as a frame.
pub fn encode_body(body: &[u8]) -> Vec<u8> {
    [&header(body.len()), body].concat()
}

fn header(length: usize) -> [u8; HEADER] {
    u32::try_from(length).expect("bodies are bounded by MAX_BODY").to_be_bytes()
}

/// Takes the first whole body off `bytes`: the body, and how many bytes it used up.
/// `Ok(None)` means that more bytes are needed.
pub fn take_body(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, BadFrame> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    match u32::from_be_bytes(*header) as usize {
        length if length > MAX_BODY => Err(BadFrame::TooLong(length)),
        length => Ok(rest.get(..length).map(|body| (body, HEADER + length))),
    }
}

/// Takes the first whole frame off `bytes`, with how many bytes it used up.
pub fn take(bytes: &[u8]) -> Result<Option<(Frame, usize)>, BadFrame> {
    let Some((body, used)) = take_body(bytes)? else { return Ok(None) };
    let kind = codec::variant(body).map_err(BadFrame::Body)?;
    if kind >= KINDS {
        return Ok(Some((Frame::Unknown(kind), used)));
    }
    codec::decode(body).map(|message| Some((Frame::Known(message), used))).map_err(BadFrame::Body)
}
