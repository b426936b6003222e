//! What holds for any bytes: how a stream was cut into reads changes nothing, nothing panics, nothing is held beyond
//! a stated bound, and what was encoded is what is decoded. A failing case is shrunk and printed with its seed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod samples;
#[path = "samples/strategy.rs"]
mod strategy;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use protocol::control::{Reply, Request};
use protocol::datagram::Datagram;
use protocol::door::{Ask, Tell};
use protocol::event::Event;
use protocol::frame::{self, HEADER, MAX_BODY};
use protocol::line::{self, ClientLine, MAX_LINE, ServerLine, TooLong};
use protocol::message::{KINDS, Message};
use protocol::name::HostName;
use protocol::session::{Broken, Heard, Session, Speech};
use protocol::topic::{Filter, Topic};
use protocol::{Epoch, Fact, codec};
use std::fmt::Debug;

/// The most bytes that one read of these tests brings.
const READ: usize = 4096;

/// What one end of a link may keep: a frame that lacks its last byte and one read, in a vector that grows by doubling.
const MOST_HELD: usize = 2 * (HEADER + MAX_BODY + READ);

/// What one end made of a stream: all it heard, and how it ended.
type Story<L> = (Vec<Heard<L>>, Result<(), Broken>);

/// Feeds `bytes` in reads that end at the given places.
fn hear<L: Speech>(bytes: &[u8], cuts: &[usize]) -> Story<L> {
    let (mut session, mut heard) = (Session::<L>::default(), Vec::new());
    let mut from = 0;
    for &to in cuts.iter().chain([&bytes.len()]) {
        if let Err(why) = session.receive(&bytes[from..to], |said| heard.push(said)) {
            return (heard, Err(why));
        }
        assert!(session.held() <= MOST_HELD, "{} bytes held", session.held());
        from = to;
    }
    (heard, Ok(()))
}

/// Where a stream of this length is cut.
fn cuts(length: usize, at: &[Index]) -> Vec<usize> {
    let mut cuts: Vec<usize> = at.iter().map(|index| index.index(length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// One byte a read, one read in all, and reads of at most [`READ`] bytes that end where the test chose.
fn assert_cuts_change_nothing<L: Speech + Debug + PartialEq>(bytes: &[u8], at: &[Index]) -> Story<L> {
    let whole = hear::<L>(bytes, &[]);
    assert_eq!(whole, hear(bytes, &cuts(bytes.len(), at)));
    assert_eq!(whole, hear(bytes, &(0..bytes.len()).collect::<Vec<_>>()));
    whole
}

/// Lines, then perhaps the hello, and only then frames.
fn stream<L>(lines: &[L], hello: Option<&L>, frames: &[Message], encode: impl Fn(&L) -> Vec<u8>) -> Vec<u8> {
    let frames = frames.iter().filter(|_| hello.is_some()).flat_map(frame::encode);
    lines.iter().chain(hello).flat_map(encode).chain(frames).collect()
}

/// What the receiver of such a stream is to hear.
fn told<L: Clone>(lines: &[L], hello: Option<&L>, frames: &[Message]) -> Vec<Heard<L>> {
    let frames = frames.iter().filter(|_| hello.is_some()).cloned().map(Heard::Message);
    lines.iter().chain(hello).cloned().map(Heard::Line).chain(frames).collect()
}

/// Bytes as a peer gone wrong might send them: noise, and pieces of what is really said.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..40),
        vec(any::<u8>(), 0..40),
        vec(Just(b'x'), MAX_LINE - 3..MAX_LINE + 3),
        prop::sample::select(pieces()),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn pieces() -> Vec<Vec<u8>> {
    let words =
        ["\n", "\r\n", "\r", "wait", "shutdown\n", "quit\n", "Connection from ::1\n", "wait pistop/2 kitchen\n"];
    let mut pieces: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
    pieces.extend([b"pistop/2 attic 7\n".to_vec(), vec![0, 0, 0], vec![0, 1, 0, 0], vec![0, 1, 0, 1]]);
    pieces.extend(samples::frames().iter().map(|sample| frame::encode(&sample.value)));
    pieces
}

/// The same rule as [`line::take`], without its care for speed and for bytes that are yet to come.
fn naive_take(bytes: &[u8]) -> Result<Option<(&[u8], usize)>, TooLong> {
    let end = bytes.iter().position(|&b| b == b'\n');
    let line = &bytes[..end.unwrap_or(bytes.len())];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > MAX_LINE {
        return Err(TooLong);
    }
    Ok(end.map(|end| (line, end + 1)))
}

/// A body that begins like a known kind and then holds anything, lengths without end included.
fn hostile_body() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![Just(vec![253u8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), vec(any::<u8>(), 0..9)];
    (0..KINDS as u8, vec(any::<u8>(), 0..6), length, vec(any::<u8>(), 0..40))
        .prop_map(|(kind, head, length, tail)| [vec![kind], head, length, tail].concat())
}

proptest! {
    #[test]
    fn a_server_hears_the_same_however_a_stream_is_cut(
        lines in vec(strategy::client_line(), 0..6), name in proptest::option::of(strategy::host()),
        frames in vec(strategy::message(), 0..4), at in vec(any::<Index>(), 0..8),
    ) {
        let hello = name.map(ClientLine::Hello);
        let bytes = stream(&lines, hello.as_ref(), &frames, ClientLine::encode);
        let (heard, end) = assert_cuts_change_nothing::<ClientLine>(&bytes, &at);
        prop_assert_eq!((heard, end), (told(&lines, hello.as_ref(), &frames), Ok(())));
    }

    #[test]
    fn a_client_hears_the_same_however_a_stream_is_cut(
        lines in vec(strategy::server_line(), 0..6), name in proptest::option::of((strategy::host(), any::<u64>())),
        frames in vec(strategy::message(), 0..4), at in vec(any::<Index>(), 0..8),
    ) {
        let hello = name.map(|(server, epoch)| ServerLine::Hello { server, epoch: Epoch(epoch) });
        let bytes = stream(&lines, hello.as_ref(), &frames, ServerLine::encode);
        let (heard, end) = assert_cuts_change_nothing::<ServerLine>(&bytes, &at);
        prop_assert_eq!((heard, end), (told(&lines, hello.as_ref(), &frames), Ok(())));
    }

    #[test]
    fn lines_may_end_with_crlf(lines in vec(strategy::client_line(), 1..6), at in vec(any::<Index>(), 0..8)) {
        let bytes = stream(&lines, None, &[], |line| {
            let bytes = line.encode();
            [&bytes[..bytes.len() - 1], b"\r\n"].concat()
        });
        prop_assert_eq!(assert_cuts_change_nothing::<ClientLine>(&bytes, &at), (told(&lines, None, &[]), Ok(())));
    }

    #[test]
    fn any_bytes_are_heard_alike_however_they_are_cut(bytes in anything(), at in vec(any::<Index>(), 0..8)) {
        let _ = assert_cuts_change_nothing::<ClientLine>(&bytes, &at);
        let _ = assert_cuts_change_nothing::<ServerLine>(&bytes, &at);
    }

    #[test]
    fn a_slow_giant_is_held_within_the_bound(
        length in prop_oneof![0..=MAX_BODY as u32, MAX_BODY as u32 + 1..MAX_BODY as u32 + 99, any::<u32>()], reads in vec(1..READ, 1..40),
    ) {
        let mut session = Session::<ClientLine>::default();
        session.receive(b"wait pistop/2 kitchen\n", |_| ()).unwrap();
        let opened = session.receive(&length.to_be_bytes(), |_| ());
        prop_assert_eq!(opened.is_ok(), (1..=MAX_BODY).contains(&(length as usize)), "a body of {} bytes", length);
        for read in reads.into_iter().take_while(|_| opened.is_ok()) {
            let body = session.receive(&vec![0xff; read], |_| ());
            prop_assert!(session.held() <= MOST_HELD, "{} bytes held", session.held());
            if body.is_err() { break; }
        }
    }

    #[test]
    fn nothing_is_held_between_whole_frames(frames in vec(strategy::message(), 1..4), at in vec(any::<Index>(), 0..8)) {
        let mut session = Session::<ClientLine>::default();
        let bytes = stream(&[], Some(&ClientLine::Hello(samples::host("kitchen"))), &frames, ClientLine::encode);
        let mut from = 0;
        for to in cuts(bytes.len(), &at).into_iter().chain([bytes.len()]) {
            session.receive(&bytes[from..to], |_| ()).unwrap();
            from = to;
        }
        prop_assert_eq!(session.held(), 0);
    }

    #[test]
    fn a_line_is_taken_as_by_a_naive_reader(bytes in anything()) {
        prop_assert_eq!(line::take(&bytes), naive_take(&bytes));
    }

    #[test]
    fn lines_around_the_limit_are_taken_as_by_a_naive_reader(
        length in MAX_LINE - 2..MAX_LINE + 4, end in "(\r|\n|\r\n|\r\r\n|x\n|\rx\n|)", more in "[x\n]{0,3}",
    ) {
        let bytes = ["x".repeat(length), end, more].concat();
        prop_assert_eq!(line::take(bytes.as_bytes()), naive_take(bytes.as_bytes()));
    }

    #[test]
    fn a_message_survives_the_trip(message in strategy::message()) {
        prop_assert_eq!(codec::decode(&codec::encode(&message)), Ok(message));
    }

    #[test]
    fn what_passes_a_door_survives_the_trip(ask in strategy::ask(), tell in strategy::tell()) {
        prop_assert_eq!(codec::decode(&codec::encode(&ask)), Ok(ask));
        prop_assert_eq!(codec::decode(&codec::encode(&tell)), Ok(tell));
    }

    #[test]
    fn a_door_takes_no_part_for_the_whole(ask in strategy::ask(), end in any::<Index>()) {
        let bytes = codec::encode(&ask);
        prop_assert!(codec::decode::<Ask>(&bytes[..end.index(bytes.len())]).is_err());
    }

    #[test]
    fn the_size_of_an_event_is_never_told_too_low(event in strategy::event()) {
        prop_assert!(codec::encode(&event).len() <= event.size());
    }

    #[test]
    fn a_fact_survives_the_trip(fact in strategy::fact()) {
        let read: Fact = serde_json::from_value(fact.clone()).unwrap();
        prop_assert_eq!(&serde_json::to_value(&read).unwrap(), &fact);
        prop_assert_eq!(&fact["fact"], read.rule().name);
    }

    #[test]
    fn a_topic_stays_what_it_is_and_is_matched_by_itself(
        text in "([a-z]{1,3}/)?(evt|st|req|res|state)(/(camera|host))?(/[a-z._-]{0,3}){0,2}|.{0,20}",
    ) {
        if let Ok(topic) = Topic::parse(&text) {
            let again = topic.to_string();
            prop_assert!(Filter::parse(&again).unwrap().matches(&again) && Filter::parse("#").unwrap().matches(&again));
            prop_assert_eq!(Topic::parse(&again), Ok(topic));
        }
    }

    #[test]
    fn a_pattern_is_matched_level_by_level(
        pattern in "(a|b|ab|[+]|)(/(a|b|ab|[+]|)){0,3}(/#)?", topic in "(a|b|ab|)(/(a|b|ab|)){0,3}",
    ) {
        let levels = |text: &str| text.split('/').map(String::from).collect::<Vec<_>>();
        let (mut wanted, mut here) = (levels(&pattern), levels(&topic));
        if wanted.last().is_some_and(|last| last == "#") {
            wanted.pop();
            here.truncate(wanted.len());
        }
        let same = wanted.len() == here.len() && wanted.iter().zip(&here).all(|(one, other)| one == "+" || one == other);
        if let Ok(filter) = Filter::parse(&pattern) {
            prop_assert_eq!(filter.matches(&topic), same, "{} {}", pattern, topic);
        }
    }

    #[test]
    fn a_hostile_body_is_an_error_or_a_message(body in hostile_body()) {
        if let Ok(message) = codec::decode::<Message>(&body) {
            prop_assert_eq!(codec::decode(&codec::encode(&message)), Ok(message));
        }
        let _ = (codec::decode::<Request>(&body), codec::decode::<Reply>(&body));
        let _ = (codec::decode::<Ask>(&body), codec::decode::<Tell>(&body), codec::decode::<Event>(&body));
        let _ = frame::take(&frame::encode_body(&body));
    }

    #[test]
    fn a_host_name_stays_what_it_is(text in any::<String>()) {
        if let Ok(name) = HostName::parse(&text) {
            prop_assert_eq!(HostName::parse(name.as_str()), Ok(name));
        }
    }

    #[test]
    fn any_datagram_is_ours_or_nothing(bytes in vec(any::<u8>(), 0..200), text in "pistop/2 (up|probe|here) [ -~]{0,60}\n") {
        for bytes in [&bytes[..], text.as_bytes()] {
            if let Some(datagram) = Datagram::decode(bytes) {
                prop_assert_eq!(Datagram::decode(&datagram.encode()), Some(datagram));
            }
        }
    }
}
