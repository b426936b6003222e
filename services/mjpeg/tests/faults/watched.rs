//! A camera, its source, and all that was heard from it.

use esp32::{Camera, Fault};
use mjpeg::jpeg::dc::Decoder;
use mjpeg::jpeg::header::Header;
use mjpeg::{Cause, Config, Frame, Happening, Happenings};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A happening that does not come in this time does not come.
const LONG: Duration = Duration::from_secs(20);

pub struct Watched {
    pub camera: Camera,
    pub happenings: Happenings,
    pub source: JoinHandle<()>,
}

/// The defaults, with short pauses, and each picture is read through.
fn config(camera: &Camera) -> Config {
    Config {
        close: Duration::from_millis(300),
        back_off: Duration::from_millis(20)..=Duration::from_millis(200),
        looks: 100.0,
        ..Config::new(camera.url().parse().unwrap())
    }
}

impl Watched {
    pub fn start(faults: &[Fault]) -> Self {
        Self::with(faults, |config| config)
    }

    /// For tests that wait for a loss.
    pub fn impatient(faults: &[Fault]) -> Self {
        let (answer, stall) = (Duration::from_millis(1500), Duration::from_secs(1));
        Self::with(faults, |config| Config { answer, stall, ..config })
    }

    pub fn with(faults: &[Fault], adjust: impl FnOnce(Config) -> Config) -> Self {
        let camera = Camera::start(Vec::new()).unwrap();
        camera.set(faults);
        let (teller, happenings) = mjpeg::channel(100);
        let source = tokio::spawn(mjpeg::run(adjust(config(&camera)), teller));
        Self { camera, happenings, source }
    }

    pub async fn next(&mut self) -> Happening {
        timeout(LONG, self.happenings.next()).await.expect("something happens").expect("the source runs")
    }

    /// The next frames, with nothing else between them but that the camera is online at first.
    pub async fn frames(&mut self, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        while frames.len() < count {
            match self.next().await {
                Happening::Frame(frame) => frames.push(frame),
                Happening::Online(_) if frames.is_empty() => {}
                other => panic!("{other:?} after {} frames", frames.len()),
            }
        }
        frames
    }

    /// The frames before the camera is lost, why it is, and when that was told.
    pub async fn lost(&mut self) -> (Vec<Frame>, Cause, Instant) {
        let mut frames = Vec::new();
        loop {
            match self.next().await {
                Happening::Frame(frame) => frames.push(frame),
                Happening::Online(_) => {}
                Happening::Lost { why } => return (frames, why, Instant::now()),
            }
        }
    }

    /// The numbers of the whole pictures that the camera has sent.
    pub fn sent(&self) -> Vec<u32> {
        self.camera.log().sent.iter().map(|(number, _)| *number).collect()
    }
}

/// The number that a picture shows.
pub fn number(frame: &Frame) -> u32 {
    let header = Header::read(&frame.jpeg).unwrap();
    let mut decoder = Decoder::default();
    let picture = decoder.decode(&header, &frame.jpeg).unwrap().unwrap();
    esp32::scene::number(|x, y| i32::from(picture.levels[y / 8 * picture.width + x / 8])).expect("a number")
}

pub fn numbers(frames: &[Frame]) -> Vec<u32> {
    frames.iter().map(number).collect()
}
