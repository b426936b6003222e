//! Old and new peers together.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use tests::World;

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
