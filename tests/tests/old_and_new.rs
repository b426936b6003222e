//! Old and new peers together, under the real tcpserver and tcpclient: all must work with all.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use std::{io, thread};
use tests::World;
use tests::world::old::TcpServer;
use tests::world::server::ServerPlan;

/// The control: two old peers, as they are, under the real tools.
#[test]
fn an_old_server_and_an_old_client_work_as_of_old() {
    let world = World::new();
    let attic = world.old_server("attic").start();
    let kitchen = world.old_client("kitchen").behind(&attic).start();
    kitchen.until_event("pistopstart start");
    attic.until_served(&kitchen);
    attic.signal_children(Signal::SIGTERM);
    kitchen.until_event("pistopstart stop");
    assert_eq!(kitchen.events(), ["pistopstart start", "pistopstart stop"]);
}

#[test]
fn a_new_server_tells_an_old_client_on_its_own_line() {
    let world = World::new();
    let mut attic = world.server("attic").hook("clients-released/50-sync-disks", "").start();
    let mut kitchen = world.old_client("kitchen").of(&attic).start();
    attic.until_peers(1, "old");
    assert!(attic.stop(Signal::SIGTERM).success());
    assert!(kitchen.wait_exit().success());
    assert_eq!(kitchen.events(), ["pistopstart start", "pistopstart stop"]);
    assert!(kitchen.log().contains("got command [shutdown]"), "{}", kitchen.log());
    assert_eq!(attic.events(), ["clients-released/50-sync-disks shutdown"]);
}

/// An old client that is still busy with its start hook has said nothing yet, and must be told all the same.
#[test]
fn a_new_server_tells_an_old_client_that_has_not_spoken_yet() {
    let world = World::new();
    let mut attic = world.server("attic").variable("SHUTDOWN_DEADLINE", "20").start();
    let wait = "[ $1 = stop ] || while [ ! -e \"$HOME/go\" ]; do sleep 0.02; done";
    let mut kitchen = world.old_client("kitchen").of(&attic).pistopstart(wait).start();
    kitchen.until_event("pistopstart start");
    attic.until_peers(1, "unclassified");
    attic.signal(Signal::SIGTERM);
    attic.until_log("shutdown");
    attic.until_log(" begins: 0 new and 1 old clients");
    std::fs::write(kitchen.place().home().join("go"), "").unwrap();
    assert!(kitchen.wait_exit().success());
    assert!(attic.wait_exit().success());
    assert_eq!(kitchen.events(), ["pistopstart start", "pistopstart stop"]);
    assert!(attic.log().contains("is committed, 0 late"), "{}", attic.log());
}

/// What an old start script writes to descriptor 7 is in the new server's log, each line once.
#[test]
fn a_new_server_logs_what_an_old_start_script_says() {
    let world = World::new();
    let attic = world.server("attic").start();
    let text = "[ $1 = stop ] || { echo \"Initializing kitchen MDRIVE [/MDrive]\" >&7; echo done >&7; }";
    let _kitchen = world.old_client("kitchen").of(&attic).pistopstart(text).start();
    attic.until_log("says: Initializing kitchen MDRIVE [/MDrive]");
    attic.until_log("says: done");
    attic.until_peers(1, "old");
}

/// tcpserver with `fserver --ucspi` as its program, whose settings are those of the server.
fn gate(world: &World, server: &ServerPlan) -> TcpServer {
    let mut words = server.words();
    words.push("--ucspi".into());
    world.tcpserver("gate").words(words).start()
}

#[test]
fn without_a_server_the_child_of_tcpserver_is_a_plain_announcer() {
    let world = World::new();
    let gate = gate(&world, &world.server("attic"));
    let mut kitchen = world.old_client("kitchen").behind(&gate).start();
    gate.until_served(&kitchen);
    gate.signal_children(Signal::SIGTERM);
    assert!(kitchen.wait_exit().success());
    assert_eq!(kitchen.events(), ["pistopstart start", "pistopstart stop"]);
    let log = kitchen.log();
    assert!(log.contains("got command [Connection from 127.0.0.1]\ngot command [shutdown]\n"), "{log}");
    gate.until_log(" status 0");
}

#[test]
fn with_a_server_the_peers_of_tcpserver_count_like_all_others() {
    let world = World::new();
    let plan = world.server("attic").hook("clients-released/50-sync-disks", "");
    let gate = gate(&world, &plan);
    let mut attic = plan.start();
    let mut kitchen = world.old_client("kitchen").behind(&gate).start();
    attic.until_peers(1, "old");
    let peers = attic.peers();
    assert_eq!((&peers[0]["via"], &peers[0]["address"]), (&"ucspi".into(), &"127.0.0.1".into()));
    let table = attic.pistop(&["status"]).output;
    let row = table.lines().find(|line| line.contains("127.0.0.1")).unwrap();
    assert!(row.contains("old") && row.contains("ucspi"), "{table}");
    assert!(attic.stop(Signal::SIGTERM).success());
    assert!(kitchen.wait_exit().success());
    assert_eq!(kitchen.events(), ["pistopstart start", "pistopstart stop"]);
    assert!(kitchen.log().contains("got command [shutdown]"), "{}", kitchen.log());
    gate.until_children(0);
}

#[test]
fn a_peer_of_tcpserver_outlives_the_server_without_an_end_of_its_link() {
    let world = World::new();
    let plan = world.server("attic").variable("ON_TERM", "restart");
    let gate = gate(&world, &plan);
    let mut attic = plan.start();
    let mut kitchen = world.old_client("kitchen").behind(&gate).start();
    attic.until_peers(1, "old");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        attic.stop(signal);
        attic.start_again();
        world.until("the peer is back", || attic.peers().iter().any(|peer| peer["via"] == "ucspi"));
    }
    assert_eq!((kitchen.ended(), kitchen.events().len()), (None, 1));
    assert!(!kitchen.log().contains("shutdown"), "{}", kitchen.log());
    assert!(kitchen.log().matches("Connection from").count() == 1, "it is greeted once: {}", kitchen.log());
    assert!(attic.pistop(&["shutdown"]).status.success());
    assert!(kitchen.wait_exit().success());
    assert!(kitchen.has("pistopstart stop"));
}

#[test]
fn a_server_that_comes_up_later_finds_the_peers_of_tcpserver() {
    let world = World::new();
    let plan = world.server("attic");
    let gate = gate(&world, &plan);
    let mut peer = gate.connect();
    peer.until_heard("Connection from 127.0.0.1\n");
    peer.say("wait\n");
    let attic = plan.start();
    world.until("the peer has joined", || attic.peers().len() == 1);
    peer.stays_without(Duration::from_millis(200), "shutdown");
}

#[test]
fn a_new_peer_behind_tcpserver_speaks_frames_with_the_server() {
    let world = World::new();
    let plan = world.server("attic");
    let gate = gate(&world, &plan);
    let attic = plan.start();
    let mut peer = gate.connect();
    peer.introduce("kitchen");
    attic.until_peers(1, "new");
    assert_eq!(attic.peers()[0]["via"], "ucspi");
    let mut restart = attic.pistop_begins(&["shutdown", "--restart", "5"]);
    assert_eq!(peer.until_prepared(1).cause, protocol::Cause::Restart);
    peer.report(protocol::message::Stage::Received);
    assert!(restart.wait_exit().success());
}

/// More links than fit into one message between the server and its keeper.
#[test]
fn a_restart_keeps_hundreds_of_old_links() {
    let world = World::new();
    let plan = world.server("attic").variable("ON_TERM", "restart").variable("MAX_PER_ADDRESS", "1000");
    let mut attic = plan.start();
    let mut peers: Vec<_> = (0..300).map(|_| attic.connect()).collect();
    peers.iter_mut().for_each(|peer| peer.say("wait\n"));
    attic.until_peers(300, "old");
    assert!(attic.restart(Signal::SIGTERM).success());
    world.until("all are back through the keeper", || attic.peers().len() == 300);
    assert!(peers.iter_mut().all(|peer| peer.end().is_none()));
    assert!(peers.iter_mut().all(|peer| peer.heard() == "Connection from 127.0.0.1\n"));
    let mut shutdown = attic.pistop_begins(&["shutdown"]);
    peers.iter_mut().for_each(|peer| peer.until_heard("shutdown\n"));
    drop(peers);
    assert!(shutdown.wait_exit().success());
}

#[test]
fn a_new_client_follows_an_old_server_from_its_coming_to_the_power_off() {
    let world = World::new();
    let attic = world.old_server("attic").start();
    let kitchen = world.client("kitchen").behind(&attic).variable("POWER_OFF", "1").start();
    kitchen.until_event("server-up/20-mount-share");
    attic.until_children(1);
    attic.signal_children(Signal::SIGTERM);
    kitchen.until_event("power-off/90-power-off");
    let expected =
        ["server-up/20-mount-share", "server-stopping/50-unmount-share shutdown", "power-off/90-power-off shutdown"];
    assert_eq!(kitchen.events(), expected);
    world.until("it is off", || kitchen.powered_off() == 1);
}

/// Under tcpclient the program ends with its link, so that supervise makes a new one.
#[test]
fn a_new_client_under_tcpclient_follows_an_old_server_once() {
    let world = World::new();
    let attic = world.old_server("attic").start();
    let mut kitchen = world.client("kitchen").behind(&attic).under_tcpclient().start();
    kitchen.until_event("server-up/20-mount-share");
    attic.until_children(1);
    attic.signal_children(Signal::SIGTERM);
    kitchen.wait_exit();
    assert_eq!(kitchen.events(), ["server-up/20-mount-share", "server-stopping/50-unmount-share shutdown"]);
    assert_eq!(kitchen.powered_off(), 0);
}

/// An old server that dies leaves nothing but a clean end of the link, and to an old client that is its shutdown.
#[test]
fn an_old_server_that_closes_without_a_word_has_gone_for_a_new_client_too() {
    let world = World::new();
    let attic = world.old_server("attic").start();
    let kitchen = world.client("kitchen").behind(&attic).variable("POWER_OFF", "1").start();
    kitchen.until_event("server-up/20-mount-share");
    attic.until_children(1);
    attic.signal_children(Signal::SIGKILL);
    kitchen.until_event("power-off/90-power-off closed");
    assert!(kitchen.has("server-stopping/50-unmount-share closed"));
}

#[test]
fn a_new_client_under_tcpclient_speaks_frames_with_a_new_server() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut kitchen = world.client("kitchen").of(&attic).under_tcpclient().variable("POWER_OFF", "1").start();
    attic.until_peers(1, "new");
    kitchen.until_event("server-up/20-mount-share");
    let said = attic.pistop(&["shutdown"]);
    assert!(said.status.success(), "{said:?}");
    assert!(kitchen.wait_exit().success(), "{}", kitchen.log());
    let expected =
        ["server-up/20-mount-share", "server-stopping/50-unmount-share shutdown", "power-off/90-power-off shutdown"];
    assert_eq!((kitchen.events(), kitchen.powered_off()), (expected.map(String::from).to_vec(), 1));
}

/// As behind a tcpclient that speaks TLS: two pipes, on which no socket option can be set.
#[test]
fn descriptors_6_and_7_may_be_two_pipes() {
    let world = World::new();
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").argument("--ucspi");
    let (events, mut command) =
        (plan.place().clone(), plan.under(&["sh", "-c", "exec 6<&0 7>&1; exec \"$@\"", "sh"]).command());
    let ((theirs_in, mut ours_out), (mut ours_in, theirs_out)) = (io::pipe().unwrap(), io::pipe().unwrap());
    let mut kitchen = command.stdin(theirs_in).stdout(theirs_out).spawn().unwrap();
    drop(command);
    let mut link = TcpStream::connect(attic.address()).unwrap();
    let mut back = link.try_clone().unwrap();
    let relays = [
        thread::spawn(move || relay(&mut back, &mut ours_out)),
        thread::spawn(move || {
            relay(&mut ours_in, &mut link);
            let _ = link.shutdown(Shutdown::Write);
        }),
    ];
    attic.until_peers(1, "new");
    world.until("it works", || events.has("server-up/20-mount-share"));
    assert!(attic.pistop(&["shutdown"]).status.success());
    assert!(events.has("server-stopping/50-unmount-share shutdown"));
    drop(attic);
    world.until("the client ends with its link", || kitchen.try_wait().unwrap().is_some());
    relays.into_iter().for_each(|relay| relay.join().unwrap());
}

/// Each piece at once; `io::copy` would splice, and the kernel then holds back what might be followed by more.
fn relay(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// Both sides under the real tools at once.
#[test]
fn a_new_client_under_tcpclient_and_a_new_server_under_tcpserver() {
    let world = World::new();
    let plan = world.server("attic");
    let gate = gate(&world, &plan);
    let attic = plan.start();
    let mut kitchen = world.client("kitchen").behind(&gate).under_tcpclient().start();
    attic.until_peers(1, "new");
    kitchen.until_event("server-up/20-mount-share");
    assert!(attic.pistop(&["shutdown"]).status.success());
    kitchen.wait_exit();
    assert_eq!(kitchen.events(), ["server-up/20-mount-share", "server-stopping/50-unmount-share shutdown"]);
    gate.until_children(0);
}
