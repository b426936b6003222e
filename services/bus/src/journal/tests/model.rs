//! Random days of a journal against what must be true after each of them.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What happens.
#[derive(Debug, Clone)]
enum Event {
    Append {
        node: u8,
        keep: u8,
        durable: bool,
        subject: u8,
        size: u16,
        expires: Option<u16>,
    },
    /// The last record of that node once more.
    Repeat {
        node: u8,
    },
    Take {
        most: u16,
    },
    Acknowledge {
        which: u8,
    },
    Rewind,
    Settle,
    Wait(u16),
    SyncsFail(bool),
    Full(bool),
    Reopen,
    Kill,
    PowerCut(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let append = (0..3u8, 0..3u8, prop::bool::weighted(0.7), 0..6u8, 0..400u16, prop::option::weighted(0.2, 0..900u16));
    prop_oneof![
        30 => append.prop_map(|(node, keep, durable, subject, size, expires)| {
            Event::Append { node, keep, durable, subject, size, expires }
        }),
        3 => (0..3u8).prop_map(|node| Event::Repeat { node }),
        6 => (0..2000u16).prop_map(|most| Event::Take { most }),
        8 => any::<u8>().prop_map(|which| Event::Acknowledge { which }),
        1 => Just(Event::Rewind),
        1 => Just(Event::Settle),
        1 => (0..600u16).prop_map(Event::Wait),
        2 => any::<bool>().prop_map(Event::SyncsFail),
        1 => any::<bool>().prop_map(Event::Full),
        1 => Just(Event::Reopen),
        1 => Just(Event::Kill),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Event::PowerCut),
    ]
}

/// What must be true.
struct House {
    bench: Bench,
    sequences: BTreeMap<u8, u64>,
    last: BTreeMap<u8, Record>,
    /// Keys of durable records that were answered as kept.
    kept: BTreeMap<Key, Record>,
    /// Where a durable record was handed out.
    seen: BTreeMap<Key, Position>,
    open: BTreeSet<Position>,
    done: BTreeSet<Position>,
    /// What the ledger on the disk must know as done.
    settled: BTreeSet<Position>,
}

impl House {
    fn new() -> House {
        let bounds = Bounds { keep_all: Bound { bytes: 1 << 20, age: Duration::from_secs(1 << 30) }, ..SMALL };
        let bench = Bench::new(bounds);
        bench.journal().register("hooks", Start::Earliest).unwrap();
        wait(bench.journal().settle()).unwrap();
        House {
            bench,
            sequences: BTreeMap::new(),
            last: BTreeMap::new(),
            kept: BTreeMap::new(),
            seen: BTreeMap::new(),
            open: BTreeSet::new(),
            done: BTreeSet::new(),
            settled: BTreeSet::new(),
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Append { node, keep, durable, subject, size, expires } => {
                let sequence = self.sequences.entry(node).or_default();
                *sequence += 1;
                let name = HostName::parse(&format!("node{node}")).unwrap();
                let key = Key { node: name, epoch: Epoch(1), sequence: *sequence };
                let class = Class { keep: Keep::EACH[keep as usize], durable };
                let expires = expires.map(|in_seconds| self.bench.clock().read().unix + u64::from(in_seconds));
                let subject = if expires.is_some() { format!("expires{subject}") } else { format!("s{subject}") };
                self.append(node, Record { key, class, subject, expires, body: vec![7; size.into()] });
            }
            Event::Repeat { node } => {
                if let Some(record) = self.last.get(&node).cloned() {
                    self.append(node, record);
                }
            }
            Event::Take { most } => drop(self.take(most.into())),
            Event::Acknowledge { which } => self.acknowledge(which.into()),
            Event::Rewind => self.bench.journal().rewind("hooks").unwrap(),
            Event::Settle => {
                if wait(self.bench.journal().settle()).is_ok() {
                    self.settled = self.done.clone();
                }
            }
            Event::Wait(seconds) => self.bench.advance(seconds.into()),
            Event::SyncsFail(fail) => self.bench.disk.mood.syncs_fail.store(fail, SeqCst),
            Event::Full(full) => {
                self.bench.disk.mood.room.store(if full { self.bench.disk.used() + 300 } else { 0 }, SeqCst)
            }
            Event::Reopen => {
                if wait(self.bench.journal().settle()).is_ok() {
                    self.settled = self.done.clone();
                }
                self.bench.journal = None;
                self.open_again();
            }
            Event::Kill => {
                self.bench.kill();
                self.open_again();
            }
            Event::PowerCut(chances) => {
                self.bench.kill();
                let mut chances = chances.into_iter().cycle();
                self.bench.disk.power_cut(|n| usize::from(chances.next().unwrap()) % n);
                self.open_again();
            }
        }
        let fill = self.bench.journal().fill();
        assert!(fill.bytes <= self.bench.bounds.disk(), "{fill:?}");
    }

    fn open_again(&mut self) {
        // Whoever is opened anew may be on a disk that works again.
        self.bench.disk.mood.syncs_fail.store(false, SeqCst);
        for damage in self.bench.open() {
            assert!(matches!(damage.what, What::TornTail { .. }), "{damage}");
        }
        self.open.clear();
        // What was acknowledged in the last second may come again.
        self.done = self.settled.clone();
    }

    fn append(&mut self, node: u8, record: Record) {
        let before = *self.bench.journal().end().borrow();
        let answer = self.bench.append(record.clone());
        match &answer {
            Err(why) => assert!(why.is_temporary(), "{why}"),
            Ok(Appended::Stored(position)) => {
                assert!(*position >= before);
                let lost = record.class.durable && self.kept.contains_key(&record.key);
                assert!(!lost, "{} was kept before and is not known any more", record.key);
            }
            Ok(Appended::Already(_)) => assert_eq!(self.last.get(&node), Some(&record), "never came"),
        }
        if answer.is_ok() && record.class.durable {
            self.kept.insert(record.key.clone(), record.clone());
        }
        self.last.insert(node, record);
    }

    fn take(&mut self, most: usize) -> usize {
        let batch = self.bench.journal().take("hooks", &|_| true, most).unwrap();
        for entry in &batch.entries {
            assert!(!self.settled.contains(&entry.position), "{} was acknowledged for good", entry.position);
            if entry.record.class.durable {
                let seen = self.seen.entry(entry.record.key.clone()).or_insert(entry.position);
                assert_eq!(*seen, entry.position, "{} is there twice", entry.record.key);
            }
            self.open.insert(entry.position);
            self.done.remove(&entry.position);
        }
        batch.entries.len()
    }

    fn acknowledge(&mut self, which: usize) {
        let Some(&position) = self.open.iter().nth(which % self.open.len().max(1)) else { return };
        // After a rewind it may be open here and dropped there.
        self.bench.journal().acknowledge("hooks", position).unwrap();
        self.open.remove(&position);
        self.done.insert(position);
    }

    /// After everything the disk works again, and whoever is patient gets what was kept for him.
    fn ends(mut self) {
        self.bench.disk.mood.syncs_fail.store(false, SeqCst);
        self.bench.disk.mood.room.store(0, SeqCst);
        self.happens(Event::Append { node: 9, keep: 0, durable: true, subject: 0, size: 1, expires: None });
        assert!(self.kept.keys().any(|key| key.node.as_str() == "node9"), "it goes on when the disk does");
        let end = *self.bench.journal().end().borrow();
        loop {
            self.take(5000);
            while !self.open.is_empty() {
                self.acknowledge(0);
            }
            let standing = self.bench.journal().consumers().remove(0);
            if standing.next >= end && standing.open == 0 {
                break;
            }
        }
        for (key, record) in self.kept.iter().filter(|(_, record)| record.expires.is_none()) {
            if record.class.keep == Keep::All {
                assert!(self.seen.contains_key(key), "{key} was acknowledged and never came");
            }
        }
        self.states();
        self.bench.settle();
        let fill = self.bench.journal().fill();
        assert!(fill.bytes <= self.bench.bounds.disk(), "{fill:?}");
    }

    /// The last state of each subject is there, or a newer one.
    fn states(&self) {
        let mut newest: BTreeMap<String, Position> = BTreeMap::new();
        let batch =
            self.bench.journal().read(Position::START, &|e| e.record.class.keep == Keep::LatestPerSubject, 1 << 20);
        for entry in batch.unwrap().entries {
            assert_eq!(newest.insert(entry.record.subject.clone(), entry.position), None, "one state a subject");
        }
        let states = self.kept.iter().filter(|(_, record)| record.class.keep == Keep::LatestPerSubject);
        for (key, record) in states.filter(|(_, record)| record.expires.is_none()) {
            let there = newest.get(&record.subject).unwrap_or_else(|| panic!("no state of {}", record.subject));
            assert!(self.seen.get(key).is_none_or(|seen| seen <= there));
        }
    }
}

/// More of them with PROPTEST_CASES.
fn cases() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(96), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn nothing_that_was_acknowledged_is_lost_and_nothing_is_there_twice(
        events in prop::collection::vec(event(), 1..150)
    ) {
        let mut house = House::new();
        events.into_iter().for_each(|event| house.happens(event));
        house.ends();
    }
}
