//! How a recorder and its cameras are: `status.json` beside the recordings, written by the recorder for whoever asks.

use crate::put::put_or_write_over;
use crate::{Clock, Label};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

/// The file, in the folder of all recordings.
pub const FILE: &str = "status.json";
/// A recorder writes it each two seconds; one that is older than this, in milliseconds, is that of a recorder that was killed.
pub const STALE_MS: u64 = 15_000;

/// All that a recorder says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// Its cameras, sorted by name.
    pub cameras: Vec<Camera>,
    /// Bytes that recordings take.
    pub ram_bytes: u64,
    /// Bytes that they may take.
    pub ram_cap: u64,
    /// Whether the machine knows what time it is.
    pub clock: Clock,
    /// Address and port at which pictures are served.
    pub live: Option<String>,
    /// When this was written, in milliseconds of the kernel's monotonic clock.
    pub monotonic_ms: u64,
}

/// One camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Camera {
    /// Its name.
    pub camera: String,
    /// It is to be recorded: neither its settings nor a switch say otherwise.
    pub recorded: bool,
    /// It sends pictures.
    pub online: bool,
    /// Why it does not; empty if it does.
    pub why: String,
    /// So many seconds it is online, or is not.
    pub for_sec: u64,
    /// What its pictures are encoded by.
    pub encoder: String,
    /// Pictures that came since the recorder turned to it.
    pub frames: u64,
    /// Those that are not recorded: thinned out, or too many to wait.
    pub dropped_frames: u64,
    /// Broken ones.
    pub flawed_frames: u64,
    /// Pictures a second, once that is known.
    pub fps: Option<f64>,
    /// kbit a second, as it is in force.
    pub bitrate: u32,
    /// How long a segment is, as it is in force.
    pub segment_sec: f64,
    /// The last segment that was closed.
    pub last_segment: Option<Label>,
}

impl Status {
    /// What a recorder said that writes here; `None` if it said nothing for a while, or ended.
    ///
    /// # Errors
    /// It cannot be read, or is of another version.
    pub fn read(ram_dir: &Path, monotonic_ms: u64) -> io::Result<Option<Status>> {
        let text = match fs::read(ram_dir.join(FILE)) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        let status: Status = serde_json::from_slice(&text)?;
        // What lies in the future was written before the machine started.
        let age = monotonic_ms.checked_sub(status.monotonic_ms);
        Ok(Some(status).filter(|_| age.is_some_and(|age| age <= STALE_MS)))
    }

    /// Writes it, whole; on a full disk over what was there, since it is wanted most then.
    ///
    /// # Errors
    /// There is no room.
    pub fn write(&self, ram_dir: &Path) -> io::Result<()> {
        let aside = ram_dir.join(format!(".{FILE}"));
        put_or_write_over(&ram_dir.join(FILE), &aside, self.json().as_bytes())
    }

    /// One object in a line.
    pub fn json(&self) -> String {
        // Plain fields: there is nothing that JSON could not hold.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// One of its cameras.
    pub fn camera(&self, name: &str) -> Option<&Camera> {
        self.cameras.iter().find(|camera| camera.camera == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Name;
    use crate::label::tests::label;

    fn status() -> Status {
        let camera = Camera {
            camera: "cam1".into(),
            recorded: true,
            online: true,
            why: String::new(),
            for_sec: 7,
            encoder: "x264enc".into(),
            frames: 100,
            dropped_frames: 1,
            flawed_frames: 2,
            fps: Some(15.02),
            bitrate: 1000,
            segment_sec: 20.0,
            last_segment: Some(label(&Name::new(1000, 1, 1), true)),
        };
        let (clock, live) = (Clock::Set, Some("127.0.0.1:8090".into()));
        Status { cameras: vec![camera], ram_bytes: 5, ram_cap: 1000, clock, live, monotonic_ms: 100_000 }
    }

    #[test]
    fn what_is_written_is_read_while_it_is_true() {
        let dir = tempfile::tempdir().unwrap();
        let read = |now| Status::read(dir.path(), now).unwrap();
        assert_eq!(read(100_000), None, "nobody wrote");
        status().write(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!((read(100_000), read(100_000 + STALE_MS)), (Some(status()), Some(status())));
        assert_eq!(
            (read(100_001 + STALE_MS), read(99_999)),
            (None, None),
            "killed, or of the run of the machine before"
        );
        fs::write(dir.path().join(FILE), "{}").unwrap();
        assert!(Status::read(dir.path(), 100_000).is_err());
    }

    #[test]
    fn its_words_stay() {
        let text = status().json();
        for word in [
            r#""camera":"cam1""#,
            r#""dropped-frames":1"#,
            r#""segment-sec":20.0"#,
            r#""ram-cap":1000"#,
            r#""fps":15.02"#,
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
}
