//! Coded pictures into segments, as the queue says: where one begins and where one ends. What always holds: a segment that cannot be
//! closed, or a picture for which there is no room, costs that and nothing else; the next key frame tries again.

use super::Surroundings;
use super::queue::{Cut, Queue, Sent};
use crate::mend;
use crate::pipeline::Unit;
use crate::ram::{Full, ROOM, is_full};
use crate::segment::{Beginning, Packets, Segment, millis};
use protocol::fact::Fact;
use segments::ledger::{Closed, What};
use segments::{Clock, Label, Name, Reason};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Debug)]
struct Open {
    segment: Segment,
    /// The last picture in it.
    last: Sent,
    /// One is missing; what follows makes no sense before a key frame.
    torn: bool,
}

#[derive(Debug)]
pub(super) struct Writer {
    camera: String,
    folder: PathBuf,
    around: Surroundings,
    queue: Queue,
    open: Option<Open>,
    /// The last one that was closed, until somebody asks.
    closed: Option<Label>,
    /// There is no room, which was told.
    full: Option<Full>,
}

impl Writer {
    pub(super) fn new(camera: &str, around: &Surroundings) -> Writer {
        Writer {
            camera: camera.into(),
            folder: around.ram.folder(camera),
            around: around.clone(),
            queue: Queue::default(),
            open: None,
            closed: None,
            full: None,
        }
    }

    /// A picture went into the encoder.
    pub(super) fn sent(&mut self, sent: Sent) {
        self.queue.sent(sent);
    }

    /// A segment begins with the picture that was taken at `at`.
    pub(super) fn cut(&mut self, at: Duration, reason: Reason) {
        self.queue.cut(at, reason);
    }

    /// The newest segment is evidence.
    pub(super) fn mark(&mut self, percent: f64) {
        if !self.queue.mark(percent)
            && let Some(open) = &mut self.open
        {
            open.segment.mark(percent);
        }
    }

    /// The newest segment ends when everything has come out of the encoder.
    pub(super) fn close(&mut self, reason: Reason, now: Duration) {
        self.queue.end(reason, now);
        self.end_if_over(None);
    }

    /// The pipeline is gone, and what was in it.
    pub(super) fn forget(&mut self) {
        let lost = self.queue.forget();
        if let Some(open) = &mut self.open {
            open.segment.dropped(lost);
            open.torn = true;
        }
    }

    /// When the segment began that is open, if it has a picture.
    pub(super) fn records_since(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.segment.begun())
    }

    /// The open segment takes so much room that it has to end, lest others go for it.
    pub(super) fn is_large(&self) -> bool {
        let bytes = self.open.as_ref().map_or(0, |open| open.segment.label().bytes);
        bytes >= self.around.ram.share() && !self.queue.is_cutting()
    }

    /// When the first picture was taken that has not come out.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.queue.oldest()
    }

    /// A key frame was asked for and does not come, while pictures do.
    pub(super) fn is_overdue(&self) -> bool {
        self.queue.is_overdue(self.open.as_ref().map(|open| open.last.at))
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.queue.deadline()
    }

    /// The segment that was closed since the last time.
    pub(super) fn closed(&mut self) -> Option<Label> {
        self.closed.take()
    }

    pub(super) fn tick(&mut self, now: Duration) {
        let late = self.queue.late(now);
        self.dropped(late);
        self.end_if_over(None);
    }

    /// A picture came out of the encoder.
    pub(super) fn unit(&mut self, unit: &Unit) {
        let (undecoded, sent) = self.queue.arrived(unit.at);
        self.dropped(undecoded);
        let Some(sent) = sent else { return };
        self.end_if_over(Some(unit.at));
        if unit.key
            && let Some(cut) = self.queue.begins(unit.at)
        {
            self.begin(sent, cut);
        }
        let written = unit.with_bytes(|bytes| self.write(bytes, sent, unit.key));
        if written.is_none() {
            tracing::error!("{}: a coded picture cannot be read", self.camera);
        }
        self.end_if_over(None);
    }

    fn dropped(&mut self, pictures: u64) {
        if let Some(open) = &mut self.open {
            open.segment.dropped(pictures);
        }
    }

    fn begin(&mut self, first: Sent, cut: Cut) {
        self.end(cut.reason, Some(first.at));
        match self.open_segment(first) {
            Ok(mut segment) => {
                cut.mark.into_iter().for_each(|percent| segment.mark(percent));
                self.open = Some(Open { segment, last: first, torn: false });
            }
            Err(why) => {
                self.queue.again(Cut { at: first.at, ..cut });
                self.no_room(&why);
            }
        }
    }

    fn open_segment(&self, first: Sent) -> io::Result<Segment> {
        let wall = &self.around.wall;
        let open = || {
            let sequence = self.around.sequence.fetch_add(1, Ordering::Relaxed) + 1;
            let name = Name::new(wall.unix_ms(first.at), self.around.boot, sequence);
            let clock = if wall.is_set() { Clock::Set } else { Clock::Unset };
            let monotonic_ms = wall.monotonic_ms(first.at);
            let (camera, kernel) = (self.camera.clone(), wall.kernel().to_owned());
            Segment::open(
                &self.folder,
                Beginning { camera, name, clock, size: first.size, begun: first.at, monotonic_ms, kernel },
            )
        };
        match open() {
            Err(why) if is_full(&why) && self.around.ram.make_room(ROOM) => open(),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(&self.folder)?;
                open()
            }
            other => other,
        }
    }

    fn write(&mut self, bytes: &[u8], sent: Sent, key: bool) {
        let Some(open) = &mut self.open else { return };
        if open.torn && !key {
            return open.segment.dropped(1);
        }
        let packets = match open.segment.packets(bytes, sent.at, key) {
            Ok(packets) => packets,
            Err(why) => return self.no_room(&why),
        };
        match self.put(&packets) {
            Ok(()) => {
                if let Some(open) = &mut self.open {
                    (open.last, open.torn) = (sent, false);
                }
                if self.full.take().is_some() {
                    self.around.ram.ledgers().note(&self.camera, What::Roomy);
                }
            }
            Err(why) => {
                if let Some(open) = &mut self.open {
                    open.segment.dropped(1);
                    open.torn = true;
                }
                self.no_room(&why);
            }
        }
    }

    fn put(&mut self, packets: &Packets) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        match open.segment.write(packets) {
            Err(why) if is_full(&why) && self.around.ram.make_room(ROOM.max(packets.bytes() as u64)) => {
                open.segment.write(packets)
            }
            other => other,
        }
    }

    fn no_room(&mut self, why: &io::Error) {
        if self.full.is_none() {
            self.full = Some(self.around.ram.full());
            tracing::error!(
                "{}: pictures are lost, {} takes none: {why}; delete what else lies on that disk, or make RAM_MOUNT larger",
                self.camera,
                self.folder.display()
            );
            self.around.ram.ledgers().note(&self.camera, What::Full);
        }
    }

    /// Written down before it is closed: whoever is killed in between leaves an orphan, which is adopted.
    fn note(&self, segment: &Segment, reason: Reason, length: Duration) {
        if segment.label().frames > 0 {
            let closed = Closed { ms: millis(length), reason, ..Closed::of(segment.label()) };
            self.around.ram.ledgers().note(&self.camera, What::Closed(closed));
        }
    }

    fn end_if_over(&mut self, hand: Option<Duration>) {
        if let Some(reason) = self.queue.over(hand) {
            self.end(reason, None);
        }
    }

    /// Closes the open segment; `next` is when the picture after it was taken, if it follows at once.
    fn end(&mut self, reason: Reason, next: Option<Duration>) {
        let Some(Open { mut segment, last, .. }) = self.open.take() else { return };
        let follows =
            next.filter(|_| matches!(reason, Reason::Length | Reason::Motion | Reason::Size | Reason::Stopped));
        let length = follows.unwrap_or(last.at + last.interval).saturating_sub(segment.begun());
        self.note(&segment, reason, length);
        let closed = match segment.close(reason, length) {
            Err(why) if is_full(&why) && self.around.ram.make_room(ROOM) => segment.close(reason, length),
            other => other,
        };
        match closed {
            Ok(Some((path, label))) => {
                let path = mend::one(&self.around.wall, path, &label);
                self.around.house.say(Fact::SegmentClosed {
                    camera: self.camera.clone(),
                    file: path.display().to_string(),
                    bytes: label.bytes,
                    duration_ms: label.duration_ms,
                    motion: label.motion_percent > 0.0,
                });
                self.closed = Some(label);
            }
            Ok(None) => {}
            Err(why) => tracing::error!("{}: a segment cannot be closed: {why}; the next start adopts it", self.camera),
        }
    }
}
