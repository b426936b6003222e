//! Every way in which a small journal can be damaged at one place costs at most one record, is told, and stops nobody.

use super::super::codec::{Preface, encode};
use super::*;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

const TINY: Bounds = Bounds { segment: 1024, recent: 0, ..SMALL };

/// So many of them are in the first segment.
const FIRST: u64 = 11;

/// The files of a small journal of 15 records, in two segments and two ledgers.
fn files() -> Files {
    let mut bench = Bench::new(TINY);
    bench.journal().register("hooks", Start::Earliest).unwrap();
    for n in 1..=14 {
        bench.append(Record { body: vec![n as u8; 20], ..record(n, ALL, "a") }).unwrap();
    }
    wait(bench.journal().settle()).unwrap();
    bench.append(record(15, ALL, "a")).unwrap();
    bench.journal = None;
    let names = bench.disk.list().unwrap();
    assert_eq!(bench.segments().len(), 2, "{names:?}");
    names.into_iter().map(|name| (name.clone(), bench.disk.bytes(&name))).collect()
}

fn opened(files: &Files) -> (Bench, Vec<Damage>) {
    let mut bench = Bench { disk: Arc::new(Worn::default()), seconds: Arc::default(), bounds: TINY, journal: None };
    files.iter().for_each(|(name, bytes)| bench.disk.put(name, bytes));
    let damage = bench.open();
    (bench, damage)
}

#[test]
fn every_flipped_bit_costs_one_record_at_most() {
    let files = files();
    assert_eq!(opened(&files).0.all(), Vec::from_iter(1..=15));
    for (name, bytes) in &files {
        // Of the ledgers one bit of each byte; all of them are flipped where their bytes are tested.
        let step = if name.ends_with(".records") { 1 } else { 9 };
        for bit in (0..8 * bytes.len()).step_by(step) {
            let mut files = files.clone();
            files.get_mut(name).unwrap()[bit / 8] ^= 1 << (bit % 8);
            let (bench, damage) = opened(&files);
            let told = damage.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            assert!(damage.len() == 1 && told.contains(&format!("worn/{name} at byte")), "{name} bit {bit}: {told}");
            let all = bench.all();
            let missing: Vec<_> = (1..=15).filter(|n| !all.contains(n)).collect();
            assert!(missing.len() <= 1 && all.is_sorted(), "{name} bit {bit}: {missing:?} are missing");
            assert!(missing.is_empty() || name.ends_with(".records"), "{name} bit {bit}");
            if missing.first().is_some_and(|&n| n < 15) {
                let gap = bench.journal().read(Position::START, &|_| true, 1 << 20).unwrap().gap;
                let position = Position(missing[0]);
                assert!(gap.is_some_and(|gap| gap.from <= position && position <= gap.to), "{name} bit {bit}: {gap:?}");
            }
        }
    }
}

#[test]
fn every_end_that_was_torn_off_costs_what_was_there() {
    let files = files();
    let last = files.keys().rfind(|name| name.ends_with(".records")).unwrap();
    for name in files.keys() {
        for length in 0..files[name].len() {
            let mut files = files.clone();
            files.get_mut(name).unwrap().truncate(length);
            let (bench, _) = opened(&files);
            // A record takes 56 bytes, 5 for `attic`, one for the subject, and its body; the last one's is longer.
            let whole = length.saturating_sub(72) as u64 / 82;
            let expected: Vec<_> = match name {
                _ if name == last => (1..=FIRST + whole.min(14 - FIRST)).collect(),
                _ if name.ends_with(".records") => (1..=whole).chain(FIRST + 1..=15).collect(),
                _ => (1..=15).collect(),
            };
            assert_eq!(bench.all(), expected, "{name} of {length} bytes");
            assert!(bench.append(record(40, ALL, "a")).is_ok(), "and it goes on");
            assert_eq!(bench.all().last(), Some(&40));
        }
    }
}

#[test]
fn a_position_is_not_given_twice_after_a_crash() {
    let mut bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    let Appended::Stored(seen) = bench.append(record(2, MOTION, "a")).unwrap() else { panic!() };
    bench.kill();
    bench.disk.power_cut(|_| 0);
    bench.open();
    assert_eq!(bench.all(), [1], "what needs not be durable may go");
    let Appended::Stored(next) = bench.append(record(3, ALL, "a")).unwrap() else { panic!() };
    assert!(next > seen);
    bench.open();
    let Appended::Stored(after) = bench.append(record(4, ALL, "a")).unwrap() else { panic!() };
    assert_eq!(after, next.next(), "after an orderly end nothing is left out");
}

#[test]
fn a_record_inside_a_body_is_none() {
    let mut bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    let segment = bench.segments().remove(0);
    let mut forged = Vec::new();
    encode(&Entry { position: Position(2), second: 0, record: record(99, ALL, "forged") }, 0, &mut forged);
    bench.append(Record { body: forged, ..record(2, ALL, "a") }).unwrap();
    bench.append(record(3, ALL, "a")).unwrap();
    bench.journal = None;
    let mut bytes = bench.disk.bytes(&segment);
    bytes[72 + 112 + 3] ^= 1;
    bench.disk.put(&segment, &bytes);
    assert_eq!(bench.open().len(), 1);
    assert_eq!(bench.all(), [1, 3]);
}

#[test]
fn a_newer_journal_is_put_aside_whole() {
    let files = files();
    let segment = files.keys().find(|name| name.ends_with(".records")).unwrap();
    let preface = Preface { salt: 1, first: Position(1), until: Position::START };
    let mut newer = files.clone();
    newer.get_mut(segment).unwrap()[..72].copy_from_slice(&preface.encode_as(2));
    let (bench, damage) = opened(&newer);
    assert_eq!(damage.len(), 4);
    assert!(damage[0].to_string().contains("format 2 is of a newer version"), "{}", damage[0]);
    assert!(bench.all().is_empty());
    let Appended::Stored(position) = bench.append(record(1, ALL, "a")).unwrap() else { panic!() };
    assert!(position.0 > 15, "no position of the other one is given again");
    for (name, bytes) in &newer {
        assert_eq!(&bench.disk.bytes(&format!("{name}.aside-1")), bytes, "nothing is deleted");
    }
}

#[test]
fn a_file_that_is_no_segment_any_more_is_put_aside() {
    let mut files = files();
    let segment = files.keys().find(|name| name.ends_with(".records")).unwrap().clone();
    files.get_mut(&segment).unwrap()[..72].fill(0);
    let (bench, damage) = opened(&files);
    assert!(matches!(&damage[..], [Damage { what: What::PutAside { .. }, .. }]), "{damage:?}");
    assert_eq!(bench.disk.bytes(&format!("{segment}.aside-1")), files[&segment]);
    assert_eq!(bench.all(), Vec::from_iter(FIRST + 1..=15));
}

#[test]
fn blocks_that_cannot_be_read_cost_what_was_in_them_and_are_left_alone() {
    let bytes = Bound { bytes: 1 << 16, ..SMALL.drop_oldest };
    let bounds = Bounds { segment: 16 * 1024, drop_oldest: bytes, latest_per_subject: bytes, ..SMALL };
    let mut bench = Bench::new(bounds);
    for n in 1..=100 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    bench.kill();
    bench.disk.mood.unreadable.store(8192, SeqCst);
    assert!(!bench.open().is_empty());
    bench.append(record(101, ALL, "a")).unwrap();
    assert_eq!(bench.journal().read(Position(1), &|_| true, 1000).unwrap().entries.len(), 8);
    bench.kill();
    bench.disk.mood.unreadable.store(0, SeqCst);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.all(), Vec::from_iter(1..=101), "the disk gives them again");
}

#[test]
fn damage_that_is_met_while_reading_is_told_once_with_its_gap() {
    let mut bench = Bench::new(SMALL);
    for n in 1..=100 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    let segment = bench.segments().remove(0);
    // The journal has the file open already: the bytes change under it.
    let medium = bench.disk.open(&segment).unwrap();
    let byte = medium.read_at(72 + 2 * 112 + 80, 1).unwrap()[0];
    medium.write_at(72 + 2 * 112 + 80, &[byte ^ 4]).unwrap();
    for _ in 0..2 {
        let batch = bench.journal().read(Position(2), &|_| true, 300).unwrap();
        assert_eq!(batch.gap, Some(Gap { from: Position(3), to: Position(3) }));
        assert_eq!(batch.entries.iter().map(|e| e.position.0).collect::<Vec<_>>(), [2, 4]);
    }
    let notices = bench.journal().notices();
    assert!(matches!(&notices[..], [Notice::Damaged(Damage { offset: 296, .. })]), "{notices:?}");
    bench.open();
    assert_eq!(bench.all().len(), 99);
}
