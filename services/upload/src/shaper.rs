//! One token bucket for everything that is sent, and who is served from it: the higher class first, in a class the cameras in the
//! proportion of their weights, and of one camera what began first, so that it is soon complete. The bucket may be overdrawn by one piece, which is then waited for, so that the rate holds over any
//! time; what nobody uses is kept for [`BURST`] and no longer.

use crate::timetable::Rate;
use protocol::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// So much of the past may be made up for. Less would lose what a busy machine sleeps over.
pub const BURST: Duration = Duration::from_millis(250);
/// A stream is served so often a second, if it is alone.
const PIECES: u64 = 20;
/// The bounds of a piece. Below the one, waking costs more than sending; the other is what a socket takes.
const PIECE: (u64, u64) = (4 * 1024, 256 * 1024);

/// How urgent something is; a class gets what the one above it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It has waited and can wait.
    Backlog,
    /// The newest of its camera.
    Newest,
    /// Evidence.
    Marked,
}

/// Weights of cameras; who is not named has 1.
pub type Weights = BTreeMap<String, u32>;

/// The bucket and those who wait for it.
#[derive(Debug)]
pub struct Shaper {
    rate: Rate,
    /// Bytes that may be sent now; below zero, bytes that were sent too early.
    level: f64,
    at: Instant,
    weights: Weights,
    /// What each camera has asked for so far in a class, divided by its weight.
    asked: BTreeMap<(Class, String), f64>,
    /// Where among these the last one began who was served: whoever comes back begins there, and has saved nothing up.
    served: BTreeMap<Class, f64>,
    waiting: Vec<(f64, Want)>,
}

/// Somebody wants to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// By which he is called.
    pub id: u64,
    /// Which body he sends; a lower number began earlier.
    pub stream: u64,
    /// On whose account.
    pub camera: String,
    /// How urgent it is.
    pub class: Class,
    /// How much.
    pub bytes: u64,
}

impl Shaper {
    /// An empty bucket.
    pub fn new(rate: Rate, weights: Weights, now: Instant) -> Shaper {
        Shaper {
            rate,
            level: 0.0,
            at: now,
            weights,
            asked: BTreeMap::new(),
            served: BTreeMap::new(),
            waiting: Vec::new(),
        }
    }

    /// How much to ask for at a time.
    pub fn piece(&self) -> u64 {
        match self.rate {
            Rate::Limit(rate) => (rate / PIECES).clamp(PIECE.0, PIECE.1),
            Rate::Stop | Rate::Free => PIECE.1,
        }
    }

    /// What holds.
    pub const fn rate(&self) -> Rate {
        self.rate
    }

    /// From now on another rate holds.
    pub fn set_rate(&mut self, rate: Rate, now: Instant) {
        self.fill(now);
        self.rate = rate;
        self.level = self.level.min(self.most());
    }

    /// Somebody waits until he is granted or [`Shaper::forget`] is called. His turn is that of fair queueing by start times
    /// (Goyal, Vin and Cheng 1996).
    pub fn want(&mut self, want: Want) {
        let weight = self.weights.get(&want.camera).copied().unwrap_or(1).max(1);
        let served = self.served.get(&want.class).copied().unwrap_or_default();
        let asked = self.asked.entry((want.class, want.camera.clone())).or_default();
        let turn = asked.max(served);
        *asked = turn + want.bytes as f64 / f64::from(weight);
        self.waiting.push((turn, want));
    }

    /// He does not wait any more.
    pub fn forget(&mut self, id: u64) {
        self.waiting.retain(|(_, want)| want.id != id);
    }

    /// Who may send now, in this order.
    pub fn grant(&mut self, now: Instant) -> Vec<u64> {
        self.fill(now);
        let mut granted = Vec::new();
        while self.rate != Rate::Stop && (self.rate == Rate::Free || self.level > 0.0) {
            let Some(place) = self.next() else { break };
            let (turn, want) = self.waiting.remove(place);
            self.level -= want.bytes as f64;
            self.served.insert(want.class, turn);
            granted.push(want.id);
        }
        if self.rate == Rate::Free {
            self.level = 0.0;
        }
        granted
    }

    /// When somebody who waits may send.
    pub fn deadline(&self) -> Option<Instant> {
        if self.waiting.is_empty() {
            return None;
        }
        match self.rate {
            Rate::Stop => None,
            Rate::Free => Some(self.at),
            // The level has to be above zero, not at it.
            Rate::Limit(rate) => Some(self.at + Duration::from_secs_f64((1.0 - self.level).max(0.0) / rate as f64)),
        }
    }

    /// Whose turn it is; he lets the one of his camera go first that began first.
    fn next(&mut self) -> Option<usize> {
        let before = |a: &(f64, Want), b: &(f64, Want)| b.1.class.cmp(&a.1.class).then(a.0.total_cmp(&b.0));
        let turn = (0..self.waiting.len()).min_by(|&a, &b| before(&self.waiting[a], &self.waiting[b]))?;
        let (class, camera) = (self.waiting[turn].1.class, self.waiting[turn].1.camera.as_str());
        let same = |want: &Want| want.class == class && want.camera == camera;
        let own = (0..self.waiting.len()).filter(|&place| same(&self.waiting[place].1));
        let first = own.min_by_key(|&place| self.waiting[place].1.stream)?;
        let turns = (self.waiting[turn].0, self.waiting[first].0);
        (self.waiting[first].0, self.waiting[turn].0) = turns;
        Some(first)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.since(self.at);
        self.at = self.at.max(now);
        if let Rate::Limit(rate) = self.rate {
            self.level = (self.level + passed.as_secs_f64() * rate as f64).min(self.most());
        }
    }

    fn most(&self) -> f64 {
        match self.rate {
            Rate::Limit(rate) => rate as f64 * BURST.as_secs_f64(),
            Rate::Stop | Rate::Free => 0.0,
        }
    }
}

#[cfg(test)]
mod tests;
