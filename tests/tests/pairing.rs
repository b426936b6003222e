//! A house is closed by pairing its first machine: by commands from end to end, with everything that can go wrong.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::time::Duration;
use tests::World;
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
