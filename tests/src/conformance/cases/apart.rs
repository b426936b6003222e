//! What is not the same everywhere, each with the reason.

use super::{filters, states};
use crate::conformance::stage::{Stage, event, state};
use crate::conformance::{Case, case, ending};

const MOTION: &str = "attic/evt/camera/motion";

/// What holds at one machine, for any engine, and not for who listens at a satellite.
///
/// A satellite asks the server for a topic when somebody there first wants it, and is then told how that is; for
/// programs at the satellite this is news.
pub fn at_one_machine() -> Vec<Case> {
    vec![case(
        "who does not want to know how it is hears only what is new",
        states::only_new,
        &["attic/st/backup/last-backup/films 2"],
    )]
}

/// What the relay promises and MQTT does not.
///
/// MQTT 5 lets a broker send a message once for each pattern that it matches (section 3.3.4), which mosquitto does; it has
/// no names for messages (section 4.3.2: the receiver of QoS 1 treats each as new); it takes any topic.
pub fn of_the_relay() -> Vec<Case> {
    vec![
        case(
            "patterns that overlap bring a message once",
            |stage| filters::matching(stage, &["attic/evt/#", "+/evt/camera/+", MOTION]),
            &[
                "attic/evt/backup/backup-done 2",
                "attic/evt/camera/camera-online 1",
                "attic/evt/camera/motion 0",
                "kitchen/evt/camera/motion 6",
            ],
        ),
        case("what is said twice under one id is heard once", said_twice, &["Taken", "attic/evt/camera/motion 1"]),
        ending(
            "what is said twice under one id, before and after the end of the engine, is heard once",
            said_twice_over_the_end,
            &["Taken", "attic/evt/camera/motion 1"],
        ),
        case("a topic of no form that there is, is refused", no_form, &["Refused", "Refused", "Refused"]),
        case("a topic over 512 bytes is refused", too_long, &["Refused"]),
        case("a machine that speaks for another one is refused", for_another, &["Refused"]),
    ]
}

fn said_twice(stage: &mut Stage) {
    twice(stage, |_| {});
}

fn said_twice_over_the_end(stage: &mut Stage) {
    twice(stage, Stage::kill);
}

fn twice(stage: &mut Stage, meanwhile: fn(&mut Stage)) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    stage.say(&[event(MOTION, "1")]);
    meanwhile(stage);
    let verdict = stage.speaker("attic").repeat();
    stage.note(format!("{verdict:?}"));
    ear.session().cut();
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn no_form(stage: &mut Stage) {
    for topic in ["attic/evt/garden/rain", "attic/evt/camera", "attic/evt/camera/motion/cam1"] {
        stage.try_to_say(event(topic, "x"));
    }
}

fn too_long(stage: &mut Stage) {
    stage.try_to_say(state(&format!("attic/st/camera/camera/{}", "x".repeat(500)), "x"));
}

fn for_another(stage: &mut Stage) {
    stage.try_to_say(event("kitchen/evt/camera/motion", "x"));
}
