//! How long one connection may go without a good picture, and what to call it when it does. A slow camera, as at night, is no stalled one: its own
//! pace is the measure, once it is known.

use crate::cause::Cause;
use crate::config::Config;
use crate::flaw::Flaw;
use crate::stream::Stream;
use std::time::{Duration, Instant};

/// Intervals between pictures that are remembered; their median is the pace, so that one pause changes nothing.
const REMEMBERED: usize = 9;

/// Below this many the pace is unknown.
const KNOWN: usize = 4;

/// So many frame times without a picture are a stall.
const FRAMES: u32 = 5;

/// However slow a camera is.
const MOST: Duration = Duration::from_secs(30);

/// After the response has said that it is over, and with at least two frame times: it may have been an empty picture.
const OVER: Duration = Duration::from_millis(800);

/// After so many pictures a camera is well.
const GOOD: u32 = 10;

/// More bytes without a picture than this, and they are no pictures.
const RUBBISH: usize = 64 << 10;

/// One connection's pictures in time.
#[derive(Debug)]
pub struct Patience {
    answer: Duration,
    stall: Duration,
    start: Instant,
    last: Option<Instant>,
    frames: u32,
    intervals: [Duration; REMEMBERED],
    /// Since the last good picture.
    flaw: Option<Flaw>,
    heard: usize,
}

impl Patience {
    /// A connection that opened at `now`.
    pub fn new(config: &Config, now: Instant) -> Self {
        Self {
            answer: config.answer,
            stall: config.stall,
            start: now,
            last: None,
            frames: 0,
            intervals: [Duration::ZERO; REMEMBERED],
            flaw: None,
            heard: 0,
        }
    }

    /// Bytes came.
    pub fn heard(&mut self, bytes: usize) {
        self.heard = self.heard.saturating_add(bytes);
    }

    /// A bad picture came.
    pub fn flaw(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
    }

    /// A good picture came; whether it is the first.
    pub fn frame(&mut self, now: Instant) -> bool {
        if let Some(last) = self.last.replace(now) {
            let place = (self.frames as usize - 1) % REMEMBERED;
            self.intervals[place] = now.saturating_duration_since(last);
        }
        self.frames = self.frames.saturating_add(1);
        (self.flaw, self.heard) = (None, 0);
        self.frames == 1
    }

    /// The camera is well: the next attempt need not wait long.
    pub fn is_good(&self) -> bool {
        self.frames >= GOOD
    }

    /// Until when a good picture must come. `over`: the response says that it has ended.
    pub fn deadline(&self, over: bool) -> Instant {
        let limit = match (self.last, self.pace()) {
            (None, _) => return self.start + self.answer,
            (Some(_), None) => self.stall.max(self.answer),
            (Some(_), Some(pace)) => self.stall.max(pace * FRAMES).min(MOST),
        };
        let pace = self.pace().unwrap_or_default();
        let limit = if over { limit.min(OVER.max(pace * 2)) } else { limit };
        self.last.unwrap_or(self.start) + limit
    }

    fn pace(&self) -> Option<Duration> {
        let known = (self.frames as usize).saturating_sub(1).min(REMEMBERED);
        let mut intervals = self.intervals;
        (known >= KNOWN).then(|| *intervals[..known].select_nth_unstable(known / 2).1)
    }

    /// Why a connection is given up at `now`.
    pub fn why(&self, stream: &Stream, now: Instant) -> Cause {
        let rubbish = (self.heard > RUBBISH).then_some(Flaw::NoPicture);
        match (stream.verdict(), self.flaw.or(rubbish)) {
            (Some(verdict), _) => Cause::NoStream(verdict),
            (None, Some(flaw)) => Cause::Broken { what: flaw.to_string() },
            (None, None) if stream.maybe_over() && self.frames > 0 => Cause::Closed,
            (None, None) if self.frames > 0 => Cause::Stalled(now.saturating_duration_since(self.last.unwrap_or(now))),
            (None, None) => Cause::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience() -> (Patience, Instant) {
        let now = Instant::now();
        (Patience::new(&Config::new("http://camera/".parse().unwrap()), now), now)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Pictures so far apart, and the patience after the last.
    fn after(intervals: &[u64], over: bool) -> Duration {
        let (mut patience, mut now) = patience();
        for interval in [&[100], intervals].concat() {
            now += millis(interval);
            patience.frame(now);
        }
        patience.deadline(over) - now
    }

    #[test]
    fn patience_by_pace() {
        let (patience, now) = patience();
        assert_eq!(patience.deadline(false) - now, millis(5000));
        assert_eq!(after(&[66; 3], false), millis(5000), "pace unknown");
        assert_eq!(after(&[66; 4], false), millis(2000));
        assert_eq!(after(&[66, 66, 66, 66, 66, 1900], false), millis(2000), "one pause");
        assert_eq!(after(&[1000; 9], false), millis(5000));
        assert_eq!(
            after(&[66, 66, 66, 66, 66, 66, 66, 66, 66, 1000, 1000, 1000, 1000, 1000], false),
            millis(5000),
            "it grows dark"
        );
        assert_eq!(after(&[20_000; 9], false), MOST);
        assert_eq!(after(&[66; 9], true), OVER);
        assert_eq!(after(&[1000; 9], true), millis(2000));
    }

    #[test]
    fn well_after_ten_pictures() {
        let (mut patience, now) = patience();
        let good = (0..10).map(|_| (patience.frame(now), patience.is_good())).collect::<Vec<_>>();
        assert_eq!((good[0], good[8], good[9]), ((true, false), (false, false), (false, true)));
    }

    #[test]
    fn names_for_silence() {
        let (mut patience, now) = patience();
        let mut stream = Stream::new(1000);
        assert_eq!(patience.why(&stream, now), Cause::Silent);
        stream.receive(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n", drop).unwrap();
        assert_eq!(patience.why(&stream, now), Cause::Silent);
        patience.frame(now);
        assert_eq!(patience.why(&stream, now + millis(2000)), Cause::Stalled(millis(2000)));
        patience.flaw(Flaw::Half);
        assert_eq!(patience.why(&stream, now), Cause::Broken { what: Flaw::Half.to_string() });
        patience.frame(now);
        patience.heard(RUBBISH + 1);
        assert_eq!(patience.why(&stream, now), Cause::Broken { what: Flaw::NoPicture.to_string() });
    }
}
