//! The newest record of each subject. Pure.

use crate::journal::record::{Entry, Key, Position, Record};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Where the newest record of a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) position: Position,
    pub(crate) size: u64,
    pub(crate) second: u32,
    pub(crate) expires: u64,
    /// A digest of the run of the program that made it; another one has the same once in 2^64.
    source: u64,
    sequence: u64,
}

/// Subjects to the newest record of each, and the same by age.
#[derive(Debug, Default)]
pub(crate) struct Subjects {
    newest: BTreeMap<Arc<str>, Held>,
    order: BTreeMap<Position, Arc<str>>,
    /// None of them expires before.
    expires: Option<u64>,
}

impl Subjects {
    /// Puts a record in the place of the older one of its subject, which is given back.
    pub(crate) fn put(&mut self, entry: &Entry, size: u64) -> Option<Held> {
        let Entry { position, second, record } = entry;
        let subject: Arc<str> = record.subject.as_str().into();
        let expires = record.expires.unwrap_or(u64::MAX);
        let (source, sequence) = (digest(&record.key), record.key.sequence);
        let held = Held { position: *position, size, second: *second, expires, source, sequence };
        self.expires = Some(self.expires.map_or(expires, |soonest| soonest.min(expires)));
        self.order.insert(*position, subject.clone());
        let old = self.newest.insert(subject, held)?;
        self.order.remove(&old.position);
        Some(old)
    }

    pub(crate) fn is_newest(&self, entry: &Entry) -> bool {
        self.newest.get(entry.record.subject.as_str()).is_some_and(|held| held.position == entry.position)
    }

    /// Where the newest record of its subject is, if this one is of the same run of a program and not newer; whether it
    /// is that very record.
    pub(crate) fn outdates(&self, record: &Record) -> Option<(Position, bool)> {
        let held = self.newest.get(record.subject.as_str())?;
        let is_old = held.sequence >= record.key.sequence && held.source == digest(&record.key);
        is_old.then_some((held.position, held.sequence == record.key.sequence))
    }

    pub(crate) fn positions(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<Position> {
        self.order.iter().filter(|(_, subject)| wanted(subject)).map(|(&position, _)| position).collect()
    }

    pub(crate) fn oldest(&self) -> Option<Held> {
        self.order.first_key_value().and_then(|(_, subject)| self.newest.get(subject)).copied()
    }

    pub(crate) fn remove(&mut self, position: Position) {
        if let Some(subject) = self.order.remove(&position) {
            self.newest.remove(&subject);
        }
    }

    /// Takes away what is expired.
    pub(crate) fn expire(&mut self, unix: u64) -> Vec<Held> {
        if self.expires.is_none_or(|soonest| soonest > unix) {
            return Vec::new();
        }
        let expired: Vec<Held> = self.newest.values().filter(|held| held.expires <= unix).copied().collect();
        expired.iter().for_each(|held| self.remove(held.position));
        self.expires = self.newest.values().map(|held| held.expires).min();
        expired
    }
}

/// Of the run of a program.
fn digest(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&key.node, key.epoch).hash(&mut hasher);
    hasher.finish()
}
