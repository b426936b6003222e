//! What one machine says comes in the order in which it was said.

use super::run;
use crate::conformance::engine::{Heard, Message};
use crate::conformance::stage::{Stage, event, state};
use crate::conformance::{Case, case, ending};

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "messages of different topics come in their order",
            different_topics,
            &[
                "attic/evt/camera/motion 1",
                "attic/evt/backup/backup-done 2",
                "attic/evt/camera/camera-online 3",
                "attic/evt/camera/motion 4",
            ],
        ),
        case("a thousand messages come in their order", a_thousand, &["1000 from 0 to 999"]),
        case(
            "events and states of one machine keep their order",
            events_and_states,
            &[
                "attic/evt/backup/backup-started 1",
                "attic/st/backup/last-backup/films 2",
                "attic/evt/backup/backup-done 3",
            ],
        ),
        case(
            "two machines that speak at the same time keep each its order",
            two_machines,
            &["attic: 200 from 0 to 199", "kitchen: 200 from 0 to 199"],
        ),
        case(
            "two programs of one machine that speak at the same time keep each its order",
            two_programs,
            &["motion: 200 from 0 to 199", "notice: 200 from 0 to 199"],
        ),
        case("a lost link changes no order", lost_link, &["100 from 0 to 99"]),
        ending("the end of the engine changes no order", engine_ends, &["100 from 0 to 99"]),
    ]
}

/// Messages whose payloads are these numbers.
fn numbers(topic: &str, range: std::ops::Range<u64>) -> Vec<Message> {
    range.map(|number| event(topic, number.to_string())).collect()
}

fn of(heard: &[Heard], part: &str) -> Vec<Heard> {
    heard.iter().filter(|heard| heard.topic.contains(part)).cloned().collect()
}

fn different_topics(stage: &mut Stage) {
    let mut ear = stage.ear(&["attic/evt/#"]);
    let topics = ["camera/motion", "backup/backup-done", "camera/camera-online", "camera/motion"];
    for (number, topic) in topics.iter().enumerate() {
        stage.say(&[event(&format!("attic/evt/{topic}"), (number + 1).to_string())]);
    }
    stage.hear(&mut ear);
}

fn a_thousand(stage: &mut Stage) {
    let mut ear = stage.ear(&["attic/evt/camera/motion"]);
    stage.say(&numbers("attic/evt/camera/motion", 0..1000));
    let heard = stage.listen(&mut ear);
    stage.note(run(&heard));
}

fn events_and_states(stage: &mut Stage) {
    let mut ear = stage.ear(&["attic/+/backup/#"]);
    stage.say(&[
        event("attic/evt/backup/backup-started", "1"),
        state("attic/st/backup/last-backup/films", "2"),
        event("attic/evt/backup/backup-done", "3"),
    ]);
    stage.hear(&mut ear);
}

fn two_machines(stage: &mut Stage) {
    stage.say(&[event("kitchen/evt/display/notice", "the kitchen is there")]);
    let mut ear = stage.ear(&["+/evt/camera/motion"]);
    for at in (0..200).step_by(10) {
        stage.say(&numbers("attic/evt/camera/motion", at..at + 10));
        stage.say(&numbers("kitchen/evt/camera/motion", at..at + 10));
    }
    let heard = stage.listen(&mut ear);
    stage.note(format!("attic: {}", run(&of(&heard, "attic"))));
    stage.note(format!("kitchen: {}", run(&of(&heard, "kitchen"))));
}

fn two_programs(stage: &mut Stage) {
    let mut ear = stage.ear(&["attic/evt/#"]);
    let mut programs = [stage.engine().speaker("attic"), stage.engine().speaker("attic")];
    let topics = ["attic/evt/camera/motion", "attic/evt/display/notice"];
    std::thread::scope(|scope| {
        for (program, topic) in programs.iter_mut().zip(topics) {
            scope.spawn(move || numbers(topic, 0..200).chunks(20).for_each(|some| drop(program.publish(some))));
        }
    });
    let heard = stage.listen(&mut ear);
    stage.note(format!("motion: {}", run(&of(&heard, "motion"))));
    stage.note(format!("notice: {}", run(&of(&heard, "notice"))));
}

fn lost_link(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &["attic/evt/camera/motion"]);
    let mut heard = Vec::new();
    for at in (0..100).step_by(20) {
        stage.say(&numbers("attic/evt/camera/motion", at..at + 10));
        heard.extend(stage.listen(&mut ear));
        ear.session().settle();
        ear.session().cut();
        stage.say(&numbers("attic/evt/camera/motion", at + 10..at + 20));
        ear.session().come_back();
    }
    heard.extend(stage.listen(&mut ear));
    stage.note(run(&heard));
}

fn engine_ends(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &["attic/evt/camera/motion"]);
    stage.say(&numbers("attic/evt/camera/motion", 0..50));
    stage.kill();
    stage.say(&numbers("attic/evt/camera/motion", 50..100));
    ear.session().come_back();
    let heard = stage.listen(&mut ear);
    stage.note(run(&heard));
}
