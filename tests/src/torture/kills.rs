//! Everybody dies at some time.

use super::Measure;
use super::house::House;
use super::points::{self, Victim};
use super::table::Row;
use fastrand::Rng;
use nix::sys::signal::Signal;
use std::thread::sleep;
use std::time::Duration;

/// Of the points, in percent, those where anybody dies but the broker.
const ANYBODY: usize = 74;
/// And those where the broker dies.
const BROKER: usize = 10;
/// Between two messages of one who speaks, in microseconds.
const PAUSE: u64 = 1500;
/// So many deaths, then all is counted.
const TURN: usize = 60;

/// fserver, fclient, those who speak and those who listen, one of them behind the broker.
pub fn of_anybody(measure: Measure, random: &mut Rng) -> Vec<Row> {
    let (mut house, count) = (House::new(true, PAUSE), measure.share(ANYBODY));
    let mut deaths = [0; 5];
    for number in 1..=count {
        let point = points::next(random, house.speakers.len(), house.ears.len());
        sleep(point.after);
        house.kill(point.victim, point.away, |_| {});
        deaths[kind(point.victim)] += 1;
        if number % TURN == 0 {
            let account = house.rest();
            println!("    after {number} deaths: {account:?}");
        }
    }
    house.end();
    let [server, client, both, speakers, ears] = deaths;
    println!("    fserver {server}, fclient {client}, both {both}, who speak {speakers}, who listen {ears}");
    let mut rows = Vec::new();
    for (ear, name) in house.ears.iter().zip(["the server", "the satellite", "the broker"]) {
        rows.push(Row::new(format!("kill -9 of anybody; heard at {name}"), count, house.account_of(ear)));
    }
    rows
}

const fn kind(victim: Victim) -> usize {
    match victim {
        Victim::Server => 0,
        Victim::Client => 1,
        Victim::Both => 2,
        Victim::Speaker(_) => 3,
        Victim::Ear(_) => 4,
    }
}

/// mosquitto behind the uplink. What it had acknowledged and not written down is lost for those behind it, and not ours;
/// nobody else is touched.
pub fn of_the_broker(measure: Measure, random: &mut Rng) -> Vec<Row> {
    let (mut house, count) = (House::new(true, PAUSE), measure.share(BROKER));
    for _ in 0..count {
        sleep(Duration::from_micros(random.u64(..400_000)));
        let broker = house.broker.as_mut().expect("this house has one");
        broker.stop(Signal::SIGKILL);
        sleep(Duration::from_micros(random.u64(..300_000)));
        broker.start_again();
    }
    house.end();
    let row = |what: &str, ear: usize| Row::new(what, count, house.account_of(&house.ears[ear]));
    let behind = Row { foreign: true, ..row("kill -9 of mosquitto; heard behind it (its loss, not ours)", 2) };
    vec![
        row("kill -9 of mosquitto; heard at the server", 0),
        row("kill -9 of mosquitto; heard at the satellite", 1),
        behind,
    ]
}
