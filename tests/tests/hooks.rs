//! Hooks end to end: what runs, in which order, what a hook gets, and that no hook can do harm by how it behaves.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};
use tests::World;
use tests::world::actor::Actor;
use tests::world::client::ClientPlan;
use tests::world::server::Server;

const UP: &str = "server-up/20-mount-share";
const STOP: &str = "server-stopping/50-unmount-share shutdown";

fn house(world: &World, change: impl FnOnce(ClientPlan) -> ClientPlan) -> (Server, Actor) {
    let attic = world.server("attic").start();
    let kitchen = change(world.client("kitchen").of(&attic)).start();
    attic.until_peers(1, "new");
    (attic, kitchen)
}

#[test]
fn hooks_run_in_the_order_of_their_names() {
    let world = World::new();
    let (attic, kitchen) = house(&world, |plan| {
        let plan = plan.hook("server-up/30-start-player", "").hook("server-up/10-check-disk", "");
        plan.hook("server-stopping/60-stop-light", "").hook("server-stopping/40-stop-player", "")
    });
    kitchen.until_event("server-up/30-start-player");
    attic.pistop(&["shutdown"]);
    let expected = [
        "server-up/10-check-disk",
        UP,
        "server-up/30-start-player",
        "server-stopping/40-stop-player shutdown",
        STOP,
        "server-stopping/60-stop-light shutdown",
    ];
    assert_eq!(kitchen.events(), expected);
}

#[test]
fn a_later_directory_replaces_and_switches_off() {
    let world = World::new();
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).hook("server-up/30-start-player", "");
    let (own, theirs) = (plan.place().hooks(), world.path("etc/hooks"));
    fs::create_dir_all(theirs.join("server-up")).unwrap();
    let events = plan.place().events_file();
    let other = format!("#!/bin/sh\necho ours >> '{}'\n", events.display());
    tests::world::executable(&theirs.join(UP), &other);
    symlink("/dev/null", theirs.join("server-up/30-start-player")).unwrap();
    let plan = plan.hook("server-up/40-start-light", "");
    let plan = plan.argument("--hooks").argument(own.to_str().unwrap());
    let kitchen = plan.argument("--hooks").argument(theirs.to_str().unwrap()).start();
    kitchen.until_event("server-up/40-start-light");
    assert_eq!(kitchen.events(), ["ours", "server-up/40-start-light"]);
}

#[test]
fn what_cannot_be_a_hook_is_named_with_the_remedy_and_what_is_none_is_passed_over() {
    const IGNORED: [&str; 4] = ["README", "45-stop-x~", ".46-stop-x", "47-stop-x.dpkg-old"];
    let world = World::new();
    let (attic, kitchen) = house(&world, |plan| {
        let folder = plan.place().hooks().join("server-stopping");
        let plan = plan.hook("server-stopping/40-stop-player", "").hook("server-stopping/late", "");
        fs::set_permissions(folder.join("40-stop-player"), fs::Permissions::from_mode(0o644)).unwrap();
        for ignored in IGNORED {
            fs::write(folder.join(ignored), "").unwrap();
        }
        plan
    });
    kitchen.until_event(UP);
    let said = attic.pistop(&["shutdown", "--deadline", "20"]);
    assert!(said.status.success(), "the share was unmounted, and nobody need wait: {said:?}");
    assert_eq!(kitchen.events(), [UP, STOP], "the others run");
    let folder = kitchen.place().hooks().join("server-stopping");
    let log = kitchen.log();
    assert!(
        log.contains(&format!("run `chmod +x {}`, or remove it", folder.join("40-stop-player").display())),
        "{log}"
    );
    assert!(log.contains("name must be NN-verb-object, as in 20-mount-share; rename "), "{log}");
    for ignored in IGNORED {
        assert!(!log.contains(ignored), "{ignored}: {log}");
    }
    attic.until_log("kitchen: server-stopping/40-stop-player not run: has no run bit");
}

#[test]
fn a_failed_start_does_not_go_on_and_a_failed_stop_does() {
    let world = World::new();
    let (attic, kitchen) = house(&world, |plan| {
        let plan = plan.hook(UP, "exit 100").hook("server-up/30-start-player", "");
        plan.hook("server-stopping/40-stop-player", "exit 7")
    });
    kitchen.until_log("hook server-up/20-mount-share: failed, exit 100");
    attic.pistop(&["shutdown", "--deadline", "2"]);
    kitchen.until_event(STOP);
    assert_eq!(kitchen.events(), [UP, "server-stopping/40-stop-player shutdown", STOP]);
    attic.until_log("kitchen: server-stopping/40-stop-player failed, exit 7");
}

#[test]
fn exit_111_is_tried_again_until_it_works() {
    let world = World::new();
    let text = "event attempt $PISTOP_ATTEMPT; [ $PISTOP_ATTEMPT = 2 ] || exit 111";
    let (_attic, kitchen) = house(&world, |plan| plan.hook(UP, text).hook("server-up/30-start-player", ""));
    kitchen.until_event("server-up/30-start-player");
    assert_eq!(kitchen.events(), [UP, "attempt 1", UP, "attempt 2", "server-up/30-start-player"]);
}

#[test]
fn a_hook_that_hangs_gets_term_then_kill_with_all_its_children() {
    let world = World::new();
    let text = "trap 'event told' TERM; (trap '' TERM; sleep 600 & wait; sleep 600) & while :; do wait; done";
    let (attic, kitchen) =
        house(&world, |plan| plan.hook("server-stopping/40-stop-player", text).variable("HOOK_TIMEOUT", "1"));
    kitchen.until_event(UP);
    let said = attic.pistop(&["shutdown", "--deadline", "20"]);
    assert!(said.output.contains("server-stopping/40-stop-player timed out"), "{said:?}");
    assert_eq!(kitchen.events(), [UP, "server-stopping/40-stop-player shutdown", "told", STOP]);
    world.until("nothing of it is left", || world.processes().iter().all(|words| !words.contains("sleep 600")));
}

#[test]
fn what_a_hook_leaves_running_holds_nobody_up() {
    let world = World::new();
    let text = "sleep 600 & echo it runs";
    let (attic, kitchen) = house(&world, |plan| plan.hook("server-stopping/40-stop-player", text));
    kitchen.until_event(UP);
    let began = Instant::now();
    assert!(attic.pistop(&["shutdown"]).status.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(kitchen.events(), [UP, "server-stopping/40-stop-player shutdown", STOP]);
    assert!(kitchen.log().contains("hook server-stopping/40-stop-player: it runs"), "{}", kitchen.log());
}

#[test]
fn a_flood_of_output_is_cut_and_counted() {
    let world = World::new();
    let text = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; head -c 100000 /dev/zero | tr '\\0' x";
    let (attic, kitchen) = house(&world, |plan| plan.hook("server-stopping/40-stop-player", text));
    kitchen.until_event(UP);
    assert!(attic.pistop(&["shutdown"]).status.success());
    let log = kitchen.log();
    let lines = log.lines().filter(|line| line.contains("40-stop-player: line ")).count();
    assert!((1..=600).contains(&lines), "{lines} lines");
    assert!(log.contains("hook server-stopping/40-stop-player: dropped 2"), "it is said that lines are missing");
    assert!(log.lines().all(|line| line.len() < 1_200), "long lines are cut");
}

#[test]
fn a_hook_that_dies_of_a_signal_is_reported_as_such() {
    let world = World::new();
    let (attic, kitchen) = house(&world, |plan| plan.hook("server-stopping/40-stop-player", "kill -SEGV $$"));
    kitchen.until_event(UP);
    attic.pistop(&["shutdown", "--deadline", "2"]);
    attic.until_log("kitchen: server-stopping/40-stop-player died by signal 11");
    kitchen.until_event(STOP);
}

#[test]
fn a_start_that_is_overtaken_by_a_shutdown_is_cancelled() {
    let world = World::new();
    let never = world.gate("never");
    let text = format!("trap 'event told; exit 1' TERM; {}", never.wait());
    let (attic, kitchen) = house(&world, |plan| plan.hook(UP, &text).hook("server-up/30-start-player", ""));
    kitchen.until_event(UP);
    let began = Instant::now();
    assert!(attic.pistop(&["shutdown"]).status.success());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(kitchen.events(), [UP, "told", STOP]);
}

/// Stop, cancel, stop, cancel while the first stop still runs: one stop, one start, and the last state wins.
#[test]
fn what_comes_and_goes_while_a_row_runs_leaves_no_trace() {
    let world = World::new();
    let gate = world.gate("unmount");
    let (attic, kitchen) = house(&world, |plan| plan.hook("server-stopping/50-unmount-share", &gate.wait()));
    kitchen.until_event(UP);
    for _ in 0..3 {
        let _shutdown = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
        world.until("it is announced", || !attic.status()["server"]["shutdown"].is_null());
        kitchen.until_event(STOP);
        assert!(attic.pistop(&["shutdown", "--cancel"]).status.success());
    }
    gate.open();
    world.until("it works again", || kitchen.count(UP) == 2);
    world.throughout(Duration::from_millis(500), "and that is all", || kitchen.events() == [UP, STOP, UP]);
}

#[test]
fn an_old_start_script_replaces_all_hooks_and_speaks_to_the_server() {
    let world = World::new();
    let report = "event \"cwd=$(pwd) argv0=${0##*/} power=${POWER_OFF:-unset}${POWER_OFF_COMMAND:-unset}\"; echo \"$1 says hello\" >&7; [ -e /proc/self/fd/6 ]";
    let (attic, kitchen) = house(&world, |plan| plan.old_script("pistopstart", report).variable("POWER_OFF", "1"));
    attic.until_log("kitchen says: start says hello");
    assert!(attic.pistop(&["shutdown"]).status.success());
    let cwd = format!("cwd={}/.pistop argv0=pistopstart power=unsetunset", kitchen.place().home().display());
    world.until("it is off", || kitchen.powered_off() == 1);
    let expected = ["pistopstart start", &cwd, "pistopstart stop", &cwd, "power-off/90-power-off shutdown"];
    assert_eq!(kitchen.events(), expected);
}

/// An old server gets those lines as the old client sent them.
#[test]
fn an_old_server_logs_what_a_start_script_of_a_new_client_says() {
    let world = World::new();
    let attic = world.old_server("attic").start();
    let text = "[ $1 = stop ] || echo 'Initializing kitchen MDRIVE [/MDrive]' >&7";
    let _kitchen = world.client("kitchen").behind(&attic).old_script("pistopstart", text).start();
    attic.until_log("Initializing kitchen MDRIVE [/MDrive]\n");
}

#[test]
fn the_four_mount_scripts_run_around_the_mount() {
    let world = World::new();
    let (attic, kitchen) = house(&world, |plan| {
        let scripts = ["pre_mount", "post_mount", "pre_unmount", "post_unmount"];
        let plan = scripts.iter().fold(plan, |plan, script| plan.old_script(script, ""));
        plan.hook("server-up/10-check-disk", "").hook("server-up/30-start-player", "")
    });
    kitchen.until_event("server-up/30-start-player");
    assert!(attic.pistop(&["shutdown"]).status.success());
    let expected = [
        "server-up/10-check-disk",
        "pre_mount",
        UP,
        "post_mount",
        "server-up/30-start-player",
        "pre_unmount",
        STOP,
        "post_unmount",
    ];
    assert_eq!(kitchen.events(), expected);
}

/// The contract in words names everything that a hook gets, and a hook gets everything that it names.
#[test]
fn the_contract_and_what_a_hook_gets_are_the_same() {
    let contract = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks/README.md")).unwrap();
    for variable in protocol::hook::VARIABLES {
        assert!(contract.contains(&format!("| `{variable}` |")), "hooks/README.md does not explain {variable}");
    }
    for event in protocol::hook::HookEvent::ALL {
        assert!(contract.contains(&format!("| `{event}` |")), "hooks/README.md does not explain {event}");
    }
    let world = World::new();
    let report = "env > \"$HOME/env\"; cat > \"$HOME/stdin\"; pwd > \"$HOME/pwd\"";
    let (attic, kitchen) = house(&world, |plan| {
        plan.hook("server-stopping/60-stop-light", report).variable("LCD_FIFO", "/dev/lcd").variable("MINE", "a b")
    });
    kitchen.until_event(UP);
    assert!(attic.pistop(&["shutdown", "--reason", "good\nnight"]).status.success());
    let home = kitchen.place().home();
    let environment = fs::read_to_string(home.join("env")).unwrap();
    let value = |name: &str| environment.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    for variable in protocol::hook::VARIABLES {
        assert!(value(variable).is_some(), "{variable} is missing in {environment}");
    }
    let known = [("PISTOP_EVENT", "server-stopping"), ("PISTOP_CAUSE", "shutdown"), ("PISTOP_SERVER", "attic")];
    let settings =
        [("PISTOP_ATTEMPT", "1"), ("LCD_FIFO", "/dev/lcd"), ("MINE", "a b"), ("PISTOP_REASON", "good\\nnight")];
    for (name, expected) in known.into_iter().chain(settings) {
        assert_eq!(value(name), Some(expected), "{name}");
    }
    assert!((1..=30).contains(&value("PISTOP_DEADLINE").unwrap().parse().unwrap()));
    let facts: Value = serde_json::from_str(&fs::read_to_string(home.join("stdin")).unwrap()).unwrap();
    assert_eq!(
        (&facts["event"], &facts["cause"], &facts["server"]),
        (&"server-stopping".into(), &"shutdown".into(), &"attic".into())
    );
    assert_eq!(facts["id"], value("PISTOP_ID").unwrap());
    assert_eq!(fs::read_to_string(home.join("pwd")).unwrap(), "/\n");
}

/// What a careless parent left open is no business of a hook.
#[test]
fn descriptors_above_2_are_closed() {
    let world = World::new();
    let careless = ["sh", "-c", "exec 9<\"$0\"; exec \"$@\"", "/etc/passwd"];
    let report = "for f in /proc/$$/fd/*; do event \"${f##*/} $(readlink $f)\"; done";
    let (_attic, kitchen) =
        house(&world, |plan| plan.hook(UP, report).hook("server-up/30-start-player", "").under(&careless));
    kitchen.until_event("server-up/30-start-player");
    // 10 and above are the shell's own.
    assert!(kitchen.has("0 ") && kitchen.has("2 "), "{:?}", kitchen.events());
    assert!(kitchen.events().iter().all(|event| !event.contains("/etc/passwd")), "{:?}", kitchen.events());
}

/// A server that was killed may come back while its client still lets go; what it let go of is taken up again.
#[test]
fn letting_go_is_finished_before_the_work_is_taken_up_again() {
    let world = World::new();
    let gate = world.gate("lazily");
    let (mut attic, kitchen) = house(&world, |plan| plan.hook("server-lost/50-unmount-lazily", &gate.wait()));
    kitchen.until_event(UP);
    attic.stop(Signal::SIGKILL);
    kitchen.until_event("server-lost/50-unmount-lazily lost");
    attic.start_again();
    attic.until_peers(1, "new");
    world.throughout(Duration::from_millis(300), "it still lets go", || kitchen.count(UP) == 1);
    gate.open();
    world.until("it works again", || kitchen.count(UP) == 2);
}
