//! Many at a time, and some that are slow.

use super::run;
use crate::conformance::engine::Message;
use crate::conformance::stage::{Ear, Stage, event};
use crate::conformance::{Case, case, ending};

const MOTION: &str = "attic/evt/camera/motion";

pub fn cases() -> Vec<Case> {
    vec![
        case("a thousand messages wait for a name", thousand_wait, &["1000 from 0 to 999"]),
        ending("a thousand messages wait over the end of the engine", thousand_outlive, &["1000 from 0 to 999"]),
        case(
            "who reads slowly loses nothing and holds nobody up",
            slow,
            &["quick: 1500 from 0 to 1499", "slow: 1500 from 0 to 1499"],
        ),
        case("thirty that listen hear everything", thirty, &["30 of 30 hear 100 from 0 to 99"]),
        case(
            "twenty names that are away find all that waits for them",
            twenty_away,
            &["20 of 20 hear 100 from 0 to 99"],
        ),
        case(
            "what was acknowledged to one who died right then is heard",
            died_speaking,
            &["all that was acknowledged, none twice, in order"],
        ),
    ]
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Message> {
    range.map(|number| event(MOTION, number.to_string())).collect()
}

/// Numbers with so much behind them that they do not all fit into the buffers between two processes.
fn long_numbers(range: std::ops::Range<u64>) -> Vec<Message> {
    range.map(|number| event(MOTION, format!("{number:1000}"))).collect()
}

fn thousand_wait(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    ear.session().cut();
    stage.say(&numbers(0..1000));
    ear.session().come_back();
    let heard = stage.listen(&mut ear);
    stage.note(run(&heard));
}

fn thousand_outlive(stage: &mut Stage) {
    let mut ear = stage.lasting_ear("listener", &[MOTION]);
    ear.session().cut();
    stage.say(&numbers(0..1000));
    stage.kill();
    ear.session().come_back();
    let heard = stage.listen(&mut ear);
    stage.note(run(&heard));
}

fn slow(stage: &mut Stage) {
    let (mut slow, mut quick) = (stage.lasting_ear("slow", &[MOTION]), stage.ear(&[MOTION]));
    stage.say(&long_numbers(0..1500));
    let heard = stage.listen(&mut quick);
    stage.note(format!("quick: {}", run(&heard)));
    let heard = stage.listen(&mut slow);
    stage.note(format!("slow: {}", run(&heard)));
}

fn thirty(stage: &mut Stage) {
    let mut ears: Vec<Ear> = (0..30).map(|_| stage.ear(&[MOTION])).collect();
    stage.say(&numbers(0..100));
    all_hear(stage, &mut ears);
}

fn twenty_away(stage: &mut Stage) {
    let mut ears: Vec<Ear> = (0..20).map(|number| stage.lasting_ear(&format!("ear{number}"), &[MOTION])).collect();
    ears.iter_mut().for_each(|ear| ear.session().cut());
    stage.say(&numbers(0..100));
    ears.iter_mut().for_each(|ear| ear.session().come_back());
    all_hear(stage, &mut ears);
}

fn all_hear(stage: &mut Stage, ears: &mut [Ear]) {
    let told: Vec<String> = ears.iter_mut().map(|ear| run(&stage.listen(ear))).collect();
    let complete = told.iter().filter(|told| *told == "100 from 0 to 99").count();
    stage.note(format!("{complete} of {} hear 100 from 0 to 99", ears.len()));
}

fn died_speaking(stage: &mut Stage) {
    let mut ear = stage.ear(&[MOTION]);
    let acknowledged = stage.engine().speaker("attic").publish_and_die(&numbers(0..200));
    let heard = stage.listen(&mut ear);
    let told = run(&heard);
    let complete = heard.len() >= acknowledged && told == format!("{0} from 0 to {1}", heard.len(), heard.len() - 1);
    stage.note(if complete {
        "all that was acknowledged, none twice, in order".into()
    } else {
        format!("{told} of {acknowledged}")
    });
}
