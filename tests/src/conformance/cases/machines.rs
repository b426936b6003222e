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
            "a machine that comes again is online, in a later run",
            comes_again,
            &["garage online", "garage offline", "garage online", "a later run"],
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

fn boot(heard: &Heard) -> u64 {
    let body: serde_json::Value = serde_json::from_slice(&heard.payload).expect("a state is JSON");
    body["boot"].as_u64().expect("a state has a run")
}

/// Waits until the machine is said to be like this, and notes it.
#[track_caller]
fn until(stage: &mut Stage, ear: &mut Ear, word: &str) -> Heard {
    loop {
        let heard = ear.takes_one();
        ear.session().done(&heard);
        if heard.topic == STATE && condition(&heard) == word {
            stage.note(format!("garage {word}"));
            return heard;
        }
    }
}

/// Somebody who knows that the garage is online.
fn watcher(stage: &mut Stage) -> (Ear, Heard) {
    let mut ear = stage.late_ear(&[STATE]);
    stage.engine().machine_comes("garage");
    let heard = until(stage, &mut ear, "online");
    (ear, heard)
}

fn later(stage: &mut Stage) {
    let mut ear = stage.late_ear(&[STATE]);
    for heard in stage.listen(&mut ear) {
        stage.note(format!("later: garage {}", condition(&heard)));
    }
}

fn comes(stage: &mut Stage) {
    watcher(stage);
}

fn dies(stage: &mut Stage) {
    let (mut ear, _) = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
}

fn leaves(stage: &mut Stage) {
    let (mut ear, _) = watcher(stage);
    stage.engine().machine_leaves("garage");
    until(stage, &mut ear, "offline");
}

fn comes_again(stage: &mut Stage) {
    let (mut ear, first) = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
    stage.engine().machine_comes("garage");
    let second = until(stage, &mut ear, "online");
    stage.note(if boot(&second) > boot(&first) { "a later run" } else { "the same run" });
}

fn told_later(stage: &mut Stage) {
    let (mut ear, _) = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
    later(stage);
}

fn over_a_new_link(stage: &mut Stage) {
    let (mut ear, first) = watcher(stage);
    stage.engine().machine_comes_over_a_new_link("garage");
    loop {
        let heard = ear.takes_one();
        ear.session().done(&heard);
        if condition(&heard) == "online" && boot(&heard) > boot(&first) {
            break;
        }
    }
    later(stage);
}

fn known_after_the_end(stage: &mut Stage) {
    let (mut ear, _) = watcher(stage);
    stage.engine().machine_dies("garage");
    until(stage, &mut ear, "offline");
    stage.kill();
    later(stage);
}
