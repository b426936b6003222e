//! What a pattern matches: MQTT 5, section 4.7, in the topics of a house.

use crate::conformance::engine::{Message, Verdict};
use crate::conformance::stage::{Stage, event, state};
use crate::conformance::{Case, case};

/// A bit of everything, by two machines.
const TOPICS: [&str; 8] = [
    "attic/evt/camera/motion",
    "attic/evt/camera/camera-online",
    "attic/evt/backup/backup-done",
    "attic/st/backup/last-backup",
    "attic/st/backup/last-backup/films",
    "attic/st/camera/camera/cam1",
    "kitchen/evt/camera/motion",
    "kitchen/st/backup/last-backup",
];

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "a pattern without wildcards matches that topic alone",
            |stage| matching(stage, &["attic/evt/camera/motion"]),
            &["attic/evt/camera/motion 0"],
        ),
        case(
            "`+` stands for one level at the end",
            |stage| matching(stage, &["attic/evt/camera/+"]),
            &["attic/evt/camera/camera-online 1", "attic/evt/camera/motion 0"],
        ),
        case(
            "`+` stands for one level in the middle",
            |stage| matching(stage, &["attic/evt/+/motion", "attic/+/backup/last-backup"]),
            &["attic/evt/camera/motion 0", "attic/st/backup/last-backup 3"],
        ),
        case(
            "`+` stands for the machine",
            |stage| matching(stage, &["+/evt/camera/motion"]),
            &["attic/evt/camera/motion 0", "kitchen/evt/camera/motion 6"],
        ),
        case(
            "`+` may stand several times",
            |stage| matching(stage, &["+/st/+/+"]),
            &["attic/st/backup/last-backup 3", "kitchen/st/backup/last-backup 7"],
        ),
        case(
            "`+` stands for no more and no fewer levels than one",
            |stage| matching(stage, &["attic/+", "attic/+/camera", "attic/st/camera/+", "attic/evt/camera/motion/+"]),
            &[],
        ),
        case(
            "`#` stands for all levels that follow",
            |stage| matching(stage, &["attic/st/#"]),
            &["attic/st/backup/last-backup 3", "attic/st/backup/last-backup/films 4", "attic/st/camera/camera/cam1 5"],
        ),
        case(
            "`#` stands for no level, too: the parent itself",
            |stage| matching(stage, &["attic/st/backup/last-backup/#"]),
            &["attic/st/backup/last-backup 3", "attic/st/backup/last-backup/films 4"],
        ),
        case(
            "`#` alone is everything",
            |stage| matching(stage, &["#"]),
            &[
                "attic/evt/backup/backup-done 2",
                "attic/evt/camera/camera-online 1",
                "attic/evt/camera/motion 0",
                "attic/st/backup/last-backup 3",
                "attic/st/backup/last-backup/films 4",
                "attic/st/camera/camera/cam1 5",
                "kitchen/evt/camera/motion 6",
                "kitchen/st/backup/last-backup 7",
            ],
        ),
        case(
            "`+` and `#` go together",
            |stage| matching(stage, &["+/st/+/last-backup/#"]),
            &[
                "attic/st/backup/last-backup 3",
                "attic/st/backup/last-backup/films 4",
                "kitchen/st/backup/last-backup 7",
            ],
        ),
        case(
            "a part of a level is not that level",
            |stage| matching(stage, &["attic/evt/camera/mot", "attic/evt/cam/#", "att/evt/camera/motion"]),
            &[],
        ),
        case(
            "large and small letters are different",
            |stage| matching(stage, &["attic/evt/camera/Motion", "attic/st/camera/camera/CAM1", "Attic/evt/#"]),
            &[],
        ),
        case(
            "an empty level is a level",
            |stage| matching(stage, &["attic//camera/motion", "attic/evt/camera/motion/", "/attic/evt/camera/motion"]),
            &[],
        ),
        case(
            "the same pattern twice brings a message once",
            |stage| matching(stage, &["attic/evt/camera/motion", "attic/evt/camera/motion"]),
            &["attic/evt/camera/motion 0"],
        ),
        case(
            "a subscription may have two hundred patterns",
            two_hundred,
            &["attic/st/watchdog/process/p0 0", "attic/st/watchdog/process/p199 199"],
        ),
        case(
            "each of two that listen hears everything",
            two_listen,
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 1"],
        ),
        case("who speaks and listens hears himself", hears_himself, &["me"]),
    ]
}

/// Says everything once, and notes what came.
pub(super) fn matching(stage: &mut Stage, filters: &[&str]) {
    stage.say(&[event("kitchen/evt/display/notice", "the kitchen is there")]);
    stage.until_heard_everywhere();
    let mut ear = stage.ear(filters);
    for (number, topic) in TOPICS.iter().enumerate() {
        stage.say(&[said(topic, number)]);
    }
    stage.hear_sorted(&mut ear);
}

fn said(topic: &str, number: usize) -> Message {
    if topic.contains("/st/") { state(topic, number.to_string()) } else { event(topic, number.to_string()) }
}

fn two_hundred(stage: &mut Stage) {
    let topics: Vec<String> = (0..201).map(|number| format!("attic/st/watchdog/process/p{number}")).collect();
    let mut ear = stage.ear(&topics[..200].iter().map(String::as_str).collect::<Vec<_>>());
    for number in [0, 199, 200] {
        stage.say(&[state(&topics[number], number.to_string())]);
    }
    stage.hear(&mut ear);
}

fn two_listen(stage: &mut Stage) {
    let (mut one, mut other) = (stage.ear(&["attic/#"]), stage.ear(&["attic/evt/camera/motion"]));
    stage.say(&[event("attic/evt/camera/motion", "1")]);
    stage.hear(&mut one);
    stage.hear(&mut other);
}

fn hears_himself(stage: &mut Stage) {
    let topic = format!("{}/evt/camera/motion", stage.hearers_node());
    let mut ear = stage.ear(&["+/evt/camera/motion"]);
    let verdict = ear.session().publish(&[event(&topic, "me")])[0];
    assert_eq!(verdict, Verdict::Taken);
    let heard = ear.takes_one();
    stage.note(String::from_utf8_lossy(&heard.payload));
}
