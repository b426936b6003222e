//! How the cameras are, in RAM for whoever asks: `status.json` beside the recordings, and `/` of what is served live.

use crate::config::{Camera, Recording};
use crate::ram::Ram;
use crate::wall::Wall;
use segments::{Clock, Label, status};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Until it is known how a camera is.
pub const ASKED: &str = "has not answered yet";

/// One camera.
#[derive(Debug, Clone)]
pub struct Status {
    told: status::Camera,
    /// It is online, or not, since then.
    since: Duration,
}

impl Status {
    /// Nothing is known of it yet.
    pub fn new(camera: &Camera, encoder: &str, now: Duration) -> Status {
        let told = status::Camera {
            camera: camera.name.clone(),
            recorded: false,
            online: false,
            why: ASKED.into(),
            for_sec: 0,
            encoder: encoder.into(),
            frames: 0,
            dropped_frames: 0,
            flawed_frames: 0,
            fps: None,
            bitrate: camera.recording.bitrate,
            segment_sec: 0.0,
            last_segment: None,
        };
        let mut status = Status { told, since: now };
        status.recorded_as(&camera.recording);
        status
    }

    /// Another encoder is used from now on.
    pub fn encodes_by(&mut self, encoder: &str) {
        self.told.encoder = encoder.into();
    }

    /// It sends pictures.
    pub fn online(&mut self, now: Duration) {
        self.turn(true, "", now);
    }

    /// It sends none.
    pub fn lost(&mut self, why: &str, now: Duration) {
        self.turn(false, why, now);
        self.told.fps = None;
    }

    fn turn(&mut self, online: bool, why: &str, now: Duration) {
        if self.told.online != online {
            self.since = now;
        }
        (self.told.online, self.told.why) = (online, why.into());
    }

    /// It is recorded so from now on, or no longer.
    pub fn recorded_as(&mut self, recording: &Recording) {
        self.told.recorded = recording.on;
        self.told.bitrate = recording.bitrate;
        self.told.segment_sec = recording.segment.as_secs_f64();
    }

    /// What came, what was left out, what was broken, and how many a second.
    pub fn counted(&mut self, frames: u64, dropped: u64, flawed: u64, fps: Option<f64>) {
        (self.told.frames, self.told.dropped_frames, self.told.flawed_frames) = (frames, dropped, flawed);
        self.told.fps = fps.filter(|_| self.told.online).map(|fps| (fps * 100.0).round() / 100.0);
    }

    /// The last segment that was closed.
    pub fn closed(&mut self, label: Label) {
        self.told.last_segment = Some(label);
    }

    fn at(&self, now: Duration) -> status::Camera {
        status::Camera { for_sec: now.saturating_sub(self.since).as_secs(), ..self.told.clone() }
    }
}

/// Where all hang; clones are the same one.
#[derive(Debug, Clone)]
pub struct Board {
    statuses: Arc<Mutex<BTreeMap<String, Status>>>,
    wall: Arc<Wall>,
    ram: Ram,
    /// Where pictures are served, if they are.
    live: Arc<OnceLock<SocketAddr>>,
}

impl Board {
    /// An empty one.
    pub fn new(wall: Arc<Wall>, ram: Ram) -> Board {
        Board { statuses: Arc::default(), wall, ram, live: Arc::default() }
    }

    /// Pictures are served there from now on.
    pub fn serves_at(&self, address: SocketAddr) {
        let _ = self.live.set(address);
        self.write();
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A camera is now so, which is to be read the next time.
    pub fn put(&self, status: &Status) {
        self.all().insert(status.told.camera.clone(), status.clone());
    }

    /// A camera is now so, which is to be read at once.
    pub fn show(&self, status: &Status) {
        self.put(status);
        self.write();
    }

    /// All of them, sorted by name.
    pub fn status(&self) -> status::Status {
        let now = self.wall.now();
        status::Status {
            cameras: self.all().values().map(|status| status.at(now)).collect(),
            ram_bytes: self.ram.used(),
            ram_cap: self.ram.cap(),
            clock: if self.wall.is_set() { Clock::Set } else { Clock::Unset },
            live: self.live.get().map(SocketAddr::to_string),
            monotonic_ms: self.wall.monotonic_ms(now),
        }
    }

    /// Writes the file. Without room for it, it is old for a while.
    pub fn write(&self) {
        if let Err(why) = self.status().write(self.ram.dir()) {
            tracing::debug!("{} cannot be written: {why}", status::FILE);
        }
    }

    /// The recorder ends.
    pub fn take_down(&self) {
        let _ = std::fs::remove_file(self.ram.dir().join(status::FILE));
    }
}
