//! What recording costs: one camera, and two whose recordings are uploaded.

use super::ours;
use super::projector::{FPS, Projector};
use super::reel::Reel;
use super::storage::Storage;
use super::theirs::{self, Script};
use super::usage::{Family, Usage, watch};
use super::{OURS, THEIRS, unless_missing};
use crate::bench::Plan;
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::numbers::rss;
use crate::bench::ground::started::Started;
use crate::bench::ground::table::Table;
use crate::bench::report::Report;
use crate::bench::rivals::found;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// What was promised for two cameras with their uploads: processor seconds a second, and how much less than theirs.
const CPU: f64 = 0.12;
const FACTOR: f64 = 1.9;
/// MiB of `camera`.
const MEMORY: f64 = 60.0;
/// The length of a segment that is asked for, in seconds, and by how much it may be off: half a picture.
const ASKED: f64 = 20.0;
const OFF: f64 = 0.5 / FPS as f64;

/// The names of the cameras.
const NAMES: [&str; 2] = ["cam1", "cam2"];
/// Until everything has started and the first second is encoded.
const START: Duration = Duration::from_secs(4);

/// Measures all forms.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    println!("\nRecording cameras of 640x480 at {FPS} pictures a second, 1000 kbit/s; processor seconds a second");
    let card = unless_missing(Reel::card(scratch))?;
    let mut table =
        Table::new(&["form", "cameras", "pictures", "recording", "uploading", "together", "PSS", "at most"]);
    for reel in card.iter().cloned().chain([Reel::scene()]) {
        let [ours, theirs] = one(&reel, plan.cameras.0, scratch)?;
        row(&mut table, "camera", 1, &reel, ours, None);
        row(&mut table, "gst-launch-1.0", 1, &reel, theirs, None);
    }
    let reel = card.unwrap_or_else(Reel::scene);
    let two = Two::record(&reel, plan.cameras.1, scratch)?;
    row(&mut table, "camera, upload", 2, &reel, two.ours[0], Some(two.ours[1]));
    row(&mut table, "gst-launch-1.0, lsof, pv, aws", 2, &reel, two.theirs[0], Some(two.theirs[1]));
    table.print();
    two.judge(report);
    Ok(())
}

/// A side that was not measured has no row.
fn row(table: &mut Table, what: &str, cameras: usize, reel: &Reel, recording: Usage, uploading: Option<Usage>) {
    let both = together(recording, uploading.unwrap_or_default());
    if both.cpu.is_zero() {
        return;
    }
    let rate = |usage: Usage| format!("{:.3}", usage.rate());
    let pictures = format!("{}, {} KB", reel.name, reel.mean() / 1000);
    let [usual, most] = [both.usual, both.most].map(|kib| format!("{:.1} MiB", kib as f64 / 1024.0));
    let uploads = uploading.map_or("-".into(), rate);
    table.row([what.into(), cameras.to_string(), pictures, rate(recording), uploads, rate(both), usual, most]);
}

fn together(a: Usage, b: Usage) -> Usage {
    Usage { cpu: a.cpu + b.cpu, usual: a.usual + b.usual, most: a.most + b.most, ..a }
}

/// Ours and theirs.
fn one(reel: &Reel, span: Duration, scratch: &Scratch) -> io::Result<[Usage; 2]> {
    let folder = scratch.fresh("camera")?;
    let camera = Projector::start(reel)?;
    let ours = ours::record(&folder, &[camera.url()])?;
    let theirs = unless_missing(theirs::record(&folder, NAMES[0], &camera.url()))?;
    thread::sleep(START);
    let theirs: Vec<i32> = theirs.iter().map(Script::pid).collect();
    watch([Family(&[ours.pid()]), Family(&theirs)], |passed| Ok(passed >= span))
}

/// Two cameras with uploads. Of each side: recording and uploading; lengths of all segments that reached the storage.
struct Two {
    ours: [Usage; 2],
    theirs: [Usage; 2],
    lengths: [Vec<f64>; 2],
    /// KiB of `camera`.
    resident: u64,
}

impl Two {
    fn record(reel: &Reel, span: Duration, scratch: &Scratch) -> io::Result<Two> {
        let folder = scratch.fresh("cameras")?;
        let storage = Storage::start(&folder)?;
        let cameras = [Projector::start(reel)?, Projector::start(reel)?];
        let upload = ours::upload(&folder, &storage)?;
        let camera = ours::record(&folder, &cameras.each_ref().map(Projector::url))?;
        let (recorders, uploaders) = unless_missing(scripts(&folder, &cameras, &storage))?.unwrap_or_default();
        thread::sleep(START);
        let usage = watch_all([&camera, &upload], [&recorders, &uploaders], span)?;
        let resident = rss(camera.pid())?;
        let lengths = [OURS, THEIRS].map(|side| NAMES.iter().flat_map(|name| storage.segments(side, name)).collect());
        let [ours, theirs]: [Vec<PathBuf>; 2] = lengths;
        let lengths = [lengths_of(&ours)?, lengths_of(&theirs)?];
        let [record, upload, their_record, their_upload] = usage;
        Ok(Two { ours: [record, upload], theirs: [their_record, their_upload], lengths, resident })
    }

    fn judge(&self, report: &mut Report) {
        println!("\nLengths of segments that reached the storage; {ASKED:.0} s were asked for");
        let mut table = Table::new(&["form", "segments", "shortest", "longest"]);
        for (name, lengths) in ["camera", "gst-launch-1.0"].into_iter().zip(&self.lengths) {
            let Some((shortest, longest)) = ends(lengths) else { continue };
            table.row([name.into(), lengths.len().to_string(), format!("{shortest:.3} s"), format!("{longest:.3} s")]);
        }
        table.print();
        let [ours, theirs] = [self.ours, self.theirs].map(|[record, upload]| together(record, upload));
        let what = "two cameras, recorded and uploaded: processor seconds a second";
        report.judge(what, format!("{:.3}", ours.rate()), format!("<= {CPU}"), ours.rate() <= CPU);
        if !theirs.cpu.is_zero() {
            let factor = theirs.rate() / ours.rate();
            report.judge(
                "the same, against shell scripts",
                format!("{factor:.1}x"),
                format!(">= {FACTOR}x"),
                factor >= FACTOR,
            );
        }
        let resident = self.resident as f64 / 1024.0;
        let target = format!("<= {MEMORY:.0} MiB");
        report.judge(
            "memory (RSS) of camera with two cameras",
            format!("{resident:.1} MiB"),
            target,
            resident <= MEMORY,
        );
        let measured = ends(&self.lengths[0]).map(|(shortest, longest)| (ASKED - shortest).max(longest - ASKED));
        let off = measured.map_or("no segment".into(), |off| format!("{:.0} ms off", off * 1000.0));
        let target = format!("<= {:.0} ms off", OFF * 1000.0);
        report.judge("length of a segment", off, target, measured.is_some_and(|off| off <= OFF));
    }
}

type Scripts = (Vec<Script>, Vec<Script>);

fn scripts(folder: &Path, cameras: &[Projector; 2], storage: &Storage) -> io::Result<Scripts> {
    let recorders = NAMES.iter().zip(cameras).map(|(name, camera)| theirs::record(folder, name, &camera.url()));
    let uploaders = NAMES.iter().map(|name| theirs::upload(folder, name, storage));
    Ok((recorders.collect::<io::Result<_>>()?, uploaders.collect::<io::Result<_>>()?))
}

fn watch_all(ours: [&Started; 2], theirs: [&Vec<Script>; 2], span: Duration) -> io::Result<[Usage; 4]> {
    let [camera, upload] = ours.map(|program| [program.pid()]);
    let [recorders, uploaders] = theirs.map(|scripts| scripts.iter().map(Script::pid).collect::<Vec<_>>());
    let families = [Family(&camera), Family(&upload), Family(&recorders), Family(&uploaders)];
    watch(families, |passed| Ok(passed >= span))
}

/// In seconds, as ffprobe says.
fn lengths_of(segments: &[PathBuf]) -> io::Result<Vec<f64>> {
    let length = |path: &PathBuf| {
        let mut probe = Command::new(found("ffprobe")?);
        probe.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(path);
        let text = String::from_utf8_lossy(&probe.output()?.stdout).trim().to_owned();
        text.parse().map_err(|_| io::Error::other(format!("ffprobe says of {}: {text}", path.display())))
    };
    segments.iter().map(length).collect()
}

fn ends(lengths: &[f64]) -> Option<(f64, f64)> {
    lengths.iter().copied().map(|length| (length, length)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}
