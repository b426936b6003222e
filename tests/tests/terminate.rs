//! What SIGTERM means, under the real supervise and without it.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use protocol::message::Stage;
use protocol::{Cause, Message};
use std::time::Duration;
use tests::World;
use tests::world::raw::Raw;
use tests::world::service::Service;

fn new_peer(world: &World, service: &Service) -> Raw {
    let mut peer = Raw::connect(world, service.address());
    peer.introduce("kitchen");
    peer
}

#[test]
fn svc_d_is_a_shutdown() {
    let world = World::new();
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "").start_as_service();
    let mut peer = new_peer(&world, &attic);
    attic.svc("-d");
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    peer.report(Stage::Unmounted);
    peer.until_message("a commit", |message| matches!(message, Message::Commit(_)));
    attic.until_svstat("down ");
    attic.until_log("told to end; this is a shutdown: supervise wants this service down");
    assert_eq!(attic.place().events(), ["clients-released/50-sync-disks shutdown"]);
    let stamped = attic.log().lines().all(|line| line.starts_with("@4000"));
    assert!(stamped, "multilog stamps each line: {}", attic.log());
}

#[test]
fn svc_t_is_a_restart_and_old_clients_keep_their_link() {
    let world = World::new();
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "").start_as_service();
    let mut peer = new_peer(&world, &attic);
    let mut kitchen = world.old_client("old-kitchen").at(attic.address()).start();
    let hall = world.client("hall").at(attic.address()).variable("POWER_OFF", "1").start();
    hall.until_event("server-up/20-mount-share");
    attic.until_peers(1, "old");
    let before = attic.pid();
    attic.svc("-t");
    assert_eq!(peer.until_prepared(1).cause, Cause::Restart);
    peer.report(Stage::Received);
    world.until("supervise has started it again", || attic.pid().is_some_and(|pid| Some(pid) != before));
    attic.until_log("told to end; this is a restart: supervise wants this service up");
    peer.until_end();
    assert!(!peer.messages().iter().any(|message| matches!(message, Message::Commit(_))));
    world
        .until("the old client is back through the keeper", || attic.peers().iter().any(|peer| peer["via"] == "ucspi"));
    assert_eq!(kitchen.ended(), None);
    assert_eq!(kitchen.events(), ["pistopstart start"]);
    assert!(attic.place().events().is_empty(), "nobody was released");
    hall.until_log("in time");
    assert_eq!((hall.events().len(), hall.powered_off()), (1, 0), "a new client runs no hook");
    attic.svc("-d");
    assert!(kitchen.wait_exit().success());
    assert_eq!(kitchen.events(), ["pistopstart start", "pistopstart stop"]);
    assert!(kitchen.log().contains("got command [shutdown]"), "{}", kitchen.log());
    attic.until_svstat("down ");
}

#[test]
fn svc_o_and_its_end_is_a_shutdown() {
    let world = World::new();
    let attic = world.server("attic").start_as_service();
    let mut peer = new_peer(&world, &attic);
    attic.svc("-o");
    attic.svc("-t");
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    peer.report(Stage::Unmounted);
    attic.until_svstat("down ");
    attic.until_log("this is a shutdown: supervise was told to run this service once");
}

#[test]
fn in_the_foreground_sigterm_is_a_shutdown() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    let mut peer = attic.connect();
    peer.introduce("kitchen");
    attic.signal(Signal::SIGTERM);
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    peer.report(Stage::Unmounted);
    assert!(attic.wait_exit().success());
    let verdict = "told to end; this is a shutdown: no supervisor is known that would start this program again";
    assert!(attic.log().contains(verdict), "{}", attic.log());
}

#[test]
fn on_term_overrides_what_would_be_found_out() {
    let world = World::new();
    let mut attic = world.server("attic").variable("ON_TERM", "restart").start();
    let mut peer = attic.connect();
    peer.introduce("kitchen");
    attic.until_peers(1, "new");
    attic.signal(Signal::SIGTERM);
    assert_eq!(peer.until_prepared(1).cause, Cause::Restart);
    peer.report(Stage::Received);
    assert!(attic.wait_exit().success());
    assert!(attic.log().contains("this is a restart: ON_TERM is `restart`"), "{}", attic.log());

    let cellar = world.server("cellar").variable("ON_TERM", "shutdown").start_as_service();
    let mut peer = new_peer(&world, &cellar);
    cellar.svc("-t");
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    peer.report(Stage::Unmounted);
    cellar.until_log("this is a shutdown: ON_TERM is `shutdown`");
}

#[test]
fn a_word_that_on_term_does_not_know_is_named_and_ignored() {
    let world = World::new();
    let mut attic = world.server("attic").variable("ON_TERM", "sleep").start();
    assert!(attic.stop(Signal::SIGTERM).success());
    let told = "ON_TERM is `sleep`, which is ignored; set it to shutdown, restart or reboot; no supervisor is known";
    assert!(attic.log().contains(told), "{}", attic.log());
}

#[test]
fn a_second_sigterm_changes_nothing_and_a_second_interrupt_ends_at_once() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    let mut peer = attic.connect();
    peer.introduce("kitchen");
    attic.signal(Signal::SIGTERM);
    peer.until_prepared(1);
    attic.signal(Signal::SIGTERM);
    attic.until_log("already ending");
    peer.stays_without(Duration::from_millis(200), "shutdown\n");
    attic.signal(Signal::SIGINT);
    attic.wait_exit();
    assert!(attic.log().contains("interrupted again: ending without waiting for anybody"), "{}", attic.log());
}

#[test]
fn why_tells_the_verdict_of_the_server_itself() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    let mut peer = attic.connect();
    peer.introduce("kitchen");
    attic.signal(Signal::SIGTERM);
    peer.until_prepared(1);
    let said = attic.pistop(&["why", "attic"]);
    assert!(said.output.contains("server: ends by shutdown\n    because no supervisor is known"), "{said:?}");
}
