//! The broker is away for a minute, or takes connections and never answers; meanwhile much is said. Behind it everything
//! is heard once it is back.

use super::Measure;
use super::house::{House, door};
use super::table::Row;
use fastrand::Rng;
use nix::sys::signal::Signal;
use std::thread::sleep;
use std::time::{Duration, Instant};

const PAUSE: u64 = 5000;
/// So many speak at a time beside those who always do.
const CROWD: u64 = 4;

/// First the broker is away, then it does not answer.
pub fn trial(measure: Measure, _random: &mut Rng) -> Vec<Row> {
    let (messages, span) = if measure.is_long() { (10_000, 60) } else { (400, 2) };
    let away = while_away(messages, Duration::from_secs(span));
    let silent =
        if measure.is_long() { while_silent(Duration::from_secs(10)) } else { while_silent(Duration::from_secs(1)) };
    vec![away, silent]
}

fn while_away(messages: u64, span: Duration) -> Row {
    let (mut house, start) = (House::new(true, PAUSE), Instant::now());
    house.broker.as_mut().expect("this house has one").stop(Signal::SIGTERM);
    let at_attic = door(house.attic.place());
    for number in 0..CROWD {
        let crowd = house.speaker(&format!("crowd-{number}"), &at_attic, 0, messages / CROWD);
        house.speakers.push(crowd);
    }
    let said = |house: &House| house.speakers.iter().map(|speaker| speaker.diary.acknowledged().len()).sum::<usize>();
    let all = usize::try_from(messages).unwrap_or(usize::MAX);
    house.world.until_within(span * 3, "all is said while the broker is away", || said(&house) >= all);
    let took = start.elapsed();
    sleep(span.saturating_sub(took));
    let away = start.elapsed();
    house.broker.as_mut().expect("this house has one").start_again();
    let account = house.end();
    println!(
        "    {} were said in {:.1} s, the broker was away for {:.1} s",
        said(&house),
        took.as_secs_f64(),
        away.as_secs_f64()
    );
    Row::new(format!("{messages} messages while the broker is away for {:.0} s", away.as_secs_f64()), 1, account)
}

fn while_silent(span: Duration) -> Row {
    let mut house = House::new(true, PAUSE);
    house.broker.as_mut().expect("this house has one").signal(Signal::SIGSTOP);
    sleep(span);
    house.broker.as_mut().expect("this house has one").signal(Signal::SIGCONT);
    let account = house.end();
    Row::new("the broker takes connections and does not answer", 1, account)
}
