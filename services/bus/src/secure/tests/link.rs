//! The handshake of a normal link.

use super::*;
use crate::secure::handshake::{BadStep, MAX_MESSAGE};
use protocol::frame;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Beat, Message};
use protocol::session::{Heard, Session};

#[test]
fn a_paired_client_is_known_by_name_and_roles() {
    let (mut client, mut server) = House::new().link();
    assert_eq!(server.peer.name, host("kitchen"));
    assert!(server.peer.roles.may_follow() && !server.peer.roles.may_shut_down());
    let there = seal(&mut client.sealer, b"there");
    assert_eq!(open(&mut server.sealed.opener, &there).unwrap(), b"there");
    let back = seal(&mut server.sealed.sealer, b"back");
    assert_eq!(open(&mut client.opener, &back).unwrap(), b"back");
}

#[test]
fn each_link_has_keys_of_its_own() {
    let house = House::new();
    let ((mut one, _), (_, mut other)) = (house.link(), house.link());
    let sealed = seal(&mut one.sealer, b"of another link");
    assert_eq!(open(&mut other.sealed.opener, &sealed), Err(Broken::Forged));
}

#[test]
fn nothing_goes_back_to_its_sender() {
    let (mut client, _server) = House::new().link();
    let sealed = seal(&mut client.sealer, b"echo");
    assert_eq!(open(&mut client.opener, &sealed), Err(Broken::Forged));
}

#[test]
fn a_captured_session_is_worth_nothing_to_a_new_responder() {
    let house = House::new();
    let (initiator, first) = house.initiator();
    let (_, answer) = Responder::answer(&house.server, &hellos(), &first).unwrap();
    let (last, _) = initiator.receive(&answer).unwrap();
    let (again, _) = Responder::answer(&house.server, &hellos(), &first).unwrap();
    let denied = again.finish(&last, &house.authorized).unwrap_err();
    assert_eq!(denied.why, BadStep::Forged.into());
    assert!(denied.farewell.is_none());
}

#[test]
fn a_captured_answer_is_worth_nothing_to_a_new_initiator() {
    let house = House::new();
    let (_, first) = house.initiator();
    let (_, answer) = Responder::answer(&house.server, &hellos(), &first).unwrap();
    let (another, _) = house.initiator();
    assert_eq!(another.receive(&answer).unwrap_err(), BadStep::Forged.into());
}

#[test]
fn a_server_with_another_key_is_named_and_learns_nothing() {
    let (house, stranger) = (House::new(), SecretKey::generate().unwrap());
    let (initiator, first) = house.initiator();
    let (_, answer) = Responder::answer(&stranger, &hellos(), &first).unwrap();
    let refusal = initiator.receive(&answer).unwrap_err();
    assert_eq!(refusal, Refusal::WrongServer { found: stranger.public(), pinned: house.server.public() });
    let text = refusal.to_string();
    assert!(text.contains(&stranger.public().fingerprint()) && text.contains("pair again"), "{text}");
}

/// It relays between two handshakes of its own, since it has no key of either.
#[test]
fn one_in_between_with_keys_of_his_own_is_found_by_both() {
    let (house, between) = (House::new(), SecretKey::generate().unwrap());
    let (client, first) = house.initiator();
    let (_, answer) = Responder::answer(&between, &hellos(), &first).unwrap();
    assert!(matches!(client.receive(&answer), Err(Refusal::WrongServer { .. })));

    let (to_server, first) = Initiator::new(&between, house.server.public(), &hellos()).unwrap();
    let (server, answer) = Responder::answer(&house.server, &hellos(), &first).unwrap();
    let (last, mut sealed) = to_server.receive(&answer).unwrap();
    let denied = server.finish(&last, &house.authorized).unwrap_err();
    assert_eq!(denied.why, Refusal::Unknown { name: host("kitchen"), key: between.public() });
    let told = seal(&mut denied.farewell.unwrap().sealer, b"why not");
    assert_eq!(open(&mut sealed.opener, &told).unwrap(), b"why not", "and it can be told why");
}

/// Whoever knows the server's public key and plays the server, without its secret one.
#[test]
fn a_public_key_alone_does_not_make_a_server() {
    let (house, liar) = (House::new(), SecretKey::generate().unwrap());
    let (initiator, first) = house.initiator();
    let (_, mut answer) = Responder::answer(&liar, &hellos(), &first).unwrap();
    let at = 1 + 32;
    answer[at..at + 32].copy_from_slice(house.server.public().as_bytes());
    assert_eq!(initiator.receive(&answer).unwrap_err(), BadStep::Forged.into());
}

#[test]
fn a_revoked_key_ends_at_the_next_handshake() {
    let mut house = House::new();
    house.link();
    house.authorized = Authorized::default();
    let (initiator, first) = house.initiator();
    let (responder, answer) = Responder::answer(&house.server, &hellos(), &first).unwrap();
    let (last, _) = initiator.receive(&answer).unwrap();
    let denied = responder.finish(&last, &house.authorized).unwrap_err();
    assert_eq!(denied.why, Refusal::Unknown { name: host("kitchen"), key: house.client.public() });
    assert!(denied.why.to_string().contains("authorized_peers"));
    assert!(denied.farewell.is_some());
}

#[test]
fn a_known_key_under_another_name_is_refused() {
    let house = House::new();
    let other = Hellos { client: host("cellar"), ..hellos() };
    let (initiator, first) = Initiator::new(&house.client, house.server.public(), &other).unwrap();
    let (responder, answer) = Responder::answer(&house.server, &other, &first).unwrap();
    let (last, _) = initiator.receive(&answer).unwrap();
    let denied = responder.finish(&last, &house.authorized).unwrap_err();
    assert_eq!(denied.why, Refusal::WrongName { said: host("cellar"), listed: host("kitchen") });
}

#[test]
fn a_hello_line_that_was_changed_on_the_way_ends_it() {
    let house = House::new();
    let changed = [
        Hellos { client: host("cellar"), ..hellos() },
        Hellos { server: host("barn"), ..hellos() },
        Hellos { epoch: Epoch(6), ..hellos() },
    ];
    for seen_by_server in changed {
        let (initiator, first) = house.initiator();
        let (_, answer) = Responder::answer(&house.server, &seen_by_server, &first).unwrap();
        let refusal = initiator.receive(&answer).unwrap_err();
        assert_eq!(refusal, BadStep::Forged.into(), "{seen_by_server:?}");
        assert!(refusal.to_string().contains("hello lines"));
    }
}

#[test]
fn no_two_pairs_of_hello_lines_and_no_two_kinds_are_bound_alike() {
    let names = ["a", "ab", "b", "a.b"];
    let mut seen = std::collections::HashSet::new();
    for (client, server) in names.iter().flat_map(|&client| names.map(|server| (client, server))) {
        for (epoch, kind) in [(1, Kind::Link), (11, Kind::Link), (1, Kind::Pairing)] {
            let hellos = Hellos { client: host(client), server: host(server), epoch: Epoch(epoch) };
            assert!(seen.insert(hellos.prologue(kind)), "{hellos:?} {kind:?}");
        }
    }
}

#[test]
fn a_bit_flipped_anywhere_in_the_handshake_ends_it() {
    let house = House::new();
    for step in 0..3 {
        let length = [33, 97, 65][step];
        for bit in (0..length).map(|byte| byte * 8 + byte % 8) {
            assert!(!survives(&house, step, bit), "message {step}, bit {bit}");
        }
    }
}

/// A handshake with one bit of one message flipped, unless both ends notice nothing.
fn survives(house: &House, step: usize, bit: usize) -> bool {
    let flip = |at: usize, message: &mut Vec<u8>| {
        if at == step {
            message[bit / 8] ^= 1 << (bit % 8);
        }
    };
    let (initiator, mut first) = house.initiator();
    flip(0, &mut first);
    let Ok((responder, mut answer)) = Responder::answer(&house.server, &hellos(), &first) else { return false };
    flip(1, &mut answer);
    let Ok((mut last, _)) = initiator.receive(&answer) else { return false };
    flip(2, &mut last);
    responder.finish(&last, &house.authorized).is_ok()
}

#[test]
fn messages_that_are_none_are_refused_with_the_reason() {
    let house = House::new();
    let answer = |bytes: &[u8]| Responder::answer(&house.server, &hellos(), bytes).unwrap_err();
    assert_eq!(answer(&[]), BadStep::Length(0));
    assert_eq!(answer(&[1]), BadStep::Forged);
    assert_eq!(answer(&[1; 20]), BadStep::Forged);
    assert_eq!(answer(&[1; MAX_MESSAGE + 1]), BadStep::Length(MAX_MESSAGE + 1));
    assert_eq!(answer(&[2; 49]), BadStep::OtherKind(Kind::Pairing));
    assert_eq!(answer(&[7; 33]), BadStep::UnknownKind(7));
    assert!(answer(&[7; 33]).to_string().contains("kind 7"));
    assert!(answer(&[2; 49]).to_string().starts_with("a handshake for pairing came where one for a link was begun"));
}

/// The way of all bytes of a link, on the server: lines, frames, and sealed bytes right behind the last handshake
/// frame, all in one read.
#[test]
fn sealed_bytes_in_the_same_read_as_the_last_handshake_are_heard() {
    let house = House::new();
    let (initiator, first) = house.initiator();
    let (mut session, mut bytes) = (Session::<ClientLine>::default(), Vec::new());
    bytes.extend(ClientLine::Hello(host("kitchen")).encode());
    bytes.extend(frame::encode(&Message::Handshake(first)));
    let mut read = &bytes[..];
    assert_eq!(session.next(&mut read), Ok(Some(Heard::Line(ClientLine::Hello(host("kitchen"))))));
    let Ok(Some(Heard::Message(Message::Handshake(first)))) = session.next(&mut read) else { panic!("no handshake") };
    assert_eq!(session.next(&mut read), Ok(None));
    let (responder, answer) = Responder::answer(&house.server, &hellos(), &first).unwrap();

    let (last, mut client) = initiator.receive(&answer).unwrap();
    let beats: Vec<Message> = (1..=3).map(|number| Message::Beat(Beat { number, next_ms: 1000 })).collect();
    let plain: Vec<u8> = beats.iter().flat_map(frame::encode).collect();
    let mut bytes = frame::encode(&Message::Handshake(last));
    plain.chunks(5).for_each(|part| client.sealer.seal(part, &mut bytes));

    let mut read = &bytes[..];
    let Ok(Some(Heard::Message(Message::Handshake(last)))) = session.next(&mut read) else { panic!("no handshake") };
    let mut server = responder.finish(&last, &house.authorized).unwrap();
    let mut heard = Vec::new();
    server.sealed.opener.receive(read, |plain| session.receive(plain, |said| heard.push(said)).unwrap()).unwrap();
    assert_eq!(heard, beats.into_iter().map(Heard::Message).collect::<Vec<_>>());
    assert_eq!((session.held(), server.sealed.opener.held()), (0, 0));
}

#[test]
fn the_servers_hello_line_is_followed_by_frames_for_the_client_too() {
    let mut session = Session::<ServerLine>::default();
    let hello = ServerLine::Hello { server: host("attic"), epoch: Epoch(7) };
    let bytes = [hello.encode(), frame::encode(&Message::Handshake(vec![1, 2])), vec![0xff; 3]].concat();
    let mut read = &bytes[..];
    assert_eq!(session.next(&mut read), Ok(Some(Heard::Line(hello))));
    assert_eq!(session.next(&mut read), Ok(Some(Heard::Message(Message::Handshake(vec![1, 2])))));
    assert_eq!(read, [0xff; 3], "what comes behind it is left to the cipher");
}

#[test]
fn nothing_secret_is_shown() {
    let house = House::new();
    let secret = house.client.reveal();
    let raw = format!("{:?}", house.client.bytes());
    let (initiator, first) = house.initiator();
    let (responder, _) = Responder::answer(&house.server, &hellos(), &first).unwrap();
    let (sealed, admitted) = house.link();
    let shown = format!("{:?} {initiator:?} {responder:?} {sealed:?} {admitted:?}", house.client);
    assert!(!shown.contains(&**secret) && !shown.contains(&raw));
    assert!(
        shown.starts_with("SecretKey(..) Initiator { noise: Noise(Link, Initiator), pinned: PublicKey("),
        "{shown}"
    );
    assert!(shown.contains("Sealed { sealer: Sealer(after 0 records), opener: Opener(after 0 records, Open) }"));
}

#[test]
fn both_halves_of_a_link_may_be_in_different_threads() {
    fn assert_send<T: Send + 'static>() {}
    assert_send::<Sealer>();
    assert_send::<Opener>();
    assert_send::<Initiator>();
    assert_send::<Responder>();
    let (client, server) = House::new().link();
    let (mut sealer, mut opener) = (client.sealer, server.sealed.opener);
    let sealed = std::thread::spawn(move || (0..100u8).map(|n| seal(&mut sealer, &[n])).collect::<Vec<_>>());
    let sealed = sealed.join().unwrap().concat();
    let opened = std::thread::spawn(move || open(&mut opener, &sealed).unwrap()).join().unwrap();
    assert_eq!(opened, (0..100).collect::<Vec<u8>>());
}
