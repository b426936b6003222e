//! What became of each segment: the key that it has or will have, and that it is about to be sent there, written down before it is. So after a
//! crash at any point, or an answer that was lost, the same bytes go to the same key again, and no two segments ever get one key. It lies beside
//! the segments, in RAM, and goes with them; as long as a segment waits, what is known of it is kept.

use crate::key;
use crate::machine::Id;
use jiff::tz::TimeZone;
use segments::{Label, Name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The folder in the directory of all segments; no camera can be called so.
pub const FOLDER: &str = ".upload";
/// What is older than this is forgotten, once it is written down in the bucket.
const KEPT_MS: u64 = 26 * 3600 * 1000;

/// What became of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has a key, and nothing of it is there.
    Reserved,
    /// It was sent there, or is now; whether it is there is not known.
    Sending,
    /// It is there, and that was checked.
    Done,
    /// It went before it could be sent.
    Lost,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What became of it.
    pub state: State,
    /// Its key.
    pub key: String,
    /// Which of those that end in this second, from 1 on.
    pub nth: u32,
    /// The MD5 of what is sent.
    pub md5: String,
    /// What is known of it.
    pub label: Label,
}

impl Entry {
    /// It is there, or will never be.
    const fn is_settled(&self) -> bool {
        matches!(self.state, State::Done | State::Lost)
    }
}

/// What the bucket was told of an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// So many segments.
    pub count: usize,
    /// That is all.
    pub complete: bool,
}

/// An hour with segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourState {
    /// Its folder.
    pub folder: String,
    /// So many segments are there or lost.
    pub count: usize,
    /// What the bucket was told of it.
    pub told: Told,
}

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Segment(Entry),
    /// So many segments of an hour are written down in the bucket, and whether that is all.
    Hour(String, Told),
    /// When the ledger was begun: part of the names of its manifests.
    Begun(u64),
    /// The other part: a machine that does not know the time begins at the same one after each boot.
    Called(u32),
}

/// The file and what is in it.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Option<File>,
    begun: u64,
    called: u32,
    entries: BTreeMap<Id, Entry>,
    keys: BTreeSet<String>,
    hours: BTreeMap<String, Told>,
    lock: File,
}

impl Ledger {
    /// Opens that of a directory of segments.
    ///
    /// # Errors
    /// The directory cannot be written to, or another upload works there.
    pub fn open(ram_dir: &Path, now_unix_ms: u64) -> io::Result<Ledger> {
        let folder = ram_dir.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another upload works here; end that one first, or set another RAM_DIR"));
            }
            Err(TryLockError::Error(why)) => return Err(why),
        }
        let path = folder.join("ledger");
        let mut ledger = Ledger {
            file: None,
            begun: now_unix_ms,
            called: fastrand::u32(..),
            entries: BTreeMap::new(),
            keys: BTreeSet::new(),
            hours: BTreeMap::new(),
            path,
            lock,
        };
        ledger.load()?;
        // What waits is not known yet.
        ledger.compact(now_unix_ms, |_| true);
        Ok(ledger)
    }

    /// Whether it still is in the directory by that name: a RAM disk may have been mounted there since.
    pub fn is_in_place(&self) -> bool {
        let which = |about: io::Result<fs::Metadata>| about.map(|about| (about.dev(), about.ino())).ok();
        which(self.lock.metadata()) == which(self.path.with_file_name("lock").metadata())
    }

    /// What is known of a segment.
    pub fn get(&self, id: &Id) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// The key for a segment: the one that it had, or the first that is free. Says whether it may be there already.
    pub fn reserve(&mut self, zone: &TimeZone, id: &Id, label: &Label, md5: &str) -> (String, bool) {
        if let Some(entry) = self.entries.get(id).filter(|entry| entry.md5 == md5 && entry.nth > 0) {
            let in_doubt = entry.state != State::Reserved;
            // A clock that was set since makes it another key, unless something is there.
            if in_doubt || (&entry.label.clock, entry.label.end_unix_ms()) == (&label.clock, label.end_unix_ms()) {
                return (entry.key.clone(), in_doubt);
            }
        }
        (self.next_key(zone, id, label, md5, 0), false)
    }

    /// It is sent from now on; says whether it may be there already.
    pub fn sending(&mut self, id: &Id) -> bool {
        let before = self.entries.get(id).map(|entry| entry.state);
        if before == Some(State::Reserved) {
            self.becomes(id, State::Sending);
        }
        before != Some(State::Reserved)
    }

    /// The storage has refused it: it is not there.
    pub fn refused(&mut self, id: &Id) {
        self.becomes(id, State::Reserved);
    }

    /// The key after the one that turned out to be somebody else's.
    pub fn reserve_next(&mut self, zone: &TimeZone, id: &Id, label: &Label, md5: &str) -> String {
        let taken = self.entries.get(id).map_or(0, |entry| entry.nth);
        self.next_key(zone, id, label, md5, taken)
    }

    fn next_key(&mut self, zone: &TimeZone, id: &Id, label: &Label, md5: &str, taken: u32) -> String {
        let free = |nth: &u32| !self.keys.contains(&key::segment(zone, &id.camera, label, *nth));
        let nth = (taken + 1..).find(free).expect("there are more numbers than keys");
        let key = key::segment(zone, &id.camera, label, nth);
        let entry = Entry { state: State::Reserved, key: key.clone(), nth, md5: md5.into(), label: label.clone() };
        self.put(id.clone(), entry);
        key
    }

    /// It is there.
    pub fn done(&mut self, id: &Id) {
        self.becomes(id, State::Done);
    }

    fn becomes(&mut self, id: &Id, state: State) {
        if let Some(entry) = self.entries.get(id).cloned() {
            self.put(id.clone(), Entry { state, ..entry });
        }
    }

    /// It went before it was sent. One that is there already is not lost; one that may be there is so under its key if it comes back.
    pub fn lost(&mut self, zone: &TimeZone, id: &Id, label: Label) {
        match self.entries.get(id).map(|entry| entry.state) {
            Some(State::Done) => {}
            Some(State::Sending) => self.becomes(id, State::Lost),
            _ => {
                // It has no object; the key only says to which hour it belongs.
                let key = key::segment(zone, &id.camera, &label, 1);
                self.put(id.clone(), Entry { state: State::Lost, key, nth: 0, md5: label.md5.clone(), label });
            }
        }
    }

    /// All hours that are known, by their folder.
    pub fn hours(&self) -> Vec<HourState> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in self.entries.values().filter(|entry| entry.is_settled()) {
            *counts.entry(key::folder(&entry.key)).or_default() += 1;
        }
        let state = |(folder, count): (&str, usize)| HourState {
            folder: folder.into(),
            count,
            told: self.hours.get(folder).copied().unwrap_or_default(),
        };
        counts.into_iter().map(state).collect()
    }

    /// The segments of an hour that are there or lost, by their start.
    pub fn of_hour(&self, hour: &str) -> Vec<&Entry> {
        let settled = |entry: &&Entry| entry.is_settled() && key::folder(&entry.key) == hour;
        let mut all: Vec<&Entry> = self.entries.values().filter(settled).collect();
        all.sort_by_key(|entry| (entry.label.start_unix_ms, entry.label.sequence));
        all
    }

    /// The last segment of a camera that begins before then.
    pub fn before(&self, camera: &str, unix_ms: u64) -> Option<&Entry> {
        let before = |entry: &&Entry| entry.label.camera == camera && entry.label.start_unix_ms < unix_ms;
        self.entries.values().filter(before).max_by_key(|entry| entry.label.start_unix_ms)
    }

    /// The bucket has been told of an hour.
    pub fn hour_told(&mut self, hour: &str, told: Told) {
        self.hours.insert(hour.into(), told);
        self.write(&Line::Hour(hour.into(), told));
    }

    /// When it was begun, in milliseconds since 1970.
    pub const fn begun(&self) -> u64 {
        self.begun
    }

    /// By which it differs from all others that were begun at the same time.
    pub const fn called(&self) -> u32 {
        self.called
    }

    /// Forgets hours that are old and told and of which nothing waits, each as a whole: of what is left of one another list would be made.
    pub fn compact(&mut self, now_unix_ms: u64, waits: impl Fn(&Id) -> bool) {
        let untold = self.hours().into_iter().filter(|hour| hour.told.count != hour.count);
        let mut kept: BTreeSet<String> = untold.map(|hour| hour.folder).collect();
        let is_new = |entry: &Entry| entry.label.end_unix_ms().saturating_add(KEPT_MS) >= now_unix_ms;
        // At the start everything may wait that has no end yet.
        let lives = |(id, entry): &(&Id, &Entry)| is_new(entry) || (!entry.is_settled() && waits(id));
        kept.extend(self.entries.iter().filter(lives).map(|(_, entry)| key::folder(&entry.key).to_owned()));
        self.entries.retain(|_, entry| kept.contains(key::folder(&entry.key)));
        self.keys = self.entries.values().filter(|entry| entry.nth > 0).map(|entry| entry.key.clone()).collect();
        let folders: BTreeSet<&str> = self.entries.values().map(|entry| key::folder(&entry.key)).collect();
        self.hours.retain(|hour, _| folders.contains(hour.as_str()));
        if let Err(why) = self.rewrite() {
            tracing::warn!(
                "{}: {why}; after a crash segments may be sent twice, is the RAM disk full?",
                self.path.display()
            );
        }
    }

    fn put(&mut self, id: Id, entry: Entry) {
        if entry.nth > 0 {
            self.keys.insert(entry.key.clone());
        }
        self.write(&Line::Segment(entry.clone()));
        self.entries.insert(id, entry);
    }

    /// A disk that is full keeps nobody from uploading, which is what makes room.
    fn write(&mut self, line: &Line) {
        let write = |file: &mut File| -> io::Result<()> { file.write_all(&encode(line)?) };
        if let Some(Err(why)) = self.file.as_mut().map(write) {
            tracing::warn!("{}: {why}; after a crash a segment may be sent twice", self.path.display());
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        let aside = self.path.with_extension("new");
        let mut bytes = encode(&Line::Begun(self.begun))?;
        bytes.extend(encode(&Line::Called(self.called))?);
        for entry in self.entries.values() {
            bytes.extend(encode(&Line::Segment(entry.clone()))?);
        }
        for (hour, told) in &self.hours {
            bytes.extend(encode(&Line::Hour(hour.clone(), *told))?);
        }
        fs::write(&aside, bytes)?;
        fs::rename(&aside, &self.path)?;
        self.file = Some(OpenOptions::new().append(true).open(&self.path)?);
        Ok(())
    }

    /// A line that a crash tore is no line.
    fn load(&mut self) -> io::Result<()> {
        let bytes = match fs::read(&self.path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            bytes => bytes?,
        };
        for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice(line) {
                Ok(Line::Begun(begun)) => self.begun = begun,
                Ok(Line::Called(called)) => self.called = called,
                Ok(Line::Hour(hour, told)) => drop(self.hours.insert(hour, told)),
                Ok(Line::Segment(entry)) => {
                    if let Some(id) = id(&entry.label) {
                        self.entries.insert(id, entry);
                    }
                }
                Err(why) => tracing::debug!("a line of {} is torn: {why}", self.path.display()),
            }
        }
        Ok(())
    }
}

/// By which a segment with this label is known.
pub fn id(label: &Label) -> Option<Id> {
    Some(id_of(&label.camera, &label.name()?))
}

/// By which a segment of this name is known.
pub fn id_of(camera: &str, name: &Name) -> Id {
    Id { camera: camera.into(), boot: name.boot(), sequence: name.sequence() }
}

fn encode(line: &Line) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use segments::{Clock, Reason};

    pub(crate) fn label(sequence: u64, start_unix_ms: u64, duration_ms: u64) -> Label {
        Label {
            camera: "cam1".into(),
            start_unix_ms,
            duration_ms,
            frames: duration_ms * 15 / 1000,
            bytes: 100,
            width: 640,
            height: 480,
            clock: Clock::Set,
            reason: Reason::Length,
            marked: false,
            motion_percent: 0.0,
            md5: format!("{sequence:032x}"),
            dropped_frames: 0,
            boot: "0000000a".into(),
            sequence,
            monotonic_ms: start_unix_ms,
            adopted: false,
            kernel: String::new(),
        }
    }

    fn reserve(ledger: &mut Ledger, label: &Label) -> (String, bool) {
        ledger.reserve(&TimeZone::UTC, &id(label).unwrap(), label, &label.md5)
    }

    const NOW: u64 = 1_795_658_040_000;

    #[test]
    fn another_directory_in_its_place_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path(), NOW).unwrap();
        assert!(ledger.is_in_place());
        fs::rename(dir.path().join(FOLDER), dir.path().join("below")).unwrap();
        assert!(!ledger.is_in_place(), "it is gone");
        let other = Ledger::open(dir.path(), NOW).unwrap();
        assert!(!ledger.is_in_place() && other.is_in_place());
    }

    #[test]
    fn a_key_is_kept_over_a_crash_and_given_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        assert!(Ledger::open(dir.path(), NOW).unwrap_err().to_string().contains("another upload works here"));
        let (one, two) = (label(1, NOW, 20_000), label(2, NOW + 500, 20_000));
        let (first, known) = reserve(&mut ledger, &one);
        assert!(first.ends_with("/cam_1_2026_11_26_01_54_20.ts") && !known);
        let (second, _) = reserve(&mut ledger, &two);
        assert!(second.ends_with("/cam_1_2026_11_26_01_54_20_2.ts"), "they end in the same second: {second}");
        ledger.done(&id(&one).unwrap());
        drop(ledger);
        let mut file = OpenOptions::new().append(true).open(dir.path().join(".upload/ledger")).unwrap();
        file.write_all(b"{\"segment\":{\"state\":\"do").unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW + 1000).unwrap();
        assert_eq!(ledger.begun(), NOW);
        assert_eq!(reserve(&mut ledger, &one), (first, true));
        assert_eq!(reserve(&mut ledger, &two), (second, false), "it was not sent");
        assert_eq!(ledger.get(&id(&one).unwrap()).unwrap().state, State::Done);
        let next = ledger.reserve_next(&TimeZone::UTC, &id(&two).unwrap(), &two, &two.md5);
        assert!(next.ends_with("_3.ts"), "{next}");
        assert_eq!(reserve(&mut ledger, &two).0, next);
        let three = label(3, NOW, 20_900);
        assert!(reserve(&mut ledger, &three).0.ends_with("_4.ts"), "keys that were tried are not tried again");
    }

    #[test]
    fn what_was_sent_without_an_answer_may_be_there_after_a_crash_and_what_was_refused_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        let (one, two) = (label(1, NOW, 20_000), label(2, NOW + 20_000, 20_000));
        let ids = [&one, &two].map(|label| id(label).unwrap());
        let keys = [&one, &two].map(|label| reserve(&mut ledger, label).0);
        assert!(!ledger.sending(&ids[0]) && !ledger.sending(&ids[1]), "this is the first try");
        ledger.refused(&ids[1]);
        drop(ledger);
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        assert_eq!(reserve(&mut ledger, &one), (keys[0].clone(), true));
        assert_eq!(reserve(&mut ledger, &two), (keys[1].clone(), false));
        assert!(ledger.sending(&ids[0]) && !ledger.sending(&ids[1]));
        ledger.lost(&TimeZone::UTC, &ids[0], one.clone());
        assert_eq!(reserve(&mut ledger, &one), (keys[0].clone(), true), "it was only being renamed");
    }

    #[test]
    fn a_clock_that_was_set_before_it_is_sent_makes_another_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        let unset = Label { clock: Clock::Unset, ..label(1, 0, 20_000) };
        assert!(reserve(&mut ledger, &unset).0.starts_with("cam1/1970/"));
        let set = label(1, NOW, 20_000);
        let (key, in_doubt) = reserve(&mut ledger, &set);
        assert!(key.ends_with("cam_1_2026_11_26_01_54_20.ts") && !in_doubt, "{key}");
        ledger.sending(&id(&set).unwrap());
        assert_eq!(reserve(&mut ledger, &unset), (key, true), "now it has one");
    }

    #[test]
    fn what_waits_for_days_keeps_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        let old = label(1, NOW, 20_000);
        let own = id(&old).unwrap();
        reserve(&mut ledger, &old);
        ledger.sending(&own);
        ledger.compact(NOW + 2 * KEPT_MS, |id| *id == own);
        drop(ledger);
        let mut ledger = Ledger::open(dir.path(), NOW + 3 * KEPT_MS).unwrap();
        assert!(reserve(&mut ledger, &old).1, "it may be there");
        ledger.compact(NOW + 4 * KEPT_MS, |_| false);
        assert!(ledger.get(&own).is_none(), "it is gone");
    }

    #[test]
    fn what_the_bucket_was_told_of_an_hour_is_known_after_a_crash() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        let (one, two) = (label(1, NOW, 20_000), label(2, NOW + 20_000, 20_000));
        reserve(&mut ledger, &one);
        assert!(ledger.hours().is_empty());
        ledger.done(&id(&one).unwrap());
        let folder = "cam1/2026/11/26/01".to_owned();
        let told = Told { count: 1, complete: false };
        assert_eq!(ledger.hours(), [HourState { folder: folder.clone(), count: 1, told: Told::default() }]);
        ledger.hour_told(&folder, told);
        ledger.lost(&TimeZone::UTC, &id(&two).unwrap(), two.clone());
        ledger.lost(&TimeZone::UTC, &id(&one).unwrap(), one);
        drop(ledger);
        let ledger = Ledger::open(dir.path(), NOW).unwrap();
        assert_eq!(ledger.hours(), [HourState { folder: folder.clone(), count: 2, told }]);
        let states: Vec<State> = ledger.of_hour(&folder).iter().map(|entry| entry.state).collect();
        assert_eq!(states, [State::Done, State::Lost], "what is there is not lost");
        assert_eq!(ledger.before("cam1", NOW + 20_000).unwrap().label.sequence, 1);
    }

    #[test]
    fn what_is_old_and_told_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        let old = label(1, NOW, 20_000);
        reserve(&mut ledger, &old);
        ledger.done(&id(&old).unwrap());
        ledger.compact(NOW + 2 * KEPT_MS, |_| false);
        assert!(ledger.get(&id(&old).unwrap()).is_some(), "the bucket was not told");
        ledger.hour_told("cam1/2026/11/26/01", Told { count: 1, complete: true });
        ledger.compact(NOW + 2 * KEPT_MS, |_| false);
        assert!(ledger.get(&id(&old).unwrap()).is_none());
        assert!(fs::read_to_string(dir.path().join(".upload/ledger")).unwrap().lines().count() == 2);
    }

    #[test]
    fn of_an_hour_nothing_is_forgotten_while_a_part_of_it_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), NOW).unwrap();
        let (early, late) = (label(1, NOW, 20_000), label(2, NOW + 60_000, 20_000));
        for one in [&early, &late] {
            reserve(&mut ledger, one);
            ledger.done(&id(one).unwrap());
        }
        let folder = ledger.hours()[0].folder.clone();
        assert_eq!(ledger.hours().len(), 1, "both are of one hour");
        ledger.hour_told(&folder, Told { count: 2, complete: true });
        ledger.compact(NOW + 30_000 + KEPT_MS, |_| false);
        assert_eq!(ledger.hours()[0].count, 2, "the list in the bucket is not made anew from what is left");
        ledger.compact(NOW + 120_000 + KEPT_MS, |_| false);
        assert!(ledger.hours().is_empty());
    }
}
