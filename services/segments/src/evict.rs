//! Which segments go when room is needed: first the oldest without a mark, then the oldest with one.
//!
//! What is older is told by the monotonic clock, which goes on whatever is done to the time of day: so a clock that is set back does
//! not make the newest the oldest. The time of day only says which run of the kernel came first.

use crate::{Clock, Found, Name};
use std::collections::BTreeMap;

/// All of them, the one first that goes first.
pub fn order(all: &[Found]) -> Vec<&Found> {
    let mut last: BTreeMap<&str, (bool, u64)> = BTreeMap::new();
    for found in all {
        let newest = last.entry(&found.label.kernel).or_default();
        *newest = (*newest).max((is_set(found), found.label.start_unix_ms));
    }
    let mut all: Vec<&Found> = all.iter().collect();
    all.sort_by_key(|found| (found.label.marked, last[found.label.kernel.as_str()], age(found)));
    all
}

/// Among those of one run of the kernel. Of a recorder that did not say which one it was, no two monotonic times can be compared.
fn age(found: &Found) -> (&str, u64, bool, Name) {
    let kernel = found.label.kernel.as_str();
    let monotonic = if kernel.is_empty() { 0 } else { found.label.monotonic_ms };
    (kernel, monotonic, is_set(found), found.name)
}

fn is_set(found: &Found) -> bool {
    found.label.clock == Clock::Set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Label;
    use crate::label::tests::label;

    fn found(kernel: &str, monotonic_ms: u64, start: u64, marked: bool, clock: Clock) -> Found {
        let name = Name::new(start, 1, start);
        let label = Label { clock, monotonic_ms, kernel: kernel.into(), ..label(&name, marked) };
        Found { name, path: name.segment().into(), label, bytes: 10 }
    }

    fn starts(found: Vec<&Found>) -> Vec<u64> {
        found.iter().map(|found| found.name.start_unix_ms()).collect()
    }

    #[test]
    fn evidence_is_given_up_last_and_the_newest_of_it_at_the_very_end() {
        let of = |start, marked, clock| found("", 0, start, marked, clock);
        let all = [
            of(4, true, Clock::Set),
            of(1, true, Clock::Set),
            of(2, false, Clock::Set),
            of(3, false, Clock::Set),
            of(9, false, Clock::Unset),
        ];
        assert_eq!(starts(order(&all)), [9, 2, 3, 1, 4]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_make_the_newest_the_oldest() {
        let of = |monotonic, start| found("k", monotonic, start, false, Clock::Set);
        assert_eq!(
            starts(order(&[of(300, 2000), of(100, 5000), of(200, 6000), of(400, 1000)])),
            [5000, 6000, 2000, 1000]
        );
        let unset = found("k", 50, 9000, false, Clock::Unset);
        assert_eq!(starts(order(&[of(100, 5000), unset])), [9000, 5000]);
    }

    #[test]
    fn what_was_recorded_before_the_machine_started_again_is_older_than_what_came_after() {
        let before = found("before", 900_000, 1000, false, Clock::Set);
        let after = found("after", 50, 700, false, Clock::Unset);
        let later = found("after", 90, 5000, false, Clock::Set);
        assert_eq!(starts(order(&[later, after, before])), [1000, 700, 5000]);
    }
}
