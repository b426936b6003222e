//! `pistop cam` with the real recorder and cameras of ours: every word that was typed before, and nothing is lost by it.
#![allow(clippy::unwrap_used, missing_docs)]

use bus::client::{Bus, Item};
use esp32::Camera;
use protocol::door::{From, Subscribe};
use segments::{Found, Held, Reason};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tests::world::PATIENCE;
use tests::world::recorder::{Recorder, end, numbers};
use tests::world::services::Services;
use tests::world::{executable, programs};

/// No motion, and no picture is too many: on a busy machine those of a camera at its limit come in bursts, and some are thinned out.
const STILL: &str = "MOTION_PERCENT=0\nFPS=60";

fn recording(recorder: &Recorder, camera: &str) {
    recorder.world.until("it records", || recorder.contents(camera).parts.iter().any(|part| part.bytes > 50_000));
}

/// Which pictures of the camera are in these segments, each of which is played alone.
fn shown(all: &[Found]) -> Vec<u32> {
    let of = |found: &Found| numbers(&found.path, found.label.width as usize, found.label.height as usize);
    all.iter().flat_map(of).collect()
}

/// What the recorder and the RAM say of a camera.
#[track_caller]
fn status(recorder: &Recorder, camera: &str) -> Value {
    let all: Value = serde_json::from_str(&recorder.cam_does(&["status", camera, "--json"])).unwrap();
    all["cameras"][0].clone()
}

/// All facts that are kept.
fn facts(door: &Path, filter: &str) -> Vec<Value> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let wanted = Subscribe { name: None, filters: vec![filter.into()], from: From::Oldest };
        let mut subscription = Bus::open(door, "test 1").subscribe(wanted);
        let mut facts = Vec::new();
        loop {
            match tokio::time::timeout(PATIENCE, subscription.next()).await {
                Ok(Item::Event(_, event)) => facts.push(serde_json::from_slice(&event.body.0).unwrap()),
                Ok(Item::Live) => return facts,
                Ok(_) => {}
                Err(_) => panic!("the bus says nothing"),
            }
        }
    })
}

#[test]
fn a_new_length_is_in_force_when_setdur_ends_and_no_picture_is_lost() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, STILL);
    let file = recorder.world.path("default/seg-cam1");
    let before = "# Per-camera overrides for seg-cam1\nSEGMENT_SEC=20  # of before\nFPS=60\n\n# kbit\nBITRATE=1000\n";
    fs::write(&file, before).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let process = recorder.start();
    recording(&recorder, "cam1");
    let told = recorder.cam_does(&["setdur", "cam1", "3"]);
    assert!(told.contains(&format!("Updated {} -> SEGMENT_SEC=3\n", file.display())), "{told}");
    assert!(told.ends_with("cam1: segments of 3 s from now on\n"), "{told}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before.replace("=20", "=3"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(status(&recorder, "cam1")["status"]["segment-sec"], 3.0);
    let said = recorder.cam(&["getdur", "seg-cam1"]);
    assert_eq!((said.output.as_str(), said.status.code()), ("3\n", Some(0)), "a number alone, for scripts");
    assert!(said.error.contains("3 s by its settings; 3 s are in force"), "{said:?}");
    let count = recorder.wait_for("cam1", 3).len();
    recorder.cam_does(&["setdur", "all", "5"]);
    recorder.wait_for("cam1", count + 2);
    for seconds in ["0", "3601", "many"] {
        let (code, why) = recorder.cam_refuses(&["setdur", "cam1", seconds]);
        assert!(code == 100 && why.contains("give seconds from 1 to 3600"), "{seconds}: {why}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), before.replace("=20", "=5"));
    let log = end(process);
    assert_eq!(log.matches("its settings were read again").count(), 2, "{log}");
    let all = recorder.closed("cam1");
    for length in [3000, 5000] {
        assert!(all.iter().any(|found| found.label.duration_ms.abs_diff(length) < 700), "{length}: {all:?}");
    }
    let numbers = shown(&all);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "no picture is lost: {numbers:?}");
    for pair in all.windows(2).filter(|pair| pair[0].label.reason == Reason::Length) {
        assert!(pair[0].label.end_unix_ms().abs_diff(pair[1].label.start_unix_ms) < 70, "no time is lost: {pair:?}");
    }
}

#[test]
fn one_camera_is_stopped_and_started_while_the_other_loses_nothing() {
    let (one, two) = (Camera::start(vec![]).unwrap(), Camera::start(vec![]).unwrap());
    let mut recorder = Recorder::of("cam1 cam2");
    let attic = recorder.world.server("attic").start();
    let door = attic.place().path("bus.sock");
    recorder.set("DOOR", door.to_str().unwrap()).set("LIVE", "127.0.0.1:0");
    let settings = format!("{STILL}\nSEGMENT_SEC=4");
    recorder.camera("cam1", &one, &settings).camera("cam2", &two, &settings);
    let process = recorder.start();
    recording(&recorder, "cam1");
    recording(&recorder, "cam2");
    let picture = recorder.world.path("picture.jpg");
    recorder.cam_does(&["snapshot", "cam1", picture.to_str().unwrap()]);
    let jpeg = fs::read(&picture).unwrap();
    assert!(jpeg.starts_with(b"\xff\xd8") && jpeg.ends_with(b"\xff\xd9") && jpeg.len() > 1000, "{}", jpeg.len());
    let url = recorder.cam_does(&["live", "cam2"]);
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/cam2/stream\n"), "{url}");

    let told = recorder.cam_does(&["stop", "seg-cam1.service"]);
    assert!(told.contains("cam1: not recorded until `pistop cam start cam1`"), "{told}");
    assert!(recorder.contents("cam1").parts.is_empty(), "its tail is closed when stop ends");
    assert_eq!(recorder.closed("cam1").last().unwrap().label.reason, Reason::Stopped);
    let stopped = status(&recorder, "cam1");
    assert_eq!((&stopped["status"]["recorded"], &stopped["status"]["online"]), (&false.into(), &false.into()));
    assert_eq!(stopped["status"]["last-segment"]["reason"], "stopped");
    let closed = recorder.closed("cam1").len();
    assert_eq!(stopped["queue"]["segments"], closed);
    let (code, why) = recorder.cam_refuses(&["snapshot", "cam1", "-"]);
    assert!(code == 111 && why.contains("cam1: the camera sends no pictures"), "{why}");
    recorder.wait_for("cam2", recorder.closed("cam2").len() + 2);
    assert_eq!((recorder.closed("cam1").len(), one.log().connections.len()), (closed, 1), "it is left alone");

    let told = recorder.cam_does(&["start", "cam1"]);
    assert!(told.contains("upload: there is no such service here") && told.contains("cam1: online for "), "{told}");
    recording(&recorder, "cam1");
    let told = recorder.cam_does(&["restart", "cam1"]);
    assert!(told.contains("cam1: its last segment is closed") && told.contains("cam1: online for "), "{told}");
    recording(&recorder, "cam1");
    assert_eq!((one.log().connections.len(), one.log().overlaps), (3, 0), "one at a time");
    let log = end(process);
    assert!(!log.contains("the pipeline broke"), "{log}");
    assert_eq!(two.log().connections.len(), 1);
    let numbers = shown(&recorder.closed("cam2"));
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "the other one lost nothing: {numbers:?}");
    assert!(shown(&recorder.closed("cam1")).windows(2).all(|pair| pair[0] < pair[1]));
    let told = facts(&door, "attic/evt/camera/#");
    assert!(told.iter().any(|fact| fact["fact"] == "segment-closed"), "{told:?}");
    assert!(
        !told.iter().any(|fact| fact["fact"] == "camera-offline"),
        "whoever stops a camera is not alarmed: {told:?}"
    );
    assert!(!recorder.world.path("ram").join(segments::status::FILE).exists(), "nobody records any more");
}

#[test]
fn what_is_kept_counts_at_the_next_start_of_the_machine() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    recorder.camera("cam1", &camera, STILL);
    for service in ["camera", "upload"] {
        executable(&recorder.world.path(&format!("services/{service}/run")), "#!/bin/sh\nexec sleep 1000\n");
        fs::write(recorder.world.path(&format!("services/{service}/down")), "").unwrap();
    }
    let services = Services::new(&recorder.world).watched();
    services.until_svstat("upload", "down");
    let process = recorder.start();
    recording(&recorder, "cam1");
    let told = recorder.cam_does(&["disable", "cam1"]);
    assert!(
        told.contains("RECORD=no") && told.contains("goes on being recorded until this machine starts again"),
        "{told}"
    );
    let looked = || {
        serde_json::from_str::<Value>(&recorder.cam_does(&["status", "--json"])).unwrap()["recorder"]["monotonic-ms"]
            .clone()
    };
    let mut looks = vec![looked()];
    recorder.world.until("the recorder has seen it, and twice the same", || {
        looks.push(looked());
        looks.dedup();
        looks.len() > 4
    });
    assert_eq!(status(&recorder, "cam1")["status"]["recorded"], true);
    end(process);
    let process = recorder.start();
    recording(&recorder, "cam1");
    // As a new start of the machine does, whose /run is empty.
    fs::remove_dir_all(recorder.world.path("switches")).unwrap();
    recorder.world.until("it is not recorded", || status(&recorder, "cam1")["status"]["recorded"] == false);
    assert!(recorder.contents("cam1").parts.is_empty());
    assert!(recorder.cam_does(&["status", "cam1"]).contains(": RECORD=no; `pistop cam enable cam1 --now`"));
    recorder.cam_does(&["enable", "cam1", "--now"]);
    assert_eq!(fs::read_to_string(recorder.world.path("default/seg-cam1")).unwrap(), "RECORD=yes\n");
    assert_eq!(status(&recorder, "cam1")["status"]["online"], true);
    let down = |service: &str| recorder.world.path(&format!("services/{service}/down")).exists();
    assert!(!down("camera") && !down("upload"), "and something records and sends it then");
    services.until_svstat("upload", "up");
    recorder.cam_does(&["disable", "cam1", "--now"]);
    assert_eq!(status(&recorder, "cam1")["status"]["recorded"], false);
    end(process);
}

#[test]
fn what_lies_in_ram_is_listed_and_only_deleted_by_who_says_so() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1");
    let attic = recorder.world.server("attic").start();
    let door = attic.place().path("bus.sock");
    recorder.set("DOOR", door.to_str().unwrap()).camera("cam1", &camera, &format!("{STILL}\nSEGMENT_SEC=1"));
    let process = recorder.start();
    recorder.wait_for("cam1", 5);
    end(process);
    let all = recorder.closed("cam1");
    let (held, evidence) = (&all[0], &all[1]);
    let lock = Held::take(&held.path).unwrap().unwrap();
    let marked = segments::Label { marked: true, ..evidence.label.clone() };
    fs::write(evidence.path.with_extension("json"), marked.encode().unwrap()).unwrap();
    fs::write(recorder.folder("cam1").join("home-cam-1-00007.ts"), "of before").unwrap();
    let list = recorder.cam_does(&["lsram"]);
    for found in &all {
        let line = list.lines().find(|line| line.ends_with(&found.name.segment())).unwrap_or_else(|| panic!("{list}"));
        assert_eq!(line.contains("on its way"), found.name == held.name, "{line}");
        assert_eq!(line.contains("evidence"), found.name == evidence.name, "{line}");
    }
    assert!(list.contains("not ours") && list.lines().last().unwrap().starts_with("total "), "{list}");
    let json: Value = serde_json::from_str(&recorder.cam_does(&["lsram", "cam1", "--json"])).unwrap();
    assert_eq!(json["cameras"][0]["closed"].as_array().unwrap().len(), all.len());
    assert_eq!(json["cameras"][0]["closed"][0]["held"], true);

    let (code, why) = recorder.cam_refuses(&["clean"]);
    assert!(code == 100 && why.contains("nothing was done; give --yes"), "{why}");
    let plan = recorder.cam_does(&["clean", "all", "--dry-run"]);
    assert!(
        plan.contains(&format!("cam1: {} segments, ", all.len() - 1)) && plan.contains("1 files of another"),
        "{plan}"
    );
    assert_eq!(recorder.closed("cam1").len(), all.len(), "nothing is gone");
    let told = recorder.cam_does(&["clean", "cam1", "--yes"]);
    assert!(told.contains("1 are on their way to the storage"), "{told}");
    let left: Vec<_> = recorder.closed("cam1").into_iter().map(|found| found.name).collect();
    assert_eq!(left, [held.name, evidence.name]);
    assert!(recorder.contents("cam1").foreign.is_empty() && recorder.contents("cam1").stray_labels.is_empty());
    recorder.cam_does(&["clean", "cam1", "--yes", "--evidence"]);
    assert_eq!(recorder.closed("cam1").len(), 1);
    let lines = segments::ledger::read(&recorder.world.path("ram"), "cam1").unwrap();
    let cleaned = lines.iter().filter(|line| matches!(line.what, segments::ledger::What::Cleaned { .. })).count();
    assert_eq!(cleaned, all.len() - 1, "and so does the ledger");
    let told = facts(&door, "attic/evt/camera/segment-evicted");
    assert_eq!(told.len(), all.len() - 1, "the house knows: {told:?}");
    drop(lock);

    let process = recorder.start();
    recording(&recorder, "cam1");
    recorder.cam_does(&["clean", "--yes", "--evidence"]);
    recorder.wait_for("cam1", 3);
    end(process);
    assert!(!shown(&recorder.closed("cam1")).is_empty());
}

#[test]
fn whatever_means_nothing_is_refused_and_what_does_not_run_is_said() {
    let camera = Camera::start(vec![]).unwrap();
    let mut recorder = Recorder::of("cam1 cam2");
    recorder.camera("cam1", &camera, STILL).camera("cam2", &camera, "SEGMENT_SEC=7");
    for words in
        [&["stop", "cam3"][..], &["status", "CAM1"], &["clean", "seg-cam3"], &["getdur", ""], &["setdur", "cam9", "5"]]
    {
        let (code, why) = recorder.cam_refuses(words);
        assert!(
            code == 100 && why.contains("there are cam1 cam2, all, and units such as seg-NAME"),
            "{words:?}: {why}"
        );
    }
    let (code, why) = recorder.cam_refuses(&["stop", "uploader-cam1"]);
    assert!(code == 100 && why.contains("upload sends for all cameras"), "{why}");
    let (code, why) = recorder.cam_refuses(&["getdur", "all"]);
    assert!(code == 100 && why.contains("use cam1 or cam2"), "{why}");
    let (code, why) = recorder.cam_refuses(&["live", "cam1"]);
    assert!(code == 111 && why.contains("`pistop cam start all` starts it"), "{why}");
    assert_eq!(recorder.cam_does(&["getdur", "cam2"]), "7\n");
    assert!(recorder.cam_does(&["setdur", "cam2", "9"]).contains("no recorder runs; it counts when one does"));
    assert_eq!(fs::read_to_string(recorder.world.path("default/seg-cam2")).unwrap(), "SEGMENT_SEC=9\n");
    let info = recorder.cam_does(&[]);
    assert!(["info", "actions", "--info"].iter().all(|word| recorder.cam_does(&[word]) == info), "{info}");
    let mapping = format!("  cam2 -> seg-cam2, uploader-cam2, {}, ", camera.url());
    assert!(info.contains(&mapping) && info.contains("cam1: not recorded, no recorder runs"), "{info}");
    recorder.set("CAMERAS", "");
    let (code, why) = recorder.cam_refuses(&["start", "all"]);
    assert!(code == 100 && why.contains("no camera is set; write CAMERAS in "), "{why}");

    recorder.set("CAMERAS", "cam1");
    let process = recorder.start();
    recording(&recorder, "cam1");
    let (code, why) = recorder.cam_refuses(&["snapshot", "cam1"]);
    assert!(code == 100 && why.contains("set LIVE, as in 127.0.0.1:8090"), "{why}");
    let info = recorder.cam_does(&["info"]);
    assert!(info.contains("cam1: online for ") && info.contains(" in segments of 20 s"), "{info}");
    end(process);
}

#[test]
fn all_are_the_services_and_one_that_is_started_alone_is_recorded_alone() {
    let (one, two) = (Camera::start(vec![]).unwrap(), Camera::start(vec![]).unwrap());
    let mut recorder = Recorder::of("cam1 cam2");
    recorder.camera("cam1", &one, STILL).camera("cam2", &two, STILL);
    let settings: Vec<String> = recorder.settings().iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    let run = format!("#!/bin/sh\nexec 2>&1\nexec env {} {}\n", settings.join(" "), programs::find("camera").display());
    let path = |name: &str| recorder.world.path(&format!("services/{name}"));
    executable(&path("camera/run"), &run);
    executable(&path("camera/log/run"), "#!/bin/sh\nexec multilog t ./main\n");
    executable(&path("upload/run"), "#!/bin/sh\nexec sleep 1000\n");
    for service in ["camera", "upload"] {
        fs::write(path(&format!("{service}/down")), "").unwrap();
    }
    let services = Services::new(&recorder.world).watched();
    services.until_svstat("camera", "down");
    services.until_svstat("upload", "down");

    recorder.cam_does(&["start", "cam1"]);
    services.until_svstat("camera", "up");
    services.until_svstat("upload", "up");
    recording(&recorder, "cam1");
    assert_eq!(
        (status(&recorder, "cam2")["status"]["recorded"].clone(), two.log().connections.len()),
        (false.into(), 0)
    );
    recorder
        .world
        .until("its log is there", || recorder.cam(&["logs", "cam1"]).output.contains("cam1: sends pictures"));
    let told = recorder.cam_does(&["start", "all"]);
    assert!(told.contains("camera: up (pid ") && told.contains("cam2: online for "), "{told}");
    recording(&recorder, "cam2");
    let told = recorder.cam_does(&["stop", "all"]);
    assert!(told.contains("camera: down ") && told.contains("upload: down "), "{told}");
    assert!(["cam1", "cam2"].iter().all(|name| recorder.contents(name).parts.is_empty()), "the tails are closed");
    let told = recorder.cam_does(&["status"]);
    assert!(told.contains("camera: down ") && told.contains("cam1: not recorded, no recorder runs"), "{told}");
}
