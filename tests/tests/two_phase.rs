//! The two-phase shutdown with real programs: what people see, who is waited for, and who powers off when.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use protocol::Message;
use protocol::message::Stage;
use serde_json::Value;
use std::time::Duration;
use tests::World;
use tests::world::actor::Actor;
use tests::world::server::Server;

const UP: &str = "server-up/20-mount-share";
const STOP: &str = "server-stopping/50-unmount-share shutdown";
const OFF: &str = "power-off/90-power-off shutdown";

/// A server and a client that has taken up its work.
fn house(world: &World) -> (Server, Actor) {
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "").start();
    let kitchen = world.client("kitchen").of(&attic).variable("POWER_OFF", "1").start();
    up(&attic, &[&kitchen]);
    (attic, kitchen)
}

fn up(attic: &Server, clients: &[&Actor]) {
    attic.until_peers(clients.len(), "new");
    clients.iter().for_each(|client| client.until_event(UP));
}

/// Where each of these words stands in a text, which must be in this order.
#[track_caller]
fn in_order(text: &str, words: &[&str]) {
    let mut rest = text;
    for word in words {
        let found = rest.split_once(word);
        rest = found.unwrap_or_else(|| panic!("`{word}` is missing or out of order in:\n{text}")).1;
    }
}

#[test]
fn a_shutdown_shows_every_stage_and_how_each_hook_ended() {
    let world = World::new();
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "").start();
    let plan = world.client("kitchen").of(&attic).variable("POWER_OFF", "1");
    let kitchen = plan.hook("server-stopping/40-stop-player", "event $PISTOP_REASON").start();
    up(&attic, &[&kitchen]);
    let said = attic.pistop(&["shutdown", "--reason", "good night"]);
    assert!(said.status.success(), "{said:?}");
    let stages = [
        "received\n",
        "server-stopping/40-stop-player done",
        "stopped\n",
        "server-stopping/50-unmount-share done",
        "unmounted\n",
        "server            committed\n",
        "server            clients-released/50-sync-disks done",
    ];
    in_order(&said.output, &stages);
    assert!(said.output.lines().filter(|line| line.contains(" kitchen ")).count() >= 5, "{}", said.output);
    world.until("it is off", || kitchen.powered_off() == 1);
    let events = [UP, "server-stopping/40-stop-player shutdown", "good night", STOP, OFF];
    assert_eq!(kitchen.events(), events);
}

#[test]
fn status_shows_how_far_everybody_is() {
    let world = World::new();
    let attic = world.server("attic").start();
    let gate = world.gate("unmount");
    let kitchen = world.client("kitchen").of(&attic).hook("server-stopping/50-unmount-share", &gate.wait()).start();
    up(&attic, &[&kitchen]);
    assert_eq!(attic.status()["server"]["shutdown"], Value::Null);
    let mut shutdown = attic.pistop_begins(&["shutdown", "--reason", "night", "--deadline", "60"]);
    world.until("kitchen has stopped its services", || {
        let status = attic.status();
        let part = &status["server"]["shutdown"]["parts"][0];
        part["who"] == "kitchen" && part["stage"] == "stopped" && part["released"] == false
    });
    let status = &attic.status()["server"]["shutdown"];
    assert_eq!((&status["phase"], &status["kind"]), (&"announced".into(), &"shutdown".into()));
    assert_eq!(status["reason"], "night");
    let people = attic.pistop(&["status"]).output;
    assert!(people.contains(" is announced, ") && people.contains("waiting for kitchen"), "{people}");
    gate.open();
    assert!(shutdown.wait_exit().success());
    let peer = &attic.peers()[0];
    assert_eq!(
        peer["last-hook"].get("hook").or(peer["last_hook"].get("hook")).unwrap(),
        "server-stopping/50-unmount-share"
    );
    assert_eq!(attic.status()["server"]["shutdown"]["phase"], "committed");
}

#[test]
fn the_deadline_names_who_hangs_and_the_others_are_not_held_up_by_it() {
    let world = World::new();
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "cat >> \"$HOME/late\"").start();
    let never = world.gate("never");
    let hall = world.client("hall").of(&attic).variable("POWER_OFF", "1").start();
    let cellar = world.client("cellar").of(&attic).hook("server-stopping/50-unmount-share", &never.wait()).start();
    up(&attic, &[&hall, &cellar]);
    let said = attic.pistop(&["shutdown", "--deadline", "3"]);
    assert_eq!(said.status.code(), Some(111), "{said:?}");
    assert!(said.error.contains("not finished: cellar got no further than `stopped`"), "{}", said.error);
    assert!(!said.error.contains("hall"), "{}", said.error);
    world.until("the hall is off", || hall.powered_off() == 1);
    let late = std::fs::read_to_string(attic.place().home().join("late")).unwrap();
    let late: Value = serde_json::from_str(&late).unwrap();
    assert!(late["late"][0].as_str().unwrap().starts_with("cellar got no further"), "{late}");
}

#[test]
fn a_cancelled_shutdown_brings_everybody_back_to_work() {
    let world = World::new();
    let gate = world.gate("unmount");
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "").start();
    let slow = world.client("cellar").of(&attic).hook("server-stopping/50-unmount-share", &gate.wait()).start();
    let quick = world.client("hall").of(&attic).variable("POWER_OFF", "1").start();
    up(&attic, &[&slow, &quick]);
    let mut shutdown = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
    slow.until_event(STOP);
    quick.until_event(STOP);
    let said = attic.pistop(&["shutdown", "--cancel"]);
    assert_eq!((said.status.success(), said.output.as_str()), (true, "cancelled\n"));
    assert_eq!(shutdown.wait_exit().code(), Some(111));
    assert!(shutdown.log().contains("cancelled"), "{}", shutdown.log());
    world.until("the hall works again", || quick.count(UP) == 2);
    gate.open();
    world.until("the cellar works again", || slow.count(UP) == 2);
    assert_eq!(slow.events(), [UP, STOP, UP]);
    assert_eq!((quick.events(), quick.powered_off()), (vec![UP.into(), STOP.into(), UP.into()], 0));
    assert!(attic.events().is_empty());
    let again = attic.pistop(&["shutdown", "--cancel"]);
    assert!(again.error.contains("no shutdown is in progress"), "{}", again.error);
}

#[test]
fn nobody_powers_off_before_the_last_old_client_has_left() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut old = attic.connect();
    old.say("wait\n");
    attic.until_peers(1, "old");
    let mut shutdown = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
    old.until_heard("shutdown\n");
    kitchen.until_event(STOP);
    world.until("kitchen has let go", || shutdown.output().contains("unmounted"));
    let waits = || kitchen.powered_off() == 0 && !shutdown.output().contains("committed");
    world.throughout(Duration::from_millis(500), "the old client is waited for", waits);
    assert!(attic.events().is_empty());
    drop(old);
    assert!(shutdown.wait_exit().success());
    world.until("it is off", || kitchen.powered_off() == 1);
    attic.until_event("clients-released/50-sync-disks");
}

#[test]
fn a_client_that_comes_late_takes_part() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut old = attic.connect();
    old.say("wait\n");
    attic.until_peers(1, "old");
    let mut shutdown = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
    kitchen.until_event(STOP);
    let hall = world.client("hall").of(&attic).variable("POWER_OFF", "1").start();
    hall.until_event(STOP);
    assert_eq!(hall.count(UP), 0, "nothing is taken up from a server that goes");
    drop(old);
    assert!(shutdown.wait_exit().success());
    world.until("both are off", || kitchen.powered_off() == 1 && hall.powered_off() == 1);
}

/// Three hooks; the client is ended in the second one and started again.
fn ended_in_the_middle(signal: Signal, on_term: &str) -> Vec<String> {
    let world = World::new();
    let attic = world.server("attic").start();
    let gate = world.gate("unmount");
    let plan = world.client("kitchen").of(&attic).variable("POWER_OFF", "1").variable("ON_TERM", on_term);
    let plan = plan.hook("server-stopping/40-stop-player", "").hook("server-stopping/50-unmount-share", &gate.wait());
    let mut kitchen = plan.hook("server-stopping/60-stop-light", "").start();
    up(&attic, &[&kitchen]);
    let mut shutdown = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
    kitchen.until_event(STOP);
    kitchen.stop(signal);
    attic.until_peers(0, "new");
    world.throughout(Duration::from_millis(300), "it is waited for", || !shutdown.output().contains("committed"));
    kitchen.start_again();
    world.until("the hook runs again", || kitchen.count(STOP) == 2);
    gate.open();
    assert!(shutdown.wait_exit().success(), "{}", shutdown.log());
    attic.until_log("kitchen reports `bye`");
    kitchen.stop(Signal::SIGKILL);
    kitchen.start_again();
    attic.until_peers(1, "new");
    world.throughout(Duration::from_millis(700), "once is enough", || kitchen.powered_off() == 1);
    kitchen.events()
}

#[test]
fn a_client_that_crashes_in_the_middle_neither_runs_hooks_twice_nor_forgets_them() {
    let events = ended_in_the_middle(Signal::SIGKILL, "");
    let player = "server-stopping/40-stop-player shutdown";
    assert_eq!(events, [UP, player, STOP, STOP, "server-stopping/60-stop-light shutdown", OFF]);
}

#[test]
fn a_client_that_is_restarted_in_the_middle_goes_on_where_it_was() {
    let events = ended_in_the_middle(Signal::SIGTERM, "restart");
    let player = "server-stopping/40-stop-player shutdown";
    assert_eq!(events, [UP, player, STOP, STOP, "server-stopping/60-stop-light shutdown", OFF]);
}

/// Whoever stops the client on its own machine wants it to let go, and the machine to stay on.
#[test]
fn a_client_that_is_stopped_on_its_own_machine_lets_go_and_stays_on() {
    let world = World::new();
    let (attic, mut kitchen) = house(&world);
    assert!(kitchen.stop(Signal::SIGTERM).success());
    assert_eq!(kitchen.events(), [UP, "server-stopping/50-unmount-share local"]);
    assert_eq!(kitchen.powered_off(), 0);
    attic.until_peers(0, "new");
}

#[test]
fn a_drill_goes_through_all_phases_and_changes_nothing() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let hall = world.client("hall").of(&attic).start();
    up(&attic, &[&kitchen, &hall]);
    let mut old = attic.connect();
    old.say("wait\n");
    attic.until_peers(1, "old");
    let mut watcher = attic.connect();
    watcher.introduce("watcher");
    let mut drill = attic.pistop_begins(&["drill"]);
    assert!(watcher.until_prepared(1).drill);
    watcher.report(Stage::Bye);
    assert!(drill.wait_exit().success(), "{}", drill.log());
    let output = drill.output();
    for host in ["kitchen", "hall"] {
        let lines: String = output.lines().filter(|line| line.contains(&format!(" {host} "))).collect();
        in_order(&lines, &["received", "stopped", "server-stopping/50-unmount-share", "unmounted", "bye"]);
    }
    in_order(&output, &["server            committed"]);
    let next = watcher.messages().len();
    watcher.until("the next beat comes", |watcher| watcher.messages().len() > next);
    assert!(!watcher.messages().iter().any(|message| matches!(message, Message::Commit(_))), "nobody is told to go");
    assert_eq!((kitchen.events(), hall.events()), (vec![UP.into()], vec![UP.into()]));
    assert_eq!((old.heard().as_str(), old.end()), ("Connection from 127.0.0.1\n", None));
    assert!(attic.events().is_empty() && kitchen.powered_off() == 0);
    assert_eq!(attic.status()["server"]["shutdown"], Value::Null);
    assert!(attic.pistop(&["shutdown", "--dry-run"]).status.success(), "a drill is over when it is over");
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut old = attic.connect();
    old.say("wait\n");
    attic.until_peers(1, "old");
    let said = attic.pistop(&["shutdown", "--dry-run", "--deadline", "7"]);
    let plan = [
        "would tell kitchen: let go within 7 s, then power off where POWER_OFF is set\n",
        "would tell 127.0.0.1 (old client): `shutdown`\n",
        "would tell attic: then the hooks of clients-released\n",
    ];
    assert_eq!((said.status.success(), said.output), (true, plan.concat()));
    old.stays_without(Duration::from_millis(200), "shutdown");
    assert_eq!(kitchen.events(), [UP]);
    assert_eq!(attic.status()["server"]["shutdown"], Value::Null);
}

#[test]
fn a_restart_powers_nobody_off_and_runs_no_hook() {
    let world = World::new();
    let (mut attic, kitchen) = house(&world);
    let said = attic.pistop(&["shutdown", "--restart", "30"]);
    assert!(said.status.success(), "{said:?}");
    assert!(attic.stop(Signal::SIGTERM).success());
    assert!(attic.log().contains("a restart was announced and its time has not passed"), "{}", attic.log());
    attic.start_again();
    attic.until_peers(1, "new");
    kitchen.until_log("in time");
    assert_eq!((kitchen.events(), kitchen.powered_off()), (vec![UP.into()], 0));
    assert!(attic.events().is_empty());
}

#[test]
fn a_server_that_does_not_return_in_time_is_lost_and_nobody_powers_off() {
    let world = World::new();
    let (mut attic, kitchen) = house(&world);
    assert!(attic.pistop(&["shutdown", "--restart", "2"]).status.success());
    attic.stop(Signal::SIGTERM);
    kitchen.until_event("server-lost/50-unmount-lazily restart");
    kitchen.until_log("the server did not return in the time it named");
    assert_eq!((kitchen.events().len(), kitchen.powered_off()), (2, 0));
}

/// A killed server has said nothing: what it held is let go of, and the machine stays on.
#[test]
fn a_killed_server_is_lost_and_nobody_powers_off() {
    let world = World::new();
    let (mut attic, kitchen) = house(&world);
    attic.stop(Signal::SIGKILL);
    kitchen.until_event("server-lost/50-unmount-lazily lost");
    attic.start_again();
    world.until("it works again", || kitchen.count(UP) == 2);
    assert_eq!((kitchen.events().len(), kitchen.powered_off()), (3, 0));
}

#[test]
fn why_tells_the_last_decision_and_its_evidence() {
    let world = World::new();
    let (mut attic, kitchen) = house(&world);
    world.until("the decision has come", || attic.pistop(&["why", "kitchen"]).output.contains("client: "));
    let said = attic.pistop(&["why", "kitchen"]).output;
    in_order(&said, &[" ago, client: ", "    because run ", " of the server beats"]);
    assert!(said.contains("server: came from 127.0.0.1"), "{said}");
    attic.stop(Signal::SIGKILL);
    kitchen.until_event("server-lost/50-unmount-lazily lost");
    attic.start_again();
    world.until("it tells of the loss", || attic.pistop(&["why", "kitchen"]).output.contains("lost"));
    let said = attic.pistop(&["why", "kitchen"]).output;
    assert!(said.contains("    because the link "), "{said}");
    let unknown = attic.pistop(&["why", "shed"]);
    assert_eq!(unknown.status.code(), Some(100));
    assert!(unknown.error.contains("nothing is known of shed; `pistop status` lists who is here"), "{}", unknown.error);
}

#[test]
fn pistop_without_a_server_names_the_remedy() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    attic.stop(Signal::SIGKILL);
    let said = attic.pistop(&["status"]);
    assert_eq!(said.status.code(), Some(111));
    let remedy = "is fserver running? set CONTROL or --control if its socket is elsewhere";
    assert!(said.error.contains(remedy), "{}", said.error);
}

#[test]
fn a_reboot_lets_go_stays_on_and_takes_up_again() {
    let world = World::new();
    let (mut attic, kitchen) = house(&world);
    let said = attic.pistop(&["shutdown", "--reboot", "120"]);
    assert!(said.status.success(), "{said:?}");
    kitchen.until_log("server starts again, staying on");
    assert!(attic.stop(Signal::SIGTERM).success());
    attic.start_again();
    world.until("kitchen takes up work again", || kitchen.count(UP) == 2);
    assert_eq!((kitchen.events(), kitchen.powered_off()), (vec![UP.into(), STOP.into(), UP.into()], 0));
}
