//! Machines on which something is broken, with the hooks that we ship: the stop sequence still ends within its deadline,
//! power-off is reached exactly once, and the log says what was skipped and why.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::World;
use tests::world::actor::Actor;
use tests::world::client::ClientPlan;
use tests::world::server::Server;
use tests::world::{executable, programs};

/// What a shutdown has, and what may come on top on a slow machine.
const DEADLINE: Duration = Duration::from_secs(15);
const SLOW: Duration = Duration::from_secs(15);
/// Ignores everything, and starts something that does so too.
const HANGS: &str = "trap '' TERM; sleep 600 >/dev/null 2>&1 & while :; do wait; done";

fn shipped() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks").display().to_string()
}

/// In place of `pistop` where it drives a supervisor; what is shown and switched is the real one's.
fn supervisor(world: &World, text: &str) {
    let real = programs::find("pistop");
    let script =
        format!("#!/bin/sh\ncase $1 in display|notify|cut-power) exec '{}' \"$@\";; esac\n{text}\n", real.display());
    executable(&world.path("bin/pistop"), &script);
    executable(&world.path("bin/sync"), "#!/bin/sh\n");
}

/// A server, and a client with our hooks that goes down with it.
fn house(world: &World, change: impl FnOnce(ClientPlan) -> ClientPlan) -> (Server, Actor) {
    let mounts = format!("#!/bin/sh\nexec '{}' \"$@\"\n", programs::find("fclient").display());
    executable(&world.path("bin/fclient"), &mounts);
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).variable("HOOKS", &shipped()).variable("POWER_OFF", "1");
    let plan = plan.variable("BACKUP_PID", world.path("run/backup.pid").to_str().unwrap());
    let kitchen = change(plan).start();
    attic.until_peers(1, "new");
    (attic, kitchen)
}

/// The server shuts down: the client is off in time, and once.
#[track_caller]
fn goes_down_once(attic: &Server, kitchen: &Actor) {
    let world = attic.place().world();
    let began = Instant::now();
    attic.pistop(&["shutdown", "--deadline", &DEADLINE.as_secs().to_string()]);
    world.until_within(DEADLINE + SLOW, "the kitchen is off", || kitchen.powered_off() > 0);
    assert!(began.elapsed() < DEADLINE + SLOW, "{:?}", began.elapsed());
    world.throughout(Duration::from_secs(1), "it powers off once", || kitchen.powered_off() == 1);
}

#[track_caller]
fn tells(kitchen: &Actor, lines: &[&str]) {
    for line in lines {
        assert!(kitchen.log().contains(line), "`{line}` is not in:\n{}", kitchen.log());
    }
}

const UP: &str = "server up: run";

#[test]
fn masked_units_are_told_and_passed_over() {
    let world = World::new();
    supervisor(&world, "echo \"unit is masked: $*\" >&2; exit 100");
    let (attic, kitchen) = house(&world, |plan| plan.variable("CAMERAS", "door"));
    kitchen.until_log("hook server-up/30-start-mpd: ");
    goes_down_once(&attic, &kitchen);
    let lines = [
        "30-start-mpd: unit is masked: start --if-present --deadline 30 -- mpd",
        "20-stop-cameras: door is not stopped",
        "30-stop-mpd: mpd.socket is not stopped",
        "30-stop-mpd: mpd is not stopped",
        "hook server-stopping/30-stop-mpd: failed, exit 100",
    ];
    tells(&kitchen, &lines);
}

#[test]
fn a_supervisor_that_hangs_costs_its_share_of_the_time() {
    let world = World::new();
    supervisor(&world, HANGS);
    let (attic, kitchen) = house(&world, |plan| plan.variable("CAMERAS", "door garden"));
    kitchen.until_log(UP);
    goes_down_once(&attic, &kitchen);
    tells(&kitchen, &["20-stop-cameras: garden is not stopped", "30-stop-mpd: mpd is not stopped"]);
    assert!(kitchen.log().contains("hook server-stopping/50-unmount-share: done"), "{}", kitchen.log());
}

#[test]
fn without_pistop_systemctl_and_autofs_it_still_lets_go() {
    let world = World::new();
    // As if it were not there; on this machine it may be.
    executable(&world.path("bin/pistop"), "#!/bin/sh\necho 'pistop: not found' >&2\nexit 127\n");
    let (attic, kitchen) =
        house(&world, |plan| plan.variable("SYSTEMCTL", "/nowhere/systemctl").variable("MDRIVE", "/nowhere/MDrive"));
    kitchen.until_log("hook server-up/20-mount-share");
    goes_down_once(&attic, &kitchen);
    tells(&kitchen, &["10-tell-display: pistop: not found", "30-stop-mpd: mpd is not stopped"]);
}

#[test]
fn a_display_and_a_desktop_that_nobody_reads_are_skipped() {
    let world = World::new();
    supervisor(&world, "");
    let fifo = world.path("lcd");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let (attic, kitchen) = house(&world, |plan| {
        let fifo = fifo.to_str().unwrap();
        plan.variable("LCD_FIFO", fifo).variable("NOTIFY_FIFO", fifo)
    });
    kitchen.until_log("hook server-up/90-tell-display: done");
    goes_down_once(&attic, &kitchen);
    let skipped = format!("10-tell-display: the display at {} is skipped: nobody reads it", fifo.display());
    tells(&kitchen, &[&skipped, "hook power-off/10-tell-display: done"]);
    assert!(kitchen.log().matches("the desktop at ").count() >= 3, "{}", kitchen.log());
}

/// What a client stopped on its own machine does is the same, without the power-off.
#[test]
fn a_local_stop_ends_among_all_of_it() {
    let world = World::new();
    supervisor(&world, HANGS);
    let (_attic, mut kitchen) = house(&world, |plan| {
        plan.variable("SYSTEMCTL", "/nowhere/systemctl").variable("HOOK_TIMEOUT", "10").variable("CAMERAS", "door")
    });
    kitchen.until_log(UP);
    kitchen.stop(Signal::SIGTERM);
    tells(&kitchen, &["20-stop-cameras: door is not stopped", "hook server-stopping/50-unmount-share: done"]);
    assert_eq!(kitchen.powered_off(), 0);
}

/// A state directory on a small disk that is full before anything is written to it.
fn on_a_full_disk(plan: ClientPlan, then: &str) -> ClientPlan {
    let state = plan.place().path("state");
    std::fs::create_dir_all(&state).unwrap();
    let text = format!(
        "mount -t tmpfs -o size=64k none '{0}' && cd '{0}' && {{ cat /dev/zero > filler; cd /; {then} exec \"$0\" \"$@\"; }}",
        state.display()
    );
    let root: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    plan.under(&[&["unshare", "--mount"], root, &["--propagation", "private", "sh", "-c", &text]].concat())
}

#[test]
fn a_full_disk_keeps_nobody_from_letting_go() {
    let world = World::new();
    supervisor(&world, "");
    let (attic, kitchen) = house(&world, |plan| on_a_full_disk(plan, ""));
    kitchen.until_log("hook server-up/90-tell-display: done");
    goes_down_once(&attic, &kitchen);
    tells(&kitchen, &["No space left on device", "hook server-stopping/50-unmount-share: done"]);
}

/// multilog reads nothing more when its disk is full. Whoever waits for it would wait for ever.
#[test]
fn a_log_on_a_full_disk_stops_nobody() {
    let world = World::new();
    supervisor(&world, "");
    let talk = "i=0; while [ $i -lt 400 ]; do printf '%0500d\\n' $i; i=$((i+1)); done";
    let (attic, kitchen) = house(&world, |plan| {
        let (hooks, pipe) = (plan.place().hooks(), plan.place().path("pipe"));
        for event in ["server-up", "server-stopping"] {
            for number in [15, 16] {
                executable(&hooks.join(event).join(format!("{number}-talk-much")), &format!("#!/bin/sh\n{talk}\n"));
            }
        }
        let then = format!(
            "mkfifo '{0}'; multilog '{1}/main' <'{0}' & exec 2>'{0}';",
            pipe.display(),
            plan.place().path("state").display()
        );
        let hooks = format!("{}:{}", shipped(), hooks.display());
        on_a_full_disk(plan, &then).variable("HOOKS", &hooks)
    });
    goes_down_once(&attic, &kitchen);
}

#[test]
fn a_hub_that_is_not_there_is_told_and_the_server_goes_on() {
    let world = World::new();
    supervisor(&world, "");
    let root: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--map-root-user"] };
    let without_systemd = "mount -t tmpfs none /run && exec \"$0\" \"$@\"";
    let under = [&["unshare", "--mount"], root, &["--propagation", "private", "sh", "-c", without_systemd]].concat();
    let plan = world.server("attic").variable("HOOKS", &shipped()).variable("USB_HUB", "99").under(&under);
    let mut attic = plan.start();
    let began = Instant::now();
    assert!(attic.pistop(&["shutdown", "--going-down"]).status.success());
    assert!(began.elapsed() < DEADLINE + SLOW, "{:?}", began.elapsed());
    assert!(attic.stop(Signal::SIGTERM).success());
    let lines = ["there is no hub 99; `uhubctl` lists", "hook clients-released/50-sync-disks: done"];
    for line in lines {
        assert!(attic.log().contains(line), "`{line}` is not in:\n{}", attic.log());
    }
}
