//! One camera, from its pictures to its segments: the loop that performs what [`crate::machine`] decides.

mod coder;
mod queue;
mod writer;

use crate::config::{Camera, Recording};
use crate::house::House;
use crate::machine::{Action, Input, Machine, Picture, Rules};
use crate::pace::Pace;
use crate::pipeline::encoder::Kind;
use crate::pipeline::{Output, Pipeline, Rate, Watch};
use crate::ram::Ram;
use crate::silence::{Seen, Silence};
use crate::status::{ASKED, Board, Status};
use crate::timeline::Timeline;
use crate::wall::Wall;
use bytes::Bytes;
use mjpeg::{Frame, Happening, Happenings, Size};
use protocol::fact::Fact;
use runner::exit::Failure;
use segments::ledger::What;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use writer::Writer;

/// So many pictures wait between the camera and the recorder.
const WAITING: usize = 16;
/// The first pictures are kept back for so long at most, until it is known how many a second come.
const MEASURING: Duration = Duration::from_secs(2);
/// A camera whose pipeline cannot be kept alive is tried again after this time, or when its settings change.
const REST: Duration = Duration::from_secs(60);
/// So often it is looked whether the pipeline hangs, and said that this recorder lives.
const LOOK: Duration = Duration::from_secs(1);
/// A recorder that has not looked for so long was held up.
const HELD_UP: Duration = Duration::from_secs(5);
/// A camera's reader is gone by then: its connection has one second to end, `mjpeg::Config::close`, and is reset after that.
const GONE: Duration = Duration::from_secs(3);

/// What all recorders of a run have in common.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The clocks.
    pub wall: Arc<Wall>,
    /// Where segments go.
    pub ram: Ram,
    /// Who is told.
    pub house: House,
    /// Which encoder.
    pub encoder: Kind,
    /// When a pipeline that does nothing is given up.
    pub patience: Duration,
    /// Pipelines up to now that hang; their threads are lost to this process.
    pub hung: Arc<AtomicU64>,
    /// The run, as it stands in names.
    pub boot: u32,
    /// Segments up to now.
    pub sequence: Arc<AtomicU64>,
    /// How often the server has said that it lets everybody go.
    pub leaving: watch::Receiver<u32>,
    /// The program ends.
    pub stop: CancellationToken,
}

/// What others get from a recorder; clones lead to the same ones.
#[derive(Debug, Clone)]
pub struct Outlets {
    /// The newest picture.
    pub picture: watch::Sender<Option<Bytes>>,
    /// How it goes.
    pub board: Board,
    /// The camera may have forgotten whether it is day.
    pub back: mpsc::UnboundedSender<()>,
}

/// Why a recorder does not go on.
#[derive(Debug)]
enum Trouble {
    /// This camera is left alone for a while.
    Camera(String),
    /// Only a new process helps.
    Process(String),
}

/// Records a camera, while it is to be recorded, until the program ends. What befalls it is no other camera's business.
///
/// # Errors
/// GStreamer hangs again and again: this process has to be started anew.
pub async fn run(mut camera: watch::Receiver<Camera>, around: Surroundings, outlets: Outlets) -> Result<(), Failure> {
    let mut status = Status::new(&camera.borrow(), around.encoder.name(), around.wall.now());
    let mut given_up = false;
    if !camera.borrow().recording.on {
        let camera = camera.borrow().name.clone();
        let encoder = around.encoder.name().into();
        // Or the time since the last run was killed would be laid to that.
        around.ram.ledgers().begin(&camera, around.boot);
        around.ram.ledgers().note(&camera, What::Stopped);
        around.house.say(Fact::Camera { camera, online: false, recording: false, encoder });
    }
    while !around.stop.is_cancelled() {
        let now = camera.borrow_and_update().clone();
        if !now.recording.on {
            given_up = false;
            pause(&now, &mut camera, &around, &outlets, &mut status).await;
            continue;
        }
        let mut recorder = Recorder::new(&now, around.clone(), outlets.clone(), status, given_up);
        let ended = record(&now, &mut camera, &mut recorder).await;
        let was_told = recorder.machine.is_given_up();
        status = recorder.status;
        match ended {
            Ok(()) => given_up = was_told,
            Err(Trouble::Process(why)) => return Err(Failure::Temporary(format!("{}: {why}", now.name))),
            Err(Trouble::Camera(why)) => {
                given_up = true;
                tell_given_up(&now.name, &why, was_told, &around.house);
                status.lost(&why, around.wall.now());
                outlets.board.show(&status);
                rest(&mut camera, &around).await;
            }
        }
    }
    Ok(())
}

/// The log is told each time, the house once.
fn tell_given_up(name: &str, why: &str, was_told: bool, house: &House) {
    tracing::error!("{name}: {why}; it is left alone for {} s, others are recorded", REST.as_secs());
    if !was_told {
        house.say(Fact::CameraOffline { camera: name.into(), why: why.into() });
    }
}

/// Until it is worth another try.
async fn rest(camera: &mut watch::Receiver<Camera>, around: &Surroundings) {
    tokio::select! {
        () = around.stop.cancelled() => {}
        _ = camera.changed() => {}
        () = tokio::time::sleep(REST) => {}
    }
}

/// Nothing is asked of the camera until somebody wants it recorded.
async fn pause(
    this: &Camera,
    camera: &mut watch::Receiver<Camera>,
    around: &Surroundings,
    outlets: &Outlets,
    status: &mut Status,
) {
    tracing::info!("{}: is not recorded, as RECORD or its switch says", this.name);
    status.lost("is not to be recorded", around.wall.now());
    let mut recording = this.recording;
    while !recording.on {
        status.recorded_as(&recording);
        outlets.board.show(status);
        tokio::select! {
            () = around.stop.cancelled() => return,
            _ = camera.changed() => recording = camera.borrow().recording,
        }
    }
}

/// Until the program ends, the camera is not to be recorded any more, or it has another address.
async fn record(this: &Camera, camera: &mut watch::Receiver<Camera>, recorder: &mut Recorder) -> Result<(), Trouble> {
    let (teller, mut happenings) = mjpeg::channel(WAITING);
    let mut source = tokio::spawn(mjpeg::run(mjpeg::Config::new(this.url.clone()), teller));
    let (stop, mut leaving) = (recorder.around.stop.clone(), recorder.around.leaving.clone());
    let ended = loop {
        let wake = recorder.around.wall.tokio(recorder.deadline());
        let step = tokio::select! {
            () = stop.cancelled() => break Ok(()),
            happening = happenings.next() => recorder.happening(happening, &happenings),
            output = next(&mut recorder.outputs) => recorder.output(output),
            Ok(()) = camera.changed() => {
                let new = camera.borrow().clone();
                if !new.recording.on || new.url != this.url {
                    break Ok(());
                }
                recorder.change(new.recording)
            }
            Ok(()) = leaving.changed() => recorder.perform(Input::Leaving, None),
            () = tokio::time::sleep_until(wake) => recorder.tick(),
        };
        if step.is_err() {
            break step;
        }
    };
    recorder.end().await;
    recorder.note(match &ended {
        Ok(()) => What::Stopped,
        Err(Trouble::Camera(why) | Trouble::Process(why)) => What::GaveUp { why: why.clone() },
    });
    // The connection to the camera is closed before anybody opens another one: it serves one client only.
    drop(happenings);
    if tokio::time::timeout(GONE, &mut source).await.is_err() {
        source.abort();
    }
    ended
}

async fn next(outputs: &mut Option<mpsc::Receiver<Output>>) -> Option<Output> {
    match outputs {
        Some(outputs) => outputs.recv().await,
        None => std::future::pending().await,
    }
}

struct Recorder {
    around: Surroundings,
    outlets: Outlets,
    name: String,
    recording: Recording,
    machine: Machine,
    timeline: Timeline,
    pace: Pace,
    /// Pictures that wait until their pace is known; `None` once it is.
    held: Option<Vec<(Frame, Duration)>>,
    pipeline: Option<Pipeline>,
    /// What the encoder was told.
    told: Rate,
    outputs: Option<mpsc::Receiver<Output>>,
    watch: Watch,
    writer: Writer,
    status: Status,
    repairs: VecDeque<Duration>,
    looked: Duration,
    thinned: u64,
    flawed: u64,
    silence: Silence,
}

impl Recorder {
    /// `given_up`: it was said that its pipeline cannot be kept alive.
    fn new(camera: &Camera, around: Surroundings, outlets: Outlets, mut status: Status, given_up: bool) -> Recorder {
        let (recording, now) = (camera.recording, around.wall.now());
        around.ram.ledgers().begin(&camera.name, around.boot);
        status.lost(ASKED, now);
        status.recorded_as(&recording);
        status.encodes_by(around.encoder.name());
        outlets.board.show(&status);
        Recorder {
            name: camera.name.clone(),
            machine: Machine::new(&camera.name, rules(&recording), around.encoder.name(), given_up),
            timeline: Timeline::default(),
            pace: Pace::new(recording.fps),
            held: Some(Vec::new()),
            pipeline: None,
            told: Rate { fps: recording.fps, bitrate: recording.bitrate, buffer_ms: 0 },
            outputs: None,
            watch: Watch::new(around.patience),
            writer: Writer::new(&camera.name, &around),
            status,
            repairs: VecDeque::new(),
            looked: now,
            thinned: 0,
            flawed: 0,
            silence: Silence::new(around.wall.monotonic_ms(now)),
            recording,
            around,
            outlets,
        }
    }

    fn deadline(&self) -> Duration {
        let held = self.held.as_ref().and_then(|held| Some(held.first()?.1 + MEASURING));
        let others = [self.machine.deadline(), self.writer.deadline(), held];
        others.into_iter().flatten().chain([self.looked + LOOK]).min().unwrap_or_default()
    }

    fn happening(&mut self, happening: Option<Happening>, happenings: &Happenings) -> Result<(), Trouble> {
        self.flawed = happenings.counts().flawed;
        match happening {
            Some(Happening::Online(size)) => {
                tracing::info!("{}: sends pictures of {size}", self.name);
                self.timeline.reconnected();
                self.pace.paused();
                self.status.online(self.around.wall.now());
                self.outlets.board.show(&self.status);
                self.perform(Input::Online, None)?;
            }
            Some(Happening::Frame(frame)) => self.frame(frame)?,
            Some(Happening::Lost { why }) => {
                tracing::warn!("{}: {why}", self.name);
                self.outlets.picture.send_replace(None);
                self.status.lost(&why.to_string(), self.around.wall.now());
                self.outlets.board.show(&self.status);
                self.measured()?;
                let line = self.silence.lost(why.word(), self.around.wall.monotonic_ms(self.around.wall.now()));
                self.around.ram.ledgers().write(&self.name, line);
                self.perform(Input::Lost(why.to_string()), None)?;
            }
            None => return Err(Trouble::Camera("its reader has ended".into())),
        }
        let counts = happenings.counts();
        self.status.counted(counts.frames, counts.dropped + self.thinned, counts.flawed, self.pace.fps());
        Ok(())
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Trouble> {
        self.outlets.picture.send_replace(Some(frame.jpeg.clone()));
        let taken = self.timeline.place(self.around.wall.at(frame.at), frame.camera_time);
        if !self.pace.takes(taken) {
            self.thinned += 1;
            return Ok(());
        }
        match &mut self.held {
            None => self.record(frame, taken),
            Some(held) => {
                held.push((frame, taken));
                if self.pace.is_known() { self.measured() } else { Ok(()) }
            }
        }
    }

    /// The pace is known now, or is waited for no longer: what was kept back is recorded.
    fn measured(&mut self) -> Result<(), Trouble> {
        if self.held.as_ref().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let held = self.held.take().unwrap_or_default();
        held.into_iter().try_for_each(|(frame, taken)| self.record(frame, taken))
    }

    fn record(&mut self, frame: Frame, taken: Duration) -> Result<(), Trouble> {
        let picture = Picture {
            taken,
            interval: self.pace.interval(),
            size: recorded(frame.size),
            moved: frame.look.motion_percent,
            frozen: frame.look.frozen,
        };
        self.seen(&picture);
        self.perform(Input::Picture(picture), Some((frame.jpeg, picture)))
    }

    /// The ledger is told of what was before this picture.
    fn seen(&mut self, picture: &Picture) {
        let wall = &self.around.wall;
        let seen = Seen {
            taken: wall.monotonic_ms(picture.taken),
            interval: picture.interval.as_millis() as u64,
            frozen: picture.frozen.map(|span| span.as_millis() as u64),
            flawed: self.flawed,
        };
        for line in self.silence.picture(seen) {
            self.around.ram.ledgers().write(&self.name, line);
        }
    }

    fn note(&self, what: What) {
        self.around.ram.ledgers().note(&self.name, what);
    }

    fn perform(&mut self, input: Input, picture: Option<(Bytes, Picture)>) -> Result<(), Trouble> {
        let now = self.around.wall.now();
        let mut key = false;
        for action in self.machine.handle(input, now) {
            match action {
                Action::Key => {
                    key = true;
                    self.follow_pace(false);
                }
                Action::Begin(reason) => picture.iter().for_each(|(_, picture)| self.writer.cut(picture.taken, reason)),
                Action::Encode => {
                    if let Some((jpeg, picture)) = &picture {
                        self.encode(jpeg.clone(), picture, key, now)?;
                    }
                }
                Action::Close(reason) => self.writer.close(reason, now),
                Action::Mark => {
                    let moved = picture.as_ref().and_then(|(_, picture)| picture.moved);
                    self.writer.mark(moved.map_or(0.0, f64::from));
                }
                Action::Say(fact) => self.around.house.say(fact),
                // Whoever sets presets may have ended.
                Action::Preset => drop(self.outlets.back.send(())),
            }
        }
        Ok(())
    }

    fn change(&mut self, recording: Recording) -> Result<(), Trouble> {
        if recording == self.recording {
            return Ok(());
        }
        self.recording = recording;
        self.status.recorded_as(&recording);
        self.outlets.board.show(&self.status);
        self.pace.limit(recording.fps);
        self.follow_pace(true);
        self.perform(Input::Rules(rules(&recording)), None)
    }

    fn tick(&mut self) -> Result<(), Trouble> {
        let now = self.around.wall.now();
        self.writer.tick(now);
        if self.held.as_ref().and_then(|held| held.first()).is_some_and(|(_, first)| now >= *first + MEASURING) {
            self.measured()?;
        }
        if self.machine.deadline().is_some_and(|at| at <= now) {
            self.perform(Input::Tick, None)?;
        }
        if now > self.looked + HELD_UP {
            self.note(What::Stalled { since: self.around.wall.monotonic_ms(self.looked) });
        }
        self.looked = now;
        self.around.ram.ledgers().alive(&self.name, self.writer.records_since());
        self.writer.closed().into_iter().for_each(|label| self.status.closed(label));
        self.outlets.board.put(&self.status);
        self.examine(now)
    }

    /// The tail is closed with all that was sent.
    async fn end(&mut self) {
        let _ = self.measured();
        let _ = self.perform(Input::Stop, None);
        while let Some(deadline) = self.writer.deadline() {
            let wake = self.around.wall.tokio(deadline);
            tokio::select! {
                output = next(&mut self.outputs) => drop(self.output(output)),
                () = tokio::time::sleep_until(wake) => self.writer.tick(self.around.wall.now()),
            }
        }
        self.writer.closed().into_iter().for_each(|label| self.status.closed(label));
        self.outlets.picture.send_replace(None);
    }
}

/// As it comes out of the pipeline, which makes odd sizes even.
fn recorded(size: Size) -> (u32, u32) {
    (u32::from(size.width & !1), u32::from(size.height & !1))
}

fn rules(recording: &Recording) -> Rules {
    Rules { segment: recording.segment, motion_percent: recording.motion_percent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::client::Bus;

    #[tokio::test]
    async fn a_camera_that_is_off_when_the_recorder_starts_is_written_down_as_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let ram = crate::ram::tests::ram(dir.path(), 1_000_000, 1);
        let wall = Arc::new(Wall::start(dir.path().into()));
        let around = Surroundings {
            house: House::open(Bus::open(dir.path().join("none"), "test 1")),
            encoder: Kind::X264,
            patience: LOOK,
            hung: Arc::default(),
            boot: 7,
            sequence: Arc::default(),
            leaving: watch::channel(0).1,
            stop: CancellationToken::new(),
            ram: ram.clone(),
            wall: wall.clone(),
        };
        around.stop.cancel();
        let recording = Recording { on: false, fps: 15.0, bitrate: 1000, segment: LOOK, motion_percent: None };
        let (url, day_url, night_url) = ("http://192.168.1.33/stream".parse().unwrap(), None, None);
        let camera = Camera { name: "cam1".into(), url, day_url, night_url, recording };
        let outlets = Outlets {
            picture: watch::channel(None).0,
            board: Board::new(wall, ram.clone()),
            back: mpsc::unbounded_channel().0,
        };
        run(watch::channel(camera).1, around, outlets).await.unwrap();
        let lines = segments::ledger::read(ram.dir(), "cam1").unwrap();
        assert!(matches!(&lines[0].what, What::Begun { run, .. } if run == "00000007"), "{lines:?}");
        assert_eq!(lines[1].what, What::Stopped, "and not killed, as the run before may have been");
    }
}
