//! Segments that were recorded before the clock was set get the name and the label that they should have had. By the kernel's monotonic
//! clock it is known how long ago they began.

use crate::ram::Ram;
use crate::wall::Wall;
use segments::{Clock, Label, Name};
use std::path::{Path, PathBuf};

/// All that lie in RAM. One that is being sent right now stays as it is.
pub fn all(wall: &Wall, ram: &Ram) {
    for folder in segments::cameras(ram.dir()).unwrap_or_default().values() {
        for found in segments::read(folder).unwrap_or_default().closed {
            one(wall, found.path, &found.label);
        }
    }
}

/// This one, if that is needed and possible; where it is then.
pub fn one(wall: &Wall, path: PathBuf, label: &Label) -> PathBuf {
    if label.clock == Clock::Set || label.monotonic_ms == 0 || !wall.is_set() {
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
        let beginning = Beginning { camera, name, clock: Clock::Unset, size: (640, 480), begun, monotonic_ms };
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
}
