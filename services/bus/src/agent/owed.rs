//! What peers are still to be told that they missed. The cursor has passed over it, so neither a link that breaks before
//! the peer has acknowledged the news nor an agent that is killed may take it along: it is kept beside the journal, as
//! places, so that what a cursor finds once more after a crash is not counted twice.

use super::kept;
use crate::journal::{Gap, Place, Position};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

const FILE: &str = "owed.json";

/// By consumer: the batch that tells of it, if it is on its way, and what lies there.
#[derive(Debug, Default)]
pub(super) struct Owed {
    place: Option<PathBuf>,
    all: BTreeMap<Rc<str>, Vec<(Option<u64>, Gap)>>,
}

impl Owed {
    /// What an earlier run of the agent had not told.
    pub(super) fn open(place: &Place) -> Owed {
        let place = kept::beside(place, FILE);
        let text = place.as_deref().map_or(Ok(None), kept::read);
        let read = text.and_then(|text| Ok(text.map(|text| serde_json::from_str(&text)).transpose()?));
        let known: BTreeMap<String, Vec<Gap>> = read
            .unwrap_or_else(|why| {
                tracing::warn!("{FILE}: {why}; who is to be told that something was missed is not known");
                None
            })
            .unwrap_or_default();
        let due = |gaps: Vec<Gap>| gaps.into_iter().map(|gap| (None, gap)).collect();
        let all = known.into_iter().map(|(name, gaps)| (name.into(), due(gaps)));
        Owed { place, all: all.collect() }
    }

    /// Whether there is something for it that is not on its way.
    pub(super) fn is_due(&self, consumer: &str) -> bool {
        self.all.get(consumer).is_some_and(|all| all.iter().any(|(batch, _)| batch.is_none()))
    }

    /// Whether this is known already.
    pub(super) fn knows(&self, consumer: &str, gap: Gap) -> bool {
        self.all.get(consumer).is_some_and(|all| all.iter().any(|(_, one)| one.from <= gap.from && gap.to <= one.to))
    }

    /// The batch of that number goes, and tells of a gap and of what is due; of how many events together.
    pub(super) fn send(&mut self, consumer: &Rc<str>, number: u64, gap: Option<Gap>) -> u64 {
        let due = if self.is_due(consumer) { self.all.get_mut(consumer) } else { None };
        let again: Vec<Gap> = due
            .map_or(Vec::new(), |all| all.extract_if(.., |(batch, _)| batch.is_none()).map(|(_, gap)| gap).collect());
        let gaps = union(again.into_iter().chain(gap).collect());
        if gaps.is_empty() {
            return 0;
        }
        let lost = gaps.iter().map(|gap| gap.count()).fold(0, u64::saturating_add);
        self.all.entry(consumer.clone()).or_default().extend(gaps.into_iter().map(|gap| (Some(number), gap)));
        if gap.is_some() {
            self.write();
        }
        lost
    }

    /// The peer has all batches up to that number.
    pub(super) fn kept(&mut self, consumer: &str, through: u64) {
        let Some(all) = self.all.get_mut(consumer) else { return };
        let before = all.len();
        all.retain(|(batch, _)| batch.is_none_or(|number| number > through));
        let changed = all.len() < before;
        if all.is_empty() {
            self.all.remove(consumer);
        }
        if changed {
            self.write();
        }
    }

    /// Its link broke: nothing is on its way any more.
    pub(super) fn broke(&mut self, consumer: &str) {
        self.all.get_mut(consumer).into_iter().flatten().for_each(|(batch, _)| *batch = None);
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, consumer: &str) {
        if self.all.remove(consumer).is_some() {
            self.write();
        }
    }

    fn write(&self) {
        let Some(place) = &self.place else { return };
        let gaps = |all: &[(Option<u64>, Gap)]| all.iter().map(|(_, gap)| *gap).collect::<Vec<Gap>>();
        let all: BTreeMap<&str, Vec<Gap>> = self.all.iter().map(|(name, all)| (&**name, gaps(all))).collect();
        let text = serde_json::to_string(&all).expect("names and numbers");
        if let Err(why) = kept::jot(place, &text) {
            tracing::error!(
                "{FILE}: {why}; who is to be told that something was missed is forgotten if this program ends"
            );
        }
    }
}

/// The same places, each in one gap.
fn union(mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.sort_by_key(|gap| gap.from);
    gaps.dedup_by(|next, gap| {
        let touches = next.from <= Position(gap.to.0.saturating_add(1));
        *gap = if touches { gap.and(*next) } else { *gap };
        touches
    });
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(from: u64, to: u64) -> Option<Gap> {
        Some(Gap { from: Position(from), to: Position(to) })
    }

    #[test]
    fn what_was_not_acknowledged_when_the_link_broke_is_told_again() {
        let (mut owed, attic) = (Owed::default(), Rc::from("link:attic"));
        let sent = [owed.send(&attic, 1, None), owed.send(&attic, 2, gap(1, 5)), owed.send(&attic, 3, gap(10, 16))];
        assert_eq!(sent, [0, 5, 7]);
        owed.kept(&attic, 2);
        assert!(!owed.is_due(&attic));
        owed.broke(&attic);
        assert!(owed.is_due(&attic));
        assert_eq!((owed.send(&attic, 1, gap(20, 20)), owed.send(&attic, 2, None)), (8, 0));
        owed.broke(&attic);
        assert_eq!(owed.send(&attic, 1, None), 8, "and once more");
        owed.kept(&attic, 1);
        assert!(owed.all.is_empty());
    }

    #[test]
    fn what_was_not_acknowledged_when_the_agent_was_killed_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (place, attic) = (Place::Directory(folder.path().into()), Rc::from("link:attic"));
        let mut owed = Owed::open(&place);
        assert!(!owed.knows(&attic, Gap { from: Position(3), to: Position(9) }));
        assert_eq!(owed.send(&attic, 1, gap(3, 9)), 7);
        let mut owed = Owed::open(&place);
        assert!(owed.is_due(&attic) && owed.knows(&attic, Gap { from: Position(3), to: Position(9) }));
        assert_eq!(owed.send(&attic, 1, gap(3, 12)), 10, "the cursor was not on the disk, and finds it again");
        owed.kept(&attic, 1);
        assert!(!Owed::open(&place).is_due(&attic));
    }
}
