//! The running camera: two ports, as with CameraWebServer (the stream on one, everything else on the other), each served by one thread.

use crate::door::{self, Door};
use crate::script::{Fault, Step};
use crate::talk;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Frames a second when nothing is wrong.
pub const FPS: f32 = 15.0;

/// A camera that runs until it is dropped.
#[derive(Debug)]
pub struct Camera {
    shared: Arc<Shared>,
    stream: SocketAddr,
    control: SocketAddr,
    threads: Vec<JoinHandle<()>>,
}

/// What clients did.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// When each connection to the stream's port was accepted.
    pub connections: Vec<Instant>,
    /// How many of them came while the one before was still open at the client's end.
    pub overlaps: usize,
    /// Whole pictures that were sent without a fault of their own: number and time.
    pub sent: Vec<(u32, Instant)>,
    /// Requests that were answered, by path, on either port.
    pub requests: Vec<(String, Instant)>,
}

/// Which settings the sensor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// After /day.
    Day,
    /// After /night: darker pictures.
    Night,
}

/// What the threads have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    start: Instant,
    pub(crate) stop: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) script: Vec<Step>,
    pub(crate) log: Log,
    /// Forgotten by a restart.
    pub(crate) preset: Option<Preset>,
    pub(crate) next_number: u32,
    pub(crate) frozen: Option<Vec<u8>>,
    /// What `/control` set, as in `"framesize":8`; forgotten by a restart.
    pub(crate) settings: Vec<String>,
}

impl Shared {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The faults at work now.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let now = self.start.elapsed();
        self.state().script.iter().filter(|step| step.is_on(now)).map(|step| step.fault).collect()
    }

    pub(crate) fn is_on(&self, fault: Fault) -> bool {
        self.faults().contains(&fault)
    }

    /// A picture was sent, or was not, under these faults: those that are counted in pictures get fewer.
    pub(crate) fn picture_is_over(&self, under: &[Fault]) {
        for step in self.state().script.iter_mut().filter(|step| under.contains(&step.fault)) {
            step.frames = step.frames.map(|left| left.saturating_sub(1));
        }
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Camera {
    /// On two free ports of the loopback interface.
    pub fn start(script: Vec<Step>) -> io::Result<Self> {
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self::start_at(any, any, script)
    }

    /// On these addresses; port 0 is a free one.
    pub fn start_at(stream: SocketAddr, control: SocketAddr, script: Vec<Step>) -> io::Result<Self> {
        let state = Mutex::new(State { script, ..State::default() });
        let shared = Arc::new(Shared { start: Instant::now(), stop: AtomicBool::new(false), state });
        let (stream, control) = (Door::open(stream)?, Door::open(control)?);
        let mut camera = Self { stream: stream.address(), control: control.address(), shared, threads: Vec::new() };
        camera.threads.extend(door::serve(stream, &camera.shared, true, talk::stream_port));
        camera.threads.extend(door::serve(control, &camera.shared, false, talk::control_port));
        Ok(camera)
    }

    /// Where the stream is.
    pub fn url(&self) -> String {
        format!("http://{}/stream", self.stream)
    }

    /// Where /day, /night, /status and /capture are: this and the path.
    pub fn control_url(&self) -> String {
        format!("http://{}", self.control)
    }

    /// From now on, this is what goes wrong, and nothing else.
    pub fn set(&self, faults: &[Fault]) {
        self.shared.state().script = faults.iter().map(|fault| Step::always(*fault)).collect();
    }

    /// This too, for the next `frames` pictures.
    pub fn next(&self, frames: u32, fault: Fault) {
        self.shared.state().script.push(Step { frames: Some(frames), ..Step::always(fault) });
    }

    /// Forgets its preset, as after a loss of power. Its connections are not cut; that is [`Fault::Refuse`].
    pub fn forget(&self) {
        let mut state = self.shared.state();
        (state.preset, state.settings) = (None, Vec::new());
    }

    /// Whether it was set so, as in `"framesize":8`.
    pub fn is_set(&self, setting: &str) -> bool {
        self.shared.state().settings.iter().any(|known| known == setting)
    }

    /// What it was set to.
    pub fn preset(&self) -> Option<Preset> {
        self.shared.state().preset
    }

    /// Up to now.
    pub fn log(&self) -> Log {
        self.shared.state().log.clone()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
