//! What is said arrives as it was said.

use crate::conformance::stage::{Stage, event, state};
use crate::conformance::{Case, case};
use protocol::event::MAX_BODY;

const MOTION: &str = "attic/evt/camera/motion";
const FILMS: &str = "attic/st/backup/last-backup/films";

pub fn cases() -> Vec<Case> {
    vec![
        case("nothing at all", |stage| arrives(stage, b""), &["0 bytes, as they were said"]),
        case("one byte", |stage| arrives(stage, b"x"), &["1 bytes, as they were said"]),
        case(
            "text of many languages",
            |stage| arrives(stage, "{\"wer\":\"Köchin\",\"何\":\"猫 🐈\"}".as_bytes()),
            &["34 bytes, as they were said"],
        ),
        case(
            "every byte there is",
            |stage| arrives(stage, &(0..=255).collect::<Vec<u8>>()),
            &["256 bytes, as they were said"],
        ),
        case("thirty KiB", |stage| arrives(stage, &noise(30 * 1024)), &["30720 bytes, as they were said"]),
        case(
            "as much as a message may hold",
            |stage| arrives(stage, &noise(MAX_BODY)),
            &["32768 bytes, as they were said"],
        ),
        case(
            "a long word about how something is, for who comes later",
            long_state,
            &["attic/st/backup/last-backup/films (30720 bytes)"],
        ),
        case("many long messages, one after the other", many_long, &["40 of 30720 bytes, as they were said"]),
        case("long messages wait for a name", long_ones_wait, &["40 of 30720 bytes, as they were said"]),
    ]
}

/// Bytes of every kind, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

fn arrives(stage: &mut Stage, payload: &[u8]) {
    let mut ear = stage.ear(&[MOTION]);
    stage.say(&[event(MOTION, payload)]);
    for heard in stage.listen(&mut ear) {
        let same = if heard.payload == payload { "as they were said" } else { "changed" };
        stage.note(format!("{} bytes, {same}", heard.payload.len()));
    }
}

fn long_state(stage: &mut Stage) {
    stage.say(&[state(FILMS, noise(30 * 1024))]);
    let mut ear = stage.late_ear(&["attic/st/#"]);
    stage.hear(&mut ear);
}

fn many_long(stage: &mut Stage) {
    let mut ear = stage.ear(&[MOTION]);
    forty(stage);
    let heard = stage.listen(&mut ear);
    all_the_same(stage, &heard.iter().map(|heard| heard.payload.clone()).collect::<Vec<_>>());
}

fn long_ones_wait(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    ear.session().cut();
    forty(stage);
    ear.session().come_back();
    let heard = stage.listen(&mut ear);
    all_the_same(stage, &heard.iter().map(|heard| heard.payload.clone()).collect::<Vec<_>>());
}

fn forty(stage: &mut Stage) {
    let long = noise(30 * 1024);
    stage.say(&std::iter::repeat_with(|| event(MOTION, &long)).take(40).collect::<Vec<_>>());
}

fn all_the_same(stage: &mut Stage, payloads: &[Vec<u8>]) {
    let long = noise(30 * 1024);
    let same = if payloads.iter().all(|payload| *payload == long) { "as they were said" } else { "changed" };
    stage.note(format!("{} of {} bytes, {same}", payloads.len(), long.len()));
}
