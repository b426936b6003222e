//! One segment while it is written: `NAME.ts.part` with a label beside it that is nearly right, so that a recorder which is killed leaves
//! something that the next one understands.

use crate::ts::Stream;
use md5::{Digest, Md5};
use segments::{Clock, Label, Name, Reason};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is known when it begins.
#[derive(Debug, Clone)]
pub struct Beginning {
    /// Which camera.
    pub camera: String,
    /// Its name.
    pub name: Name,
    /// Whether the start in it is to be believed.
    pub clock: Clock,
    /// Width and height.
    pub size: (u32, u32),
    /// The first picture was taken then, on the recorder's clock,
    pub begun: Duration,
    /// and on the kernel's,
    pub monotonic_ms: u64,
    /// in this run of it.
    pub kernel: String,
}

/// An open one.
#[derive(Debug)]
pub struct Segment {
    folder: PathBuf,
    file: File,
    stream: Stream,
    name: Name,
    begun: Duration,
    label: Label,
    sum: Md5,
}

/// A picture as it stands in the file.
#[derive(Debug)]
pub struct Packets(Vec<u8>);

impl Packets {
    /// Bytes.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl Segment {
    /// Begins one.
    ///
    /// # Errors
    /// There is no room, or the folder cannot be written to.
    pub fn open(folder: &Path, beginning: Beginning) -> io::Result<Segment> {
        let Beginning { camera, name, clock, size: (width, height), begun, monotonic_ms, kernel } = beginning;
        let label = Label {
            camera,
            start_unix_ms: name.start_unix_ms(),
            duration_ms: 0,
            frames: 0,
            bytes: 0,
            width,
            height,
            clock,
            reason: Reason::Adopted,
            marked: false,
            motion_percent: 0.0,
            md5: String::new(),
            dropped_frames: 0,
            boot: format!("{:08x}", name.boot()),
            sequence: name.sequence(),
            monotonic_ms,
            adopted: true,
            kernel,
        };
        let file = File::create_new(folder.join(name.part()))?;
        let nothing_stays = |_: &io::Error| {
            [name.part(), name.label()].iter().for_each(|file| drop(std::fs::remove_file(folder.join(file))));
        };
        std::fs::write(folder.join(name.label()), label.encode()?).inspect_err(nothing_stays)?;
        Ok(Segment { folder: folder.into(), file, stream: Stream::default(), name, begun, label, sum: Md5::new() })
    }

    /// What is known of it up to now.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// When its first picture was taken.
    pub fn begun(&self) -> Duration {
        self.begun
    }

    /// The packets of a picture that was taken at `at`.
    ///
    /// # Errors
    /// It is over a day after the first one.
    pub fn packets(&mut self, unit: &[u8], at: Duration, key: bool) -> io::Result<Packets> {
        self.stream.picture(unit, at.saturating_sub(self.begun), key).map(Packets)
    }

    /// Adds them. After an error the file is as before, and the same may be tried again.
    ///
    /// # Errors
    /// There is no room, or the file cannot be written to.
    pub fn write(&mut self, packets: &Packets) -> io::Result<()> {
        self.file.write_all_at(&packets.0, self.label.bytes)?;
        self.sum.update(&packets.0);
        self.label.bytes += packets.0.len() as u64;
        self.label.frames += 1;
        Ok(())
    }

    /// It is evidence, and so much moved in it.
    pub fn mark(&mut self, percent: f64) {
        self.label.marked = true;
        self.label.motion_percent = self.label.motion_percent.max(percent);
    }

    /// Pictures that came and are not in it.
    pub fn dropped(&mut self, pictures: u64) {
        self.label.dropped_frames += pictures;
    }

    /// Ends it. One without a picture vanishes.
    ///
    /// # Errors
    /// There is no room for its label; the same may be tried again, or it is left to be adopted.
    pub fn close(&mut self, reason: Reason, length: Duration) -> io::Result<Option<(PathBuf, Label)>> {
        if self.label.frames == 0 {
            std::fs::remove_file(self.folder.join(self.name.part()))?;
            std::fs::remove_file(self.folder.join(self.name.label()))?;
            return Ok(None);
        }
        // What a write left behind that failed in the middle.
        self.file.set_len(self.label.bytes)?;
        self.label.duration_ms = millis(length);
        self.label.reason = reason;
        self.label.adopted = false;
        self.label.md5 = hex(&self.sum.clone().finalize());
        let path = segments::close(&self.folder, &self.name, &self.label)?;
        Ok(Some((path, self.label.clone())))
    }
}

/// A length as in a label.
pub fn millis(length: Duration) -> u64 {
    (length.as_secs_f64() * 1000.0).round() as u64
}

/// As in a label.
pub fn hex(sum: &[u8]) -> String {
    sum.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// As in a label.
    pub(crate) fn md5_of(bytes: &[u8]) -> String {
        hex(&Md5::digest(bytes))
    }

    fn beginning(sequence: u64) -> Beginning {
        let (camera, kernel, begun) = ("cam1".into(), "k".into(), Duration::from_secs(7));
        let name = Name::new(1_795_658_040_123, 1, sequence);
        Beginning { camera, name, clock: Clock::Set, size: (640, 480), begun, monotonic_ms: 7000, kernel }
    }

    #[test]
    fn what_was_written_is_in_the_file_and_in_its_label() {
        let dir = tempfile::tempdir().unwrap();
        let mut segment = Segment::open(dir.path(), beginning(1)).unwrap();
        for n in 0..30_u32 {
            let packets =
                segment.packets(&[1; 900], Duration::from_secs(7) + n * Duration::from_millis(66), n == 0).unwrap();
            segment.write(&packets).unwrap();
        }
        segment.mark(3.5);
        segment.dropped(2);
        let (path, label) = segment.close(Reason::Motion, Duration::from_millis(1980)).unwrap().unwrap();
        let bytes = std::fs::read(path).unwrap();
        assert_eq!((label.bytes, label.md5.clone()), (bytes.len() as u64, md5_of(&bytes)));
        assert_eq!((label.frames, label.duration_ms, label.dropped_frames), (30, 1980, 2));
        assert!(label.marked && !label.adopted && label.reason == Reason::Motion);
        assert_eq!(crate::ts::remains(&mut &bytes[..], |_| ()).unwrap().pictures, 30);
        assert_eq!(segments::read(dir.path()).unwrap().closed[0].label, label);
    }

    #[test]
    fn an_empty_one_vanishes() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Segment::open(dir.path(), beginning(1)).unwrap().close(Reason::Lost, Duration::ZERO).unwrap(), None);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Segment::open(&dir.path().join("none"), beginning(2)).is_err());
    }
}
