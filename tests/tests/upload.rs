//! `upload` against a real S3 server, which checks signatures: keys, checksums, collisions, kills, an outage, the end, the doctor, the bus.
//! What only a storage with faults of its own can show is in `upload_faults.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};
use tests::World;
use tests::b2;
use tests::world::process::Process;
use tests::world::uploads::{Recordings, S3, SECRET};

fn stage(name: &str) -> (World, S3, Recordings) {
    let world = World::new();
    let s3 = S3::start(&world);
    let recordings = Recordings::new(&world, name, &s3.endpoint());
    (world, s3, recordings)
}

fn manifest(s3: &S3, folder: &str) -> Option<Value> {
    let objects = s3.objects();
    let (_, text) = objects.iter().find(|(key, _)| key.starts_with(&format!("{folder}/manifest_")))?;
    serde_json::from_slice(text).ok()
}

fn ledger(recordings: &Recordings) -> String {
    fs::read_to_string(recordings.ram().join(".upload/ledger")).unwrap_or_default()
}

#[test]
fn what_is_recorded_arrives_under_the_old_keys_and_is_gone_here() {
    let (world, s3, mut pi) = stage("pi");
    pi.set("MANIFEST_EVERY", "0.1");
    let first = pi.record("cam1", 0.0, 20.0, 240_000, false);
    let other = pi.record("cam2", 3.5, 20.0, 1_000, true);
    let mut upload = pi.upload();
    world.until("both are there", || s3.segments().len() == 2);
    let begun = Instant::now();
    let second = pi.record("cam1", 20.0, 20.5, 5, false);
    world.until("the next one, too", || s3.segments().len() == 3);
    assert!(begun.elapsed() < Duration::from_secs(1), "it is heard of at once: {:?}", begun.elapsed());
    let expected = BTreeMap::from([
        ("cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20.ts".to_owned(), first),
        ("cam1/2026/11/26/07/cam_1_2026_11_26_07_24_40.ts".to_owned(), second),
        ("cam2/2026/11/26/07/cam_2_2026_11_26_07_24_23.ts".to_owned(), other),
    ]);
    assert!(s3.segments() == expected, "{:?}", s3.segments().keys());
    world.until("nothing is left here", || pi.left() == 0);
    for camera in ["cam1", "cam2"] {
        world.until("labels are gone, too", || fs::read_dir(pi.ram().join(camera)).unwrap().count() == 0);
    }
    let beside = s3.beside("cam2/2026/11/26/07/cam_2_2026_11_26_07_24_23.ts");
    for words in ["2026-11-26T01:54:03.500Z", "\"20000\"", "\"set\"", "\"true\"", "video/mp2t"] {
        assert!(beside.contains(words), "{words}: {beside}");
    }
    let hour = "cam1/2026/11/26/07";
    world.until("it is written down", || {
        manifest(&s3, hour).is_some_and(|manifest| manifest["segments"].as_array().unwrap().len() == 2)
    });
    let manifest = manifest(&s3, hour).unwrap();
    assert_eq!((&manifest["bytes"], &manifest["clock"]), (&240_005.into(), &"set".into()));
    assert_eq!(manifest["segments"][0]["key"], "cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20.ts");
    assert_eq!(manifest["gaps"], Value::Array(vec![]));
    let objects = s3.objects();
    let (_, playlist) = objects.iter().find(|(key, _)| key.starts_with(&format!("{hour}/playlist_"))).unwrap();
    assert!(String::from_utf8_lossy(playlist).contains("#EXTINF:20.500,\ncam_1_2026_11_26_07_24_40.ts\n"));
    assert!(upload.stop(Signal::SIGTERM).success(), "{}", upload.log());
}

#[test]
fn nothing_is_overwritten() {
    let (world, s3, mut pi) = stage("pi");
    let key = "cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20";
    let there = s3.bucket().join(format!("{key}.ts"));
    fs::create_dir_all(there.parent().unwrap()).unwrap();
    fs::write(&there, "of another day with a wrong clock").unwrap();
    let one = pi.record("cam1", 0.0, 20.0, 1000, false);
    let two = pi.record("cam1", 0.1, 20.0, 2000, false);
    let _upload = pi.upload();
    world.until("both are there", || s3.segments().len() == 3);
    let mut contents: Vec<Vec<u8>> =
        ["", "_2", "_3"].map(|nth| s3.segments()[&format!("{key}{nth}.ts")].clone()).into();
    assert_eq!(contents.remove(0), b"of another day with a wrong clock");
    contents.sort_by_key(Vec::len);
    assert!(contents == [one, two]);
    world.until("nothing is left here", || pi.left() == 0);
}

#[test]
fn a_wrong_key_pauses_everything_is_told_once_and_is_mended_while_it_runs() {
    let (world, s3, mut pi) = stage("pi");
    pi.key(b2::KEY, "K006theWrongSecret");
    pi.set("PROBE", "300");
    for second in 0..4 {
        pi.record("cam1", f64::from(second), 1.0, 1000, true);
    }
    let mut upload = pi.upload();
    let paused = "error upload: uploads pause: ";
    world.until("it pauses", || upload.log().contains(paused));
    let told = "does not accept the key in ";
    assert!(upload.log().contains(told) && upload.log().contains("put a key for bucket `visd-cctv` there"));
    pi.key(b2::KEY, SECRET);
    upload.signal(Signal::SIGHUP);
    world.until("all are there", || s3.segments().len() == 4);
    world.until("and gone here", || pi.left() == 0);
    assert_eq!(upload.log().matches(paused).count(), 1, "{}", upload.log());
    assert!(upload.log().contains("uploads work again"));
    assert!(!upload.log().contains(SECRET) && !upload.log().contains("K006theWrongSecret"), "{}", upload.log());
    let shown = fs::read_to_string(format!("/proc/{}/cmdline", upload.pid())).unwrap()
        + &fs::read_to_string(format!("/proc/{}/environ", upload.pid())).unwrap();
    assert!(!shown.contains(SECRET), "{shown}");
}

/// Whatever is killed when: each recording ends up as one object, and none is lost.
#[test]
fn kills_at_any_point_lose_nothing_and_send_nothing_under_two_names() {
    let (world, s3, mut pi) = stage("pi");
    pi.set("RATE", "400");
    let mut expected: Vec<Vec<u8>> = Vec::new();
    let mut second = 0.0;
    let mut record = |pi: &mut Recordings, count: usize| {
        for _ in 0..count {
            second += 0.7;
            expected.push(pi.record(
                if count.is_multiple_of(2) { "cam1" } else { "cam2" },
                second,
                0.7,
                30_000 + fastrand::usize(..20_000),
                false,
            ));
        }
    };
    let seed = fastrand::get_seed();
    eprintln!("seed {seed}");
    for kill in 0..15 {
        record(&mut pi, if kill < 10 { 2 } else { 1 });
        let mut upload = pi.upload();
        std::thread::sleep(Duration::from_millis(fastrand::u64(20..350)));
        upload.stop(Signal::SIGKILL);
    }
    pi.set("RATE", "0");
    let mut upload = pi.upload();
    // So that this one has something to do, too, and is there when it is told to end.
    record(&mut pi, 1);
    world.until("nothing is left here", || pi.left() == 0);
    let mut arrived: Vec<Vec<u8>> = s3.segments().into_values().collect();
    assert_eq!(arrived.len(), expected.len(), "seed {seed}");
    arrived.sort();
    expected.sort();
    assert!(arrived == expected, "seed {seed}: what arrived is not what was recorded");
    assert!(upload.stop(Signal::SIGTERM).success());
}

/// A storage that is dead for an hour, shortened.
#[test]
fn after_an_outage_everything_arrives_the_newest_first() {
    let world = World::new();
    let mut s3 = S3::absent(&world);
    s3.create_bucket();
    let mut pi = Recordings::new(&world, "pi", &s3.endpoint());
    pi.set("PARALLEL", "1");
    let upload = pi.upload();
    for minute in 0..30 {
        pi.record("cam1", f64::from(minute) * 60.0, 20.0, 3000, minute == 7);
    }
    world.until("it is told that it does not work", || upload.log().contains("it is tried again until it works"));
    assert_eq!(pi.left(), 30);
    s3.appear();
    world.until("all are there", || s3.segments().len() == 30);
    world.until("each is told", || upload.log().matches("uploaded ").count() == 30);
    let log = upload.log();
    let order: Vec<&str> = log.lines().filter_map(|line| line.split("uploaded ").nth(1)?.split(',').next()).collect();
    let minute = |minute: u32| {
        let total = 7 * 60 + 24 + minute;
        format!("cam1/2026/11/26/{:02}/cam_1_2026_11_26_{:02}_{:02}_20.ts", total / 60, total / 60, total % 60)
    };
    let mut wanted = vec![minute(7)];
    wanted.extend((0..30).rev().filter(|&m| m != 7).map(minute));
    // What was being tried when the storage came back, maybe since before the marked one was there, is through first.
    wanted.retain(|key| key != order[0]);
    assert_eq!(order[1..], wanted, "the marked one, then the newest first");
    assert_eq!(log.matches("it is tried again until it works").count(), 1, "told once");
    s3.vanish();
}

#[test]
fn at_the_end_the_newest_goes_and_the_rest_is_reported_and_stays() {
    let (world, s3, mut pi) = stage("pi");
    pi.set("RATE", "50");
    pi.set("DRAIN", "2.5");
    let mut upload = pi.upload();
    world.until("it runs", || upload.log().contains("uploads from"));
    for second in 0..4 {
        pi.record("cam1", f64::from(second), 1.0, 50 * 1024, second == 0);
    }
    world.until("it sends", || ledger(&pi).contains("reserved"));
    let begun = Instant::now();
    assert!(upload.stop(Signal::SIGTERM).success());
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let there: Vec<String> = s3.segments().into_keys().collect();
    assert!(!there.is_empty() && there.len() < 4, "{there:?}");
    assert!(there.iter().any(|key| key.ends_with("_07_24_01.ts")), "the marked one is there: {there:?}");
    assert_eq!(pi.left(), 4 - there.len());
    let rest = format!("the program ends, and {} segments", pi.left());
    assert!(upload.log().contains(&rest) && upload.log().contains("segments of "), "{}", upload.log());
    pi.set("RATE", "0");
    let _next = pi.upload();
    world.until("the next run brings the rest", || s3.segments().len() == 4 && pi.left() == 0);
}

/// By TLS, as everywhere but in tests: a certificate that nobody vouches for is not taken, and the one that is named is.
#[test]
fn a_storage_has_to_prove_who_it_is() {
    let world = World::new();
    let mut s3 = S3::absent(&world);
    s3.create_bucket();
    let certificate = s3.sealed();
    s3.appear();
    let mut pi = Recordings::new(&world, "pi", &s3.endpoint());
    let content = pi.record("cam1", 0.0, 20.0, 200_000, false);
    let mut upload = pi.upload();
    world.until("it is told", || upload.log().contains("is not uploaded: https://"));
    assert!(upload.log().to_lowercase().contains("certificate"), "{}", upload.log());
    assert!(s3.segments().is_empty());
    upload.stop(Signal::SIGKILL);
    pi.set("CA", &certificate.display().to_string());
    let _upload = pi.upload();
    world.until("it is there", || s3.segments().into_values().eq([content.clone()]) && pi.left() == 0);
}

/// As it is by default: each bucket has a name of its own, and the path is the key alone.
#[test]
fn a_bucket_is_reached_by_a_name_of_its_own() {
    let world = World::new();
    let mut s3 = S3::absent(&world);
    s3.create_bucket();
    s3.named("storage.test");
    s3.appear();
    let mut pi = Recordings::new(&world, "pi", &s3.endpoint());
    pi.set("PATH_STYLE", "");
    let content = pi.record("cam1", 0.0, 20.0, 1000, false);
    let _upload = pi.upload_where(&["visd-cctv.storage.test"]);
    world.until("it is there", || s3.segments().into_values().eq([content.clone()]) && pi.left() == 0);
}

/// Everything that upload's doctor finds is found by that of the house, too, even where no agent of the bus runs; and
/// who writes to disks.
#[test]
fn the_doctor_of_the_house_asks_that_of_upload_and_sees_who_writes() {
    let (world, _s3, pi) = stage("pi");
    pi.key(b2::KEY, "wrong");
    std::os::unix::fs::symlink(tests::world::programs::find("upload"), world.path("bin/upload")).unwrap();
    fs::create_dir_all(world.path("services/upload")).unwrap();
    std::os::unix::fs::symlink(pi.path("variables"), world.path("services/upload/variables")).unwrap();
    let file = world.path("scribbled");
    let scribbles = format!("#!/bin/sh\nwhile :; do echo something >>'{}'; done\n", file.display());
    tests::world::executable(&world.path("scribbler"), &scribbles);
    let _scribbler = Process::start(&world, &mut world.command(world.path("scribbler")), &world.path("log"));
    world.until("it scribbles", || file.exists());
    let doctor = |flags: &[&str]| {
        let mut command = world.command(tests::world::programs::find("pistop"));
        command.arg("doctor").args(["--etc", "/nonexistent", "--disk", "1"]).args(flags);
        command.arg("--servicedir").arg(world.path("services")).arg("--door").arg(world.path("no-door"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(111), "there is no agent: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let people = doctor(&[]);
    assert!(people.contains("uploads  do not work as they should: 1 problems"), "{people}");
    assert!(
        people.contains("problem: writing to bucket `visd-cctv` fails: ") && people.contains("its secret"),
        "{people}"
    );
    let told: Value = serde_json::from_str(&doctor(&["--json"])).unwrap();
    // What lies in RAM is written to no disk.
    let wrote = |writer: &Value| writer["name"] == "scribbler" && writer["bytes"].as_u64() > Some(0);
    assert!(is_tmpfs(&file) || told["disk"]["writers"].as_array().unwrap().iter().any(wrote), "{told}");
}

fn is_tmpfs(path: &std::path::Path) -> bool {
    let fs = nix::sys::statfs::statfs(path).unwrap();
    fs.filesystem_type() == nix::sys::statfs::TMPFS_MAGIC
}

#[test]
fn two_uploads_do_not_work_on_one_directory() {
    let (world, _s3, pi) = stage("pi");
    let upload = pi.upload();
    world.until("it runs", || upload.log().contains("uploads from"));
    let mut other = pi.upload();
    assert_eq!(other.wait_exit().code(), Some(111));
    assert!(other.log().contains("another upload works here"), "{}", other.log());
}

#[test]
fn what_is_evicted_is_written_down_as_lost() {
    let (world, s3, mut pi) = stage("pi");
    pi.set("RATE", "1");
    pi.set("PARALLEL", "1");
    pi.set("MANIFEST_EVERY", "0.1");
    for second in [0.0, 20.0, 40.0] {
        pi.record("cam1", second, 20.0, 200_000, false);
    }
    let mut upload = pi.upload();
    world.until("one is held", || ledger(&pi).contains("reserved"));
    let folder = pi.ram().join("cam1");
    let closed = segments::read(&folder).unwrap().closed;
    let free = closed.iter().filter_map(|found| segments::Held::take(&found.path).unwrap());
    let free: Vec<_> = free.collect();
    assert_eq!(free.len(), 2, "what is under way is held");
    free.into_iter().for_each(|held| held.delete().unwrap());
    world.until("it is noticed", || upload.log().matches("went before it was uploaded").count() == 2);
    upload.stop(Signal::SIGKILL);
    pi.set("RATE", "0");
    let _upload = pi.upload();
    world.until("it is written down", || {
        manifest(&s3, "cam1/2026/11/26/07").is_some_and(|manifest| {
            manifest["lost"].as_array().unwrap().len() == 2 && manifest["segments"].as_array().unwrap().len() == 1
        })
    });
}

/// The agent comes late, which holds nobody up.
#[test]
fn the_house_hears_what_was_uploaded_and_what_was_not() {
    let (world, s3, mut pi) = stage("pi");
    let attic = world
        .server("attic")
        .hook("upload-done/50-note-it", "event $FACT_KEY $FACT_BYTES")
        .hook("upload-failed/50-note-it", "event paused=$FACT_PAUSED $FACT_WHY");
    pi.set("DOOR", &attic.place().path("bus.sock").display().to_string());
    pi.key(b2::KEY, "wrong");
    pi.record("cam1", 0.0, 20.0, 1234, false);
    let upload = pi.upload();
    world.until("it pauses", || upload.log().contains("uploads pause"));
    pi.key(b2::KEY, SECRET);
    world.until("it is there", || s3.segments().len() == 1 && pi.left() == 0);
    let attic = attic.start();
    world.until("the house hears of both", || {
        attic.has("cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20.ts 1234") && attic.has("paused=true http")
    });
}

#[test]
fn the_doctor_finds_nothing_wrong_but_what_is() {
    let (_world, s3, pi) = stage("pi");
    let told = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let output = pi.doctor(&[]);
    assert!(told(&output).contains("writing   works, with checksum"), "{}", told(&output));
    assert!(told(&output).contains("note: the key in ") && told(&output).contains("may delete"), "{}", told(&output));
    assert!(s3.objects().is_empty(), "it could delete what it wrote");
    pi.key(b2::KEY, "wrong");
    let output = pi.doctor(&[]);
    assert_eq!(output.status.code(), Some(100));
    assert!(told(&output).contains("problem: writing to bucket `visd-cctv` fails: "), "{}", told(&output));
    assert!(told(&output).contains("does not accept the key in "), "{}", told(&output));
}
