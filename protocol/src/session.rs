//! One end of a link, whichever: bytes in, lines and messages out, and which dialect is spoken.
//!
//! `Session<ClientLine>` is the server's end, `Session<ServerLine>` the client's. A link begins in lines; the hello line
//! switches to frames with the very next byte, even if that byte came in the same read. At most one whole frame plus
//! one read is ever held, and nothing at all while the link is idle.

use crate::frame::{self, BadFrame, Frame};
use crate::line::{self, ClientLine, MAX_LINE, ServerLine, TooLong};
use crate::message::Message;
use std::marker::PhantomData;

/// What one end may say in lines.
pub trait Speech: Sized {
    /// Reads one line without its end.
    fn parse(line: &[u8]) -> Self;
    /// Whether the next byte belongs to a frame.
    fn opens_frames(&self) -> bool;
}

impl Speech for ClientLine {
    fn parse(line: &[u8]) -> Self {
        ClientLine::parse(line)
    }
    fn opens_frames(&self) -> bool {
        matches!(self, ClientLine::Hello(_))
    }
}

impl Speech for ServerLine {
    fn parse(line: &[u8]) -> Self {
        ServerLine::parse(line)
    }
    fn opens_frames(&self) -> bool {
        matches!(self, ServerLine::Hello { .. })
    }
}

/// One thing that the other end said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard<L> {
    /// In the line dialect.
    Line(L),
    /// In the frame dialect.
    Message(Message),
    /// A frame of a kind that a newer peer knows; to be counted and otherwise ignored.
    Unknown(u32),
}

/// Why nothing more can be understood on this link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// A line that did not end in time.
    LineTooLong,
    /// A frame that is none.
    Frame(BadFrame),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::LineTooLong => {
                write!(f, "a line over {MAX_LINE} bytes; this port speaks pistop, end each line with a newline")
            }
            Broken::Frame(why) => why.fmt(f),
        }
    }
}

/// The receiving half of one end of a link.
#[derive(Debug)]
pub struct Session<L> {
    pending: Vec<u8>,
    frames: bool,
    speech: PhantomData<L>,
}

impl<L> Default for Session<L> {
    fn default() -> Self {
        Self { pending: Vec::new(), frames: false, speech: PhantomData }
    }
}

impl<L: Speech> Session<L> {
    /// Whether this end has switched to frames.
    pub fn speaks_frames(&self) -> bool {
        self.frames
    }

    /// Bytes kept until more come; zero on an idle link.
    pub fn held(&self) -> usize {
        self.pending.capacity()
    }

    /// Takes the bytes of one read and calls `on` for each thing in them, in order. After an error the link is over.
    pub fn receive(&mut self, mut bytes: &[u8], mut on: impl FnMut(Heard<L>)) -> Result<(), Broken> {
        while let Some(heard) = self.next(&mut bytes)? {
            on(heard);
        }
        Ok(())
    }

    /// Takes the next thing off the bytes of one read and leaves in `bytes` what comes behind it, for a link on which
    /// that may be in another language: sealed, after a handshake. `None` means that all bytes are taken and more are
    /// needed. After an error the link is over.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Heard<L>>, Broken> {
        let mut pending = std::mem::take(&mut self.pending);
        let before = pending.len();
        let taken = match before {
            0 => self.take(bytes)?,
            _ => {
                pending.extend_from_slice(bytes);
                self.take(&pending)?
            }
        };
        let Some((heard, used)) = taken else {
            self.pending = if before == 0 { bytes.to_vec() } else { pending };
            *bytes = &[];
            return Ok(None);
        };
        *bytes = &bytes[used - before..];
        Ok(Some(heard))
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Option<(Heard<L>, usize)>, Broken> {
        if self.frames {
            let taken = frame::take(bytes).map_err(Broken::Frame)?;
            return Ok(taken.map(|(frame, used)| match frame {
                Frame::Known(message) => (Heard::Message(message), used),
                Frame::Unknown(kind) => (Heard::Unknown(kind), used),
            }));
        }
        let taken = line::take(bytes).map_err(|TooLong| Broken::LineTooLong)?;
        Ok(taken.map(|(line, used)| {
            let said = L::parse(line);
            self.frames = said.opens_frames();
            (Heard::Line(said), used)
        }))
    }
}
