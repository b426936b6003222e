//! What becomes of the records of a batch: refused, known already, or to be written. Pure.

use super::codec;
use super::failure::Failure;
use super::record::{Key, MAX_BODY, MAX_SUBJECT, Position, Record};
use super::shelf::Shelf;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What an `append` is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The record is kept, there.
    Stored(Position),
    /// A record of this key was kept before, or a newer state of its subject by the same run of its program; where it is,
    /// if it is not too long ago.
    Already(Option<Position>),
}

/// The answers to the records of one append.
pub(crate) type Answers = Vec<Result<Appended, Failure>>;

/// What becomes of one record of a batch.
pub(crate) enum Verdict {
    Done(Result<Appended, Failure>),
    Fresh(usize),
    /// The same key as that fresh one.
    Twin(usize),
}

/// What becomes of each record, and those of them that are to be written.
pub(crate) fn judge(records: Vec<Record>, shelf: &Shelf) -> (Vec<Verdict>, Vec<Record>) {
    // One alone, as there mostly is, has no twin.
    let mut keys = (records.len() > 1).then(BTreeMap::new);
    let verdicts: Vec<Verdict> = records.iter().map(|record| verdict(record, shelf, keys.as_mut())).collect();
    drop(keys);
    if verdicts.iter().all(|verdict| matches!(verdict, Verdict::Fresh(_))) {
        return (verdicts, records);
    }
    let fresh = records.into_iter().zip(&verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Fresh(_)));
    let fresh = fresh.map(|(record, _)| record).collect();
    (verdicts, fresh)
}

/// The answers, when it is known where the fresh records are.
pub(crate) fn answers(verdicts: Vec<Verdict>, stored: &[Result<Position, Failure>]) -> Answers {
    let answer = |verdict| match verdict {
        Verdict::Done(answer) => answer,
        Verdict::Fresh(n) => stored[n].clone().map(Appended::Stored),
        Verdict::Twin(n) => stored[n].clone().map(|position| Appended::Already(Some(position))),
    };
    verdicts.into_iter().map(answer).collect()
}

/// What becomes of a record, after those whose `keys` are in the same batch.
fn verdict<'a>(record: &'a Record, shelf: &Shelf, keys: Option<&mut BTreeMap<&'a Key, usize>>) -> Verdict {
    if let Err(why) = check(record, shelf.bounds.record()) {
        return Verdict::Done(Err(why));
    }
    if let Some(place) = shelf.knows(record) {
        return Verdict::Done(Ok(Appended::Already(place)));
    }
    let Some(keys) = keys else { return Verdict::Fresh(0) };
    let number = keys.len();
    match keys.entry(&record.key) {
        Entry::Occupied(twin) => Verdict::Twin(*twin.get()),
        Entry::Vacant(free) => Verdict::Fresh(*free.insert(number)),
    }
}

/// Whether a record can be kept.
fn check(record: &Record, most: u64) -> Result<(), Failure> {
    let refuse = |why: String| Err(Failure::Record { key: record.key.to_string(), why });
    let (subject, body, size) = (record.subject.len(), record.body.len(), codec::size(record) as u64);
    match () {
        () if subject > MAX_SUBJECT => refuse(format!("a subject of {subject} bytes; at most {MAX_SUBJECT} are kept")),
        () if body > MAX_BODY => refuse(format!("a body of {body} bytes; at most {MAX_BODY} are kept")),
        () if size > most => refuse(format!("{size} bytes; in segments of this size at most {most}, make them larger")),
        () => Ok(()),
    }
}
