//! The account of a stretch of time: what the ledger says of each moment in it, and no moment twice or not at all. Pure.
//!
//! What always holds: the pieces follow each other without a hole from the beginning to the end. What nobody has a reason for is
//! [`Reason::Unexplained`], and stays so; of what no ledger speaks nothing is known, which is no reason either.

mod canvas;
mod clocks;
mod reason;
mod walk;

pub use reason::Reason;

use crate::ledger::{Closed, Line, What};
use canvas::Canvas;
use std::collections::BTreeMap;
use walk::{Layer, Run, Walk};

/// An end of a gap is known to half a second: a recorder notices silence by a picture that does not come, and the pictures' own
/// times are drawn towards the clock by less than that. Whoever crosses a room takes longer.
pub const TOLERANCE_MS: u64 = 500;
/// Beyond it, a pause of two pictures is no gap: a camera that sends one a second at night has as much between any two.
const FRAMES: u64 = 2;

/// How a moment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is recorded.
    Recorded,
    /// It is not, for this reason.
    Gap(Reason),
}

/// A stretch of time in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// From, in milliseconds since 1970;
    pub from: u64,
    /// to, which is not in it.
    pub to: u64,
    /// How it is.
    pub state: State,
}

impl Piece {
    /// How long it is.
    pub const fn ms(&self) -> u64 {
        self.to - self.from
    }

    /// Why it is not recorded.
    pub const fn gap(&self) -> Option<&Reason> {
        match &self.state {
            State::Recorded => None,
            State::Gap(reason) => Some(reason),
        }
    }
}

/// An account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// All of the time, in order; two that follow each other differ.
    pub pieces: Vec<Piece>,
    /// When the picture was frozen; that is recorded all the same.
    pub frozen: Vec<(u64, u64)>,
    /// When the ledger begins, if it does; and whether it was longer once.
    pub begins: Option<(u64, bool)>,
}

impl Account {
    /// Milliseconds that are recorded, that are explained, that nobody can explain, and of which nothing is known.
    pub fn sums(&self) -> [u64; 4] {
        let mut sums = [0; 4];
        for piece in &self.pieces {
            let kind = match piece.gap() {
                None => 0,
                Some(Reason::Unexplained) => 2,
                Some(Reason::Unknown | Reason::Forgotten) => 3,
                Some(_) => 1,
            };
            sums[kind] += piece.ms();
        }
        sums
    }

    /// What is not recorded.
    pub fn gaps(&self) -> impl Iterator<Item = (&Piece, &Reason)> {
        self.pieces.iter().filter_map(|piece| Some((piece, piece.gap()?)))
    }
}

/// The account of `from..to`, in milliseconds since 1970; nothing is known of what comes after `to`.
pub fn account(lines: &[Line], from: u64, to: u64) -> Account {
    let segments = segments(lines);
    let runs = runs(lines);
    let mut walk = Walk::new(from, to);
    walk.hint(&segments, runs.iter().any(Run::is_known));
    for (place, run) in runs.iter().enumerate() {
        walk.run(run, &segments, runs[place + 1..].iter().find_map(Run::begins));
    }
    let begins = runs.iter().find_map(Run::begins).map(|at| (at, shortened(lines)));
    if let Some((begins, shortened)) = begins {
        match shortened {
            true => walk.claim(Layer::Forgotten, (0, begins), State::Gap(Reason::Forgotten)),
            false => walk.claim(Layer::Before, (0, begins), State::Gap(Reason::Unknown)),
        }
    } else if segments.is_empty() {
        walk.claim(Layer::Before, (0, to), State::Gap(Reason::Unknown));
    }
    let (claims, frozen) = walk.end();
    let mut canvas = Canvas::new(from, to);
    claims.into_iter().for_each(|(from, to, state)| canvas.paint(from, to, state));
    Account { pieces: tidy(canvas.pieces()), frozen, begins }
}

fn shortened(lines: &[Line]) -> bool {
    lines.iter().any(|line| line.what == What::Shortened)
}

/// What became of a segment.
#[derive(Debug)]
struct Segment<'a> {
    closed: &'a Closed,
    given_up: Option<Reason>,
}

type Segments<'a> = BTreeMap<(&'a str, u64), Segment<'a>>;

/// The last word about each segment: one that was adopted was closed twice, and one that could not be deleted is closed once more.
fn segments(lines: &[Line]) -> Segments<'_> {
    let mut all = Segments::new();
    // Whoever is not the recorder says so elsewhere, so nobody knows whether it was before or after.
    let (mut others, mut sent) = (Vec::new(), Vec::new());
    for line in lines {
        match &line.what {
            What::Closed(closed) => drop(all.insert(closed.id(), Segment { closed, given_up: None })),
            What::Evicted { run, sequence } => {
                if let Some(segment) = all.get_mut(&(run.as_str(), *sequence)) {
                    segment.given_up = Some(Reason::Evicted);
                }
            }
            What::Cleaned { run, sequence } => others.push((Reason::Cleaned, (run.as_str(), *sequence))),
            What::Vanished { run, sequence } => others.push((Reason::Vanished, (run.as_str(), *sequence))),
            What::Sent { run, sequence } => sent.push((run.as_str(), *sequence)),
            _ => {}
        }
    }
    // Whoever only missed it knows less than who deleted it.
    others.sort_by_key(|(reason, _)| *reason == Reason::Vanished);
    for (reason, id) in others {
        if let Some(segment) = all.get_mut(&id) {
            segment.given_up.get_or_insert(reason);
        }
    }
    for id in sent {
        if let Some(segment) = all.get_mut(&id) {
            segment.given_up = None;
        }
    }
    all
}

/// The lines of each run of the machine, which has a monotonic clock of its own.
fn runs(lines: &[Line]) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = vec![Run::default()];
    let mut last = None;
    for line in lines {
        if let What::Begun { kernel, .. } = &line.what
            && last.replace(kernel).is_some_and(|last| last != kernel)
        {
            runs.push(Run::default());
        }
        runs.last_mut().expect("there is one").0.push(line);
    }
    runs
}

/// Ends are not known better than [`TOLERANCE_MS`]: less than that beside a gap with a reason belongs to it.
fn tidy(pieces: Vec<Piece>) -> Vec<Piece> {
    let has_reason = |state: &&State| !matches!(state, State::Recorded | State::Gap(Reason::Unexplained));
    let mut states: Vec<State> = pieces.iter().map(|piece| piece.state.clone()).collect();
    for (place, piece) in pieces.iter().enumerate() {
        if piece.ms() < TOLERANCE_MS && piece.state == State::Gap(Reason::Unexplained) {
            let beside = [place.wrapping_sub(1), place + 1];
            let reason = beside.into_iter().filter_map(|beside| states.get(beside)).find(has_reason).cloned();
            states[place] = reason.unwrap_or(State::Gap(Reason::Unexplained));
        }
    }
    let mut tidy: Vec<Piece> = Vec::new();
    for (Piece { from, to, .. }, state) in pieces.into_iter().zip(states) {
        match tidy.last_mut().filter(|last| last.state == state) {
            Some(last) => last.to = to,
            None => tidy.push(Piece { from, to, state }),
        }
    }
    tidy
}

#[cfg(test)]
mod tests;
