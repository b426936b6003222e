//! A journal is damaged while its agent is dead: a record that is half there at its end, as a power cut leaves it, or a
//! bit that is not what it was. The first costs nothing, the second one record at most, and is told.

use super::Measure;
use super::house::House;
use super::points::Victim;
use super::table::Row;
use fastrand::Rng;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// Of the points, in percent.
const SHARE: usize = 16;
const PAUSE: u64 = 2000;
/// What stands before the first record of a file.
const PREFACE: u64 = bus::journal::codec::PREFACE as u64;
/// So much of a record's header is left by a power cut.
const HALF: usize = bus::journal::codec::HEADER / 2;

/// Half of the damage is torn, half is flipped; half at the server, half at the satellite.
pub fn trial(measure: Measure, random: &mut Rng) -> Vec<Row> {
    let each = measure.share(SHARE).div_ceil(2);
    vec![torn(each, random), flipped(each, random)]
}

fn torn(count: usize, random: &mut Rng) -> Row {
    let mut house = House::new(false, PAUSE);
    for number in 0..count {
        sleep(Duration::from_micros(random.u64(..200_000)));
        let victim = if number % 2 == 0 { Victim::Server } else { Victim::Client };
        house.kill(victim, Duration::ZERO, |house| tear(&newest(&journal(house, victim))));
    }
    let account = house.end();
    Row::new("kill -9 and a torn record at the end of the journal", count, account)
}

/// The first half of the first record's header once more, at the end.
fn tear(file: &Path) {
    let bytes = fs::read(file).expect("a journal has a file");
    let half = bytes.get(PREFACE as usize..PREFACE as usize + HALF);
    let mut file = OpenOptions::new().append(true).open(file).expect("a journal can be written");
    file.write_all(half.unwrap_or(&[0xb6; HALF])).expect("a journal can be written");
}

fn flipped(count: usize, random: &mut Rng) -> Row {
    let mut house = House::new(false, PAUSE);
    let mut untold = Vec::new();
    for number in 0..count {
        sleep(Duration::from_micros(random.u64(..200_000)));
        let victim = if number % 2 == 0 { Victim::Server } else { Victim::Client };
        let before = told(&house, victim);
        let mut where_it_was = String::new();
        house.kill(victim, Duration::ZERO, |house| where_it_was = flip(&journal(house, victim), random));
        let told_soon = || told(&house, victim) > before;
        if !until(told_soon) {
            untold.push(where_it_was);
        }
    }
    let account = house.end();
    let lost = [&house.ears[0], &house.ears[1]].map(|ear| house.account_of(ear).lost);
    let complaint = (!untold.is_empty()).then(|| format!("not told: {}", untold.join(", ")));
    let excess = lost.iter().any(|&lost| lost > count).then(|| format!("{count} bits cost {lost:?} records"));
    // Each listener may miss each record that was destroyed.
    let what = "kill -9 and a flipped bit in the journal";
    Row { destroyed: 2 * count, complaint: complaint.or(excess), ..Row::new(what, count, account) }
}

/// How often an agent has told of damage.
fn told(house: &House, victim: Victim) -> usize {
    let log = match victim {
        Victim::Server => house.attic.log(),
        _ => house.kitchen.log(),
    };
    log.lines().filter(|line| line.contains("error") && line.contains(".records")).count()
}

fn until(mut condition: impl FnMut() -> bool) -> bool {
    (0..200).any(|_| {
        condition() || {
            sleep(Duration::from_millis(10));
            false
        }
    })
}

/// Flips a bit of chance in a file of chance, behind its preface; says which.
fn flip(journal: &Path, random: &mut Rng) -> String {
    let files = files(journal);
    let path = &files[random.usize(..files.len())];
    let file = OpenOptions::new().read(true).write(true).open(path).expect("a journal can be written");
    let length = file.metadata().expect("a file has a length").len();
    let (at, bit) = (random.u64(PREFACE..length.max(PREFACE + 1)), random.u8(..8));
    let mut byte = [0];
    if file.read_at(&mut byte, at).expect("a journal can be read") == 0 {
        return format!("{} is empty", path.display());
    }
    file.write_at(&[byte[0] ^ 1 << bit], at).expect("a journal can be written");
    format!("bit {bit} of byte {at} of {length} in {}", path.display())
}

fn journal(house: &House, victim: Victim) -> PathBuf {
    let place = if victim == Victim::Server { house.attic.place() } else { house.kitchen.place() };
    place.path("state/journal")
}

fn newest(journal: &Path) -> PathBuf {
    files(journal).pop().expect("a journal has a file")
}

/// The files of records, the oldest first, those with a record in them.
fn files(journal: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(journal).expect("a journal is there").flatten().map(|entry| entry.path());
    let records = |path: &PathBuf| path.extension().is_some_and(|end| end == "records");
    let full = |path: &PathBuf| path.metadata().is_ok_and(|file| file.len() > PREFACE);
    let mut files: Vec<PathBuf> = entries.filter(|path| records(path) && full(path)).collect();
    files.sort_by_key(|path| path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
    files
}
