//! Segments that were recorded before the clock was set get the name and the label that they should have had. By the kernel's monotonic
//! clock it is known how long ago they began, as long as that goes on: of another run of the kernel nobody knows, and they stay.

use crate::wall::Wall;
use segments::{Clock, Label, Name};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Looks through what lies in RAM, beside the loop, since there may be thousands of labels; again, while some could not be mended.
#[derive(Debug, Default)]
pub struct Mending {
    looks: Arc<AtomicBool>,
    done: Arc<AtomicBool>,
}

impl Mending {
    /// Looks if that is needed.
    pub fn go_on(&self, wall: &Arc<Wall>, ram_dir: &Path) {
        if !wall.is_set() {
            return self.done.store(false, Ordering::Relaxed);
        }
        if self.done.load(Ordering::Relaxed) || self.looks.swap(true, Ordering::Relaxed) {
            return;
        }
        let (wall, ram_dir, looks, done) = (wall.clone(), ram_dir.to_owned(), self.looks.clone(), self.done.clone());
        tokio::task::spawn_blocking(move || {
            done.store(all(&wall, &ram_dir), Ordering::Relaxed);
            looks.store(false, Ordering::Relaxed);
        });
    }
}

/// All that lie in RAM, and whether that was all: one that is being sent right now stays as it is.
pub fn all(wall: &Wall, ram_dir: &Path) -> bool {
    let mut is_all = true;
    for folder in segments::cameras(ram_dir).unwrap_or_default().values() {
        for found in segments::read(folder).unwrap_or_default().closed.iter().filter(|found| can(wall, &found.label)) {
            is_all &= one(wall, found.path.clone(), &found.label) != found.path;
        }
    }
    is_all
}

fn can(wall: &Wall, label: &Label) -> bool {
    let here = !label.kernel.is_empty() && label.kernel == wall.kernel();
    label.clock == Clock::Unset && here && wall.is_set()
}

/// This one, if that is needed and possible; where it is then.
pub fn one(wall: &Wall, path: PathBuf, label: &Label) -> PathBuf {
    if !can(wall, label) {
        return path;
    }
    let start_unix_ms = wall.unix_ms_of(label.monotonic_ms);
    let better = Label { start_unix_ms, clock: Clock::Set, ..label.clone() };
    match renamed(&path, label, &better) {
        Ok(Some(new)) => {
            tracing::info!("the clock is set: {} is {new}", path.display());
            path.with_file_name(new.segment())
        }
        Ok(None) => path,
        Err(why) => {
            tracing::error!("{} keeps the name from before the clock was set: {why}", path.display());
            path
        }
    }
}

fn renamed(path: &Path, label: &Label, better: &Label) -> std::io::Result<Option<Name>> {
    match (path.parent(), label.name()) {
        (Some(folder), Some(name)) => segments::rename(folder, &name, better),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Beginning, Segment};
    use std::time::Duration;

    #[test]
    fn the_name_is_mended_when_the_clock_is_set() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, folder) = (dir.path().join("clock"), dir.path().join("cam1"));
        std::fs::create_dir(&clock).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let wall = Wall::start(clock.clone());
        let (name, begun) = (Name::new(1000, 1, 1), wall.now());
        let monotonic_ms = wall.monotonic_ms(begun);
        let camera = "cam1".to_owned();
        let kernel = wall.kernel().to_owned();
        let beginning = Beginning { camera, name, clock: Clock::Unset, size: (640, 480), begun, monotonic_ms, kernel };
        let mut segment = Segment::open(&folder, beginning).unwrap();
        let packets = segment.packets(&[0; 400], begun, true).unwrap();
        segment.write(&packets).unwrap();
        let (path, label) = segment.close(segments::Reason::Length, Duration::from_secs(1)).unwrap().unwrap();
        assert_eq!(one(&wall, path.clone(), &label), path, "not yet");
        std::fs::write(clock.join("synchronized"), "").unwrap();
        let mended = one(&wall, path.clone(), &label);
        assert!(mended != path && mended.exists() && !path.exists());
        let found = segments::read(&folder).unwrap().closed.remove(0);
        assert!(found.label.clock == Clock::Set && found.label.start_unix_ms.abs_diff(wall.unix_ms(begun)) < 100);
        assert_eq!(one(&wall, mended.clone(), &found.label), mended, "once");
    }

    /// Two that were recorded before the clock was set, the second one in another run of the kernel.
    fn two(wall: &Wall, folder: &Path) -> [PathBuf; 2] {
        std::fs::create_dir_all(folder).unwrap();
        [wall.kernel(), "another"].map(|kernel| {
            let (name, begun, kernel) = (Name::new(1000, 1, kernel.len() as u64), wall.now(), kernel.to_owned());
            let (camera, size) = ("cam1".to_owned(), (640, 480));
            let beginning = Beginning { camera, name, clock: Clock::Unset, size, begun, monotonic_ms: 5, kernel };
            let mut segment = Segment::open(folder, beginning).unwrap();
            let packets = segment.packets(&[0; 400], begun, true).unwrap();
            segment.write(&packets).unwrap();
            segment.close(segments::Reason::Length, Duration::from_secs(1)).unwrap().unwrap().0
        })
    }

    #[test]
    fn a_segment_of_another_run_of_the_kernel_is_not_mended_by_the_clock_of_this_one() {
        let dir = tempfile::tempdir().unwrap();
        let wall = Wall::start("/nowhere".into());
        let [here, other] = two(&wall, &dir.path().join("cam1"));
        assert!(all(&wall, dir.path()));
        assert!(!here.exists() && other.exists());
    }

    #[test]
    fn one_that_is_being_sent_is_mended_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let wall = Wall::start("/nowhere".into());
        let [here, _] = two(&wall, &dir.path().join("cam1"));
        let held = segments::Held::take(&here).unwrap().unwrap();
        assert!(!all(&wall, dir.path()) && here.exists());
        drop(held);
        assert!(all(&wall, dir.path()) && !here.exists());
    }
}
