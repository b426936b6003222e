//! However much is appended, memory stays within the bounds. Alone in its program, as it measures the whole of it.
#![allow(clippy::unwrap_used, missing_docs)]

use bus::journal::{Bounds, Class, Clock, Journal, Keep, Key, Place, Record, Start, wait};
use protocol::{Epoch, HostName};

const KIB: u64 = 1024;

/// What this process has of the memory, in KiB.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

fn record(sequence: u64) -> Record {
    let key = Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(1 + sequence / 10_000), sequence };
    let class = Class { keep: Keep::EACH[sequence as usize % 3], durable: sequence.is_multiple_of(2) };
    Record { key, class, subject: format!("s{}", sequence % 500), expires: None, body: vec![0; 256] }
}

fn append(journal: &Journal, from: u64, count: u64) {
    for start in (from..from + count).step_by(100) {
        let answers = wait(journal.append_all((start..start + 100).map(record).collect())).unwrap();
        assert!(answers.iter().all(Result::is_ok));
        journal.take("follows", &|_| true, 1 << 20).unwrap().entries.iter().for_each(|entry| {
            journal.acknowledge("follows", entry.position).unwrap();
        });
    }
}

#[test]
fn memory_is_bounded() {
    let scratch = tempfile::tempdir().unwrap();
    let bounds = Bounds::in_memory();
    for (place, most) in [
        (Place::Directory(scratch.path().join("journal")), 8 * KIB),
        // The records themselves, and the segments that are half dead.
        (Place::Memory, bounds.disk() / KIB + 12 * KIB),
    ] {
        let before = resident();
        let (journal, _) = Journal::open(place, bounds, Clock::system()).unwrap();
        journal.register("gone", Start::Earliest).unwrap();
        journal.register("follows", Start::Earliest).unwrap();
        append(&journal, 0, 150_000);
        let grown = resident().saturating_sub(before);
        println!("{grown} KiB after {} MiB of records", 150_000 * 330 / KIB / KIB);
        assert!(grown < most, "{grown} KiB");
    }
}
