//! A day with two cameras in some minutes: every fault that a camera has, a storage that dies, is busy, swallows and
//! resets, programs that are killed, a clock that is not set, RAM that is too small. At the end each second is
//! accounted for: what was recorded is in the bucket, once and whole, or went because there was no room, the least
//! valuable first. And nothing has grown.
//!
//! | module | what it does |
//! |---|---|
//! | [`plan`] | what happens when, from a seed. Pure |
//! | [`stage`] | the programs, the cameras, the storages |
//! | [`watch`] | what lies in RAM from moment to moment, and what the programs take |
//! | [`figures`] | whether anything grew. Pure |
//! | [`order`] | whether the right ones went and the right ones came first. Pure |
//! | [`judge`] | what is expected |

pub mod figures;
pub mod judge;
pub mod order;
pub mod plan;
pub mod stage;
pub mod watch;

use crate::checks::Checks;
use plan::Plan;
use stage::Stage;
use std::time::{Duration, Instant};

/// Goes through a day of this length; whether all was as it must be.
pub fn run(span: Duration, seed: u64) -> bool {
    let plan = Plan::new(span, seed);
    println!("soak: a day in {} s, --seed {seed}, {} things happen", span.as_secs(), plan.steps.len());
    let (began, mut stage) = (Instant::now(), Stage::set(&plan));
    for (at, act) in &plan.steps {
        std::thread::sleep(at.saturating_sub(began.elapsed()));
        stage.perform(act);
    }
    std::thread::sleep(plan.span.saturating_sub(began.elapsed()));
    let over = stage.end();
    let mut checks = Checks::default();
    figures::print(&over.watched.samples);
    judge::judge(&mut checks, &plan, &over);
    println!("{:.0} s in all", began.elapsed().as_secs_f64());
    checks.conclude()
}
