//! Opens what is there: learns what is alive, cuts off a torn end, steps over damage, puts aside what it cannot know.
//! Nothing on the disk keeps a journal from being opened, except a disk that does not let itself be read or written.

use super::books::{Books, NAMES};
use super::bounds::Bounds;
use super::clock::Clock;
use super::codec::{BadPreface, PREFACE, Preface};
use super::core::{Core, State, Volume, first};
use super::failure::Failure;
use super::ledger::{BadLedger, Ledger};
use super::notice::{Damage, Gap, What};
use super::pen::Pen;
use super::record::Position;
use super::scan::{Survey, survey};
use super::shelf::{Segment, Shelf};
use super::store::{ASIDE, Medium, Read, Store, read};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// So far the next position lies behind the last one after a crash: farther than there could be records that somebody
/// has read and the disk has not kept. Thus no position is given twice.
pub(crate) const LEAP: u64 = 1 << 24;

/// An open journal.
pub(crate) struct Opened {
    pub(crate) core: Core,
    pub(crate) pen: Pen,
    pub(crate) books: Books,
    pub(crate) damage: Vec<Damage>,
}

/// One segment file that could be read.
struct Part {
    name: String,
    preface: Preface,
    medium: Arc<dyn Medium>,
}

/// A file that was written by a newer version.
struct Newer(u16);

/// What is known so far.
struct Opening {
    store: Arc<dyn Store>,
    damage: Vec<Damage>,
    /// Whether the last file that was looked at has no whole record at its end.
    torn: bool,
}

/// Opens the journal in a store.
pub(crate) fn open(store: Arc<dyn Store>, bounds: Bounds, clock: Clock) -> Result<Opened, Failure> {
    let mut opening = Opening { store, damage: Vec::new(), torn: false };
    let result = opening.load(bounds, clock);
    result.map_err(|why| Failure::disk(opening.store.path("").display().to_string(), why))
}

impl Opening {
    fn load(&mut self, bounds: Bounds, clock: Clock) -> io::Result<Opened> {
        let mut names = self.store.list()?;
        names.sort();
        let highest = names.iter().filter_map(|name| first(name)).max();
        if names.iter().any(|name| name == ASIDE) {
            self.store.remove(ASIDE)?;
        }
        match self.ledger(&names).and_then(|ledger| Ok((ledger, self.parts(&names)?))) {
            Ok((ledger, parts)) => self.shelve(bounds, clock, ledger?, parts?),
            Err(Newer(format)) => {
                self.put_all_aside(&names, format)?;
                let next = Position(highest.map_or(1, |first| first.0 + LEAP));
                let ledger = Ledger { next, ..Ledger::default() };
                self.shelve(bounds, clock, Some(ledger), Vec::new())
            }
        }
    }

    /// The newest whole ledger.
    fn ledger(&mut self, names: &[String]) -> Result<io::Result<Option<Ledger>>, Newer> {
        let mut newest: Option<Ledger> = None;
        for name in NAMES.iter().filter(|name| names.iter().any(|there| there == *name)) {
            match self.bytes(name).map(|bytes| Ledger::decode(&bytes)) {
                Err(why) => return Ok(Err(why)),
                Ok(Err(BadLedger::Newer(format))) => return Err(Newer(format)),
                Ok(Err(BadLedger::Damaged)) => self.tell(name, 0, What::Ledger),
                Ok(Ok(ledger)) => {
                    let is_newer = newest.as_ref().is_none_or(|other| other.generation < ledger.generation);
                    newest = if is_newer { Some(ledger) } else { newest };
                }
            }
        }
        Ok(Ok(newest))
    }

    fn bytes(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(start(&*self.store.open(name)?, MAX_FILE)?.bytes)
    }

    fn parts(&mut self, names: &[String]) -> Result<io::Result<Vec<Part>>, Newer> {
        let mut parts = Vec::new();
        for name in names.iter().filter(|name| first(name).is_some()) {
            match self.part(name)? {
                Err(why) => return Ok(Err(why)),
                Ok(part) => parts.extend(part),
            }
        }
        Ok(Ok(parts))
    }

    fn part(&mut self, name: &str) -> Result<io::Result<Option<Part>>, Newer> {
        let opened = self.store.open(name).and_then(|medium| Ok((start(&*medium, PREFACE as u64)?, medium)));
        let (read, medium) = match opened {
            Err(why) => return Ok(Err(why)),
            Ok(opened) => opened,
        };
        match Preface::decode(&read.bytes) {
            Ok((preface, both)) => {
                if !both {
                    self.tell(name, 0, What::Preface);
                }
                Ok(Ok(Some(Part { name: name.into(), preface, medium })))
            }
            Err(BadPreface::Newer(format)) => Err(Newer(format)),
            Err(BadPreface::Short) => {
                self.tell(name, 0, What::TornTail { bytes: read.bytes.len() as u64 });
                Ok(self.store.remove(name).map(|()| None))
            }
            Err(BadPreface::Damaged) => Ok(self.put_aside(name).map(|aside| {
                self.tell(name, 0, What::PutAside { name: aside });
                None
            })),
        }
    }

    fn shelve(&mut self, bounds: Bounds, clock: Clock, kept: Option<Ledger>, parts: Vec<Part>) -> io::Result<Opened> {
        let ledger = kept.clone().unwrap_or_default();
        let mut shelf = Shelf::new(bounds, ledger.past, ledger.sources.into(), ledger.consumers);
        shelf.consumers.values_mut().for_each(super::cursor::Cursor::rewind);
        let (mut volumes, mut second) = (BTreeMap::new(), ledger.second);
        let parts = self.without_leftovers(parts)?;
        let mut pen = Pen::default();
        for (n, part) in parts.iter().enumerate() {
            let Preface { first, salt, .. } = part.preface;
            let volume = Volume { medium: part.medium.clone(), salt };
            let read = start(&*part.medium, MAX_FILE)?;
            // One of which the disk does not give everything is left alone.
            let is_open = n + 1 == parts.len() && read.whole;
            second = second.max(self.take_in(part, &read.bytes, is_open, &mut shelf));
            if is_open {
                let length = shelf.segments.last().expect("it is on the shelf").bytes;
                if length < read.bytes.len() as u64 {
                    volume.medium.cut(length)?;
                }
                pen = Pen::at(volume.clone(), first, length);
            }
            volumes.insert(first, volume);
        }
        let next = next(&shelf, kept.as_ref(), parts.len());
        shelf.open_at(next);
        // Without an orderly end nobody knows whether the disk has what can be read: it may be in the cache of a system
        // that has forgotten that it could not write it. So it is written anew before anybody is told that it is kept.
        pen.spoilt = pen.volume.is_some() && (!ledger.closed || self.store.sync().is_err());
        let books = Books { generation: ledger.generation, closed: ledger.closed };
        let known = self.damage.iter().map(|damage| (damage.file.clone(), damage.offset)).collect();
        let state = State { shelf, volumes, notices: Vec::new(), known, seen: None, unwritten: true, asked: false };
        let core = Core::new(self.store.clone(), state, clock, second);
        Ok(Opened { core, pen, books, damage: std::mem::take(&mut self.damage) })
    }

    /// Without those in whose place another one was written.
    fn without_leftovers(&self, parts: Vec<Part>) -> io::Result<Vec<Part>> {
        let mut kept: Vec<Part> = Vec::new();
        for part in parts {
            match kept.last() {
                Some(before) if part.preface.first <= before.preface.until => self.store.remove(&part.name)?,
                _ => kept.push(part),
            }
        }
        Ok(kept)
    }

    /// Puts the records of a file on the shelf; says when the newest was appended.
    fn take_in(&mut self, part: &Part, bytes: &[u8], is_open: bool, shelf: &mut Shelf) -> u32 {
        let Preface { first, until, salt } = part.preface;
        let survey = survey(bytes, PREFACE, salt, first.before());
        if self.torn {
            shelf.damaged(Gap { from: shelf.next, to: first.before() });
        }
        self.torn = survey.torn.is_some();
        shelf.segments.push(Segment::new(first, until));
        survey.entries.iter().for_each(|(at, entry)| shelf.take_in(entry, *at as u64));
        self.tell_survey(part, bytes.len(), &survey, is_open);
        survey.gaps.iter().for_each(|&gap| shelf.damaged(gap));
        let segment = shelf.segments.last_mut().expect("one was pushed");
        segment.bytes = survey.torn.unwrap_or(bytes.len()) as u64;
        segment.last = segment.last.max(survey.last().unwrap_or_default());
        shelf.next = shelf.next.max(segment.last.next());
        survey.entries.last().map_or(0, |(_, entry)| entry.second)
    }

    fn tell_survey(&mut self, part: &Part, length: usize, survey: &Survey, is_cut: bool) {
        for &(at, size) in &survey.damaged {
            self.tell(&part.name, at as u64, What::Record { bytes: size as u64 });
        }
        if let Some(at) = survey.torn {
            let bytes = (length - at) as u64;
            self.tell(&part.name, at as u64, if is_cut { What::TornTail { bytes } } else { What::Record { bytes } });
        }
    }

    fn put_all_aside(&mut self, names: &[String], format: u16) -> io::Result<()> {
        self.damage.clear();
        for name in names.iter().filter(|name| first(name).is_some() || NAMES.contains(&name.as_str())) {
            let aside = self.put_aside(name)?;
            self.tell(name, 0, What::Newer { name: aside, format });
        }
        self.store.sync()
    }

    fn put_aside(&self, file: &str) -> io::Result<String> {
        let names = self.store.list()?;
        let free = (1u32..).map(|n| format!("{file}.aside-{n}")).find(|name| !names.contains(name));
        let name = free.expect("there are more numbers than files");
        self.store.rename(file, &name).map(|()| name)
    }

    fn tell(&mut self, name: &str, offset: u64, what: What) {
        self.damage.push(Damage { file: self.store.path(name), offset, what });
    }
}

/// The start of a file. One of which the disk gives nothing is one of zeros.
fn start(medium: &dyn Medium, most: u64) -> io::Result<Read> {
    let length = medium.length()?.min(most);
    Ok(read(medium, 0, length).unwrap_or_else(|_| Read { bytes: vec![0; length as usize], whole: false }))
}

/// So much of a file is read: more than any segment or ledger of ours has.
const MAX_FILE: u64 = 2 * super::bounds::MAX_SEGMENT;

/// The position that is given next. Right behind the last one only if the journal was closed in order.
fn next(shelf: &Shelf, ledger: Option<&Ledger>, segments: usize) -> Position {
    let Some(ledger) = ledger else {
        return if segments == 0 { Position(1) } else { Position(shelf.next.0 + LEAP) };
    };
    if ledger.closed && shelf.next <= ledger.next {
        return ledger.next;
    }
    let cursors = shelf.consumers.values().map(super::cursor::Cursor::next).max();
    let known = shelf.next.max(ledger.next).max(cursors.unwrap_or_default());
    if segments == 0 && ledger.generation == 0 { known } else { Position(known.0 + LEAP) }
}
