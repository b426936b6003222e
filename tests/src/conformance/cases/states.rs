//! The last word about something is told to whoever comes later.

use crate::conformance::engine::Message;
use crate::conformance::stage::{Stage, event, state};
use crate::conformance::{Case, case, ending};

const FILMS: &str = "attic/st/backup/last-backup/films";
const PHOTOS: &str = "attic/st/backup/last-backup/photos";

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "who comes later is told how it is",
            |stage| late(stage, &[state(FILMS, "monday")]),
            &["attic/st/backup/last-backup/films monday"],
        ),
        case(
            "of several words about one thing the last one is told",
            |stage| late(stage, &[state(FILMS, "monday"), state(FILMS, "tuesday"), state(FILMS, "friday")]),
            &["attic/st/backup/last-backup/films friday"],
        ),
        case(
            "things with different names have each a last word",
            |stage| late(stage, &[state(FILMS, "1"), state(PHOTOS, "2"), state(FILMS, "3")]),
            &["attic/st/backup/last-backup/films 3", "attic/st/backup/last-backup/photos 2"],
        ),
        case(
            "an event is not told to who comes later",
            |stage| late(stage, &[event("attic/evt/backup/backup-done", "1"), state(FILMS, "2")]),
            &["attic/st/backup/last-backup/films 2"],
        ),
        case("of two hundred things each is told once", two_hundred, &["200 things, 200 words"]),
        case(
            "after how it is comes what is new, and nothing twice",
            then_live,
            &["attic/st/backup/last-backup/films 1", "attic/st/backup/last-backup/films 2"],
        ),
        case(
            "who listens all the time hears each word",
            each_word,
            &[
                "attic/st/backup/last-backup/films 1",
                "attic/st/backup/last-backup/films 2",
                "attic/st/backup/last-backup/films 3",
            ],
        ),
        case("only what matches is told to who comes later", only_matching, &["attic/st/backup/last-backup/photos 2"]),
        case(
            "who comes again without a name is told again",
            told_again,
            &["attic/st/backup/last-backup/films 1", "attic/st/backup/last-backup/films 1"],
        ),
        case(
            "how another machine is, is told as well",
            |stage| late(stage, &[state("kitchen/st/update/version/fclient", "7")]),
            &["kitchen/st/update/version/fclient 7"],
        ),
        ending(
            "how it is outlives the end of the engine by kill -9",
            |stage| outlives(stage, Stage::kill),
            &["attic/st/backup/last-backup/films 2"],
        ),
        ending(
            "how it is outlives a restart of the engine",
            |stage| outlives(stage, Stage::restart),
            &["attic/st/backup/last-backup/films 2"],
        ),
        ending(
            "a word after the end of the engine replaces the one before",
            replaced_after_the_end,
            &["attic/st/backup/last-backup/films 2"],
        ),
    ]
}

fn late(stage: &mut Stage, said: &[Message]) {
    stage.say(said);
    let mut ear = stage.late_ear(&["+/st/#", "+/evt/backup/#"]);
    stage.hear_sorted(&mut ear);
}

fn two_hundred(stage: &mut Stage) {
    for round in 0..2 {
        let words = (0..200).map(|number| state(&format!("attic/st/watchdog/process/p{number}"), round.to_string()));
        stage.say(&words.collect::<Vec<_>>());
    }
    let mut ear = stage.late_ear(&["attic/st/watchdog/process/+"]);
    let heard = stage.listen(&mut ear);
    assert!(heard.iter().all(|heard| heard.payload == b"1"), "the last word counts");
    let things: std::collections::BTreeSet<_> = heard.iter().map(|heard| &heard.topic).collect();
    stage.note(format!("{} things, {} words", things.len(), heard.len()));
}

fn then_live(stage: &mut Stage) {
    stage.say(&[state(FILMS, "1")]);
    let mut ear = stage.late_ear(&["attic/st/#"]);
    stage.hear(&mut ear);
    stage.say(&[state(FILMS, "2")]);
    stage.hear(&mut ear);
}

pub(super) fn only_new(stage: &mut Stage) {
    stage.say(&[state(FILMS, "1")]);
    let mut ear = stage.ear(&["attic/st/#"]);
    stage.say(&[state(FILMS, "2")]);
    stage.hear(&mut ear);
}

fn each_word(stage: &mut Stage) {
    let mut ear = stage.ear(&["attic/st/#"]);
    for number in ["1", "2", "3"] {
        stage.say(&[state(FILMS, number)]);
        stage.hear(&mut ear);
    }
}

fn only_matching(stage: &mut Stage) {
    stage.say(&[state(FILMS, "1"), state(PHOTOS, "2")]);
    let mut ear = stage.late_ear(&["attic/st/backup/+/photos"]);
    stage.hear(&mut ear);
}

fn told_again(stage: &mut Stage) {
    stage.say(&[state(FILMS, "1")]);
    let mut ear = stage.late_ear(&["attic/st/#"]);
    stage.hear(&mut ear);
    ear.loses_its_link();
    stage.hear(&mut ear);
}

fn outlives(stage: &mut Stage, end: fn(&mut Stage)) {
    stage.say(&[state(FILMS, "1"), event("attic/evt/backup/backup-done", "x"), state(FILMS, "2")]);
    end(stage);
    let mut ear = stage.late_ear(&["attic/st/#", "attic/evt/backup/#"]);
    stage.hear(&mut ear);
}

fn replaced_after_the_end(stage: &mut Stage) {
    stage.say(&[state(FILMS, "1")]);
    stage.kill();
    stage.say(&[state(FILMS, "2")]);
    stage.kill();
    let mut ear = stage.late_ear(&["attic/st/#"]);
    stage.hear(&mut ear);
}
