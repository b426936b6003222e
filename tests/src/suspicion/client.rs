//! The client: the loop of a real program around [`Presence`]. It reads, ticks at the deadline, dials with growing pauses,
//! and performs what the machine answers. It may be stalled, or off; then what comes for it waits, or is gone.

use super::tcp::Stream;
use super::world::{End, Event, Link, Word, World};
use super::{Time, seconds};
use protocol::cause::{Cause, PowerPolicy};
use protocol::detector::Bounds;
use protocol::message::Prepare;
use protocol::presence::{Action, Change, Input, Phase, Presence};
use protocol::{Epoch, HostName, Instant};
use std::time::Duration;

/// The pauses between two attempts to connect grow from the first to the second, in seconds.
const PAUSES: (f64, f64) = (0.2, 5.0);
/// When an attempt sends its first packets, and when it is given up, in seconds (Linux doubles from one second).
const SYNS: [f64; 3] = [0.0, 1.0, 3.0];
const GIVEN_UP: f64 = 5.0;
/// How long looking at the own link takes.
const LOOK: f64 = 0.002;

/// POWER_OFF is set, POWER_OFF_ON_LOST is not.
const POLICY: PowerPolicy = PowerPolicy { power_off: true, power_off_on_lost: false };

pub struct Client {
    presence: Presence,
    deadline: Option<Instant>,
    /// It runs again at this instant.
    awake_at: Time,
    /// So does its machine.
    pub machine_runs_at: Time,
    /// How far its clock, which stands still in a seen sleep, is behind the world's.
    behind: Time,
    /// What came while it did not run.
    inbox: Vec<(Option<u32>, Input)>,
    /// The sleep that it will be told of.
    slept: Option<Duration>,
    /// The run of the server that it knows.
    run: Option<Epoch>,
    attempt: u32,
    attempt_at: Time,
    dialling: bool,
    pause: f64,
}

impl Client {
    pub fn new() -> Self {
        let presence = Presence::new(Bounds::DEFAULT, Instant::default());
        Self {
            presence,
            deadline: None,
            awake_at: 0,
            machine_runs_at: 0,
            behind: 0,
            inbox: Vec::new(),
            slept: None,
            run: None,
            attempt: 0,
            attempt_at: 0,
            dialling: true,
            pause: PAUSES.0,
        }
    }

    /// It is up, runs, and holds nothing against anybody.
    pub fn is_well(&self, now: Time) -> bool {
        now >= self.awake_at && matches!(self.presence.phase(), Phase::Up { hold: None, .. })
    }
}

impl World {
    /// The client's own clock.
    fn clock(&self) -> Instant {
        Instant::at(Duration::from_nanos(self.client_clock()))
    }

    /// The same in nanoseconds.
    pub fn client_clock(&self) -> Time {
        self.now - self.client.behind
    }

    pub fn asleep(&self) -> bool {
        self.now < self.client.awake_at
    }

    pub fn tick_due(&self) -> Option<Time> {
        let due = self.client.deadline?.since_start().as_nanos() as Time + self.client.behind;
        Some(due.max(self.client.awake_at))
    }

    pub fn tick(&mut self) {
        self.input(Input::Tick);
    }

    /// The process stops running, and perhaps its machine; a seen sleep is told and stops the clock.
    pub fn sleeps(&mut self, span: Time, machine: bool, seen: bool) {
        self.client.awake_at = self.now + span;
        if machine {
            (self.air.client_off, self.client.machine_runs_at) = (true, self.now + span);
        }
        if seen {
            self.client.slept = Some(Duration::from_nanos(span));
        }
        self.at(self.client.awake_at, Event::Wakes);
    }

    /// First it sees that it slept, then that time has passed, and only then what has come meanwhile.
    pub fn wakes(&mut self) {
        self.air.client_off = false;
        if let Some(span) = self.client.slept.take() {
            self.client.behind += span.as_nanos() as Time;
            self.input(Input::Slept(span));
        }
        while self.tick_due().is_some_and(|due| due <= self.now) {
            self.tick();
        }
        for (link, input) in std::mem::take(&mut self.client.inbox) {
            self.reads(link, input);
        }
    }

    /// Something has come for the client: on a link, or beside it.
    fn reads(&mut self, link: Option<u32>, input: Input) {
        if self.asleep() {
            return self.client.inbox.push((link, input));
        }
        if link.is_some() && self.link.as_ref().map(|link| link.number) != link {
            return;
        }
        match &input {
            Input::Beat => {
                let clock = self.client_clock();
                self.report.fixed.beat(clock);
                self.say(End::Client, Word::Echo);
            }
            Input::Hello { epoch, .. } => {
                if self.client.run.replace(*epoch) != Some(*epoch) {
                    self.report.fixed.excuse();
                }
                self.say(End::Client, Word::HelloFrame);
            }
            Input::Closed | Input::Broken(_) => self.hang_up(),
            _ => (),
        }
        self.input(input);
    }

    pub fn client_hears(&mut self, link: u32, word: Word) {
        let input = match word {
            Word::Greeting => Input::Greeted,
            Word::HelloLine(epoch) => Input::Hello { server: server_name(), epoch },
            Word::Beat => Input::Beat,
            Word::End => Input::Closed,
            Word::Prepare(id) => Input::Prepare(Prepare {
                id,
                cause: Cause::Restart,
                within: super::life::BACK_WITHIN,
                reason: String::new(),
                drill: false,
            }),
            Word::HelloFrame | Word::Echo => return,
        };
        self.reads(Some(link), input);
    }

    pub fn client_reset(&mut self, link: u32) {
        self.reads(Some(link), Input::Broken("connection reset by peer".into()));
    }

    pub fn here(&mut self, epoch: Epoch) {
        if !self.air.client_off {
            self.reads(None, Input::Here(epoch));
        }
    }

    pub fn own_link(&mut self) {
        let up = self.now >= self.air.unplugged_until;
        self.reads(None, Input::OwnLink { up, evidence: String::new() });
    }

    pub fn input(&mut self, input: Input) {
        for action in self.client.presence.handle(input, self.clock()) {
            match action {
                Action::Changed(change) => self.judge(&change),
                Action::CheckLink => self.at(self.now + seconds(LOOK), Event::OwnLink),
                Action::Reconnect => self.hang_up(),
                Action::Probe => {
                    self.report.probes += 1;
                    self.carry(Event::Probe);
                }
            }
        }
        self.client.deadline = self.client.presence.deadline();
    }

    /// Whether a change is right, by what the story knows.
    fn judge(&mut self, change: &Change) {
        if change.cause.is_some_and(|cause| cause.powers_off(POLICY)) {
            self.report.power_offs += 1;
            self.explain("power-off", change);
        }
        match change.phase {
            Phase::Down { cause: Cause::Lost, .. } if self.verdict() => self.explain("lost", change),
            Phase::Down { cause: Cause::Restart, .. } if self.server_is_there() => {
                self.report.overdue += 1;
                self.explain("overdue", change);
            }
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => (),
        }
    }

    fn explain(&mut self, what: &str, change: &Change) {
        let (hours, evidence) = (self.now as f64 / 3.6e12, change.evidence.join("; "));
        self.report.explanations.push(format!("{what} after {hours:.2} h: {evidence}"));
    }

    // ---- making links ----

    fn hang_up(&mut self) {
        self.link = None;
        self.client.pause = PAUSES.0;
        if !std::mem::replace(&mut self.client.dialling, true) {
            let soon = seconds(PAUSES.0 * self.rng.f64());
            self.at(self.now + soon, Event::Dial(self.client.attempt));
        }
    }

    /// One attempt, if none has been made or has succeeded since `after`.
    pub fn dial(&mut self, after: u32) {
        if self.asleep() {
            return self.at(self.client.awake_at, Event::Dial(after));
        }
        if !self.client.dialling || self.client.attempt != after {
            return;
        }
        self.client.attempt += 1;
        self.client.attempt_at = self.now;
        if self.now < self.air.unplugged_until {
            return self.dial_later(0.0);
        }
        for syn in SYNS {
            self.at(self.now + seconds(syn), Event::Syn(self.client.attempt));
        }
        self.dial_later(GIVEN_UP);
    }

    fn dial_later(&mut self, after: f64) {
        let pause = self.client.pause * (0.5 + self.rng.f64() / 2.0);
        self.client.pause = (self.client.pause * 2.0).min(PAUSES.1);
        self.at(self.now + seconds(after + pause), Event::Dial(self.client.attempt));
    }

    pub fn syn(&mut self, attempt: u32) {
        if self.dials(attempt) {
            self.carry(Event::SynArrives(attempt));
        }
    }

    /// This attempt is under way and has not been given up.
    fn dials(&self, attempt: u32) -> bool {
        let over = self.client.attempt_at + seconds(GIVEN_UP);
        self.client.dialling && self.client.attempt == attempt && self.now < over && !self.air.client_off
    }

    pub fn syn_arrives(&mut self, attempt: u32) {
        if self.server.runs && self.air.server_on {
            self.carry(Event::Connected(attempt));
        }
    }

    pub fn connected(&mut self, attempt: u32) {
        if !self.dials(attempt) || self.asleep() {
            return;
        }
        let round_trip = ((self.now - self.client.attempt_at) as f64 / 1e9).min(1.0);
        self.client.dialling = false;
        self.link =
            Some(Link { number: attempt, to_client: Stream::new(round_trip), to_server: Stream::new(round_trip) });
        self.server_accepts(attempt);
        self.input(Input::Connected);
        self.say(End::Client, Word::HelloLine(Epoch(0)));
    }
}

fn server_name() -> HostName {
    HostName::parse("attic").expect("a host name")
}
