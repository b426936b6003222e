//! From a closed segment to the object in the storage: the same segments in the same moment for both sides, two cameras
//! at a time.

use super::ours::{self, RAM};
use super::storage::Storage;
use super::theirs::{self, Script};
use super::usage::{Family, Usage, watch};
use super::{OURS, RATE, THEIRS, unless_missing};
use crate::bench::Plan;
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::table::Table;
use crate::bench::report::{Report, Sample};
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tests::world::uploads::close;

/// The names of the cameras.
const NAMES: [&str; 2] = ["cam1", "cam2"];
/// Bytes of a segment: 20 s at 1000 kbit/s are a little less.
const BYTES: usize = 2_400_000;
/// How long a segment of so many bytes says that it is.
const LENGTH: Duration = Duration::from_secs(20);
/// What was promised on top of the time that the rate needs.
const MORE: Duration = Duration::from_secs(1);
/// Until everybody has started.
const START: Duration = Duration::from_secs(1);
/// Between two rounds, and in the next one again as much: they find loops in different moods.
const STAGGER: Duration = Duration::from_millis(600);
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures both sides.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let needed = Duration::from_secs_f64(BYTES as f64 / f64::from(RATE * 1024));
    let seconds = needed.as_secs_f64();
    println!("\nFrom a closed segment of {BYTES} bytes to the object");
    println!("  {RATE} KiB/s for each of two cameras need {seconds:.1} s; times are what comes on top");
    let folder = scratch.fresh("uploads")?;
    let storage = Storage::start(&folder)?;
    let upload = ours::upload(&folder, &storage)?;
    let loops: io::Result<Vec<Script>> = NAMES.iter().map(|name| theirs::upload(&folder, name, &storage)).collect();
    let loops = unless_missing(loops)?.unwrap_or_default();
    let sides = if loops.is_empty() { &[OURS][..] } else { &[OURS, THEIRS] };
    thread::sleep(START);
    let mut run = Run { folder: &folder, storage: &storage, times: [Vec::new(), Vec::new()], usages: Vec::new() };
    for round in 1..=plan.uploads {
        let loops: Vec<i32> = loops.iter().map(Script::pid).collect();
        run.round(round, sides, [Family(&[upload.pid()]), Family(&loops)])?;
        thread::sleep(STAGGER * round as u32);
    }
    run.conclude(needed, report)
}

struct Run<'a> {
    folder: &'a Path,
    storage: &'a Storage,
    /// From closed to uploaded, ours and theirs.
    times: [Vec<Duration>; 2],
    usages: Vec<[Usage; 2]>,
}

impl Run<'_> {
    fn round(&mut self, round: usize, sides: &[&str], families: [Family<'_>; 2]) -> io::Result<()> {
        let closed = Instant::now();
        for name in NAMES {
            self.close(name, round, sides)?;
        }
        let ways = || (0..sides.len()).flat_map(|side| NAMES.map(|name| (side, name)));
        let mut open: Vec<(usize, &str)> = ways().collect();
        let (storage, times) = (self.storage, &mut self.times);
        let usage = watch(families, |passed| {
            open.retain(|&(side, name)| {
                let there = storage.segments(sides[side], name).len() >= round;
                times[side].extend(there.then(|| closed.elapsed()));
                !there
            });
            let why = || io::Error::new(io::ErrorKind::TimedOut, format!("not uploaded: {open:?} of {sides:?}"));
            if passed < PATIENCE { Ok(open.is_empty()) } else { Err(why()) }
        })?;
        self.usages.push(usage);
        Ok(())
    }

    /// The same bytes for both, which appear as a whole.
    fn close(&self, name: &str, round: usize, sides: &[&str]) -> io::Result<()> {
        let content: Vec<u8> = (0..BYTES).map(|n| (n * 7 + n / 251 + round * 13) as u8).collect();
        if sides.contains(&THEIRS) {
            let part = self.folder.join(name).join("part");
            fs::write(&part, &content)?;
            fs::rename(&part, part.with_file_name(format!("home-{round:05}.ts")))?;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (start, length) = (now.saturating_sub(LENGTH).as_millis() as u64, LENGTH.as_millis() as u64);
        close(&self.folder.join(RAM), name, round as u64, (start, length), &content, false)
    }

    fn conclude(self, needed: Duration, report: &mut Report) -> io::Result<()> {
        let mut table = Table::new(&["form", "segments", "median", "worst", "processor each", "PSS", "at most"]);
        for (side, (name, times)) in ["upload", "lsof, pv, aws"].into_iter().zip(self.times).enumerate() {
            let Some(sample) = Sample::new(times) else { continue };
            let more = |time: Duration| format!("{:+.2} s", time.as_secs_f64() - needed.as_secs_f64());
            let usages = || self.usages.iter().map(|usage| usage[side]);
            let each = usages().map(|usage| usage.cpu).sum::<Duration>() / sample.count() as u32;
            let memory =
                |of: fn(Usage) -> u64| format!("{:.1} MiB", usages().map(of).max().unwrap_or(0) as f64 / 1024.0);
            table.row([
                name.into(),
                sample.count().to_string(),
                more(sample.median()),
                more(sample.worst()),
                format!("{:.2} s", each.as_secs_f64()),
                memory(|usage| usage.usual),
                memory(|usage| usage.most),
            ]);
            if side == 0 {
                report.at_most("a closed segment is in the storage, worst", sample.worst(), needed + MORE);
            }
        }
        table.print();
        Ok(())
    }
}
