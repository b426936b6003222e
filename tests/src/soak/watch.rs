//! A thread that looks at what lies in RAM and at what the programs take.

use super::figures::{Sample, Taken};
use super::order::{Stay, Worth};
use crate::world::read;
use segments::Found;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often it looks.
pub const LOOK: Duration = Duration::from_millis(200);
/// Each of so many looks also at the programs.
const SAMPLE: u32 = 3;

/// What was seen.
#[derive(Debug, Default)]
pub struct Watched {
    /// Finished segments by run and number: how long they lay there, and the checksum in the label.
    pub stays: BTreeMap<String, (Stay, String)>,
    /// What the programs took, while that is of interest.
    pub samples: Vec<Sample>,
    /// Camera and upload, while that is of interest.
    pub pids: Option<[i32; 2]>,
    over: bool,
}

/// The thread; it ends when it is dropped.
#[derive(Debug)]
pub struct Watch {
    watched: Arc<Mutex<Watched>>,
}

impl Watch {
    /// Begins to look; times are from now on.
    pub fn begin(ram: PathBuf) -> Watch {
        let watched = Arc::<Mutex<Watched>>::default();
        let (shared, began) = (Arc::clone(&watched), Instant::now());
        thread::spawn(move || {
            for turn in 1.. {
                let found = all_closed(&ram);
                let mut watched = lock(&shared);
                if watched.over {
                    return;
                }
                watched.look(found, began.elapsed());
                if turn % SAMPLE == 0 {
                    watched.sample();
                }
                drop(watched);
                thread::sleep(LOOK);
            }
        });
        Watch { watched }
    }

    /// What was seen up to now.
    pub fn seen(&self) -> MutexGuard<'_, Watched> {
        lock(&self.watched)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.seen().over = true;
    }
}

impl Watched {
    fn look(&mut self, found: Vec<Found>, now: Duration) {
        for Found { label, .. } in found {
            let worth = Worth { camera: label.camera.clone(), marked: label.marked, start_ms: label.start_unix_ms };
            let run = format!("{}.{:06}", label.boot, label.sequence);
            let from = self.stays.get(&run).map_or(now, |(stay, _)| stay.from);
            self.stays.insert(run, (Stay { worth, from, to: now }, label.md5));
        }
    }

    fn sample(&mut self) {
        let Some([camera, upload]) = self.pids.map(|pids| pids.map(taken)) else { return };
        if let (Some(camera), Some(upload)) = (camera, upload) {
            self.samples.push(Sample { camera, upload });
        }
    }
}

fn lock(watched: &Mutex<Watched>) -> MutexGuard<'_, Watched> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Finished segments of all cameras.
pub fn all_closed(ram: &Path) -> Vec<Found> {
    let folders = segments::cameras(ram).unwrap_or_default();
    folders.values().flat_map(|folder| segments::read(folder).unwrap_or_default().closed).collect()
}

/// What a process takes, if it is there.
fn taken(pid: i32) -> Option<Taken> {
    let status = read(Path::new(&format!("/proc/{pid}/status")));
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok();
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
    Some(Taken { memory: field("VmRSS:")?, descriptors, threads: field("Threads:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_program_takes_is_read() {
        let own = i32::try_from(std::process::id()).expect("process ids are small");
        let before = taken(own).expect("it runs");
        assert!(before.memory > 500 && before.descriptors >= 3 && before.threads >= 2, "{before:?}");
        assert_eq!(taken(-1), None);
    }
}
