//! Everything that can be wrong with what reaches the event bus: each is answered in words that name the thing and the
//! remedy, and everything else goes on.
#![allow(clippy::unwrap_used, missing_docs)]

mod bus_house;

use bus_house::{House, PATIENCE, event};
use nix::sys::signal::Signal;
use protocol::door::{Ask, From, Subscribe, Tell};
use protocol::event::{Batch, Body, Class, Event, Keep, MAX_BODY};
use protocol::{Message, frame};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::World;
use tests::world::door::{Door, framed};

/// How long random bytes are thrown at the bus, in seconds; a minute with `BAD_INPUT_SECONDS=60`.
const THROWING: u64 = 5;

#[test]
fn a_length_that_cannot_be_ends_that_program() {
    let mut house = House::new();
    let mut stranger = house.door();
    stranger.say_bytes(&u32::MAX.to_be_bytes()).unwrap();
    let why = stranger.answer().unwrap_err().to_string();
    assert!(why.contains("a frame of 4294967295 bytes is over the limit of 65536"), "{why}");
    house.goes_on();
}

#[test]
fn a_frame_that_is_none_ends_that_program() {
    let mut house = House::new();
    let mut stranger = house.door();
    stranger.say_bytes(&[0, 0, 0, 2, 99, 99]).unwrap();
    let why = stranger.answer().unwrap_err().to_string();
    assert!(why.contains("cannot be read"), "{why}");
    house.attic.until_log("a program at the door of the bus is let go: ");
    house.goes_on();
}

#[test]
fn a_length_inside_a_frame_costs_nothing() {
    let mut house = House::new();
    let before = house.attic.memory();
    let mut hostile = framed(&Ask::Publish(Vec::new()));
    // The number of events becomes the largest there is.
    hostile.truncate(hostile.len() - 1);
    hostile.extend([253, 255, 255, 255, 255, 255, 255, 255, 255]);
    let length = u32::try_from(hostile.len() - 4).unwrap();
    hostile[..4].copy_from_slice(&length.to_be_bytes());
    let mut stranger = house.door();
    stranger.say_bytes(&hostile).unwrap();
    assert!(stranger.answer().is_err());
    assert!(house.attic.memory() < before + 8 * 1024, "it grew");
    house.goes_on();
}

#[test]
fn a_body_that_is_nested_as_deep_as_it_can_be_is_carried_and_harms_nobody() {
    let world = World::new();
    let attic = world.server("attic").hook("motion/50-look", "event looked").start();
    let mut house = House::around(world, attic);
    let deep = [vec![b'['; MAX_BODY / 2], vec![b']'; MAX_BODY / 2]].concat();
    assert_eq!(house.publish(event("attic/evt/camera/motion", &deep)), Ok(()));
    let request = Event { topic: "attic/req/version".into(), ..event("attic/evt/camera/motion", &deep) };
    assert_eq!(house.publish(request), Ok(()));
    house.until_told(&["event-refused", "attic/req/version"]);
    house.goes_on();
}

#[test]
fn random_bytes_and_frames_that_were_changed_harm_nobody_else() {
    let mut house = House::new();
    let seconds = std::env::var("BAD_INPUT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(THROWING);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let (mut random, start, mut thrown) = (fastrand::Rng::with_seed(seed), Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        at_the_door(&house, &mut random);
        over_a_link(&house, &mut random);
        thrown += 2;
        if thrown % 50 == 0 {
            house.goes_on();
        }
    }
    println!("{thrown} connections");
    assert!(thrown > 50, "{thrown} connections in {seconds} s");
    house.goes_on();
}

fn at_the_door(house: &House, random: &mut fastrand::Rng) {
    let Ok(mut stranger) = Door::connect(&house.door_path()) else { panic!("the door is closed") };
    for _ in 0..random.usize(1..8) {
        let asks = [
            Ask::Publish(vec![event("attic/evt/camera/motion", b"{}"); random.usize(0..3)]),
            Ask::Subscribe(Subscribe { name: None, filters: vec!["#".into()], from: From::States }),
            Ask::Done(vec![random.u64(..)]),
            Ask::Again(vec![1, 2]),
            Ask::Forget("nobody".into()),
            Ask::Queue,
        ];
        let bytes = changed(framed(&asks[random.usize(..asks.len())]), random);
        if stranger.say_bytes(&bytes).is_err() {
            return;
        }
    }
}

fn over_a_link(house: &House, random: &mut fastrand::Rng) {
    let mut stranger = house.attic.connect();
    stranger.introduce_on_the_bus("stranger", 77);
    for _ in 0..random.usize(1..8) {
        let batch =
            Batch { through: random.u64(..), events: vec![event("stranger/evt/camera/motion", b"{}")], lost: 0 };
        let messages = [
            Message::Events(batch),
            Message::Kept(random.u64(..)),
            Message::Follow(vec!["#".into()]),
            Message::Handshake(vec![7; random.usize(..99)]),
        ];
        let bytes = changed(frame::encode(&messages[random.usize(..messages.len())]), random);
        if stranger.offer(&bytes).is_err() {
            return;
        }
    }
}

/// As it is, or with some bytes of chance, mostly behind the length.
fn changed(mut bytes: Vec<u8>, random: &mut fastrand::Rng) -> Vec<u8> {
    let from = if random.u8(..8) == 0 { 0 } else { frame::HEADER.min(bytes.len() - 1) };
    for _ in 0..random.usize(..4) {
        let at = random.usize(from..bytes.len());
        bytes[at] = random.u8(..);
    }
    bytes
}

#[test]
fn an_event_of_an_unknown_family_is_refused() {
    let mut house = House::new();
    let why = house.publish(event("attic/evt/garden/rain", b"{}")).unwrap_err();
    assert!(why.contains("`garden` is no family of events; there are presence, host, camera"), "{why}");
    house.goes_on();
}

#[test]
fn a_name_with_a_wildcard_or_a_slash_is_refused() {
    let mut house = House::new();
    let why = house.publish(event("attic/evt/camera/mo#tion", b"{}")).unwrap_err();
    assert!(why.contains("`mo#tion` is no name on the bus; use at most 64 letters"), "{why}");
    let why = house.publish(event("attic/evt/camera/motion/cam1", b"{}")).unwrap_err();
    assert!(why.contains("`attic/evt/camera/motion/cam1` is no topic; write NODE/evt/FAMILY/NAME"), "{why}");
    house.goes_on();
}

#[test]
fn a_command_that_is_to_stay_is_refused() {
    let mut house = House::new();
    let stays = Class { keep: Keep::LatestPerSubject, durable: true };
    let why = house.publish(Event { class: stays, ..event("attic/req/version", b"{}") }).unwrap_err();
    assert!(why.contains("a command is done once and never kept as a state"), "{why}");
    house.goes_on();
}

#[test]
fn a_command_from_a_satellite_that_is_to_stay_is_refused_and_told() {
    let mut house = House::new();
    let stays = Class { keep: Keep::LatestPerSubject, durable: true };
    let command = Event { class: stays, ..house.event_of("kitchen", "attic/req/version", b"{}") };
    house.sends("kitchen", vec![command]);
    house.until_told(&["event-refused", "kitchen", "attic/req/version", "never kept as a state"]);
    house.goes_on();
}

#[test]
fn a_command_whose_deadline_has_passed_is_answered_and_not_done() {
    let mut house = House::new();
    let mut replies = house.hearer(&["attic/res/#"]);
    let late = br#"{"at":1767225600000,"request":"version","deadline":1767225600001,"from":"attic","arguments":{}}"#;
    assert_eq!(house.publish(event("attic/req/version", late)), Ok(()));
    let (_, reply) = replies.next(PATIENCE).unwrap().expect("a command is answered");
    let body = String::from_utf8(reply.body.0).unwrap();
    assert!(body.contains("\"outcome\":\"expired\"") && body.contains("deadline"), "{body}");
    house.goes_on();
}

#[test]
fn a_command_that_is_none_is_refused_and_told() {
    let mut house = House::new();
    assert_eq!(house.publish(event("attic/req/version", b"do it now")), Ok(()));
    house.until_told(&["event-refused", "attic/req/version", "write a JSON object"]);
    house.goes_on();
}

#[test]
fn a_journal_of_a_newer_version_is_put_aside_and_told() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    let journal = attic.place().path("state/journal");
    let newest = || {
        let files = fs::read_dir(&journal).ok()?.flatten().map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|end| end == "records")).max()
    };
    world.until("something is kept", || {
        newest().is_some_and(|path| fs::metadata(path).is_ok_and(|file| file.len() > 72))
    });
    attic.stop(Signal::SIGKILL);
    let newer = newest().unwrap();
    write_newer(&newer);
    attic.start_again();
    let name = newer.file_name().unwrap().to_str().unwrap().to_owned();
    attic.until_log("newer");
    let told = attic.log().lines().any(|line| line.contains("error") && line.contains(&name));
    assert!(told, "{}", attic.log());
    assert!(fs::read_dir(&journal).unwrap().flatten().any(|entry| entry.path().to_str().unwrap().contains(".aside-")));
    House::around(world, attic).goes_on();
}

/// Makes a file one of a later format, whole in itself: 8 bytes of mark, 4 of format, 20 more, 4 of checksum; twice.
fn write_newer(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let mut copy = bytes[..32].to_vec();
    copy[8..12].copy_from_slice(&9u32.to_le_bytes());
    let sum = crc32(&copy).to_le_bytes();
    copy.extend(sum);
    bytes[..36].copy_from_slice(&copy);
    bytes[36..72].copy_from_slice(&copy);
    fs::write(path, bytes).unwrap();
}

/// The checksum of IEEE 802.3.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _: u32| if sum & 1 == 1 { sum >> 1 ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(u32::MAX, |sum, &byte| (0..8).fold(sum ^ u32::from(byte), step))
}

#[test]
fn a_journal_that_cannot_be_used_is_named_and_events_are_kept_in_ram() {
    let world = World::new();
    let file = world.path("not-a-directory");
    fs::write(&file, "x").unwrap();
    let attic = world.server("attic").variable("JOURNAL", &file.display().to_string()).start();
    let ram = Path::new("/run/pistop/ram").join(attic.place().path("").strip_prefix("/").unwrap());
    let (text, file) = (attic.log(), file.display().to_string());
    assert!(text.contains(&format!("error fserver: {file}: cannot be used")), "{text}");
    assert!(text.contains("make it a directory") && text.contains("in RAM, until power is lost"), "{text}");
    let mut house = House::around(world, attic);
    house.goes_on();
    drop(house);
    fs::remove_dir_all(ram.parent().unwrap()).unwrap();
}

#[test]
fn a_broker_that_takes_connections_and_never_answers_is_named_and_waited_for() {
    let world = World::new();
    let silent = TcpListener::bind((world.address(), 0)).unwrap();
    let address = format!("mqtt://{}", silent.local_addr().unwrap());
    let attic = world.server("attic").variable("MQTT", &address).start();
    let mut house = House::around(world, attic);
    house.goes_on();
    let what = "the log names a broker that does not answer";
    house.world.until_within(Duration::from_secs(40), what, || house.attic.log().contains(&address[7..]));
    house.goes_on();
}

#[test]
fn two_machines_of_one_name_are_told_apart_and_the_first_one_stays() {
    let mut house = House::new();
    let kitchen = house.world.client("kitchen").of(&house.attic).start();
    house.attic.until_peers(1, "new");
    let other = house.world.client("other").variable("NAME", "kitchen").of(&house.attic).start();
    other.until_log("kitchen");
    house.attic.until_log("refused");
    let text = house.attic.log();
    assert!(text.lines().any(|line| line.contains("refused") && line.contains("kitchen")), "{text}");
    house.goes_on_at(&kitchen.place().path("bus.sock"), "kitchen");
    house.goes_on();
}

#[test]
fn a_second_agent_at_one_door_is_told_where_the_first_is() {
    let mut house = House::new();
    let door = house.door_path().display().to_string();
    let second = house.world.client("kitchen").variable("DOOR", &door).of(&house.attic).start();
    second.until_log("another fserver or fclient of this machine answers there");
    assert!(second.log().contains(&door));
    house.goes_on();
}

#[test]
fn a_machine_that_speaks_for_another_is_refused_and_told() {
    let mut house = House::new();
    let forged = house.event_of("cellar", "cellar/evt/camera/motion", b"{}");
    let about_another = house.event_of("kitchen", "attic/evt/camera/motion", b"{}");
    house.sends("kitchen", vec![forged, about_another]);
    house.until_told(&["event-refused", "kitchen sent an event of cellar; a machine speaks for itself only"]);
    house.until_told(&["event-refused", "kitchen spoke of attic"]);
    house.goes_on();
}

#[test]
fn an_event_that_is_too_long_is_refused_and_the_next_one_is_kept() {
    let mut house = House::new();
    let mut hearer = house.hearer(&["kitchen/#"]);
    let long = house.event_of("kitchen", "kitchen/evt/camera/motion", &vec![b'x'; MAX_BODY + 1]);
    let short = house.event_of("kitchen", "kitchen/evt/camera/motion", b"short");
    house.sends("kitchen", vec![long, short]);
    house.until_told(&["event-refused", "kitchen/evt/camera/motion", "32769 bytes"]);
    let heard = |hearer: &mut Door| hearer.next(PATIENCE).unwrap().expect("an event comes").1;
    while heard(&mut hearer).body != Body(b"short".to_vec()) {}
    house.goes_on();
}

#[test]
fn a_satellite_that_follows_what_is_no_pattern_is_refused_and_told() {
    let mut house = House::new();
    let mut kitchen = house.attic.connect();
    kitchen.introduce_on_the_bus("kitchen", 5);
    kitchen.say(frame::encode(&Message::Follow(vec!["attic/#/x".into()])));
    house.until_told(&["event-refused", "kitchen", "`attic/#/x` is no pattern"]);
    kitchen.say(frame::encode(&Message::Follow(vec!["+/evt/#".into(); 257])));
    house.until_told(&["event-refused", "kitchen", "257 patterns"]);
    house.goes_on();
}

#[test]
fn what_cannot_be_asked_at_the_door_is_answered() {
    let mut house = House::new();
    let mut nameless = house.hearer(&["#"]);
    nameless.say(&Ask::Done(vec![1])).unwrap();
    let why = nameless.answer().unwrap_err().to_string();
    assert!(why.contains("only events of a subscription with a name are acknowledged; give it one"), "{why}");
    let mut stranger = house.door();
    stranger.say(&Ask::Forget("galery".into())).unwrap();
    let answer = stranger.answer().unwrap();
    assert!(matches!(&answer, Tell::Refused { why, .. } if why.contains("no subscription `galery`")), "{answer:?}");
    let filters = vec!["a/#/b".to_owned()];
    let why = stranger.subscribe(Subscribe { name: None, filters, from: From::Next }).unwrap_err().to_string();
    assert!(why.contains("`a/#/b` is no pattern of topics"), "{why}");
    house.goes_on();
}

#[test]
fn a_program_that_asks_and_never_reads_is_let_go() {
    let mut house = House::new();
    let mut deaf = house.door();
    let asks: Vec<u8> = (0..1000).flat_map(|_| framed(&Ask::Queue)).collect();
    let start = Instant::now();
    while deaf.say_bytes(&asks).is_ok() {
        assert!(start.elapsed() < PATIENCE, "it takes whatever is said");
    }
    house.goes_on();
}

#[test]
fn damaged_books_of_subscriptions_are_named_and_begun_anew() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    attic.stop(Signal::SIGKILL);
    let books = attic.place().path("state/journal/subscriptions.json");
    fs::write(&books, "{\"gallery\":").unwrap();
    attic.start_again();
    attic.until_log(&books.display().to_string());
    House::around(world, attic).goes_on();
}
