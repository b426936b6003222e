//! The run scripts that templates ship, under the real supervise and multilog, with harmless commands in place of apt.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::unistd::{Uid, User, chown, geteuid};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use tests::World;
use tests::world::services::Services;
use tests::world::{executable, read};

/// In place of apt-get: notes what it was asked, and the variable without which a package may ask questions.
fn fake_apt(world: &World) -> String {
    let (path, calls) = (world.path("apt"), world.path("calls"));
    let text = format!("#!/bin/sh\necho \"$* $DEBIAN_FRONTEND\" >> '{}'\n[ \"$1\" != broken ]\n", calls.display());
    executable(&path, &text);
    path.display().to_string()
}

fn calls(world: &World) -> Vec<String> {
    read(&world.path("calls")).lines().map(String::from).collect()
}

fn update(world: &World, services: &Services, flags: &[&str]) {
    let apt = fake_apt(world);
    let set = |name: &str, value: &str| format!("{name}={value}");
    let words = [
        set("UPDATE_COMMAND", &format!("{apt} update")),
        set("UPGRADE_COMMAND", &format!("{apt} upgrade -y")),
        set("CONTROL", &world.path("attic/control.sock").display().to_string()),
    ];
    let words: Vec<&str> = words.iter().flat_map(|word| ["--set", word]).chain(flags.iter().copied()).collect();
    services.add("update", &words);
}

#[test]
fn packages_are_upgraded_and_fserver_only_while_nobody_is_linked_to_it() {
    let world = World::new();
    let services = Services::new(&world).watched();
    let attic = world.server("attic").start();
    let mut kitchen = world.client("kitchen").of(&attic).start();
    attic.until_peers(1, "new");
    update(&world, &services, &["--set", "UPGRADE=mpd fserver daemontools-run alsa-utils", "--set", "INTERVAL=1"]);
    world.until("it was upgraded twice", || calls(&world).len() >= 4);
    assert_eq!(calls(&world)[..2], ["update noninteractive", "upgrade -y mpd alsa-utils noninteractive"]);
    services.until_log("update", "fserver is held back while clients are linked");
    services.until_log("update", "daemontools-run is held back");
    kitchen.stop(nix::sys::signal::Signal::SIGTERM);
    let all = "upgrade -y mpd fserver daemontools-run alsa-utils noninteractive";
    world.until("nothing is held back any more", || calls(&world).iter().any(|call| call == all));
}

/// Its socket is there, but nobody answers: it may be busy, and have clients.
#[test]
fn a_server_that_does_not_answer_is_not_upgraded() {
    let world = World::new();
    let services = Services::new(&world).watched();
    drop(std::os::unix::net::UnixListener::bind(world.path("attic/control.sock")).unwrap());
    update(&world, &services, &["--set", "UPGRADE=mpd fserver"]);
    services.until_log("update", "fserver gives no answer: pistop: temporary: ");
    world.until("the other one was upgraded", || calls(&world).len() == 2);
    assert_eq!(calls(&world)[1], "upgrade -y mpd noninteractive");
}

#[test]
fn what_fails_is_told_and_tried_again_and_a_stop_leaves_nothing() {
    let world = World::new();
    let services = Services::new(&world).watched();
    update(&world, &services, &["--set", "UPGRADE=mpd", "--set", "INTERVAL=1"]);
    let apt = world.path("apt").display().to_string();
    services.add("update", &["--set", &format!("UPGRADE_COMMAND={apt} broken")]);
    services.until_log("update", "not upgraded; trying again in 1 s");
    world.until("it was tried again", || calls(&world).iter().filter(|call| call.starts_with("broken")).count() >= 2);
    services.add("update", &["--set", "INTERVAL=1000"]);
    world.until("it sleeps for long", || world.processes().iter().any(|line| line == "sleep 1000"));
    assert!(services.pistop(&["stop", "update"]).status.success());
    world.until("its sleep has ended with it", || !world.processes().iter().any(|line| line.starts_with("sleep")));
}

#[test]
fn without_a_name_nothing_is_upgraded() {
    let world = World::new();
    let services = Services::new(&world).watched();
    update(&world, &services, &[]);
    world.until("it sleeps", || world.processes().iter().any(|line| line == "sleep 21600"));
    assert_eq!(calls(&world), [""; 0]);
}

/// As the unit of systemd starts it, from a folder without variables of its own.
#[test]
fn update_takes_its_variables_from_where_it_is_told() {
    let world = World::new();
    let services = Services::new(&world);
    update(&world, &services, &["--set", "UPGRADE=mpd"]);
    let mut run = world.command(concat!(env!("CARGO_MANIFEST_DIR"), "/../services/update/service/run"));
    run.arg("--variables").arg(services.path("update/variables")).stdout(Stdio::null());
    let mut run = run.spawn().unwrap();
    world.until("it was upgraded", || calls(&world).contains(&"upgrade -y mpd noninteractive".into()));
    run.kill().unwrap();
    run.wait().unwrap();
}

fn rsync(world: &World, services: &Services, from: &str, to: &Path) -> bool {
    let port = services.text("rsync/variables/PORT");
    let mut rsync = world.command("rsync");
    rsync.arg(format!("--port={}", port.trim())).arg(from).arg(to).stderr(Stdio::null());
    rsync.status().expect("rsync is there; install the package rsync").success()
}

#[test]
fn a_folder_is_lent_by_rsync_when_somebody_starts_it() {
    let world = World::new();
    let services = Services::new(&world).watched();
    let (host, port) = (world.address().to_string(), world.free_port().to_string());
    let folder = world.path(r"lent\to others/file").with_file_name("");
    fs::write(folder.join("file"), "of the attic\n").unwrap();
    services.add("rsync", &["--host", &host, "--port", &port]);
    services.until_svstat("rsync", "down ");
    assert!(services.path("rsync/down").exists(), "nobody serves by accident");
    assert!(services.pistop(&["enable", "rsync"]).status.success());
    assert!(services.pistop(&["start", "rsync"]).status.success());
    services.until_log("rsync", "there is no folder to lend; write its path to ./variables/FOLDER");
    services.add("rsync", &["--set", &format!("FOLDER={}", folder.display())]);
    assert!(!services.path("rsync/down").exists(), "whoever enabled it is not overruled");
    assert!(services.pistop(&["restart", "rsync"]).status.success());
    let (from, got) = (format!("rsync://{host}/backup/file"), world.path("got"));
    world.until("the file can be fetched", || rsync(&world, &services, &from, &got));
    assert_eq!(read(&got), "of the attic\n");
    assert!(!rsync(&world, &services, &got.display().to_string(), Path::new(&format!("rsync://{host}/backup/other"))));
    assert!(!folder.join("other").exists(), "it is lent for reading only");
    assert!(services.del("rsync", &[]).status.success());
    assert_eq!(services.tree(), []);
}

/// A folder of logs that belongs to another user: multilog then is that user.
#[test]
fn multilog_runs_as_the_owner_of_its_folder() {
    if !geteuid().is_root() {
        eprintln!("not done: only root can give a folder away");
        return;
    }
    let world = World::new();
    let services = Services::new(&world).watched();
    open_to_others(&world);
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let logs = world.path("logs/update/x").with_file_name("");
    chown(&logs, Some(nobody.uid), None).unwrap();
    update(&world, &services, &["--set", "UPGRADE=mpd"]);
    services.until_log("update", "upgrading, if there is something new: mpd");
    assert_eq!(fs::metadata(logs.join("current")).unwrap().uid(), nobody.uid.as_raw());
}

/// Others may pass, but not look.
fn open_to_others(world: &World) {
    let scratch = world.path("x").with_file_name("");
    fs::set_permissions(scratch, fs::Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn people_without_root_have_services_of_their_own() {
    if !geteuid().is_root() {
        eprintln!("not done: only root can become somebody else");
        return;
    }
    let world = World::new();
    let services = Services::new(&world);
    services.template(
        "lamp",
        &[
            ("run", "#!/bin/sh\nexec 2>&1\nid -u\nexec sleep 1000\n"),
            ("log/run", include_str!("../../fserver/service/log/run")),
        ],
    );
    open_to_others(&world);
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let own = world.path("own/services/x").with_file_name("");
    for folder in [world.path("own"), own.clone()] {
        chown(&folder, Some(nobody.uid), None).unwrap();
    }
    // The programs are built in a folder that may be root's alone.
    fs::copy(tests::world::programs::find("pistop"), world.path("pistop")).unwrap();
    let as_nobody = |words: &[&str]| {
        let mut command = world.command("setuidgid");
        command.arg("nobody").args(words).env("PISTOP_TEMPLATES", world.path("templates"));
        command
    };
    let directory = own.display().to_string();
    let pistop = world.path("pistop").display().to_string();
    let logs = world.path("own/logs").display().to_string();
    let run = |words: &[&str]| {
        services.run(&mut as_nobody(&[&[pistop.as_str()][..], words, &["--servicedir", &directory]].concat()))
    };
    let mut svscan = as_nobody(&["svscan", &directory]);
    let _svscan = tests::world::process::Process::start(&world, &mut svscan, &world.path("svscan"));
    let said = run(&["service", "add", "lamp", "--logdir", &logs]);
    assert!(said.status.success(), "{said:?}");
    let current = own.join("lamp/log/main/current");
    world.until("it runs and logs", || read(&current).ends_with(&format!(" {}\n", nobody.uid)));
    for words in [["stop", "lamp"], ["start", "lamp"], ["status", "lamp"]] {
        assert!(run(&words).status.success(), "{words:?}");
    }
    let keep = world.path("own/kept").display().to_string();
    let said = run(&["service", "del", "lamp", "--keepdir", &keep]);
    assert!(said.status.success(), "{said:?}");
    let said = services.run(&mut as_nobody(&[
        &pistop,
        "service",
        "add",
        "lamp",
        "--servicedir",
        &services.directory().display().to_string(),
    ]));
    assert_eq!(said.status.code(), Some(100));
    assert!(said.error.contains("become root"), "{said:?}");
    assert_ne!(nobody.uid, Uid::from_raw(0));
}
