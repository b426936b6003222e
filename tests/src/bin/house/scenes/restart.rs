//! fserver is started anew, by hand and by an upgrade of its package: nothing changes for anybody.

use crate::house::{House, PATIENCE};
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::player::{self, Player};
use std::io;
use std::time::Duration;

/// What must be the same afterwards.
#[derive(PartialEq)]
struct Before {
    mount: Option<String>,
    mpd: String,
}

/// `systemctl restart`.
pub fn by_hand(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    holding_still(house, ledger, "systemctl restart fserver")
}

/// The very package again, as an upgrade does it.
pub fn by_dpkg(house: &House, ledger: &mut Ledger) -> io::Result<()> {
    holding_still(house, ledger, "dpkg -i /house/pistop-common_*.deb /house/fserver_*.deb")
}

fn holding_still(house: &House, ledger: &mut Ledger, command: &str) -> io::Result<()> {
    let before = house.clients().map(|client| (before(house, client), player::of(client)));
    let run = house.server.says("systemctl show --property=MainPID fserver");
    let at = house.watch.tell(command);
    let answer = house.server.ask(command)?;
    ledger.expect("server", command, answer.code == 0, format!("exit code {}", answer.code));
    let now = house.server.says("systemctl show --property=MainPID fserver");
    ledger.expect("server", "fserver runs anew", run != now && now != "MainPID=0", format!("{run}, then {now}"));
    for (client, (before, played)) in house.clients().into_iter().zip(before) {
        held_still(house, ledger, client, at);
        unchanged(house, ledger, client, &before, played);
        let hooks = house.watch.all(at, client.name(), "hook server-").len();
        ledger.expect(client.name(), "no hook ran", hooks == 0, format!("{hooks} lines of hooks"));
    }
    Ok(())
}

fn before(house: &House, client: &Machine) -> Before {
    Before { mount: house.mount(client), mpd: client.says("pidof mpd") }
}

fn held_still(house: &House, ledger: &mut Ledger, client: &Machine, at: Duration) {
    let held = house.watch.sees(at, client.name(), "holding still", PATIENCE);
    ledger.within(client.name(), "holds still", at, held);
    let back = held.and_then(|held| house.watch.sees(held, client.name(), "server up", PATIENCE));
    ledger.within(client.name(), "has the server back", at, back);
}

fn unchanged(house: &House, ledger: &mut Ledger, client: &Machine, before: &Before, played: Option<Player>) {
    let after = self::before(house, client);
    ledger.expect(client.name(), "the very same mount is there", after.mount == before.mount, mount_id(&after));
    ledger.expect(client.name(), "the very same mpd runs", after.mpd == before.mpd, &after.mpd);
    let on = |played: &Player, plays: &Player| plays.state == "play" && plays.elapsed > played.elapsed;
    let plays = player::of(client);
    let elapsed = |player: &Option<Player>| player.as_ref().map_or(0.0, |player| player.elapsed);
    let seen = format!("{:.1} s into the piece, then {:.1} s", elapsed(&played), elapsed(&plays));
    ledger.expect(client.name(), "and has gone on playing", played.zip(plays).is_some_and(|(a, b)| on(&a, &b)), seen);
}

fn mount_id(of: &Before) -> String {
    let id = of.mount.as_deref().and_then(|mount| mount.split(' ').next());
    id.map_or("no mount".into(), |id| format!("mount {id}"))
}
