//! JPEGs in, H.264 out. Each camera has one pipeline, which goes on through all faults of the camera:
//!
//! ```text
//! appsrc ! jpegdec ! videocrop ! videoconvert ! x264enc ! appsink
//! ```
//!
//! GStreamer's calls may block for ever, so they are made on a thread of its own, and nobody waits for it: [`Watch`] tells when it
//! does nothing any more. Files are not GStreamer's business: cutting them here needs no group of pictures to end, nothing to be
//! queued, and no muxer to be told.

pub mod encoder;
mod rate;
mod stage;
mod watch;

pub use rate::{Rate, Wanted};
pub use watch::Watch;

use bytes::Bytes;
use encoder::Kind;
use gstreamer as gst;
use stage::Stage;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc;

/// So many pictures wait for the encoder, about two seconds of them; the oldest goes when there are more.
const WAITING: u64 = 30;
/// So many coded pictures wait for the recorder. When it does not fetch them, the encoder waits.
const CODED: usize = 64;

#[derive(Debug)]
enum Order {
    Picture { jpeg: Bytes, at: Duration, key: bool },
    Rate(Rate),
}

/// A coded picture.
#[derive(Debug)]
pub struct Unit {
    /// The time that was given with the JPEG.
    pub at: Duration,
    /// Decoding can begin with it.
    pub key: bool,
    data: gst::Buffer,
}

impl Unit {
    /// The bytes, with start codes.
    pub fn with_bytes<T>(&self, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        self.data.map_readable().ok().map(|map| look(&map))
    }
}

/// What comes out.
#[derive(Debug)]
pub enum Output {
    /// A coded picture, in the order of time.
    Unit(Unit),
    /// Nothing more comes, for this reason.
    Broken(String),
}

/// The way into a pipeline. When it is dropped the pipeline ends, in its own time.
#[derive(Debug)]
pub struct Pipeline {
    orders: SyncSender<Order>,
    taken: Arc<AtomicU64>,
}

impl Pipeline {
    /// Starts one. What goes wrong, now or later, comes out as [`Output::Broken`].
    ///
    /// # Errors
    /// There can be no thread.
    pub fn start(name: &str, kind: Kind, rate: Rate) -> std::io::Result<(Pipeline, mpsc::Receiver<Output>)> {
        let (orders, ordered) = sync_channel(WAITING as usize);
        let (tell, outputs) = mpsc::channel(CODED);
        let taken = Arc::new(AtomicU64::new(0));
        let count = taken.clone();
        let thread = std::thread::Builder::new().name(format!("enc-{name}"));
        thread.spawn(move || work(kind, rate, &ordered, &tell, count))?;
        Ok((Pipeline { orders, taken }, outputs))
    }

    /// A picture; `false` if it is lost because GStreamer does nothing at all.
    pub fn push(&self, jpeg: Bytes, at: Duration, key: bool) -> bool {
        self.order(Order::Picture { jpeg, at, key })
    }

    /// Its bitrate counts from the next picture on; the pictures a second are those that it was started with.
    pub fn set(&self, rate: Rate) -> bool {
        self.order(Order::Rate(rate))
    }

    fn order(&self, order: Order) -> bool {
        !matches!(self.orders.try_send(order), Err(TrySendError::Full(_) | TrySendError::Disconnected(_)))
    }

    /// How many pictures the decoder has taken.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

fn work(kind: Kind, rate: Rate, orders: &Receiver<Order>, tell: &mpsc::Sender<Output>, taken: Arc<AtomicU64>) {
    let broken = |why: String| drop(tell.blocking_send(Output::Broken(why)));
    let stage = match Stage::build(kind, rate, WAITING, tell, taken) {
        Ok(stage) => stage,
        Err(why) => return broken(format!("no pipeline can be made: {why}; are GStreamer's plugins installed?")),
    };
    if let Err(why) = stage.play() {
        return broken(why);
    }
    while let Ok(order) = orders.recv() {
        let done = match order {
            Order::Picture { jpeg, at, key } => stage.push(jpeg, at, key),
            Order::Rate(rate) => {
                stage.set(rate);
                Ok(())
            }
        };
        if let Err(why) = done {
            return broken(why);
        }
    }
    stage.end();
}

/// Before anything else of GStreamer is called.
///
/// # Errors
/// GStreamer does not start.
pub fn init() -> Result<(), runner::exit::Failure> {
    gst::init().map_err(|why| {
        runner::exit::Failure::Permanent(format!("GStreamer does not start: {why}; install gstreamer1.0-plugins-base"))
    })
}
