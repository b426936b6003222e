//! Disks that take nothing.

use super::*;

#[test]
fn a_full_disk_takes_nothing_and_loses_nothing() {
    let mut bench = Bench::new(SMALL);
    bench.disk.mood.room.store(5000, SeqCst);
    let kept: Vec<u64> = (1..=100).filter(|&n| bench.append(record(n, ALL, "a")).is_ok()).collect();
    assert!(kept.len() > 10 && kept.len() < 50, "{kept:?}");
    let why = bench.append(record(200, ALL, "a")).unwrap_err();
    assert!(why.is_temporary() && why.to_string().contains("make room on that disk"), "{why}");
    assert_eq!(bench.all(), kept);
    bench.disk.mood.room.store(0, SeqCst);
    bench.append(record(201, ALL, "a")).unwrap();
    bench.kill();
    bench.disk.power_cut(|_| 0);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.all(), [kept, vec![201]].concat());
}

#[test]
fn a_sync_that_failed_is_trusted_with_nothing() {
    let mut bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    bench.append(record(2, MOTION, "a")).unwrap();
    bench.disk.mood.syncs_fail.store(true, SeqCst);
    assert!(bench.append(record(3, ALL, "a")).unwrap_err().is_temporary());
    assert!(bench.append(record(4, MOTION, "a")).is_err(), "as long as the file is spoilt");
    bench.disk.mood.syncs_fail.store(false, SeqCst);
    bench.append(record(5, ALL, "a")).unwrap();
    assert_eq!(bench.all(), [1, 2, 5]);
    bench.kill();
    bench.disk.power_cut(|_| 0);
    assert_eq!(bench.open(), []);
    assert_eq!(bench.all(), [1, 2, 5], "and 2 was written anew, as the failed sync was to have written it");
}

#[test]
fn what_only_the_cache_has_is_not_called_kept_after_a_kill() {
    let mut bench = Bench::new(SMALL);
    bench.append(record(1, ALL, "a")).unwrap();
    bench.disk.mood.syncs_fail.store(true, SeqCst);
    bench.append(record(2, ALL, "a")).unwrap_err();
    bench.kill();
    bench.disk.mood.syncs_fail.store(false, SeqCst);
    bench.open();
    assert_eq!(bench.all(), [1, 2], "it can be read");
    assert_eq!(bench.append(record(2, ALL, "a")).unwrap(), Appended::Already(None));
    bench.kill();
    bench.disk.power_cut(|_| 0);
    bench.open();
    assert_eq!(bench.all(), [1, 2], "and when it was called kept, it was");
}

#[test]
fn cursors_that_cannot_be_written_are_written_later() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("hooks", Start::Earliest).unwrap();
    bench.append(record(1, ALL, "a")).unwrap();
    let position = bench.journal().take("hooks", &|_| true, 99).unwrap().entries[0].position;
    bench.disk.mood.syncs_fail.store(true, SeqCst);
    assert!(bench.journal().acknowledge("hooks", position).unwrap());
    assert!(wait(bench.journal().settle()).is_err());
    bench.disk.mood.syncs_fail.store(false, SeqCst);
    wait(bench.journal().settle()).unwrap();
    bench.kill();
    bench.disk.power_cut(|_| 0);
    bench.open();
    assert!(bench.journal().take("hooks", &|_| true, 99).unwrap().entries.is_empty());
}

#[test]
fn cursors_are_written_in_time_however_much_is_appended() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("hooks", Start::Earliest).unwrap();
    bench.append(record(1, ALL, "a")).unwrap();
    let position = bench.journal().take("hooks", &|_| true, 99).unwrap().entries[0].position;
    bench.journal().acknowledge("hooks", position).unwrap();
    bench.advance(1);
    bench.append(record(2, ALL, "a")).unwrap();
    bench.append(record(3, ALL, "a")).unwrap();
    bench.kill();
    bench.disk.power_cut(|_| 0);
    bench.open();
    let batch = bench.journal().take("hooks", &|_| true, 99).unwrap();
    assert_eq!(batch.entries[0].record.key.sequence, 2);
}

#[test]
fn cursors_outlive_a_ledger_that_only_the_cache_has() {
    let mut bench = Bench::new(SMALL);
    bench.journal().register("hooks", Start::Earliest).unwrap();
    wait(bench.journal().settle()).unwrap();
    bench.disk.mood.syncs_fail.store(true, SeqCst);
    wait(bench.journal().settle()).unwrap_err();
    bench.kill();
    bench.disk.mood.syncs_fail.store(false, SeqCst);
    bench.open();
    bench.disk.mood.room.store(bench.disk.used() + 10, SeqCst);
    bench.journal().register("a consumer with a name that makes the ledger longer", Start::Earliest).unwrap();
    wait(bench.journal().settle()).unwrap_err();
    bench.kill();
    bench.disk.mood.room.store(0, SeqCst);
    bench.disk.power_cut(|n| n - 1);
    bench.open();
    assert!(bench.journal().take("hooks", &|_| true, 99).is_ok());
}
