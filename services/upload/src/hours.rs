//! When the manifest of an hour is written: as soon as the hour is over and nothing of it waits, and from time to time before that, so that
//! a thief who takes the machine leaves a list of what is safe. Pure.

use crate::ledger::HourState;
use protocol::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// After a failure the next try comes so much later.
const PAUSE: Duration = Duration::from_secs(30);

/// The hours of which the bucket does not know all.
#[derive(Debug)]
pub struct Hours {
    every: Duration,
    untold_since: BTreeMap<String, Instant>,
    not_before: Instant,
    /// Hours whose last try failed: others come first.
    failed: BTreeSet<String>,
}

/// How an hour stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is known of it.
    pub state: HourState,
    /// It is over, and nothing of it waits.
    pub complete: bool,
}

impl Hours {
    /// `every` is the longest that the bucket does not know what is in it.
    pub fn new(every: Duration) -> Hours {
        let (untold_since, failed) = (BTreeMap::new(), BTreeSet::new());
        Hours { every, untold_since, not_before: Instant::at(Duration::ZERO), failed }
    }

    /// The hour to be written down now; `calm` if there is nothing more urgent, `last` if this is the last chance.
    pub fn due(&mut self, all: &[Standing], calm: bool, last: bool, now: Instant) -> Option<Standing> {
        let untold =
            |one: &&Standing| one.state.told.count != one.state.count || (one.complete && !one.state.told.complete);
        let untold: Vec<&Standing> = all.iter().filter(untold).collect();
        self.untold_since.retain(|folder, _| untold.iter().any(|one| one.state.folder == *folder));
        for one in &untold {
            self.untold_since.entry(one.state.folder.clone()).or_insert(now);
        }
        if !last && (!calm || now < self.not_before) {
            return None;
        }
        let is_due = |one: &&&Standing| {
            let since = self.untold_since.get(&one.state.folder).copied().unwrap_or(now);
            last || one.complete || now.since(since) >= self.every
        };
        let due: Vec<&&Standing> = untold.iter().filter(is_due).collect();
        let fresh = due.iter().find(|one| !self.failed.contains(&one.state.folder)).copied();
        if fresh.is_none() && !last {
            self.forgive();
        }
        fresh.or(if last { None } else { due.first().copied() }).map(|one| (*one).clone())
    }

    /// It was written down; if more has come meanwhile, that waits anew.
    pub fn told(&mut self, folder: &str) {
        self.untold_since.remove(folder);
        self.failed.remove(folder);
    }

    /// The end has come, and each has a last chance.
    pub fn forgive(&mut self) {
        self.failed.clear();
    }

    /// It could not be: the others come first, and at the end it is not tried again.
    pub fn failed(&mut self, folder: &str, now: Instant) {
        self.failed.insert(folder.into());
        self.not_before = now + PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Told;

    fn at(seconds: u64) -> Instant {
        Instant::at(Duration::from_secs(seconds))
    }

    fn hour(folder: &str, count: usize, complete: bool, told: (usize, bool)) -> Standing {
        let told = Told { count: told.0, complete: told.1 };
        Standing { state: HourState { folder: folder.into(), count, told }, complete }
    }

    #[test]
    fn an_hour_is_written_down_when_it_is_over_and_now_and_then_before() {
        let mut hours = Hours::new(Duration::from_secs(300));
        let open = [hour("a", 1, false, (0, false))];
        assert_eq!(hours.due(&open, true, false, at(1)), None);
        assert_eq!(hours.due(&open, true, false, at(300)), None);
        assert_eq!(hours.due(&open, false, false, at(301)), None, "there is something more urgent");
        assert_eq!(hours.due(&open, true, false, at(301)), Some(open[0].clone()));
        hours.told("a");
        let known = [hour("a", 1, false, (1, false))];
        assert_eq!(hours.due(&known, true, false, at(9000)), None);
        let over = [hour("a", 1, true, (1, false))];
        assert_eq!(hours.due(&over, true, false, at(9001)), Some(over[0].clone()), "that it is all is news");
        assert_eq!(hours.due(&[hour("a", 1, true, (1, true))], true, false, at(9002)), None);
        let late = [hour("a", 2, true, (1, true))];
        assert_eq!(hours.due(&late, true, false, at(9003)), Some(late[0].clone()));
    }

    #[test]
    fn a_failure_is_waited_out_unless_it_is_the_last_chance() {
        let mut hours = Hours::new(Duration::from_secs(300));
        let over = [hour("a", 1, true, (0, false)), hour("b", 1, false, (0, false))];
        hours.failed("b", at(10));
        assert_eq!(hours.due(&over, true, false, at(39)), None);
        assert_eq!(hours.due(&over, true, false, at(40)), Some(over[0].clone()));
        assert_eq!(hours.due(&over[..1], false, true, at(11)), Some(over[0].clone()));
    }

    #[test]
    fn an_hour_that_cannot_be_written_down_holds_up_no_other() {
        let mut hours = Hours::new(Duration::from_secs(300));
        let over = [hour("a", 1, true, (0, false)), hour("b", 1, true, (0, false))];
        let mut order = Vec::new();
        for minute in 1..=4 {
            let folder = hours.due(&over, true, false, at(60 * minute)).unwrap().state.folder;
            hours.failed(&folder, at(60 * minute));
            order.push(folder);
        }
        assert_eq!(order, ["a", "b", "a", "b"]);
        hours.forgive();
        hours.failed("a", at(300));
        assert_eq!(hours.due(&over, true, true, at(301)).map(|one| one.state.folder), Some("b".into()));
        hours.failed("b", at(301));
        assert_eq!(hours.due(&over, true, true, at(302)), None, "at the end each is tried once");
    }
}
