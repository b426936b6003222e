//! What happens when. Pure.
//!
//! The day has two parts. In the first one programs are killed, the clock is set late, and the storage, a real S3
//! server, dies for an hour. In the second one nobody is killed, since who begins anew cannot be seen to grow; the
//! storage is one that fails on command, and for some hours it takes nothing at all, longer than there is RAM for.
//! Cameras have faults all day, but for its end.

use crate::b2;
use esp32::Fault;
use fastrand::Rng;
use std::time::Duration;

/// How many cameras there are.
pub const CAMERAS: usize = 2;
/// The clock is set then: before the first segment would be brought away as one of an unknown time.
const CLOCK: Duration = Duration::from_secs(4);
/// Before this nobody is killed, so that what was recorded before the clock was set gets its right name from who
/// recorded it.
const FIRST_KILL: Duration = Duration::from_secs(8);
/// So long nothing is wrong with the cameras at the end.
const EVENING: Duration = Duration::from_secs(8);
/// What waited for the storage has so long to arrive before the next thing happens to it.
const RECOVERY: Duration = Duration::from_secs(10);
/// Room for a storage that takes nothing for hours is only in a day of this length.
const LONG: Duration = Duration::from_secs(240);

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// A camera does this, and nothing else.
    Fault(usize, Fault),
    /// It is well again.
    Well(usize),
    /// A time server is heard.
    ClockIsSet,
    /// The recorder is killed and started again.
    KillCamera,
    /// The uploader is.
    KillUpload,
    /// The S3 server is killed.
    StorageDies,
    /// It is started again with what it has.
    StorageReturns,
    /// From now on recordings go to the storage that fails on command.
    OtherStorage,
    /// It fails so with the next segment.
    StorageFails(b2::Fault),
    /// It takes nothing any more.
    StorageRefuses,
    /// It takes everything again.
    StorageTakes,
}

/// A day.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How long it is.
    pub span: Duration,
    /// Where its second part begins.
    pub second: Duration,
    /// What happens, in order.
    pub steps: Vec<(Duration, Act)>,
}

impl Plan {
    /// A day of this length, of a minute at least.
    pub fn new(span: Duration, seed: u64) -> Plan {
        let span = span.max(Duration::from_secs(60));
        let (mut random, second) = (Rng::with_seed(seed), (span / 4).max(Duration::from_secs(30)));
        let mut plan = Plan { span, second, steps: vec![(CLOCK, Act::ClockIsSet)] };
        plan.first_part(&mut random);
        plan.second_part(&mut random);
        plan.cameras(&mut random);
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
    }

    /// A twenty-fourth of the day, but long enough to be noticed.
    pub fn hour(&self) -> Duration {
        (self.span / 24).max(Duration::from_secs(6))
    }

    /// While the S3 server is dead.
    fn dead(&self) -> (Duration, Duration) {
        let back = self.second - RECOVERY;
        (back - self.hour(), back)
    }

    /// Whether the day is long enough for RAM to be full.
    pub fn is_long(&self) -> bool {
        self.span >= LONG
    }

    fn first_part(&mut self, random: &mut Rng) {
        let (dies, back) = self.dead();
        let (mut at, mut next) = (FIRST_KILL, [Act::KillCamera, Act::KillUpload]);
        while at + Duration::from_secs(1) < dies {
            self.steps.push((at, next[0].clone()));
            next.rotate_left(1);
            at += seconds(random, 1.0..4.0).mul_f64(self.hour().as_secs_f64() / 6.0);
        }
        self.steps.extend([(dies, Act::StorageDies), (back, Act::StorageReturns), (self.second, Act::OtherStorage)]);
    }

    fn second_part(&mut self, random: &mut Rng) {
        let rest = self.span - self.second;
        let refuses = self.second + rest * 9 / 20;
        let takes = refuses + 4 * self.hour();
        let mut at = self.second + Duration::from_secs(2);
        while at + EVENING < self.span {
            if !self.is_long() || at < refuses || at > takes {
                self.steps.push((at, Act::StorageFails(storage_fault(random))));
            }
            at += seconds(random, 1.0..4.0);
        }
        if self.is_long() {
            self.steps.extend([(refuses, Act::StorageRefuses), (takes, Act::StorageTakes)]);
        }
    }

    /// Each fault comes before any comes again. While the storage is dead, only the first camera has any: something has
    /// to wait.
    fn cameras(&mut self, random: &mut Rng) {
        let (mut deck, dead) = (Vec::new(), self.dead());
        let mut free = [FIRST_KILL; CAMERAS];
        loop {
            let camera = if free[0] <= free[1] { 0 } else { 1 };
            let from = free[camera] + seconds(random, 2.0..5.0);
            let to = from + seconds(random, 1.5..4.0);
            if to + EVENING > self.span {
                return;
            }
            free[camera] = to;
            if camera > 0 && to + Duration::from_secs(2) > dead.0 && from < dead.1 {
                continue;
            }
            if deck.is_empty() {
                deck = Fault::all().collect();
                random.shuffle(&mut deck);
            }
            self.steps.extend(deck.pop().map(|fault| (from, Act::Fault(camera, fault))));
            self.steps.push((to, Act::Well(camera)));
        }
    }

    /// Each fault that a camera has, once.
    pub fn faults(&self) -> Vec<String> {
        let name =
            |(_, act): &(Duration, Act)| if let Act::Fault(_, fault) = act { Some(fault.to_string()) } else { None };
        let mut names: Vec<String> = self.steps.iter().filter_map(name).collect();
        names.sort();
        names.dedup();
        names
    }
}

/// All but those that leave something wrong in the bucket.
fn storage_fault(random: &mut Rng) -> b2::Fault {
    use b2::Fault::{BlackHole, Busy, Cap, KeptAndReset, Reset, Slow};
    let all = [Busy(1), Cap, Reset, BlackHole, Slow(60_000), KeptAndReset];
    all[random.usize(..all.len())].clone()
}

fn seconds(random: &mut Rng, range: std::ops::Range<f64>) -> Duration {
    Duration::from_secs_f64(range.start + (range.end - range.start) * random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(plan: &Plan, act: &Act) -> usize {
        plan.steps.iter().filter(|(_, other)| other == act).count()
    }

    fn at(plan: &Plan, act: &Act) -> Option<Duration> {
        plan.steps.iter().find(|(_, other)| other == act).map(|(at, _)| *at)
    }

    #[test]
    fn a_day_holds_every_fault_and_the_shortest_one_kills_each_once() {
        for seed in 0..50 {
            let day = Plan::new(Duration::from_secs(600), seed);
            assert_eq!(day.faults().len(), Fault::all().count(), "seed {seed}");
            assert!(count(&day, &Act::KillCamera) >= 3 && count(&day, &Act::KillUpload) >= 3, "seed {seed}");
            let short = Plan::new(Duration::from_secs(60), seed);
            assert!(short.faults().len() >= 8, "seed {seed}: {:?}", short.faults());
            assert!(count(&short, &Act::KillCamera) >= 1 && count(&short, &Act::KillUpload) >= 1, "seed {seed}");
        }
    }

    #[test]
    fn nobody_is_killed_in_the_second_part_and_cameras_are_well_in_the_evening() {
        for (seed, seconds) in [(1, 60), (2, 90), (3, 600), (4, 3600)] {
            let plan = Plan::new(Duration::from_secs(seconds), seed);
            let killed = |(_, act): &&(Duration, Act)| matches!(act, Act::KillCamera | Act::KillUpload);
            assert!(plan.steps.iter().filter(killed).all(|(at, _)| *at >= FIRST_KILL && *at < plan.second));
            let (last, _) = plan.steps.last().expect("something happens");
            assert!(*last + EVENING <= plan.span, "{last:?}");
            assert!(plan.steps.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        }
    }

    #[test]
    fn the_storage_is_back_before_it_is_another_one() {
        for seconds in [60, 600] {
            let plan = Plan::new(Duration::from_secs(seconds), 7);
            let [dies, returns, other] = [Act::StorageDies, Act::StorageReturns, Act::OtherStorage]
                .map(|act| at(&plan, &act).expect("it happens"));
            assert!(returns - dies >= plan.hour() && other - returns >= RECOVERY);
            assert_eq!(at(&plan, &Act::StorageRefuses).is_some(), plan.is_long());
            assert!(at(&plan, &Act::StorageTakes).is_none_or(|takes| takes + EVENING < plan.span));
        }
    }

    #[test]
    fn something_is_recorded_while_the_storage_is_dead() {
        for seed in 0..50 {
            let plan = Plan::new(Duration::from_secs(60), seed);
            let (from, to) = plan.dead();
            let mut other = plan.steps.iter().filter(|(_, act)| matches!(act, Act::Fault(1, _) | Act::Well(1)));
            assert!(!other.any(|(at, _)| *at >= from && *at < to), "seed {seed}");
        }
    }

    #[test]
    fn a_seed_makes_the_same_day_again() {
        let day = |seed| Plan::new(Duration::from_secs(300), seed);
        assert!(day(5) == day(5) && day(5) != day(6));
    }
}
