//! Following, catching up, handing out again.

use super::*;

fn sequences(batch: &Batch) -> Vec<u64> {
    batch.entries.iter().map(|entry| entry.record.key.sequence).collect()
}

#[test]
fn who_follows_costs_the_disk_nothing() {
    let bench = Bench::new(SMALL);
    for n in 1..=300 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    let end = *bench.journal().end().borrow();
    let reads = bench.disk.mood.reads.load(SeqCst);
    for n in 301..=400 {
        bench.append(record(n, ALL, "a")).unwrap();
        let from = Position(end.0 + n - 301);
        assert_eq!(sequences(&bench.journal().read(from, &|_| true, 4096).unwrap()), [n]);
    }
    assert_eq!(bench.disk.mood.reads.load(SeqCst), reads);
}

#[test]
fn who_reads_at_an_empty_segment_misses_nothing() {
    let bench = Bench::new(SMALL);
    bench.disk.mood.room.store(80, SeqCst);
    bench.append(record(1, ALL, "a")).unwrap_err();
    let next = bench.journal().read(Position::START, &|_| true, 99).unwrap().next;
    bench.disk.mood.room.store(0, SeqCst);
    bench.append(record(1, ALL, "a")).unwrap();
    assert_eq!(sequences(&bench.journal().read(next, &|_| true, 99).unwrap()), [1]);
}

#[test]
fn who_waits_is_woken() {
    let bench = Bench::new(SMALL);
    let mut end = bench.journal().end();
    let before = *end.borrow_and_update();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            wait(end.changed()).unwrap();
            *end.borrow()
        });
        bench.append(record(1, ALL, "a")).unwrap();
        assert_eq!(waiter.join().unwrap(), before.next());
    });
}

#[test]
fn a_reading_is_bounded_and_goes_on_where_it_ended() {
    let mut bench = Bench::new(SMALL);
    for n in 1..=300 {
        bench.append(record(n, ALL, if n % 100 == 0 { "rare" } else { "a" })).unwrap();
    }
    bench.open();
    let batch = bench.journal().read(Position::START, &|_| true, 250).unwrap();
    assert_eq!(sequences(&batch), [1, 2], "two of 112 bytes");
    assert_eq!(sequences(&bench.journal().read(batch.next, &|_| true, 1).unwrap()), [3], "at least one");
    let rare = bench.journal().read(Position::START, &|entry| entry.record.subject == "rare", 250).unwrap();
    assert_eq!(sequences(&rare), [100, 200]);
    assert_eq!(bench.all(), Vec::from_iter(1..=300));
}

#[test]
fn a_large_record_is_read_however_small_the_steps_are() {
    let large = Bounds { segment: 1 << 20, recent: 0, ..Bounds::default() };
    let bench = Bench::new(large);
    for n in 1..=8 {
        bench.append(Record { body: vec![n as u8; 32_000], ..record(n, ALL, "a") }).unwrap();
    }
    assert_eq!(bench.all(), Vec::from_iter(1..=8));
}

#[test]
fn what_is_not_acknowledged_comes_again() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("hooks", Start::Earliest).unwrap();
    for n in 1..=5 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    let batch = bench.journal().take("hooks", &|entry| entry.record.key.sequence != 3, 1 << 20).unwrap();
    assert_eq!(sequences(&batch), [1, 2, 4, 5]);
    for which in [3, 1] {
        bench.journal().acknowledge("hooks", batch.entries[which].position).unwrap();
    }
    assert!(bench.journal().give_back("hooks", batch.entries[2].position).unwrap());
    assert_eq!(sequences(&bench.journal().take("hooks", &|_| true, 1).unwrap()), [4]);
    bench.open();
    assert_eq!(sequences(&bench.journal().take("hooks", &|_| true, 1 << 20).unwrap()), [1, 4]);
    bench.journal().rewind("hooks").unwrap();
    assert_eq!(sequences(&bench.journal().take("hooks", &|_| true, 1 << 20).unwrap()), [1, 4]);
    assert_eq!(bench.journal().consumers()[0].open, 2);
}

#[test]
fn who_is_done_with_everything_up_to_a_record_says_so_once() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("link", Start::Earliest).unwrap();
    for n in 1..=5 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    let batch = bench.journal().take("link", &|_| true, 1 << 20).unwrap();
    assert_eq!(bench.journal().acknowledge_through("link", batch.entries[2].position).unwrap(), 3);
    assert_eq!(bench.journal().acknowledge_through("link", batch.entries[1].position).unwrap(), 0);
    assert!(bench.journal().acknowledge_through("nobody", Position(1)).is_err());
    bench.open();
    assert_eq!(sequences(&bench.journal().take("link", &|_| true, 1 << 20).unwrap()), [4, 5]);
}

#[test]
fn nobody_is_handed_more_than_he_can_hold() {
    let bench = Bench::new(Bounds::in_memory());
    bench.journal().register("stuck", Start::Earliest).unwrap();
    let records = (1..=5000).map(|n| record(n, ALL, "a")).collect();
    wait(bench.journal().append_all(records)).unwrap();
    let first = bench.journal().take("stuck", &|_| true, 1 << 24).unwrap();
    assert_eq!(first.entries.len(), 4096);
    assert!(bench.journal().take("stuck", &|_| true, 1 << 24).unwrap().entries.is_empty());
    bench.journal().acknowledge("stuck", first.entries[100].position).unwrap();
    assert_eq!(sequences(&bench.journal().take("stuck", &|_| true, 1 << 24).unwrap()), [4097]);
}

#[test]
fn consumers_come_and_go() {
    let bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    bench.journal().register("late", Start::Latest).unwrap();
    bench.append(record(2, ALL, "a")).unwrap();
    assert_eq!(sequences(&bench.journal().take("late", &|_| true, 1 << 20).unwrap()), [2]);
    bench.journal().register("late", Start::Earliest).unwrap();
    assert!(bench.journal().take("late", &|_| true, 1 << 20).unwrap().entries.is_empty(), "it goes on where it was");
    bench.journal().forget("late").unwrap();
    let why = bench.journal().take("late", &|_| true, 1).unwrap_err();
    assert!(why.to_string().contains("`late`: there is none of that name; register it first"), "{why}");
}

#[test]
fn consumers_are_bounded() {
    let bench = Bench::new(SMALL);
    let why = bench.journal().register(&"n".repeat(257), Start::Latest).unwrap_err();
    assert!(why.to_string().ends_with("over 256 bytes; take a shorter one"), "{why}");
    assert!(
        (0..MAX_CONSUMERS).all(|n| bench.journal().register(&format!("n{n}"), Start::Latest).unwrap()),
        "each is new"
    );
    let why = bench.journal().register("one more", Start::Latest).unwrap_err();
    assert!(!why.is_temporary() && why.to_string().contains("let it forget one"), "{why}");
    assert!(!bench.journal().register("n7", Start::Latest).unwrap(), "that one is known");
}

#[test]
fn how_everything_is_now_is_known_without_reading_everything() {
    let mut bench = Bench::new(Bounds {
        keep_all: Bound { bytes: 1 << 22, ..SMALL.keep_all },
        segment: 1 << 20,
        ..Bounds::default()
    });
    for n in 1..=6000 {
        let (class, subject) = if n % 1200 == 0 { (STATE, format!("st/{}", n % 3600)) } else { (ALL, "evt".into()) };
        bench.append(record(n, Class { durable: false, ..class }, &subject)).unwrap();
    }
    for _ in 0..2 {
        bench.disk.mood.reads.store(0, SeqCst);
        let all = bench.journal().latest(&|_| true).unwrap();
        assert_eq!(all.iter().map(|entry| entry.record.key.sequence).collect::<Vec<_>>(), [3600, 4800, 6000]);
        assert!(bench.disk.mood.reads.load(SeqCst) <= 3, "one reading of a few KiB for each");
        let one = bench.journal().latest(&|subject| subject == "st/1200").unwrap();
        assert_eq!(one.iter().map(|entry| entry.record.key.sequence).collect::<Vec<_>>(), [4800]);
        bench.open();
    }
    assert!(bench.journal().latest(&|subject| subject == "evt").unwrap().is_empty(), "no state was ever told of it");
}

#[test]
fn how_a_thing_is_ends_when_it_expires() {
    let bench = Bench::new(SMALL);
    bench.append(Record { expires: Some(1_800_000_010), ..record(1, STATE, "a") }).unwrap();
    bench.append(record(2, STATE, "b")).unwrap();
    bench.append(record(3, STATE, "b")).unwrap();
    let now = |bench: &Bench| -> Vec<u64> {
        bench.journal().latest(&|_| true).unwrap().iter().map(|entry| entry.record.key.sequence).collect()
    };
    assert_eq!(now(&bench), [1, 3]);
    bench.advance(10);
    assert_eq!(now(&bench), [3]);
}

#[test]
fn who_has_more_to_get_again_has_not_caught_up() {
    let bench = Bench::new(SMALL);
    bench.journal().register("link:attic", Start::Earliest).unwrap();
    for n in 1..=3 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    let end = *bench.journal().end().borrow();
    assert_eq!(bench.journal().take("link:attic", &|_| true, 4096).unwrap().next, end);
    bench.journal().rewind("link:attic").unwrap();
    for n in 1..=3 {
        let batch = bench.journal().take("link:attic", &|_| true, 1).unwrap();
        assert_eq!((sequences(&batch), batch.next < end), (vec![n], n < 3));
    }
}
