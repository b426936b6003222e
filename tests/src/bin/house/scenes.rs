//! The scenes. Each begins with everybody playing, whatever the one before it left behind, and adds to the ledger.

use crate::house::{BOOT, House, PATIENCE, SHARE};
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::{player, record};
use std::io;
use std::time::Duration;

type Scene = fn(&House, &mut Ledger) -> io::Result<()>;

const SCENES: [(&str, Scene); 1] = [("1. the house is switched on", switched_on)];

/// Plays those that are wanted, all if none is named; the versions of what they were played with.
///
/// # Errors
/// QEMU does not start, or a door is closed that should be open.
pub fn play(house: &House, ledger: &mut Ledger, only: &[usize]) -> io::Result<String> {
    let mut versions = String::new();
    for (number, (title, scene)) in (1..).zip(SCENES) {
        if number > 1 && !only.is_empty() && !only.contains(&number) {
            continue;
        }
        house.watch.tell(&format!("---- {title}"));
        ledger.scene(title);
        if let Err(why) = scene(house, ledger) {
            ledger.expect("house", "the scene is played to its end", false, why);
        }
        if versions.is_empty() {
            versions = record::versions(house);
        }
    }
    Ok(versions)
}

/// Power-on of all three: both clients mount by NFS and play from there.
fn switched_on(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    let on = house.watch.now();
    house.all_play()?;
    let ready = house.watch.first(on, "server", "Started fserver.service");
    ledger.within("server", "power-on to fserver started", on, ready);
    for client in house.clients() {
        plays_from_the_server(house, ledger, client, on);
    }
    Ok(())
}

fn plays_from_the_server(house: &House, ledger: &mut Ledger, client: &Machine, from: Duration) {
    let elapsed = player::plays(client, BOOT);
    ledger.within(client.name(), "plays, and moves on", from, elapsed.map(|_| house.watch.now()));
    let mount = house.mount(client);
    ledger.expect(client.name(), "the share is mounted by NFS 4", mount.is_some(), mount.unwrap_or("no".into()));
    let open = client.says(&format!("readlink /proc/$(pidof mpd)/fd/* | grep -m1 {SHARE}/"));
    ledger.expect(client.name(), "mpd has a file of it open", !open.is_empty(), open);
    let _ = PATIENCE;
}
