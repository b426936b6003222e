//! What cannot be is refused, and nobody else is touched by it.

use crate::conformance::stage::{Stage, event};
use crate::conformance::{Case, case, ending};
use protocol::event::MAX_BODY;

const MOTION: &str = "attic/evt/camera/motion";
/// What the bystander of each story hears.
const AFTER: &str = "attic/evt/camera/motion after";

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "a message over the limit is refused",
            |stage| refused(stage, MOTION, &vec![b'x'; MAX_BODY + 1]),
            &["Refused", AFTER],
        ),
        case("a topic with `+` is refused", |stage| refused(stage, "attic/evt/camera/+", b"x"), &["Refused", AFTER]),
        case("a topic with `#` is refused", |stage| refused(stage, "attic/evt/#", b"x"), &["Refused", AFTER]),
        case(
            "a topic with a wildcard inside a level is refused",
            |stage| refused(stage, "attic/evt/camera/mo+tion", b"x"),
            &["Refused", AFTER],
        ),
        case("an empty topic is refused", |stage| refused(stage, "", b"x"), &["Refused", AFTER]),
        case(
            "a topic with a zero byte is refused",
            |stage| refused(stage, "attic/evt/camera/mo\0tion", b"x"),
            &["Refused", AFTER],
        ),
        ending(
            "a refused message does not come later, either",
            refused_for_good,
            &["Refused", "attic/evt/camera/motion before", AFTER],
        ),
        case(
            "a pattern with `#` in the middle is refused",
            |stage| bad_pattern(stage, "attic/#/motion"),
            &["Refused", AFTER],
        ),
        case(
            "a pattern with `+` inside a level is refused",
            |stage| bad_pattern(stage, "attic/evt/cam+/motion"),
            &["Refused", AFTER],
        ),
        case(
            "a pattern with `#` inside a level is refused",
            |stage| bad_pattern(stage, "attic/evt#"),
            &["Refused", AFTER],
        ),
        case("an empty pattern is refused", |stage| bad_pattern(stage, ""), &["Refused", AFTER]),
        case(
            "a pattern with a zero byte is refused",
            |stage| bad_pattern(stage, "attic/\0/motion"),
            &["Refused", AFTER],
        ),
    ]
}

fn refused(stage: &mut Stage, topic: &str, payload: &[u8]) {
    let mut bystander = stage.ear(&["attic/evt/camera/#"]);
    stage.try_to_say(event(topic, payload));
    stage.say(&[event(MOTION, "after")]);
    stage.hear(&mut bystander);
}

fn refused_for_good(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    ear.session().cut();
    stage.say(&[event(MOTION, "before")]);
    stage.try_to_say(event(MOTION, vec![b'x'; MAX_BODY + 1]));
    stage.kill();
    stage.say(&[event(MOTION, "after")]);
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn bad_pattern(stage: &mut Stage, filter: &str) {
    let mut bystander = stage.ear(&["attic/evt/camera/#"]);
    stage.try_to_hear(filter);
    stage.say(&[event(MOTION, "after")]);
    stage.hear(&mut bystander);
}
