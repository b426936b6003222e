//! What is sent when. Pure.
//!
//! What always holds:
//! - Marked segments go first, then the newest of each camera; both are urgent and get the line before all others. The backlog follows,
//!   newest first, on at most one of several ways, so that a new segment always finds one free.
//! - While the server is in trouble one segment at a time is tried, at growing pauses, and at the earliest when the server said.
//! - What only the owner can mend pauses everything, is told once, and is tried again at a slow pace.
//! - What is the matter with one segment delays that one only; with several in a row it is the server's trouble, and those that were
//!   not tried yet are tried first.
//! - While the timetable says stop nothing is sent, and that is no fault.
//! - When the server announces that it goes, everything is tried at once, in the same order and without limits, until shortly before
//!   its deadline; what is left then is told while there is still somebody to hear it.
//! - Nothing is forgotten: a segment leaves the queue when it is safe, or when it is no longer there.

mod words;

pub use words::{Action, Id, Input, Item, Outcome, Rules};

use crate::shaper::Class;
use crate::trouble::Trouble;
use protocol::Instant;
use protocol::fact::Fact;
use protocol::time::earliest;
use runner::retry::Backoff;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After so many failures in a row people are told; fewer are the weather.
const TELL_AFTER: u32 = 3;
/// What is told of a storage that keeps something else than what is sent.
const WRONG_STORAGE: &str = "the storage keeps something else than what is sent, time after time; if the bucket \
    encrypts with keys of its own (SSE-KMS), turn that off; if not, this storage is broken: set another ENDPOINT";
/// A storage that has kept something else so often in a row does so with everything.
const WRONG: u32 = 3;
/// So many segments that fail in a row, each for a reason of its own, have one in common.
const ODD: usize = 3;
/// A segment of a machine that did not know the time waits so long for its recorder to correct it.
pub const CLOCK_GRACE: Duration = Duration::from_secs(10);
/// Of the time that a shutdown leaves so much is kept for saying what became of everything, but no more than a third.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How full the queue is, is told at most so often.
const QUEUE_PACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Entry {
    item: Item,
    seen: Instant,
    not_before: Instant,
    failures: u32,
    /// How often it was sent in vain through no fault of the line.
    tries: u32,
    /// How many were done when it was refused for what only the owner can mend.
    refused_at: Option<u64>,
    pauses: Backoff,
    in_flight: bool,
    /// How often somebody had asked to try at once when it was sent.
    hurries: u32,
}

impl Entry {
    const fn new(item: Item, now: Instant, not_before: Instant, pauses: Backoff) -> Entry {
        Entry {
            item,
            seen: now,
            not_before,
            failures: 0,
            tries: 0,
            refused_at: None,
            pauses,
            in_flight: false,
            hurries: 0,
        }
    }
}

/// What keeps everything from being sent.
#[derive(Debug, PartialEq, Eq)]
enum Hold {
    None,
    Server,
    /// With its cause.
    Setup(&'static str),
}

/// The queue and its moods.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    entries: BTreeMap<Id, Entry>,
    /// The newest that was ever seen of each camera.
    newest: BTreeMap<String, (Id, Rank)>,
    hold: Hold,
    until: Instant,
    /// The server asked not to be asked before then.
    asked: Instant,
    failures: u32,
    done: u64,
    /// Segments that failed since the last one that was done.
    odd: BTreeSet<Id>,
    /// So often in a row something else was kept than what was sent.
    wrong: u32,
    hurries: u32,
    pauses: Backoff,
    told_failure: bool,
    told_queue: Option<(u64, u64)>,
    queue_at: Instant,
    /// The timetable says stop.
    halted: bool,
    /// Told to end, and when that is at the latest.
    stop: Option<Instant>,
    /// The server goes, and has to have heard everything by then.
    leaving: Option<Instant>,
    ended: bool,
}

impl Machine {
    /// An empty queue.
    pub fn new(rules: Rules) -> Machine {
        let pauses = Backoff::seeded(rules.retry_first, rules.retry_last, rules.seed);
        Machine {
            rules,
            entries: BTreeMap::new(),
            newest: BTreeMap::new(),
            hold: Hold::None,
            until: Instant::default(),
            asked: Instant::default(),
            failures: 0,
            done: 0,
            odd: BTreeSet::new(),
            wrong: 0,
            hurries: 0,
            pauses,
            told_failure: false,
            told_queue: None,
            queue_at: Instant::default(),
            halted: false,
            stop: None,
            leaving: None,
            ended: false,
        }
    }

    /// What happens, and what is to be done then.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let mut actions = match input {
            Input::Seen(items) => self.seen(items, now),
            Input::Ended(id, outcome) => self.ended(&id, outcome, now),
            Input::Hurry => {
                self.hurry(now);
                Vec::new()
            }
            Input::Stop(within) => {
                self.stop.get_or_insert(now + within);
                Vec::new()
            }
            Input::Leaving(within) => self.leave(within, now),
            Input::Going(within) if self.leaving.is_none() => self.leave(within, now),
            Input::Going(_) => Vec::new(),
            Input::Staying => {
                self.leaving = None;
                vec![Action::Lift(false)]
            }
            Input::Halt(halted) => {
                self.halted = halted;
                Vec::new()
            }
            Input::Tick => Vec::new(),
        };
        // First, since from then on there are limits again.
        actions.extend(self.say_what_stays(now));
        actions.extend(self.send(now));
        actions.extend(self.tell_queue(now));
        actions.extend(self.finish(now));
        actions
    }

    /// When to call again if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        let least = if self.is_backlog_full() { Class::Newest } else { Class::Backlog };
        let may = |entry: &&Entry| !entry.in_flight && self.class(&entry.item) >= least;
        let ready = self.entries.values().filter(may).map(|entry| entry.not_before.max(self.until).max(self.asked));
        let next = if self.free_ways() > 0 && !self.is_halted() { ready.min() } else { None };
        let queue = (self.told_queue != Some(self.waiting())).then_some(self.queue_at);
        earliest(earliest(next, queue), earliest(self.end(), self.leaving))
    }

    /// When the program ends at the latest, if it was told to. A shutdown that was announced says it better than a
    /// setting.
    pub fn end(&self) -> Option<Instant> {
        self.stop.map(|own| self.leaving.unwrap_or(own))
    }

    /// Segments that wait or are under way, and their bytes.
    pub fn waiting(&self) -> (u64, u64) {
        let bytes = self.entries.values().map(|entry| entry.item.bytes).sum();
        (self.entries.len() as u64, bytes)
    }

    /// Nothing keeps it from sending, and nothing urgent waits: there is room for less.
    pub fn is_calm(&self) -> bool {
        self.hold == Hold::None
            && !self.is_halted()
            && !self.entries.values().any(|entry| !entry.in_flight && self.class(&entry.item) > Class::Backlog)
    }

    /// It waits, or is under way.
    pub fn knows(&self, id: &Id) -> bool {
        self.entries.contains_key(id)
    }

    /// When the oldest segment of a camera that waits begins, in milliseconds since 1970.
    pub fn oldest(&self, camera: &str) -> Option<u64> {
        let own = self.entries.values().filter(|entry| entry.item.id.camera == camera);
        own.map(|entry| entry.item.start_unix_ms).min()
    }

    fn seen(&mut self, items: Vec<Item>, now: Instant) -> Vec<Action> {
        let mut gone: BTreeSet<Id> = self.entries.keys().cloned().collect();
        for item in items {
            gone.remove(&item.id);
            let newest = self.newest.entry(item.id.camera.clone()).or_insert_with(|| (item.id.clone(), rank(&item)));
            if !is_older(&item, newest) {
                *newest = (item.id.clone(), rank(&item));
            }
            let not_before = if item.clock_set { now } else { now + CLOCK_GRACE };
            let pauses =
                Backoff::seeded(self.rules.retry_first, self.rules.retry_last, self.rules.seed ^ item.id.sequence);
            match self.entries.get_mut(&item.id) {
                Some(entry) => {
                    if item.clock_set && !entry.item.clock_set && entry.failures == 0 {
                        entry.not_before = now;
                    }
                    entry.item = item;
                }
                None => {
                    self.entries.insert(item.id.clone(), Entry::new(item, now, not_before, pauses));
                }
            }
        }
        // What is under way says itself how it ends.
        let gone = gone.into_iter().filter(|id| self.entries.get(id).is_some_and(|entry| !entry.in_flight));
        let gone: Vec<Id> = gone.collect();
        self.odd.retain(|id| !gone.contains(id));
        gone.iter().filter_map(|id| self.entries.remove(id)).map(|entry| Action::Vanished(entry.item)).collect()
    }

    fn ended(&mut self, id: &Id, outcome: Outcome, now: Instant) -> Vec<Action> {
        let Some(entry) = self.entries.get_mut(id) else { return Vec::new() };
        entry.in_flight = false;
        let outdated = entry.hurries < self.hurries;
        let file = entry.item.path.display().to_string();
        match outcome {
            Outcome::Done { key, bytes } => {
                self.entries.remove(id);
                self.done += 1;
                self.wrong = 0;
                self.odd.clear();
                let mut actions = self.recover();
                actions.push(Action::Tell(Fact::UploadDone { file, key, bytes }));
                actions
            }
            // If it is there after all, the next look finds it.
            Outcome::Gone => {
                self.entries.remove(id);
                self.odd.remove(id);
                Vec::new()
            }
            Outcome::Halted => Vec::new(),
            Outcome::Failed(Trouble::Server { why, wait, .. }) => {
                self.asked = self.asked.max(now + wait.unwrap_or_default());
                self.server_failed(file, format!("{why}; it is tried again until it works, is the line up?"), now)
            }
            // It was sent before somebody mended something.
            Outcome::Failed(Trouble::Setup { .. }) if outdated => Vec::new(),
            // Others came through since it was refused before: it is about this one.
            Outcome::Failed(trouble @ Trouble::Setup { .. }) if entry.refused_at.is_some_and(|at| at < self.done) => {
                self.object_failed(id, file, &trouble, now)
            }
            Outcome::Failed(Trouble::Setup { cause, why }) => {
                entry.tries += 1;
                entry.refused_at = Some(self.done);
                self.setup_failed(file, cause, why, now)
            }
            Outcome::Failed(trouble) => self.object_failed(id, file, &trouble, now),
        }
    }

    /// The server did what it should; until when it asked not to be asked holds all the same.
    fn recover(&mut self) -> Vec<Action> {
        let told = std::mem::take(&mut self.told_failure);
        (self.hold, self.failures, self.until) = (Hold::None, 0, Instant::default());
        self.pauses.reset();
        if told { vec![Action::Recovered("uploads work again".into())] } else { Vec::new() }
    }

    fn server_failed(&mut self, file: String, why: String, now: Instant) -> Vec<Action> {
        // Several that failed together failed once.
        if self.until <= now || self.hold == Hold::None {
            self.failures += 1;
            self.until = now + self.pauses.next();
        }
        self.hold = Hold::Server;
        if self.failures < TELL_AFTER || std::mem::replace(&mut self.told_failure, true) {
            return Vec::new();
        }
        vec![Action::Tell(Fact::UploadFailed { file, why, paused: false })]
    }

    fn setup_failed(&mut self, file: String, cause: &'static str, why: String, now: Instant) -> Vec<Action> {
        self.until = now + self.rules.probe;
        if self.hold == Hold::Setup(cause) {
            return Vec::new();
        }
        self.hold = Hold::Setup(cause);
        self.told_failure = true;
        vec![Action::Tell(Fact::UploadFailed { file, why, paused: true })]
    }

    /// It is about this segment, as it seems.
    fn object_failed(&mut self, id: &Id, file: String, trouble: &Trouble, now: Instant) -> Vec<Action> {
        let Some(entry) = self.entries.get_mut(id) else { return Vec::new() };
        entry.tries += 1;
        entry.failures += 1;
        entry.not_before = now + entry.pauses.next();
        let often = entry.failures == TELL_AFTER;
        self.odd.insert(id.clone());
        self.wrong += u32::from(matches!(trouble, Trouble::Wrong { .. }));
        let why = trouble.why();
        if matches!(trouble, Trouble::Wrong { .. }) && self.wrong >= WRONG {
            return self.setup_failed(file, "storage", WRONG_STORAGE.into(), now);
        }
        if self.odd.len() >= ODD {
            let why = format!("{why}; {ODD} segments in a row failed so or alike; they stay here and are tried again");
            return self.server_failed(file, why, now);
        }
        let mut actions = self.recover();
        let why = format!("{why}; it stays here and is tried again");
        actions.extend(often.then_some(Action::Tell(Fact::UploadFailed { file, why, paused: false })));
        actions
    }

    fn hurry(&mut self, now: Instant) {
        (self.until, self.asked) = (now, now);
        self.hurries += 1;
        self.entries.values_mut().for_each(|entry| entry.not_before = entry.not_before.min(now));
    }

    fn leave(&mut self, within: Duration, now: Instant) -> Vec<Action> {
        self.leaving = Some(now + within - LAST_WORDS.min(within / 3));
        self.hurry(now);
        vec![Action::Lift(true)]
    }

    /// What is in RAM is lost when the server has gone: then no timetable holds.
    fn is_halted(&self) -> bool {
        self.halted && self.leaving.is_none()
    }

    fn free_ways(&self) -> usize {
        let ways = if self.hold == Hold::None { self.rules.ways.max(1) } else { 1 };
        ways.saturating_sub(self.entries.values().filter(|entry| entry.in_flight).count())
    }

    fn class(&self, item: &Item) -> Class {
        let newest = || self.newest.get(&item.id.camera).is_some_and(|newest| !is_older(item, newest));
        match item.marked {
            true => Class::Marked,
            false if newest() => Class::Newest,
            false => Class::Backlog,
        }
    }

    /// What goes next.
    fn next(&self, now: Instant) -> Option<(Id, Class)> {
        let ready = self.entries.values().filter(|entry| !entry.in_flight && entry.not_before <= now);
        let all = ready.map(|entry| (entry, self.class(&entry.item)));
        // What fails each time must not keep the others from being tried.
        let tries = |entry: &Entry| if self.is_in_doubt() { entry.tries } else { 0 };
        let best = all.max_by_key(|(entry, class)| (Reverse(tries(entry)), *class, rank(&entry.item)));
        best.map(|(entry, class)| (entry.item.id.clone(), class))
    }

    /// Whether it is the server or the segments is not known.
    fn is_in_doubt(&self) -> bool {
        match self.hold {
            Hold::None => false,
            Hold::Server => self.odd.len() >= ODD,
            Hold::Setup(_) => true,
        }
    }

    fn send(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if now < self.until.max(self.asked) || self.is_halted() || self.end().is_some_and(|end| end <= now) {
            return actions;
        }
        while self.free_ways() > 0 {
            let Some((id, class)) = self.next(now) else { break };
            if class == Class::Backlog && self.is_backlog_full() {
                break;
            }
            let Some(entry) = self.entries.get_mut(&id) else { break };
            entry.in_flight = true;
            entry.hurries = self.hurries;
            let renewed = matches!(self.hold, Hold::Setup(_));
            actions.push(Action::Send { item: entry.item.clone(), class, renewed });
        }
        actions
    }

    /// One of the backlog is under way, and the other ways are for what is new; or the server goes, and the line is for what is urgent, since
    /// no rate is there to share it.
    fn is_backlog_full(&self) -> bool {
        let mut under_way = self.entries.values().filter(|entry| entry.in_flight).map(|entry| self.class(&entry.item));
        let leaving = self.leaving.is_some();
        self.rules.ways > 1 && under_way.any(|class| class == Class::Backlog || leaving)
    }

    fn tell_queue(&mut self, now: Instant) -> Option<Action> {
        let (files, bytes) = self.waiting();
        if now < self.queue_at || self.told_queue == Some((files, bytes)) {
            return None;
        }
        self.queue_at = now + QUEUE_PACE;
        self.told_queue = Some((files, bytes));
        let oldest = self.entries.values().map(|entry| entry.item.waited + now.since(entry.seen)).max();
        let oldest = oldest.unwrap_or_default().as_secs();
        Some(Action::Tell(Fact::UploadQueue { files, bytes, oldest }))
    }

    /// The program ends when nothing is left, when its time is over, or when waiting is in vain.
    fn finish(&mut self, now: Instant) -> Vec<Action> {
        let Some(end) = self.end().filter(|_| !self.ended) else { return Vec::new() };
        let under_way = self.entries.values().any(|entry| entry.in_flight);
        let waits = self.until.max(self.asked) > end || self.is_halted();
        let in_vain = !under_way && (waits || matches!(self.hold, Hold::Setup(_)));
        if !(self.entries.is_empty() || now >= end || in_vain) {
            return Vec::new();
        }
        self.ended = true;
        let (files, bytes) = self.waiting();
        let mut actions = self.left("the program ends", "they wait there as long as this machine is on", now);
        actions.push(Action::End { files, bytes });
        actions
    }

    /// The server goes, and this program goes on: perhaps not for long.
    fn say_what_stays(&mut self, now: Instant) -> Vec<Action> {
        if self.stop.is_some() || self.leaving.is_none_or(|by| now < by) {
            return Vec::new();
        }
        self.leaving = None;
        let mut actions = vec![Action::Lift(false)];
        actions.extend(self.left("the server goes", "they are lost if this machine goes off now", now));
        actions
    }

    /// What is not uploaded, in numbers and in words.
    fn left(&mut self, when: &str, then: &str, now: Instant) -> Vec<Action> {
        let (files, bytes) = self.waiting();
        self.queue_at = self.queue_at.min(now);
        let mut actions: Vec<Action> = self.tell_queue(now).into_iter().collect();
        if files > 0 {
            let why = format!("{when}, and {files} segments of {bytes} bytes are not uploaded yet; {then}");
            actions.push(Action::Tell(Fact::UploadFailed { file: self.rules.ram_dir.clone(), why, paused: false }));
        }
        actions
    }
}

/// Greater is newer. What was recorded before the clock was set is older than what came after.
type Rank = (bool, u64, u64);

fn rank(item: &Item) -> Rank {
    (item.clock_set, item.start_unix_ms, item.id.sequence)
}

/// Within a run its count says what is older: a clock may have been ahead for a while.
fn is_older(item: &Item, (id, newest): &(Id, Rank)) -> bool {
    if item.id.boot == id.boot { item.id.sequence < id.sequence } else { rank(item) < *newest }
}

#[cfg(test)]
mod tests;
