//! Which segments go when room is needed: first the oldest without a mark, then the oldest with one. What was recorded before the
//! clock was set is older than what came after it, whatever stands in its name.

use crate::{Clock, Found};

/// What has to go, in this order, until `bytes` are free. Fewer are freed if there are not so many.
pub fn choose(all: &[Found], bytes: u64) -> Vec<&Found> {
    let mut freed = 0;
    let enough = |found: &&Found| {
        let before = freed;
        freed += found.bytes;
        before < bytes
    };
    order(all).into_iter().take_while(enough).collect()
}

/// All of them, the one first that goes first.
pub fn order(all: &[Found]) -> Vec<&Found> {
    let mut all: Vec<&Found> = all.iter().collect();
    all.sort_by_key(|found| (found.label.marked, found.label.clock == Clock::Set, found.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::tests::label;
    use crate::{Label, Name};

    fn found(start: u64, marked: bool, clock: Clock) -> Found {
        let name = Name::new(start, 1, start);
        let label = Label { clock, ..label(&name, marked) };
        Found { name, path: name.segment().into(), label, bytes: 10 }
    }

    #[test]
    fn evidence_is_given_up_last_and_the_newest_of_it_at_the_very_end() {
        let all = [
            found(4, true, Clock::Set),
            found(1, true, Clock::Set),
            found(2, false, Clock::Set),
            found(3, false, Clock::Set),
            found(9, false, Clock::Unset),
        ];
        let starts = |found: Vec<&Found>| found.iter().map(|found| found.name.start_unix_ms()).collect::<Vec<_>>();
        assert_eq!(starts(order(&all)), [9, 2, 3, 1, 4]);
        assert_eq!(starts(choose(&all, 0)), [0_u64; 0]);
        assert_eq!(starts(choose(&all, 1)), [9]);
        assert_eq!(starts(choose(&all, 10)), [9]);
        assert_eq!(starts(choose(&all, 11)), [9, 2]);
        assert_eq!(starts(choose(&all, 1000)), [9, 2, 3, 1, 4]);
    }
}
