//! `pistop cam clean`: deletes what lies in RAM. All of it is what nobody has uploaded yet, so it is said first what would go, and somebody
//! has to agree. What always holds: what is being recorded or uploaded stays, and so does evidence unless it is named; the house is told of
//! each segment that goes, and so does the ledger.

use super::Cameras;
use super::ram::refused;
use crate::door;
use crate::words::{agreed, say, size};
use clap::Args;
use protocol::fact::Fact;
use runner::exit::Failure;
use segments::ledger::What;
use segments::{Contents, Found, Held};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// The flags of `clean`.
#[derive(Debug, Clone, Args)]
pub struct CleanFlags {
    /// Cameras, or all [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Evidence too: what moved, and what was recorded before a camera was lost
    #[arg(long)]
    pub evidence: bool,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
}

/// What goes of one camera, and what stays.
#[derive(Debug, PartialEq)]
pub struct Plan {
    /// Segments.
    pub segments: Vec<Found>,
    /// Files of older recorders.
    pub foreign: Vec<String>,
    /// Evidence that stays.
    pub evidence: usize,
    /// What is recorded now, and what the recorder finds at its next start.
    pub open: usize,
}

/// Decides. Pure.
pub fn plan(contents: Contents, evidence: bool) -> Plan {
    let (segments, kept): (Vec<Found>, Vec<Found>) =
        contents.closed.into_iter().partition(|found| evidence || !found.label.marked);
    let of_a_recorder = |name: &String| !name.starts_with('.') && (name.ends_with(".ts") || name.ends_with(".mp4"));
    Plan {
        segments,
        foreign: contents.foreign.into_iter().filter(of_a_recorder).collect(),
        evidence: kept.len(),
        open: contents.parts.len() + contents.unlabelled.len(),
    }
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.foreign.is_empty()
    }

    fn sentence(&self, name: &str) -> String {
        let bytes = size(self.segments.iter().map(|found| found.bytes).sum());
        let mut text = format!("{name}: {} segments, {bytes}, that were not uploaded go for good", self.segments.len());
        if !self.foreign.is_empty() {
            text += &format!(", and {} files of another recorder", self.foreign.len());
        }
        if self.evidence > 0 {
            text += &format!("; {} that are evidence stay (--evidence)", self.evidence);
        }
        if self.open > 0 {
            text += &format!("; {} that are not closed stay", self.open);
        }
        text
    }
}

/// Says what would go, asks, and deletes.
///
/// # Errors
/// No such camera, nobody agrees, or something cannot be deleted.
pub async fn run(cameras: &Cameras, flags: &CleanFlags, door: &Path) -> Result<(), Failure> {
    let names = cameras.meant(&flags.names)?;
    let plans = names
        .iter()
        .map(|name| Ok((name, plan(cameras.contents(name)?, flags.evidence))))
        .collect::<Result<Vec<_>, Failure>>()?;
    plans.iter().for_each(|(name, plan)| say(&plan.sentence(name)));
    if flags.dry_run || plans.iter().all(|(_, plan)| plan.is_empty()) {
        return Ok(());
    }
    agreed(flags.yes)?;
    let mut gone = Vec::new();
    let deleted = plans.iter().try_for_each(|(name, plan)| perform(cameras, name, plan, &mut gone));
    tell(door, &gone).await;
    deleted
}

fn perform(cameras: &Cameras, name: &str, plan: &Plan, told: &mut Vec<Fact>) -> Result<(), Failure> {
    let (mut gone, mut bytes) = (0, 0);
    for found in &plan.segments {
        // Whoever holds it now sends it, or has just deleted it.
        if let Some(held) = Held::take(&found.path).map_err(|why| refused(&found.path, &why))? {
            held.delete().map_err(|why| refused(&found.path, &why))?;
            write_down(cameras, name, found);
            told.push(evicted(name, found));
            gone += 1;
            bytes += found.bytes;
        }
    }
    for file in &plan.foreign {
        let path: PathBuf = cameras.ram_dir.join(name).join(file);
        std::fs::remove_file(&path).map_err(|why| refused(&path, &why))?;
        gone += 1;
    }
    let left = plan.segments.len() + plan.foreign.len() - gone;
    let stay = if left > 0 { format!("; {left} are on their way to the storage") } else { String::new() };
    say(&format!("{name}: {gone} deleted, {}{stay}", size(bytes)));
    Ok(())
}

/// Or the uploader, which misses it, would have the last word about it.
fn write_down(cameras: &Cameras, name: &str, found: &Found) {
    let what = What::Cleaned { run: found.label.boot.clone(), sequence: found.label.sequence };
    if let Err(why) = segments::ledger::tell(&cameras.ram_dir, name, what) {
        say(&format!("{name}: its ledger takes nothing: {why}; `pistop cam gaps` will not know who deleted it"));
    }
}

fn evicted(name: &str, found: &Found) -> Fact {
    let (camera, file) = (name.to_owned(), found.path.display().to_string());
    Fact::SegmentEvicted { camera, file, why: "somebody deleted it with `pistop cam clean`".into() }
}

/// Without an agent there is nobody to be told.
async fn tell(door: &Path, facts: &[Fact]) {
    let Ok((bus, _)) = door::open(door, Duration::ZERO).await else { return };
    for fact in facts {
        if !timeout(door::SILENCE, bus.publish(fact)).await.is_ok_and(|kept| kept.is_ok()) {
            return say(&format!("the house is not told of it all: {}", door::silent(door)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segments::Name;
    use segments::folder::Bare;
    use std::time::SystemTime;

    fn found(sequence: u64, marked: bool) -> Found {
        let name = Name::new(1000, 1, sequence);
        let text = format!(
            r#"{{"camera":"cam1","start_unix_ms":1000,"duration_ms":20000,"frames":300,"bytes":5,"width":640,"height":480,
            "clock":"set","reason":"length","marked":{marked},"motion_percent":0.5,"md5":"","dropped_frames":0,
            "boot":"00000001","sequence":{sequence},"monotonic_ms":1}}"#
        );
        let label = segments::Label::decode(text.as_bytes()).unwrap();
        Found { name, path: name.segment().into(), label, bytes: 1024 }
    }

    #[test]
    fn evidence_and_what_is_open_stay() {
        let contents = || Contents {
            closed: vec![found(1, false), found(2, true), found(3, false)],
            parts: vec![Bare {
                name: Name::new(1, 1, 4),
                path: "x".into(),
                bytes: 1,
                modified: SystemTime::UNIX_EPOCH,
            }],
            foreign: ["seg-00001.ts", "old.mp4", ".status", "notes.txt", ".hidden.ts"].map(String::from).to_vec(),
            ..Contents::default()
        };
        let kept = plan(contents(), false);
        let numbers = |plan: &Plan| plan.segments.iter().map(|found| found.name.sequence()).collect::<Vec<_>>();
        assert_eq!((numbers(&kept), kept.evidence, kept.open), (vec![1, 3], 1, 1));
        assert_eq!(kept.foreign, ["seg-00001.ts", "old.mp4"]);
        let told = "cam1: 2 segments, 2.0 KiB, that were not uploaded go for good, and 2 files of another recorder; 1 that are \
                    evidence stay (--evidence); 1 that are not closed stay";
        assert_eq!(kept.sentence("cam1"), told);
        let all = plan(contents(), true);
        assert_eq!((numbers(&all), all.evidence), (vec![1, 2, 3], 0));
        assert!(plan(Contents::default(), true).is_empty());
    }
}
