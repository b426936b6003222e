//! How the cameras are, as JSON in RAM for whoever asks: `status.json` beside the recordings, and `/` of what is served live.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The file, in the folder of all recordings.
pub const FILE: &str = "status.json";

/// One camera.
#[derive(Debug, Clone)]
pub struct Status {
    camera: String,
    encoder: &'static str,
    online: bool,
    why: String,
    frames: u64,
    dropped: u64,
    flawed: u64,
    fps: Option<f64>,
}

impl Status {
    /// Nothing is known of it yet.
    pub fn new(camera: &str, encoder: &'static str) -> Status {
        let why = "has not answered yet".into();
        Status { camera: camera.into(), encoder, online: false, why, frames: 0, dropped: 0, flawed: 0, fps: None }
    }

    /// Another encoder is used from now on.
    pub fn encodes_by(&mut self, encoder: &'static str) {
        self.encoder = encoder;
    }

    /// It sends pictures.
    pub fn online(&mut self) {
        (self.online, self.why) = (true, String::new());
    }

    /// It sends none.
    pub fn lost(&mut self, why: &str) {
        (self.online, self.why, self.fps) = (false, why.into(), None);
    }

    /// What came, what was left out, what was broken, and how many a second.
    pub fn counted(&mut self, frames: u64, dropped: u64, flawed: u64, fps: Option<f64>) {
        (self.frames, self.dropped, self.flawed) = (frames, dropped, flawed);
        self.fps = fps.filter(|_| self.online);
    }

    fn json(&self) -> Value {
        json!({
            "camera": self.camera,
            "online": self.online,
            "why": self.why,
            "encoder": self.encoder,
            "frames": self.frames,
            "dropped-frames": self.dropped,
            "flawed-frames": self.flawed,
            "fps": self.fps.map(|fps| (fps * 100.0).round() / 100.0),
        })
    }
}

/// Where all hang; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<String, Status>>>);

impl Board {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A camera is now so.
    pub fn put(&self, status: &Status) {
        self.all().insert(status.camera.clone(), status.clone());
    }

    /// One object with an array `cameras`, sorted by name.
    pub fn json(&self, used: u64, cap: u64) -> String {
        let cameras: Vec<Value> = self.all().values().map(Status::json).collect();
        json!({ "cameras": cameras, "ram-bytes": used, "ram-cap": cap }).to_string() + "\n"
    }

    /// Writes the file. Without room for it, it is missing for a while.
    pub fn write(&self, dir: &Path, used: u64, cap: u64) {
        let aside = dir.join(format!(".{FILE}"));
        let written =
            std::fs::write(&aside, self.json(used, cap)).and_then(|()| std::fs::rename(&aside, dir.join(FILE)));
        if let Err(why) = written {
            tracing::debug!("{FILE} cannot be written: {why}");
        }
    }
}
