//! What we read and write of daemontools, beside its own tools: svstat, svc, supervise, multilog, tai64nlocal.
#![allow(clippy::unwrap_used, missing_docs)]

use runner::supervise::{Status, Want};
use runner::tai64n::Stamp;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tests::World;
use tests::world::executable;
use tests::world::services::Services;

const SLEEPS: &str = "#!/bin/sh\nexec sleep 1000\n";

/// What svstat says, or `None` if the second changed while ours was asked.
fn both(services: &Services, name: &str) -> Option<(String, String)> {
    let theirs = || services.tool("svstat", &[], name);
    let before = theirs();
    let ours = services.pistop(&["status", name]);
    assert!(ours.status.success(), "{ours:?}");
    (theirs() == before).then_some((ours.output, before))
}

#[track_caller]
fn same(world: &World, services: &Services, name: &str, holds: &str) {
    let mut said = None;
    world.until(&format!("{name} is `{holds}`"), || services.svstat(name).contains(holds));
    world.until("both were asked in one second", || {
        said = both(services, name);
        said.is_some()
    });
    let (ours, theirs) = said.unwrap();
    assert_eq!(ours, theirs);
    assert!(ours.contains(holds), "{ours}");
}

#[test]
fn our_status_is_svstats_in_every_state() {
    let world = World::new();
    let services = Services::new(&world);
    executable(&services.path("lamp/run"), SLEEPS);
    executable(&services.path("deaf/run"), "#!/bin/sh\ntrap '' TERM\necho $$ > pid\nwhile :; do sleep 1; done\n");
    let said = services.pistop(&["status", "lamp"]).output;
    assert!(said.ends_with("lamp: supervise not running\n"), "svstat names a missing file here: {said}");
    let mut supervise = world.command("supervise").arg(services.path("lamp")).spawn().unwrap();
    services.until_svstat("lamp", "up (pid ");
    services.tool("svc", &["-dx"], "lamp");
    supervise.wait().unwrap();
    same(&world, &services, "lamp", "supervise not running");
    let services = services.watched();
    same(&world, &services, "lamp", "up (pid ");
    File::create(services.path("lamp/down")).unwrap();
    same(&world, &services, "lamp", ", normally down");
    services.tool("svc", &["-p"], "lamp");
    same(&world, &services, "lamp", ", normally down, paused");
    services.tool("svc", &["-c"], "lamp");
    services.tool("svc", &["-d"], "lamp");
    same(&world, &services, "lamp", "down ");
    fs::remove_file(services.path("lamp/down")).unwrap();
    same(&world, &services, "lamp", ", normally up");
    services.tool("svc", &["-o"], "lamp");
    same(&world, &services, "lamp", "up (pid ");
    world.until("it is deaf", || services.path("deaf/pid").exists());
    services.tool("svc", &["-d"], "deaf");
    same(&world, &services, "deaf", ", want down");
    services.tool("svc", &["-k"], "deaf");
    same(&world, &services, "deaf", "down ");
}

/// Services whose supervise is this test: their `ok` has a reader, their status is what we write.
fn feign(services: &Services, name: &str, bytes: &[u8]) -> File {
    let supervise = services.path(name).join("supervise");
    fs::create_dir_all(&supervise).unwrap();
    executable(&services.path(name).join("run"), SLEEPS);
    nix::unistd::mkfifo(&supervise.join("ok"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::write(supervise.join("status"), bytes).unwrap();
    File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(supervise.join("ok")).unwrap()
}

fn any_status(chance: &mut fastrand::Rng, now: Duration) -> Status {
    let since = match chance.u8(..4) {
        0 => now + Duration::from_secs(chance.u64(..1000)),
        1 => Duration::from_secs(chance.u64(..now.as_secs())),
        _ => now.saturating_sub(Duration::from_secs(chance.u64(..100_000))),
    };
    let pid = Some(chance.u32(1..)).filter(|_| chance.bool());
    Status {
        since: Stamp::from_unix(since),
        pid,
        paused: chance.bool(),
        want: *chance.choice(&[Want::Up, Want::Down, Want::Once]).unwrap(),
    }
}

#[test]
fn svstat_reads_what_we_write_and_says_what_we_say() {
    const SERVICES: usize = 300;
    let world = World::new();
    let services = Services::new(&world);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let now = || runner::clock::unix_now();
    let mut all = Vec::new();
    for number in 0..SERVICES {
        let (name, status) = (format!("s{number}"), any_status(&mut chance, now()));
        let reader = feign(&services, &name, &status.encode());
        let down = chance.bool();
        if down {
            File::create(services.path(&name).join("down")).unwrap();
        }
        all.push((name, status, down, reader));
    }
    let mut svstat = world.command("svstat");
    svstat.current_dir(services.directory()).args(all.iter().map(|(name, ..)| name));
    let first = Stamp::from_unix(now());
    let output = String::from_utf8(svstat.output().unwrap().stdout).unwrap();
    let last = Stamp::from_unix(now());
    assert_eq!(output.lines().count(), SERVICES);
    for (line, (name, status, down, _)) in output.lines().zip(&all) {
        let ours = [first, last].map(|now| format!("{name}: {}", status.sentence(*down, now)));
        assert!(ours.contains(&line.to_owned()), "seed {seed}: {status:?} is {line}, we say {ours:?}");
    }
}

#[test]
fn the_longer_record_of_indimail_is_understood() {
    let world = World::new();
    let services = Services::new(&world);
    let now = Stamp::from_unix(runner::clock::unix_now());
    let record = Status { since: now, pid: Some(4711), paused: false, want: Want::Up }.encode();
    let records = [("twenty", vec![0, 0]), ("up", vec![0, 0, 1]), ("down", vec![0, 0, 0])];
    let _readers: Vec<File> =
        records.iter().map(|(name, rest)| feign(&services, name, &[&record[..], rest].concat())).collect();
    let state = |name: &str| {
        let said = services.pistop(&["status", "--json", name]);
        let all: serde_json::Value = serde_json::from_str(&said.output).unwrap();
        (all[0]["up"].as_bool().unwrap(), all[0]["pid"].as_u64())
    };
    assert_eq!(state("twenty"), (true, Some(4711)));
    assert_eq!(state("up"), (true, Some(4711)));
    assert_eq!(state("down"), (false, None), "the process id is supervise's own");
}

#[test]
fn the_verbs_drive_the_real_supervise() {
    let world = World::new();
    let services = Services::new(&world);
    executable(&services.path("lamp/run"), SLEEPS);
    let said = services.pistop(&["start", "lamp", "--deadline", "5"]);
    assert_eq!(said.status.code(), Some(111), "{said:?}");
    assert!(said.error.contains("no supervise runs for") && said.error.contains("start svscan"), "{said:?}");
    assert!(services.pistop(&["stop", "lamp"]).status.success(), "what no supervise runs is down");
    assert!(services.pistop(&["disable", "lamp"]).status.success());
    let services = services.watched();
    services.until_svstat("lamp", "down ");
    let path = services.path("lamp").display().to_string();
    let pid =
        || services.svstat("lamp").strip_prefix("up (pid ").and_then(|rest| rest.split(')').next().map(String::from));
    // By its full path too, as svc takes it.
    for (words, up) in [(["start", "lamp"], true), (["stop", &path], false), (["restart", "lamp"], true)] {
        let said = services.pistop(&words);
        assert!(said.status.success() && said.error.is_empty(), "{said:?}");
        assert_eq!(pid().is_some(), up, "{words:?}: {}", services.svstat("lamp"));
    }
    let before = pid();
    assert!(services.pistop(&["restart", "lamp"]).status.success());
    assert!(pid().is_some() && pid() != before);
    assert!(services.pistop(&["enable", "lamp"]).status.success());
    assert!(!services.path("lamp/down").exists());
    // What is meant to go down comes back all the same.
    services.tool("svc", &["-o"], "lamp");
    world.until("supervise wants it once", || fs::read(services.path("lamp/supervise/status")).unwrap()[17] == 0);
    assert!(services.pistop(&["restart", "lamp"]).status.success());
    assert_eq!(fs::read(services.path("lamp/supervise/status")).unwrap()[17], b'u');
}

#[test]
fn what_does_not_end_ends_the_waiting_and_what_is_not_there_may_be_none() {
    let world = World::new();
    let services = Services::new(&world).watched();
    executable(&services.path("deaf/run"), "#!/bin/sh\ntrap '' TERM\necho $$ > pid\nwhile :; do sleep 1; done\n");
    world.until("it is deaf", || services.path("deaf/pid").exists());
    let start = Instant::now();
    let said = services.pistop(&["stop", "deaf", "--deadline", "2"]);
    assert_eq!(said.status.code(), Some(111), "{said:?}");
    assert!(said.error.contains("was not stopped in 2 s: it is still up, pid "), "{said:?}");
    assert!(start.elapsed() < Duration::from_secs(15));
    let said = services.pistop(&["stop", "nothing", "--if-present"]);
    assert!(said.status.success() && said.output.contains("there is no such service here"), "{said:?}");
    assert_eq!(services.pistop(&["stop", "nothing"]).status.code(), Some(100));
    assert_eq!(services.pistop(&["status", "nothing"]).status.code(), Some(100));
    let said = services.pistop(&["status", "nothing", "deaf"]);
    assert!(said.status.code() == Some(100) && said.output.contains("want down"), "the others are told: {said:?}");
}

/// A log as multilog keeps it, in several files.
fn logged(world: &World, folder: &Path, lines: usize) {
    let text: String = (0..lines).map(|line| format!("line {line} ä\n")).collect();
    fs::write(world.path("text"), text).unwrap();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let mut multilog = world.command("multilog");
    multilog.args(["t", "s4096", "n20"]).arg(folder).stdin(File::open(world.path("text")).unwrap());
    assert!(multilog.status().unwrap().success());
}

#[test]
fn logs_are_shown_in_local_time_as_tai64nlocal_does() {
    let world = World::new();
    let services = Services::new(&world);
    executable(&services.path("lamp/run"), SLEEPS);
    logged(&world, &services.path("lamp/log/main"), 300);
    let files = fs::read_dir(services.path("lamp/log/main"))
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap());
    let mut files: Vec<String> = files.filter(|name| name.starts_with('@') || name == "current").collect();
    files.sort();
    assert!(files.len() > 2, "multilog has put some away: {files:?}");
    let whole: Vec<u8> =
        files.iter().flat_map(|name| fs::read(services.path("lamp/log/main").join(name)).unwrap()).collect();
    fs::write(world.path("whole"), whole).unwrap();
    for zone in ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "UTC", ""] {
        let mut theirs = world.command("tai64nlocal");
        theirs.env("TZ", zone).stdin(File::open(world.path("whole")).unwrap());
        let theirs = String::from_utf8(theirs.output().unwrap().stdout).unwrap();
        let directory = services.directory().display().to_string();
        let ours =
            services.run(services.command(&["logs", "lamp", "-n", "1000", "--servicedir", &directory]).env("TZ", zone));
        assert_eq!(ours.output, theirs, "{zone}");
        assert_eq!(ours.output.lines().count(), 300);
    }
    let few = services.pistop(&["logs", "lamp", "-n", "3"]).output;
    assert!(few.lines().count() == 3 && few.ends_with("line 299 ä\n"), "{few}");
    let said = services.pistop(&["logs", "nothing"]);
    assert_eq!(said.status.code(), Some(100));
}

/// Winters and summers of many years, against the table of the zone.
#[test]
fn stamps_of_all_seasons_are_as_tai64nlocal_has_them() {
    let world = World::new();
    let services = Services::new(&world);
    executable(&services.path("lamp/run"), SLEEPS);
    fs::create_dir_all(services.path("lamp/log/main")).unwrap();
    let hour = |number: u64| Stamp::from_unix(Duration::new(number * 1_234_567, 5)).bytes();
    let line =
        |number: u64| format!("@{} x\n", hour(number).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let text: String = (1..1700).map(line).collect();
    fs::write(services.path("lamp/log/main/current"), text).unwrap();
    let current = services.path("lamp/log/main/current");
    for zone in ["Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"] {
        let mut theirs = world.command("tai64nlocal");
        theirs.env("TZ", zone).stdin(File::open(&current).unwrap());
        let theirs = String::from_utf8(theirs.output().unwrap().stdout).unwrap();
        let directory = services.directory().display().to_string();
        let ours =
            services.run(services.command(&["logs", "lamp", "-n", "9999", "--servicedir", &directory]).env("TZ", zone));
        let odd = ours.output.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!((odd, ours.output.lines().count()), (None, 1699), "{zone}");
    }
}

#[test]
fn a_log_is_followed_over_the_files_that_multilog_puts_away() {
    let world = World::new();
    let services = Services::new(&world);
    executable(&services.path("lamp/run"), SLEEPS);
    logged(&world, &services.path("lamp/log/main"), 5);
    let directory = services.directory().display().to_string();
    let mut command = services.command(&["logs", "lamp", "-f", "-n", "2", "--servicedir", &directory]);
    let mut following = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().ends_with("line 3 ä"));
    assert!(lines.next().unwrap().ends_with("line 4 ä"));
    for _ in 0..3 {
        logged(&world, &services.path("lamp/log/main"), 400);
        for line in 0..400 {
            let next = lines.next().unwrap();
            assert!(next.ends_with(&format!(" line {line} ä")), "{line}: {next}");
        }
    }
    following.kill().unwrap();
    following.wait().unwrap();
}
