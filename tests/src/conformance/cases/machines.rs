//! A machine that comes and goes, as others see it under `NAME/state`.

use crate::conformance::engine::Heard;
use crate::conformance::stage::{Ear, Stage};
use crate::conformance::{Case, case, ending};

pub fn cases() -> Vec<Case> {
    vec![
        case("a machine that comes is online", comes, &["garage online"]),
        case("a machine that dies without a word is offline", dies, &["garage online", "garage offline"]),
        case("a machine that leaves is offline", leaves, &["garage online", "garage offline"]),
        case(
            "a machine that comes again is online again",
            comes_again,
            &["garage online", "garage offline", "garage online"],
        ),
        case(
            "who comes later is told that a machine has died",
            told_later,
            &["garage online", "garage offline", "later: garage offline"],
        ),
        case(
            "a machine that comes again while its old link hangs is online in the end",
            over_a_new_link,
            &["garage online", "later: garage online"],
        ),
        ending(
            "how a machine was is known after the end of the engine",
            known_after_the_end,
            &["garage online", "garage offline", "later: garage offline"],
        ),
    ]
}

const STATE: &str = "garage/state";

fn condition(heard: &Heard) -> String {
    let body: serde_json::Value = serde_json::from_slice(&heard.payload).expect("a state is JSON");
    body["state"].as_str().expect("a state has a word").to_owned()
}

/// Waits until the machine is said to be like this, and notes it.
#[track_caller]
fn until(stage: &mut Stage, ear: &mut Ear, word: &str) {
    loop {
        let heard = ear.takes_one();
        ear.session().done(&heard);
        if heard.topic == STATE && condition(&heard) == word {
            stage.note(format!("garage {word}"));
            return;
        }
    }
}

/// Somebody who knows that the garage is online.
fn watcher(stage: &mut Stage) -> Ear {
    let mut ear = stage.late_ear(&[STATE]);
    stage.engine().machine_comes("garage");
    until(stage, &mut ear, "online");
    ear
}

/// Notes how the machine is, as somebody learns it who comes now.
fn later(stage: &mut Stage) {
    let mut ear = stage.late_ear(&[STATE]);
    let heard = stage.listen(&mut ear);
    stage.note(format!("later: garage {}", heard.last().map_or("unknown".into(), condition)));
}

fn comes(stage: &mut Stage) {
    watcher(stage);
}

fn dies(stage: &mut Stage) {
    let mut ear = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
}

fn leaves(stage: &mut Stage) {
    let mut ear = watcher(stage);
    stage.engine().machine_leaves("garage");
    until(stage, &mut ear, "offline");
}

fn comes_again(stage: &mut Stage) {
    let mut ear = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
    stage.engine().machine_comes("garage");
    until(stage, &mut ear, "online");
}

fn told_later(stage: &mut Stage) {
    let mut ear = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
    later(stage);
}

fn over_a_new_link(stage: &mut Stage) {
    let _ear = watcher(stage);
    stage.engine().machine_comes_over_a_new_link("garage");
    later(stage);
}

fn known_after_the_end(stage: &mut Stage) {
    let mut ear = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
    stage.kill();
    later(stage);
}
