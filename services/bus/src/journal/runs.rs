//! A set of numbers that come mostly one after the other, kept as runs. Pure.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// First number of each run to its last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Runs(BTreeMap<u64, u64>);

impl Runs {
    /// Whether the number is in it.
    pub fn contains(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, &last)| number <= last)
    }

    /// Adds a number; false if it was in it.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        let before = number.checked_sub(1).and_then(|end| self.0.range(..=end).next_back().filter(|run| *run.1 == end));
        let first = before.map_or(number, |(&first, _)| first);
        let after = number.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(first, after.unwrap_or(number));
        true
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether the number lies in or below the lowest run.
    pub fn is_in_lowest(&self, number: u64) -> bool {
        self.0.first_key_value().is_some_and(|(_, &last)| number <= last)
    }

    /// Closes the lowest holes until there are at most `most` runs: numbers in a closed hole count as in it.
    pub fn close_holes(&mut self, most: usize) {
        while self.0.len() > most.max(1) {
            let Some((first, _)) = self.0.pop_first() else { return };
            let Some((_, last)) = self.0.pop_first() else { return };
            self.0.insert(first, last);
        }
    }
}

impl From<Vec<(u64, u64)>> for Runs {
    fn from(runs: Vec<(u64, u64)>) -> Runs {
        Runs(runs.into_iter().collect())
    }
}

impl From<Runs> for Vec<(u64, u64)> {
    fn from(runs: Runs) -> Self {
        runs.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn runs_are_a_set(numbers in proptest::collection::vec(0u64..40, 0..80)) {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(runs.insert(number), set.insert(number));
                let again = Runs::from(Vec::from(runs.clone()));
                prop_assert_eq!(&again, &runs);
                prop_assert!(runs.0.iter().zip(runs.0.iter().skip(1)).all(|(a, b)| a.1 + 1 < *b.0));
            }
            prop_assert!((0..41).all(|number| runs.contains(number) == set.contains(&number)));
        }
    }

    #[test]
    fn only_the_lowest_holes_are_closed() {
        let mut runs = Runs::default();
        for number in [1, 3, 5, 7, u64::MAX, 0] {
            runs.insert(number);
        }
        runs.close_holes(3);
        assert_eq!(Vec::from(runs.clone()), [(0, 5), (7, 7), (u64::MAX, u64::MAX)]);
        assert!(runs.contains(4) && !runs.contains(6));
    }
}
