//! What a recorder left behind that was killed: parts that nobody closed, segments without a label, labels without a segment. Each part is
//! closed with what it holds; nothing that can be looked at is thrown away. Where there is no room for a label, others make room by the
//! rule by which segments go; if there are none, it waits. Nobody else records here, since the folder is locked.

use crate::house::House;
use crate::mend;
use crate::ram::{ROOM, Ram, is_full};
use crate::segment::hex;
use crate::ts::{self, Remains};
use crate::wall::{EPOCH_MS, Wall};
use md5::{Digest, Md5};
use protocol::fact::Fact;
use segments::folder::Bare;
use segments::ledger::{Closed, What};
use segments::{Clock, Label, Reason};
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

/// So much of a file is read at once: it may be larger than what memory is left.
const PIECE: usize = 64 * 1024;

/// Adopts what lies in the folders of all cameras and is not of the run `boot`; whether some waits for room.
pub fn adopt_all(ram: &Ram, house: &House, wall: &Wall, boot: u32) -> bool {
    let mut wait = false;
    for (camera, folder) in segments::cameras(ram.dir()).unwrap_or_default() {
        let mut note = |label: &Label| ram.ledgers().note(&camera, What::Closed(Closed::of(label)));
        let found = adopt(&camera, &folder, boot, &mut || ram.make_room(ROOM), &mut note).unwrap_or_else(|why| {
            tracing::error!("{}: {why}", folder.display());
            Adopted::default()
        });
        wait |= found.wait;
        for (path, label) in found.segments {
            let path = mend::one(wall, path, &label);
            tracing::info!("{}: adopted from a recorder that was killed", path.display());
            house.say(Fact::SegmentClosed {
                camera: label.camera.clone(),
                file: path.display().to_string(),
                bytes: label.bytes,
                duration_ms: label.duration_ms,
                motion: label.motion_percent > 0.0,
            });
        }
    }
    wait
}

/// What became of a folder's orphans.
#[derive(Debug, Default, PartialEq)]
pub struct Adopted {
    /// The segments with their new labels.
    pub segments: Vec<(PathBuf, Label)>,
    /// There is no room for the labels of others.
    pub wait: bool,
}

/// Adopts what lies in a camera's folder. `make_room` is asked when there is none, and says whether it made some; `note` is told of each
/// before it is there.
///
/// # Errors
/// The folder cannot be read. What cannot be adopted stays where it is, and is logged.
pub fn adopt(
    camera: &str,
    folder: &Path,
    boot: u32,
    make_room: &mut dyn FnMut() -> bool,
    note: &mut dyn FnMut(&Label),
) -> io::Result<Adopted> {
    let contents = segments::read(folder)?;
    for stray in &contents.stray_labels {
        let _ = fs::remove_file(stray);
    }
    let orphans =
        contents.parts.iter().map(|part| (part, true)).chain(contents.unlabelled.iter().map(|bare| (bare, false)));
    let mut adopted = Adopted::default();
    for (bare, part) in orphans.filter(|(bare, _)| bare.name.boot() != boot) {
        match one(camera, folder, bare, part, make_room, note) {
            Ok(found) => adopted.segments.extend(found),
            Err(why) if is_full(&why) => {
                let (file, remedy) =
                    (bare.path.display(), "delete what else lies on that disk, or make RAM_MOUNT larger");
                tracing::warn!("{file} is adopted as soon as there is room: {why}; {remedy}");
                adopted.wait = true;
            }
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
    make_room: &mut dyn FnMut() -> bool,
    note: &mut dyn FnMut(&Label),
) -> io::Result<Option<(PathBuf, Label)>> {
    let (found, md5) = look(&bare.path)?;
    if found.pictures == 0 {
        fs::remove_file(&bare.path)?;
        let _ = fs::remove_file(folder.join(bare.name.label()));
        return Ok(None);
    }
    File::options().write(true).open(&bare.path)?.set_len(found.whole)?;
    let known = fs::read(folder.join(bare.name.label())).ok().and_then(|text| Label::decode(&text).ok());
    let label = Label {
        duration_ms: found.length.as_millis() as u64,
        frames: found.pictures,
        bytes: found.whole,
        md5,
        reason: Reason::Adopted,
        adopted: true,
        // What moved was marked in memory only.
        marked: true,
        ..known.unwrap_or_else(|| unknown(camera, bare))
    };
    note(&label);
    let put = || match part {
        true => segments::close(folder, &bare.name, &label).map(drop),
        false => segments::rename(folder, &bare.name, &label).map(drop),
    };
    match put() {
        Err(why) if is_full(&why) && make_room() => put()?,
        put => put?,
    }
    Ok(Some((folder.join(bare.name.segment()), label)))
}

/// What is in a file, and the checksum of that.
fn look(path: &Path) -> io::Result<(Remains, String)> {
    let mut sum = Md5::new();
    let mut file = BufReader::with_capacity(PIECE, File::open(path)?);
    let found = ts::remains(&mut file, |packet| sum.update(packet))?;
    Ok((found, hex(&sum.finalize())))
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
        kernel: String::new(),
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
        let all = |noted: &mut Vec<u64>| {
            let note = &mut |label: &Label| noted.push(label.sequence);
            adopt("cam1", dir.path(), 1, &mut || false, note).unwrap().segments
        };
        let adopted = all(&mut noted);
        assert_eq!(noted, [1, 2]);
        let told: Vec<_> = adopted.iter().map(|(_, label)| (label.sequence, label.frames, label.duration_ms)).collect();
        assert_eq!(told, [(1, 30, 3000), (2, 5, 500)]);
        let contents = segments::read(dir.path()).unwrap();
        assert_eq!((contents.closed.len(), contents.parts.len(), contents.stray_labels.len()), (2, 0, 0));
        for found in &contents.closed {
            assert!(found.label.adopted && found.label.clock == Clock::Set);
            assert_eq!(found.label.md5, crate::segment::tests::md5_of(&fs::read(&found.path).unwrap()));
        }
        assert_eq!(all(&mut noted), []);
    }

    #[test]
    fn what_is_recorded_right_now_is_no_orphan() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join(Name::new(1000, 9, 1).part());
        fs::write(&open, pictures(5)).unwrap();
        let adopted = adopt("cam1", dir.path(), 9, &mut || false, &mut |_| ()).unwrap();
        assert!(adopted == Adopted::default() && open.exists());
    }

    #[test]
    fn on_a_full_disk_an_orphan_waits_unless_others_make_room() {
        let dir = tempfile::tempdir().unwrap();
        let (name, noted) = (Name::new(1000, 9, 1), &mut |_: &Label| ());
        let full = || std::os::unix::fs::symlink("/dev/full", dir.path().join(format!(".{name}.json.new"))).unwrap();
        fs::write(dir.path().join(name.part()), pictures(5)).unwrap();
        full();
        let waits = adopt("cam1", dir.path(), 1, &mut || false, noted).unwrap();
        assert_eq!(waits, Adopted { segments: Vec::new(), wait: true });
        full();
        let adopted = adopt("cam1", dir.path(), 1, &mut || true, noted).unwrap();
        assert!(adopted.segments.len() == 1 && !adopted.wait, "{adopted:?}");
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
            kernel: "k".into(),
        };
        let mut segment = crate::segment::Segment::open(dir.path(), beginning).unwrap();
        let packets = segment.packets(&[0; 500], Duration::ZERO, true).unwrap();
        segment.write(&packets).unwrap();
        drop(segment);
        let adopted = adopt("cam1", dir.path(), 1, &mut || false, &mut |_| ()).unwrap();
        let (_, label) = &adopted.segments[0];
        assert_eq!((label.width, label.height, label.monotonic_ms, label.clock), (800, 600, 4711, Clock::Unset));
        assert_eq!(label.kernel, "k");
    }
}
