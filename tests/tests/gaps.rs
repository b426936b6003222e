//! The ledger: whatever a camera does and whoever is killed when, each moment is recorded or has a reason, and each recording arrives once.
#![allow(clippy::unwrap_used, missing_docs)]

use esp32::{Camera, Fault};
use nix::sys::signal::Signal;
use runner::clock::unix_now;
use segments::account::{Account, Reason, State, account};
use segments::ledger::{Closed, Line, Pen, Reading, What, read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;
use std::time::Duration;
use tests::World;
use tests::world::programs;
use tests::world::recorder::{Recorder, end};
use tests::world::uploads::{Recordings, S3};

/// A machine may be slow, and GStreamer starts slowly.
const LONG: Duration = Duration::from_secs(60);

/// Of the day before the ledger began nothing is known.
const UNKNOWN: i32 = 1;

fn now_ms() -> u64 {
    unix_now().as_millis() as u64
}

fn gaps(world: &World, ram: &Path, arguments: &[&str]) -> Output {
    let mut command = world.command(programs::find("pistop"));
    command.args(["cam", "gaps", "--zone", "UTC", "--ram-dir"]).arg(ram).args(arguments);
    command.output().unwrap()
}

fn ledger(recorder: &Recorder) -> Vec<Line> {
    read(&recorder.world.path("ram"), "cam1").unwrap()
}

/// Waits until the ledger has a line of this kind.
fn written(recorder: &Recorder, what: &str, is: impl Fn(&What) -> bool) {
    recorder.world.until_within(LONG, what, || ledger(recorder).iter().any(|line| is(&line.what)));
}

/// Two or more reasons that follow each other are one outage.
fn outages(account: &Account) -> Vec<Vec<&str>> {
    let mut all: Vec<Vec<&str>> = vec![Vec::new()];
    for piece in &account.pieces {
        match piece.gap() {
            Some(reason) => all.last_mut().unwrap().push(reason.word()),
            None => all.push(Vec::new()),
        }
    }
    all.retain(|outage| !outage.is_empty());
    all
}

#[test]
fn what_a_camera_does_is_told_with_its_reason() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, "MOTION_PERCENT=0\nSEGMENT_SEC=2");
    std::fs::create_dir_all(recorder.folder("cam1")).unwrap();
    std::fs::write(recorder.folder("cam1").join("home-cam-1-00042.ts"), "of an older recorder").unwrap();
    let mut process = recorder.start();
    recorder.wait_for("cam1", 1);
    let foreign = "home-cam-1-00042.ts in ";
    recorder.world.until("the older recorder's file is named", || process.log().contains(foreign));
    let begin = ledger(&recorder).iter().find_map(|line| match &line.what {
        What::Begun { clock, .. } => Some(clock.unix),
        _ => None,
    });
    let begin = begin.unwrap();
    camera.set(&[Fault::Refuse]);
    written(&recorder, "a loss", |what| matches!(what, What::Away { cause, .. } if cause == "refused"));
    camera.set(&[]);
    recorder.wait_for("cam1", 3);
    let output = gaps(&recorder.world, &recorder.world.path("ram"), &[]);
    assert_eq!(output.status.code(), Some(UNKNOWN), "of the time before it recorded nothing is known: {output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("unexplained  0.00 %"), "{output:?}");
    process.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_secs(7));
    process.signal(Signal::SIGCONT);
    written(&recorder, "that it was held up", |what| matches!(what, What::Stalled { .. }));
    camera.set(&[Fault::Frozen]);
    written(&recorder, "a frozen picture", |what| matches!(what, What::Frozen { .. }));
    camera.set(&[]);
    written(&recorder, "a moving one", |what| matches!(what, What::Thawed));
    let log = end(process);
    assert_eq!(log.matches(foreign).count(), 1, "it is named once: {log}");
    let lines = ledger(&recorder);
    let account = account(&lines, begin, now_ms());
    assert_eq!(account.sums()[2], 0, "{:?}\n{lines:?}", account.pieces);
    let outages = outages(&account);
    assert_eq!((&outages[0], outages.last().unwrap()), (&vec!["starting"], &vec!["stopped"]), "{outages:?}");
    for reason in ["refused", "busy"] {
        assert!(outages[1..outages.len() - 1].iter().any(|outage| outage.contains(&reason)), "{reason}: {outages:?}");
    }
    let &[(from, to)] = account.frozen.as_slice() else { panic!("{:?}", account.frozen) };
    assert!(to - from >= 10_000, "{:?}", account.frozen);
    let output = gaps(&recorder.world, &recorder.world.path("ram"), &["cam1", "--json"]);
    assert_eq!(output.status.code(), Some(UNKNOWN), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let day = &json["cameras"][0];
    let missing: u64 = day["gaps"].as_array().unwrap().iter().map(|gap| gap["ms"].as_u64().unwrap()).sum();
    let number = |key: &str| day[key].as_u64().unwrap();
    assert_eq!(missing, number("explained-ms") + number("unexplained-ms") + number("unknown-ms"));
    assert!(number("recorded-ms") >= account.sums()[0], "{day}");
    assert!(day["gaps"].as_array().unwrap().iter().any(|gap| gap["reason"] == "refused"), "{day}");
}

#[test]
fn what_nobody_can_explain_ends_with_one() {
    let world = World::new();
    let ram = world.path("ram");
    let mut pen = Pen::open(&ram, "cam1", 0).unwrap();
    let clock = Reading { unix: now_ms() - 90_000_000, set: true, slept: 0 };
    pen.write(&Line { at: 1000, what: What::Begun { run: "a".into(), kernel: "k".into(), clock } }).unwrap();
    pen.write(&Line { at: 2000, what: What::Stopped }).unwrap();
    let output = gaps(&world, &ram, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("the recorder was stopped") && told.contains("unexplained  0.00 %"), "{told}");
    pen.write(&Line { at: 3000, what: What::Begun { run: "b".into(), kernel: "k".into(), clock } }).unwrap();
    pen.write(&Line { at: 3500, what: What::Back }).unwrap();
    let output = gaps(&world, &ram, &["all"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("unexplained  100.00 %"));
    let output = gaps(&world, &ram, &["cam2"]);
    assert_eq!(output.status.code(), Some(100), "{output:?}");
    let output = gaps(&world, &ram, &["--day", "monday"]);
    assert_eq!(output.status.code(), Some(100), "{output:?}");
}

/// The last word about each segment.
fn closed(lines: &[Line]) -> BTreeMap<String, Closed> {
    let one = |line: &Line| match &line.what {
        What::Closed(closed) => Some((format!("{}.{:06}", closed.run, closed.sequence), closed.clone())),
        _ => None,
    };
    lines.iter().filter_map(one).collect()
}

/// The run and the place of what was uploaded under a key, which stand beside it. This server writes them behind the object, and not at
/// all if the uploader is killed in between.
fn run_of(s3: &S3, key: &str) -> Option<String> {
    let beside = Some(s3.beside(key)).filter(|beside| !beside.is_empty())?;
    let json: Value = serde_json::from_str(&beside).unwrap_or_else(|why| panic!("{why}: {beside}"));
    Some(json["user_metadata"]["run"].as_str().unwrap_or_else(|| panic!("{beside}")).to_owned())
}

#[test]
fn kills_at_any_point_lose_nothing_send_nothing_twice_and_are_told() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    eprintln!("SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, "MOTION_PERCENT=0\nSEGMENT_SEC=1");
    let s3 = S3::start(&recorder.world);
    let pi = Recordings::new(&recorder.world, "pi", &s3.endpoint());
    let ram = recorder.world.path("ram");
    for (name, value) in [("RAM_DIR", ram.to_str().unwrap()), ("RATE", "400"), ("ZONE", "UTC")] {
        pi.set(name, value);
    }
    std::fs::create_dir_all(&ram).unwrap();
    let (mut records, mut uploads, mut killed) = (recorder.start(), pi.upload(), Vec::new());
    for _ in 0..30 {
        std::thread::sleep(Duration::from_millis(random.u64(50..1700)));
        records.stop(Signal::SIGKILL);
        killed.push(now_ms());
        // For so long nobody records for certain.
        std::thread::sleep(Duration::from_millis(300));
        records = recorder.start();
        std::thread::sleep(Duration::from_millis(random.u64(20..400)));
        uploads.stop(Signal::SIGKILL);
        uploads = pi.upload();
    }
    let before = closed(&ledger(&recorder)).len();
    recorder.world.until_within(LONG, "it goes on", || closed(&ledger(&recorder)).len() > before + 1);
    end(records);
    let left = || recorder.closed("cam1").len();
    recorder.world.until_within(LONG, "everything is uploaded", || left() == 0);
    assert!(uploads.stop(Signal::SIGTERM).success(), "{}", uploads.log());
    let contents = recorder.contents("cam1");
    assert!(contents.parts.is_empty() && contents.unlabelled.is_empty(), "every orphan is adopted: {contents:?}");

    let lines = ledger(&recorder);
    let closed = closed(&lines);
    let keys: Vec<String> = s3.segments().into_keys().collect();
    let named: Vec<String> = keys.iter().filter_map(|key| run_of(&s3, key)).collect();
    let runs: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(runs.len(), named.len(), "each once: {keys:?}");
    assert!(runs.is_subset(&closed.keys().cloned().collect()), "{runs:?}");
    assert_eq!(closed.len(), keys.len(), "what is in the ledger is in the bucket, and nothing twice");
    assert!(runs.len() + 3 > keys.len(), "hardly ever one has no name: {} of {}", runs.len(), keys.len());
    let mut begins: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &lines {
        if let What::Closed(closed) = &line.what {
            assert!(closed.from > 0, "{closed:?}");
        }
        if let What::Begun { run, .. } = &line.what {
            assert_eq!(begins.insert(run, line.at), None, "no run has the number of another one");
        }
    }
    let begin = lines.iter().find_map(|line| match &line.what {
        What::Begun { clock, .. } => Some(clock.unix),
        _ => None,
    });
    let begin = begin.unwrap();
    let account = account(&lines, begin, now_ms());
    assert_eq!(account.sums()[2], 0, "SEED={seed}: {:?}\n{lines:?}", account.pieces);
    let recorded: u64 = closed.values().map(|closed| closed.ms).sum();
    assert!(account.sums()[0].abs_diff(recorded) < 2000 + recorded / 20, "{recorded}: {:?}", account.sums());
    for at in killed.into_iter().filter(|at| at + 200 > begin) {
        let piece = account.pieces.iter().find(|piece| piece.from <= at + 200 && at + 200 < piece.to).unwrap();
        assert_eq!(piece.state, State::Gap(Reason::Killed), "SEED={seed}: at {at}: {:?}", account.pieces);
        eprintln!("killed at {at}, missed {} ms before that", i128::from(at) - i128::from(piece.from));
    }
}
