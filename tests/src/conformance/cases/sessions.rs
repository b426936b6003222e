//! A name makes a listener last: what comes while it is away waits, and what it has not acknowledged comes again.

use crate::conformance::engine::{From, Heard, Message, Verdict};
use crate::conformance::stage::{Ear, Stage, event, lines, state};
use crate::conformance::{Case, case, ending};

const MOTION: &str = "attic/evt/camera/motion";
const FILMS: &str = "attic/st/backup/last-backup/films";

pub fn cases() -> Vec<Case> {
    vec![
        case(
            "what comes while a name is away waits for it, in order",
            |stage| away(stage, |_| {}),
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 2", "attic/evt/camera/motion 3"],
        ),
        case("for nobody nothing waits", nobody, &["attic/evt/camera/motion 2"]),
        ending(
            "what waits outlives the end of the engine by kill -9",
            |stage| away(stage, Stage::kill),
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 2", "attic/evt/camera/motion 3"],
        ),
        ending(
            "what waits outlives a restart of the engine",
            |stage| away(stage, Stage::restart),
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 2", "attic/evt/camera/motion 3"],
        ),
        ending(
            "a name that is away when the engine ends hears what comes afterwards",
            away_at_the_end,
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 2"],
        ),
        case(
            "what was not acknowledged comes again over a new link",
            |stage| again(stage, |_| false, |_| {}),
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 2", "attic/evt/camera/motion 3"],
        ),
        case("what was acknowledged does not come again over a new link", |stage| again(stage, |_| true, |_| {}), &[]),
        case(
            "messages may be acknowledged in any order, and the others come again",
            |stage| again(stage, |heard| heard.payload == b"2", |_| {}),
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 3"],
        ),
        ending(
            "what was not acknowledged comes again after the end of the engine by kill -9",
            |stage| again(stage, |heard| heard.payload != b"2", Stage::kill),
            &["attic/evt/camera/motion 2"],
        ),
        case(
            "what was not acknowledged comes before what is new",
            before_what_is_new,
            &["attic/evt/camera/motion 1", "attic/evt/camera/motion 2"],
        ),
        case(
            "two names have each what waits for them",
            two_names,
            &["one: attic/evt/camera/motion 2", "other: attic/evt/camera/motion 1", "other: attic/evt/camera/motion 2"],
        ),
        case(
            "a name may be away again and again",
            again_and_again,
            &["attic/evt/camera/motion 0", "attic/evt/camera/motion 1", "attic/evt/camera/motion 2"],
        ),
        case("for a name that was forgotten nothing waits", forgotten, &["attic/evt/camera/motion 2"]),
        case("only what matches waits", only_what_matches, &["attic/evt/camera/motion 1"]),
        case("who subscribes again to the same hears a message once", subscribes_again, &["attic/evt/camera/motion 1"]),
        case(
            "of how something is, the last word waits",
            last_word_waits,
            &["last: attic/st/backup/last-backup/films 3"],
        ),
        case("who comes under a name that is here gets what is sent to it", takes_over, &["attic/evt/camera/motion 1"]),
    ]
}

fn motion(number: u32) -> Message {
    event(MOTION, number.to_string())
}

fn listener(stage: &mut Stage) -> Ear {
    stage.lasting_ear("listener", &[MOTION])
}

fn away(stage: &mut Stage, meanwhile: fn(&mut Stage)) {
    let mut ear = listener(stage);
    ear.session().cut();
    stage.say(&[motion(1), motion(2), motion(3)]);
    meanwhile(stage);
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn nobody(stage: &mut Stage) {
    let mut ear = stage.ear(&[MOTION]);
    ear.session().cut();
    stage.say(&[motion(1)]);
    stage.until_heard_everywhere();
    ear.session().come_back();
    stage.say(&[motion(2)]);
    stage.hear(&mut ear);
}

fn away_at_the_end(stage: &mut Stage) {
    let mut ear = listener(stage);
    ear.session().cut();
    stage.kill();
    stage.say(&[motion(1), motion(2)]);
    ear.session().come_back();
    stage.hear(&mut ear);
}

/// Hears three messages and acknowledges some of them; then comes back and notes what comes again.
fn again(stage: &mut Stage, acknowledged: fn(&Heard) -> bool, meanwhile: fn(&mut Stage)) {
    let mut ear = listener(stage);
    stage.say(&[motion(1), motion(2), motion(3)]);
    assert_eq!(stage.listen_and(&mut ear, acknowledged).len(), 3);
    ear.session().settle();
    ear.session().cut();
    meanwhile(stage);
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn before_what_is_new(stage: &mut Stage) {
    let mut ear = listener(stage);
    stage.say(&[motion(1)]);
    ear.takes_one();
    ear.session().cut();
    stage.say(&[motion(2)]);
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn two_names(stage: &mut Stage) {
    let (mut one, mut other) = (stage.lasting_ear("one", &[MOTION]), stage.lasting_ear("other", &[MOTION]));
    other.session().cut();
    stage.say(&[motion(1)]);
    stage.listen(&mut one);
    one.session().cut();
    stage.say(&[motion(2)]);
    for (name, ear) in [("one", &mut one), ("other", &mut other)] {
        ear.session().come_back();
        let heard = stage.listen(ear);
        lines(&heard).iter().for_each(|line| stage.note(format!("{name}: {line}")));
    }
}

fn again_and_again(stage: &mut Stage) {
    let mut ear = listener(stage);
    for number in 0..3 {
        ear.session().cut();
        stage.say(&[motion(number)]);
        ear.session().come_back();
        stage.hear(&mut ear);
    }
}

fn forgotten(stage: &mut Stage) {
    let mut ear = listener(stage);
    ear.session().forget();
    stage.say(&[motion(1)]);
    stage.until_heard_everywhere();
    ear.session().come_back();
    stage.say(&[motion(2)]);
    stage.hear(&mut ear);
}

fn only_what_matches(stage: &mut Stage) {
    let mut ear = listener(stage);
    ear.session().cut();
    stage.say(&[event("attic/evt/camera/camera-online", "x"), motion(1), state(FILMS, "y")]);
    ear.session().come_back();
    stage.hear(&mut ear);
}

fn subscribes_again(stage: &mut Stage) {
    let mut ear = listener(stage);
    ear.session().cut();
    ear.session().come_back();
    let verdict = stage.subscribe_again(&mut ear, &[MOTION], From::Next);
    assert_eq!(verdict, Verdict::Taken);
    stage.say(&[motion(1)]);
    stage.hear(&mut ear);
}

fn last_word_waits(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &["attic/st/#"]);
    ear.session().cut();
    stage.say(&[state(FILMS, "1"), state(FILMS, "2"), state(FILMS, "3")]);
    ear.session().come_back();
    let heard = stage.listen(&mut ear);
    stage.note(format!("last: {}", lines(&heard).pop().unwrap_or_default()));
}

fn takes_over(stage: &mut Stage) {
    let _old = listener(stage);
    let mut new = listener(stage);
    stage.say(&[motion(1)]);
    stage.hear(&mut new);
}
