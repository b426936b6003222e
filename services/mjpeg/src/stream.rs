//! An HTTP response as a stream of pictures, without a socket: bytes in, pictures and flaws out. How the bytes are cut into reads changes
//! nothing, and less is held than a picture's cap and one read.

pub mod body;
pub mod head;
pub mod part;
pub mod pictures;
pub mod scan;

use crate::cause::NoStream;
use crate::flaw::Flaw;
use body::Body;
use bytes::Bytes;
use head::Content;
use pictures::Pictures;
use std::time::Duration;

/// What comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// From SOI to EOI. Whether what lies between is good is for [`crate::jpeg::Eye`] to say.
    Picture {
        /// The JPEG.
        jpeg: Bytes,
        /// `X-Timestamp` of its part.
        camera_time: Option<Duration>,
    },
    /// A picture that is none.
    Flaw(Flaw),
}

/// One response.
#[derive(Debug)]
pub struct Stream {
    state: State,
    pictures: Pictures,
    /// So far, as far as [`Stream::verdict`] needs to know.
    seen: u8,
}

#[derive(Debug)]
enum State {
    /// Held until it is whole.
    Head(Vec<u8>),
    Body(Content, Body),
}

impl Stream {
    /// Before the first byte of a response. `max_frame` in bytes.
    pub fn new(max_frame: usize) -> Self {
        Self { state: State::Head(Vec::new()), pictures: Pictures::new(max_frame), seen: 0 }
    }

    /// The next bytes of the connection. An error means that this is no stream and will be none.
    pub fn receive(&mut self, bytes: &[u8], mut tell: impl FnMut(Piece)) -> Result<(), NoStream> {
        let Self { state, pictures, seen } = self;
        let mut tell = |piece: Piece| {
            *seen = seen.saturating_add(u8::from(matches!(piece, Piece::Picture { .. })));
            tell(piece);
        };
        match state {
            State::Body(_, body) => body.receive(bytes, |bytes| pictures.receive(bytes, &mut tell)),
            State::Head(held) => {
                held.extend_from_slice(bytes);
                if let Some((response, used)) = head::take(held)? {
                    let mut body = Body::new(response.coding);
                    body.receive(&held[used..], |bytes| pictures.receive(bytes, &mut tell));
                    *state = State::Body(response.content, body);
                }
            }
        }
        Ok(())
    }

    /// The connection has ended: what was under way is a flaw.
    pub fn finish(&mut self) -> Option<Flaw> {
        self.pictures.finish()
    }

    /// Whether the response's head has been read.
    pub fn answered(&self) -> bool {
        matches!(self.state, State::Body(..))
    }

    /// The response says that it is over. A camera that sends an empty picture says so too, and goes on.
    pub fn maybe_over(&self) -> bool {
        matches!(&self.state, State::Body(_, body) if body.maybe_over())
    }

    /// What is to be said of a response that ended, or fell silent: a stream that broke off, or none at all?
    pub fn verdict(&self) -> Option<NoStream> {
        match (&self.state, self.seen) {
            (State::Body(Content::Bare, _), 0) => Some(NoStream::NotHttp),
            (State::Body(Content::Other(_), _), 1) => Some(NoStream::Snapshot),
            (State::Body(Content::Other(name), _), 0) => Some(NoStream::Type(name.clone())),
            _ => None,
        }
    }

    /// Bytes kept at this moment.
    pub fn held(&self) -> usize {
        let head = if let State::Head(held) = &self.state { held.len() } else { 0 };
        head + self.pictures.held()
    }
}
