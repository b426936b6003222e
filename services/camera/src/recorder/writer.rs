//! Coded pictures into segments. Pictures go into the encoder and come out of it a little later, or not at all if it cannot decode them;
//! cuts stand in a queue with the time of their picture, and happen when that comes out.

use super::Surroundings;
use crate::mend;
use crate::pipeline::Unit;
use crate::segment::{Beginning, Packets, Segment, millis};
use protocol::fact::Fact;
use segments::ledger::{Closed, What};
use segments::{Clock, Label, Name, Reason};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What has not come out of the encoder by then does not come out any more.
const LATEST: Duration = Duration::from_millis(400);
/// Least room to make when there is none: not for each picture anew.
const ROOM: u64 = 256 * 1024;
/// An encoder that makes no key frame for so long, although it was asked for one, does not listen.
const OVERDUE: Duration = Duration::from_secs(2);

/// A picture that went into the encoder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at: Duration,
    pub(super) size: (u32, u32),
    pub(super) interval: Duration,
}

#[derive(Debug)]
struct Cut {
    at: Duration,
    reason: Reason,
    mark: Option<f64>,
}

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
    sent: VecDeque<Sent>,
    cuts: VecDeque<Cut>,
    open: Option<Open>,
    closing: Option<(Reason, Duration)>,
    /// How large the last segment was.
    usual: u64,
    /// The last one that was closed, until somebody asks.
    closed: Option<Label>,
    /// There was no room, which was logged.
    told: bool,
}

impl Writer {
    pub(super) fn new(camera: &str, around: &Surroundings) -> Writer {
        Writer {
            camera: camera.into(),
            folder: around.ram.folder(camera),
            around: around.clone(),
            sent: VecDeque::new(),
            cuts: VecDeque::new(),
            open: None,
            closing: None,
            usual: ROOM,
            closed: None,
            told: false,
        }
    }

    /// A picture went into the encoder.
    pub(super) fn sent(&mut self, sent: Sent) {
        self.sent.push_back(sent);
    }

    /// A segment begins with the picture that was taken at `at`.
    pub(super) fn cut(&mut self, at: Duration, reason: Reason) {
        self.cuts.push_back(Cut { at, reason, mark: None });
    }

    /// The newest segment is evidence.
    pub(super) fn mark(&mut self, percent: f64) {
        match (self.cuts.back_mut(), &mut self.open) {
            (Some(cut), _) => cut.mark = Some(cut.mark.unwrap_or_default().max(percent)),
            (None, Some(open)) => open.segment.mark(percent),
            (None, None) => {}
        }
    }

    /// The newest segment ends when everything has come out of the encoder.
    pub(super) fn close(&mut self, reason: Reason, now: Duration) {
        self.closing = Some((reason, now + LATEST));
        self.close_if_all_is_out();
    }

    /// The pipeline is gone, and what was in it.
    pub(super) fn forget(&mut self) {
        let lost = self.sent.len() as u64;
        self.sent.clear();
        if let Some(open) = &mut self.open {
            open.segment.dropped(lost);
            open.torn = true;
        }
    }

    /// When the segment began that is open, if it has a picture.
    pub(super) fn records_since(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.segment.begun())
    }

    /// When the first picture was taken that has not come out.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.sent.front().map(|sent| sent.at)
    }

    /// A key frame was asked for and does not come, while pictures do.
    pub(super) fn is_overdue(&self) -> bool {
        let last = self.open.as_ref().map(|open| open.last.at);
        self.cuts.front().zip(last).is_some_and(|(cut, last)| last > cut.at + OVERDUE)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.closing.map(|(_, at)| at)
    }

    /// The segment that was closed since the last time.
    pub(super) fn closed(&mut self) -> Option<Label> {
        self.closed.take()
    }

    pub(super) fn tick(&mut self, now: Duration) {
        if self.closing.is_some_and(|(_, at)| at <= now) {
            self.forget();
            self.close_if_all_is_out();
        }
    }

    /// A picture came out of the encoder.
    pub(super) fn unit(&mut self, unit: &Unit) {
        let Some(sent) = self.arrived(unit.at) else { return };
        if unit.key && self.cuts.front().is_some_and(|cut| cut.at <= unit.at) {
            self.begin(sent);
        }
        let written = unit.with_bytes(|bytes| self.write(bytes, sent, unit.key));
        if written.is_none() {
            tracing::error!("{}: a coded picture cannot be read", self.camera);
        }
        self.close_if_all_is_out();
    }

    /// Which picture that is; those before it could not be decoded.
    fn arrived(&mut self, at: Duration) -> Option<Sent> {
        let before = self.sent.partition_point(|sent| sent.at < at);
        if let Some(open) = self.open.as_mut().filter(|_| before > 0) {
            open.segment.dropped(before as u64);
        }
        self.sent.drain(..before);
        self.sent.pop_front_if(|sent| sent.at == at)
    }

    fn begin(&mut self, first: Sent) {
        let due = self.cuts.iter().take_while(|cut| cut.at <= first.at).count();
        let cuts: Vec<Cut> = self.cuts.drain(..due).collect();
        let (Some(reason), mark) =
            (cuts.first().map(|cut| cut.reason), cuts.iter().filter_map(|cut| cut.mark).reduce(f64::max))
        else {
            return;
        };
        // What was to be closed is closed here, and for the reason that it was to be closed for.
        let reason = self.closing.take().map_or(reason, |(reason, _)| reason);
        self.end(reason, Some(first.at));
        self.around.ram.keep_within(self.usual);
        match self.open_segment(first) {
            Ok(mut segment) => {
                mark.into_iter().for_each(|percent| segment.mark(percent));
                if std::mem::take(&mut self.told) {
                    self.around.ram.ledgers().note(&self.camera, What::Roomy);
                }
                self.open = Some(Open { segment, last: first, torn: false });
            }
            Err(why) => {
                // The next key frame tries again.
                self.cuts.push_front(Cut { at: first.at, reason, mark });
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
            let camera = self.camera.clone();
            Segment::open(
                &self.folder,
                Beginning { camera, name, clock, size: first.size, begun: first.at, monotonic_ms },
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
        if !std::mem::replace(&mut self.told, true) {
            let folder = self.folder.display();
            tracing::error!("{}: pictures are lost, {folder} takes none: {why}; make RAM_MOUNT larger", self.camera);
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

    fn close_if_all_is_out(&mut self) {
        if self.sent.is_empty()
            && let Some((reason, _)) = self.closing.take()
        {
            // A cut that no picture came for: it could not be decoded.
            self.cuts.clear();
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
                self.usual = label.bytes;
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

fn is_full(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
