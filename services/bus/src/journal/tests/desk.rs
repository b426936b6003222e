//! Records that their caller writes himself, beside the thread that writes the others.

use super::*;

const PASSING: Class = Class { keep: Keep::All, durable: false };

fn position(answer: Result<Appended, Failure>) -> Position {
    let Appended::Stored(position) = answer.unwrap() else { panic!("it came once") };
    position
}

#[test]
fn what_needs_no_sync_waits_for_none() {
    let bench = Bench::new(SMALL);
    bench.append(record(1, PASSING, "a")).unwrap();
    bench.append(record(2, PASSING, "a")).unwrap();
    let gate = bench.disk.mood.gate.write().unwrap();
    std::thread::scope(|scope| {
        let settled = scope.spawn(|| wait(bench.journal().settle()));
        for n in 3..=9 {
            bench.append(record(n, PASSING, "a")).unwrap();
        }
        drop(gate);
        settled.join().unwrap().unwrap();
    });
    assert_eq!(bench.all(), Vec::from_iter(1..=9));
}

#[test]
fn what_came_before_is_not_overtaken() {
    let bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    let gate = bench.disk.mood.gate.write().unwrap();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| bench.append(record(2, ALL, "a")));
        let queued = |count| {
            while bench.journal().core.queued.load(SeqCst) < count {
                std::thread::yield_now()
            }
        };
        queued(1);
        let second = scope.spawn(|| bench.append(record(3, PASSING, "a")));
        queued(2);
        drop(gate);
        assert!(position(first.join().unwrap()) < position(second.join().unwrap()));
    });
    assert_eq!(bench.journal().core.queued.load(SeqCst), 0);
}

#[test]
fn what_a_full_disk_takes_nothing_of_is_not_kept() {
    let bench = Bench::new(SMALL);
    bench.append(record(1, PASSING, "a")).unwrap();
    bench.disk.mood.room.store(bench.disk.used() + 20, SeqCst);
    assert!(bench.append(record(2, PASSING, "a")).unwrap_err().is_temporary());
    bench.disk.mood.room.store(0, SeqCst);
    bench.append(record(2, PASSING, "a")).unwrap();
    assert_eq!(bench.all(), [1, 2]);
}

/// Four programs at once, whose records go either way, over many segments that are tidied meanwhile.
#[test]
fn both_ways_lead_into_one_order() {
    let mut bench = Bench::new(Bounds { keep_all: Bound { bytes: 1 << 20, ..SMALL.keep_all }, ..SMALL });
    let one = |writer: u64, n: u64| {
        let keep = if n.is_multiple_of(3) { Keep::LatestPerSubject } else { Keep::All };
        let class = Class { keep, durable: n.is_multiple_of(7) };
        let mut record = record(n, class, &format!("s{}", n % 5));
        record.key.epoch = Epoch(writer);
        record
    };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let bench = &bench;
            scope.spawn(move || {
                let positions: Vec<_> = (1..=400).map(|n| position(bench.append(one(writer, n)))).collect();
                assert!(positions.is_sorted_by(|one, other| one < other));
            });
        }
    });
    wait(bench.journal().settle()).unwrap();
    let before = bench.all();
    assert_eq!(before.iter().filter(|&n| n % 3 != 0).count(), 4 * 400 - 4 * 133, "of {}", before.len());
    assert_eq!(before.iter().filter(|&n| n % 3 == 0).count(), 5, "one state a subject");
    let alive: u64 = bench.journal().core.lock().shelf.segments.iter().map(Segment::alive).sum();
    assert_eq!(alive, before.len() as u64 * (56 + 5 + 2 + 50), "nothing is counted that is not there");
    bench.open();
    assert_eq!(bench.all(), before);
}
