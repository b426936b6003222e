//! `upload` against a storage that answers like Backblaze B2 and fails in every way that a real one does. Whatever happens, a recording is deleted
//! here only after it is there, byte for byte.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::World;
use tests::b2::{B2, Fault, Object, Seen, State};
use tests::world::uploads::Recordings;

fn stage() -> (World, B2, Recordings) {
    let world = World::new();
    let b2 = B2::start(world.address());
    let recordings = Recordings::new(&world, "pi", &b2.endpoint());
    (world, b2, recordings)
}

/// Segments that were sent, or tried to be.
fn puts(state: &State) -> impl Iterator<Item = &Seen> {
    state.seen.iter().filter(|seen| seen.method == "PUT" && seen.key.ends_with(".ts"))
}

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// No checksum headers, no chunks, no conditions; what is there already is looked at first.
#[test]
fn requests_are_such_that_backblaze_takes_them() {
    let (world, b2, mut pi) = stage();
    let content = pi.record("cam1", 0.0, 20.0, 300_000, true);
    let other = pi.record("cam1", 0.2, 20.0, 1000, false);
    let upload = pi.upload();
    world.until("both are there", || b2.segments().len() == 2 && pi.left() == 0);
    let state = b2.state();
    let key = "cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20";
    let objects = [&state.objects[&format!("{key}.ts")], &state.objects[&format!("{key}_2.ts")]];
    let large = objects.iter().find(|object| object.content.len() == 300_000).unwrap();
    assert!(large.content == content && objects.iter().any(|object| object.content == other));
    let headers = &large.headers;
    assert_eq!(headers["content-length"], "300000");
    assert_eq!(headers["x-amz-meta-start"], "2026-11-26T01:54:00.000Z");
    assert!(headers.contains_key("content-md5") && headers["content-type"] == "video/mp2t");
    let statuses: Vec<(&str, u16)> = state.seen.iter().map(|seen| (seen.method.as_str(), seen.status)).collect();
    assert!(!statuses.iter().any(|(method, status)| *method == "PUT" && *status != 200), "{statuses:?}");
    assert!(!upload.log().contains("is not uploaded"), "{}", upload.log());
}

/// A key that may only write cannot look; the first try with it is not taken for a wrong key.
#[test]
fn a_key_that_may_only_write_is_enough() {
    let (world, b2, mut pi) = stage();
    b2.state().blind = true;
    for second in 0..3 {
        pi.record("cam1", f64::from(second), 1.0, 1000, true);
    }
    let upload = pi.upload();
    world.until("all are there", || b2.segments().len() == 3 && pi.left() == 0);
    assert!(b2.state().seen.iter().any(|seen| seen.status == 501), "it was tried whether conditions are known");
    let looks = b2.state().seen.iter().filter(|seen| seen.method == "HEAD").count();
    assert!((1..=3).contains(&looks), "{looks}");
    assert!(!upload.log().contains("pause"), "{}", upload.log());
}

#[test]
fn a_busy_storage_is_not_asked_before_it_said() {
    let (world, b2, mut pi) = stage();
    b2.state().conditions = true;
    b2.state().faults.extend([Fault::Busy(2), Fault::Busy(1)]);
    pi.record("cam1", 0.0, 20.0, 1000, false);
    let upload = pi.upload();
    world.until("it is there", || b2.segments().len() == 1 && pi.left() == 0);
    let state = b2.state();
    let puts: Vec<Instant> = puts(&state).map(|seen| seen.at).collect();
    assert_eq!(puts.len(), 3, "{:?}", state.seen);
    let pauses = [puts[1] - puts[0], puts[2] - puts[1]];
    assert!(pauses[0] >= Duration::from_secs(2) && pauses[1] >= Duration::from_secs(1), "{pauses:?}");
    assert!(pauses[0] < Duration::from_secs(4), "{pauses:?}");
    drop(state);
    assert!(upload.log().contains("503 ServiceUnavailable no tomes available"), "{}", upload.log());
}

#[test]
fn a_cap_pauses_everything_and_is_tried_slowly() {
    let (world, b2, mut pi) = stage();
    b2.state().conditions = true;
    b2.state().always = Some(Fault::Cap);
    for second in 0..5 {
        pi.record("cam1", f64::from(second), 1.0, 1000, true);
    }
    let upload = pi.upload();
    world.until("it pauses", || upload.log().contains("uploads pause: the account's cap is reached"));
    world.until("it tries", || puts(&b2.state()).count() >= 6);
    let state = b2.state();
    let trials: Vec<Instant> = puts(&state).map(|seen| seen.at).collect();
    drop(state);
    // Three at a time before it was known, one in each half second since then.
    let slow = trials[3..].windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(slow >= Duration::from_millis(400), "{slow:?}");
    assert_eq!(upload.log().matches("uploads pause").count(), 1, "{}", upload.log());
    assert_eq!(pi.left(), 5);
    b2.state().always = None;
    world.until("all are there", || b2.segments().len() == 5 && pi.left() == 0);
}

#[test]
fn no_way_of_failing_loses_or_doubles_anything() {
    let (world, b2, mut pi) = stage();
    pi.set("PATIENCE", "1");
    pi.set("RATE", "4000");
    pi.set("RETRY_FIRST", "0.05");
    b2.state().faults.extend([
        Fault::Reset,
        Fault::BlackHole,
        Fault::KeptAndReset,
        Fault::Busy(0),
        Fault::Reset,
        Fault::Reset,
        Fault::KeptAndReset,
        Fault::Cap,
        Fault::BlackHole,
        Fault::Reset,
    ]);
    let mut all: Vec<Vec<u8>> = (0..6).map(|second| pi.record("cam1", f64::from(second), 1.0, 60_000, false)).collect();
    let upload = pi.upload();
    world.until("all are there", || b2.segments().len() == 6 && pi.left() == 0);
    assert!(b2.state().faults.is_empty(), "everything was tried");
    let mut there: Vec<Vec<u8>> = {
        let state = b2.state();
        b2_segments(&state.objects)
    };
    there.sort();
    all.sort();
    assert!(there == all);
    assert!(upload.log().contains("no answer within 1 s"), "{}", upload.log());
}

fn b2_segments(objects: &BTreeMap<String, Object>) -> Vec<Vec<u8>> {
    objects.iter().filter(|(key, _)| key.contains("/cam_")).map(|(_, object)| object.content.clone()).collect()
}

/// What was kept, though no answer came, is recognised and not sent again.
#[test]
fn an_answer_that_was_lost_costs_no_second_upload() {
    let (world, b2, mut pi) = stage();
    b2.state().faults.extend([Fault::KeptAndReset]);
    pi.record("cam1", 0.0, 20.0, 100_000, false);
    let _upload = pi.upload();
    world.until("it is gone here", || pi.left() == 0);
    assert_eq!(b2.segments().len(), 1);
    let state = b2.state();
    let writes = state.writes.iter().filter(|(key, _)| key.ends_with(".ts")).map(|(_, count)| count).sum::<u32>();
    assert_eq!(writes, 1);
}

/// A crash between the storage's keeping and our deleting: the next run finds its own bytes under its own key.
#[test]
fn a_crash_after_the_upload_makes_no_second_object() {
    let (world, b2, mut pi) = stage();
    pi.set("RETRY_FIRST", "20");
    pi.set("RETRY_LAST", "20");
    b2.state().faults.extend([Fault::KeptAndReset]);
    pi.record("cam1", 0.0, 20.0, 100_000, false);
    let mut upload = pi.upload();
    world.until("it is kept there, and nobody here knows", || upload.log().contains("is not uploaded"));
    assert_eq!((b2.segments().len(), pi.left()), (1, 1));
    upload.stop(Signal::SIGKILL);
    let _next = pi.upload();
    world.until("it is gone here", || pi.left() == 0);
    assert_eq!(b2.segments().len(), 1, "{:?}", b2.segments());
}

#[test]
fn what_arrived_wrong_is_not_deleted_here() {
    let (world, b2, mut pi) = stage();
    b2.state().conditions = true;
    b2.state().always = Some(Fault::Corrupt);
    let mut contents: Vec<_> = (0..3).map(|n| pi.record("cam1", f64::from(n), 1.0, 1000, false)).collect();
    let upload = pi.upload();
    world.until("it is told", || upload.log().contains("so it is not what was sent"));
    world.until("and pauses everything", || upload.log().contains("uploads pause: the storage keeps something else"));
    let tries = puts(&b2.state()).count();
    world.until("it is tried all the same", || puts(&b2.state()).count() >= tries + 3);
    assert_eq!(pi.left(), 3, "nothing is deleted");
    assert!(b2.segments().len() <= 3, "one object for each at most: {:?}", b2.segments());
    assert_eq!(upload.log().matches("uploads pause").count(), 1, "{}", upload.log());
    b2.state().always = None;
    world.until("it is gone here", || pi.left() == 0);
    let mut there = b2_segments(&b2.state().objects);
    there.sort();
    contents.sort();
    assert!(there == contents, "what arrived wrong was ours, and is overwritten");
}

/// Two cameras, several ways, one rate: what the storage sees is what was set.
#[test]
fn the_rate_holds_on_the_wire() {
    let (world, b2, mut pi) = stage();
    let rate = 400 * 1024;
    pi.set("RATE", "400");
    for second in 0..8 {
        pi.record(if second % 2 == 0 { "cam1" } else { "cam2" }, f64::from(second), 1.0, 300_000, second == 0);
    }
    let _upload = pi.upload();
    world.until("all are there", || b2.segments().len() == 8 && pi.left() == 0);
    let state = b2.state();
    let (begin, end) = (state.arrivals[0].0, state.arrivals.last().unwrap().0);
    let bytes: usize = state.arrivals.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(bytes, 8 * 300_000);
    let measured = bytes as f64 / (end - begin).as_secs_f64();
    eprintln!("{:.1} KiB/s where 400 are set", measured / 1024.0);
    assert!((measured / f64::from(rate) - 1.0).abs() < 0.05, "{measured} bytes a second");
    // And in every second of it.
    for second in 1..(end - begin).as_secs() {
        let from = begin + Duration::from_secs(second - 1);
        let within = |at: &Instant| *at >= from && *at < from + Duration::from_secs(1);
        let bytes: usize = state.arrivals.iter().filter(|(at, _)| within(at)).map(|(_, bytes)| bytes).sum();
        assert!((bytes as f64 / f64::from(rate) - 1.0).abs() < 0.3, "{bytes} in second {second}");
    }
}

/// The line is slower than what is set; that is no failure.
#[test]
fn a_slow_line_is_no_failure() {
    let (world, b2, mut pi) = stage();
    pi.set("PATIENCE", "3");
    pi.set("RATE", "4000");
    b2.state().always = Some(Fault::Slow(300_000));
    pi.record("cam1", 0.0, 20.0, 600_000, false);
    let upload = pi.upload();
    world.until("it is there", || b2.segments().len() == 1 && pi.left() == 0);
    assert!(!upload.log().contains("is not uploaded"), "{}", upload.log());
    assert_eq!(b2.state().writes.values().max(), Some(&1));
}

#[test]
fn a_bucket_that_is_not_there_is_waited_for() {
    let (world, b2, mut pi) = stage();
    b2.state().no_bucket = true;
    pi.record("cam1", 0.0, 20.0, 1000, false);
    let upload = pi.upload();
    world.until("it is told", || upload.log().contains("uploads pause: there is no bucket `visd-cctv`"));
    assert!(upload.log().contains("create it there"), "{}", upload.log());
    let text = told(&pi.doctor(&[]));
    assert!(text.contains("problem: writing to bucket `visd-cctv` fails: there is no bucket"), "{text}");
    b2.state().no_bucket = false;
    world.until("it is there", || b2.segments().len() == 1 && pi.left() == 0);
}

/// What somebody else has put where a segment belongs stays as it is, with a key that may not look.
fn overwrites_nothing(faults: &[Fault]) {
    let (world, b2, mut pi) = stage();
    b2.state().blind = true;
    b2.state().conditions = true;
    b2.state().faults.extend(faults.iter().cloned());
    let key = "cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20";
    let there = Object { content: b"of another day".to_vec(), headers: BTreeMap::new() };
    b2.state().objects.insert(format!("{key}.ts"), there);
    let content = pi.record("cam1", 0.0, 20.0, 1000, false);
    let _upload = pi.upload();
    world.until("it is there", || b2.segments().len() == 2 && pi.left() == 0);
    assert_eq!(b2.state().objects[&format!("{key}.ts")].content, b"of another day");
    assert!(b2.state().objects[&format!("{key}_2.ts")].content == content);
}

/// With a key that may not look, a storage that knows conditions refuses what is taken.
#[test]
fn a_key_that_may_not_look_overwrites_nothing_either() {
    overwrites_nothing(&[]);
}

/// What the storage kept before its answer was lost is ours: neither a second attempt nor a crash takes it for somebody else's.
#[test]
fn a_key_that_may_not_look_sends_what_may_be_there_to_the_same_key_again() {
    for conditions in [true, false] {
        let (world, b2, mut pi) = stage();
        b2.state().blind = true;
        b2.state().conditions = conditions;
        b2.state().faults.extend([Fault::KeptAndReset, Fault::KeptAndReset]);
        pi.set("RETRY_FIRST", "20");
        pi.set("RETRY_LAST", "20");
        let content = pi.record("cam1", 0.0, 20.0, 1000, false);
        let mut upload = pi.upload();
        world.until("it is kept there, and nobody here knows", || upload.log().contains("is not uploaded"));
        upload.stop(Signal::SIGKILL);
        let mut upload = pi.upload();
        world.until("and once more", || upload.log().matches("is not uploaded").count() == 2);
        upload.stop(Signal::SIGKILL);
        let _next = pi.upload();
        world.until("it is gone here", || pi.left() == 0);
        let there = b2_segments(&b2.state().objects);
        assert!(there == [content], "{:?}", b2.segments());
    }
}

/// A refusal tells that nothing was kept, so the next try must not overwrite what is there.
#[test]
fn a_storage_that_was_busy_at_first_overwrites_nothing_of_somebody_else_afterwards() {
    overwrites_nothing(&[Fault::Busy(0), Fault::Busy(0)]);
}

#[test]
fn while_the_timetable_says_stop_nothing_is_sent_and_nothing_fails() {
    let (world, b2, mut pi) = stage();
    pi.set("RATE", "stop");
    pi.record("cam1", 0.0, 20.0, 1000, false);
    let mut upload = pi.upload();
    world.until("it runs", || upload.log().contains("uploads from"));
    assert!(upload.stop(Signal::SIGTERM).success());
    assert!(b2.state().seen.is_empty(), "{:?}", b2.state().seen);
    assert!(
        upload.log().contains("1 segments of 1000 bytes") && !upload.log().contains("is not uploaded"),
        "{}",
        upload.log()
    );
}

#[test]
fn a_wrong_region_is_told_with_the_right_one() {
    let (world, b2, mut pi) = stage();
    pi.set("REGION", "us-west-004");
    pi.record("cam1", 0.0, 20.0, 1000, false);
    let upload = pi.upload();
    let told = "bucket `visd-cctv` is not in region `us-west-004` but in `ca-east-006`; set REGION to `ca-east-006`";
    world.until("it is told", || upload.log().contains(told));
    assert!(b2.segments().is_empty() && pi.left() == 1);
}

#[test]
fn the_doctor_proves_the_key_and_sets_the_rule() {
    let (_world, b2, pi) = stage();
    let output = pi.doctor(&[]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(100), "{text}");
    assert!(text.contains("problem: nothing is ever deleted from the bucket"), "{text}");
    assert!(text.contains("deleting  is refused, as it should be; hiding by name works"), "{text}");
    assert!(text.contains("note: the key in ") && text.contains("can hide it by name"), "{text}");
    let output = pi.doctor(&["--set-lifecycle"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(told(&output).contains("rules     recordings go after 3 days"), "{}", told(&output));
    let rules = b2.state().rules.clone().unwrap();
    assert!(rules.contains("<Days>3</Days>") && rules.contains("<NoncurrentDays>1</NoncurrentDays>"), "{rules}");
    b2.state().may_not_hide = true;
    assert!(told(&pi.doctor(&[])).contains("deleting  is refused, as it should be\n"));
    let kept = b2.state().versions.len();
    b2.state().may_delete = true;
    b2.state().ahead = Duration::from_secs(120);
    let output = pi.doctor(&["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["may-write"], &json["may-delete"]), (&true.into(), &true.into()), "{json}");
    assert_eq!(b2.state().versions.len(), kept, "what it could delete is deleted");
    let findings = json["findings"].to_string();
    assert!(findings.contains("s behind the server's") && findings.contains("may only write"), "{findings}");
    pi.set("REGION", "us-west-004");
    assert!(told(&pi.doctor(&[])).contains("set REGION to `ca-east-006`"));
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let (world, b2, mut pi) = stage();
    std::fs::set_permissions(pi.path("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    pi.record("cam1", 0.0, 20.0, 1000, false);
    let upload = pi.upload();
    world.until("it is told", || upload.log().contains("others may read it (mode 644); chmod 600 it"));
    assert!(b2.state().seen.is_empty());
    assert!(told(&pi.doctor(&[])).contains("chmod 600"));
    std::fs::set_permissions(pi.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    world.until("it is there", || b2.segments().len() == 1 && pi.left() == 0);
}
