//! The ledgers of all cameras, as the recorder writes them. What cannot be written is no reason to stop: it is logged once.

use crate::wall::Wall;
use segments::ledger::{Closed, Line, Pen, Reading, What};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The clocks have moved against each other if they are further apart than this.
const STEP_MS: u64 = 500;

/// The way to all of them; clones are the same one.
#[derive(Debug, Clone)]
pub struct Ledgers {
    dir: PathBuf,
    wall: Arc<Wall>,
    open: Arc<Mutex<BTreeMap<String, Open>>>,
}

#[derive(Debug)]
struct Open {
    pen: Pen,
    /// The last line about the clocks.
    clock: Option<(u64, Reading)>,
    /// It was said that there is no room.
    told: bool,
}

impl Ledgers {
    /// Those in a folder of recordings, which nobody else records to.
    pub fn new(dir: &Path, wall: Arc<Wall>) -> Ledgers {
        Ledgers { dir: dir.into(), wall, open: Arc::default() }
    }

    /// A run begins.
    pub fn begin(&self, camera: &str, run: u32) {
        let kernel = self.wall.kernel().to_owned();
        let (at, clock) = self.wall.reading();
        self.write(camera, Line { at, what: What::Begun { run: format!("{run:08x}"), kernel, clock } });
        self.alive(camera, None);
    }

    /// The camera's settings cannot be used.
    pub fn unusable(&self, camera: &str, why: String) {
        let (at, clock) = self.wall.reading();
        self.write(camera, Line { at, what: What::Unusable { clock, why } });
    }

    /// Something happened now.
    pub fn note(&self, camera: &str, what: What) {
        self.write(camera, Line { at: self.wall.monotonic_ms(self.wall.now()), what });
    }

    /// Writes a line.
    pub fn write(&self, camera: &str, line: Line) {
        self.with(camera, |open| open.write(&line));
    }

    /// The recorder lives, and records since then. If the clocks have moved against each other, that is written down.
    pub fn alive(&self, camera: &str, recording: Option<Duration>) {
        let (at, clock) = self.wall.reading();
        let what = What::Alive { clock, open: recording.map(|begun| self.wall.monotonic_ms(begun)) };
        self.with(camera, |open| {
            if open.clock.is_some_and(|before| moved(before, (at, clock))) {
                open.write(&Line { at, what: What::Clock { clock } })?;
            }
            open.pen.alive(&Line { at, what })
        });
    }

    /// Writes down the finished segments of a camera that its ledger does not know: those of an older recorder.
    pub fn complete(&self, camera: &str, all: &[segments::Found]) {
        let lines = segments::ledger::read(&self.dir, camera).unwrap_or_default();
        let id = |line: Line| match line.what {
            What::Closed(Closed { run, sequence, .. }) => Some((run, sequence)),
            _ => None,
        };
        let known: BTreeSet<_> = lines.into_iter().filter_map(id).collect();
        for found in all.iter().filter(|found| !known.contains(&(found.label.boot.clone(), found.label.sequence))) {
            self.note(camera, What::Closed(Closed::of(&found.label)));
        }
    }

    /// Opens a ledger when it is needed for the first time.
    fn with(&self, camera: &str, write: impl FnOnce(&mut Open) -> io::Result<()>) {
        let mut all = self.all();
        if !all.contains_key(camera) {
            match Pen::open(&self.dir, camera, self.wall.monotonic_ms(self.wall.now())) {
                Ok(pen) => drop(all.insert(camera.into(), Open { pen, clock: None, told: false })),
                Err(why) => return tracing::error!("{camera}: no ledger can be kept: {why}; gaps are not explained"),
            }
        }
        let Some(open) = all.get_mut(camera) else { return };
        match write(open) {
            Ok(()) => open.told = false,
            Err(why) if !std::mem::replace(&mut open.told, true) => {
                tracing::warn!("{camera}: its ledger takes nothing: {why}; it is tried again with the next line");
            }
            Err(_) => {}
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn write(&mut self, line: &Line) -> io::Result<()> {
        if let What::Begun { clock, .. } | What::Clock { clock } = line.what {
            self.clock = Some((line.at, clock));
        }
        self.pen.write(line)
    }
}

fn moved((at, before): (u64, Reading), (now, reading): (u64, Reading)) -> bool {
    let expected = before.unix.saturating_add(now.saturating_sub(at));
    expected.abs_diff(reading.unix) >= STEP_MS || before.set != reading.set
}

#[cfg(test)]
mod tests {
    use super::*;
    use segments::ledger::read;

    fn words(dir: &Path) -> Vec<String> {
        let lines = read(dir, "cam1").unwrap();
        let word = |line: Line| serde_json::to_value(line.what).unwrap()["what"].as_str().unwrap().to_owned();
        lines.into_iter().map(word).collect()
    }

    #[test]
    fn a_clock_that_moved_is_written_down_and_one_that_goes_on_is_not() {
        let reading = |unix, set| Reading { unix, set, slept: 0 };
        let before = (1000, reading(50_000, true));
        assert!(!moved(before, (61_000, reading(110_300, true))));
        assert!(moved(before, (61_000, reading(110_600, true))) && moved(before, (61_000, reading(109_400, true))));
        assert!(moved(before, (61_000, reading(110_000, false))));
    }

    #[test]
    fn the_clock_that_is_set_while_it_runs_is_in_the_ledger_once() {
        let dir = tempfile::tempdir().unwrap();
        let clock = dir.path().join("clock");
        std::fs::create_dir(&clock).unwrap();
        let ledgers = Ledgers::new(dir.path(), Arc::new(Wall::start(clock.clone())));
        ledgers.begin("cam1", 7);
        std::fs::write(clock.join("synchronized"), "").unwrap();
        ledgers.alive("cam1", Some(Duration::ZERO));
        ledgers.alive("cam1", None);
        ledgers.note("cam1", What::Stopped);
        assert_eq!(words(dir.path()), ["begun", "clock", "stopped", "alive"]);
        let next = Ledgers::new(dir.path(), Arc::new(Wall::start(clock)));
        next.begin("cam1", 8);
        assert_eq!(words(dir.path()), ["begun", "clock", "stopped", "begun", "alive"], "nobody was killed");
    }
}
