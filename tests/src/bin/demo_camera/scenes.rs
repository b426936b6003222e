//! What happens, second by second from the moment in which both cameras are recorded.

use crate::stage::{BAD, GOOD, Stage};
use crate::timeline::now_ms;
use esp32::Fault;
use std::thread;
use std::time::{Duration, Instant};

/// Something that was done and lasted, for the drawing and for what is expected.
#[derive(Debug, Clone)]
pub struct Mark {
    /// As in the time line.
    pub what: &'static str,
    /// From, in milliseconds since 1970.
    pub from_ms: u64,
    /// To.
    pub to_ms: u64,
}

/// What was done, and what was seen meanwhile that is gone afterwards.
#[derive(Debug, Default)]
pub struct Marks {
    /// From when to when both cameras were recorded, in milliseconds since 1970.
    pub recorded: (u64, u64),
    /// Faults of the bad camera.
    pub faults: Vec<Mark>,
    /// The storage was dead.
    pub outage: Option<Mark>,
    /// What waited when it came back: run and number, and whether it was marked.
    pub waited: Vec<(String, bool)>,
    /// Exit codes of camera and upload.
    pub ended: [Option<i32>; 2],
    /// The bad camera was told again whether it is day, after its power was cut.
    pub told_again: bool,
}

/// A step: when, in seconds, and what.
type Step = (u64, Act);

#[derive(Debug, Clone, Copy)]
enum Act {
    /// The bad camera does this, until it is well again.
    Fault(&'static str, Fault),
    Well,
    /// The storage is killed, and started again with what it has.
    StorageDies,
    StorageReturns,
    /// From here on it is looked for what moves.
    LookForMotion,
}

/// A fault has to last longer than a pause that is none (3 s), a stall longer by the time in which it is noticed (2 s).
const STEPS: [Step; 14] = [
    (8, Act::Fault("sends nothing", Fault::Stall)),
    (16, Act::Well),
    (19, Act::StorageDies),
    (21, Act::Fault("ends its stream", Fault::Close)),
    (26, Act::Well),
    (32, Act::Fault("sends garbage", Fault::Garbage)),
    (40, Act::Well),
    (45, Act::Fault("sends 320x240", Fault::Small)),
    (53, Act::Well),
    (57, Act::Fault("has no power", Fault::Refuse)),
    (60, Act::StorageReturns),
    (63, Act::Well),
    (74, Act::LookForMotion),
    (84, Act::Well),
];

/// Goes through it.
pub fn play(stage: &mut Stage) -> Marks {
    stage.world().until("both cameras are recorded", || [GOOD, BAD].iter().all(|camera| stage.is_recorded(camera)));
    stage.timeline.tell("demo", "both cameras are recorded");
    let (began, from_ms, mut marks) = (Instant::now(), now_ms(), Marks::default());
    for (at, act) in STEPS {
        thread::sleep(Duration::from_secs(at).saturating_sub(began.elapsed()));
        perform(stage, &mut marks, act);
    }
    until_it_moved(stage);
    marks.told_again = stage.bad.preset().is_some();
    stage.timeline.tell("demo", "camera is told to end; what is left is brought away");
    marks.recorded = (from_ms, now_ms());
    marks.ended = stage.end();
    let closed = stage.ears.count("segment-closed");
    let stage = &*stage;
    stage.world().until("the house was told of each", || stage.ears.count("upload-done") >= closed);
    stage.timeline.tell("demo", "good night");
    marks
}

fn until_it_moved(stage: &Stage) {
    let moved = || stage.ears.facts("segment-closed").iter().any(|closed| closed.fields["motion"] == true);
    stage.world().until("a segment with what moves has left", moved);
}

fn perform(stage: &mut Stage, marks: &mut Marks, act: Act) {
    match act {
        Act::Fault(what, fault) => {
            stage.timeline.tell(BAD, what);
            if fault == Fault::Refuse {
                stage.bad.forget();
            }
            stage.bad.set(&[fault]);
            marks.faults.push(Mark { what, from_ms: now_ms(), to_ms: 0 });
        }
        Act::Well => {
            stage.bad.set(&[]);
            if let Some(fault) = marks.faults.last_mut().filter(|fault| fault.to_ms == 0) {
                fault.to_ms = now_ms();
                stage.timeline.tell(BAD, "is well again");
            }
        }
        Act::StorageDies => {
            stage.timeline.tell("demo", "the storage is killed");
            stage.s3.vanish();
            marks.outage = Some(Mark { what: "dead", from_ms: now_ms(), to_ms: 0 });
        }
        Act::StorageReturns => {
            marks.waited = stage.waiting();
            stage.timeline.tell("demo", format!("the storage is started again; {} segments wait", marks.waited.len()));
            stage.s3.appear();
            marks.outage.iter_mut().for_each(|outage| outage.to_ms = now_ms());
        }
        Act::LookForMotion => {
            stage.timeline.tell(BAD, "is looked at for what moves from now on");
            stage.look_for_motion(BAD);
        }
    }
}
