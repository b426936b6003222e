//! `pistop service add`, `del` and `list`, with the real svscan, supervise, multilog, and our own programs under them.
#![allow(clippy::unwrap_used, missing_docs)]

use protocol::message::Stage;
use protocol::{Cause, Message};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tests::World;
use tests::world::raw::Raw;
use tests::world::services::Services;
use tests::world::{executable, programs};

/// Settings that keep an fserver inside of its world.
struct Inside {
    address: SocketAddr,
    words: Vec<String>,
}

impl Inside {
    fn new(world: &World, program: &str) -> Inside {
        Inside::at(world, program, SocketAddr::new(world.address(), world.free_port()))
    }

    fn at(world: &World, program: &str, address: SocketAddr) -> Inside {
        let mut words = vec!["--host".into(), address.ip().to_string(), "--port".into(), address.port().to_string()];
        let place = |name: &str| world.path(&format!("{program}/{name}")).display().to_string();
        let hooks = [("ANNOUNCE", "off".to_owned()), ("HOOKS", place("hooks")), ("NAME", program.to_owned())];
        let paths = [("CONTROL", place("control.sock")), ("STATE_DIR", place("state")), ("HOME", place("home"))];
        for (name, value) in hooks.into_iter().chain(paths) {
            words.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        fs::create_dir_all(place("hooks")).unwrap();
        Inside { address, words }
    }

    fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

/// A service of two lines, for all that is not about our programs.
const LAMP: &[(&str, &str)] = &[
    ("run", "#!/bin/sh\necho 'the lamp is on'\nexec sleep 1000\n"),
    ("log/run", "#!/bin/sh\nexec multilog t ./main\n"),
    ("variables/COLOUR", "red\n"),
    ("variables/SWITCH", ""),
];

fn lamp(world: &World) -> Services {
    let services = Services::new(world);
    services.template("lamp", LAMP);
    services
}

#[test]
fn what_is_added_runs_and_announces_how_it_ends() {
    let world = World::new();
    let services = Services::new(&world).watched();
    let inside = Inside::new(&world, "fserver");
    services.add("fserver", &inside.words());
    services.until_log("fserver", "listening on ");
    services.until_svstat("fserver", "up (pid ");
    assert!(services.log("fserver").lines().all(|line| line.starts_with("@4000")), "{}", services.log("fserver"));

    let mut peer = Raw::connect(&world, inside.address);
    peer.introduce("kitchen");
    services.tool("svc", &["-t"], "fserver");
    assert_eq!(peer.until_prepared(1).cause, Cause::Restart);
    peer.report(Stage::Received);
    peer.until_end();
    world.until("it listens again", || services.log("fserver").matches("listening on ").count() == 2);

    // As in the script of a house that was set up long ago: some of the services that it names are not there.
    let mut peer = Raw::connect(&world, inside.address);
    peer.introduce("kitchen");
    let mut svc = world.command("svc");
    svc.arg("-d").arg(services.path("fserver")).arg(services.path("mpdev"));
    svc.output().unwrap();
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    peer.report(Stage::Unmounted);
    peer.until_message("a commit", |message| matches!(message, Message::Commit(_)));
    services.until_svstat("fserver", "down ");
}

#[test]
fn a_server_and_a_client_that_were_added_find_each_other_and_pistop_restarts_and_stops_them() {
    let world = World::new();
    let services = Services::new(&world).watched();
    let server = Inside::new(&world, "fserver");
    let client = Inside::at(&world, "fclient", server.address);
    executable(&world.path("fclient/hooks/server-up/20-note-arrival"), "#!/bin/sh\necho up\n");
    executable(&world.path("fclient/hooks/server-stopping/50-note-end"), "#!/bin/sh\necho \"let go: $PISTOP_CAUSE\"\n");
    services.add("fserver", &server.words());
    services.add("fclient", &client.words());
    services.until_log("fclient", "20-note-arrival");
    executable(&world.path("fclient/hooks/power-off/90-note-power"), "#!/bin/sh\necho 'powered off'\n");
    fs::write(services.path("fclient/variables/POWER_OFF"), "1\n").unwrap();
    assert!(services.pistop(&["restart", "fclient"]).status.success());
    world.until("the client is back", || services.log("fclient").matches("linked with").count() == 2);
    let restarted = services.pistop(&["restart", "fserver"]);
    assert!(restarted.status.success() && restarted.output.contains("fserver: up (pid "), "{restarted:?}");
    services.until_log("fserver", "this is a restart: supervise wants this service up");
    services.until_log("fclient", "in time");
    let stopped = services.pistop(&["stop", "fserver"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(services.svstat("fserver").starts_with("down "), "it waits until the service is down");
    services.until_log("fclient", "let go: shutdown");
    services.until_log("fclient", "powered off");
}

#[test]
fn what_would_be_done_is_what_is_done() {
    let world = World::new();
    let services = lamp(&world);
    let flags = ["--host", "attic", "--set", "COLOUR=blue"];
    let before = services.tree();
    let would = services.add("lamp", &[&flags[..], &["--dry-run"]].concat());
    assert_eq!(services.tree(), before);
    assert!(!world.path("logs/x").with_file_name("lamp").exists(), "no folder for logs either");
    assert_eq!(would.replace("would ", ""), services.add("lamp", &flags));
    assert_eq!(services.text("lamp/variables/COLOUR"), "blue\n");
    fs::write(services.path("lamp/variables/HOST"), "cellar\n").unwrap();
    fs::write(services.path("lamp/variables/MORE"), "1\n").unwrap();
    let change = ["--host", "roof", "--port", "7"];
    let would = services.add("lamp", &[&change[..], &["--dry-run"]].concat());
    assert!(
        would.contains("would write variables/HOST: it was `cellar`, set by hand; the flag goes over it"),
        "{would}"
    );
    assert_eq!(services.text("lamp/variables/HOST"), "cellar\n");
    assert_eq!(would.replace("would ", ""), services.add("lamp", &change));
    let would = services.del("lamp", &["--dry-run"]).output;
    assert!(would.contains("would save variables/MORE") && services.path("lamp/run").exists(), "{would}");
    let undated = |text: &str| {
        text.split_inclusive('\n').map(|line| line.split("lamp-2").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(undated(&would.replace("would ", "")), undated(&services.del("lamp", &[]).output));
}

#[test]
fn added_twice_nothing_changes() {
    let world = World::new();
    let services = lamp(&world);
    services.add("lamp", &["--host", "attic"]);
    let before = services.tree();
    let said = services.add("lamp", &[]);
    assert_eq!(said, format!("{} is unchanged\n", services.path("lamp").display()));
    assert_eq!(services.tree(), before, "no file was even replaced by an equal one");
}

#[test]
fn edits_stay_and_removed_files_stay_away_until_a_flag_says_otherwise() {
    let world = World::new();
    let services = lamp(&world);
    services.add("lamp", &["--host", "attic"]);
    fs::write(services.path("lamp/variables/COLOUR"), "green\n").unwrap();
    fs::remove_file(services.path("lamp/variables/SWITCH")).unwrap();
    services.template(
        "lamp",
        &[("run", "#!/bin/sh\necho new\n"), ("variables/COLOUR", "yellow\n"), ("variables/SIZE", "3\n")],
    );
    let said = services.add("lamp", &[]);
    for line in
        ["write run: there is a newer one", "write variables/SIZE", "keep variables/COLOUR: it was edited by hand"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(said.contains("keep variables/SWITCH: it was removed by hand and stays away"), "{said}");
    assert_eq!(services.text("lamp/run"), "#!/bin/sh\necho new\n");
    assert_eq!(services.text("lamp/variables/COLOUR"), "green\n");
    assert_eq!(services.text("lamp/variables/HOST"), "attic\n", "what a flag set once stands");
    assert!(!services.path("lamp/variables/SWITCH").exists());
    services.add("lamp", &["--set", "COLOUR=white", "--set", "SWITCH=on"]);
    assert_eq!(services.text("lamp/variables/COLOUR") + &services.text("lamp/variables/SWITCH"), "white\non\n");
}

#[test]
fn what_others_may_not_read_they_cannot_read_in_the_manifest() {
    let world = World::new();
    let services = lamp(&world);
    services.add("lamp", &["--set", "PASSWORD=old"]);
    let mode = |file: &str| fs::metadata(services.path(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("lamp/.pistop-manifest"), 0o644);
    fs::set_permissions(services.path("lamp/variables/PASSWORD"), fs::Permissions::from_mode(0o600)).unwrap();
    services.add("lamp", &["--set", "PASSWORD=new"]);
    assert!(services.text("lamp/.pistop-manifest").contains("new"));
    assert_eq!((mode("lamp/variables/PASSWORD"), mode("lamp/.pistop-manifest")), (0o600, 0o600));
}

#[test]
fn an_old_service_directory_is_taken_over_and_nothing_of_it_is_lost() {
    let world = World::new();
    let services = Services::new(&world);
    let old = |path: &str, text: &str| executable(&services.path("fclient").join(path), text);
    old("run", "#!/bin/sh\nexec envdir variables tcpclient $HOST $PORT pistopclient\n");
    old("shutdown", "#!/bin/sh\nkillall pistopstart\n");
    old("log/run", "#!/bin/sh\nexec multilog t /var/log/svc/fclient\n");
    for (name, text) in [("HOST", "192.168.2.101\n"), ("POWER_OFF", "1\n"), ("DATA_TIMEOUT", "30\n")] {
        fs::create_dir_all(services.path("fclient/variables")).unwrap();
        fs::write(services.path("fclient/variables").join(name), text).unwrap();
    }
    let said = services.add("fclient", &["--supervisor", "daemontools"]);
    assert!(said.contains("rename run to run.before-pistop: it was not written by pistop"), "{said}");
    assert!(services.text("fclient/run.before-pistop").contains("pistopclient"));
    assert!(services.text("fclient/shutdown.before-pistop").contains("killall"));
    assert!(!services.path("fclient/shutdown").exists(), "indimail's supervise would run it");
    assert!(services.text("fclient/run").contains("exec fclient"));
    assert!(services.text("fclient/log/run").contains("/var/log/svc/fclient"), "its log goes on where it was");
    for (name, text) in [("HOST", "192.168.2.101\n"), ("POWER_OFF", "1\n"), ("DATA_TIMEOUT", "30\n")] {
        assert_eq!(services.text(&format!("fclient/variables/{name}")), text);
    }
    services.add("fclient", &["--supervisor", "daemontools"]);
    assert!(!services.path("fclient/run.before-pistop.2").exists(), "taken over once");
}

#[test]
fn nobody_ever_sees_a_half_made_directory() {
    let world = World::new();
    let services = lamp(&world);
    let whole = |service: &Path| {
        ["run", "log/run", "variables/COLOUR", "variables/HOST", ".pistop-manifest"]
            .iter()
            .all(|file| service.join(file).exists())
    };
    let over = std::sync::atomic::AtomicBool::new(false);
    let (seen, halves) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let (mut seen, mut halves) = (0, 0);
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in fs::read_dir(services.directory()).unwrap().flatten() {
                    let visible = !entry.file_name().to_string_lossy().starts_with('.');
                    seen += usize::from(visible);
                    // Unless it went away again meanwhile.
                    halves += usize::from(visible && !whole(&entry.path()) && entry.path().exists());
                }
            }
            (seen, halves)
        });
        for _ in 0..25 {
            services.add("lamp", &["--host", "attic"]);
            assert!(services.del("lamp", &[]).status.success());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        watcher.join().unwrap()
    });
    assert!(seen > 0);
    assert_eq!(halves, 0);
}

#[test]
fn killed_at_any_instant_it_leaves_all_or_nothing_and_the_next_one_finishes() {
    let world = World::new();
    let services = lamp(&world);
    let directory = services.directory().display().to_string();
    let logs = world.path("logs").display().to_string();
    let mut cut_short = 0;
    for step in 0..40 {
        let words = ["service", "add", "lamp", "--host", "attic", "--servicedir", &directory, "--logdir", &logs];
        let mut child = services.command(&words).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_micros(150 * step));
        child.kill().unwrap();
        child.wait().unwrap();
        let service = services.path("lamp");
        cut_short += u32::from(!service.exists());
        assert!(!service.exists() || service.join(".pistop-manifest").exists() && service.join("log/run").exists());
        let _ = fs::remove_dir_all(service);
    }
    assert!(cut_short > 0, "it was never early enough");
    services.add("lamp", &[]);
    let names: Vec<_> = fs::read_dir(services.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["lamp"], "and nothing is left beside it");
}

#[test]
fn what_fails_leaves_nothing_behind() {
    let world = World::new();
    let services = lamp(&world);
    fs::write(world.path("file"), "").unwrap();
    let blocked = format!("{}/logs", world.path("file").display());
    let said = services.pistop(&["service", "add", "lamp", "--logdir", &blocked]);
    assert!(!said.status.success() && said.error.contains("file/logs"), "{said:?}");
    assert!(services.tree().is_empty(), "{:?}", services.tree());
    let said = services.try_add("candle", &[]);
    assert_eq!(said.status.code(), Some(100));
    for name in ["`candle` cannot be added; what can be is ", "fclient, fserver, lamp", "update"] {
        assert!(said.error.contains(name), "{said:?}");
    }
    let nowhere = world.path("nowhere");
    let mut add = world.command(programs::find("pistop"));
    add.args(["service", "add", "candle", "--servicedir"]).arg(&nowhere);
    assert_eq!((add.output().unwrap().status.code(), nowhere.exists()), (Some(100), false));
    for name in ["../lamp", "", ".lamp"] {
        assert_eq!(services.try_add(name, &[]).status.code(), Some(100), "{name}");
    }
}

#[test]
fn del_leaves_no_process_and_no_file_and_saves_what_was_edited() {
    let world = World::new();
    let services = lamp(&world).watched();
    services.add("lamp", &["--host", "attic"]);
    services.until_log("lamp", "the lamp is on");
    fs::write(services.path("lamp/variables/COLOUR"), "green\n").unwrap();
    fs::write(services.path("lamp/notes"), "of mine\n").unwrap();
    fs::write(services.path("lamp/.options"), "of an old program\n").unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"\xffodd");
    fs::write(services.path("lamp/variables").join(odd), "1\n").unwrap();
    let log = fs::canonicalize(services.path("lamp/log/main")).unwrap();
    let said = services.del("lamp", &[]);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(services.tree(), []);
    assert_eq!(fs::read_dir(services.directory()).unwrap().count(), 0);
    let running = world.processes();
    assert!(running.iter().all(|line| line.is_empty() || line.starts_with("svscan")), "{running:?}");
    let kept: Vec<_> = fs::read_dir(world.path("kept")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [kept] = kept.as_slice() else { panic!("one folder: {kept:?}") };
    assert!(kept.file_name().unwrap().to_string_lossy().starts_with("lamp-20"), "{kept:?}");
    assert_eq!(fs::read_to_string(kept.join("variables/COLOUR")).unwrap(), "green\n");
    assert_eq!(fs::read_to_string(kept.join("notes")).unwrap(), "of mine\n");
    assert!(kept.join(".options").exists() && kept.join("variables").join(odd).exists(), "whatever its name");
    assert!(!kept.join("run").exists() && !kept.join("variables/HOST").exists(), "only what was edited");
    assert!(log.join("current").exists(), "logs stay");
    let again = services.del("lamp", &[]);
    assert_eq!(again.status.code(), Some(100));
    assert!(again.error.contains("there is no service lamp in "), "{again:?}");
    services.add("lamp", &[]);
    services.until_svstat("lamp", "up (pid ");
}

#[test]
fn del_of_a_service_that_does_not_end_removes_nothing_and_goes_on_later() {
    let world = World::new();
    let services = Services::new(&world).watched();
    services
        .template("deaf", &[("run", "#!/bin/sh\ntrap '' TERM\necho $$ > pid\nwhile :; do sleep 1; done\n"), LAMP[1]]);
    services.add("deaf", &[]);
    world.until("it is deaf", || !services.text("deaf/pid").is_empty());
    let pid = services.text("deaf/pid");
    let said = services.del("deaf", &["--deadline", "2"]);
    assert_eq!(said.status.code(), Some(111), "{said:?}");
    assert!(
        said.error.contains(&format!("process {}", pid.trim())) && said.error.contains("nothing was removed"),
        "{said:?}"
    );
    assert!(services.path(".deaf.del/run").exists() && !services.path("deaf").exists());
    assert!(world.command("kill").args(["-KILL", pid.trim()]).status().unwrap().success());
    assert!(services.del("deaf", &[]).status.success());
    assert_eq!(fs::read_dir(services.directory()).unwrap().count(), 0);
}

#[test]
fn a_linked_service_loses_its_link_only() {
    let world = World::new();
    let services = Services::new(&world);
    executable(&world.path("elsewhere/run"), "#!/bin/sh\nexec sleep 1000\n");
    std::os::unix::fs::symlink(world.path("elsewhere"), services.path("lamp")).unwrap();
    let said = services.del("lamp", &[]);
    assert!(said.status.success() && said.output.contains("stays as it is"), "{said:?}");
    assert!(world.path("elsewhere/run").exists() && services.path("lamp").symlink_metadata().is_err());
}

#[test]
fn one_at_a_time() {
    let world = World::new();
    let services = lamp(&world);
    let folder = fs::File::open(services.directory()).unwrap();
    let held = nix::fcntl::Flock::lock(folder, nix::fcntl::FlockArg::LockExclusive).unwrap();
    let said = services.try_add("lamp", &[]);
    assert_eq!(said.status.code(), Some(111));
    assert!(said.error.contains("another pistop is at work"), "{said:?}");
    // Whether there is a lamp is only looked at when nobody else is adding or removing it.
    assert_eq!(services.del("lamp", &[]).status.code(), Some(111));
    drop(held);
    services.add("lamp", &[]);
}

#[test]
fn the_list_shows_what_can_be_and_what_is() {
    let world = World::new();
    let services = lamp(&world).watched();
    services.add("lamp", &[]);
    executable(&services.path("mine/run"), "#!/bin/sh\nexec sleep 1000\n");
    services.until_svstat("lamp", "up (pid ");
    services.until_svstat("mine", "up (pid ");
    let said = services.pistop(&["service", "list"]).output;
    let row = |name: &str| {
        said.lines().find(|line| line.starts_with(name)).unwrap_or_default().split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(row("lamp")[1..4], ["daemontools", "pistop", "up"]);
    assert_eq!(row("mine")[1..4], ["daemontools", "hand", "up"]);
    for name in ["fserver", "fclient", "update", "rsync"] {
        assert_eq!(row(name)[1..], ["-", "-", "can", "be", "added"], "{said}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&services.pistop(&["service", "list", "--json"]).output).unwrap();
    let lamp = json.as_array().unwrap().iter().find(|row| row["service"] == "lamp").unwrap();
    assert_eq!((lamp["supervisor"].as_str(), lamp["ours"].as_bool()), (Some("daemontools"), Some(true)));
}
