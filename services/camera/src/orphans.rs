//! What a recorder left behind that was killed: parts that nobody closed, segments without a label, labels without a segment. Each part is
//! closed with what it holds; nothing that can be looked at is thrown away. Nobody else records here, since the folder is locked.

use crate::ts;
use crate::wall::EPOCH_MS;
use segments::folder::Bare;
use segments::{Clock, Label, Reason};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Adopts what lies in a camera's folder; the segments with their new labels. `note` is told of each before it is there.
///
/// # Errors
/// The folder cannot be read. What cannot be adopted stays where it is, and is logged.
pub fn adopt(camera: &str, folder: &Path, note: &mut dyn FnMut(&Label)) -> io::Result<Vec<(PathBuf, Label)>> {
    let contents = segments::read(folder)?;
    for stray in &contents.stray_labels {
        let _ = fs::remove_file(stray);
    }
    let orphans =
        contents.parts.iter().map(|part| (part, true)).chain(contents.unlabelled.iter().map(|bare| (bare, false)));
    let mut adopted = Vec::new();
    for (bare, part) in orphans {
        match one(camera, folder, bare, part, note) {
            Ok(found) => adopted.extend(found),
            Err(why) => tracing::error!("{} cannot be adopted: {why}; look at it and delete it", bare.path.display()),
        }
    }
    Ok(adopted)
}

fn one(
    camera: &str,
    folder: &Path,
    bare: &Bare,
    part: bool,
    note: &mut dyn FnMut(&Label),
) -> io::Result<Option<(PathBuf, Label)>> {
    let mut bytes = fs::read(&bare.path)?;
    let found = ts::remains(&bytes);
    if found.pictures == 0 {
        fs::remove_file(&bare.path)?;
        let _ = fs::remove_file(folder.join(bare.name.label()));
        return Ok(None);
    }
    bytes.truncate(found.whole as usize);
    File::options().write(true).open(&bare.path)?.set_len(found.whole)?;
    let known = fs::read(folder.join(bare.name.label())).ok().and_then(|text| Label::decode(&text).ok());
    let label = Label {
        duration_ms: found.length.as_millis() as u64,
        frames: found.pictures,
        bytes: found.whole,
        md5: crate::segment::md5_of(&bytes),
        reason: Reason::Adopted,
        adopted: true,
        // What moved was marked in memory only.
        marked: true,
        ..known.unwrap_or_else(|| unknown(camera, bare))
    };
    note(&label);
    if part {
        return segments::close(folder, &bare.name, &label).map(|path| Some((path, label)));
    }
    segments::rename(folder, &bare.name, &label)?;
    Ok(Some((bare.path.clone(), label)))
}

/// What the name alone tells.
fn unknown(camera: &str, bare: &Bare) -> Label {
    let start = bare.name.start_unix_ms();
    Label {
        camera: camera.into(),
        start_unix_ms: start,
        duration_ms: 0,
        frames: 0,
        bytes: 0,
        width: 0,
        height: 0,
        clock: if start >= EPOCH_MS { Clock::Set } else { Clock::Unset },
        reason: Reason::Adopted,
        marked: false,
        motion_percent: 0.0,
        md5: String::new(),
        dropped_frames: 0,
        boot: format!("{:08x}", bare.name.boot()),
        sequence: bare.name.sequence(),
        monotonic_ms: 0,
        adopted: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segments::Name;
    use std::time::Duration;

    fn pictures(count: u32) -> Vec<u8> {
        let mut stream = ts::Stream::default();
        (0..count).flat_map(|n| stream.picture(&[0; 500], n * Duration::from_millis(100), n == 0).unwrap()).collect()
    }

    #[test]
    fn whatever_a_dead_recorder_left_becomes_a_segment_and_nothing_is_done_twice() {
        let dir = tempfile::tempdir().unwrap();
        let name = |sequence| Name::new(1_795_658_040_123, 9, sequence);
        let put = |file: String, bytes: &[u8]| fs::write(dir.path().join(file), bytes).unwrap();
        put(name(1).part(), &[pictures(30), vec![0x47; 90]].concat());
        put(name(2).segment(), &pictures(5));
        put(name(3).part(), b"");
        put(name(3).label(), b"{}");
        put(name(4).label(), b"{}");
        let mut noted = Vec::new();
        let adopted = adopt("cam1", dir.path(), &mut |label| noted.push(label.sequence)).unwrap();
        assert_eq!(noted, [1, 2]);
        let told: Vec<_> = adopted.iter().map(|(_, label)| (label.sequence, label.frames, label.duration_ms)).collect();
        assert_eq!(told, [(1, 30, 3000), (2, 5, 500)]);
        let contents = segments::read(dir.path()).unwrap();
        assert_eq!((contents.closed.len(), contents.parts.len(), contents.stray_labels.len()), (2, 0, 0));
        for found in &contents.closed {
            assert!(found.label.adopted && found.label.clock == Clock::Set);
            assert_eq!(found.label.md5, crate::segment::md5_of(&fs::read(&found.path).unwrap()));
        }
        assert_eq!(adopt("cam1", dir.path(), &mut |_| ()).unwrap(), []);
    }

    #[test]
    fn what_the_dead_recorder_knew_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let name = Name::new(1000, 9, 7);
        let beginning = crate::segment::Beginning {
            camera: "cam1".into(),
            name,
            clock: Clock::Unset,
            size: (800, 600),
            begun: Duration::ZERO,
            monotonic_ms: 4711,
        };
        let mut segment = crate::segment::Segment::open(dir.path(), beginning).unwrap();
        let packets = segment.packets(&[0; 500], Duration::ZERO, true).unwrap();
        segment.write(&packets).unwrap();
        drop(segment);
        let (_, label) = adopt("cam1", dir.path(), &mut |_| ()).unwrap().remove(0);
        assert_eq!((label.width, label.height, label.monotonic_ms, label.clock), (800, 600, 4711, Clock::Unset));
    }
}
