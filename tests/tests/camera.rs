//! The recorder with the real GStreamer and cameras that have every fault; ffprobe and ffmpeg look at what it recorded.
#![allow(clippy::unwrap_used, missing_docs)]

use bus::client::{Bus, Item};
use esp32::{Camera, Fault};
use nix::sys::signal::Signal;
use protocol::door::{From, Subscribe};
use segments::ledger::What;
use segments::{Clock, Reason};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};
use tests::World;
use tests::world::PATIENCE;
use tests::world::recorder::{self, Recorder, end, sound};
use tests::world::server::Server;

const STILL: &str = "MOTION_PERCENT=0";

/// The facts that an agent was told, in short, with the number that was wanted.
fn facts(door: &Path, filter: &str, count: usize) -> Vec<serde_json::Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let wanted = Subscribe { name: None, filters: vec![filter.into()], from: From::Oldest };
        let mut subscription = Bus::open(door, "test 1").subscribe(wanted);
        let mut facts = Vec::new();
        while facts.len() < count {
            match tokio::time::timeout(PATIENCE, subscription.next()).await {
                Ok(Item::Event(_, event)) => facts.push(serde_json::from_slice(&event.body.0).unwrap()),
                Ok(_) => {}
                Err(_) => panic!("only {facts:?} were told"),
            }
        }
        facts
    })
}

fn agent(recorder: &mut Recorder) -> Server {
    let attic = recorder.world.server("attic").start();
    let door = attic.place().path("bus.sock").display().to_string();
    recorder.set("DOOR", &door);
    attic
}

#[test]
fn segments_have_the_asked_length_and_no_picture_is_lost_or_doubled() {
    let (fast, slow) = (Camera::start(vec![]).unwrap(), Camera::start(vec![]).unwrap());
    slow.set(&[Fault::Fps(4.0)]);
    let mut recorder = Recorder::of("cam1 cam2");
    let attic = agent(&mut recorder);
    recorder.camera("cam1", &fast, STILL).camera("cam2", &slow, &format!("{STILL}\nSEGMENT_SEC=10"));
    let process = recorder.start();
    recorder.wait_for("cam1", 2);
    recorder.wait_for("cam2", 4);
    end(process);
    let (fast, slow) = (recorder.closed("cam1"), recorder.closed("cam2"));
    for found in &fast[..2] {
        let (length, _) = recorder::probe(&found.path);
        assert!((length - 20.0).abs() < 0.1, "{length} s: {:?}", found.label);
        assert_eq!((found.label.reason, found.label.marked, found.label.dropped_frames), (Reason::Length, false, 0));
    }
    for found in &slow[..4] {
        let (length, _) = recorder::probe(&found.path);
        assert!((length - 10.0).abs() < 0.26, "{length} s: {:?}", found.label);
    }
    assert_eq!((fast[2].label.reason, slow.last().unwrap().label.reason), (Reason::Stopped, Reason::Stopped));
    for all in [&fast, &slow] {
        let numbers = sound(all);
        let expected: Vec<u32> = (numbers[0]..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "each picture once, in order, over all segments");
        assert!(all.windows(2).all(|pair| pair[0].label.end_unix_ms().abs_diff(pair[1].label.start_unix_ms) < 70));
    }
    let bits = fast[1].label.bytes * 8 / 20_000;
    assert!((600..1300).contains(&bits), "{bits} kbit/s");
    let told = facts(&attic.place().path("bus.sock"), "attic/evt/camera/segment-closed", fast.len() + slow.len());
    for found in fast.iter().chain(&slow) {
        let path = found.path.display().to_string();
        assert!(told.iter().any(|fact| fact["file"] == path && fact["bytes"] == found.label.bytes), "{path}: {told:?}");
    }
}

/// Waits until no segment is open, and says how long that took.
fn closed_within(recorder: &Recorder, camera: &str) -> Duration {
    let start = Instant::now();
    recorder.world.until("the open segment is closed", || recorder.contents(camera).parts.is_empty());
    start.elapsed()
}

fn recording(recorder: &Recorder, camera: &str) {
    recorder.world.until("it records", || recorder.contents(camera).parts.iter().any(|part| part.bytes > 100_000));
}

#[test]
fn no_fault_of_a_camera_ends_its_pipeline() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    let attic = agent(&mut recorder);
    recorder.camera("cam1", &camera, STILL);
    let mut process = recorder.start();
    recording(&recorder, "cam1");
    let silent = [Fault::Stall, Fault::Close, Fault::Reset, Fault::Garbage, Fault::Vast, Fault::Deep, Fault::Refuse];
    for fault in silent {
        camera.set(&[fault]);
        let took = closed_within(&recorder, "cam1");
        assert!(took < Duration::from_millis(1900), "{fault}: {took:?}");
        camera.set(&[]);
        recording(&recorder, "cam1");
    }
    for fault in
        [Fault::HalfFrame, Fault::Truncated, Fault::CutShort, Fault::BitFlipped, Fault::ZeroLength, Fault::LongLength]
    {
        camera.next(12, fault);
        std::thread::sleep(Duration::from_millis(1500));
    }
    camera.set(&[Fault::Small]);
    recorder.world.until("a segment of another size is open", || {
        recorder.closed("cam1").iter().any(|found| found.label.reason == Reason::Size)
    });
    std::thread::sleep(Duration::from_secs(1));
    assert!(process.runs());
    let log = end(process);
    assert_eq!(log.matches(" kbit/s by x264").count(), 1, "one pipeline for all: {log}");
    assert!(!log.contains("the pipeline broke:") && !log.contains("has done nothing"), "{log}");
    assert_eq!(camera.log().overlaps, 0, "one connection at a time");
    let all = recorder.closed("cam1");
    let small = all.iter().filter(|found| (found.label.width, found.label.height) == (320, 240)).count();
    assert!(small == 1 && all.len() >= 7, "{all:?}");
    assert!(all.iter().filter(|found| found.label.reason == Reason::Lost).all(|found| found.label.marked));
    for found in &all {
        assert!(recorder::probe(&found.path).1[0].starts_with('K'), "{}", found.path.display());
    }
    let online = facts(&attic.place().path("bus.sock"), "attic/evt/camera/camera-online", 1);
    assert_eq!(online[0]["camera"], "cam1");
}

#[test]
fn a_killed_recorder_leaves_orphans_that_are_adopted_and_no_name_comes_twice() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, &format!("{STILL}\nSEGMENT_SEC=2"));
    let mut names = Vec::new();
    for run in 1..=3 {
        let mut process = recorder.start();
        recorder.wait_for("cam1", 3 * run);
        recording(&recorder, "cam1");
        process.stop(Signal::SIGKILL);
        names.extend(recorder.contents("cam1").parts.iter().map(|part| part.name));
    }
    // What a recorder that died in between would leave: a segment without a label.
    let bare = recorder.closed("cam1").remove(0);
    fs::remove_file(bare.path.with_extension("json")).unwrap();
    let process = recorder.start();
    recorder.world.until("the orphans are adopted", || {
        let adopted = recorder.closed("cam1").into_iter().filter(|found| found.label.adopted).map(|found| found.name);
        adopted.collect::<Vec<_>>().len() >= 4
    });
    end(process);
    let all = recorder.closed("cam1");
    let adopted: Vec<_> = all.iter().filter(|found| found.label.adopted).map(|found| found.name).collect();
    assert!(names.iter().all(|name| adopted.contains(name)) && adopted.contains(&bare.name), "{adopted:?}");
    let again = all.iter().find(|found| found.name == bare.name).unwrap();
    assert_eq!((again.label.frames, &again.label.md5), (bare.label.frames, &bare.label.md5));
    let mut runs: Vec<_> = all.iter().map(|found| (found.label.boot.clone(), found.label.sequence)).collect();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), all.len());
    let numbers = sound(&all.into_iter().filter(|found| found.name != bare.name).collect::<Vec<_>>());
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "nothing is there twice");
}

#[test]
fn a_new_length_counts_at_once_and_a_broken_one_changes_nothing() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, STILL);
    let process = recorder.start();
    recording(&recorder, "cam1");
    let file = recorder.world.path("default/seg-cam1");
    fs::write(&file, "# Per-camera overrides for seg-cam1\nSEGMENT_SEC=3\nFPS=15\nBITRATE=500\n").unwrap();
    recorder.wait_for("cam1", 3);
    fs::write(&file, "SEGMENT_SEC=never\n").unwrap();
    recorder.wait_for("cam1", 5);
    let log = end(process);
    assert!(log.contains("goes on as before") && log.contains("seg-cam1: SEGMENT_SEC: `never` is no number"), "{log}");
    assert_eq!(log.matches("goes on as before").count(), 1, "{log}");
    let all = recorder.closed("cam1");
    assert!(all[1..4].iter().all(|found| found.label.duration_ms.abs_diff(3000) < 40), "{all:?}");
    assert!(all[3].label.bytes * 8 / 3000 < 700, "{:?}", all[3].label);
    let numbers = sound(&all);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no picture is lost: {numbers:?}");
}

#[test]
fn what_moves_leaves_at_once_and_the_clock_is_mended() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    let attic = agent(&mut recorder);
    let clock = recorder.world.path("clock");
    fs::create_dir(&clock).unwrap();
    recorder.camera("cam1", &camera, "MOTION_PERCENT=0.2").set("CLOCK_DIR", clock.to_str().unwrap());
    let process = recorder.start();
    let first = recorder.wait_for("cam1", 1).remove(0);
    assert!(first.label.marked && first.label.motion_percent > 0.2, "{:?}", first.label);
    assert_eq!((first.label.reason, first.label.clock), (Reason::Motion, Clock::Unset));
    assert!(first.label.duration_ms < 5000, "{:?}", first.label);
    assert_eq!(facts(&attic.place().path("bus.sock"), "attic/evt/camera/motion", 1)[0]["camera"], "cam1");
    fs::write(clock.join("synchronized"), "").unwrap();
    recorder
        .world
        .until("the clock is believed", || recorder.closed("cam1").iter().all(|found| found.label.clock == Clock::Set));
    end(process);
    assert_eq!(recorder.contents("cam1").stray_labels, Vec::<std::path::PathBuf>::new());
    assert!(recorder.closed("cam1").iter().all(|found| found.label.clock == Clock::Set));
}

#[test]
fn day_and_night_are_set_again_until_it_works_and_when_the_camera_is_back() {
    let camera = Camera::start(vec![]).unwrap();
    camera.set(&[Fault::NoPresets]);
    let mut recorder = Recorder::of("cam1");
    let control = camera.control_url();
    recorder.camera("cam1", &camera, &format!("{STILL}\nDAY_URL={control}/day\nNIGHT_URL={control}/night"));
    recorder.set("DAY", "00:00").set("NIGHT", "23:59");
    let process = recorder.start();
    recorder.world.until("it was refused", || process.log().contains("HTTP 500"));
    assert_eq!(camera.preset(), None);
    camera.set(&[]);
    recorder.world.until("it is set", || camera.preset().is_some());
    std::thread::sleep(Duration::from_secs(10));
    camera.forget();
    camera.set(&[Fault::Reset]);
    closed_within(&recorder, "cam1");
    camera.set(&[]);
    recorder.world.until("it is set again", || camera.preset().is_some());
    let log = end(process);
    assert!(log.contains("daynight: Applying day preset to 127.0.0.1 because "), "{log}");
}

fn ask(address: &str, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.take(200_000).read_to_end(&mut answer);
    answer
}

fn count(answer: &[u8], what: &[u8]) -> usize {
    answer.windows(what.len()).filter(|window| *window == what).count()
}

#[test]
fn others_look_at_the_pictures_over_one_connection() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, STILL).set("LIVE", "127.0.0.1:0");
    let process = recorder.start();
    recording(&recorder, "cam1");
    let log = process.log();
    let address = log.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    let snapshot = ask(&address, "/cam1/snapshot.jpg");
    assert!(snapshot.starts_with(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg") && snapshot.ends_with(b"\xff\xd9"));
    let viewers: Vec<_> = (0..3)
        .map(|_| {
            (
                address.clone(),
                std::thread::spawn({
                    let address = address.clone();
                    move || ask(&address, "/cam1/stream")
                }),
            )
        })
        .collect();
    for (_, viewer) in viewers {
        let stream = viewer.join().unwrap();
        assert!(count(&stream, b"--pistop-picture\r\n") > 4 && count(&stream, b"\xff\xd9\r\n--pistop-picture") > 3);
    }
    let status = String::from_utf8(ask(&address, "/")).unwrap();
    assert!(status.contains(r#""camera":"cam1""#) && status.contains(r#""online":true"#), "{status}");
    assert!(ask(&address, "/cam2/stream").starts_with(b"HTTP/1.1 404"));
    assert_eq!(camera.log().connections.len(), 1);
    camera.set(&[Fault::Refuse]);
    closed_within(&recorder, "cam1");
    recorder.world.until("no old picture is shown as a new one", || {
        ask(&address, "/cam1/snapshot.jpg").starts_with(b"HTTP/1.1 503")
    });
    end(process);
}

#[test]
fn what_cannot_be_recorded_is_told_with_its_remedy_and_the_rest_is_recorded() {
    let (camera, second_camera) = (Camera::start(vec![]).unwrap(), Camera::start(vec![]).unwrap());
    let mut recorder = Recorder::of("a/b cam1 cam2");
    let attic = agent(&mut recorder);
    recorder.camera("cam1", &camera, STILL);
    fs::write(recorder.world.path("cameras/cam2"), "URL=rtsp://192.168.1.36/\n").unwrap();
    let process = recorder.start();
    recording(&recorder, "cam1");
    let mut second = recorder.start();
    assert_eq!(second.wait_exit().code(), Some(111), "the other one may go");
    assert!(second.log().contains("another recorder writes here; stop it, or set another RAM_DIR"), "{}", second.log());
    recorder.camera("cam2", &second_camera, STILL);
    recording(&recorder, "cam2");
    let log = end(process);
    assert!(log.contains("cam2: its settings can be used now, and it is recorded"), "{log}");
    for told in
        ["`a/b` is not recorded: ", "use letters, digits", "`cam2` is not recorded: ", "does not begin with http://"]
    {
        assert!(log.contains(told), "{told}: {log}");
    }
    let offline = facts(&attic.place().path("bus.sock"), "attic/evt/camera/camera-offline", 2);
    assert!(offline.iter().any(|fact| fact["camera"] == "a/b"), "{offline:?}");
    fs::write(recorder.world.path("cameras/cam2"), "URL=rtsp://192.168.1.36/\n").unwrap();
    recorder.set("CAMERAS", "cam2");
    assert_eq!(recorder.start().wait_exit().code(), Some(100));
}

#[test]
fn a_camera_whose_pictures_cannot_be_encoded_is_left_alone_and_the_other_loses_nothing() {
    let (bad, good) = (Camera::start(vec![]).unwrap(), Camera::start(vec![]).unwrap());
    bad.set(&[Fault::Undecodable]);
    let mut recorder = Recorder::of("cam1 cam2");
    let attic = agent(&mut recorder);
    recorder.camera("cam1", &bad, STILL).camera("cam2", &good, &format!("{STILL}\nSEGMENT_SEC=5"));
    let process = recorder.start();
    let left = "cam1: the pipeline breaks again and again: its pictures cannot be decoded";
    recorder.world.until_within(Duration::from_secs(60), "it is left alone", || process.log().contains(left));
    let why = &facts(&attic.place().path("bus.sock"), "attic/evt/camera/camera-offline", 1)[0];
    assert!(why["camera"] == "cam1" && why["why"].as_str().unwrap().contains("set the camera to plain JPEG"), "{why}");
    let lines = segments::ledger::read(&recorder.world.path("ram"), "cam1").unwrap();
    assert!(lines.iter().any(|line| matches!(line.what, What::GaveUp { .. })), "{lines:?}");
    let silent = |what: &What| matches!(what, What::Silent { cause, .. } if cause == "unencoded");
    assert!(lines.iter().any(|line| silent(&line.what)), "{lines:?}");
    bad.set(&[]);
    recorder.camera("cam1", &bad, &format!("{STILL}\nSEGMENT_SEC=5"));
    recording(&recorder, "cam1");
    let online = facts(&attic.place().path("bus.sock"), "attic/evt/camera/camera-online", 3);
    assert_eq!(online.iter().filter(|fact| fact["camera"] == "cam1").count(), 2, "{online:?}");
    recorder.wait_for("cam2", 5);
    end(process);
    let mut numbers = sound(&recorder.closed("cam2"));
    // While its own pipeline starts, a slow machine may miss some.
    numbers.drain(..15);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "the other one lost nothing: {numbers:?}");
    assert_eq!(good.log().connections.len(), 1);
}

#[test]
fn an_odd_size_is_recorded_and_what_cannot_be_decoded_is_refused_with_the_remedy() {
    let camera = Camera::start(vec![]).unwrap();
    camera.set(&[Fault::Odd]);
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, &format!("{STILL}\nSEGMENT_SEC=2"));
    let process = recorder.start();
    recorder.wait_for("cam1", 2);
    let vast = "a picture of 20000x20000, and not of 16x16 to 8847360 pixels in all; set the camera to another size";
    let deep = "a JPEG that is not of 8 bits, which cannot be decoded; set the camera to plain JPEG";
    for (fault, why) in [(Fault::Vast, vast), (Fault::Deep, deep)] {
        camera.set(&[fault]);
        recorder.world.until("it is refused", || process.log().contains(why));
        camera.set(&[Fault::Odd]);
        recorder.world.until("it records again", || !recorder.contents("cam1").parts.is_empty());
    }
    let log = end(process);
    assert!(!log.contains("the pipeline broke"), "{log}");
    let all = recorder.closed("cam1");
    assert_eq!((all[0].label.width, all[0].label.height), (640, 480));
    assert!(sound(&all).len() > 30);
}

#[test]
fn an_address_for_viewers_that_cannot_be_had_keeps_nobody_from_recording() {
    let camera = Camera::start(vec![]).unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, STILL).set("LIVE", &address);
    let process = recorder.start();
    recording(&recorder, "cam1");
    let told = format!("pictures cannot be served at {address}: ");
    assert!(process.log().contains(&told) && process.log().contains("set LIVE to an address"), "{}", process.log());
    drop(taken);
    recorder.world.until("it is served", || process.log().contains(&format!("served at http://{address}/")));
    assert!(ask(&address, "/cam1/snapshot.jpg").starts_with(b"HTTP/1.1 200 OK"));
    assert_eq!(end(process).matches(&told).count(), 1);
}

#[test]
fn a_preset_that_was_answered_and_not_made_is_told_again() {
    let camera = Camera::start(vec![]).unwrap();
    camera.set(&[Fault::Stubborn]);
    let mut recorder = Recorder::of("cam1");
    let presets = |value: u32| {
        let url = format!("{}/control?var=aec_value&val={value}", camera.control_url());
        format!("{STILL}\nDAY_URL={url}\nNIGHT_URL={url}")
    };
    recorder.camera("cam1", &camera, &presets(300));
    let process = recorder.start();
    let stubborn = "has aec_value=0, though it was told 300; it is told again";
    recorder.world.until("it is read back", || process.log().contains(stubborn));
    camera.set(&[]);
    recorder.world.until("it is told again", || camera.is_set("\"aec_value\":300"));
    recorder.camera("cam1", &camera, &presets(400));
    recorder.world.until("another one is told at once", || camera.is_set("\"aec_value\":400"));
    assert!(end(process).contains("has aec_value=300"));
}

fn as_root_in_a_namespace(recorder: &mut Recorder, script: &str) {
    let mut words = vec!["unshare"];
    if !nix::unistd::geteuid().is_root() {
        words.push("--map-root-user");
    }
    words.extend(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]);
    recorder.wrapper = words.into_iter().map(String::from).collect();
}

/// The recorder's folder as it sees it itself.
fn inside(world: &World, pid: nix::unistd::Pid) -> std::path::PathBuf {
    Path::new(&format!("/proc/{pid}/root")).join(world.path("ram").strip_prefix("/").unwrap()).join("cam1")
}

/// Nothing of its own can make room: others take everything. Pictures are lost and nothing else, and it records again
/// as soon as there is room.
#[test]
fn a_ram_disk_that_others_fill_does_not_end_the_recorder() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, &format!("{STILL}\nSEGMENT_SEC=1")).set("RAM_MOUNT", "3m");
    let wanted = recorder.world.path("fill");
    let script = format!(
        r#"(while [ ! -e '{0}' ]; do sleep 0.1; done
           while [ -e '{0}' ]; do cat /dev/zero >>"$RAM_DIR/filler"; rm -f "$RAM_DIR"/cam1/*.ts; sleep 0.05
           done 2>/dev/null
           rm "$RAM_DIR/filler") & exec "$@""#,
        wanted.display()
    );
    as_root_in_a_namespace(&mut recorder, &script);
    let mut process = recorder.start();
    let folder = inside(&recorder.world, process.pid());
    recorder.world.until("it records", || segments::read(&folder).is_ok_and(|contents| contents.closed.len() > 1));
    fs::write(&wanted, "").unwrap();
    recorder.world.until("pictures are lost", || process.log().contains("takes none: No space left on device"));
    recorder.world.throughout(Duration::from_secs(2), "it goes on", || process.runs());
    fs::remove_file(&wanted).unwrap();
    let whole = |found: &segments::Found| found.label.reason == Reason::Length && found.label.dropped_frames == 0;
    recorder.world.until("it records again", || {
        segments::read(&folder).is_ok_and(|contents| contents.closed.iter().filter(|found| whole(found)).count() > 2)
    });
    let log = process.log();
    assert!(!log.contains("the pipeline broke:") && !log.contains("panicked"), "{log}");
    process.stop(Signal::SIGTERM);
}

#[test]
fn a_full_ram_disk_costs_the_oldest_segments_and_never_the_recorder() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    let attic = agent(&mut recorder);
    recorder
        .camera("cam1", &camera, &format!("{STILL}\nSEGMENT_SEC=1"))
        .set("RAM_MOUNT", "4m")
        .set("RAM_BYTES", "4000000");
    // Half of it is somebody else's, who comes later.
    as_root_in_a_namespace(&mut recorder, r#"(sleep 5; head -c 3m /dev/zero >"$RAM_DIR/filler") & exec "$@""#);
    let mut process = recorder.start();
    let folder = inside(&recorder.world, process.pid());
    recorder.world.until("it records", || segments::read(&folder).is_ok_and(|contents| contents.closed.len() > 3));
    let first = segments::read(&folder).unwrap().closed.remove(0).name;
    let evicted = facts(&attic.place().path("bus.sock"), "attic/evt/camera/segment-evicted", 8);
    assert!(evicted[0]["file"].as_str().unwrap().ends_with(&first.segment()), "the oldest first: {evicted:?}");
    assert!(process.runs());
    let contents = segments::read(&folder).unwrap();
    let bytes: u64 = contents.bytes();
    assert!(bytes <= 1_200_000 && contents.closed.len() >= 3, "{bytes}: {contents:?}");
    assert!(contents.closed.iter().rev().take(3).all(|found| found.label.dropped_frames < 8), "{contents:?}");
    recorder.world.until("the ledger says what had to go", || {
        let lines = segments::ledger::read(folder.parent().unwrap(), "cam1").unwrap();
        let evicted = |line: &segments::ledger::Line| matches!(line.what, What::Evicted { .. });
        lines.iter().filter(|line| evicted(line)).count() >= 8
    });
    let log = process.log();
    assert!(log.contains("a tmpfs of 4m is mounted at "), "{log}");
    process.stop(Signal::SIGTERM);
    assert!(!Path::new(&recorder.folder("cam1")).exists(), "outside nothing was mounted or written");
}

/// A recorder was killed, and somebody has filled the disk since.
#[test]
fn an_orphan_on_a_full_ram_disk_is_told_and_adopted_as_soon_as_there_is_room() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    let attic = agent(&mut recorder);
    recorder.camera("cam1", &camera, &format!("{STILL}\nSEGMENT_SEC=1"));
    let process = recorder.start();
    let orphan = recorder.wait_for("cam1", 1).remove(0);
    end(process);
    let (wanted, orphan) = (recorder.world.path("fill"), orphan.path.display().to_string());
    fs::write(&wanted, "").unwrap();
    let script = format!(
        r#"cp '{orphan}' '{0}.ts' && mount -t tmpfs -o size=1m tmpfs "$RAM_DIR" && mkdir "$RAM_DIR/cam1" &&
           cp '{0}.ts' "$RAM_DIR/cam1/{1}"; cat /dev/zero >"$RAM_DIR/filler" 2>/dev/null
           (while [ -e '{0}' ]; do sleep 0.1; done; rm "$RAM_DIR/filler") & exec "$@""#,
        wanted.display(),
        segments::Name::new(1000, 9, 1).part(),
    );
    as_root_in_a_namespace(&mut recorder, &script);
    let mut process = recorder.start();
    let folder = inside(&recorder.world, process.pid());
    recorder.world.until("it waits", || process.log().contains("is adopted as soon as there is room: No space left"));
    recorder.world.until("it is told", || {
        let told = facts(&attic.place().path("bus.sock"), "attic/st/camera/queue-pressure", 1);
        told[0]["full"] == true && told[0]["high"] == true
    });
    fs::remove_file(&wanted).unwrap();
    recorder.world.until("it is adopted", || {
        segments::read(&folder).is_ok_and(|contents| contents.closed.iter().any(|found| found.label.boot == "00000009"))
    });
    process.stop(Signal::SIGTERM);
}

#[test]
fn whoever_checks_hears_what_each_camera_answers() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1 cam2");
    recorder.camera("cam1", &camera, "").camera("cam2", &camera, "");
    fs::write(recorder.world.path("cameras/cam2"), "URL=http://127.0.0.1:1/stream\n").unwrap();
    let check = |recorder: &Recorder| {
        let mut command = recorder.world.command(tests::world::programs::find("camera"));
        let output = command.arg("check").envs(recorder.settings()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, told) = check(&recorder);
    assert!(code == Some(100) && told.contains("cam1: answers with pictures of "), "{told}");
    assert!(told.contains("problem: cam2: ") && told.contains("refuse"), "{told}");
    let process = recorder.start();
    recording(&recorder, "cam1");
    recorder.world.until("the recorder says so", || recorder.world.path("ram").join(segments::status::FILE).exists());
    recorder.world.until("it is not asked", || check(&recorder).1.contains("cam1: is being recorded"));
    assert_eq!(camera.log().overlaps, 0, "a camera serves one client");
    end(process);
}

#[test]
fn a_segment_that_would_take_the_room_of_others_ends_before_and_loses_no_picture() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, &format!("{STILL}\nFPS=60\nSEGMENT_SEC=3600")).set("RAM_BYTES", "2000000");
    let process = recorder.start();
    let all = recorder.wait_for("cam1", 2);
    end(process);
    for found in &all[..2] {
        assert_eq!(found.label.reason, Reason::Length);
        assert!((500_000..700_000).contains(&found.bytes), "a quarter: {found:?}");
    }
    let numbers = sound(&all[..2]);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
}
