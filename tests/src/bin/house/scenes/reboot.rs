//! The server is rebooted: everybody lets go in time, nobody goes off, and the music returns.

use crate::house::{BOOT, House, PATIENCE};
use crate::ledger::Ledger;
use crate::scenes::{arrive, leave};
use crate::watch::POWER_IS_OFF;
use std::io;
use std::thread;
use std::time::Duration;

/// A client that is about to go off is off by then.
const STILL: Duration = Duration::from_secs(30);

/// `reboot`.
pub fn server(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    let at = house.watch.tell("on the server: reboot");
    leave::typed(&house.server, "reboot")?;
    let down = house.watch.sees(at, "server", "Stopped nfs-server.service", PATIENCE);
    ledger.within("server", "NFS has stopped", at, down);
    for client in house.clients() {
        leave::lets_go_in_time(house, ledger, client, at);
    }
    thread::sleep(STILL);
    for client in house.clients() {
        let off = house.watch.first(at, client.name(), POWER_IS_OFF);
        ledger.expect(client.name(), "stays on", off.is_none(), if off.is_none() { "on" } else { "powers off" });
    }
    let up = down.and_then(|down| house.watch.sees(down, "server", "Started fserver.service", BOOT));
    ledger.within("server", "fserver is started again", at, up);
    house.all_play()?;
    for client in house.clients() {
        arrive::plays(house, ledger, client, up.unwrap_or(at));
    }
    Ok(())
}
