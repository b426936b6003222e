//! What is kept and what goes. Pure: records and times in, decisions out; the writer performs them.
//!
//! What always holds: within a class the oldest go first, so one position says it all: at or before the `floor` of its
//! class a record is dead. The live bytes of a class are at most its bound after each [`Shelf::retire`].

mod recent;
mod segment;
mod subjects;

use super::bounds::Bounds;
use super::codec;
use super::cursor::Cursor;
use super::notice::{Bounded, Dropped, Gap, MAX_UNREAD};
use super::record::{Entry, Keep, Position, Record};
use super::sources::{Known, Sources};
use recent::Recent;
pub(crate) use segment::{MARK_EVERY, Segment, Share};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use subjects::{Held, Subjects};

/// Two clocks: one for ages, one for what expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Seconds that journals at this place have been open.
    pub(crate) second: u32,
    /// Seconds since 1970.
    pub(crate) unix: u64,
}

/// So many places of damage are remembered to tell their gap.
const MAX_DAMAGED: usize = 64;

/// So many small segments beside each other become one.
const MANY: usize = 8;

/// What of the shelf cannot be learnt from the segments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Past {
    /// Of each class: here and before everything is dead.
    pub(crate) floors: [Position; 3],
    /// Of each class: what was dropped because of a bound.
    pub(crate) dropped: [Option<Gap>; 3],
    /// What was damaged.
    pub(crate) damaged: Vec<Gap>,
    /// Of each class: how many were dropped.
    pub(crate) counts: [u64; 3],
}

/// The next thing to do with the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tidy {
    /// Nothing in these is alive.
    Remove(Vec<usize>),
    /// These are to become one, of their live records only.
    Rewrite(Range<usize>),
}

/// All that is kept.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) bounds: Bounds,
    /// In order; the last one is open.
    pub(crate) segments: Vec<Segment>,
    pub(crate) past: Past,
    pub(crate) sources: Sources,
    pub(crate) consumers: BTreeMap<Box<str>, Cursor>,
    pub(crate) recent: Recent,
    /// The position that is given next.
    pub(crate) next: Position,
    subjects: Subjects,
    alive: [u64; 3],
    /// What is too old now is gone.
    retired: Option<Now>,
}

impl Shelf {
    pub(crate) fn new(bounds: Bounds, past: Past, sources: Sources, consumers: BTreeMap<Box<str>, Cursor>) -> Shelf {
        Shelf {
            recent: Recent::new(Position::START, bounds.recent),
            bounds,
            segments: Vec::new(),
            past,
            sources,
            consumers,
            next: Position(1),
            subjects: Subjects::default(),
            alive: [0; 3],
            retired: None,
        }
    }

    /// All records before `next` were taken in; from here on the newest are kept in memory, too.
    pub(crate) fn open_at(&mut self, next: Position) {
        self.next = next;
        self.recent = Recent::new(next, self.bounds.recent);
    }

    /// A record stands in the last segment.
    pub(crate) fn take_in(&mut self, entry: &Entry, at: u64) {
        let (size, keep) = (codec::size(&entry.record) as u64, entry.record.class.keep);
        let alive = entry.position > self.past.floors[keep.index()];
        if alive && keep == Keep::LatestPerSubject {
            self.supersede(entry, size);
        }
        self.alive[keep.index()] += if alive { size } else { 0 };
        self.sources.insert(&entry.record.key, entry.position);
        self.next = self.next.max(entry.position.next());
        self.segments.last_mut().expect("a record stands in a segment").add(entry, at, size, alive);
    }

    /// A record was just written to the last segment.
    pub(crate) fn append(&mut self, entry: Arc<Entry>, at: u64) {
        self.take_in(&entry, at);
        self.recent.push(entry);
    }

    fn supersede(&mut self, entry: &Entry, size: u64) {
        if let Some(old) = self.subjects.put(entry, size) {
            self.bury(old);
        }
    }

    fn bury(&mut self, held: Held) {
        let keep = Keep::LatestPerSubject;
        self.alive[keep.index()] -= held.size;
        if let Some(segment) = self.segment_of(held.position) {
            self.segments[segment].bury(keep, held.size);
        }
    }

    fn segment_of(&self, position: Position) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first <= position).checked_sub(1)
    }

    /// The first segment that may hold `position` or something behind it.
    pub(crate) fn segment_from(&self, position: Position) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|segment| segment.last < position))
    }

    /// Where the newest segments with so many bytes begin.
    pub(crate) fn tail(&self, bytes: u64) -> Position {
        let mut seen = 0;
        let enough = self.segments.iter().rev().find(|segment| {
            seen += segment.bytes;
            seen > bytes
        });
        enough.or(self.segments.first()).map_or(self.next, |segment| segment.first)
    }

    /// Whether a record is kept for anybody.
    pub(crate) fn is_alive(&self, entry: &Entry) -> bool {
        let keep = entry.record.class.keep;
        entry.position > self.past.floors[keep.index()]
            && (keep != Keep::LatestPerSubject || self.subjects.is_newest(entry))
    }

    /// Whether a record was here, as far as that is known: none if it was not; else where it is, if that is known.
    pub(crate) fn knows(&self, record: &Record) -> Option<Option<Position>> {
        let is_state = record.class.keep == Keep::LatestPerSubject;
        // A state may come late, when it is asked for only then: what is kept of its subject knows best.
        match is_state.then(|| self.subjects.outdates(record)).flatten() {
            Some((position, same)) => Some(same.then_some(position)),
            None => match self.sources.knows(&record.key) {
                Known::No => None,
                Known::Perhaps => self.recent.find(&record.key).map(Some),
                Known::Surely => Some(self.recent.find(&record.key)),
            },
        }
    }

    /// Where the newest record of each subject is that is `wanted`.
    pub(crate) fn latest(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<Position> {
        self.subjects.positions(wanted)
    }

    /// The bytes of all segments.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether the files take more than they may; room for one that is written anew is left.
    pub(crate) fn is_over(&self) -> bool {
        self.bytes() + self.bounds.segment > self.bounds.disk()
    }

    /// Of what lies from `from` to before `next`, which part is lost.
    pub(crate) fn gap(&self, from: Position, next: Position) -> Option<Gap> {
        let known = self.past.dropped.iter().flatten().chain(&self.past.damaged);
        let inside = known.filter(|gap| gap.to >= from && gap.from < next);
        let clipped = inside.map(|gap| Gap { from: gap.from.max(from), to: gap.to.min(next.before()) });
        clipped.reduce(Gap::and)
    }

    /// Remembers that there is nothing to be read any more between these.
    pub(crate) fn damaged(&mut self, gap: Gap) {
        if gap.from > gap.to || self.past.damaged.contains(&gap) {
            return;
        }
        self.past.damaged.push(gap);
        if self.past.damaged.len() > MAX_DAMAGED {
            let (one, other) = (self.past.damaged.remove(0), self.past.damaged[0]);
            self.past.damaged[0] = one.and(other);
        }
    }

    /// Drops what is too much, too old or expired.
    pub(crate) fn retire(&mut self, now: Now) -> Vec<Dropped> {
        let mut dropped = Vec::new();
        let is_too_much = |keep: Keep| self.alive[keep.index()] > self.bounds.of(keep).bytes;
        if self.retired.replace(now) == Some(now) && !Keep::EACH.into_iter().any(is_too_much) {
            return dropped;
        }
        self.bury_expired(now);
        for keep in Keep::EACH {
            while let Some((by, share)) = self.surplus(keep, now) {
                dropped.extend(self.drop_share(keep, by, share));
            }
        }
        dropped
    }

    /// The oldest of a class, if they have to go.
    fn surplus(&self, keep: Keep, now: Now) -> Option<(Option<Bounded>, Share)> {
        let share = self.oldest(keep)?;
        let bound = self.bounds.of(keep);
        let age = u64::from(now.second.saturating_sub(share.newest));
        let by = match () {
            () if share.expires <= now.unix => None,
            () if self.alive[keep.index()] > bound.bytes => Some(Bounded::Bytes),
            () if age > bound.age.as_secs() => Some(Bounded::Age),
            () => return None,
        };
        Some((by, share))
    }

    fn oldest(&self, keep: Keep) -> Option<Share> {
        if keep != Keep::LatestPerSubject {
            return self.segments.iter().map(|segment| segment.share(keep)).find(|share| share.count > 0);
        }
        let Held { position, size, second, expires, .. } = self.subjects.oldest()?;
        Some(Share { count: 1, bytes: size, first: position, last: position, newest: second, expires })
    }

    fn drop_share(&mut self, keep: Keep, by: Option<Bounded>, share: Share) -> Option<Dropped> {
        self.past.floors[keep.index()] = share.last;
        let segment = self.segment_of(share.last).expect("a share is of a segment");
        if keep == Keep::LatestPerSubject {
            self.subjects.remove(share.last);
            self.segments[segment].bury(keep, share.bytes);
        } else {
            self.segments[segment].clear(keep);
        }
        self.alive[keep.index()] -= share.bytes;
        by.map(|by| self.dropped(keep, by, share))
    }

    fn dropped(&mut self, keep: Keep, by: Bounded, share: Share) -> Dropped {
        let Share { count, bytes, first, last, .. } = share;
        let gap = &mut self.past.dropped[keep.index()];
        *gap = Some(Gap { from: gap.map_or(first, |gap| gap.from), to: last });
        self.past.counts[keep.index()] += count;
        let behind = self.consumers.iter().filter(|(_, cursor)| cursor.waits_at() <= last);
        let mut behind = behind.map(|(name, _)| String::from(&**name));
        let unread_by = behind.by_ref().take(MAX_UNREAD).collect();
        Dropped { keep, by, count, bytes, from: first, to: last, unread_by, unread_by_more: behind.count() }
    }

    fn bury_expired(&mut self, now: Now) {
        for held in self.subjects.expire(now.unix) {
            self.bury(held);
        }
    }

    /// Whether the open segment is to be closed before so many bytes are appended.
    pub(crate) fn is_full(&self, open: &Segment, more: u64, now: Now) -> bool {
        let old = open.begun.is_some_and(|begun| now.second.saturating_sub(begun) >= self.bounds.turn());
        open.begun.is_some() && (old || open.bytes + more > self.bounds.segment)
    }

    /// The next thing to do with the closed segments: so each of them stays at least half alive, and they stay few.
    pub(crate) fn tidy(&self) -> Option<Tidy> {
        let (_, closed) = self.segments.split_last()?;
        let dead: Vec<usize> = (0..closed.len()).filter(|&at| closed[at].alive() == 0).collect();
        if !dead.is_empty() {
            return Some(Tidy::Remove(dead));
        }
        let half_dead = (0..closed.len()).find(|&start| is_half_dead(&closed[start]));
        let start = half_dead.or_else(|| (0..closed.len()).find(|&start| self.fit(&closed[start..]) >= MANY))?;
        Some(Tidy::Rewrite(start..start + self.fit(&closed[start..]).max(1)))
    }

    /// How many of these, from the first on, have room in one.
    fn fit(&self, segments: &[Segment]) -> usize {
        let room = self.bounds.segment - codec::PREFACE as u64;
        let sums = segments.iter().scan(0, |sum, segment| {
            *sum += segment.alive();
            (*sum <= room).then_some(())
        });
        sums.count()
    }

    /// One segment stands in the place of several.
    pub(crate) fn replace(&mut self, old: Range<usize>, new: Segment) {
        for keep in Keep::EACH {
            let before: u64 = self.segments[old.clone()].iter().map(|segment| segment.share(keep).bytes).sum();
            self.alive[keep.index()] = self.alive[keep.index()] - before + new.share(keep).bytes;
        }
        self.segments.splice(old, [new]);
    }
}

fn is_half_dead(segment: &Segment) -> bool {
    2 * segment.alive() <= segment.bytes - codec::PREFACE as u64
}
