//! Writes segments anew: several as one, of their live records only, or one that a failed sync has spoilt. The new file
//! takes its place by a rename, so there is always one of the two.

use super::codec::{self, PREFACE, Preface};
use super::core::{Core, Volume, name};
use super::failure::Failure;
use super::record::{Entry, Keep, Position};
use super::scan::survey;
use super::shelf::Segment;
use super::store::{place, read};
use std::ops::Range;

/// A segment in the making.
struct Draft {
    preface: Preface,
    bytes: Vec<u8>,
    segment: Segment,
}

impl Draft {
    fn new(first: Position, until: Position) -> Draft {
        let preface = Preface { salt: fastrand::u32(..), first, until };
        Draft { preface, bytes: preface.encode().into(), segment: Segment::new(first, until) }
    }

    fn add(&mut self, entry: &Entry, is_alive: bool) {
        let at = self.bytes.len();
        codec::encode(entry, self.preface.salt, &mut self.bytes);
        self.segment.add(entry, at as u64, (self.bytes.len() - at) as u64, is_alive);
    }
}

/// What goes into the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// What is alive. The ledger has to know of the rest.
    Living,
    /// Dead records too: their keys may not be known elsewhere.
    All,
}

/// Makes one segment of several; gives its file.
pub(crate) fn rewrite(core: &Core, old: Range<usize>, take: Take) -> Result<Volume, Failure> {
    let parts = core.lock().shelf.segments[old.clone()].to_vec();
    let (start, end) = (parts.first().expect("some segments"), parts.last().expect("some segments"));
    let mut draft = Draft::new(start.first, end.last);
    for part in &parts {
        for (entry, is_alive) in records(core, part)? {
            if is_alive || take == Take::All {
                draft.add(&entry, is_alive);
            }
        }
    }
    let medium =
        place(&*core.store, &name(start.first), &draft.bytes).map_err(|why| core.refused(&name(start.first), why))?;
    let volume = Volume { medium, salt: draft.preface.salt };
    exchange(core, old, &parts, draft.segment, &volume);
    core.store.sync().map_err(|why| core.refused(&name(start.first), why))?;
    for part in &parts[1..] {
        core.store.remove(&name(part.first)).map_err(|why| core.refused(&name(part.first), why))?;
    }
    Ok(volume)
}

/// The records of a segment, and whether they are alive.
fn records(core: &Core, segment: &Segment) -> Result<Vec<(Entry, bool)>, Failure> {
    let Volume { medium, salt } = core.lock().volumes.get(&segment.first).expect("each segment has its file").clone();
    let name = name(segment.first);
    let mut bytes = read(&*medium, 0, segment.bytes).map_err(|why| core.refused(&name, why))?.bytes;
    bytes.resize(segment.bytes as usize, 0);
    let survey = survey(&bytes, PREFACE, salt, segment.first.before());
    core.tell_survey(segment.first, 0, &survey, Some(segment.last));
    let (unix, state) = (core.now().unix, core.lock());
    // That a state has expired is for the shelf to find out, which counts each of them.
    let is_over = |entry: &Entry| entry.record.class.keep != Keep::LatestPerSubject && entry.is_expired(unix);
    let is_alive = |entry: &Entry| state.shelf.is_alive(entry) && !is_over(entry);
    let judged = survey.entries.into_iter().map(|(_, entry)| {
        let alive = is_alive(&entry);
        (entry, alive)
    });
    Ok(judged.collect())
}

fn exchange(core: &Core, old: Range<usize>, parts: &[Segment], new: Segment, volume: &Volume) {
    let mut state = core.lock();
    for part in parts {
        state.volumes.remove(&part.first);
    }
    state.volumes.insert(new.first, volume.clone());
    state.shelf.replace(old, new);
}
