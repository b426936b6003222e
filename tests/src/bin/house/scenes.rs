//! The scenes. Each begins with everybody playing, whatever the one before it left behind, and adds to the ledger.

mod arrive;
mod cut;
mod leave;
mod listings;
mod reboot;
mod restart;

use crate::house::House;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::record;
use std::io;
use std::time::Duration;

type Scene = fn(&House, &mut Ledger) -> io::Result<()>;

const SCENES: [(&str, Scene); 7] = [
    ("1. the house is switched on", arrive::all),
    ("2. systemctl restart fserver", restart::by_hand),
    ("3. the package is installed again", restart::by_dpkg),
    ("4. pishutdown -h now", leave::by_pishutdown),
    ("5. somebody types poweroff", leave::by_poweroff),
    ("6. the server's power is cut", cut::server),
    ("7. the server is rebooted", reboot::server),
];

/// Plays those that are wanted, all if none is named; the versions of what they were played with.
pub fn play(house: &House, ledger: &mut Ledger, only: &[usize]) -> String {
    let mut versions = String::new();
    for (number, (title, scene)) in (1..).zip(SCENES) {
        if !only.is_empty() && !only.contains(&number) {
            continue;
        }
        house.watch.tell(&format!("---- {title}"));
        ledger.scene(title);
        if let Err(why) = ready(house, number).and_then(|()| scene(house, ledger)) {
            ledger.expect("house", "the scene is played to its end", false, why);
        }
        if versions.is_empty() {
            versions = record::versions(house);
        }
    }
    versions
}

/// Everybody plays; how that comes to be is what the first scene itself looks at.
fn ready(house: &House, number: usize) -> io::Result<()> {
    match number == 1 || house.all_play()? {
        true => Ok(()),
        false => Err(io::Error::other("not everybody plays, so this scene cannot begin")),
    }
}

/// When the share was unmounted on a client, by its own table of mounts.
fn unmounted(house: &House, client: &Machine, from: Duration) -> Option<Duration> {
    house.watch.last(from, client.name(), "mounts: umount nfs4")
}
