//! Whatever happens, in whatever order, with crashes in between: what must never be.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Event {
    Tell(Input),
    Hello(Epoch),
    /// A new announcement of the run that is linked.
    Prepare(Cause, u64, bool),
    /// The present announcement, or one that was never made.
    Cancel(bool),
    Commit(bool),
    Passes(u16),
    HookEnds(HookResult),
    RowEnds,
    Crash,
}

fn message(message: Message) -> Event {
    Event::Tell(Input::Heard(Heard::Message(message)))
}

fn prepare() -> impl Strategy<Value = Event> {
    let cause = prop_oneof![3 => Just(Cause::Shutdown), 1 => Just(Cause::Restart)];
    (cause, 1..40_u64, prop::bool::weighted(0.2))
        .prop_map(|(cause, within, drill)| Event::Prepare(cause, within, drill))
}

fn event() -> impl Strategy<Value = Event> {
    let epoch = prop_oneof![Just(RUN_1), Just(RUN_2)];
    let result = prop_oneof![3 => Just(HookResult::Done), 1 => Just(HookResult::TimedOut)];
    let leave = prop_oneof![Just(Leave::Shutdown), Just(Leave::Restart)];
    prop_oneof![
        6 => Just(Event::Tell(Input::Connected)),
        6 => epoch.clone().prop_map(Event::Hello),
        8 => Just(message(Message::Beat(Beat { number: 1, next_ms: 1000 }))),
        5 => prepare(),
        2 => any::<bool>().prop_map(Event::Cancel),
        4 => any::<bool>().prop_map(Event::Commit),
        1 => Just(message(Message::Refused("no".into()))),
        2 => Just(Event::Tell(Input::Heard(Heard::Line(ServerLine::Shutdown)))),
        3 => Just(Event::Tell(Input::Closed)),
        2 => Just(Event::Tell(Input::Broken("reset".into()))),
        1 => epoch.prop_map(|epoch| Event::Tell(Input::Here(epoch))),
        4 => any::<bool>().prop_map(|up| Event::Tell(Input::OwnLink { up, evidence: String::new() })),
        1 => (1..100_u64).prop_map(|s| Event::Tell(Input::Slept(Duration::from_secs(s)))),
        1 => leave.prop_map(|leave| Event::Tell(Input::Leave(leave))),
        8 => (1..8000_u16).prop_map(Event::Passes),
        6 => result.prop_map(Event::HookEnds),
        12 => Just(Event::RowEnds),
        2 => Just(Event::Crash),
    ]
}

/// A client with its own journal, and what has become of its rows.
struct Watched {
    client: Client,
    runs: bool,
    left: bool,
    /// Ends after which the hooks of `power-off` have ended.
    off: Vec<ShutdownId>,
    powering: Option<ShutdownId>,
    /// What the server says; one that announced something says so again on each new link.
    epoch: Epoch,
    numbers: u32,
    announced: Option<Prepare>,
}

impl Watched {
    fn new(policy: PowerPolicy, once: bool) -> Self {
        let client = Client::from_journal(Rules { once, ..rules(policy) }, None);
        Self {
            client,
            runs: false,
            left: false,
            off: Vec::new(),
            powering: None,
            epoch: RUN_1,
            numbers: 0,
            announced: None,
        }
    }

    fn announce(&mut self, cause: Cause, within: u64, drill: bool) -> Event {
        self.numbers += 1;
        let id = ShutdownId { epoch: self.epoch, number: self.numbers };
        let prepare = Prepare { id, cause, within: Duration::from_secs(within), reason: String::new(), drill };
        self.announced = Some(prepare.clone()).filter(|prepare| !prepare.drill);
        message(Message::Prepare(prepare))
    }

    fn present(&self, right: bool) -> ShutdownId {
        let made = self.announced.as_ref().map(|prepare| prepare.id).filter(|_| right);
        made.unwrap_or(ShutdownId { epoch: RUN_1, number: 999 })
    }

    fn speaks_frames(&self) -> bool {
        self.client.machine.speaks_frames()
    }

    /// What the server really says.
    fn translate(&mut self, event: Event) -> Vec<Event> {
        match event {
            Event::Hello(epoch) if self.is_linked() && !self.speaks_frames() => {
                self.epoch = epoch;
                self.announced.take_if(|prepare| prepare.id.epoch != epoch);
                let hello = Event::Tell(Input::Heard(Heard::Line(ServerLine::Hello { server: attic(), epoch })));
                let again = self.announced.clone().map(|prepare| message(Message::Prepare(prepare)));
                [hello].into_iter().chain(again).collect()
            }
            Event::Prepare(..) | Event::Cancel(_) | Event::Commit(_) if !self.speaks_frames() => vec![],
            Event::Tell(Input::Heard(Heard::Message(_))) if !self.speaks_frames() => vec![],
            Event::Tell(Input::Heard(Heard::Line(_))) if self.speaks_frames() => vec![],
            Event::Hello(_) => vec![],
            Event::Prepare(cause, within, drill) => vec![self.announce(cause, within, drill)],
            Event::Cancel(right) => {
                let id = self.present(right);
                self.announced.take_if(|prepare| prepare.id == id);
                vec![message(Message::Cancel(id))]
            }
            Event::Commit(right) => vec![message(Message::Commit(self.present(right)))],
            event => vec![event],
        }
    }

    fn is_linked(&self) -> bool {
        self.client.machine.link.is_some()
    }

    fn happens(&mut self, event: Event) {
        for event in self.translate(event) {
            self.really_happens(event);
        }
    }

    fn really_happens(&mut self, event: Event) {
        match event {
            Event::Tell(Input::Connected) if self.is_linked() => return,
            Event::Tell(Input::Heard(_) | Input::Closed | Input::Broken(_)) if !self.is_linked() => return,
            Event::HookEnds(_) | Event::RowEnds if !self.runs => return,
            Event::Tell(Input::Leave(_)) => self.left = true,
            Event::RowEnds => {
                self.off.extend(self.powering.take());
                self.runs = false;
            }
            Event::Crash => {
                (self.runs, self.left, self.powering) = (false, false, None);
                // The journal remembers one end, and only until something else begins.
                let remembered = match self.client.journal {
                    Some(Intent::PoweringOff { id, .. } | Intent::Down { id, .. }) => id,
                    _ => None,
                };
                self.off.retain(|&id| Some(id) == remembered);
                self.client = Client::from_journal(self.client.machine.rules.clone(), self.client.journal.clone());
            }
            _ => {}
        }
        self.client.done.clear();
        match event {
            Event::Tell(input) => drop(self.client.tell(input)),
            Event::Passes(milliseconds) => drop(self.client.passes(f64::from(milliseconds) / 1000.0)),
            Event::HookEnds(result) => drop(self.client.hook("server-stopping/50-unmount-share", result)),
            Event::RowEnds => drop(self.client.row_ends()),
            Event::Crash => drop(self.client.tell(Input::Tick)),
            Event::Hello(_) | Event::Prepare(..) | Event::Cancel(_) | Event::Commit(_) => {}
        }
        self.look();
    }

    fn look(&mut self) {
        let done = std::mem::take(&mut self.client.done);
        for action in &done {
            match action {
                Action::Run(run) => {
                    assert!(!self.runs, "one row at a time: {run:?}");
                    self.runs = true;
                    self.look_at(run);
                }
                Action::CancelRun => assert!(self.runs, "nothing to cancel"),
                Action::Exit(_) => assert!(!self.runs, "hooks are left behind"),
                _ => {}
            }
        }
        if done.iter().any(|action| matches!(action, Action::Exit(_))) {
            // Whoever supervises it starts it again.
            self.happens(Event::Crash);
        }
    }

    fn look_at(&mut self, run: &Run) {
        if run.drill || run.event != HookEvent::PowerOff {
            return;
        }
        let cause = run.cause.expect("power-off has a cause");
        assert!(cause.powers_off(self.client.machine.rules.policy), "{cause} does not power off here");
        assert!(!self.left, "somebody had asked this client to end");
        if let Some(id) = run.id {
            assert!(!self.off.contains(&id), "{id} has powered off already");
            self.powering = Some(id);
        }
    }
}

proptest! {
    #[test]
    fn nothing_powers_off_twice_or_unasked_and_one_row_runs_at_a_time(
        events in vec(event(), 1..120),
        policy in prop_oneof![Just(OFF), Just(OFF_ON_LOST), Just(STAY)],
        once in prop::bool::weighted(0.2),
    ) {
        let mut watched = Watched::new(policy, once);
        for event in events {
            watched.happens(event);
        }
    }

    /// After any history a server that is there is worked with, and the client does not go on for ever about the past.
    #[test]
    fn a_server_that_stays_is_taken_up_in_the_end(events in vec(event(), 1..80)) {
        let mut watched = Watched::new(STAY, false);
        for event in events {
            watched.happens(event);
        }
        watched.happens(Event::Crash);
        if watched.is_linked() {
            watched.happens(Event::Tell(Input::Broken("reset".into())));
        }
        let epoch = Epoch(300);
        watched.happens(Event::Tell(Input::Connected));
        watched.happens(Event::Hello(epoch));
        for _ in 0..5 {
            watched.happens(message(Message::Beat(Beat { number: 1, next_ms: 1000 })));
            watched.happens(Event::RowEnds);
        }
        let taken_up = matches!(watched.client.machine.state, State::Up { epoch: Some(Epoch(300)), complete: true, .. });
        prop_assert!(taken_up, "{:?}", watched.client.machine.state);
    }
}
