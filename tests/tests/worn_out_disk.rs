//! A disk that takes nothing any more, as SD cards end: presence, hooks and power-off go on without it.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use tests::World;
use tests::world::place::Place;

/// Puts another file system on the state directory, and a private one on `/run`, for this program alone.
fn on(place: &Place, state: &str) -> Vec<String> {
    let script = format!("mount -t tmpfs tmpfs /run && {state} && exec \"$@\"");
    let script = script.replace("STATE", &place.path("state").display().to_string());
    ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"].map(String::from).to_vec()
}

const FULL: &str = "mkdir -p STATE && mount -t tmpfs -o size=4k,nr_inodes=2 tmpfs STATE && echo x >STATE/lock";
const READ_ONLY: &str = "mkdir -p STATE && mount -t tmpfs -o ro tmpfs STATE";

#[test]
fn a_house_whose_disks_are_worn_out_still_shuts_down() {
    for (state, told) in [(FULL, "No space left on device"), (READ_ONLY, "Read-only file system")] {
        let world = World::new();
        let plan = world.server("attic").hook("clients-released/50-sync-disks", "");
        let under = on(plan.place(), state);
        let mut attic = plan.under(&under).start();
        attic.until_log(told);
        let plan = world.client("kitchen").of(&attic).variable("POWER_OFF", "1");
        let under = on(plan.place(), state);
        let mut kitchen = plan.under(&under).start();
        kitchen.until_event("server-up/20-mount-share");
        assert!(attic.stop(Signal::SIGTERM).success());
        world.until("kitchen powers off", || kitchen.powered_off() == 1);
        assert_eq!(kitchen.count("power-off/90-power-off shutdown"), 1);
        kitchen.stop(Signal::SIGTERM);
        assert!(kitchen.log().contains(told), "{}", kitchen.log());
    }
}
