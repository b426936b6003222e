//! What holds for presence whatever comes, in whatever order and however late: no panic, no busy loop, no verdict
//! without its ground, and no silence that is never noticed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::cause::Cause;
use protocol::detector::Bounds;
use protocol::message::Prepare;
use protocol::name::{Epoch, HostName, ShutdownId};
use protocol::presence::{Action, Change, Input, Phase, Presence};
use protocol::time::Instant;
use std::time::Duration;

/// More ticks than this at one instant are a busy loop.
const MOST_TICKS: usize = 4;

/// What happens to the machine.
#[derive(Debug, Clone)]
enum Step {
    /// An input after this time, whatever the machine's deadline.
    Late(Input, Duration),
    /// A tick at its deadline, and this much later.
    Tick(Duration),
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (5u64..8).prop_map(Epoch)
}

fn id() -> impl Strategy<Value = ShutdownId> {
    (epoch(), 1u32..3).prop_map(|(epoch, number)| ShutdownId { epoch, number })
}

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), 0..300u64, 0..3000u64, 0..40_000u64].prop_map(Duration::from_millis)
}

fn prepare() -> impl Strategy<Value = Prepare> {
    let cause = prop::sample::select(vec![Cause::Shutdown, Cause::Restart]);
    (id(), cause, span()).prop_map(|(id, cause, within)| Prepare { id, cause, within, reason: "".into(), drill: false })
}

fn input() -> impl Strategy<Value = Input> {
    let server = || HostName::parse("attic").unwrap();
    prop_oneof![
        3 => Just(Input::Connected),
        1 => Just(Input::Greeted),
        3 => epoch().prop_map(move |epoch| Input::Hello { server: server(), epoch }),
        5 => Just(Input::Beat),
        2 => prepare().prop_map(Input::Prepare),
        1 => id().prop_map(Input::Cancel),
        1 => id().prop_map(Input::Commit),
        1 => Just(Input::ShutdownLine),
        1 => Just(Input::Closed),
        1 => Just(Input::Broken("reset".into())),
        1 => epoch().prop_map(Input::Here),
        4 => any::<bool>().prop_map(own_link),
        1 => span().prop_map(Input::Slept),
        1 => Just(Input::LetGo),
        2 => Just(Input::Tick),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (input(), span()).prop_map(|(input, after)| Step::Late(input, after)),
        1 => prop_oneof![3 => Just(Duration::ZERO), 1 => span()].prop_map(Step::Tick),
    ]
}

fn own_link(up: bool) -> Input {
    Input::OwnLink { up, evidence: "as the test says".into() }
}

/// The machine, its clock, and what its inputs so far allow it to say.
struct Watched {
    presence: Presence,
    now: Instant,
    link: bool,
    greeted: bool,
    hello: bool,
}

impl Watched {
    fn new() -> Self {
        let now = Instant::at(Duration::from_secs(100));
        Self { presence: Presence::new(Bounds::DEFAULT, now), now, link: false, greeted: false, hello: false }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Late(input, after) => {
                self.now = self.now + after;
                self.input(input);
            }
            Step::Tick(late) => {
                if let Some(due) = self.presence.deadline() {
                    self.now = self.now.max(due + late);
                    self.settle();
                }
            }
        }
    }

    /// Ticks until nothing is due. A few ticks may follow each other at one instant, each for something else.
    fn settle(&mut self) {
        for _ in 0..MOST_TICKS {
            if self.presence.deadline().is_none_or(|due| due > self.now) {
                return;
            }
            self.input(Input::Tick);
        }
        let due = self.presence.deadline();
        assert!(due.is_none_or(|due| due > self.now), "busy: due {due:?} at {:?}, {:?}", self.now, self.presence);
    }

    fn input(&mut self, input: Input) -> Vec<Action> {
        let before = self.presence.phase();
        let actions = self.presence.handle(input.clone(), self.now);
        for action in &actions {
            if let Action::Changed(change) = action {
                self.check(change, before, &input);
            }
        }
        self.follow(&input, &actions);
        actions
    }

    /// Which inputs may lead to which change.
    fn check(&self, change: &Change, before: Phase, input: &Input) {
        let Change { phase, cause, evidence } = change;
        assert!(!evidence.is_empty(), "a decision without evidence");
        let proper = match (phase, cause) {
            (Phase::Down { cause: Cause::Restart, id: Some(_) }, _) => {
                matches!((input, before), (Input::Prepare(_), Phase::Stopping { committed: false, .. }))
            }
            (Phase::Down { cause: Cause::Lost | Cause::Restart, .. }, _) => *input == own_link(true),
            (Phase::Down { cause: Cause::Closed, .. }, _) => {
                *input == Input::Closed && self.link && !self.hello && !self.greeted
            }
            (Phase::Down { .. } | Phase::Unknown, _) => false,
            (Phase::Stopping { committed: false, .. }, Some(Cause::Own)) => {
                matches!(before, Phase::Stopping { committed: false, .. })
            }
            (Phase::Stopping { committed: false, .. }, _) => matches!(input, Input::Prepare(_)),
            (Phase::Stopping { id: None, .. }, _) => *input == Input::ShutdownLine,
            (Phase::Stopping { .. }, _) if !matches!(input, Input::Commit(_)) && *input != own_link(true) => false,
            (Phase::Stopping { .. }, _) => matches!(before, Phase::Stopping { committed: false, .. }),
            (Phase::Up { hold: Some(_), .. }, Some(Cause::Restart)) => matches!(input, Input::Prepare(_)),
            (Phase::Up { .. }, cause) => matches!(cause, None | Some(Cause::Own)),
        };
        assert!(proper, "{change:?} because of {input:?} after {before:?}");
        assert!(!matches!(phase, Phase::Down { cause: down, .. } if Some(*down) != *cause), "{change:?}");
    }

    fn follow(&mut self, input: &Input, actions: &[Action]) {
        match input {
            Input::Connected => (self.link, self.greeted, self.hello) = (true, false, false),
            Input::Greeted => self.greeted |= self.link,
            Input::Hello { .. } => self.hello |= self.link,
            Input::Closed | Input::Broken(_) => self.link = false,
            _ => (),
        }
        self.link &= !actions.contains(&Action::Reconnect);
    }

    /// Nothing is heard any more, and the own link is fine whenever it is looked at.
    fn silence(&mut self, span: Duration) {
        let end = self.now + span;
        self.input(own_link(true));
        while let Some(due) = self.presence.deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            if self.input(Input::Tick).contains(&Action::CheckLink) {
                self.input(own_link(true));
            }
        }
        self.now = end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_panic_no_busy_loop_no_groundless_verdict(steps in vec(step(), 0..60)) {
        let mut watched = Watched::new();
        steps.into_iter().for_each(|step| watched.step(step));
    }

    #[test]
    fn no_silence_is_for_ever(steps in vec(step(), 0..60)) {
        let mut watched = Watched::new();
        steps.into_iter().for_each(|step| watched.step(step));
        watched.silence(Duration::from_secs(120));
        let phase = watched.presence.phase();
        prop_assert!(!matches!(phase, Phase::Up { epoch: Some(_), .. } | Phase::Stopping { committed: false, .. }), "{:?}", phase);
        prop_assert!(!watched.link || !watched.hello, "a dead link is kept: {:?}", watched.presence);
    }

    #[test]
    fn the_time_out_stays_within_its_bounds(gaps in vec(span(), 0..300)) {
        let mut watched = Watched::new();
        for gap in gaps {
            watched.step(Step::Late(Input::Beat, gap));
            let timeout = watched.presence.timeout();
            prop_assert!(timeout >= Bounds::DEFAULT.floor && timeout <= Bounds::DEFAULT.ceiling);
        }
    }
}
