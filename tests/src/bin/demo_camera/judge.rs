//! What is expected, and whether it is so. Everything is read from where an owner would find it: the bucket, the event
//! bus, the exit codes.

use crate::gaps::Gap;
use crate::scenes::Marks;
use crate::stage::{BAD, GOOD, SEGMENT_SECONDS, Stage};
use segments::account::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tests::checks::Checks;
use tests::world::recorder::{numbers, plays, probe};
use tests::world::stored::Stored;

/// By the fault: what the house is told of a camera that stays away, and the word of the ledger.
const TOLD: [(&str, &str, &str); 4] = [
    ("sends nothing", "has sent nothing for", "stalled"),
    ("ends its stream", "has ended the stream", "closed"),
    ("sends garbage", "sends broken pictures only", "broken-pictures"),
    ("has no power", "refuses the connection", "refused"),
];

/// Looks at everything.
pub fn judge(checks: &mut Checks, stage: &Stage, marks: &Marks, stored: &[Stored], gaps: &[Gap]) {
    recorded(checks, stage, stored);
    lost(checks, stage, marks, stored, gaps);
    told(checks, stage, marks);
    kept(checks, stage, stored);
    moved(checks, stage);
    order(checks, stage, marks);
    checks.expect(
        marks.ended == [Some(0); 2],
        "camera and upload end well when they are told to",
        format!("{:?}", marks.ended),
    );
}

fn path(stage: &Stage, stored: &Stored) -> PathBuf {
    stage.s3.bucket().join(&stored.key)
}

/// The camera that is well.
fn recorded(checks: &mut Checks, stage: &Stage, stored: &[Stored]) {
    let own: Vec<&Stored> = stored.iter().filter(|stored| stored.camera() == GOOD).collect();
    let whole = own.iter().filter(|stored| stored.beside("reason") == "length");
    let probed: Vec<(f64, Vec<String>)> = whole.map(|stored| probe(&path(stage, stored))).collect();
    // To the nearest picture, of which there are few on a busy machine.
    let allowed = |pictures: usize| 0.1 + SEGMENT_SECONDS / pictures.max(1) as f64;
    let wrong = |(length, flags): &&(f64, Vec<String>)| (length - SEGMENT_SECONDS).abs() > allowed(flags.len());
    let wrong: Vec<f64> = probed.iter().filter(wrong).map(|(length, _)| *length).collect();
    checks.none("cam1: a segment is 10.0 s long, by ffprobe", probed.len(), &wrong);
    let mut by_start = own;
    by_start.sort_by_key(|stored| stored.start_ms());
    let shown: Vec<u32> = by_start.iter().flat_map(|stored| numbers(&path(stage, stored), 640, 480)).collect();
    let backwards = shown.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    let sent = shown.last().zip(shown.first()).map_or(0, |(last, first)| (last + 1).saturating_sub(*first) as usize);
    // Where the machine is busy, two may come so close together that there are more than FPS a second.
    let good = backwards == 0 && sent > 0 && shown.len() >= sent - sent / 50;
    checks.expect(
        good,
        "cam1: its pictures are in the bucket, each once, in order",
        format!("{} of {sent}", shown.len()),
    );
}

/// The other one.
fn lost(checks: &mut Checks, stage: &Stage, marks: &Marks, stored: &[Stored], gaps: &[Gap]) {
    let explained = |(fault, _, word): &&(&str, &str, &str)| {
        let during = |gap: &Gap| {
            marks.faults.iter().any(|mark| mark.what == *fault && gap.from_ms < mark.to_ms && mark.from_ms < gap.to_ms)
        };
        gaps.iter().any(|gap| gap.camera == BAD && gap.reason.word() == *word && during(gap))
    };
    let without: Vec<&str> = TOLD.iter().filter(|told| !explained(told)).map(|(fault, ..)| *fault).collect();
    checks.none("cam2: the ledger has each fault that is a gap, with its reason", TOLD.len(), &without);
    let odd = |gap: &&Gap| gap.camera == GOOD || gap.reason == Reason::Unexplained;
    let time = |gap: &Gap| format!("{} {} {}", gap.camera, crate::gaps::time(gap.from_ms), gap.reason);
    let odd: Vec<String> = gaps.iter().filter(odd).map(time).collect();
    checks.none("no gap is without a reason, and none is cam1's", gaps.len(), &odd);
    let mut reasons = BTreeMap::new();
    stored
        .iter()
        .filter(|stored| stored.camera() == BAD)
        .for_each(|stored| *reasons.entry(stored.beside("reason")).or_insert(0) += 1);
    let seen = |reason: &str| reasons.get(reason).copied().unwrap_or(0);
    let good = seen("lost") == TOLD.len() && seen("size") == 2 && seen("motion") >= 1;
    checks.expect(
        good,
        "cam2: segments end where it was lost, changed its size, something moved",
        format!("{reasons:?}"),
    );
    let lost: Vec<&str> = stored
        .iter()
        .filter(|stored| stored.beside("reason") == "lost" && !stored.is_marked())
        .map(|stored| stored.key.as_str())
        .collect();
    checks.none("cam2: what ends with the camera is marked as evidence", seen("lost"), &lost);
    let overlaps = stage.good.log().overlaps + stage.bad.log().overlaps;
    checks.expect(overlaps == 0, "no camera had to serve two connections at a time", overlaps);
}

/// The event bus.
fn told(checks: &mut Checks, stage: &Stage, marks: &Marks) {
    let offline = stage.ears.facts("camera-offline");
    let untold: Vec<&str> = TOLD
        .iter()
        .filter(|(_, words, _)| {
            !offline.iter().any(|fact| fact.text("camera") == BAD && fact.text("why").contains(words))
        })
        .map(|(fault, ..)| *fault)
        .collect();
    checks.none("the house is told when cam2 is lost, and what it does", TOLD.len(), &untold);
    let foreign = offline.iter().filter(|fact| fact.text("camera") == GOOD).count();
    checks.expect(foreign == 0, "and never that cam1 is", foreign);
    checks.expect(marks.told_again, "cam2 is told again whether it is day, after its power was cut", marks.told_again);
}

/// What was acknowledged is there.
fn kept(checks: &mut Checks, stage: &Stage, stored: &[Stored]) {
    let there: BTreeMap<&str, usize> =
        stored.iter().map(|stored| (stored.key.as_str(), stored.content.len())).collect();
    let done = stage.ears.facts("upload-done");
    let missing: Vec<&str> = done
        .iter()
        .filter(|done| {
            there.get(done.text("key")).copied() != done.fields["bytes"].as_u64().map(|bytes| bytes as usize)
        })
        .map(|done| done.text("key"))
        .collect();
    checks.none("what the house was told to be uploaded is in the bucket", done.len(), &missing);
    let files: BTreeSet<&str> = done.iter().map(|done| done.text("file")).collect();
    let closed = stage.ears.facts("segment-closed");
    let left: Vec<&str> =
        closed.iter().map(|closed| closed.text("file")).filter(|file| !files.contains(file)).collect();
    checks.none("what was recorded was uploaded", closed.len(), &left);
    let bad: Vec<&str> = stored.iter().filter(|stored| !stored.is_whole()).map(|stored| stored.key.as_str()).collect();
    checks.none("each object is what its checksum says", stored.len(), &bad);
    let bad: Vec<&str> =
        stored.iter().filter(|stored| !plays(&stored.content)).map(|stored| stored.key.as_str()).collect();
    checks.none("ffprobe plays each object", stored.len(), &bad);
}

/// What moved is brought away while it still moves.
fn moved(checks: &mut Checks, stage: &Stage) {
    let [noticed, closed, done] = ["motion", "segment-closed", "upload-done"].map(|name| stage.ears.facts(name));
    let segment = closed.iter().find(|closed| closed.fields["motion"] == true);
    let there = segment.and_then(|segment| done.iter().find(|done| done.text("file") == segment.text("file")));
    let took = noticed.first().zip(there).map(|(noticed, there)| there.said_ms.saturating_sub(noticed.said_ms));
    let shown = took.map_or_else(|| "never".into(), |ms| format!("{:.1} s after it was noticed", ms as f64 / 1000.0));
    checks.expect(took.is_some(), "cam2: what moved is in the bucket", shown);
}

/// What had waited for the storage. The first one was being tried when it came back, maybe since before there was
/// anything better.
fn order(checks: &mut Checks, stage: &Stage, marks: &Marks) {
    let waited: BTreeMap<&str, bool> = marks.waited.iter().map(|(run, marked)| (run.as_str(), *marked)).collect();
    let done = stage.ears.facts("upload-done");
    let run = |file: &str| {
        file.rsplit('/').next().and_then(|file| Some(file.strip_suffix(".ts")?.rsplit_once('-')?.1.to_owned()))
    };
    let marks: Vec<bool> =
        done.iter().filter_map(|done| waited.get(run(done.text("file"))?.as_str()).copied()).skip(1).collect();
    let sorted = marks.windows(2).all(|pair| pair[0] >= pair[1]);
    let both = marks.contains(&true) && marks.contains(&false);
    let shown: String = marks.iter().map(|marked| if *marked { 'm' } else { '.' }).collect();
    checks.expect(sorted && both, "after the outage, marked segments come first", shown);
}
