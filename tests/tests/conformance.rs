//! One list of stories, told to each engine; what comes of them is written down once, in the list.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use tests::conformance::cases::{self, apart};
use tests::conformance::engine::Engine;
use tests::conformance::mosquitto::Broker;
use tests::conformance::relay::Relay;
use tests::conformance::{Case, deviations, tell};

fn as_the_list_says(name: &str, lists: Vec<Vec<Case>>, engine: impl Fn(bool) -> Box<dyn Engine> + Sync) {
    let only = std::env::var("CASE").unwrap_or_default();
    let list: Vec<Case> = lists.into_iter().flatten().filter(|case| case.name.contains(&only)).collect();
    let outcomes = tell(&list, engine);
    for outcome in &outcomes {
        let word = if outcome.as_expected { "as expected" } else { "DIFFERS" };
        println!("{name:9} {word:11} {:5.2} s  {}", outcome.took.as_secs_f64(), outcome.case);
    }
    let deviations = deviations(&list, &outcomes);
    assert!(deviations.is_empty(), "{name} differs from the list:\n{deviations}");
}

#[test]
fn mosquitto_does_as_the_list_says() {
    as_the_list_says("mosquitto", vec![cases::all(), apart::at_one_machine()], Broker::start);
}

#[test]
fn the_relay_does_as_the_list_says() {
    as_the_list_says("relay", vec![cases::all(), apart::at_one_machine(), apart::of_the_relay()], Relay::near);
}

#[test]
fn the_relay_does_as_the_list_says_for_those_who_listen_at_a_satellite() {
    as_the_list_says("satellite", vec![cases::all(), apart::of_the_relay()], Relay::far);
}

#[test]
fn the_list_has_forty_promises_at_least_and_each_once() {
    let (list, apart) = (cases::all(), [apart::at_one_machine(), apart::of_the_relay()]);
    assert!(list.len() >= 40, "{} cases", list.len());
    let all: Vec<&Case> = list.iter().chain(apart.iter().flatten()).collect();
    let names: BTreeSet<&str> = all.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), all.len(), "a name stands twice in the list");
}
