//! What must hold for any bytes, one function for each fuzz target of the same name. The fuzzer looks for bytes that break
//! it; a test of `protocol` replays the seeds and the golden files, so each check also runs without a fuzzer.

#![allow(dead_code, reason = "each fuzz target uses its own check")]

use protocol::control::{Reply, Request};
use protocol::datagram::Datagram;
use protocol::frame::{self, Frame, HEADER, MAX_BODY};
use protocol::line::{self, ClientLine, MAX_LINE, ServerLine};
use protocol::session::{Broken, Heard, Session, Speech};
use protocol::{Message, codec};
use std::fmt::Debug;

/// What one end may keep: a frame without its last byte and one read of any of these inputs, in a vector that doubles.
fn most_held(input: usize) -> usize {
    2 * (HEADER + MAX_BODY + input)
}

/// Each line is within its limit, and says the same when it is said again.
pub fn lines(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((line, used))) = line::take(rest) {
        assert!(line.len() <= MAX_LINE && used <= MAX_LINE + 2);
        says_the_same(ClientLine::parse(line), |line| line.encode(), ClientLine::parse);
        says_the_same(ServerLine::parse(line), |line| line.encode(), ServerLine::parse);
        rest = &rest[used..];
    }
}

/// Text may grow when it is made printable, and what nobody says has no bytes; everything else is said again.
fn says_the_same<L: PartialEq + Debug>(line: L, encode: impl Fn(&L) -> Vec<u8>, parse: impl Fn(&[u8]) -> L) {
    let bytes = encode(&line);
    let text = format!("{line:?}");
    let free = ["Text", "Greeting", "BadHello"].iter().any(|kind| text.starts_with(kind));
    if let (false, Ok(Some((again, _)))) = (free, line::take(&bytes)) {
        assert_eq!(parse(again), line);
    }
}

/// A frame is used up whole, and a message that was read is written and read alike.
pub fn frames(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some((frame, used))) = frame::take(rest) {
        assert!((HEADER..=HEADER + MAX_BODY).contains(&used));
        if let Frame::Known(message) = frame {
            round_trip(&message);
        }
        rest = &rest[used..];
    }
    if let Ok(message) = codec::decode::<Message>(bytes) {
        round_trip(&message);
    }
}

fn round_trip<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: &T) {
    assert_eq!(codec::decode::<T>(&codec::encode(value)).as_ref(), Ok(value));
}

/// What is ours is read alike when it is sent on.
pub fn datagrams(bytes: &[u8]) {
    if let Some(datagram) = Datagram::decode(bytes) {
        assert_eq!(Datagram::decode(&datagram.encode()), Some(datagram));
    }
}

/// Both directions of the control socket.
pub fn control(bytes: &[u8]) {
    let body = frame::take_body(bytes).ok().flatten().map_or(bytes, |(body, _)| body);
    if let Ok(request) = codec::decode::<Request>(body) {
        round_trip(&request);
    }
    if let Ok(reply) = codec::decode::<Reply>(body) {
        round_trip(&reply);
    }
}

/// The server's end of a link.
pub fn server_session(bytes: &[u8]) {
    session::<ClientLine>(bytes);
}

/// The client's end of a link.
pub fn client_session(bytes: &[u8]) {
    session::<ServerLine>(bytes);
}

/// The first byte says how the rest is cut; it changes nothing, and little is held.
fn session<L: Speech + PartialEq + Debug>(bytes: &[u8]) {
    let Some((&cut, stream)) = bytes.split_first() else { return };
    assert_eq!(hear::<L>(stream, usize::from(cut) + 1), hear::<L>(stream, stream.len().max(1)));
}

fn hear<L: Speech>(bytes: &[u8], read: usize) -> (Vec<Heard<L>>, Result<(), Broken>) {
    let (mut session, mut heard) = (Session::<L>::default(), Vec::new());
    for read in bytes.chunks(read) {
        if let Err(why) = session.receive(read, |said| heard.push(said)) {
            return (heard, Err(why));
        }
        assert!(session.held() <= most_held(bytes.len()), "{} bytes held", session.held());
    }
    (heard, Ok(()))
}
