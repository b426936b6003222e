//! `suspicion`: simulates clients and servers over bad networks for 10,000 hours and more, and prints how often a living
//! server was accused and how soon a dead one was missed. Exit 1 if a client would have powered off without
//! reason, or if the clean link's 99th percentile is over its bound.
//!
//! `--hours N` in all, `--seed N`, `--threads N`, `--model PART-OF-A-NAME`, `--explain N`: that many wrong verdicts of
//! each model, with what they rested on.

#[path = "../suspicion/mod.rs"]
mod suspicion;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use suspicion::models::{ALL, Model};
use suspicion::table;
use suspicion::world::{Report, run};

/// Each model's hours are lived in this many lives, each with a seed of its own, whatever the number of threads.
const LIVES: u64 = 8;
/// A cut link is noticed within this time at the 99th percentile when the link is clean, in seconds.
const CLEAN_BOUND: f64 = 4.5;

struct Options {
    hours: f64,
    seed: u64,
    threads: usize,
    model: String,
    explain: usize,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)) {
        Ok(options) => simulate(&options),
        Err(why) => {
            eprintln!(
                "suspicion: {why}; usage: suspicion [--hours N] [--seed N] [--threads N] [--model NAME] [--explain N]"
            );
            ExitCode::from(2)
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { hours: 13_000.0, seed: 1, threads: 2, model: String::new(), explain: 0 };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("{flag} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{flag} needs a number, not `{value}`"));
        match flag.as_str() {
            "--hours" => options.hours = number()? as f64,
            "--seed" => options.seed = number()?,
            "--threads" => options.threads = number()?.max(1) as usize,
            "--explain" => options.explain = number()? as usize,
            "--model" => options.model = value,
            _ => return Err(format!("unknown flag {flag}")),
        }
    }
    Ok(options)
}

fn simulate(options: &Options) -> ExitCode {
    let began = Instant::now();
    let models: Vec<&Model> = ALL.iter().filter(|model| model.name.contains(&options.model)).collect();
    println!("{} hours, seed {}, {} models, {LIVES} lives each\n", options.hours, options.seed, models.len());
    let reports: Vec<(&Model, Report)> = models.iter().copied().zip(live(&models, options)).collect();
    table::print(&reports);
    explain(&reports, options.explain);
    println!("\n{:.1} s on {} threads", began.elapsed().as_secs_f64(), options.threads);
    verdict(&reports)
}

fn explain(reports: &[(&Model, Report)], most: usize) {
    for (model, report) in reports {
        report.explanations.iter().take(most).for_each(|why| println!("{}: {why}", model.name));
    }
}

/// All lives of all models; each thread takes the next one that nobody has taken.
fn live(models: &[&Model], options: &Options) -> Vec<Report> {
    let lives = models.len() * LIVES as usize;
    let (next, hours) = (AtomicUsize::new(0), options.hours / lives as f64);
    let work = || {
        let mine = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&life| life < lives));
        mine.map(|life| (life, run(*models[life / LIVES as usize], hours, seed(options.seed, life)))).collect()
    };
    let done: Vec<(usize, Report)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread: std::thread::ScopedJoinHandle<Vec<_>>| join(thread)).collect()
    });
    collect(models.len(), done)
}

fn join<T>(thread: std::thread::ScopedJoinHandle<T>) -> T {
    thread.join().expect("a simulation does not panic")
}

/// Lives differ, and another seed gives other lives.
fn seed(seed: u64, life: usize) -> u64 {
    fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ life as u64).u64(..)
}

fn collect(models: usize, mut done: Vec<(usize, Report)>) -> Vec<Report> {
    done.sort_by_key(|(life, _)| *life);
    let mut reports = vec![Report::default(); models];
    done.into_iter().for_each(|(life, report)| reports[life / LIVES as usize].add(report));
    reports
}

fn verdict(reports: &[(&Model, Report)]) -> ExitCode {
    let power_offs: u64 = reports.iter().map(|(_, report)| report.power_offs).sum();
    let clean = reports.iter().find(|(model, _)| model.name == ALL[0].name);
    let slow = clean.map(|(_, report)| table::percentile(&report.noticed, 0.99)).filter(|&p99| p99 > CLEAN_BOUND);
    if power_offs > 0 {
        eprintln!("suspicion: {power_offs} false power-offs");
    }
    if let Some(p99) = slow {
        eprintln!("suspicion: a cut clean link takes {p99:.2} s at the 99th percentile, more than {CLEAN_BOUND} s");
    }
    if power_offs > 0 || slow.is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
