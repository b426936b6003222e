//! The server's power is cut while everybody plays. Nobody was told; the clients find out, detach the share, and `ls` never hangs
//! from then on. When the server is back, so is the music.

use crate::house::{House, PATIENCE, SHARE};
use crate::ledger::Ledger;
use crate::scenes::listings::Listings;
use crate::scenes::{arrive, unmounted};
use std::io;
use std::thread;
use std::time::Duration;

/// How long the listings are watched after the share is gone.
const AFTERWARDS: Duration = Duration::from_secs(20);

/// SIGKILL to QEMU.
pub fn server(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    let listings = house.clients().map(|client| Listings::begin(house, client));
    let at = house.server.cut()?;
    for client in house.clients() {
        let name = client.name();
        let lost = house.watch.sees(at, name, "server lost", PATIENCE);
        ledger.within(name, "has noticed", at, lost);
        let gone = lost.and_then(|_| house.watch.sees(at, name, "mounts: umount nfs4", PATIENCE));
        ledger.within(name, "the share is detached", at, gone);
    }
    thread::sleep(AFTERWARDS);
    for (listings, client) in listings.into_iter().zip(house.clients()) {
        listings?.judge(ledger, at, unmounted(house, client, at).unwrap_or(at));
    }
    for client in house.clients() {
        ledger.expect(client.name(), "stays on", client.is_on(), if client.is_on() { "on" } else { "off" });
        let held = client.says(&format!("grep -c ' {SHARE} .* - nfs4 ' /proc/self/mountinfo; true"));
        ledger.expect(client.name(), "nothing is mounted", held == "0", held);
    }
    recovers(house, ledger)
}

fn recovers(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    let on = house.server.power_on()?;
    house.all_play()?;
    let up = house.watch.first(on, "server", "Started fserver.service");
    ledger.within("server", "power-on to fserver started", on, up);
    for client in house.clients() {
        arrive::plays(house, ledger, client, up.unwrap_or(on));
    }
    Ok(())
}
