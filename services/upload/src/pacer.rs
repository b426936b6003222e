//! The task that holds the one bucket, and the body of a request that asks it before each piece. Beside it runs a watch: what the line may
//! take is counted without the time that we wait on purpose.

use crate::shaper::{Class, Shaper, Want, Weights};
use crate::timetable::{Rate, Timetable};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use runner::clock::Clock;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

/// The timetable is looked at so often.
const LOOK: Duration = Duration::from_secs(5);

/// The way to the bucket.
#[derive(Debug, Clone)]
pub struct Pacer {
    to: mpsc::UnboundedSender<Word>,
    piece: Arc<AtomicU64>,
    rate: watch::Receiver<Rate>,
    streams: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Word {
    Ask(Ask),
    /// No timetable holds, or it holds again.
    Lift(bool),
}

#[derive(Debug)]
struct Ask {
    stream: u64,
    camera: Arc<str>,
    class: Class,
    bytes: u64,
    granted: oneshot::Sender<()>,
}

impl Pacer {
    /// Starts the task; it ends when nobody asks any more. Times of day are those of the zone.
    pub fn start(timetable: Timetable, weights: Weights, zone: TimeZone) -> Pacer {
        let (to, words) = mpsc::unbounded_channel();
        let first = now(&timetable, &zone);
        let (tell, rate) = watch::channel(first);
        let pacer = Pacer { to, piece: Arc::default(), rate, streams: Arc::default() };
        let clock = Clock::start();
        let shaper = Shaper::new(first, weights, clock.now());
        let (waiting, piece) = (BTreeMap::new(), pacer.piece.clone());
        let bucket = Bucket { shaper, clock, waiting, last_id: 0, lifted: false, piece, rate: tell };
        bucket.say();
        tokio::spawn(bucket.run(words, timetable, zone));
        pacer
    }

    /// Bytes a second that hold now, if there is a limit.
    pub fn limit(&self) -> Option<u64> {
        if let Rate::Limit(rate) = *self.rate.borrow() { Some(rate) } else { None }
    }

    /// What holds now, and each change of it.
    pub fn rate(&self) -> watch::Receiver<Rate> {
        self.rate.clone()
    }

    /// From now on there is no limit whatever the timetable says, or there is one again.
    pub fn lift(&self, lifted: bool) {
        // The task lives as long as anybody has a way to it.
        let _ = self.to.send(Word::Lift(lifted));
    }

    /// Returns as soon as nothing may be sent.
    pub async fn halted(&self) {
        if self.rate().wait_for(|rate| *rate == Rate::Stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn now(timetable: &Timetable, zone: &TimeZone) -> Rate {
    let time = Timestamp::now().to_zoned(zone.clone());
    timetable.at(u32::from(time.hour().unsigned_abs()) * 60 + u32::from(time.minute().unsigned_abs()))
}

struct Bucket {
    shaper: Shaper,
    clock: Clock,
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
    last_id: u64,
    lifted: bool,
    piece: Arc<AtomicU64>,
    rate: watch::Sender<Rate>,
}

impl Bucket {
    async fn run(mut self, mut words: mpsc::UnboundedReceiver<Word>, timetable: Timetable, zone: TimeZone) {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let deadline = self.shaper.deadline().map(|at| self.clock.tokio(at));
            tokio::select! {
                word = words.recv() => match word {
                    Some(Word::Ask(ask)) => self.ask(ask),
                    Some(Word::Lift(lifted)) => {
                        self.lifted = lifted;
                        look.reset_immediately();
                    }
                    None => return,
                },
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
                _ = look.tick() => self.set_rate(if self.lifted { Rate::Free } else { now(&timetable, &zone) }),
            }
            self.grant();
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.last_id += 1;
        let Ask { stream, camera, class, bytes, granted } = ask;
        self.shaper.want(Want { id: self.last_id, stream, camera: camera.to_string(), class, bytes });
        self.waiting.insert(self.last_id, granted);
    }

    fn set_rate(&mut self, rate: Rate) {
        if rate != self.shaper.rate() {
            tracing::info!("from now on: {rate}");
            self.shaper.set_rate(rate, self.clock.now());
            self.say();
        }
    }

    fn say(&self) {
        self.piece.store(self.shaper.piece(), Ordering::Relaxed);
        self.rate.send_replace(self.shaper.rate());
    }

    fn grant(&mut self) {
        let shaper = &mut self.shaper;
        self.waiting.retain(|id, granted| {
            let gone = granted.is_closed();
            if gone {
                shaper.forget(*id);
            }
            !gone
        });
        for id in shaper.grant(self.clock.now()) {
            if let Some(granted) = self.waiting.remove(&id) {
                // Whoever gave up in this very moment has used his piece up; the next one is half a tenth of a second away.
                let _ = granted.send(());
            }
        }
    }
}

/// How long nothing has moved, without the time that was waited for the bucket.
#[derive(Debug)]
pub struct Watch(Mutex<Spent>);

#[derive(Debug)]
struct Spent {
    since: Instant,
    waits: Option<Instant>,
}

impl Watch {
    /// Begins to count.
    pub fn start() -> Arc<Watch> {
        Arc::new(Watch(Mutex::new(Spent { since: Instant::now(), waits: None })))
    }

    /// Returns when nothing has moved for so long: a slow line is no silent one.
    pub async fn overrun(&self, most: Duration) {
        loop {
            let spent = self.spent();
            if spent >= most {
                return;
            }
            tokio::time::sleep((most - spent).max(Duration::from_millis(10))).await;
        }
    }

    fn spent(&self) -> Duration {
        let spent = self.lock();
        let waits = spent.waits.map_or(Duration::ZERO, |since| since.elapsed());
        spent.since.elapsed().saturating_sub(waits)
    }

    fn moved(&self) {
        *self.lock() = Spent { since: Instant::now(), waits: None };
    }

    fn waits(&self) {
        self.lock().waits.get_or_insert_with(Instant::now);
    }

    fn lock(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file as the body of a request, no faster than the bucket lets it.
#[derive(Debug)]
pub struct Paced {
    file: Arc<File>,
    bytes: u64,
    sent: u64,
    stream: u64,
    camera: Arc<str>,
    class: Class,
    pacer: Pacer,
    watch: Arc<Watch>,
    waiting: Option<(u64, oneshot::Receiver<()>)>,
}

impl Paced {
    /// From the beginning of the file.
    pub fn new(file: Arc<File>, bytes: u64, camera: Arc<str>, class: Class, pacer: Pacer, watch: Arc<Watch>) -> Paced {
        Paced { file, bytes, sent: 0, stream: 0, camera, class, pacer, watch, waiting: None }
    }

    fn ask(&self) -> (u64, oneshot::Receiver<()>) {
        let bytes = self.pacer.piece.load(Ordering::Relaxed).min(self.bytes - self.sent);
        let (granted, receiver) = oneshot::channel();
        // The task lives as long as anybody has a way to it.
        let (stream, camera, class) = (self.stream, self.camera.clone(), self.class);
        let _ = self.pacer.to.send(Word::Ask(Ask { stream, camera, class, bytes, granted }));
        (bytes, receiver)
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        if self.sent == 0 && self.waiting.is_none() {
            self.stream = self.pacer.streams.fetch_add(1, Ordering::Relaxed);
        }
        let (bytes, mut granted) = self.waiting.take().unwrap_or_else(|| self.ask());
        self.watch.waits();
        if Pin::new(&mut granted).poll(context).is_pending() {
            self.waiting = Some((bytes, granted));
            return Poll::Pending;
        }
        self.watch.moved();
        let mut piece = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut piece, self.sent)?;
        self.sent += bytes;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent >= self.bytes
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes - self.sent)
    }
}

/// Takes the whole body, as a line without limits would.
#[cfg(test)]
async fn drain(mut body: Paced) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        all.extend(frame?.into_data().expect("there is nothing but data"));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        Arc::new(file)
    }

    fn body(content: &[u8], camera: &str, class: Class, pacer: &Pacer, watch: &Arc<Watch>) -> Paced {
        Paced::new(file(content), content.len() as u64, camera.into(), class, pacer.clone(), watch.clone())
    }

    #[tokio::test]
    async fn several_bodies_together_keep_the_rate_and_their_bytes() {
        let pacer = Pacer::start(Timetable::parse("200").unwrap(), Weights::new(), TimeZone::UTC);
        let content: Vec<u8> = (0..200_u32 * 1024).map(|n| (n % 251) as u8).collect();
        let (start, watch) = (Instant::now(), Watch::start());
        let one = drain(body(&content, "cam1", Class::Backlog, &pacer, &watch));
        let two = drain(body(&content, "cam2", Class::Backlog, &pacer, &watch));
        let (one, two) = tokio::join!(one, two);
        assert!(one.unwrap() == content && two.unwrap() == content);
        let took = start.elapsed().as_secs_f64();
        assert!((1.9..2.2).contains(&took), "{took}");
    }

    #[tokio::test]
    async fn time_that_is_waited_on_purpose_is_not_the_lines() {
        let pacer = Pacer::start(Timetable::parse("100").unwrap(), Weights::new(), TimeZone::UTC);
        let watch = Watch::start();
        let body = drain(body(&[7; 60 * 1024], "cam1", Class::Backlog, &pacer, &watch));
        tokio::select! {
            all = body => assert_eq!(all.unwrap().len(), 60 * 1024),
            () = watch.overrun(Duration::from_millis(300)) => panic!("it waited for the bucket only"),
        }
        let start = Instant::now();
        watch.overrun(Duration::from_millis(300)).await;
        assert!(start.elapsed() > Duration::from_millis(100) && start.elapsed() < Duration::from_millis(400));
    }

    #[tokio::test]
    async fn a_slow_line_on_which_something_moves_is_not_given_up() {
        let pacer = Pacer::start(Timetable::parse("0").unwrap(), Weights::new(), TimeZone::UTC);
        let watch = Watch::start();
        let hour = Duration::from_secs(3600);
        let Some(long_ago) = Instant::now().checked_sub(hour) else { return };
        watch.lock().since = long_ago;
        assert!(watch.spent() >= hour);
        drain(body(&[7; 1024], "cam1", Class::Newest, &pacer, &watch)).await.unwrap();
        assert!(watch.spent() < hour / 2);
    }

    #[tokio::test]
    async fn a_body_that_is_dropped_holds_up_nobody() {
        let pacer = Pacer::start(Timetable::parse("100").unwrap(), Weights::new(), TimeZone::UTC);
        let watch = Watch::start();
        let gone = tokio::spawn(drain(body(&[7; 1 << 20], "cam1", Class::Newest, &pacer, &watch)));
        tokio::time::sleep(Duration::from_millis(50)).await;
        gone.abort();
        let start = Instant::now();
        assert_eq!(
            drain(body(&[7; 20 * 1024], "cam2", Class::Backlog, &pacer, &watch)).await.unwrap().len(),
            20 * 1024
        );
        assert!(start.elapsed() < Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_shutdown_lifts_a_stop_of_the_timetable() {
        let pacer = Pacer::start(Timetable::parse("stop").unwrap(), Weights::new(), TimeZone::UTC);
        pacer.halted().await;
        let (mut rate, watch) = (pacer.rate(), Watch::start());
        let sent = tokio::spawn(drain(body(&[7; 1 << 20], "cam1", Class::Newest, &pacer, &watch)));
        pacer.lift(true);
        assert_eq!(sent.await.unwrap().unwrap().len(), 1 << 20);
        assert_eq!((*rate.borrow_and_update(), pacer.limit()), (Rate::Free, None));
        pacer.lift(false);
        rate.changed().await.unwrap();
        assert_eq!(*rate.borrow(), Rate::Stop);
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error() {
        let pacer = Pacer::start(Timetable::parse("0").unwrap(), Weights::new(), TimeZone::UTC);
        let watch = Watch::start();
        let body = Paced::new(file(b"short"), 6, "cam1".into(), Class::Newest, pacer.clone(), watch);
        assert!(drain(body).await.is_err());
        assert_eq!(pacer.limit(), None);
    }
}
