//! Who is there: two cameras, `camera`, `upload`, an agent (fserver), a real S3 server, and a storage that fails on
//! command.

use super::order::Worth;
use super::plan::{Act, CAMERAS, Plan};
use super::watch::{Watch, Watched, all_closed};
use crate::b2::{self, B2};
use crate::world::ears::{Ears, Heard};
use crate::world::process::Process;
use crate::world::recorder::Recorder;
use crate::world::server::Server;
use crate::world::stored::Stored;
use crate::world::uploads::{Recordings, S3};
use esp32::{Camera, Fault, Preset};
use nix::sys::signal::Signal;
use segments::account::account;
use segments::{Name, ledger};
use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One second stands for twenty.
pub const SEGMENT_SECONDS: f64 = 1.0;
/// kbit a second.
const BITRATE: u64 = 300;
/// What has to happen happens within this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// A camera is back, and told whether it is day: it is looked for each ten seconds at least, and told each ten.
const RETURN: Duration = Duration::from_secs(60);
/// What fails is tried again within this time, also at night.
const DAY_AND_NIGHT: Duration = Duration::from_secs(240);

/// All of them.
#[derive(Debug)]
pub struct Stage {
    began: Instant,
    began_ms: u64,
    ended_ms: u64,
    cameras: Vec<Camera>,
    ears: Ears,
    recorder: Recorder,
    camera: Process,
    pi: Recordings,
    upload: Process,
    s3: S3,
    b2: B2,
    watch: Watch,
    seen: Seen,
    _attic: Server,
}

/// What was seen and is gone afterwards.
#[derive(Debug, Default)]
pub struct Seen {
    /// What waited when the S3 server came back, by run and number.
    pub waited: BTreeMap<String, Worth>,
    /// So many had arrived before that, as the house was told.
    pub done_before: usize,
    /// When the other storage took nothing, in time since the beginning.
    pub refused: Option<(Duration, Duration)>,
    /// Programs that ended when nobody wanted it.
    pub deaths: Vec<String>,
    /// Which presets each camera was given, in order.
    pub presets: Vec<Vec<Preset>>,
    /// Cameras that were not told again whether it is day, after their power was cut.
    pub untold: Vec<usize>,
    /// Segments that were still in RAM in the end.
    pub left: usize,
    /// Exit codes of camera and upload.
    pub ended: [Option<i32>; 2],
}

/// Everything that is left of a day.
#[derive(Debug)]
pub struct Over {
    /// What was seen on the way.
    pub seen: Seen,
    /// What lay in RAM, and what the programs took.
    pub watched: Watched,
    /// What is in the real bucket, and in that of the other storage.
    pub stored: [Vec<Stored>; 2],
    /// Keys of the other storage that were written once more with other bytes.
    pub overwritten: Vec<String>,
    /// What the house was told to be recorded, to have gone, and to be uploaded.
    pub closed: Vec<Heard>,
    /// As above.
    pub evicted: Vec<Heard>,
    /// As above.
    pub done: Vec<Heard>,
    /// When the day began, in milliseconds since 1970.
    pub began_ms: u64,
    /// What the ledger says of each camera from the beginning to the end: milliseconds that are recorded, explained, unexplained.
    pub accounts: Vec<[u64; 4]>,
    /// Connections that came while a camera still had another one.
    pub overlaps: usize,
    /// What camera and upload wrote.
    pub logs: [String; 2],
}

impl Stage {
    /// Starts everybody.
    pub fn set(plan: &Plan) -> Stage {
        let cameras: Vec<Camera> =
            (0..CAMERAS).map(|_| Camera::start(Vec::new()).expect("loopback is there")).collect();
        let names: Vec<String> = (0..CAMERAS).map(name).collect();
        let mut recorder = Recorder::of(&names.join(" "));
        let world = recorder.world.clone();
        let attic = world.server("attic").start();
        let door = attic.place().path("bus.sock");
        let ears = Ears::open(door.clone(), "attic/evt/#", |_| {});
        let (s3, b2) = (S3::start(&world), B2::start(world.address()));
        let pi = Recordings::new(&world, "pi", &s3.endpoint());
        pi.set("DOOR", &door.display().to_string());
        pi.set("PATIENCE", "2");
        let clock = world.path("clock");
        fs::create_dir_all(&clock).expect("the scratch directory can be written");
        recorder
            .set("RAM_DIR", &pi.ram().display().to_string())
            .set("RAM_BYTES", &room(plan).to_string())
            .set("DOOR", &door.display().to_string())
            .set("CLOCK_DIR", &clock.display().to_string())
            .set("TZ", "UTC")
            .set("DAY", &time_of_day(plan.span / 3))
            .set("NIGHT", &time_of_day(plan.span * 2 / 3));
        for (name, camera) in names.iter().zip(&cameras) {
            let control = camera.control_url();
            let presets = format!("DAY_URL={control}/day\nNIGHT_URL={control}/night");
            let settings = format!("SEGMENT_SEC={SEGMENT_SECONDS}\nBITRATE={BITRATE}\nMOTION_PERCENT=0\n{presets}");
            recorder.camera(name, camera, &settings);
        }
        let (watch, began, began_ms) = (Watch::begin(pi.ram()), Instant::now(), now_ms());
        let (camera, upload) = (recorder.start(), pi.upload());
        let seen = Seen::default();
        let ended_ms = 0;
        Stage {
            began,
            began_ms,
            ended_ms,
            cameras,
            ears,
            recorder,
            camera,
            pi,
            upload,
            s3,
            b2,
            watch,
            seen,
            _attic: attic,
        }
    }

    /// Has something happen.
    pub fn perform(&mut self, act: &Act) {
        self.nobody_died();
        match act {
            Act::Fault(camera, fault) => {
                if *fault == Fault::Refuse {
                    self.cameras[*camera].forget();
                }
                self.cameras[*camera].set(&[*fault]);
            }
            Act::Well(camera) => self.cameras[*camera].set(&[]),
            Act::ClockIsSet => {
                let file = self.recorder.world.path("clock/synchronized");
                fs::write(file, "").expect("the scratch directory can be written");
            }
            Act::KillCamera => self.kill_camera(),
            Act::KillUpload => self.kill_upload(),
            Act::StorageDies => self.s3.vanish(),
            Act::StorageReturns => self.storage_returns(),
            Act::OtherStorage => self.other_storage(),
            Act::StorageFails(fault) => self.b2.state().faults.push_back(fault.clone()),
            Act::StorageRefuses => {
                self.b2.state().always = Some(b2::Fault::Busy(1));
                self.seen.refused = Some((self.began.elapsed(), Duration::MAX));
            }
            Act::StorageTakes => {
                self.b2.state().always = None;
                self.seen.refused.iter_mut().for_each(|(_, to)| *to = self.began.elapsed());
            }
        }
    }

    /// Who ended by himself is noted, and started again as a supervisor would.
    fn nobody_died(&mut self) {
        if let Some(status) = self.camera.ended() {
            self.seen.deaths.push(format!("camera: {status}"));
            self.camera = self.recorder.start();
        }
        if let Some(status) = self.upload.ended() {
            self.seen.deaths.push(format!("upload: {status}"));
            self.upload = self.pi.upload();
        }
    }

    fn kill_camera(&mut self) {
        self.camera.stop(Signal::SIGKILL);
        self.camera = self.recorder.start();
    }

    fn kill_upload(&mut self) {
        self.upload.stop(Signal::SIGKILL);
        self.upload = self.pi.upload();
    }

    fn storage_returns(&mut self) {
        self.seen.done_before = self.ears.count("upload-done");
        for found in all_closed(&self.pi.ram()) {
            let worth =
                Worth { camera: found.label.camera, marked: found.label.marked, start_ms: found.label.start_unix_ms };
            self.seen.waited.insert(format!("{}.{:06}", found.label.boot, found.label.sequence), worth);
        }
        self.s3.appear();
    }

    /// From here on nobody is killed, and it counts what the programs take.
    fn other_storage(&mut self) {
        let status = self.upload.stop(Signal::SIGTERM);
        if !status.success() {
            self.seen.deaths.push(format!("upload: {status}"));
        }
        self.pi.set("ENDPOINT", &self.b2.endpoint());
        self.upload = self.pi.upload();
        self.watch.seen().pids = Some([self.camera.pid().as_raw(), self.upload.pid().as_raw()]);
    }

    /// The end of the day: two power cuts in a row for the cameras, a last kill of both programs, and what is left is
    /// brought away.
    pub fn end(mut self) -> Over {
        self.watch.seen().pids = None;
        self.nobody_died();
        (0..2).for_each(|_| self.cut_power());
        let before: Vec<Name> = (0..CAMERAS).flat_map(|camera| self.open(camera)).collect();
        self.kill_camera();
        self.kill_upload();
        let all_new = || (0..CAMERAS).all(|camera| self.open(camera).iter().any(|part| !before.contains(part)));
        self.recorder.world.until_within(PATIENCE, "both cameras are recorded again", all_new);
        self.nobody_died();
        let camera = self.camera.stop(Signal::SIGTERM).code();
        self.ended_ms = now_ms();
        self.bring_away();
        let upload = self.upload.stop(Signal::SIGTERM).code();
        self.seen.ended = [camera, upload];
        self.over()
    }

    /// Open segments of a camera, those of a dead recorder among them.
    fn open(&self, camera: usize) -> Vec<Name> {
        let contents = segments::read(&self.pi.ram().join(name(camera))).unwrap_or_default();
        contents.parts.iter().map(|part| part.name).collect()
    }

    fn bring_away(&mut self) {
        let end = Instant::now() + PATIENCE;
        while self.pi.left() > 0 && Instant::now() < end {
            if let Some(status) = self.upload.ended() {
                self.seen.deaths.push(format!("upload: {status}"));
                self.upload = self.pi.upload();
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.seen.left = self.pi.left();
    }

    /// Each camera loses its power for a moment, and has to be told again whether it is day.
    fn cut_power(&mut self) {
        self.cameras.iter().for_each(|camera| {
            camera.forget();
            camera.set(&[Fault::Refuse]);
        });
        thread::sleep(Duration::from_secs(2));
        self.cameras.iter().for_each(|camera| camera.set(&[]));
        let end = Instant::now() + RETURN;
        while self.cameras.iter().any(|camera| camera.preset().is_none()) && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        }
        self.seen.untold.extend((0..CAMERAS).filter(|camera| self.cameras[*camera].preset().is_none()));
    }

    fn account(&self, camera: usize) -> [u64; 4] {
        let lines = ledger::read(&self.pi.ram(), &name(camera)).expect("the ledger can be read");
        account(&lines, self.began_ms, self.ended_ms).sums()
    }

    /// Those without remarks are known by their checksum.
    fn in_s3(&self) -> Vec<Stored> {
        let mut stored = self.s3.stored();
        for bare in stored.iter_mut().filter(|stored| stored.beside("run").is_empty()) {
            let md5 = bare.md5();
            let run = self.watch.seen().stays.iter().find(|(_, (_, label))| *label == md5).map(|(run, _)| run.clone());
            run.iter().for_each(|run| bare.is_run(run));
        }
        stored
    }

    fn over(mut self) -> Over {
        self.seen.presets = self.cameras.iter().map(presets).collect();
        Over {
            stored: [self.in_s3(), self.b2.stored()],
            overwritten: self.b2.state().overwritten.clone(),
            closed: self.ears.facts("segment-closed"),
            evicted: self.ears.facts("segment-evicted"),
            done: self.ears.facts("upload-done"),
            began_ms: self.began_ms,
            accounts: (0..CAMERAS).map(|camera| self.account(camera)).collect(),
            overlaps: self.cameras.iter().map(|camera| camera.log().overlaps).sum(),
            logs: [self.camera.log(), self.upload.log()],
            watched: std::mem::take(&mut *self.watch.seen()),
            seen: self.seen,
        }
    }
}

/// Bytes that recordings may take: twice what comes in an hour; in a short day, more than ever comes.
fn room(plan: &Plan) -> u64 {
    let hour = plan.hour().as_secs() * CAMERAS as u64 * BITRATE * 1000 / 8;
    if plan.is_long() { 2 * hour } else { 200 * hour }
}

fn name(camera: usize) -> String {
    format!("cam{}", camera + 1)
}

fn presets(camera: &Camera) -> Vec<Preset> {
    let told =
        |path: &str| [("/day", Preset::Day), ("/night", Preset::Night)].into_iter().find(|(other, _)| *other == path);
    let mut all: Vec<Preset> = camera.log().requests.iter().filter_map(|(path, _)| Some(told(path)?.1)).collect();
    all.dedup();
    all
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// That long from now, to the minute, as a setting in UTC.
fn time_of_day(from_now: Duration) -> String {
    let minutes = (now_ms() / 1000 + from_now.as_secs()) / 60;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// Whether a day of this plan has a morning and an evening that cannot be missed: the time of day is looked at each 20
/// s, and settings know minutes.
pub fn has_presets(plan: &Plan) -> bool {
    plan.span >= DAY_AND_NIGHT
}
