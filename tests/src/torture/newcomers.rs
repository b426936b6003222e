//! Names begin to listen while much is said, at the server and at satellites that have just come and ask for it first. Where that
//! begins is a matter of moments; from there on nothing is missing, twice or out of order. The server dies soon after each.

use super::Measure;
use super::account::Account;
use super::house::{House, Program, door};
use super::points::Victim;
use super::table::Row;
use fastrand::Rng;
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

const PAUSE: u64 = 700;
/// So long a newcomer listens at most before the server dies.
const SPAN: u64 = 150_000;
/// And the last one so long at least.
const AFTER: Duration = Duration::from_millis(500);

/// So many in one house.
const EACH: usize = 4;

/// House after house.
pub fn trial(measure: Measure, random: &mut Rng) -> Vec<Row> {
    let (houses, mut account) = (if measure.is_long() { 10 } else { 1 }, Account::default());
    (0..houses).for_each(|_| account.add(in_one_house(random)));
    let what = "names begin to listen, and kill -9 of the server soon after";
    vec![Row::new(what, houses * EACH, account)]
}

/// One after the other, by turns at the server and at a satellite of its own.
fn in_one_house(random: &mut Rng) -> Account {
    let mut house = House::new(false, PAUSE);
    let (mut newcomers, mut satellites) = (Vec::new(), Vec::new());
    for number in 0..EACH {
        let place = if number % 2 == 0 {
            house.attic.place().clone()
        } else {
            satellites.push(house.world.client(&format!("hall-{number}")).of(&house.attic).start());
            satellites[satellites.len() - 1].place().clone()
        };
        let newcomer = house.ear(&format!("ear-{number}"), &door(&place));
        house.world.until("a newcomer hears something", || !newcomer.diary.heard().is_empty());
        newcomers.push(newcomer);
        sleep(Duration::from_micros(random.u64(..SPAN)));
        house.kill(Victim::Server, Duration::ZERO, |_| {});
    }
    sleep(AFTER);
    let mut account = house.end();
    for newcomer in &newcomers {
        house.world.until("a newcomer has heard the last word", || from_its_first(&house, newcomer).lost == 0);
        account.add(from_its_first(&house, newcomer));
    }
    account
}

/// Of what was acknowledged only what came after the first that was heard of each who speaks.
fn from_its_first(house: &House, ear: &Program) -> Account {
    let heard = ear.diary.heard();
    let first = |who: &str| heard.iter().filter(|(by, _)| by == who).map(|(_, number)| *number).min();
    let mut sum = Account::default();
    for speaker in &house.speakers {
        let name = speaker.name();
        let Some(first) = first(&name) else { continue };
        let after: BTreeSet<u64> = speaker.diary.acknowledged().into_iter().filter(|number| *number >= first).collect();
        let numbers: Vec<u64> = heard.iter().filter(|(by, _)| *by == name).map(|(_, number)| *number).collect();
        sum.add(Account::of_one(&name, &after, &numbers));
    }
    sum
}
