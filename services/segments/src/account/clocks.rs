//! From the monotonic clock to the time of day. The time of day may be set, and the monotonic clock stands still while the machine
//! sleeps; so between two readings that do not fit there was a step.

use super::Reason;
use crate::ledger::{Line, Reading, What};

/// Readings that lie nearer to what was expected are no step: both clocks cannot be read at once.
const STEP_MS: u64 = 500;

/// The clocks of one run of the machine.
#[derive(Debug, Default)]
pub struct Clocks {
    steps: Vec<Step>,
}

/// From `at` on, the time of day is `ahead` of the monotonic clock.
#[derive(Debug, Clone, Copy)]
struct Step {
    at: u64,
    ahead: i128,
    slept: u64,
}

impl Clocks {
    /// From all readings in these lines.
    pub fn of(lines: &[&Line]) -> Clocks {
        let mut readings: Vec<(u64, Reading)> =
            lines.iter().filter_map(|line| Some((line.at, reading(line)?))).collect();
        readings.sort_by_key(|(at, _)| *at);
        let mut clocks = Clocks::default();
        for (place, &(at, reading)) in readings.iter().enumerate() {
            let step = believed(at, reading, &readings[place..]);
            let differs = |last: &Step| last.ahead.abs_diff(step.ahead) >= u128::from(STEP_MS);
            if clocks.steps.last().is_none_or(differs) {
                clocks.steps.push(step);
            }
        }
        clocks
    }

    /// Nothing was read.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// A stretch of the monotonic clock as stretches of the day.
    pub fn days(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let ends = self.steps.iter().skip(1).map(|step| step.at).chain([u64::MAX]);
        let begins = [0].into_iter().chain(self.steps.iter().skip(1).map(|step| step.at));
        let stretch = |((step, begin), end): ((&Step, u64), u64)| {
            let (from, to) = (from.max(begin), to.min(end));
            (from < to).then(|| (step.day(from), step.day(to)))
        };
        self.steps.iter().zip(begins).zip(ends).filter_map(stretch).collect()
    }

    /// A moment.
    pub fn day(&self, at: u64) -> Option<u64> {
        let step = self.steps.iter().rev().find(|step| step.at <= at).or(self.steps.first())?;
        Some(step.day(at))
    }

    /// Times of day that there never were.
    pub fn holes(&self) -> Vec<(u64, u64, Reason)> {
        let hole = |pair: &[Step]| {
            let (from, to) = (pair[0].day(pair[1].at), pair[1].day(pair[1].at));
            let slept = pair[1].slept.saturating_sub(pair[0].slept);
            let reason =
                if slept.saturating_add(STEP_MS) >= to.saturating_sub(from) { Reason::Slept } else { Reason::ClockSet };
            (from < to).then_some((from, to, reason))
        };
        self.steps.windows(2).filter_map(hole).collect()
    }
}

impl Step {
    fn day(&self, at: u64) -> u64 {
        u64::try_from((i128::from(at) + self.ahead).max(0)).unwrap_or(u64::MAX)
    }
}

/// What a clock that was not set would have said is known by the first reading of one that was.
fn believed(at: u64, reading: Reading, later: &[(u64, Reading)]) -> Step {
    let (known_at, known) = later.iter().find(|(_, reading)| reading.set).copied().unwrap_or((at, reading));
    let slept = i128::from(known.slept) - i128::from(reading.slept);
    Step { at, ahead: i128::from(known.unix) - i128::from(known_at) - slept, slept: reading.slept }
}

fn reading(line: &Line) -> Option<Reading> {
    match &line.what {
        What::Begun { clock, .. }
        | What::Clock { clock }
        | What::Alive { clock, .. }
        | What::Unusable { clock, .. } => Some(*clock),
        What::Died { clock } => *clock,
        _ => None,
    }
}
