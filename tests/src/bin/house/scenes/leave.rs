//! The server goes down as it should: clients stop playing and unmount while it still serves, the one with POWER_OFF really goes
//! off, and only then NFS stops and the server goes off.

use crate::house::{House, PATIENCE};
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::scenes::listings::Listings;
use crate::scenes::unmounted;
use crate::watch;
use std::io;
use std::time::Duration;

/// What NFS says first when it goes.
const NFS_GOES: &str = "Stopping nfs-server.service";
/// And last.
const NFS_IS_GONE: &str = "Stopped nfs-server.service";

/// By the wrapper.
pub fn by_pishutdown(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    goes_down(house, ledger, "pishutdown -h now")
}

/// By somebody who has never heard of it.
pub fn by_poweroff(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    goes_down(house, ledger, "poweroff")
}

fn goes_down(house: &House, ledger: &mut Ledger, command: &str) -> io::Result<()> {
    let samples = Listings::begin(house, &house.kitchen)?;
    let at = house.watch.tell(&format!("on the server: {command}"));
    typed(&house.server, command)?;
    let off = house.server.goes_off(at, PATIENCE);
    let attic = house.attic.goes_off(at, PATIENCE);
    for client in house.clients() {
        lets_go_in_time(house, ledger, client, at);
    }
    ledger.within("attic", "has powered itself off", at, attic);
    let served = house.watch.first(at, "server", NFS_IS_GONE);
    ledger.within("server", "NFS has stopped", at, served);
    ledger.within("server", "has powered itself off", at, off);
    ledger.order("server", "NFS stops, then the power goes", served, off);
    stays_on(house, ledger, &samples, at);
    Ok(())
}

/// As on a terminal: nobody waits for its end, which the machine may not live to see.
pub fn typed(machine: &Machine, command: &str) -> io::Result<()> {
    let told = command.split(' ').next().unwrap_or_default();
    machine.ask(&format!("({command} 2>&1 | sed -u 's/^/{told}: /' >/dev/ttyS0) >/dev/null 2>&1 &")).map(|_| ())
}

/// mpd stopped, then unmounted, and only then the server's NFS stopped.
pub fn lets_go_in_time(house: &House, ledger: &mut Ledger, client: &Machine, at: Duration) {
    let name = client.name();
    let silent = house.watch.first(at, name, "Stopped mpd.service");
    let gone = unmounted(house, client, at);
    let nfs = house.watch.first(at, "server", NFS_GOES);
    ledger.within(name, "mpd has stopped", at, silent);
    ledger.within(name, "the share is unmounted", at, gone);
    ledger.order(name, "mpd stops, then the share goes", silent, gone);
    ledger.order(name, "unmounted, then NFS stops on the server", gone, nfs);
}

/// The kitchen has no POWER_OFF.
fn stays_on(house: &House, ledger: &mut Ledger, samples: &Listings, at: Duration) {
    let kitchen = &house.kitchen;
    let empty = watch::until(PATIENCE, || house.mount(kitchen).is_none().then_some(()));
    ledger.expect(
        "kitchen",
        "stays on, without the share",
        kitchen.is_on() && empty.is_some(),
        if kitchen.is_on() { "on" } else { "off" },
    );
    let mpd = kitchen.ask("systemctl is-active mpd.service").map(|answer| answer.text).unwrap_or_default();
    ledger.expect("kitchen", "mpd is silent", mpd.trim() == "inactive", mpd.trim());
    samples.judge(ledger, at, at);
}
