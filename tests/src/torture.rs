//! The bus under torture: processes die by `kill -9` at points of chance, journals are torn and flipped meanwhile, disks
//! are full, peers do not read, the broker is away. What was acknowledged must have been heard in the end: by every
//! listener, once, and in order of each who spoke. Beside it, the same for mosquitto as Debian sets it up.
//!
//! | module | what it holds |
//! |---|---|
//! | [`account`] | what was acknowledged against what was heard |
//! | [`diary`] | what the programs write down, so that it is known after they died |
//! | [`program`] | the programs: two that speak, two that listen, as processes of their own |
//! | [`house`] | a server, a satellite, a broker and the programs, any of which can die |
//! | [`points`] | who dies when, from a seed |
//! | [`kills`], [`newcomers`], [`damage`], [`full_disk`], [`deaf`], [`outage`], [`mosquitto`] | the trials |
//! | [`table`] | the result |

pub mod account;
pub mod damage;
pub mod deaf;
pub mod diary;
pub mod full_disk;
pub mod house;
pub mod kills;
pub mod mosquitto;
pub mod newcomers;
pub mod outage;
pub mod points;
pub mod program;
pub mod table;

use fastrand::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use table::Row;

/// How hard.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// Kill points of our own processes.
    pub points: usize,
    /// From where chance begins.
    pub seed: u64,
}

impl Measure {
    /// Whether it is to take minutes and not seconds.
    pub fn is_long(&self) -> bool {
        self.points >= 100
    }

    /// This share of the points, in percent, and one at least.
    pub fn share(&self, percent: usize) -> usize {
        (self.points * percent / 100).max(1)
    }
}

/// A trial: its name, and what comes of it.
type Trial = (&'static str, fn(Measure, &mut Rng) -> Vec<Row>);

const TRIALS: [Trial; 8] = [
    ("kill -9", kills::of_anybody),
    ("kill -9 of the broker", kills::of_the_broker),
    ("names begin to listen", newcomers::trial),
    ("journals torn and flipped", damage::trial),
    ("a full disk", full_disk::trial),
    ("peers that do not read", deaf::trial),
    ("the broker is away", outage::trial),
    ("mosquitto alone, as Debian sets it up", mosquitto::trial),
];

/// Does all of it, and prints the table; whether everything is as it must be.
pub fn run(measure: Measure, only: &str) -> bool {
    let Measure { points, seed } = measure;
    println!("torture: {points} kill points, --seed {seed}");
    let (start, mut rows) = (Instant::now(), Vec::new());
    for (number, (name, trial)) in TRIALS.iter().enumerate().filter(|(_, (name, _))| name.contains(only)) {
        let (began, mut random) = (Instant::now(), Rng::with_seed(measure.seed.wrapping_add(number as u64)));
        let outcome = catch_unwind(AssertUnwindSafe(|| trial(measure, &mut random)));
        println!("  {name}: {:.1} s", began.elapsed().as_secs_f64());
        rows.extend(outcome.unwrap_or_else(|_| vec![Row::failed(name)]));
    }
    print!("{}", table::text(&rows));
    let good = rows.iter().all(Row::is_good);
    let verdict =
        if good { "everything that was acknowledged was heard, once and in order" } else { "NOT as it must be" };
    println!("{verdict}; {:.0} s in all", start.elapsed().as_secs_f64());
    good
}
