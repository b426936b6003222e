//! Limits, and what a peer that is slow, dead or rude costs the others: nothing.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use protocol::Message;
use protocol::line::ClientLine;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tests::World;
use tests::world::network::Network;
use tests::world::raw::{End, Raw};

/// The control: what the limit of tcpserver does when two peers are dead and nobody notices.
#[test]
fn under_tcpserver_two_dead_peers_shut_the_third_one_out() {
    let world = World::new();
    let attic = world.old_server("attic").option("-c2").start();
    let _dead = [attic.connect(), attic.connect()];
    attic.until_children(2);
    let kitchen = world.old_client("kitchen").behind(&attic).start();
    kitchen.until_event("pistopstart start");
    world.throughout(Duration::from_millis(500), "only the dead are served", || attic.children().len() == 2);
    attic.signal_children(Signal::SIGTERM);
    attic.until_children(1);
    assert_eq!(kitchen.events(), ["pistopstart start"], "it was not there when the end was told");
}

#[test]
fn two_dead_new_peers_free_their_slots_when_their_lease_is_over() {
    let world = World::new();
    let attic = world.server("attic").variable("MAXDAEMONS", "2").variable("CLIENT_LEASE", "1.5").start();
    let mut dead = [attic.connect(), attic.connect()];
    dead[0].introduce_as("cellar", 1);
    dead[1].introduce_as("shed", 2);
    attic.until_log("2 peers are here, new ones wait outside; raise MAXDAEMONS to let them in");
    let mut third = attic.connect();
    third.until_heard("Connection from ");
    assert!(attic.log().contains("is gone: no sign of life for "), "{}", attic.log());
    third.introduce_as("kitchen", 3);
    assert!(attic.peers().iter().any(|peer| peer["host"] == "kitchen"));
}

/// An old peer is silent for days, so only TCP can know that it is dead.
#[test]
fn a_dead_old_peer_frees_its_slot_when_tcp_gives_it_up() {
    let world = World::new();
    let (here, there) = (Network::new(&world, "attic"), Network::new(&world, "cellar"));
    here.connect(&there);
    let plan = world.server("attic").variable("MAXDAEMONS", "1").variable("DATA_TIMEOUT", "3");
    let attic = plan.under(&here.words()).listen("10.77.0.1:0").start();
    let cellar = world.old_client("cellar").of(&attic).under(&there.words()).start();
    attic.until_peers(1, "old");
    there.ip("addr del 10.77.0.2/24 dev eth0");
    let kitchen = world.old_client("kitchen").of(&attic).under(&here.words()).start();
    kitchen.until_event("pistopstart start");
    attic.until_log("10.77.0.2 has a broken link: ");
    attic.until_log("10.77.0.2 has a broken link: Connection timed out");
    world.until("the kitchen has the slot", || attic.peers().iter().any(|peer| peer["address"] == "10.77.0.1"));
    assert!(!cellar.has("pistopstart stop"), "the cellar is not told that it is dead");
}

#[test]
fn a_full_house_takes_the_next_one_when_somebody_leaves() {
    let world = World::new();
    let attic = world.server("attic").variable("MAXDAEMONS", "2").start();
    let (mut first, mut second) = (attic.connect(), attic.connect());
    first.until_heard("Connection from ");
    second.until_heard("Connection from ");
    let mut third = attic.connect();
    third.stays_without(Duration::from_millis(300), "Connection");
    first.say("quit\n");
    third.until_heard("Connection from ");
    assert_eq!(first.until_end(), End::Closed);
    assert_eq!(second.end(), None);
}

#[test]
fn one_address_cannot_take_all_slots() {
    let world = World::new();
    let attic = world.server("attic").variable("MAX_PER_ADDRESS", "2").start();
    let mut held = [attic.connect(), attic.connect()];
    held.iter_mut().for_each(|peer| peer.until_heard("Connection from "));
    let mut third = attic.connect();
    assert_eq!(third.until_end(), End::Reset, "an old client takes a clean end for the server's shutdown");
    attic.until_log("127.0.0.1 has 2 links already; refused, raise MAX_PER_ADDRESS");
    let elsewhere = IpAddr::from(Ipv4Addr::new(127, 0, 0, 9));
    Raw::connect_from(&world, elsewhere, attic.address()).until_heard("Connection from 127.0.0.9\n");
    assert!(held.iter_mut().all(|peer| peer.end().is_none()));
    held[0].say("quit\n");
    held[0].until_end();
    attic.connect().until_heard("Connection from ");
}

#[test]
fn a_peer_that_does_not_read_delays_nobody_and_is_ended_at_its_cap() {
    let world = World::new();
    let attic = world.server("attic").variable("CLIENT_LEASE", "600").start();
    let (mut kitchen, mut deaf) = (attic.connect(), Raw::connect_narrow(&world, attic.address()));
    kitchen.introduce_as("kitchen", 1);
    deaf.introduce_as("deaf", 2);
    let reason = "x".repeat(4_000);
    for round in 1.. {
        assert!(round < 400, "the deaf peer is never ended");
        let _announced = attic.pistop_begins(&["shutdown", "--reason", &reason]);
        world.until("the kitchen hears of it", || kitchen.prepares().len() == round);
        kitchen.echo();
        assert!(attic.pistop(&["shutdown", "--cancel"]).status.success());
        if attic.log().contains("deaf does not read: ") {
            break;
        }
    }
    assert!(attic.log().contains(", over the cap of 65536"), "{}", attic.log());
    assert_eq!(kitchen.end(), None);
    assert_eq!(attic.peers().len(), 1);
}

#[test]
fn a_reset_ends_that_peer_alone() {
    let world = World::new();
    let attic = world.server("attic").start();
    let (mut old, mut new) = (attic.connect(), attic.connect());
    old.say("wait\n");
    new.introduce("kitchen");
    let rude = Raw::connect_from(&world, Ipv4Addr::new(127, 0, 0, 9).into(), attic.address());
    attic.until_peers(1, "unclassified");
    rude.reset();
    attic.until_log("127.0.0.9 has a broken link: Connection reset by peer");
    attic.until_peers(0, "unclassified");
    assert_eq!((old.end(), new.end()), (None, None));
}

#[test]
fn lines_may_be_split_and_glued_at_will() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut peer = attic.connect();
    peer.say("Initial");
    attic.until_peers(1, "unclassified");
    peer.say("izing kitchen\r\nInitialized kitchen\nwa");
    attic.until_log("says: Initialized kitchen");
    peer.say("it\nsecond thou");
    attic.until_peers(1, "old");
    peer.say("ght\n");
    attic.until_log("says: second thought");
    let log = attic.log();
    let said: Vec<&str> = log.lines().filter_map(|line| line.split_once(" says: ")).map(|(_, text)| text).collect();
    assert_eq!(said, ["Initializing kitchen", "Initialized kitchen", "second thought"]);
}

#[test]
fn a_hello_may_come_one_byte_at_a_time() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut peer = attic.connect();
    let mut hello = ClientLine::Hello(protocol::HostName::parse("kitchen").unwrap()).encode();
    hello.extend(Raw::hello_frame("kitchen", 1));
    for byte in hello {
        let before = attic.sleeps();
        peer.say([byte]);
        // A byte that has not been read yet would be glued to the next one.
        world.until("the byte is read", || attic.sleeps() > before);
    }
    peer.until_message("a beat", |message| matches!(message, Message::Beat(_)));
    assert_eq!(attic.peers()[0]["host"], "kitchen");
}

#[test]
fn a_shortage_of_files_is_logged_and_waited_out() {
    let world = World::new();
    let attic = world.server("attic").under(&["prlimit", "--nofile=48:48"]).start();
    let mut crowd: Vec<Raw> = (0..60).map(|_| attic.connect()).collect();
    attic.until_log("cannot take a new link: Too many open files");
    attic.until_log("if files are short, raise the limit with ulimit -n");
    let last = crowd.last_mut().unwrap();
    assert_eq!(last.heard(), "", "it waits in the kernel's queue");
    crowd.drain(..57);
    let last = crowd.last_mut().unwrap();
    last.until_heard("Connection from ");
    assert_eq!(attic.peers().len(), 3);
}
