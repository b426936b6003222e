//! How fast the journal is beside bare appends with a sync, on the disk of the directory for temporary files. Not part
//! of the tests: figures of a busy machine prove nothing. With optimisation:
//! `CARGO_PROFILE_TEST_OPT_LEVEL=3 cargo test -p bus --test speed -- --ignored --nocapture`
#![allow(clippy::unwrap_used, missing_docs)]

use bus::journal::{Bounds, Class, Clock, Journal, Keep, Key, Place, Position, Record, Start, wait};
use nix::time::{ClockId, clock_gettime};
use protocol::{Epoch, HostName};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const LASTS: Duration = Duration::from_secs(2);
/// With its header a record of 340 bytes.
const BODY: usize = 340 - 56 - 5 - 8;

fn record(epoch: u64, sequence: u64, durable: bool) -> Record {
    let key = Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(epoch), sequence };
    let class = Class { keep: Keep::All, durable };
    Record { key, class, subject: "camera/x".into(), expires: None, body: vec![7; BODY] }
}

fn bare(directory: &Path, batch: usize) -> f64 {
    let mut file = File::create(directory.join("bare")).unwrap();
    let bytes = vec![7; 340 * batch];
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < LASTS {
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        count += batch;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Write calls of this process so far. Unlike times they do not depend on what else the machine does.
fn writes() -> f64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("syscw: ")).unwrap().parse().unwrap()
}

/// So many callers, each of whom waits for his answer before he appends again.
fn window(directory: &Path, callers: usize, durable: bool) -> f64 {
    let place = Place::Directory(directory.join(format!("window{callers}{durable}")));
    let (journal, _) = Journal::open(place, Bounds::default(), Clock::system()).unwrap();
    let journal = Arc::new(journal);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (start, before) = (Instant::now(), writes());
    let total = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for caller in 0..callers as u64 {
            let journal = journal.clone();
            tasks.spawn(async move {
                let mut count = 0;
                while start.elapsed() < LASTS {
                    count += 1;
                    journal.append(record(caller, count, durable)).await.unwrap();
                }
                count
            });
        }
        tasks.join_all().await.into_iter().sum::<u64>()
    });
    println!("{callers} callers: {:.1} records a write", total as f64 / (writes() - before));
    total as f64 / start.elapsed().as_secs_f64()
}

/// One caller with so many records at a time.
fn at_once(directory: &Path, batch: u64) -> f64 {
    let place = Place::Directory(directory.join(format!("batch{batch}")));
    let (journal, _) = Journal::open(place, Bounds::default(), Clock::system()).unwrap();
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < LASTS {
        let records = (count + 1..=count + batch).map(|n| record(1, n, true)).collect();
        assert!(wait(journal.append_all(records)).unwrap().iter().all(Result::is_ok));
        count += batch;
    }
    count as f64 / start.elapsed().as_secs_f64()
}

#[test]
#[ignore = "figures, not a test"]
fn beside_bare_appends() {
    let scratch = tempfile::tempdir().unwrap();
    println!("batch | bare/s | window/s | ratio | at once/s | ratio");
    for batch in [1, 10, 100, 1000] {
        let bare = bare(scratch.path(), batch);
        let (window, at_once) = (window(scratch.path(), batch, true), at_once(scratch.path(), batch as u64));
        println!("{batch} | {bare:.0} | {window:.0} | {:.2} | {at_once:.0} | {:.2}", window / bare, at_once / bare);
    }
    println!("volatile, window 100: {:.0}/s", window(scratch.path(), 100, false));
    println!("read: {:.0}/s", reading(scratch.path()));
}

/// Records read from the files of the last journal.
fn reading(directory: &Path) -> f64 {
    let place = Place::Directory(directory.join("batch1000"));
    let opened = Instant::now();
    let (journal, _) = Journal::open(place, Bounds::default(), Clock::system()).unwrap();
    println!("opened in {:?} with {:?}", opened.elapsed(), journal.fill());
    let (start, mut from, mut count) = (Instant::now(), Position::START, 0);
    while from < *journal.end().borrow() {
        let batch = journal.read(from, &|_| true, 1 << 16).unwrap();
        (from, count) = (batch.next, count + batch.entries.len());
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Processor time of this process so far; it depends less than the time of day on what else the machine does.
fn processor() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).unwrap().into()
}

/// Does something so many times; prints how long one of `each` took, and how much of a processor.
fn timed(what: &str, each: u64, mut act: impl FnMut() -> u64) {
    let (start, before, mut count) = (Instant::now(), processor(), 0);
    while start.elapsed() < LASTS {
        count += act() * each;
    }
    let (took, used) = (start.elapsed(), processor() - before);
    let of = |time: Duration| time.as_secs_f64() * 1e6 / count.max(1) as f64;
    println!("{what}: {:.0}/s, {:.2} us each, {:.2} us of a processor", 1e6 / of(took), of(took), of(used));
}

fn open(directory: &Path, name: &str) -> Journal {
    let place = Place::Directory(directory.join(name));
    Journal::open(place, Bounds::default(), Clock::system()).unwrap().0
}

/// Appends so many volatile records at a time; from which number on is counted in `from`.
fn put(journal: &Journal, from: &mut u64, count: u64) -> u64 {
    let records = (*from + 1..=*from + count).map(|n| record(1, n, false)).collect();
    assert!(wait(journal.append_all(records)).unwrap().iter().all(Result::is_ok));
    *from += count;
    count
}

#[test]
#[ignore = "figures, not a test"]
fn volatile_records() {
    let scratch = tempfile::tempdir().unwrap();
    for batch in [1, 10, 50, 500] {
        let (journal, mut from) = (open(scratch.path(), &format!("volatile{batch}")), 0);
        timed(&format!("append {batch} at a time"), 1, || put(&journal, &mut from, batch));
    }
    let (journal, mut from) = (open(scratch.path(), "follow"), 0);
    journal.register("follows", Start::Earliest).unwrap();
    timed("append 50, take, acknowledge", 1, || {
        put(&journal, &mut from, 50);
        let batch = journal.take("follows", &|_| true, 24 * 1024).unwrap();
        batch.entries.iter().for_each(|entry| assert!(journal.acknowledge("follows", entry.position).unwrap()));
        batch.entries.len() as u64
    });
}

#[test]
#[ignore = "figures, not a test"]
fn one_now_and_then() {
    let scratch = tempfile::tempdir().unwrap();
    let (journal, mut from, mut times) = (open(scratch.path(), "light"), 0, Vec::new());
    for _ in 0..1000 {
        std::thread::sleep(Duration::from_millis(2));
        let start = Instant::now();
        put(&journal, &mut from, 1);
        times.push(start.elapsed());
    }
    times.sort();
    println!("one volatile record: p50 {:?}, p99 {:?}, worst {:?}", times[500], times[990], times[999]);
}

#[test]
#[ignore = "figures, not a test"]
fn many_consumers() {
    let scratch = tempfile::tempdir().unwrap();
    let (journal, mut from) = (open(scratch.path(), "many"), 0);
    let names: Vec<_> = (0..1000).map(|n| format!("link:client-{n}.house.example")).collect();
    assert!(names.iter().all(|name| journal.register(name, Start::Latest).unwrap()));
    timed("a ledger of 1000 consumers, each with open records", 1, || {
        put(&journal, &mut from, 50);
        names.iter().for_each(|name| drop(journal.take(name, &|_| true, 1 << 20).unwrap()));
        wait(journal.settle()).unwrap();
        1
    });
    let bytes = std::fs::metadata(scratch.path().join("many/ledger.0")).unwrap().len();
    println!("the ledger has {bytes} bytes");
}
