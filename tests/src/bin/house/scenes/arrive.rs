//! Power-on of all three: both clients mount by NFS and play from there.

use crate::house::{BOOT, House, SHARE};
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::player;
use std::io;
use std::time::Duration;

/// All at once, as after a power failure.
pub fn all(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    let on = house.watch.now();
    house.all_play()?;
    let up = house.watch.first(on, "server", "Started fserver.service");
    ledger.within("server", "power-on to fserver started", on, up);
    for client in house.clients() {
        plays(house, ledger, client, up.unwrap_or(on));
    }
    Ok(())
}

/// A client plays, and it does so from the server's disk; `up` is when the server was there.
pub fn plays(house: &House, ledger: &mut Ledger, client: &Machine, up: Duration) {
    let name = client.name();
    ledger.within(name, "server up to playing", up, playing(house, name, up));
    let elapsed = player::plays(client, BOOT);
    ledger.expect(name, "and the piece moves on", elapsed.is_some(), seconds(elapsed));
    let mount = house.mount(client);
    ledger.expect(name, "the share is mounted by NFS 4", mount.is_some(), kind(mount.as_deref()));
    let open = client.says(&format!("readlink /proc/$(pidof mpd)/fd/* | grep -m1 ^{SHARE}/"));
    ledger.expect(name, "mpd has a file of it open", !open.is_empty(), open);
}

/// When the hook of the house had made it play.
pub fn playing(house: &House, client: &str, from: Duration) -> Option<Duration> {
    house.watch.first(from, client, "hook server-up/80-play-music: done")
}

fn seconds(elapsed: Option<f64>) -> String {
    elapsed.map_or("no".into(), |elapsed| format!("{elapsed:.1} s into it"))
}

/// Source and options that matter, of a line of mountinfo.
fn kind(mount: Option<&str>) -> String {
    let Some((_, mounted)) = mount.and_then(|mount| mount.split_once(" - ")) else { return "no".into() };
    let words: Vec<&str> = mounted.split([' ', ',']).filter(|word| telling(word)).collect();
    words.join(" ")
}

fn telling(word: &str) -> bool {
    ["nfs4", "vers=", "soft", "timeo=", "retrans="].iter().any(|part| word.starts_with(part)) || word.contains(":/")
}
