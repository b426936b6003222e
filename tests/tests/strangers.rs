//! What somebody on the same network may try against a closed house, and what comes of it: nothing, and one word about it.
#![allow(clippy::unwrap_used, missing_docs)]

use protocol::event::{Batch, Body, Class, Event, EventId, Keep};
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Hello, Prepare};
use protocol::name::Identity;
use protocol::{Cause, Epoch, HostName, Message, ShutdownId, frame};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use tests::World;
use tests::world::actor::Actor;
use tests::world::between::{Between, Way};
use tests::world::raw::{End, Raw};
use tests::world::server::Server;

/// How long something is looked at that must not happen.
const WHILE: Duration = Duration::from_secs(2);

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// A server, and a kitchen that is paired with it and would power off with it.
fn house(world: &World) -> (Server, Actor) {
    let attic = world.server("attic").variable("SHUTDOWN_FROM", "127.0.0.66, 127.0.0.1").start();
    let plan = world.client("kitchen").of(&attic).variable("POWER_OFF", "1");
    attic.pairs(plan.place());
    let kitchen = plan.start();
    attic.until_peers(1, "paired");
    kitchen.until_event("server-up/20-mount-share");
    (attic, kitchen)
}

/// What the server has said on the bus about strangers.
fn told(attic: &Server) -> String {
    let door = attic.place().path("bus.sock").display().to_string();
    let said = attic.pistop(&["--door", &door, "events", "--filter", "stranger-refused", "--json"]);
    assert!(said.status.success(), "{said:?}");
    said.output
}

#[track_caller]
fn until_told(world: &World, attic: &Server, address: &str, what: &str) {
    let line = |line: &str| line.contains(&format!("\"{address}\"")) && line.contains(what);
    world.until(&format!("{what:?} of {address} is said on the bus"), || told(attic).lines().any(line));
    assert_eq!(told(attic).lines().filter(|text| line(text)).count(), 1, "once: {}", told(attic));
    attic.until_log(&format!("{address} {what}"));
}

/// Nothing has happened to the house.
#[track_caller]
fn all_is_well(attic: &Server, kitchen: &Actor) {
    attic.until_peers(1, "paired");
    for event in ["server-stopping", "server-lost", "power-off"] {
        assert!(!kitchen.has(event), "{event}: {:?}", kitchen.events());
    }
    assert_eq!(kitchen.powered_off(), 0);
    assert!(!attic.log().contains("is committed"));
}

fn from(number: u8) -> std::net::IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

fn hello(name: &str) -> Message {
    let (name, capabilities) = (host(name), vec!["bus".into()]);
    Message::Hello(Hello { version: 2, name, identity: Identity(7), program: "stranger".into(), capabilities })
}

fn event(topic: &str) -> Message {
    let id = EventId { node: host("kitchen"), epoch: Epoch(1), sequence: 1 };
    let class = Class { keep: Keep::All, durable: true };
    let body = Body(br#"{"at":1,"fact":"motion","camera":"cam1"}"#.to_vec());
    Message::Events(Batch {
        through: 1,
        events: vec![Event { id, class, topic: topic.into(), ttl: None, body }],
        lost: 0,
    })
}

#[test]
fn a_stranger_cannot_follow_publish_or_command() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut follows = Raw::connect_from(&world, from(60), attic.address());
    follows.say(ClientLine::Hello(host("bath")).encode());
    follows.tell(&hello("bath"));
    follows.until_message(
        "a refusal with the remedy",
        |message| matches!(message, Message::Refused(why) if why.contains("pistop pair --server attic")),
    );
    assert_eq!(follows.until_end(), End::Closed);
    until_told(&world, &attic, "127.0.0.60", "came as bath and is not paired");

    let forged = [(61, "kitchen/evt/camera/motion"), (62, "attic/req/shutdown"), (63, "kitchen/req/ping")];
    for (number, topic) in forged {
        let mut speaks = Raw::connect_from(&world, from(number), attic.address());
        speaks.say(ClientLine::Hello(host("kitchen")).encode());
        speaks.tell(&event(topic));
        speaks.until_end();
    }
    let mut named = Raw::connect_from(&world, from(64), attic.address());
    named.say(ClientLine::Hello(host("kitchen")).encode());
    named.tell(&hello("kitchen"));
    named.tell(&Message::Follow(vec!["#".into()]));
    named.tell(&event("kitchen/evt/camera/motion"));
    named.until_end();
    assert!(!named.messages().iter().any(|message| matches!(message, Message::Events(_) | Message::Beat(_))));
    until_told(&world, &attic, "127.0.0.64", "came as kitchen and is not paired");
    let door = attic.place().path("bus.sock").display().to_string();
    let said = attic.pistop(&["--door", &door, "events", "--json"]);
    assert!(!said.output.contains("cam1") && !said.output.contains("/req/"), "{}", said.output);
    all_is_well(&attic, &kitchen);
}

#[test]
fn a_stranger_cannot_power_anything_off() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut stranger = Raw::connect_from(&world, from(66), attic.address());
    stranger.say("shutdown\n");
    assert_eq!(stranger.until_end(), End::Reset);
    until_told(&world, &attic, "127.0.0.66", "asked for a shutdown in the clear");
    let mut old = Raw::connect_from(&world, from(67), attic.address());
    old.say("wait\n");
    assert_eq!(old.until_end(), End::Reset, "an old client takes a clean end for a shutdown");
    until_told(&world, &attic, "127.0.0.67", "is an old client");
    all_is_well(&attic, &kitchen);
}

/// Answers every link like a server of either kind that goes down at once.
fn liar(world: &World) -> SocketAddr {
    let listener = TcpListener::bind((world.address(), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let id = ShutdownId { epoch: Epoch(99), number: 1 };
    let prepare = Prepare { id, cause: Cause::Shutdown, within: Duration::ZERO, reason: String::new(), drill: false };
    let server = ServerLine::Hello { server: host("attic"), epoch: Epoch(99) }.encode();
    let frames = [hello("attic"), Message::Prepare(prepare), Message::Commit(id), Message::Refused("go away".into())];
    let frames: Vec<u8> = frames.iter().flat_map(frame::encode).collect();
    let lies = [
        b"Connection from 10.0.0.7\nshutdown\n".to_vec(),
        b"shutdown\n".to_vec(),
        Vec::new(),
        [&b"Connection from 10.0.0.7\n"[..], &server, &frames].concat(),
        [server, frame::encode(&Message::Handshake(vec![1; 97]))].concat(),
    ];
    thread::spawn(move || {
        for (link, lie) in listener.incoming().flatten().zip(lies.iter().cycle()) {
            answer(link, lie);
        }
    });
    address
}

fn answer(mut link: TcpStream, lie: &[u8]) {
    let _ = link.set_read_timeout(Some(Duration::from_secs(1)));
    let _ = link.read(&mut [0; 512]);
    let _ = link.write_all(lie);
}

#[test]
fn a_false_server_is_believed_nothing_and_named_once_for_each_reason() {
    let world = World::new();
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").at(liar(&world)).variable("POWER_OFF", "1").variable("POWER_OFF_ON_LOST", "1");
    attic.pairs(plan.place());
    let kitchen = plan.start();
    kitchen.until_log("does not prove that it is attic, with which this machine is paired");
    kitchen.until_log("it ended the link without an answer");
    kitchen.until_log("it says in the clear: go away");
    kitchen.until_log("changed or repeated on the way");
    world.throughout(WHILE, "nothing happens", || kitchen.events().is_empty() && kitchen.powered_off() == 0);
    let reasons: Vec<String> =
        kitchen.log().lines().filter(|line| line.contains("does not prove")).map(Into::into).collect();
    assert!(reasons.len() <= 5, "{reasons:#?}");
    assert!(reasons.iter().enumerate().all(|(at, why)| !reasons[..at].contains(why)), "{reasons:#?}");
}

#[test]
fn a_false_server_in_place_of_one_that_is_up_is_no_shutdown() {
    let world = World::new();
    let attic = world.server("attic").start();
    let between = Between::listening(&world, attic.address());
    let plan = world.client("kitchen").at(between.address()).variable("POWER_OFF", "1");
    attic.pairs(plan.place());
    let kitchen = plan.start();
    kitchen.until_event("server-up/20-mount-share");
    for lie in [&b"shutdown\n"[..], &frame::encode(&Message::Refused("closed".into())), &[0, 0, 0, 17], &[0xff; 64]] {
        let links = between.overheard().len();
        between.says_down(lie);
        between.ends_all();
        world.until("it links anew", || between.overheard().len() > links);
        attic.until_peers(1, "paired");
    }
    // Whoever can cut a link and swallow probes can make a server look lost, and no more than that.
    assert!(!kitchen.has("server-stopping") && !kitchen.has("power-off"), "{:?}", kitchen.events());
    assert_eq!(kitchen.powered_off(), 0);
}

#[test]
fn a_session_that_was_recorded_is_worth_nothing() {
    let world = World::new();
    let attic = world.server("attic").start();
    let between = Between::listening(&world, attic.address());
    let plan = world.client("kitchen").at(between.address());
    attic.pairs(plan.place());
    let kitchen = plan.start();
    kitchen.until_event("server-up/20-mount-share");
    let recorded = || between.overheard()[0].clone();
    world.until("a few beats were recorded", || recorded().up.len() > 400 && recorded().down.len() > 500);
    let recorded = recorded();
    assert!(!String::from_utf8_lossy(&recorded.up).contains("fclient"), "its hello is sealed");

    let mut replays = Raw::connect_from(&world, from(70), attic.address());
    replays.say(&recorded.up);
    replays.until_end();
    until_told(&world, &attic, "127.0.0.70", "came as kitchen and is refused: a handshake does not fit");
    assert!(attic.log().matches("kitchen is here").count() == 1, "and the real one stays");
    all_is_well(&attic, &kitchen);

    // To the client: what the server said, byte by byte.
    let down = recorded.down;
    let listener = TcpListener::bind((world.address(), 0)).unwrap();
    let parrot = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(|link| answer(link, &down)));
    drop(kitchen);
    let kitchen = world.client("kitchen").at(parrot).variable("POWER_OFF", "1").start();
    kitchen.until_log("does not prove that it is attic");
    world.throughout(WHILE, "nothing happens", || kitchen.events().len() <= 2 && kitchen.powered_off() == 0);
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match bytes.windows(from.len()).position(|window| window == from) {
        Some(at) => [&bytes[..at], to, &bytes[at + from.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Whoever is in between leaves the handshake away, or changes what it rests on.
#[test]
fn a_paired_link_cannot_be_made_a_plain_one() {
    let world = World::new();
    let attic = world.server("attic").variable("OLD_PEERS", "any").start();
    let tampers: [(&str, tests::world::between::Tamper); 4] = [
        (
            "as-old",
            |way, bytes| if way == Way::Up { replaced(&bytes, b"wait pistop/2 as-old", b"wait") } else { bytes },
        ),
        ("renamed", |way, bytes| if way == Way::Up { replaced(&bytes, b"renamed\n", b"unnamed\n") } else { bytes }),
        (
            "no-hello",
            |way, bytes| if way == Way::Down { replaced(&bytes, b"pistop/2 attic", b"no hello here") } else { bytes },
        ),
        (
            "other-name",
            |way, bytes| {
                if way == Way::Down { replaced(&bytes, b"pistop/2 attic ", b"pistop/2 ittac ") } else { bytes }
            },
        ),
    ];
    let clients: Vec<Actor> = tampers
        .into_iter()
        .map(|(name, tamper)| {
            let between = Between::new(&world, attic.address(), tamper);
            let plan = world.client(name).at(between.address()).variable("POWER_OFF", "1");
            attic.pairs(plan.place());
            plan.start()
        })
        .collect();
    for client in &clients {
        client.until_log("does not prove that it is attic");
    }
    world.throughout(WHILE, "none of them takes it for the server", || {
        clients.iter().all(|client| client.events().is_empty() && client.powered_off() == 0)
    });
    attic.pistop(&["shutdown"]);
    attic.until_log("is committed");
    world.throughout(WHILE, "nor its end for a shutdown", || {
        clients.iter().all(|client| client.events().is_empty() && client.powered_off() == 0)
    });
}

#[test]
fn a_bit_that_is_changed_on_the_way_is_no_shutdown() {
    let world = World::new();
    let attic = world.server("attic").start();
    // The lines and the handshake pass; a long time after, a byte of each read is changed.
    let between = Between::new(&world, attic.address(), |way, mut bytes| {
        if way == Way::Down && bytes.len() < 60 && bytes.starts_with(&[0, 0, 0]) {
            *bytes.last_mut().unwrap() ^= 1;
        }
        bytes
    });
    let plan = world.client("kitchen").at(between.address()).variable("POWER_OFF", "1");
    attic.pairs(plan.place());
    let kitchen = plan.start();
    world.until("several links were tried", || between.overheard().len() > 2);
    assert!(!kitchen.has("server-stopping") && kitchen.powered_off() == 0);
}

#[test]
fn a_flood_of_links_fills_no_slot_no_memory_and_no_log() {
    let world = World::new();
    let attic = world.server("attic").variable("MAXDAEMONS", "300").variable("MAX_PER_ADDRESS", "200").start();
    let plan = world.client("kitchen").of(&attic);
    attic.pairs(plan.place());
    let kitchen = plan.start();
    attic.until_peers(1, "paired");
    let (memory, lines) = (attic.memory(), attic.log().lines().count());
    let mut crowd = Vec::new();
    for round in 0..1500_u32 {
        let mut raw = Raw::connect_from(&world, from(100 + (round % 5) as u8), attic.address());
        match round % 3 {
            0 => {}
            1 => raw.say(ClientLine::Hello(host("bath")).encode()),
            _ => {
                let _ = raw.offer(&[ClientLine::Hello(host("bath")).encode(), frame::encode(&hello("bath"))].concat());
            }
        }
        crowd.push(raw);
        if crowd.len() > 400 {
            crowd.drain(..100);
        }
    }
    let plan = world.client("bath").of(&attic);
    attic.pairs(plan.place());
    let bath = plan.start();
    bath.until_event("server-up/20-mount-share");
    assert_eq!(kitchen.count("server-up/20-mount-share"), 1);
    assert!(!kitchen.log().contains("broke"), "{}", kitchen.log());
    let said = attic.log().lines().count() - lines;
    assert!(said < 100, "{said} lines for 1500 links: {}", attic.log());
    let grown = attic.memory().saturating_sub(memory);
    assert!(grown < 8 * 1024, "{grown} KiB");
}

#[test]
fn a_flood_of_handshakes_and_of_endless_frames_costs_little() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let memory = attic.memory();
    let first = frame::encode(&Message::Handshake([&[1][..], &[9; 32]].concat()));
    let first = [ClientLine::Hello(host("kitchen")).encode(), first].concat();
    let mut crowd: Vec<Raw> = (0..100).map(|_| Raw::connect_from(&world, from(80), attic.address())).collect();
    crowd.iter_mut().for_each(|raw| drop(raw.offer(&first)));
    until_told(&world, &attic, "127.0.0.80", "tries too many handshakes");
    let endless: [&[u8]; 4] = [&[0xff; 8], &[0, 1, 0, 0, 0xff], &[0, 0, 0xff, 0xff], &[0; 4]];
    for bytes in endless {
        let mut raw = Raw::connect_from(&world, from(81), attic.address());
        raw.say(ClientLine::Hello(host("kitchen")).encode());
        raw.until_heard("pistop/2 attic");
        let _ = raw.offer(bytes);
        let _ = raw.offer(&[7; 200]);
    }
    let mut guesses = Raw::connect_from(&world, from(82), attic.address());
    guesses.say(ClientLine::Hello(host("kitchen")).encode());
    guesses.tell(&Message::Handshake([&[2][..], &[9; 48]].concat()));
    guesses.until_message(
        "that nobody is being paired",
        |message| matches!(message, Message::Refused(why) if why.contains("pistop pair")),
    );
    until_told(&world, &attic, "127.0.0.82", "tried to join as kitchen");
    assert!(attic.memory().saturating_sub(memory) < 4 * 1024);
    all_is_well(&attic, &kitchen);
}
