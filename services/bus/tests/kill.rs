//! A process that appends is killed again and again, at any moment: what it was told is kept is there, once and in
//! order, and what it had not acknowledged comes again.
#![allow(clippy::unwrap_used, missing_docs)]

use bus::journal::{Appended, Bound, Bounds, Class, Clock, Damage, Journal, Keep, Key, Place, Position, Record, Start};
use bus::journal::{What, wait};
use protocol::{Epoch, HostName};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CHILD: &str = "JOURNAL_OF_THE_CHILD";
const FROM: &str = "SEQUENCES_OF_THE_CHILD";
const ROUNDS: usize = 110;
const WRITERS: u64 = 3;
/// So many of the last records are sent again by each child, as a peer does that has not heard the answer.
const AGAIN: u64 = 20;
const LONGEST: Duration = Duration::from_secs(20);

/// Small segments: closing one and writing others anew must be hit as well.
fn bounds() -> Bounds {
    let bytes = |bytes| Bound { bytes, age: Duration::from_secs(3600) };
    let (keep_all, rest) = (bytes(256 << 20), bytes(128 << 10));
    Bounds { keep_all, latest_per_subject: rest, drop_oldest: rest, segment: 32 << 10, recent: 16 << 10 }
}

fn open(directory: &Path) -> (Journal, Vec<Damage>) {
    Journal::open(Place::Directory(directory.into()), bounds(), Clock::system()).unwrap()
}

fn record(writer: u64, sequence: u64) -> Record {
    let key = Key { node: HostName::parse(&format!("node{writer}")).unwrap(), epoch: Epoch(1), sequence };
    let keep = if writer == 2 && sequence.is_multiple_of(2) { Keep::LatestPerSubject } else { Keep::All };
    let class = Class { keep, durable: !sequence.is_multiple_of(5) };
    let body = vec![writer as u8; (sequence * 37 % 700) as usize];
    Record { key, class, subject: format!("s{}", sequence % 4), expires: None, body }
}

/// Not a test of its own: what the killed process does.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let from: Vec<u64> = std::env::var(FROM).unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
    let (journal, _) = open(Path::new(&directory));
    journal.register("hooks", Start::Earliest).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (journal, start) = (&journal, from[writer as usize].saturating_sub(AGAIN).max(1));
            scope.spawn(move || (start..u64::MAX).for_each(|sequence| append(journal, writer, sequence)));
        }
        scope.spawn(|| consume(&journal));
    });
}

fn append(journal: &Journal, writer: u64, sequence: u64) {
    match wait(journal.append(record(writer, sequence))).unwrap() {
        Appended::Stored(position) => say(&format!("kept {writer} {sequence} {position}\n")),
        Appended::Already(_) => say(&format!("known {writer} {sequence} 0\n")),
    }
}

fn consume(journal: &Journal) {
    let mut end = journal.end();
    loop {
        end.borrow_and_update();
        let batch = journal.take("hooks", &|_| true, 4000).unwrap();
        // So cursors are written often, with records that were handed out and are not yet spoken of.
        if fastrand::u8(..4) == 0 {
            wait(journal.settle()).unwrap();
        }
        for entry in batch.entries.iter().rev() {
            let Key { node, sequence, .. } = &entry.record.key;
            say(&format!("got {} {sequence} {}\n", &node.as_str()[4..], entry.position));
            journal.acknowledge("hooks", entry.position).unwrap();
        }
        if batch.entries.is_empty() {
            wait(end.changed()).unwrap();
        }
    }
}

/// A line is one write: whole or not there, and the parent has it before anything else happens.
fn say(line: &str) {
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// What the parent knows.
#[derive(Default)]
struct Known {
    kept: BTreeMap<(u64, u64), Option<Position>>,
    got: BTreeSet<(u64, u64)>,
    highest: [u64; WRITERS as usize],
}

impl Known {
    fn hear(&mut self, said: &str) {
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, writer, sequence, position] = words[..] else { panic!("{line}") };
            let key: (u64, u64) = (writer.parse().unwrap(), sequence.parse().unwrap());
            let position = Some(Position(position.parse().unwrap())).filter(|position| position.0 > 0);
            match what {
                "got" => drop(self.got.insert(key)),
                "kept" => assert_eq!(self.kept.insert(key, position), None, "{line}: it was kept before"),
                "known" => drop(self.kept.entry(key).or_insert(None)),
                _ => panic!("{line}"),
            }
            self.highest[key.0 as usize] = self.highest[key.0 as usize].max(key.1);
        }
    }

    /// Everything that was kept is there once, where it was said to be, and each writer's records are in order.
    fn check(&self, journal: &Journal) {
        let (mut there, mut last) = (BTreeMap::new(), [0; WRITERS as usize]);
        let mut from = Position::START;
        while from < *journal.end().borrow() {
            let batch = journal.read(from, &|_| true, 1 << 20).unwrap();
            assert_eq!(batch.gap, None);
            for entry in &batch.entries {
                let writer: u64 = entry.record.key.node.as_str()[4..].parse().unwrap();
                let sequence = entry.record.key.sequence;
                assert_eq!(entry.record, record(writer, sequence));
                assert!(sequence > last[writer as usize], "{} came after {}", sequence, last[writer as usize]);
                last[writer as usize] = sequence;
                there.insert((writer, sequence), entry.position);
            }
            from = batch.next;
        }
        for (key, position) in &self.kept {
            let is_all = record(key.0, key.1).class.keep == Keep::All;
            assert!(there.contains_key(key) || !is_all, "{key:?} was kept and is gone");
            assert!(position.is_none_or(|at| there.get(key).is_none_or(|&there| there == at)), "{key:?} has moved");
        }
    }
}

#[test]
fn a_process_that_is_killed_loses_nothing() {
    let (start, scratch) = (Instant::now(), tempfile::tempdir().unwrap());
    let directory = scratch.path().join("journal");
    let mut known = Known::default();
    let mut rounds = 0;
    while rounds < ROUNDS && (start.elapsed() < LONGEST || rounds < 100) {
        rounds += 1;
        known.hear(&live_for(&directory, &known, fastrand::u64(1..80)));
        if rounds % 10 == 0 {
            let (journal, damage) = open(&directory);
            assert!(damage.iter().all(|damage| matches!(damage.what, What::TornTail { .. })), "{damage:?}");
            known.check(&journal);
        }
    }
    println!("{rounds} kills, {} records kept, {} got, in {:?}", known.kept.len(), known.got.len(), start.elapsed());
    assert!(known.kept.len() > rounds, "it did something");
    everybody_gets_everything(&directory, &mut known);
}

/// Runs a child for some milliseconds after its first word.
fn live_for(directory: &Path, known: &Known, milliseconds: u64) -> String {
    let from = known.highest.map(|highest| highest.to_string()).join(" ");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, directory)
        .env(FROM, from)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut heard = child.stderr.take().unwrap();
    let mut first = [0; 1];
    heard.read_exact(&mut first).unwrap();
    let listener = std::thread::spawn(move || {
        let mut said = String::from_utf8(first.into()).unwrap();
        heard.read_to_string(&mut said).unwrap();
        said
    });
    // The moment of death is what is random here, so this is a wait for nothing.
    std::thread::sleep(Duration::from_millis(milliseconds));
    child.kill().unwrap();
    child.wait().unwrap();
    listener.join().unwrap()
}

fn everybody_gets_everything(directory: &Path, known: &mut Known) {
    let (journal, _) = open(directory);
    known.check(&journal);
    loop {
        let batch = journal.take("hooks", &|_| true, 1 << 20).unwrap();
        for entry in &batch.entries {
            let writer = entry.record.key.node.as_str()[4..].parse().unwrap();
            known.got.insert((writer, entry.record.key.sequence));
            journal.acknowledge("hooks", entry.position).unwrap();
        }
        if batch.next >= *journal.end().borrow() {
            break;
        }
    }
    let all = known.kept.keys().filter(|key| record(key.0, key.1).class.keep == Keep::All);
    let missed: Vec<_> = all.filter(|key| !known.got.contains(key)).collect();
    assert!(missed.is_empty(), "{missed:?} were kept and the consumer never got them");
}
