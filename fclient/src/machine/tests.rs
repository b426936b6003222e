//! Stories: what the server does, what the client does about it.

use super::*;
use protocol::message::{Beat, HookResult, Prepare, Progress, Stage};
use protocol::name::Identity;

const RUN_1: Epoch = Epoch(100);
const RUN_2: Epoch = Epoch(200);
const FIRST: ShutdownId = ShutdownId { epoch: RUN_1, number: 1 };
const OFF: PowerPolicy = PowerPolicy { power_off: true, power_off_on_lost: false };
const OFF_ON_LOST: PowerPolicy = PowerPolicy { power_off: true, power_off_on_lost: true };
const STAY: PowerPolicy = PowerPolicy { power_off: false, power_off_on_lost: false };

fn attic() -> HostName {
    HostName::parse("attic").unwrap()
}

fn rules(policy: PowerPolicy) -> Rules {
    let hello = Hello {
        version: 2,
        name: HostName::parse("kitchen").unwrap(),
        identity: Identity(7),
        program: "fclient test".into(),
        capabilities: Vec::new(),
    };
    Rules {
        hello,
        server: "attic:5555".into(),
        policy,
        bounds: Bounds::DEFAULT,
        once: false,
        booted: Duration::from_secs(1000),
    }
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A client, its clock, and what it has done since somebody last looked.
struct Client {
    machine: Machine,
    now: Instant,
    done: Vec<Action>,
    /// Every hook row that was begun, in order; `+drill` and `-skipped` tell how.
    rows: Vec<String>,
    journal: Option<Intent>,
}

impl Client {
    fn new(policy: PowerPolicy) -> Self {
        Self::from_journal(rules(policy), None)
    }

    fn from_journal(rules: Rules, journal: Option<Intent>) -> Self {
        let now = Instant::at(secs(10.0));
        let machine = Machine::new(rules, journal.clone(), now);
        Self { machine, now, done: Vec::new(), rows: Vec::new(), journal }
    }

    /// The same machine after a crash of the client.
    fn restarted(&self) -> Self {
        let mut next = Self::from_journal(self.machine.rules.clone(), self.journal.clone());
        next.tell(Input::Tick);
        next
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        let actions = self.machine.handle(input, self.now);
        let recorded = matches!(actions.first(), Some(Action::Record(_)));
        let late = actions.iter().skip(1).any(|action| matches!(action, Action::Record(_)));
        let begins = actions.iter().any(|action| matches!(action, Action::Run(run) if !run.drill));
        assert!(!late, "the journal comes first: {actions:?}");
        let powers =
            actions.iter().any(|a| matches!(a, Action::Run(run) if run.event == HookEvent::PowerOff && !run.drill));
        let up = matches!(self.machine.presence.phase(), presence::Phase::Up { .. });
        assert!(!(powers && up), "powers off while the server is up: {actions:?}");
        assert!(!begins || recorded || self.machine.intent() == self.journal, "begun without an entry: {actions:?}");
        for action in &actions {
            match action {
                Action::Record(intent) => self.journal = intent.clone(),
                Action::Run(run) => self.rows.push(row(run)),
                Action::CancelRun => self.rows.push("cancel".into()),
                _ => {}
            }
        }
        self.done.extend(actions);
        self
    }

    fn hears(&mut self, message: Message) -> &mut Self {
        self.tell(Input::Heard(Heard::Message(message)))
    }

    fn hears_line(&mut self, line: ServerLine) -> &mut Self {
        self.tell(Input::Heard(Heard::Line(line)))
    }

    /// Time passes, and the loop wakes up whenever it has to.
    fn passes(&mut self, seconds: f64) -> &mut Self {
        let end = self.now + secs(seconds);
        while let Some(due) = self.machine.deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.tell(Input::Tick);
        }
        self.now = end;
        self
    }

    /// The link ends, and nobody answers the last probes.
    fn link_ends(&mut self, how: Input) -> &mut Self {
        self.tell(how).passes(0.2)
    }

    fn links(&mut self, epoch: Epoch) -> &mut Self {
        self.tell(Input::Connected).hears_line(ServerLine::Hello { server: attic(), epoch })
    }

    fn beat(&mut self) -> &mut Self {
        self.hears(Message::Beat(Beat { number: 1, next_ms: 1000 }))
    }

    /// A new server is there, and the hooks of `server-up` have run.
    fn up(&mut self) -> &mut Self {
        self.links(RUN_1).beat().hook("server-up/50-mount-share", HookResult::Done).row_ends();
        assert_eq!(self.rows(), ["server-up"]);
        self.done.clear();
        self
    }

    /// An old server is there, and the hooks of `server-up` have run.
    fn up_old(&mut self) -> &mut Self {
        self.tell(Input::Connected).passes(0.4).row_ends();
        assert_eq!(self.rows(), ["server-up"]);
        self.done.clear();
        self
    }

    fn prepare(&mut self, cause: Cause) -> &mut Self {
        self.prepare_as(FIRST, cause, false)
    }

    fn prepare_as(&mut self, id: ShutdownId, cause: Cause, drill: bool) -> &mut Self {
        self.hears(Message::Prepare(Prepare { id, cause, within: secs(30.0), reason: "night".into(), drill }))
    }

    fn hook(&mut self, name: &str, result: HookResult) -> &mut Self {
        self.tell(Input::HookBegan(name.into(), 1));
        self.tell(Input::HookEnded(HookOutcome { hook: name.into(), result, took: secs(0.5) }))
    }

    fn row_ends(&mut self) -> &mut Self {
        self.tell(Input::RunEnded)
    }

    fn link_is(&mut self, up: bool) -> &mut Self {
        self.tell(Input::OwnLink { up, evidence: "eth0".into() })
    }

    fn rows(&mut self) -> Vec<String> {
        std::mem::take(&mut self.rows)
    }

    /// The stages reported since the last look, with the number of outcomes each.
    fn stages(&mut self) -> Vec<(Stage, usize)> {
        let stage = |action| match action {
            Action::Say(Message::Progress(Progress { stage, outcomes, .. })) => Some((stage, outcomes.len())),
            _ => None,
        };
        std::mem::take(&mut self.done).into_iter().filter_map(stage).collect()
    }

    fn decisions(&self) -> Vec<&str> {
        self.done
            .iter()
            .filter_map(|action| match action {
                Action::Decided(_, decision) => Some(decision.what.as_str()),
                _ => None,
            })
            .collect()
    }

    fn did(&self, action: &Action) -> bool {
        self.done.contains(action)
    }
}

fn row(run: &Run) -> String {
    let cause = run.cause.map(|cause| format!(" {cause}")).unwrap_or_default();
    let skip = if run.skip.is_empty() { String::new() } else { format!(" -{}", run.skip.join(",")) };
    format!("{}{cause}{}{skip}", run.event, if run.drill { " +drill" } else { "" })
}

mod causes;
mod drills;
mod journal;
mod leaving;
mod links;
mod order;
mod properties;
mod stages;
mod strangers;
