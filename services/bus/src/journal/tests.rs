//! The journal as a whole, on disks that do what real ones do on bad days.

mod damage;
mod desk;
mod drops;
mod full;
mod late;
mod model;
mod reading;

use super::shelf::Segment;
use super::store::worn::Worn;
use super::*;
use protocol::{Epoch, HostName, Instant};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Small, so that every test meets full segments.
const SMALL: Bounds = Bounds {
    keep_all: Bound { bytes: 64 * 1024, age: Duration::from_secs(8000) },
    latest_per_subject: Bound { bytes: 8 * 1024, age: Duration::from_secs(80_000) },
    drop_oldest: Bound { bytes: 8 * 1024, age: Duration::from_secs(8000) },
    segment: 2048,
    recent: 4096,
};

const ALL: Class = Class { keep: Keep::All, durable: true };
const STATE: Class = Class { keep: Keep::LatestPerSubject, durable: true };
const MOTION: Class = Class { keep: Keep::DropOldest, durable: false };

/// A disk, a clock, and a journal on them.
struct Bench {
    disk: Arc<Worn>,
    seconds: Arc<AtomicU64>,
    bounds: Bounds,
    journal: Option<Journal>,
}

impl Bench {
    fn new(bounds: Bounds) -> Bench {
        let mut bench = Bench { disk: Arc::new(Worn::default()), seconds: Arc::default(), bounds, journal: None };
        assert_eq!(bench.open(), []);
        bench
    }

    fn open(&mut self) -> Vec<Damage> {
        self.journal = None;
        let (journal, damage) = Journal::on(self.disk.clone(), self.bounds, self.clock()).unwrap();
        self.journal = Some(journal);
        damage
    }

    fn clock(&self) -> Clock {
        let seconds = self.seconds.clone();
        Clock::new(move || {
            let seconds = seconds.load(SeqCst);
            Moment { instant: Instant::at(Duration::from_secs(seconds)), unix: 1_800_000_000 + seconds }
        })
    }

    /// The process ends without a word.
    fn kill(&mut self) {
        if let Some(mut journal) = self.journal.take() {
            journal.order(Order::Abandon).unwrap();
            journal.writer.take().unwrap().join().unwrap();
        }
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn append(&self, record: Record) -> Result<Appended, Failure> {
        wait(self.journal().append(record))
    }

    /// The sequences of all that can be read.
    fn all(&self) -> Vec<u64> {
        let (mut from, mut all) = (Position::START, Vec::new());
        loop {
            let batch = self.journal().read(from, &|_| true, 700).unwrap();
            all.extend(batch.entries.iter().map(|entry| entry.record.key.sequence));
            if batch.next >= *self.journal().end().borrow() {
                return all;
            }
            assert!(batch.next > from);
            from = batch.next;
        }
    }

    fn advance(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, SeqCst);
    }

    /// Until everything is tidied.
    fn settle(&self) {
        while self.journal().core.lock().shelf.tidy().is_some() {
            std::thread::yield_now();
        }
    }

    fn segments(&self) -> Vec<String> {
        let names = self.disk.list().unwrap();
        names.into_iter().filter(|name| name.ends_with(".records")).collect()
    }
}

fn record(sequence: u64, class: Class, subject: &str) -> Record {
    let key = Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(1), sequence };
    Record { key, class, subject: subject.into(), expires: None, body: vec![sequence as u8; 50] }
}

#[test]
fn callers_share_a_sync() {
    let bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    let before = bench.disk.mood.syncs.load(SeqCst);
    let gate = bench.disk.mood.gate.write().unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (2..=6)
            .map(|n| (n, &bench))
            .map(|(n, bench)| scope.spawn(move || bench.append(record(n, ALL, "a"))))
            .collect();
        while bench.journal().room.available_permits() > QUEUE as usize - 5 * 112 {
            std::thread::yield_now();
        }
        drop(gate);
        assert!(callers.into_iter().all(|caller| caller.join().unwrap().is_ok()));
    });
    let syncs = bench.disk.mood.syncs.load(SeqCst) - before;
    assert!(syncs <= 2, "{syncs} syncs for five records");
    assert_eq!(bench.all().len(), 6);
}

#[test]
fn a_record_that_comes_again_is_kept_once() {
    let mut bench = Bench::new(SMALL);
    let stored = bench.append(record(1, ALL, "a")).unwrap();
    let Appended::Stored(position) = stored else { panic!("{stored:?}") };
    assert_eq!(bench.append(record(1, ALL, "a")).unwrap(), Appended::Already(Some(position)));
    let both = wait(bench.journal().append_all(vec![record(2, ALL, "a"), record(2, ALL, "a")])).unwrap();
    assert!(matches!(both[..], [Ok(Appended::Stored(a)), Ok(Appended::Already(Some(b)))] if a == b), "{both:?}");
    bench.kill();
    assert_eq!(bench.open(), []);
    assert_eq!(bench.append(record(2, ALL, "a")).unwrap(), Appended::Already(None));
    assert_eq!(bench.all(), [1, 2]);
}

#[test]
fn a_record_that_was_replaced_is_known_again() {
    let mut bench = Bench::new(SMALL);
    for n in 1..400 {
        bench.append(record(n, STATE, "state")).unwrap();
    }
    bench.settle();
    assert!(bench.segments().len() <= 3, "{:?}", bench.segments());
    bench.kill();
    bench.disk.power_cut(|_| 0);
    bench.open();
    assert_eq!(bench.append(record(7, STATE, "state")).unwrap(), Appended::Already(None));
    assert_eq!(bench.all(), [399]);
}

#[test]
fn a_state_whose_source_is_forgotten_is_known_again_by_its_subject() {
    let mut bench = Bench::new(SMALL);
    bench.append(record(5, STATE, "a/state")).unwrap();
    let of = |epoch, record: Record| Record { key: Key { epoch: Epoch(epoch), ..record.key }, ..record };
    for epoch in 0..sources::MAX_SOURCES as u64 {
        bench.append(of(1000 + epoch, record(1, MOTION, "a"))).unwrap();
    }
    let known = bench.journal().core.lock().shelf.sources.knows(&record(5, STATE, "a/state").key);
    assert_eq!(known, sources::Known::No);
    for _ in 0..2 {
        let again = bench.append(record(5, STATE, "a/state"));
        assert!(matches!(again, Ok(Appended::Already(Some(Position(1))))), "{again:?}");
        let older = bench.append(record(4, STATE, "a/state"));
        assert!(matches!(older, Ok(Appended::Already(None))), "an older state is not how it is: {older:?}");
        bench.open();
    }
    for new in [record(4, STATE, "b/state"), record(6, STATE, "a/state"), of(2, record(1, STATE, "a/state"))] {
        let stored = bench.append(new);
        assert!(matches!(stored, Ok(Appended::Stored(_))), "{stored:?}");
    }
}

#[test]
fn a_record_that_was_replaced_just_before_a_kill_is_known_again() {
    let mut bench = Bench::new(SMALL);
    bench.append(record(1, STATE, "state")).unwrap();
    bench.append(record(2, STATE, "state")).unwrap();
    for _ in 0..2 {
        bench.kill();
        bench.open();
        assert_eq!(bench.append(record(1, STATE, "state")).unwrap(), Appended::Already(None));
    }
    assert_eq!(bench.all(), [2]);
}

#[test]
fn records_that_cannot_be_kept_are_named() {
    let bench = Bench::new(SMALL);
    for (change, told) in [(0, "subject of 1025"), (1, "body of 262145"), (2, "at most 1024")] {
        let mut record = record(9, ALL, "a");
        match change {
            0 => record.subject = "s".repeat(1025),
            1 => record.body = vec![0; 256 * 1024 + 1],
            _ => record.body = vec![0; 1024],
        }
        let why = bench.append(record).unwrap_err();
        assert!(
            !why.is_temporary() && why.to_string().contains("attic-1-9") && why.to_string().contains(told),
            "{why}"
        );
    }
    assert!(bench.all().is_empty());
}

#[test]
fn what_expires_is_not_delivered() {
    let bench = Bench::new(SMALL);
    let at = 1_800_000_000 + 10;
    bench.append(Record { expires: Some(at), ..record(1, ALL, "a") }).unwrap();
    bench.append(Record { expires: Some(at), ..record(2, STATE, "b") }).unwrap();
    bench.append(record(3, ALL, "c")).unwrap();
    assert_eq!(bench.all(), [1, 2, 3]);
    bench.advance(10);
    assert_eq!(bench.all(), [3]);
    bench.append(record(4, ALL, "c")).unwrap();
    assert_eq!(bench.journal().notices(), [], "nothing was lost by that");
}

#[test]
fn what_expires_while_its_file_is_spoilt_is_counted_once() {
    let bench = Bench::new(SMALL);
    bench.append(Record { expires: Some(1_800_000_010), ..record(1, STATE, "a") }).unwrap();
    bench.append(Record { expires: Some(1_800_000_010), ..record(2, ALL, "a") }).unwrap();
    bench.disk.mood.syncs_fail.store(true, SeqCst);
    bench.append(record(3, ALL, "b")).unwrap_err();
    bench.disk.mood.syncs_fail.store(false, SeqCst);
    bench.advance(10);
    bench.append(record(4, STATE, "a")).unwrap();
    bench.append(record(5, STATE, "a")).unwrap();
    assert_eq!(bench.all(), [5]);
}

#[test]
fn two_journals_on_one_directory_are_one_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place::Directory(dir.path().join("a/journal"));
    let (first, _) = Journal::open(place.clone(), SMALL, Clock::system()).unwrap();
    let why = Journal::open(place.clone(), SMALL, Clock::system()).unwrap_err();
    assert!(why.to_string().contains(&format!("in use by process {}", std::process::id())), "{why}");
    assert!(!why.is_temporary());
    drop(first);
    Journal::open(place, SMALL, Clock::system()).unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let why = Journal::open(Place::Directory(file), SMALL, Clock::system()).unwrap_err();
    assert!(why.to_string().contains("make it a directory"), "{why}");
}
