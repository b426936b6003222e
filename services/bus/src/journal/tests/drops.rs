//! What goes when there is too much, in which order, and how it is told.

use super::*;

fn dropped(bench: &Bench) -> Vec<Dropped> {
    let only = |notice| match notice {
        Notice::Dropped(dropped) => dropped,
        Notice::Damaged(damage) => panic!("{damage}"),
    };
    wait(bench.journal().settle()).unwrap();
    bench.journal().notices().into_iter().map(only).collect()
}

/// All that is there after what has to go is gone.
fn settled(bench: &Bench) -> Vec<u64> {
    wait(bench.journal().settle()).unwrap();
    bench.all()
}

/// Bytes of a record here.
const SIZE: u64 = 56 + 5 + 1 + 50;

#[test]
fn the_oldest_go_and_the_others_stay() {
    let bench = Bench::new(SMALL);
    bench.journal().register("slow", Start::Earliest).unwrap();
    bench.append(record(1, ALL, "a")).unwrap();
    bench.append(record(2, STATE, "a")).unwrap();
    for n in 3..=500 {
        bench.append(record(n, MOTION, "a")).unwrap();
    }
    let all = settled(&bench);
    assert!(*bench.journal().told().borrow() > 0, "whoever waits for notices is woken");
    assert_eq!(all[..2], [1, 2], "only motion had too many");
    let motion = (all.len() - 2) as u64 * SIZE;
    assert!(motion <= SMALL.drop_oldest.bytes && motion > SMALL.drop_oldest.bytes / 2, "{motion}");
    assert_eq!(all[2..], Vec::from_iter(all[2]..=500), "the oldest went");
    let told = dropped(&bench);
    let [only] = &told[..] else { panic!("{told:?}") };
    assert_eq!((only.keep, only.by, only.count), (Keep::DropOldest, Bounded::Bytes, all[2] - 3));
    assert_eq!((only.from, only.to, only.bytes), (Position(3), Position(all[2] - 1), only.count * SIZE));
    assert_eq!(only.unread_by, ["slow"]);
    assert!(only.to_string().contains("before slow had acknowledged them"), "{only}");
    assert_eq!(bench.journal().fill().dropped, [0, 0, only.count]);
    bench.settle();
    assert!(bench.journal().fill().bytes < SMALL.disk() && bench.segments().len() < 15);
    let batch = bench.journal().take("slow", &|_| true, 1 << 20).unwrap();
    assert_eq!(batch.gap, Some(Gap { from: only.from, to: only.to }), "a gap is told, never silent");
}

#[test]
fn of_a_crowd_that_missed_something_only_a_few_are_named() {
    let bench = Bench::new(SMALL);
    for n in 0..MAX_CONSUMERS {
        bench.journal().register(&format!("link:{n:05}"), Start::Earliest).unwrap();
    }
    let why = bench.journal().register("one more", Start::Earliest).unwrap_err();
    assert!(why.to_string().contains("16384 consumers"), "{why}");
    for n in 1..=100 {
        bench.append(record(n, MOTION, "a")).unwrap();
    }
    let told = dropped(&bench);
    assert_eq!((told[0].unread_by.len(), told[0].unread_by_more), (MAX_UNREAD, MAX_CONSUMERS - MAX_UNREAD));
    assert!(told[0].to_string().contains("link:00015 and 16368 more had acknowledged"), "{}", told[0]);
}

#[test]
fn what_everybody_had_is_no_loss() {
    let bench = Bench::new(SMALL);
    bench.journal().register("quick", Start::Earliest).unwrap();
    for n in 1..=2000 {
        bench.append(record(n, ALL, "a")).unwrap();
        for entry in bench.journal().take("quick", &|_| true, 1 << 20).unwrap().entries {
            bench.journal().acknowledge("quick", entry.position).unwrap();
        }
    }
    let told = dropped(&bench);
    assert!(told.iter().all(|dropped| dropped.unread_by.is_empty() && dropped.keep == Keep::All), "{told:?}");
    assert_eq!(told.iter().map(|dropped| dropped.count).sum::<u64>() as usize + settled(&bench).len(), 2000);
    assert!(told[0].to_string().ends_with("every consumer had them"));
}

#[test]
fn a_consumer_that_never_comes_back_keeps_nothing_for_ever() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("gone", Start::Earliest).unwrap();
    for n in 1..=1000 {
        bench.append(record(n, ALL, "a")).unwrap();
    }
    bench.settle();
    assert!(bench.journal().fill().bytes <= SMALL.disk());
    assert_eq!(bench.open(), []);
    let batch = bench.journal().take("gone", &|_| true, 300).unwrap();
    let first = batch.entries[0].position;
    assert_eq!(batch.gap.map(|gap| (gap.from, gap.to)), Some((Position(1), first.before())), "over a restart, too");
}

#[test]
fn records_grow_old_in_the_time_that_the_journal_is_open() {
    let mut bench = Bench::new(SMALL);
    for n in 1..=4 {
        bench.append(record(n, MOTION, "a")).unwrap();
        bench.advance(2000);
    }
    bench.open();
    assert_eq!(settled(&bench), [1, 2, 3, 4], "8000 seconds are allowed");
    bench.advance(1999);
    bench.append(record(5, ALL, "a")).unwrap();
    assert_eq!(settled(&bench), [2, 3, 4, 5]);
    assert_eq!(dropped(&bench)[0].by, Bounded::Age);
    bench.advance(20_000);
    bench.append(record(6, ALL, "a")).unwrap();
    assert_eq!(settled(&bench), [6]);
}

#[test]
fn of_a_subject_the_newest_stays() {
    let mut bench = Bench::new(SMALL);
    for n in 1..=300 {
        bench.append(record(n, STATE, ["a", "b", "c"][n as usize % 3])).unwrap();
        bench.append(record(n + 1000, STATE, "quiet").clone()).map(drop).unwrap();
    }
    bench.settle();
    bench.append(record(400, STATE, "a")).unwrap();
    assert_eq!(settled(&bench), [298, 299, 1300, 400]);
    bench.open();
    assert_eq!(settled(&bench), [298, 299, 1300, 400]);
    assert_eq!(dropped(&bench), [], "to be replaced is not to be lost");
    let subjects = (0..200).map(|n| bench.append(record(2000 + n, STATE, &format!("many{n}"))).unwrap()).count();
    let left = settled(&bench).len() as u64;
    assert!(left < subjects as u64 && left >= SMALL.latest_per_subject.bytes / (SIZE + 7) - 1, "{left}");
    assert!(dropped(&bench).iter().all(|dropped| dropped.keep == Keep::LatestPerSubject));
}

#[test]
fn a_mix_of_everything_stays_within_the_bounds() {
    let mut bench = Bench::new(SMALL);
    let classes = [ALL, STATE, MOTION, MOTION, STATE, MOTION];
    for n in 1..=6000u64 {
        let subject = format!("s{}", n * 7919 % 40);
        let size = (n * 31 % 300) as usize;
        bench.append(Record { body: vec![0; size], ..record(n, classes[n as usize % 6], &subject) }).unwrap();
        let fill = bench.journal().fill();
        assert!(fill.bytes <= SMALL.disk() && bench.disk.used() <= SMALL.disk() + 64 * 1024, "{n}: {fill:?}");
    }
    bench.settle();
    let before = settled(&bench);
    bench.kill();
    bench.disk.power_cut(|_| 0);
    bench.open();
    let after = settled(&bench);
    assert!(before.starts_with(&after) || after.len() + 6 > before.len(), "only the last volatile ones may be missing");
}
