//! Writes segments anew: several as one, of their live records only, or one that a failed sync has spoilt. The new file
//! takes its place by a rename, so there is always one of the two.

use super::codec::{self, PREFACE, Preface};
use super::core::{Core, Volume, name};
use super::failure::Failure;
use super::pen::ASIDE;
use super::record::{Entry, Position};
use super::scan::survey;
use super::shelf::Segment;
use super::store::{Medium, read_all};
use std::io;
use std::ops::Range;
use std::sync::Arc;

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

    fn add(&mut self, entry: &Entry) {
        let at = self.bytes.len();
        codec::encode(entry, self.preface.salt, &mut self.bytes);
        self.segment.add(entry, at as u64, (self.bytes.len() - at) as u64, true);
    }
}

/// Makes one segment of several; gives its file.
pub(crate) fn rewrite(core: &Core, old: Range<usize>) -> Result<Volume, Failure> {
    let parts = core.lock().shelf.segments[old.clone()].to_vec();
    let (start, end) = (parts.first().expect("some segments"), parts.last().expect("some segments"));
    let mut draft = Draft::new(start.first, end.last);
    for part in &parts {
        live(core, part)?.iter().for_each(|entry| draft.add(entry));
    }
    let medium = place(core, &draft).map_err(|why| core.refused(&name(start.first), why))?;
    let volume = Volume { medium, salt: draft.preface.salt };
    exchange(core, old, &parts, draft.segment, &volume);
    core.store.sync().map_err(|why| core.refused(&name(start.first), why))?;
    for part in &parts[1..] {
        core.store.remove(&name(part.first)).map_err(|why| core.refused(&name(part.first), why))?;
    }
    Ok(volume)
}

/// The live records of a segment.
fn live(core: &Core, segment: &Segment) -> Result<Vec<Entry>, Failure> {
    let Volume { medium, salt } = core.lock().volumes.get(&segment.first).expect("each segment has its file").clone();
    let name = name(segment.first);
    let mut bytes = read_all(&*medium, segment.bytes).map_err(|why| core.refused(&name, why))?;
    bytes.resize(segment.bytes as usize, 0);
    let survey = survey(&bytes, PREFACE, salt, segment.first.before());
    core.tell_survey(segment.first, 0, &survey, Some(segment.last));
    let mut entries: Vec<Entry> = survey.entries.into_iter().map(|(_, entry)| entry).collect();
    let (unix, state) = (core.now().unix, core.lock());
    entries.retain(|entry| state.shelf.is_alive(entry) && !entry.is_expired(unix));
    Ok(entries)
}

fn place(core: &Core, draft: &Draft) -> io::Result<Arc<dyn Medium>> {
    let written = core.store.create(ASIDE).and_then(|medium| {
        medium.write_at(0, &draft.bytes)?;
        medium.sync()?;
        Ok(medium)
    });
    if written.is_err() {
        let _ = core.store.remove(ASIDE);
    }
    let medium = written?;
    core.store.rename(ASIDE, &name(draft.preface.first))?;
    Ok(medium)
}

fn exchange(core: &Core, old: Range<usize>, parts: &[Segment], new: Segment, volume: &Volume) {
    let mut state = core.lock();
    for part in parts {
        state.volumes.remove(&part.first);
    }
    state.volumes.insert(new.first, volume.clone());
    state.shelf.replace(old, new);
}
