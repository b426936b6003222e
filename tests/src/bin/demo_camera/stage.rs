//! Who is there: two cameras, `camera`, `upload`, an agent (fserver) and a real S3 server, in a scratch directory.

use crate::timeline::Timeline;
use esp32::Camera;
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use tests::World;
use tests::world::ears::Ears;
use tests::world::process::Process;
use tests::world::recorder::Recorder;
use tests::world::server::Server;
use tests::world::uploads::{Recordings, S3};

/// The camera that is well.
pub const GOOD: &str = "cam1";
/// The other one.
pub const BAD: &str = "cam2";
/// How long a segment is.
pub const SEGMENT_SECONDS: f64 = 10.0;

/// All of them.
pub struct Stage {
    /// What happened.
    pub timeline: Timeline,
    /// The camera that is well.
    pub good: Camera,
    /// The other one.
    pub bad: Camera,
    /// The storage.
    pub s3: S3,
    /// What is said in the house.
    pub ears: Ears,
    /// What `camera` is started with, and where it records.
    pub recorder: Recorder,
    /// `camera`.
    pub camera: Process,
    /// `upload`.
    pub upload: Process,
    pi: Recordings,
    _attic: Server,
}

impl Stage {
    /// Starts everybody.
    pub fn set() -> Stage {
        let timeline = Timeline::begin();
        let [good, bad] = [(); 2].map(|()| Camera::start(Vec::new()).expect("loopback is there"));
        let mut recorder = Recorder::of(&format!("{GOOD} {BAD}"));
        let world = recorder.world.clone();
        let attic = world.server("attic").start();
        let door = attic.place().path("bus.sock");
        let tells = timeline.clone();
        let ears = Ears::open(door.clone(), "attic/evt/#", move |heard| tells.tell("house", heard));
        let s3 = S3::start(&world);
        let pi = Recordings::new(&world, "pi", &s3.endpoint());
        pi.set("DOOR", &door.display().to_string());
        // One at a time, so that the order in which they arrive is that in which they were chosen.
        pi.set("PARALLEL", "1");
        recorder.set("RAM_DIR", &pi.ram().display().to_string()).set("DOOR", &door.display().to_string());
        for (name, camera) in [(GOOD, &good), (BAD, &bad)] {
            let control = camera.control_url();
            let settings = format!(
                "SEGMENT_SEC={SEGMENT_SECONDS}\nMOTION_PERCENT=0\nDAY_URL={control}/day\nNIGHT_URL={control}/night"
            );
            recorder.camera(name, camera, &settings);
        }
        let (camera, upload) = (recorder.start(), pi.upload());
        timeline.tell("demo", "camera, upload, fserver, two cameras and an S3 server are started");
        Stage { timeline, good, bad, s3, ears, recorder, camera, upload, pi, _attic: attic }
    }

    /// The scratch directory.
    pub fn world(&self) -> &World {
        &self.recorder.world
    }

    /// Finished segments that are not in the bucket yet, of all cameras: the run and number of each, and whether it is
    /// marked.
    pub fn waiting(&self) -> Vec<(String, bool)> {
        let folders = [GOOD, BAD].map(|camera| self.pi.ram().join(camera));
        let closed = folders.iter().flat_map(|folder| segments::read(folder).unwrap_or_default().closed);
        closed.map(|found| (format!("{}.{:06}", found.label.boot, found.label.sequence), found.label.marked)).collect()
    }

    /// Where recordings are, with their ledgers.
    pub fn ram(&self) -> PathBuf {
        self.pi.ram()
    }

    /// Whether a camera is recorded right now.
    pub fn is_recorded(&self, camera: &str) -> bool {
        segments::read(&self.pi.ram().join(camera)).is_ok_and(|contents| !contents.parts.is_empty())
    }

    /// Has something that moves looked for before this camera.
    pub fn look_for_motion(&self, camera: &str) {
        let file = self.world().path(&format!("default/seg-{camera}"));
        fs::write(file, "MOTION_PERCENT=0.2\n").expect("the scratch directory can be written");
    }

    /// The end of the day: `camera` ends, what is left is brought away, `upload` ends. Their exit codes.
    pub fn end(&mut self) -> [Option<i32>; 2] {
        let camera = self.camera.stop(Signal::SIGTERM).code();
        self.world().until("everything is brought away", || self.pi.left() == 0);
        let upload = self.upload.stop(Signal::SIGTERM).code();
        [camera, upload]
    }
}
