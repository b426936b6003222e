//! The one loop: whatever happens becomes an input of the machine, and its actions are performed in their order.
//!
//! Nothing here decides. Each source of events is a future that loses nothing when it is dropped, so one `select!`
//! waits for all of them; the journal is written before the loop goes on, which takes as long as the disk takes.

use crate::announce;
use crate::approach::{self, Approach};
use crate::config::Config;
use crate::connect::{Attempt, Attempted, Obstacle, Reached};
use crate::interface;
use crate::journal::{Journal, boot_id};
use crate::link::Link;
use crate::machine::{Action, Exit, Input, Leave, Level, Machine, Pause};
use crate::probe::Probes;
use crate::prove::Prover;
use crate::row::{self, Row};
use bus::agent::{Agent, Order, Out};
use bus::options::{self, Host};
use bus::secure::{Roles, Trust};
use nix::time::{ClockId, clock_gettime};
use protocol::message::Decision;
use protocol::time::earliest;
use protocol::{Cause, HostName, frame};
use runner::clock::Clock;
use runner::descriptor::Duplex;
use runner::exit::Failure;
use runner::hooks;
use runner::ready;
use runner::retry::Backoff;
use std::collections::VecDeque;
use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, channel};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

/// Less than this is no sleep of the machine that anybody could have missed a beat in.
const SLEEP: Duration = Duration::from_millis(500);

/// How often we look whether this machine was paired.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// So many reasons for which a server does not prove itself are told between two that do; a liar knows more.
const MOST_TOLD: usize = 8;

/// How long the bus may take to write down what it was told last.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What is given to the loop from outside.
pub struct World {
    /// Asks it to end.
    pub leave: Receiver<Leave>,
    /// The one link, if tcpclient made it.
    pub link: Option<Duplex>,
}

/// Follows the server until somebody asks to end, or the one link does.
///
/// # Errors
/// The state directory cannot be used, or whoever started this program should do so again.
pub async fn run(config: Config, world: World) -> Result<(), Failure> {
    let journal = Journal::open(&config.state_dir, boot_id())?;
    let identity = journal.directory().identity()?;
    hooks::end_orphan(&row::trace(&config), hooks::KILL_AFTER).await;
    let clock = Clock::start();
    let now = clock.now();
    let machine = Machine::new(config.rules(identity, booted()), journal.load(), now);
    let (heard, announced) = channel(8);
    if let Some(group) = config.announce.filter(|_| !config.ucspi) {
        tokio::spawn(announce::listen(group, heard));
    }
    let (bus, out) = bus(&config)?.unzip();
    let prover = Prover { name: config.name.clone(), state_dir: config.state_dir.clone() };
    let follower = Follower {
        approach: (!config.ucspi).then(|| Approach::new(Backoff::new(approach::FIRST, approach::LAST), now)),
        server: crate::ucspi::remote().filter(|_| config.ucspi),
        local: crate::ucspi::local().filter(|_| config.ucspi),
        addresses: Vec::new(),
        config,
        clock,
        machine,
        journal,
        link: None,
        attempt: None,
        row: None,
        probes: Probes::default(),
        farewells: Vec::new(),
        told: String::new(),
        unproven: Vec::new(),
        prover,
        trust: Trust::Unpaired,
        inputs: VecDeque::new(),
        exit: None,
        bus,
        carrier: Carrier::default(),
    };
    follower.run(world, announced, out).await
}

/// The agent of this machine's event bus. Everything else does without it.
fn bus(config: &Config) -> Result<Option<(Agent, UnboundedReceiver<Out>)>, Failure> {
    let (node, program) = (config.name.clone(), concat!("fclient ", env!("CARGO_PKG_VERSION")));
    let (hooks, hook_timeout) = (config.hooks.clone(), config.hook_timeout);
    let (epoch, identity, state_dir) = (None, None, &*config.state_dir);
    let host = Host { node, program, epoch, state_dir, server: false, identity, hooks, hook_timeout };
    let Some(plan) = options::plan(&config.settings, host)? else { return Ok(None) };
    let started = Agent::start(plan).map_err(|why| tracing::error!("no event bus: {why}"));
    Ok(started.ok())
}

/// The time since boot without sleep, which is what instants count; so an instant means the same to the next run.
fn booted() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

struct Follower {
    config: Config,
    clock: Clock,
    machine: Machine,
    journal: Journal,
    /// `None` under tcpclient, which has made the only attempt.
    approach: Option<Approach>,
    attempt: Option<Attempt>,
    link: Option<Link>,
    row: Option<Row>,
    probes: Probes,
    /// Where the server was found last, and our own address there.
    server: Option<SocketAddr>,
    local: Option<IpAddr>,
    /// All addresses of its name.
    addresses: Vec<SocketAddr>,
    /// Links that are being closed.
    farewells: Vec<JoinHandle<()>>,
    /// Why the server could not be reached, so that it is logged when it changes.
    told: String,
    /// For which reasons it did not prove itself, so that each is logged once.
    unproven: Vec<String>,
    prover: Prover,
    /// Whom this machine trusted when its link, or the attempt at one, was begun.
    trust: Trust,
    inputs: VecDeque<Input>,
    exit: Option<Exit>,
    bus: Option<Agent>,
    carrier: Carrier,
}

/// Which link carries events: the last one that the agent was told of, and only as long as it was not told of its end.
/// What the agent has said for an earlier one is not for the next, which may not even have said hello.
#[derive(Debug, Default)]
struct Carrier {
    /// Counts them.
    number: u64,
    is_up: bool,
}

impl Carrier {
    fn up(&mut self) -> u64 {
        (self.number, self.is_up) = (self.number + 1, true);
        self.number
    }

    fn down(&mut self) -> u64 {
        self.is_up = false;
        self.number
    }

    fn is(&self, link: u64) -> bool {
        self.is_up && link == self.number
    }
}

impl Follower {
    async fn run(
        mut self,
        mut world: World,
        mut announced: Receiver<()>,
        mut out: Option<UnboundedReceiver<Out>>,
    ) -> Result<(), Failure> {
        ready::ready(self.machine.status());
        self.feed(Input::Tick);
        if let Some(stream) = world.link.take() {
            self.begin(|config, trust| Attempt::over(stream, config, trust));
        }
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(exit) = self.exit {
                return self.end(exit).await;
            }
            self.attempt_if_due();
            let wake = earliest(self.machine.deadline(), self.approach.as_ref().and_then(Approach::deadline));
            let wake = wake.map(|at| self.clock.tokio(at));
            // Time comes last: a beat that has arrived must be read before silence is concluded.
            tokio::select! {
                biased;
                Some(leave) = world.leave.recv() => {
                    ready::stopping();
                    ready::extend(self.config.hook_timeout * 2);
                    self.feed(Input::Leave(leave));
                }
                inputs = next_of(&mut self.link) => self.heard(inputs),
                input = happens_in(&mut self.row) => self.row_says(input),
                attempted = end_of(&mut self.attempt) => self.attempted(attempted),
                epoch = self.probes.answer() => self.feed(Input::Here(epoch)),
                Some(()) = announced.recv() => self.announced(),
                Some(out) = next_out(&mut out) => self.out(out),
                _ = look.tick() => self.look_at_pin(),
                () = async { match wake { Some(at) => sleep_until(at).await, None => pending().await } } => self.feed(Input::Tick),
            }
        }
    }

    /// Tells the machine, and performs what it answers; answers to that follow in their turn.
    fn feed(&mut self, input: Input) {
        let slept = self.clock.slept();
        if slept >= SLEEP {
            self.inputs.push_back(Input::Slept(slept));
        }
        self.inputs.push_back(input);
        while let Some(input) = self.inputs.pop_front() {
            for action in self.machine.handle(input, self.clock.now()) {
                self.perform(action);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Record(intent) => self.journal.record(intent),
            Action::SayLine(line) => self.say(&line.encode()),
            Action::Say(message) => self.say(&frame::encode(&message)),
            Action::HangUp => self.hang_up(),
            Action::Drop => self.link = None,
            Action::Retry(pause) => self.retry(pause),
            Action::Probe => self.probe(),
            Action::CheckLink => self.check_link(),
            Action::Run(run) => {
                let until = run.until.map(|at| self.clock.tokio(at));
                self.row = Some(Row::begin(&self.config, &run, until));
            }
            Action::CancelRun => self.row.iter().for_each(Row::cancel),
            Action::BusUp(host) => self.bus_up(host),
            Action::Bus(message) => self.order(Order::Heard(self.carrier.number, message)),
            Action::BusDown => {
                let link = self.carrier.down();
                self.order(Order::LinkDown(link));
            }
            Action::Tell(fact) => self.order(Order::Tell(fact)),
            Action::Decided(cause, decision) => log_decision(cause, &decision, self.machine.status()),
            Action::Note(level, text) => log(level, &text),
            Action::Exit(exit) => self.exit = Some(exit),
        }
    }

    fn say(&mut self, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.say(bytes);
        }
    }

    fn order(&self, order: Order) {
        if let Some(bus) = &self.bus {
            bus.order(order);
        }
    }

    /// What a server may say to its follower was settled when it was let say anything at all.
    fn bus_up(&mut self, host: HostName) {
        let link = self.carrier.up();
        self.order(Order::LinkUp { link, host, roles: Roles::open_house(), stranger: None });
    }

    fn out(&mut self, out: Out) {
        match out {
            Out::Send(links, bytes) if links.iter().any(|&link| self.carrier.is(link)) => self.say(&bytes),
            Out::Refuse(link, why) if self.carrier.is(link) => {
                self.link = None;
                self.feed(Input::Broken(why));
            }
            Out::Send(..) | Out::Refuse(..) | Out::Known(_) | Out::Shutdown(..) => {}
        }
    }

    fn hang_up(&mut self) {
        self.farewells.retain(|farewell| !farewell.is_finished());
        if let Some(link) = self.link.take() {
            self.farewells.push(tokio::spawn(link.hang_up()));
        }
    }

    fn retry(&mut self, pause: Pause) {
        let now = self.clock.now();
        if let Some(approach) = &mut self.approach {
            approach.over(pause, now);
        }
    }

    fn heard(&mut self, inputs: Vec<Input>) {
        if matches!(inputs.last(), Some(Input::Closed | Input::Broken(_))) {
            self.link = None;
        }
        for input in inputs {
            self.feed(input);
        }
    }

    fn row_says(&mut self, input: Input) {
        if input == Input::RunEnded {
            self.row = None;
        }
        self.feed(input);
    }

    fn attempt_if_due(&mut self) {
        let now = self.clock.now();
        if self.approach.as_mut().is_some_and(|approach| approach.due(now)) {
            self.begin(Attempt::begin);
        }
    }

    /// Whom to trust is asked before each attempt; if that cannot be known, there is none.
    fn begin(&mut self, attempt: impl FnOnce(&Config, Trust) -> Attempt) {
        match self.prover.trust() {
            Ok(trust) => {
                self.trust = trust.clone();
                self.attempt = Some(attempt(&self.config, trust));
            }
            Err(why) => self.failed(Obstacle::Unproven(why.to_string())),
        }
    }

    fn attempted(&mut self, attempted: Attempted) {
        self.attempt = None;
        if !attempted.addresses.is_empty() {
            self.server = self.server.filter(|server| attempted.addresses.contains(server));
            self.addresses = attempted.addresses;
        }
        match attempted.reached {
            Ok(reached) => self.reached(reached),
            Err(why) => self.failed(why),
        }
    }

    fn reached(&mut self, Reached { link, server, local, proven }: Reached) {
        if let Some(approach) = &mut self.approach {
            approach.made(self.clock.now());
        }
        (self.server, self.local) = (server.or(self.server), local.or(self.local));
        self.told.clear();
        self.unproven.clear();
        self.link = Some(link);
        self.probes.forget();
        self.feed(match proven {
            Some((server, epoch)) => Input::Proven { server, epoch },
            None => Input::Connected,
        });
    }

    /// The link of tcpclient cannot be made anew by us.
    fn failed(&mut self, why: Obstacle) {
        match &mut self.approach {
            Some(approach) => approach.failed(self.clock.now()),
            None => self.exit = Some(Exit::Again),
        }
        match why {
            Obstacle::Unreached(why) => self.not_reached(why),
            Obstacle::Unproven(why) => self.not_proven(why),
        }
    }

    /// Once for each reason, and not for ever more of them.
    fn not_proven(&mut self, why: String) {
        if self.unproven.len() < MOST_TOLD && !self.unproven.contains(&why) {
            tracing::warn!("{why}");
            self.unproven.push(why);
        }
    }

    /// Somebody may have paired this machine since its link was made.
    fn look_at_pin(&mut self) {
        let trust = match self.prover.trust() {
            Ok(trust @ Trust::Pinned(_)) if trust != self.trust => trust,
            _ => return,
        };
        self.trust = trust;
        self.attempt = None;
        self.feed(Input::Paired);
        match &mut self.approach {
            Some(approach) => approach.paired(self.clock.now()),
            None => self.exit = Some(Exit::Again),
        }
    }

    /// A server that is off for the night fills no log.
    fn not_reached(&mut self, why: String) {
        if why != self.told {
            tracing::info!("the server is not reached yet: {why}");
            self.told = why;
        }
    }

    fn announced(&mut self) {
        let now = self.clock.now();
        let spread = approach::SPREAD.mul_f64(fastrand::f64());
        if let Some(approach) = &mut self.approach {
            approach.announced(spread, now);
        }
    }

    /// What tcpclient connects to may be a relay, and a probe past it would ask another machine.
    fn probe(&mut self) {
        if let (Some(server), false) = (self.places().first().copied(), self.config.ucspi) {
            self.probes.send(server);
        }
    }

    /// Where the server was found, or else where it may be.
    fn places(&self) -> &[SocketAddr] {
        self.server.as_ref().map_or(&self.addresses, std::slice::from_ref)
    }

    /// An address that is gone is gone for good; the next look is at the one that leads to the server then.
    fn check_link(&mut self) {
        let found = interface::look(self.local, self.places());
        self.local = self.local.filter(|_| !found.moved);
        self.inputs.push_back(Input::OwnLink { up: found.up, evidence: found.evidence });
    }

    async fn end(mut self, exit: Exit) -> Result<(), Failure> {
        self.hang_up();
        for farewell in self.farewells {
            let _ = farewell.await;
        }
        if let Some(bus) = &self.bus
            && timeout(LAST_WORDS, bus.stop()).await.is_err()
        {
            tracing::warn!("the event bus did not end in time; what it was told last may be missing");
        }
        match exit {
            Exit::Done => Ok(()),
            Exit::Again => {
                let host = &self.config.host;
                Err(Failure::Temporary(format!("the link to {host} is over; start tcpclient again to make a new one")))
            }
        }
    }
}

/// What the bus asks for, if there is one.
async fn next_out(outs: &mut Option<UnboundedReceiver<Out>>) -> Option<Out> {
    let out = outs.as_mut()?.recv().await;
    if out.is_none() {
        tracing::error!("the event bus has ended; everything else goes on, start this program again to have it back");
        *outs = None;
    }
    out
}

async fn next_of(link: &mut Option<Link>) -> Vec<Input> {
    match link {
        Some(link) => link.next().await,
        None => pending().await,
    }
}

async fn happens_in(row: &mut Option<Row>) -> Input {
    match row {
        Some(row) => row.next().await,
        None => pending().await,
    }
}

async fn end_of(attempt: &mut Option<Attempt>) -> Attempted {
    match attempt {
        Some(attempt) => attempt.ended().await,
        None => pending().await,
    }
}

fn log_decision(cause: Option<Cause>, decision: &Decision, status: &str) {
    let cause = cause.map(|cause| format!(" (cause {cause})")).unwrap_or_default();
    tracing::info!("{}{cause}: {}", decision.what, decision.evidence.join("; "));
    ready::status(status);
}

fn log(level: Level, text: &str) {
    match level {
        Level::Debug => tracing::debug!("{text}"),
        Level::Info => tracing::info!("{text}"),
        Level::Warn => tracing::warn!("{text}"),
        Level::Error => tracing::error!("{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_for_a_link_that_is_over_is_not_for_the_next() {
        let mut carrier = Carrier::default();
        let old = carrier.up();
        assert!(carrier.is(old));
        assert_eq!(carrier.down(), old);
        assert!(!carrier.is(old), "the next link may be there and has not said hello");
        let new = carrier.up();
        assert!(carrier.is(new) && !carrier.is(old));
    }
}
