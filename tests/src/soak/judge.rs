//! What is expected of a day. Segments are told apart by the recorder's run and their number in it, which stand in
//! names, labels and beside objects.

use super::figures;
use super::order::{self, Stay};
use super::plan::Plan;
use super::stage::{Over, has_presets};
use super::watch::LOOK;
use crate::checks::Checks;
use crate::world::ears::Heard;
use crate::world::recorder::plays;
use crate::world::stored::Stored;
use esp32::Preset;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// So many are under way at a time, as upload has it unless it is told otherwise.
const WAYS: usize = 3;
/// So many objects are played.
const PLAYED: usize = 25;
/// What is told about RAM is true for the moment before, give or take this.
const UNSURE: Duration = Duration::from_secs(1);

/// Looks at everything.
pub fn judge(checks: &mut Checks, plan: &Plan, over: &Over) {
    println!("faults of cameras: {}", plan.faults().join(", "));
    checks.none("no program ended by itself", plan.steps.len(), &over.seen.deaths);
    let ended = format!("{:?}", over.seen.ended);
    checks.expect(over.seen.ended == [Some(0); 2], "camera and upload end well when they are told to", ended);
    let panics = over.logs.iter().map(|log| log.matches("panicked at").count()).sum::<usize>();
    checks.expect(panics == 0, "and nobody panicked", panics);
    checks.expect(over.seen.left == 0, "nothing is left in RAM in the end", over.seen.left);
    arrived(checks, over);
    accounted(checks, over);
    evicted(checks, plan, over);
    outage(checks, over);
    cameras(checks, plan, over);
    checks.none(
        "nothing grew from the second quarter to the last",
        over.watched.samples.len(),
        &figures::grown(&over.watched.samples),
    );
}

fn all(over: &Over) -> impl Iterator<Item = &Stored> {
    over.stored.iter().flatten()
}

fn all_of<'a>(over: &'a Over, camera: &'a str) -> impl Iterator<Item = &'a Stored> {
    all(over).filter(move |stored| stored.camera() == camera)
}

fn run(heard: &Heard) -> Option<String> {
    Some(heard.text("file").rsplit('/').next()?.strip_suffix(".ts")?.rsplit_once('-')?.1.to_owned())
}

/// What was recorded is there once, and is what it was.
fn arrived(checks: &mut Checks, over: &Over) {
    let there: BTreeSet<&str> = all(over).map(|stored| stored.beside("run")).collect();
    let gone: BTreeSet<String> = over.evicted.iter().filter_map(run).collect();
    let recorded: BTreeSet<String> =
        over.closed.iter().filter_map(run).chain(over.watched.stays.keys().cloned()).collect();
    let lost: Vec<&String> =
        recorded.iter().filter(|run| !there.contains(run.as_str()) && !gone.contains(*run)).collect();
    checks.none("what was recorded is in a bucket, or had to go", recorded.len(), &lost);
    let keys: BTreeSet<&str> = over.done.iter().map(|done| done.text("key")).collect();
    let stored: BTreeSet<&str> = all(over).map(|stored| stored.key.as_str()).collect();
    let missing: Vec<&&str> = keys.difference(&stored).collect();
    checks.none("what the house was told to be uploaded is in a bucket", keys.len(), &missing);
    // What was on its way to the first storage when the second one took its place may be in both.
    let mut times = BTreeMap::new();
    for (storage, stored) in over.stored.iter().enumerate() {
        stored.iter().for_each(|stored| *times.entry((storage, stored.beside("run"))).or_insert(0) += 1);
    }
    let twice: Vec<&&str> = times.iter().filter(|(_, times)| **times > 1).map(|((_, run), _)| run).collect();
    checks.none("no segment is there twice", times.len(), &twice);
    checks.none("no key was written again with other bytes", times.len(), &over.overwritten);
    let label = |stored: &Stored| over.watched.stays.get(stored.beside("run")).map(|(_, md5)| md5.clone());
    let other = |stored: &&Stored| !stored.is_whole() || label(stored).is_some_and(|md5| md5 != stored.beside("md5"));
    let bad: Vec<&str> = all(over).filter(other).map(|stored| stored.key.as_str()).collect();
    checks.none("each object is what the label of its segment says", times.len(), &bad);
    let every = (times.len() / PLAYED).max(1);
    let sample: Vec<&Stored> = all(over).step_by(every).collect();
    let bad: Vec<&str> =
        sample.iter().filter(|stored| !plays(&stored.content)).map(|stored| stored.key.as_str()).collect();
    checks.none("ffprobe plays them, of a sample", sample.len(), &bad);
    let unset: Vec<&str> =
        all(over).filter(|stored| stored.beside("clock") == "unset").map(|stored| stored.key.as_str()).collect();
    checks.none("what was recorded before the clock was set has its right time", times.len(), &unset);
}

/// Each moment of the day, as the ledger has it.
fn accounted(checks: &mut Checks, over: &Over) {
    for (camera, sums) in over.accounts.iter().enumerate() {
        let name = format!("cam{}", camera + 1);
        let all = sums.iter().sum::<u64>().max(1) as f64;
        let [recorded, explained, unexplained, unknown] = sums.map(|ms| 100.0 * ms as f64 / all);
        let shown = format!(
            "recorded {recorded:.1} %, explained {explained:.1} %, unexplained {unexplained:.1} %, before the ledger {unknown:.1} %"
        );
        checks.expect(sums[2] == 0 && sums[0] > 0, &format!("{name}: each moment is recorded or has a reason"), shown);
        let there: u64 = all_of(over, &name).map(Stored::duration_ms).sum();
        // The ledger takes half a second between two segments for none, and a second without a picture within one for a gap.
        let good = sums[0].abs_diff(there) <= there / 10 + 1000;
        let shown = format!("{:.0} s and {:.0} s", sums[0] as f64 / 1000.0, there as f64 / 1000.0);
        checks.expect(good, &format!("{name}: what the ledger calls recorded is what is there"), shown);
    }
}

/// What had to go.
fn evicted(checks: &mut Checks, plan: &Plan, over: &Over) {
    let at = |heard: &Heard| Duration::from_millis(heard.said_ms.saturating_sub(over.began_ms));
    let (from, to) = over.seen.refused.unwrap_or_default();
    let early: Vec<String> =
        over.evicted.iter().filter(|gone| at(gone) < from || at(gone) > to + UNSURE).map(Heard::to_string).collect();
    checks.expect(early.is_empty(), "nothing had to go while there was room", format!("{early:?}"));
    if !plan.is_long() {
        return;
    }
    let stays: Vec<Stay> = over.watched.stays.values().map(|(stay, _)| stay.clone()).collect();
    let known = |gone: &Heard| Some(over.watched.stays.get(&run(gone)?)?.0.worth.clone());
    let wrong = |gone: &&Heard| {
        known(gone).is_some_and(|worth| order::should_have_gone(&worth, at(gone), &stays, UNSURE + LOOK).is_some())
    };
    let wrong: Vec<String> = over.evicted.iter().filter(wrong).map(Heard::to_string).collect();
    checks.none("then the oldest without a mark went, and evidence last", over.evicted.len(), &wrong);
}

/// What had waited for the S3 server. The first one was being tried when it came back, maybe since before there was
/// anything better.
fn outage(checks: &mut Checks, over: &Over) {
    let after = over.done.iter().skip(over.seen.done_before);
    let arrived: Vec<_> = after.filter_map(|done| over.seen.waited.get(&run(done)?).cloned()).skip(1).collect();
    let waited = over.seen.waited.len();
    checks.expect(
        arrived.len() + 1 >= waited && waited > 3,
        "what waited for the storage arrived",
        format!("{} of {waited}", arrived.len() + 1),
    );
    checks.none("marked ones first, then the newest first", arrived.len(), &order::overtaken(&arrived, WAYS));
}

fn cameras(checks: &mut Checks, plan: &Plan, over: &Over) {
    checks.expect(over.overlaps == 0, "no camera had to serve two connections at a time", over.overlaps);
    let presets = &over.seen.presets;
    let told = over.seen.untold.is_empty() && presets.iter().all(|presets| !presets.is_empty());
    checks.expect(told, "cameras are told again whether it is day when they had no power", format!("{presets:?}"));
    if has_presets(plan) {
        let whole = [Preset::Night, Preset::Day, Preset::Night];
        checks.expect(
            presets.iter().all(|presets| *presets == whole),
            "and each morning and each evening",
            format!("{presets:?}"),
        );
    }
}
