//! Peers that ask for everything and read nothing: a satellite with the smallest window, a program at the door, and one
//! that is stopped for a while. They cost the server little, nobody else anything, and the one that wakes up loses nothing.

use super::Measure;
use super::house::{House, door};
use super::table::Row;
use crate::world::door::Door;
use crate::world::raw::Raw;
use fastrand::Rng;
use nix::sys::signal::Signal;
use protocol::door::{From, Subscribe};
use protocol::{Message, frame};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PAUSE: u64 = 300;
/// What the deaf may cost the server, in KiB.
const MOST: u64 = 16 * 1024;
/// How soon the others have heard everything once nobody speaks any more.
const SOON: Duration = Duration::from_secs(10);

/// One of each kind.
pub fn trial(measure: Measure, _random: &mut Rng) -> Vec<Row> {
    let mut house = House::new(false, PAUSE);
    let before = house.attic.memory();
    let (_satellite, _program) = (satellite(&house), program(&house));
    house.ears[1].process_mut().signal(Signal::SIGSTOP);
    sleep(Duration::from_secs(if measure.is_long() { 20 } else { 2 }));
    house.speakers.iter_mut().for_each(super::house::Program::dies);
    let (start, mut held_up) = (Instant::now(), true);
    while held_up && start.elapsed() < SOON {
        held_up = house.account_of(&house.ears[0]).lost > 0;
        sleep(Duration::from_millis(50));
    }
    let grown = house.attic.memory().saturating_sub(before);
    house.ears[1].process_mut().signal(Signal::SIGCONT);
    let account = house.account_at_rest();
    println!("    the server grew by {grown} KiB");
    let fat = (grown > MOST).then(|| format!("the server grew by {grown} KiB; at most {MOST} are allowed"));
    let complaint = held_up.then(|| "who listens at the server was held up".to_owned()).or(fat);
    vec![Row { complaint, ..Row::new("a satellite, a program and a stopped one that do not read", 3, account) }]
}

fn satellite(house: &House) -> Raw {
    let mut raw = Raw::connect_narrow(&house.world, house.attic.address());
    raw.introduce_on_the_bus("deaf", 99);
    raw.say(frame::encode(&Message::Follow(vec!["#".into()])));
    raw
}

fn program(house: &House) -> Door {
    let mut door = Door::connect_soon(&door(house.attic.place()));
    let wanted = Subscribe { name: None, filters: vec!["#".into()], from: From::Next };
    door.subscribe(wanted).unwrap_or_else(|why| panic!("the agent refuses: {why}"));
    door
}
