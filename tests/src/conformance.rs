//! One list of small stories, each with what comes of it, written down once. They are told to every engine that carries
//! events: to mosquitto as Debian ships it, to the relay that fserver has in itself, and to that relay with the hearers
//! at a satellite. Whatever a house is connected by, its programs see the same.
//!
//! | module | what it holds |
//! |---|---|
//! | [`engine`] | what a story may ask of an engine: sessions, the end by `kill -9`, a machine that comes and goes |
//! | [`stage`] | what a story is told with: speakers, ears, and a fence that shows when all has been heard |
//! | [`cases`] | the list |
//! | [`mosquitto`], [`relay`] | the engines |

pub mod cases;
pub mod engine;
pub mod mosquitto;
pub mod relay;
pub mod stage;

use engine::Engine;
use stage::Stage;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// So many stories at a time; they wait more than they work.
const AT_A_TIME: usize = 4;

/// A story, and what comes of it.
pub struct Case {
    /// What is promised, as a sentence.
    pub name: &'static str,
    /// What happens.
    pub story: fn(&mut Stage),
    /// What is noted, a line each.
    pub expected: &'static [&'static str],
    /// Whether the engine ends in it.
    pub ends: bool,
}

/// A story in which the engine runs all the time.
pub const fn case(name: &'static str, story: fn(&mut Stage), expected: &'static [&'static str]) -> Case {
    Case { name, story, expected, ends: false }
}

/// A story in which the engine ends and starts again.
pub const fn ending(name: &'static str, story: fn(&mut Stage), expected: &'static [&'static str]) -> Case {
    Case { name, story, expected, ends: true }
}

/// What came of a story on one engine.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Of which.
    pub case: &'static str,
    /// What was noted; or why the story came to no end.
    pub noted: Result<Vec<String>, String>,
    /// Whether that is what was expected.
    pub as_expected: bool,
    /// What everybody logged, if it is not.
    pub logs: String,
    /// How long it took.
    pub took: Duration,
}

/// Tells all stories, each to an engine of its own, some at a time; the outcomes are in the order of the list.
pub fn tell(cases: &[Case], engine: impl Fn(bool) -> Box<dyn Engine> + Sync) -> Vec<Outcome> {
    let (next, outcomes) = (Mutex::new(cases.iter().enumerate()), Mutex::new(Vec::new()));
    let teller = || {
        while let Some((number, case)) = { next.lock().expect("no teller panics").next() } {
            let outcome = tell_one(case, &engine);
            outcomes.lock().expect("no teller panics").push((number, outcome));
        }
    };
    std::thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(teller))));
    let mut outcomes = outcomes.into_inner().expect("no teller panics");
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn tell_one(case: &Case, engine: &(impl Fn(bool) -> Box<dyn Engine> + Sync)) -> Outcome {
    let start = Instant::now();
    let told = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::new(engine(case.ends));
        (case.story)(&mut stage);
        let as_expected = stage.noted() == case.expected;
        let logs = if as_expected { String::new() } else { stage.engine().world().logs() };
        (stage.noted().to_vec(), logs, as_expected)
    }));
    let (case, took) = (case.name, start.elapsed());
    match told {
        Ok((noted, logs, as_expected)) => Outcome { case, noted: Ok(noted), as_expected, logs, took },
        // A world tells its logs when a panic goes through it.
        Err(why) => Outcome { case, noted: Err(words(&*why)), as_expected: false, logs: String::new(), took },
    }
}

fn words(why: &(dyn Any + Send)) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| why.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// The outcomes that are not what was expected, in words; empty if there are none.
pub fn deviations(cases: &[Case], outcomes: &[Outcome]) -> String {
    let wrong = cases.iter().zip(outcomes).filter(|(_, outcome)| !outcome.as_expected);
    let tell = |(case, outcome): (&Case, &Outcome)| match &outcome.noted {
        Ok(noted) => {
            format!("{}:\n  expected {:?}\n  noted    {noted:?}\n{}", case.name, case.expected, outcome.logs)
        }
        Err(why) => format!("{}:\n  came to no end: {why}\n", case.name),
    };
    wrong.map(tell).collect()
}
