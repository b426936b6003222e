//! The scenes of the evening, and what each must show.

use crate::broker::BROKER;
use crate::house::{House, NEW, OLD, SERVER};
use crate::ledger::Ledger;
use nix::sys::signal::Signal;
use std::thread;
use std::time::{Duration, Instant};
use tests::world::programs;

const PLANNED: &str = "planned shutdown";
const KILLED: &str = "server killed";
const CUT: &str = "server's cable cut";
const WORD: &str = "a burglar is seen";
const OWN: &str = "own cable cut";

/// The whole evening.
pub fn evening(ledger: &mut Ledger) {
    let mut house = House::new();
    planned(&mut house, ledger);
    killed(&mut house, ledger);
    cut(&mut house, ledger);
    word(&mut house, ledger);
    own_cable(&mut house, ledger);
    house.watch.tell("demo", "good night");
}

/// All mount; one is killed in the middle of letting go, one hangs; the rest goes as it should.
fn planned(house: &mut House, ledger: &mut Ledger) {
    let began = house.watch.tell("demo", "the house is switched on");
    everybody_mounts(house, ledger, PLANNED, began);
    let told = house.watch.tell("demo", "pistop shutdown --deadline 7 --reason 'good night'");
    let mut pistop = house.server.pistop_begins(&["shutdown", "--deadline", "7", "--reason", "good night"]);
    house.sees(told, "cellar", "server-stopping/40-rest");
    house.watch.tell("demo", "fclient of cellar is killed in the middle of a hook, and started again");
    house.client("cellar").stop(Signal::SIGKILL);
    house.start_again("cellar");
    let status = pistop.wait_exit();
    let committed = house.watch.tell("demo", "pistop has ended; this is what it showed:");
    print!("{}", indented(&pistop.output()));
    house.sees(told, "kitchen", "POWERS");
    house.sees(told, SERVER, "clients-released");
    let watch = &house.watch;
    for who in ["kitchen", "bedroom", "cellar", OLD] {
        let released = watch.first(told, SERVER, "clients-released").unwrap_or(committed);
        let unmounted = watch.first(told, who, "share is unmounted");
        ledger.row(
            PLANNED,
            who,
            "unmounted before the server stops",
            "yes",
            yes(unmounted.is_some_and(|at| at < released)),
        );
    }
    let released = watch.first(told, SERVER, "clients-released").unwrap_or_default();
    let off = watch.first(told, "kitchen", "POWERS").unwrap_or_default();
    ledger.row(PLANNED, "kitchen", "powered off", 1, house.clients[0].powered_off());
    ledger.row(
        PLANNED,
        "kitchen",
        "not before all had let go",
        "yes",
        yes(off + Duration::from_millis(100) > released),
    );
    for who in ["bedroom", "cellar"] {
        ledger.row(
            PLANNED,
            who,
            "powered off",
            0,
            house.clients.iter().find(|c| c.place().name() == who).map_or(9, |c| c.powered_off()),
        );
    }
    ledger.row(PLANNED, "cellar", "stop hook 30 ran", "once", times(watch.count(told, "cellar", "server-stopping/30")));
    ledger.row(
        PLANNED,
        "cellar",
        "interrupted hook 40 ended",
        "once",
        times(watch.count(told, "cellar", "server-stopping/40-rest-a-while ends")),
    );
    ledger.row(PLANNED, OLD, "stop script ran", "once", times(watch.count(told, OLD, "pistopstart stop")));
    let named =
        pistop.log().contains("bedroom") && !pistop.log().contains("kitchen") && !pistop.log().contains("cellar");
    ledger.row(PLANNED, SERVER, "names who hangs, and nobody else", "yes", yes(named));
    ledger.row(PLANNED, SERVER, "pistop's exit code", 111, status.code().unwrap_or(-1));
    let status = house.server.stop(Signal::SIGTERM);
    ledger.row(PLANNED, SERVER, "fserver's exit code", 0, status.code().unwrap_or(-1));
}

/// The program dies; its machine, and so the network, lives on.
fn killed(house: &mut House, ledger: &mut Ledger) {
    let began = house.watch.tell("demo", "attic is switched on again");
    house.server.start_again();
    restart_old(house);
    everybody_mounts(house, ledger, KILLED, began);
    let told = house.watch.tell("demo", "fserver is killed with SIGKILL");
    house.server.stop(Signal::SIGKILL);
    for who in NEW {
        house.sees(told, who, "server-lost/30-stop-player lost");
        house.sees(told, who, "share is unmounted");
        let lost = house.watch.first(told, who, "server-lost").map_or(99.0, |at| (at - told).as_secs_f64());
        ledger.at_most(KILLED, who, "noticed as lost within", 0.5, lost);
        ledger.row(KILLED, who, "hooks of server-stopping", 0, house.watch.count(told, who, "server-stopping"));
        ledger.row(KILLED, who, "share", "unmounted", last_of_share(house, told, who));
    }
    house.sees(told, OLD, "pistopstart stop");
    ledger.row(KILLED, OLD, "stop script ran", "once", times(house.watch.count(told, OLD, "pistopstart stop")));
    nobody_more_off(house, ledger, KILLED);
}

/// The cable between server and wire is pulled: nobody says a word.
fn cut(house: &mut House, ledger: &mut Ledger) {
    let began = house.watch.tell("demo", "attic is switched on again");
    house.server.start_again();
    restart_old(house);
    everybody_mounts(house, ledger, CUT, began);
    let told = house.watch.tell("demo", "the cable of attic is pulled");
    house.network.cut(SERVER);
    for who in NEW {
        house.sees(told, who, "server-lost/30-stop-player lost");
        house.sees(told, who, "share is unmounted");
        let lost = house.watch.first(told, who, "server-lost").map_or(99.0, |at| (at - told).as_secs_f64());
        ledger.at_most(CUT, who, "noticed as lost within", 5.0, lost);
        ledger.row(CUT, who, "share", "unmounted", last_of_share(house, told, who));
    }
    ledger.row(CUT, OLD, "stop script ran", "never", times(house.watch.count(told, OLD, "pistopstart stop")));
    nobody_more_off(house, ledger, CUT);
    let mended = house.watch.tell("demo", "the cable of attic is plugged in again");
    house.network.mend(SERVER);
    for who in NEW {
        ledger.row(CUT, who, "is back with the server", "yes", yes(house.sees(mended, who, "share is mounted")));
        house.sees(mended, who, "server-up/30-start-player");
    }
}

/// The cable between kitchen and wire is pulled: kitchen must not accuse the server.
fn own_cable(house: &mut House, ledger: &mut Ledger) {
    let told = house.watch.tell("demo", "the cable of kitchen is pulled, for 8 s");
    house.network.cut("kitchen");
    house.client("kitchen").until_log("self");
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(8) {
        thread::sleep(Duration::from_millis(50));
    }
    let mended = house.watch.tell("demo", "the cable of kitchen is plugged in again");
    house.network.mend("kitchen");
    let name = serde_json::Value::from("kitchen");
    house.world.until("kitchen is back", || {
        let peers = house.server.peers();
        peers.iter().any(|peer| peer["host"] == name && !peer["round_trip"].is_null())
    });
    house.watch.tell("demo", "kitchen is back");
    let hooks = house.watch.since(told, "kitchen").len();
    ledger.row(OWN, "kitchen", "hooks that ran, mounts that changed", 0, hooks);
    ledger.row(OWN, "bedroom", "hooks that ran, mounts that changed", 0, house.watch.since(mended, "bedroom").len());
    nobody_more_off(house, ledger, OWN);
}

/// What a program says on one machine is heard on all others that have a hook for it, and at the broker. One machine is
/// away, and is told when it comes back.
fn word(house: &mut House, ledger: &mut Ledger) {
    house.client("bedroom").stop(Signal::SIGKILL);
    let told =
        house.watch.tell("demo", "fclient of bedroom is killed; on cellar: pistop publish camera/motion camera=cam1");
    let said = publish(house, "cellar", &["camera/motion", "camera=cam1", "percent=12.5"]);
    ledger.row(WORD, "cellar", "pistop's exit code", 0, said);
    let bell = "the bell rings for cam1 at cellar";
    ledger.row(WORD, "kitchen", "its hook of motion runs", "yes", yes(house.sees(told, "kitchen", bell)));
    let took = house.watch.first(told, "kitchen", bell).map_or(99.0, |at| (at - told).as_secs_f64());
    ledger.at_most(WORD, "kitchen", "heard within", 0.5, took);
    let line = house.hears("fs/v1/cellar/evt/camera/motion");
    house.watch.tell(BROKER, line.as_deref().unwrap_or("nothing"));
    ledger.row(WORD, BROKER, "an MQTT subscriber hears it", "yes", yes(line.is_some_and(|line| line.contains("cam1"))));
    let back = house.watch.tell("demo", "fclient of bedroom is started again");
    house.start_again("bedroom");
    ledger.row(WORD, "bedroom", "is told what it missed", "yes", yes(house.sees(back, "bedroom", bell)));
    ledger.row(WORD, "bedroom", "how often", "once", times(house.watch.count(told, "bedroom", bell)));
}

/// What a program of a machine would do; the exit code.
fn publish(house: &House, who: &str, words: &[&str]) -> i32 {
    let on = house.network.on(who);
    let machine = house.clients.iter().find(|client| client.place().name() == who).expect("a client of this house");
    let mut command = house.world.command(&on[0]);
    command.args(&on[1..]).arg(programs::find("pistop")).arg("publish").args(words);
    command.env("DOOR", machine.place().path("bus.sock"));
    command.output().map_or(-1, |output| output.status.code().unwrap_or(-1))
}

fn everybody_mounts(house: &mut House, ledger: &mut Ledger, scene: &'static str, since: Duration) {
    for who in ["kitchen", "bedroom", "cellar", OLD] {
        let mounts = house.sees(since, who, "share is mounted");
        ledger.row(scene, who, "mounts when the server comes", "yes", yes(mounts));
    }
    for who in NEW {
        house.sees(since, who, "server-up/30-start-player");
    }
}

/// The old client's program ends with its link; what supervise does for it, the demo does here.
fn restart_old(house: &mut House) {
    house.old.wait_exit();
    house.start_again(OLD);
}

fn nobody_more_off(house: &House, ledger: &mut Ledger, scene: &'static str) {
    let off: usize = house.clients.iter().map(|client| client.powered_off()).sum();
    ledger.row(scene, "all", "power-offs in this scene", 0, off - 1);
}

fn last_of_share(house: &House, since: Duration, who: &str) -> &'static str {
    let last = house.watch.since(since, who).into_iter().rfind(|seen| seen.what.starts_with("share is"));
    match last {
        Some(seen) if seen.what.ends_with("unmounted") => "unmounted",
        _ => "mounted",
    }
}

fn yes(so: bool) -> &'static str {
    if so { "yes" } else { "no" }
}

fn times(count: usize) -> String {
    match count {
        0 => "never".into(),
        1 => "once".into(),
        many => format!("{many} times"),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("              | {line}\n")).collect()
}
