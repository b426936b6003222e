//! What peers are still to be told that they missed. The cursor has passed over it, so a link that breaks before the peer
//! has acknowledged the news must not take it along. Pure.

use std::collections::BTreeMap;
use std::rc::Rc;

/// By consumer: the batch that tells of it, if it is on its way, and how many events.
#[derive(Debug, Default)]
pub(super) struct Owed(BTreeMap<Rc<str>, Vec<(Option<u64>, u64)>>);

impl Owed {
    /// Whether there is something for it that is not on its way.
    pub(super) fn is_due(&self, consumer: &str) -> bool {
        self.0.get(consumer).is_some_and(|all| all.iter().any(|(batch, _)| batch.is_none()))
    }

    /// The batch of that number goes, and tells of `count` and of what is due; of how many together.
    pub(super) fn send(&mut self, consumer: &Rc<str>, number: u64, count: u64) -> u64 {
        let due = if self.is_due(consumer) { self.0.get_mut(consumer) } else { None };
        let again: u64 = due.map_or(0, |all| all.extract_if(.., |(batch, _)| batch.is_none()).map(|(_, n)| n).sum());
        let lost = count.saturating_add(again);
        if lost > 0 {
            self.0.entry(consumer.clone()).or_default().push((Some(number), lost));
        }
        lost
    }

    /// The peer has all batches up to that number.
    pub(super) fn kept(&mut self, consumer: &str, through: u64) {
        let Some(all) = self.0.get_mut(consumer) else { return };
        all.retain(|(batch, _)| batch.is_none_or(|number| number > through));
        if all.is_empty() {
            self.0.remove(consumer);
        }
    }

    /// Its link broke: nothing is on its way any more.
    pub(super) fn broke(&mut self, consumer: &str) {
        self.0.get_mut(consumer).into_iter().flatten().for_each(|(batch, _)| *batch = None);
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, consumer: &str) {
        self.0.remove(consumer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_acknowledged_when_the_link_broke_is_told_again() {
        let (mut owed, attic) = (Owed::default(), Rc::from("link:attic"));
        assert_eq!((owed.send(&attic, 1, 0), owed.send(&attic, 2, 5), owed.send(&attic, 3, 7)), (0, 5, 7));
        owed.kept(&attic, 2);
        assert!(!owed.is_due(&attic));
        owed.broke(&attic);
        assert!(owed.is_due(&attic));
        assert_eq!((owed.send(&attic, 1, 1), owed.send(&attic, 2, 0)), (8, 0));
        owed.broke(&attic);
        assert_eq!(owed.send(&attic, 1, 0), 8, "and once more");
        owed.kept(&attic, 1);
        assert!(owed.0.is_empty());
    }
}
