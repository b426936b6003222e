//! A house is closed by pairing its first machine: by commands from end to end, with everything that can go wrong.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;
use tests::World;
use tests::world::control::{Control, Said};
use tests::world::pairing::join;
use tests::world::place::Place;
use tests::world::raw::End;

#[test]
fn a_machine_is_paired_by_two_commands_and_follows_over_a_sealed_link() {
    let world = World::new();
    let attic = world.server("attic").start();
    let kitchen = world.client("kitchen").of(&attic).variable("POWER_OFF", "1").start();
    kitchen.until_event("server-up");
    let offer = attic.offers(&[]);
    assert!(offer.output().contains("1 machine is here that is not paired: kitchen;"), "{}", offer.output());
    let said = join(kitchen.place(), attic.address(), offer.code());
    assert!(said.status.success() && said.output.contains("kitchen is paired with attic"), "{said:?}");
    let said = offer.ends();
    assert!(said.status.success() && said.output.contains("kitchen has joined"), "{said:?}");
    attic.until_peers(1, "paired");
    kitchen.until_log("this machine is paired now; its link is made anew, sealed");
    assert_eq!(kitchen.count("server-lost") + kitchen.count("server-stopping"), 0, "nothing happened to the server");
    assert_eq!(kitchen.count("server-up/20-mount-share"), 1, "and it was there all the time");

    let said = attic.pistop(&["peers"]);
    assert!(said.output.contains("kitchen") && said.output.contains("follow publish:*"), "{said:?}");
    let said = attic.pistop(&["status"]);
    assert!(said.output.contains("closed house: 1 machine is paired; old clients: none"), "{said:?}");

    attic.pistop(&["shutdown"]);
    kitchen.until_event("power-off");
    world.until("it is powered off by the real server", || kitchen.powered_off() == 1);
}

/// Runs `pistop` at the door of this machine's event bus.
fn on_the_bus(place: &Place, arguments: &[&str]) -> Said {
    let door = place.path("bus.sock").display().to_string();
    Control::of(place).pistop(&[&["--door", &door], arguments].concat())
}

fn says_motion(place: &Place) {
    let said = on_the_bus(place, &["publish", "camera/motion", "camera=cam1", "percent=9"]);
    assert!(said.status.success(), "{said:?}");
}

fn events(place: &Place, filter: &str) -> String {
    on_the_bus(place, &["events", "--filter", filter, "--json"]).output
}

#[test]
fn a_code_is_for_one_machine_and_wrong_ones_are_counted() {
    let world = World::new();
    let attic = world.server("attic").start();
    let (kitchen, bath) = (Place::new(&world, "kitchen"), Place::new(&world, "bath"));
    let offer = attic.offers(&[]);
    let other = attic.offers(&[]);
    let said = offer.ends();
    assert!(!said.status.success() && said.error.contains("another `pistop pair` was started"), "{said:?}");
    let said = join(&bath, attic.address(), "000-000-000-000-000-001");
    assert!(said.error.contains("typing error") && said.error.contains("nothing was sent"), "{said:?}");
    let said = join(&bath, attic.address(), "000-000-000-000-000-000");
    assert!(said.error.contains("the code is not the one that this server shows; 4 of 5 tries are left"), "{said:?}");
    world.until("it is told on the server as well", || other.output().contains("bath at 127."));
    assert!(!bath.path("state/server").exists(), "nothing is pinned");
    assert!(join(&kitchen, attic.address(), other.code()).status.success());
    let said = join(&bath, attic.address(), other.code());
    assert!(said.error.contains("run `pistop pair` on this server first"), "{said:?}");
    assert!(other.ends().status.success());
    assert_eq!(fs::read_to_string(attic.list()).unwrap().lines().count(), 1);
}

#[test]
fn a_code_is_void_after_its_tries_and_after_its_time() {
    let world = World::new();
    let attic = world.server("attic").start();
    let kitchen = Place::new(&world, "kitchen");
    let offer = attic.offers(&["--lasts", "60"]);
    for _ in 0..5 {
        assert!(!join(&kitchen, attic.address(), "000-000-000-000-000-000").status.success());
    }
    let said = offer.ends();
    assert!(!said.status.success() && said.error.contains("void after too many wrong tries"), "{said:?}");
    let offer = attic.offers(&["--lasts", "0.3"]);
    let code = offer.code().to_owned();
    let said = offer.ends();
    assert!(!said.status.success() && said.error.contains("run `pistop pair` again"), "{said:?}");
    assert!(!join(&kitchen, attic.address(), &code).status.success());
    assert!(!attic.list().exists(), "the house is as open as before");
    let said = attic.pistop(&["status"]);
    assert!(said.output.contains("open house: anybody on this network may follow and publish"), "{said:?}");
}

#[test]
fn a_code_for_one_name_is_for_nobody_else_and_ends_with_whoever_sees_it() {
    let world = World::new();
    let attic = world.server("attic").start();
    let (kitchen, bath) = (Place::new(&world, "kitchen"), Place::new(&world, "bath"));
    let offer = attic.offers(&["--name", "kitchen"]);
    let said = join(&bath, attic.address(), offer.code());
    assert!(said.error.contains("only a machine named kitchen is being paired here"), "{said:?}");
    let code = offer.code().to_owned();
    drop(offer);
    attic.until_log("the code is void");
    assert!(!join(&kitchen, attic.address(), &code).status.success());
}

#[test]
fn whoever_closes_a_house_in_use_has_to_mean_it() {
    let world = World::new();
    let attic = world.server("attic").start();
    let _bath = world.client("bath").of(&attic).start();
    attic.until_peers(1, "new");
    let said = attic.pistop(&["pair"]);
    assert!(!said.status.success() && said.output.contains("not paired: bath; it will be refused"), "{said:?}");
    assert!(said.error.contains("give --yes"), "{said:?}");
    let said = attic.pistop(&["pair", "--yes", "--roles", "admin"]);
    assert!(said.error.contains("`admin` is no role"), "{said:?}");
}

#[test]
fn a_line_that_is_deleted_ends_the_link_and_one_that_is_changed_holds_at_once() {
    let world = World::new();
    let attic = world.server("attic").start();
    let (kitchen, bath) = (world.client("kitchen").of(&attic), world.client("bath").of(&attic));
    attic.pairs(kitchen.place());
    attic.pairs(bath.place());
    let (kitchen, bath) = (kitchen.start(), bath.start());
    attic.until_peers(2, "paired");
    let list = fs::read_to_string(attic.list()).unwrap();
    let without: String =
        list.lines().filter(|line| !line.starts_with("bath")).map(|line| format!("{line}\n")).collect();
    fs::write(attic.list(), without).unwrap();
    world.until_within(Duration::from_secs(4), "the link ends", || {
        attic.peers().iter().filter(|peer| peer["kind"] == "paired").count() == 1
    });
    bath.until_log("the server refuses this client: bath is paired no longer");
    assert!(!bath.has("server-lost") && !bath.has("server-stopping"), "that is no end of the server");
    assert_eq!(kitchen.count("server-up/20-mount-share"), 1);

    let said = attic.pistop(&["peers", "remove", "kitchen"]);
    assert!(said.error.contains("the last machine") && said.error.contains("--yes"), "{said:?}");
    let said = attic.pistop(&["peers", "remove", "kitchen", "--yes"]);
    assert!(said.status.success() && said.output.contains("the house is open"), "{said:?}");
    kitchen.until_log("kitchen is paired no longer");
    attic.until_log("nobody is paired any more: the house is open");
    let said = attic.pistop(&["peers", "remove", "kitchen"]);
    assert!(said.error.contains("kitchen is not paired"), "{said:?}");
}

#[test]
fn roles_hold_from_end_to_end() {
    let world = World::new();
    let attic = world.server("attic").start();
    let (kitchen, bath) = (world.client("kitchen").of(&attic), world.client("bath").of(&attic));
    attic.pairs_as(kitchen.place(), "follow publish:camera");
    attic.pairs_as(bath.place(), "follow");
    let (kitchen, bath) = (kitchen.start(), bath.start());
    attic.until_peers(2, "paired");
    says_motion(bath.place());
    attic.until_log("bath may not publish events of the family camera; give it the role publish:camera");
    says_motion(kitchen.place());
    world.until("what it may say is heard", || events(attic.place(), "motion").contains("kitchen"));
    assert!(!events(attic.place(), "motion").contains("bath"));
    let said = on_the_bus(kitchen.place(), &["request", "attic", "ping"]);
    assert!(said.status.success(), "{said:?}");
    let said = on_the_bus(kitchen.place(), &["request", "bath", "update"]);
    let why = "bath: refused: kitchen may not command `update`; give it the role command:update";
    assert!(said.status.code() == Some(100) && said.error.contains(why), "{said:?}");
    attic.until_log("kitchen may not command `update`; give it the role command:update");
    on_the_bus(kitchen.place(), &["request", "attic", "shutdown", "--within", "3"]);
    attic.until_log("kitchen may not command `shutdown`; give it the role shutdown");
    assert!(!attic.log().contains(" begins: "));
    let list = fs::read_to_string(attic.list()).unwrap();
    fs::write(attic.list(), list.replace("follow publish:camera", "follow shutdown")).unwrap();
    world.until("new roles hold", || attic.pistop(&["peers"]).output.contains("follow shutdown"));
    on_the_bus(kitchen.place(), &["request", "attic", "shutdown", "--within", "10"]);
    attic.until_log("is committed, 0 late");
}

#[test]
fn a_machine_that_is_not_paired_is_told_how_to_be() {
    let world = World::new();
    let attic = world.server("attic").start();
    attic.pairs(&Place::new(&world, "kitchen"));
    let bath = world.client("bath").of(&attic).start();
    bath.until_log("this house is closed; run `pistop pair` on attic, then `pistop pair --server attic` on bath");
    let offer = attic.offers(&[]);
    assert!(join(bath.place(), attic.address(), offer.code()).status.success());
    bath.until_event("server-up/20-mount-share");
    attic.until_peers(1, "paired");
    assert!(offer.ends().status.success());
}

#[test]
fn an_open_house_is_as_ever() {
    let world = World::new();
    let attic = world.server("attic").start();
    let kitchen = world.client("kitchen").of(&attic).start();
    attic.until_peers(1, "new");
    says_motion(kitchen.place());
    world.until("it is heard", || events(attic.place(), "motion").contains("kitchen"));
    let said = attic.pistop(&["peers"]);
    assert!(said.output.contains("no machine is paired; `pistop pair` pairs one"), "{said:?}");
}

#[test]
fn a_sealed_link_comes_back_after_either_end_was_killed() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic);
    attic.pairs(plan.place());
    let mut kitchen = plan.start();
    attic.until_peers(1, "paired");
    kitchen.restart(Signal::SIGKILL);
    world.until("it is here again", || attic.log().matches("kitchen is here").count() == 2);
    says_motion(kitchen.place());
    world.until("its events come over it", || events(attic.place(), "motion").contains("kitchen"));
    attic.signal(Signal::SIGKILL);
    attic.wait_exit();
    attic.start_again();
    attic.until_peers(1, "paired");
    attic.pistop(&["shutdown"]);
    kitchen.until_event("server-stopping/50-unmount-share shutdown");
}

#[test]
fn children_of_tcpserver_and_tcpclient_carry_sealed_links() {
    let world = World::new();
    let plan = world.server("attic");
    let mut words = plan.words();
    words.push("--ucspi".into());
    let attic = plan.start();
    let door = world.tcpserver("door").program(words.remove(0), &words.iter().map(String::as_str).collect::<Vec<_>>());
    let door = door.start();
    let through = world.client("kitchen").behind(&door);
    let child = world.client("bath").of(&attic).under_tcpclient();
    attic.pairs(through.place());
    attic.pairs(child.place());
    let (kitchen, bath) = (through.start(), child.start());
    attic.until_peers(2, "paired");
    let via = |host: &str| attic.peers().iter().find(|peer| peer["host"] == host).unwrap()["via"].clone();
    assert_eq!((via("kitchen"), via("bath")), ("ucspi".into(), "tcp".into()));
    attic.pistop(&["shutdown"]);
    kitchen.until_event("server-stopping/50-unmount-share shutdown");
    bath.until_event("server-stopping/50-unmount-share shutdown");
}

#[test]
fn a_damaged_list_lets_nobody_in_and_a_damaged_pin_believes_nobody() {
    let world = World::new();
    let plan = world.server("attic");
    fs::write(plan.place().path("authorized_peers"), "kitchen is my favourite\n").unwrap();
    let attic = plan.start();
    attic.until_log("authorized_peers:1: the key of kitchen: ");
    let bath = world.client("bath").of(&attic).start();
    bath.until_log("this house is closed");
    let plan = world.client("kitchen").of(&attic);
    fs::create_dir_all(plan.place().path("state")).unwrap();
    fs::write(plan.place().path("state/server"), "attic\n").unwrap();
    let kitchen = plan.start();
    kitchen.until_log("it does not hold one name and one key; pair again");
    let mut silent = attic.connect();
    silent.until_heard("Connection from ");
    assert!(attic.pistop(&["status"]).output.contains("closed house: 0 machines are paired"));
    assert!(!attic.log().contains("kitchen is here") && kitchen.events().is_empty());
    silent.say("wait\n");
    assert_eq!(silent.until_end(), End::Reset);
}

#[test]
fn an_old_client_that_is_let_in_hears_of_a_shutdown_and_no_more() {
    let world = World::new();
    let mut attic = world.server("attic").variable("OLD_PEERS", "127.0.0.0/8").variable("ON_TERM", "shutdown").start();
    attic.pairs(&Place::new(&world, "kitchen"));
    let mut old = world.old_client("cellar").of(&attic).start();
    attic.until_peers(1, "old");
    let mut stranger = attic.connect();
    stranger.say("shutdown\n");
    attic.until_log("asked for a shutdown in the clear");
    assert!(attic.stop(Signal::SIGTERM).success());
    assert!(old.wait_exit().success());
    assert!(old.log().contains("got command [shutdown]"), "{}", old.log());
}
