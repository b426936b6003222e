//! Through the lines of each run of the machine: what each of them claims of the day, in layers of which an upper one covers a lower.

use super::clocks::Clocks;
use super::reason::STALLED;
use super::{FRAMES, Reason, Segment, Segments, State, TOLERANCE_MS};
use crate::ledger::{Closed, Line, What};

/// A run that has begun has its first picture by then, or the camera's reader has said what is wrong.
const STARTING_MS: u64 = 15_000;
/// A recorder that was last seen so long ago lives no more: it says each second that it does.
const LIVES_MS: u64 = 10_000;
/// A segment is closed when no picture comes for nearly so long; one that was not, because the recorder was held up, has a hole.
const HOLE_MS: u64 = 1000;
/// What a recorder that ends had not written yet is no older.
const UNWRITTEN_MS: u64 = 5_000;

/// Who covers whom, from below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// Before the ledger.
    Before,
    /// What labels alone tell.
    Hint,
    /// The clocks.
    Clock,
    /// What the recorder and the camera did.
    Doing,
    /// What happened meanwhile.
    Meanwhile,
    /// What was recorded, and is lost.
    GivenUp,
    /// What the ledger does not know any more.
    Forgotten,
    /// What is recorded.
    Recorded,
    /// Times without a picture within a segment.
    Hole,
}

/// The lines of one run of the machine.
#[derive(Debug, Default)]
pub struct Run<'a>(pub Vec<&'a Line>);

impl Run<'_> {
    /// A recorder ran in it.
    pub fn is_known(&self) -> bool {
        !Clocks::of(&self.0).is_empty()
    }

    /// When the first recorder began that is known.
    pub fn begins(&self) -> Option<u64> {
        let first = |is: fn(&What) -> bool| self.0.iter().find(|line| is(&line.what));
        let shortened = first(|what| *what == What::Shortened);
        let begun = first(|what| matches!(what, What::Begun { .. } | What::Unusable { .. }));
        Clocks::of(&self.0).day(shortened.or(begun)?.at)
    }
}

/// Claims are gathered, and then painted from the lowest layer on.
#[derive(Debug)]
pub struct Walk {
    from: u64,
    to: u64,
    claims: Vec<(Layer, u64, u64, State)>,
    frozen: Vec<(u64, u64)>,
}

/// That a recorder lives: when, by both clocks, and since when it records.
#[derive(Debug, Clone, Copy)]
struct Sign {
    at: u64,
    day: u64,
    recording: Option<u64>,
}

/// What goes on within a run.
#[derive(Debug, Default)]
struct Now {
    doing: Option<(u64, Reason)>,
    frozen: Option<u64>,
    full: Option<u64>,
    /// The recorder has begun and not ended.
    runs: bool,
    begun: u64,
    last: u64,
    /// Where the last segment ends, and how far from there the next one may begin.
    joins: (u64, u64),
}

impl Walk {
    /// Nothing is claimed yet.
    pub const fn new(from: u64, to: u64) -> Walk {
        Walk { from, to, claims: Vec::new(), frozen: Vec::new() }
    }

    /// Claims a stretch of the day.
    pub fn claim(&mut self, layer: Layer, (from, to): (u64, u64), state: State) {
        if from < to && from < self.to && to > self.from {
            self.claims.push((layer, from, to, state));
        }
    }

    /// All claims, in the order in which they are painted, and when the picture was frozen.
    pub fn end(mut self) -> (impl Iterator<Item = (u64, u64, State)>, Vec<(u64, u64)>) {
        self.claims.sort_by_key(|(layer, ..)| *layer);
        (self.claims.into_iter().map(|(_, from, to, state)| (from, to, state)), self.frozen)
    }

    /// Where nothing but labels is known, the end of one tells why nothing follows.
    pub fn hint(&mut self, segments: &Segments<'_>, known: bool) {
        let mut all: Vec<_> = segments.values().map(|segment| segment.closed).collect();
        all.sort_by_key(|closed| closed.unix);
        for pair in all.windows(2).filter(|_| !known) {
            let reason = match pair[0].reason {
                crate::Reason::Lost => Reason::Camera("lost".into()),
                crate::Reason::Stopped => Reason::Stopped,
                crate::Reason::Adopted => Reason::Killed,
                _ => continue,
            };
            let end = pair[0].unix.saturating_add(pair[0].ms);
            self.claim(Layer::Hint, (end, pair[1].unix), State::Gap(reason));
        }
    }

    /// One run of the machine; `next` is when the next one begins, by the time of day.
    pub fn run(&mut self, run: &Run<'_>, segments: &Segments<'_>, next: Option<u64>) {
        let clocks = Clocks::of(&run.0);
        self.recorded(run, &clocks, segments);
        if clocks.is_empty() {
            return;
        }
        for (from, to, reason) in clocks.holes() {
            self.claim(Layer::Clock, (from, to), State::Gap(reason));
        }
        let mut now = Now::default();
        let mut sign = None;
        for line in &run.0 {
            match &line.what {
                What::Alive { clock, open } => sign = Some(Sign { at: line.at, day: clock.unix, recording: *open }),
                _ => self.line(line, &mut now, &clocks),
            }
        }
        self.tail(now, sign, &clocks, next.unwrap_or(self.to), next.is_none());
    }

    fn put(&mut self, layer: Layer, clocks: &Clocks, (from, to): (u64, u64), reason: &Reason) {
        for day in clocks.days(from, to) {
            self.claim(layer, day, State::Gap(reason.clone()));
        }
    }

    /// Segments of one recorder's run that follow each other are one.
    fn recorded(&mut self, run: &Run<'_>, clocks: &Clocks, segments: &Segments<'_>) {
        let mut all: Vec<_> = run.0.iter().filter_map(|line| last_word(line, segments)).collect();
        all.sort_by_key(|segment| (segment.closed.from, segment.closed.unix));
        for (place, segment) in all.iter().enumerate() {
            let closed = segment.closed;
            let (layer, state) = match &segment.given_up {
                Some(reason) => (Layer::GivenUp, State::Gap(reason.clone())),
                None => (Layer::Recorded, State::Recorded),
            };
            // Where nobody read the clocks, the label has to do.
            let by_day = closed.from == 0 || clocks.is_empty();
            let next = all.get(place + 1).map(|next| next.closed).filter(|next| next.run == closed.run);
            let stretch = stretch(closed, next, by_day);
            let days = if by_day { vec![stretch] } else { clocks.days(stretch.0, stretch.1) };
            days.into_iter().for_each(|day| self.claim(layer, day, state.clone()));
        }
    }

    fn line(&mut self, line: &Line, now: &mut Now, clocks: &Clocks) {
        let at = line.at;
        now.last = now.last.max(at);
        match &line.what {
            What::Begun { .. } => {
                self.turn(now, at, Some(Reason::Starting), clocks);
                *now = Now { doing: now.doing.take(), runs: true, begun: at, last: now.last, ..Now::default() };
            }
            What::Away { since, cause } => {
                let again = matches!(now.doing, Some((_, Reason::Camera(_))));
                self.turn(now, if again { at } else { *since }, Some(Reason::Camera(cause.clone())), clocks);
            }
            What::Back => self.turn(now, at, None, clocks),
            What::Silent { since, cause } => {
                let hole = at.saturating_sub(*since) >= HOLE_MS;
                let layer = if hole { Layer::Hole } else { Layer::Doing };
                self.put(layer, clocks, (*since, at), &Reason::Camera(cause.clone()));
            }
            What::Stalled { since } => self.put(Layer::Hole, clocks, (*since, at), &Reason::Busy),
            What::Repaired => {
                let near = (at.saturating_sub(UNWRITTEN_MS), at.saturating_add(UNWRITTEN_MS));
                self.put(Layer::Hint, clocks, near, &Reason::Repaired);
            }
            What::Frozen { since } => now.frozen = Some(now.frozen.unwrap_or(*since)),
            What::Thawed => self.thaw(now, at, clocks),
            What::Full => now.full = Some(now.full.unwrap_or(at)),
            What::Roomy => self.roomy(now, at, clocks),
            What::Stopped => self.over(now, at, Reason::Stopped, clocks),
            What::GaveUp { why } => self.over(now, at, Reason::GaveUp(why.clone()), clocks),
            What::Died { .. } => self.over(now, at, Reason::Killed, clocks),
            What::Unusable { why, .. } => self.over(now, at, Reason::Unusable(why.clone()), clocks),
            What::Closed(closed) => now.joins = (closed.from.saturating_add(closed.ms), tolerance(closed)),
            What::Shortened | What::Clock { .. } => {}
            What::Evicted { .. } | What::Vanished { .. } | What::Cleaned { .. } | What::Sent { .. } => {}
            What::Alive { .. } => {}
        }
    }

    /// From `at` on something else is done.
    fn turn(&mut self, now: &mut Now, at: u64, next: Option<Reason>, clocks: &Clocks) {
        let before = std::mem::replace(&mut now.doing, next.map(|reason| (at, reason)));
        if let Some((since, reason)) = before {
            self.put(Layer::Doing, clocks, (since, lasts(since, &reason, at)), &reason);
        }
    }

    fn over(&mut self, now: &mut Now, at: u64, reason: Reason, clocks: &Clocks) {
        self.thaw(now, at, clocks);
        self.roomy(now, at, clocks);
        self.put(Layer::Hint, clocks, (at.saturating_sub(UNWRITTEN_MS).max(now.begun), at), &reason);
        now.runs = false;
        self.turn(now, at, Some(reason), clocks);
    }

    fn thaw(&mut self, now: &mut Now, at: u64, clocks: &Clocks) {
        let days = now.frozen.take().map(|since| clocks.days(since, at)).unwrap_or_default();
        let here = days.into_iter().map(|(from, to)| (from.max(self.from), to.min(self.to)));
        self.frozen.extend(here.filter(|(from, to)| from < to));
    }

    fn roomy(&mut self, now: &mut Now, at: u64, clocks: &Clocks) {
        if let Some(since) = now.full.take() {
            self.put(Layer::Meanwhile, clocks, (since, at), &Reason::Full);
        }
    }

    /// What comes after the last line, until `end`; `open` if that is now.
    fn tail(&mut self, now: Now, sign: Option<Sign>, clocks: &Clocks, end: u64, open: bool) {
        match (sign, now.doing.clone()) {
            // A sign of life of a run that is over, or of the one before, says nothing.
            (Some(sign), _) if now.runs && sign.at >= now.begun => self.living(now, sign, clocks, end, open),
            (_, Some((since, reason))) if !now.runs => {
                let off = !open && reason == Reason::Killed;
                let reason = if off { Reason::MachineOff } else { reason };
                self.claim(Layer::Doing, (clocks.day(since).unwrap_or(end), end), State::Gap(reason));
            }
            _ => {
                let mut now = now;
                let last = now.last;
                self.turn(&mut now, last, None, clocks);
            }
        }
    }

    /// A run that has not said that it ended.
    fn living(&mut self, mut now: Now, sign: Sign, clocks: &Clocks, end: u64, open: bool) {
        let lives = open && end <= sign.day.saturating_add(LIVES_MS);
        // Two readings may lie a little apart without a step, and the end has to be met.
        let day = clocks.day(sign.at).unwrap_or(sign.day);
        let until = sign.at.saturating_add(if lives { end.saturating_sub(day) } else { 0 });
        self.recording(&now, sign.recording, until, clocks);
        self.thaw(&mut now, until, clocks);
        self.roomy(&mut now, until, clocks);
        self.turn(&mut now, until, None, clocks);
        if !lives {
            let reason = if open { Reason::Killed } else { Reason::MachineOff };
            self.claim(Layer::Doing, (sign.day, end), State::Gap(reason.clone()));
            let unwritten = sign.at.saturating_sub(UNWRITTEN_MS).max(now.begun);
            self.put(Layer::Hint, clocks, (unwritten, sign.at), &reason);
        }
    }

    /// The open segment; without one, the camera pauses, since a recorder that gets pictures has one.
    fn recording(&mut self, now: &Now, since: Option<u64>, until: u64, clocks: &Clocks) {
        let Some(since) = since else {
            if now.doing.is_none() {
                let moment = (until.saturating_sub(UNWRITTEN_MS), until);
                self.put(Layer::Hint, clocks, moment, &Reason::Camera(STALLED.into()));
            }
            return;
        };
        let (end, tolerance) = now.joins;
        let since = if since > end && since - end <= tolerance { end } else { since };
        for day in clocks.days(since, until) {
            self.claim(Layer::Recorded, day, State::Recorded);
        }
    }
}

/// How far from a segment's end the next one of the run may begin without a gap.
fn tolerance(closed: &Closed) -> u64 {
    TOLERANCE_MS.max((closed.ms / closed.frames.max(1)).saturating_mul(FRAMES))
}

/// A segment, if no later line speaks of it.
fn last_word<'a>(line: &'a Line, segments: &'a Segments<'a>) -> Option<&'a Segment<'a>> {
    let What::Closed(closed) = &line.what else { return None };
    segments.get(&closed.id()).filter(|segment| std::ptr::eq(segment.closed, closed))
}

/// From the beginning of a segment to its end, or to the next one if that follows at once.
fn stretch(closed: &Closed, next: Option<&Closed>, by_day: bool) -> (u64, u64) {
    let begin = |closed: &Closed| if by_day { closed.unix } else { closed.from };
    let end = begin(closed).saturating_add(closed.ms);
    let follows = next.map(begin).filter(|&next| next > end && next - end <= tolerance(closed));
    (begin(closed), follows.unwrap_or(end))
}

/// Until when it is a reason.
fn lasts(since: u64, reason: &Reason, until: u64) -> u64 {
    match reason {
        Reason::Starting => until.min(since.saturating_add(STARTING_MS)),
        _ => until,
    }
}
