//! What comes late, and what was there and is gone.

use super::*;

/// Holes, more of them than are remembered: what lies between was of no interest here.
fn with_holes(recent: u64) -> Bench {
    let bench = Bench::new(Bounds { recent, ..SMALL });
    for sequence in (4..3000).step_by(2) {
        bench.append(record(sequence, MOTION, "motion")).unwrap();
    }
    bench
}

#[test]
fn a_state_is_kept_however_late_it_comes_and_not_twice() {
    let bench = with_holes(0);
    assert!(matches!(bench.append(record(5, STATE, "disk")), Ok(Appended::Stored(_))));
    assert!(matches!(bench.append(record(5, STATE, "disk")), Ok(Appended::Already(Some(_)))));
    assert!(matches!(bench.append(record(3, STATE, "disk")), Ok(Appended::Already(None))), "it is older");
}

#[test]
fn an_event_that_was_never_here_is_kept_though_its_hole_was_closed() {
    let bench = with_holes(SMALL.recent.max(4096));
    let late = bench.append(record(5, ALL, "all"));
    assert!(matches!(late, Ok(Appended::Stored(_))), "{late:?}");
    assert!(matches!(bench.append(record(5, ALL, "all")), Ok(Appended::Already(Some(_)))), "it is among the newest");
    assert!(matches!(bench.append(record(2998, MOTION, "motion")), Ok(Appended::Already(_))), "it was here");
}

#[test]
fn the_newest_records_are_found_behind_the_leap_of_a_crash() {
    let mut bench = Bench::new(SMALL);
    for sequence in 1..100 {
        bench.append(record(sequence, ALL, "all")).unwrap();
    }
    let before = bench.journal().tail(4000);
    bench.kill();
    bench.open();
    let at = bench.journal().tail(4000);
    assert!(bench.journal().next().0 > before.0 + 1_000_000, "it leapt");
    let newest = bench.journal().read(at, &|entry| entry.record.key.sequence == 99, 1).unwrap();
    assert_eq!(newest.entries.len(), 1);
    assert!(at >= before && at > Position(2), "not everything is looked through");
}

#[test]
fn what_is_gone_is_not_looked_for_one_by_one() {
    let bench = Bench::new(Bounds { recent: 0, ..SMALL });
    bench.journal().register("hooks", Start::Earliest).unwrap();
    for sequence in 1..40 {
        bench.append(record(sequence, STATE, "disk")).unwrap();
        assert_eq!(bench.journal().take("hooks", &|_| true, 1).unwrap().entries.len(), 1);
    }
    bench.append(record(40, ALL, "all")).unwrap();
    bench.journal().rewind("hooks").unwrap();
    let reads = || bench.disk.mood.reads.load(SeqCst);
    let before = reads();
    let batch = bench.journal().take("hooks", &|_| true, 1 << 20).unwrap();
    let sequences: Vec<u64> = batch.entries.iter().map(|entry| entry.record.key.sequence).collect();
    assert_eq!(sequences, [39, 40], "the newest state, and what came after");
    assert_eq!(batch.gap, None, "what is outdated is not lost");
    assert!(reads() - before < 30, "{} reads", reads() - before);
}

#[test]
fn a_leap_is_no_loss() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("slow", Start::Earliest).unwrap();
    wait(bench.journal().settle()).unwrap();
    for sequence in 1..60 {
        bench.append(record(sequence, MOTION, "motion")).unwrap();
    }
    bench.kill();
    bench.open();
    for sequence in 60..400 {
        bench.append(record(sequence, MOTION, "motion")).unwrap();
    }
    bench.settle();
    let gap = bench.journal().take("slow", &|_| true, 1 << 20).unwrap().gap.expect("the oldest went");
    assert!((300..400).contains(&gap.count()), "{} of {gap:?}", gap.count());
}
