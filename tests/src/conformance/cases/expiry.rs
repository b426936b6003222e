//! What is worth something for a while only, is told no longer than that.

use crate::conformance::stage::{Stage, event, state};
use crate::conformance::{Case, case, ending};
use std::thread::sleep;
use std::time::Duration;

const MOTION: &str = "attic/evt/camera/motion";
const FILMS: &str = "attic/st/backup/last-backup/films";
/// A short life, in seconds. Longer than an engine takes to start: what has expired by then lives for ever in mosquitto.
const SHORT: u32 = 2;
/// Longer than a short life, by every clock that counts in seconds.
const OVER: Duration = Duration::from_millis(3100);

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "what has expired does not wait for a name",
            |stage| waits(stage, |_| {}),
            &["attic/evt/camera/motion long"],
        ),
        ending(
            "what has expired does not wait over the end of the engine",
            |stage| waits(stage, Stage::kill),
            &["attic/evt/camera/motion long"],
        ),
        case(
            "how it was is not told once that has expired",
            |stage| was(stage, |_| {}),
            &["attic/st/backup/last-backup/photos long"],
        ),
        ending(
            "how it was is not told over the end of the engine once that has expired",
            |stage| was(stage, Stage::kill),
            &["attic/st/backup/last-backup/photos long"],
        ),
        case(
            "who listens hears what has a short life at once",
            at_once,
            &["attic/evt/camera/motion short", "attic/st/backup/last-backup/films short"],
        ),
        case(
            "what is left of its life goes with a message",
            what_is_left,
            &["attic/evt/camera/motion has 25 to 29 of 30 seconds left"],
        ),
        case("what has no end goes without", without_end, &["attic/evt/camera/motion has no end"]),
    ]
}

fn waits(stage: &mut Stage, meanwhile: fn(&mut Stage)) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    ear.session().cut();
    stage.say(&[event(MOTION, "short").for_seconds(SHORT), event(MOTION, "long").for_seconds(600)]);
    meanwhile(stage);
    sleep(OVER);
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn was(stage: &mut Stage, meanwhile: fn(&mut Stage)) {
    let photos = "attic/st/backup/last-backup/photos";
    stage.say(&[state(FILMS, "short").for_seconds(SHORT), state(photos, "long").for_seconds(600)]);
    meanwhile(stage);
    sleep(OVER);
    let mut ear = stage.late_ear(&["attic/st/#"]);
    stage.hear(&mut ear);
}

fn at_once(stage: &mut Stage) {
    let mut ear = stage.ear(&["attic/st/#", MOTION]);
    stage.say(&[event(MOTION, "short").for_seconds(5), state(FILMS, "short").for_seconds(5)]);
    stage.hear(&mut ear);
}

fn what_is_left(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    ear.session().cut();
    stage.say(&[event(MOTION, "x").for_seconds(30)]);
    sleep(OVER);
    ear.session().come_back();
    for heard in stage.listen(&mut ear) {
        let left = match heard.ttl {
            Some(25..=29) => "25 to 29 of 30 seconds".into(),
            other => format!("{other:?}"),
        };
        stage.note(format!("{} has {left} left", heard.topic));
    }
}

fn without_end(stage: &mut Stage) {
    let mut ear = stage.ear(&[MOTION]);
    stage.say(&[event(MOTION, "x")]);
    for heard in stage.listen(&mut ear) {
        let left = heard.ttl.map_or("no end".into(), |seconds| format!("{seconds} seconds"));
        stage.note(format!("{} has {left}", heard.topic));
    }
}
