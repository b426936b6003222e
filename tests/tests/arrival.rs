//! How soon a client finds its server, and that nobody follows a stranger.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;
use tests::World;

const UP: &str = "server-up/20-mount-share";

/// A group of this world's own, so that tests that run at the same time do not hear each other.
fn group(world: &World) -> SocketAddrV4 {
    SocketAddrV4::new([239, 255, 77, 77].into(), world.free_port())
}

#[test]
fn a_server_that_comes_up_is_found_by_trying() {
    let world = World::new();
    let port = world.free_port();
    let kitchen = world.client("kitchen").at((world.address(), port).into()).start();
    kitchen.until_log("the server is not reached yet: ");
    let _attic = world.server("attic").listen(&format!("{}:{port}", world.address())).start();
    kitchen.until_event(UP);
}

/// A client leaves an old server that has just gone alone for ten seconds; the announcement of its successor at the same
/// address cuts that short.
#[test]
fn an_announcement_brings_a_client_back_at_once() {
    let world = World::new();
    let group = group(&world).to_string();
    let mut old = world.old_server("old").start();
    let kitchen = world.client("kitchen").behind(&old).variable("ANNOUNCE", &group).start();
    kitchen.until_event(UP);
    old.until_children(1);
    old.signal_children(Signal::SIGTERM);
    kitchen.until_log("staying on");
    old.stop(Signal::SIGTERM);
    let _new = world.server("new").variable("ANNOUNCE", &group).listen(&old.address().to_string()).start();
    world.until_within(Duration::from_secs(7), "it is back", || kitchen.count(UP) == 2);
}

/// Anybody can announce anything; a client tries its own server and nobody else's.
#[test]
fn a_strangers_announcement_leads_nowhere() {
    let world = World::new();
    let group = group(&world);
    let attic = world.server("attic").start();
    let kitchen = world.client("kitchen").of(&attic).variable("ANNOUNCE", &group.to_string()).start();
    kitchen.until_event(UP);
    let stranger = UdpSocket::bind("0.0.0.0:0").unwrap();
    for datagram in [&b"pistop/2 up evil 9\n"[..], b"pistop/2 up", b"\xff\xff\n", &[b'x'; 1400]] {
        stranger.send_to(datagram, group).unwrap();
        stranger.send_to(datagram, attic.address()).unwrap();
    }
    world.throughout(Duration::from_millis(500), "nothing happens", || attic.peers().len() == 1);
    assert_eq!(kitchen.events(), [UP]);
}
