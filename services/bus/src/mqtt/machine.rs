//! What the uplink decides: when to connect, what to say, what to settle, what to obey, when to stand aside. Pure: a
//! broker, a journal and a clock are what the tests say they are.
//!
//! What always holds: a record is settled in the journal only when the broker has answered for it, or will never take
//! it, which is told; a command is acknowledged to the broker only when the journal has it, or when it is refused, which
//! is told, too; nothing of an earlier connection counts in the next one.
//!
//! | module | what it decides |
//! |---|---|
//! | `flow` | what goes to the broker next, and what its answers settle |
//! | `desk` | which commands are taken, and where their replies go |
//! | `herald` | when Home Assistant is told what |
//! | `quarrel` | whether somebody else uses our client id |
//! | `allowance` | how much is told about strangers' mistakes |

mod allowance;
mod desk;
mod flow;
mod herald;
mod quarrel;
pub use desk::Message;
pub(super) use desk::seal;
pub use flow::{Mark, Publication, Verdict, WINDOW};

use super::discovery::House;
use super::topic::{self, Prefix};
use crate::journal::{Entry, Position};
use crate::told::{self, Told};
use allowance::Allowance;
use desk::{Desk, Taken};
use flow::Flow;
use herald::Herald;
use protocol::event::Event;
use protocol::fact::{Condition, Fact};
use protocol::topic::{Kind, Topic};
use protocol::{Epoch, HostName, Instant};
use quarrel::Quarrel;
use runner::retry::Backoff;
use std::sync::Arc;
use std::time::Duration;

/// So long we stand aside if somebody else uses our client id.
pub const ASIDE: Duration = Duration::from_secs(600);
/// So long the end waits for the broker's answers.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// One reading of both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub instant: Instant,
    /// Since 1970.
    pub unix: Duration,
}

/// Who we are.
#[derive(Debug, Clone)]
pub struct Host {
    /// The server.
    pub node: HostName,
    /// Its run.
    pub epoch: Epoch,
    /// Its program with its version.
    pub program: String,
    /// The broker, for people.
    pub broker: String,
    /// Our client id there.
    pub client_id: String,
}

/// What a broker says of itself when we come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// It remembers our subscriptions, and what we had not acknowledged.
    pub resumed: bool,
    /// The largest packet that it takes, in bytes.
    pub largest: Option<u32>,
    /// It keeps the last word for whoever comes later.
    pub keeps: bool,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The broker says that somebody else came with our client id.
    Taken,
    /// The broker closed the connection without a word.
    Closed,
    /// Anything else, in words with the remedy.
    Other(String),
}

/// What happens to the uplink.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// The broker takes us.
    Up(Greeting),
    /// It has answered what we subscribe to; what it refuses, with its reasons.
    Subscribed(Vec<String>),
    /// What became of a publication.
    Answered(Mark, Verdict),
    /// Something came that we subscribe to.
    Heard(Message),
    /// There is no connection any more, or none could be made.
    Down(Trouble),
    /// How everything is, as [`Action::ReadStates`] asked for.
    States(Vec<Arc<Entry>>),
    /// The next record.
    Record(Arc<Entry>),
    /// The journal has the command of this digest, or will never have it.
    Kept(u64, Result<(), String>),
    /// This program ends.
    Stop,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Connect, with this as our last will.
    Connect(Publication),
    /// Subscribe to commands and, if there is such a thing, to these topics of Home Assistant.
    Subscribe(String, Vec<String>),
    /// Publish at least once.
    Publish(Mark, Publication),
    /// Acknowledge what was heard, to the broker.
    Acknowledge(u64),
    /// The journal is told that we are done with it.
    Settle(Position),
    /// What is not settled is to come again.
    Rewind,
    /// Read how everything is.
    ReadStates,
    /// Keep this command in the journal; unless one of that digest is there already, if `search` says so.
    Keep {
        /// What it is recognized by.
        digest: u64,
        /// The command.
        event: Box<Event>,
        /// The broker has sent it before.
        search: bool,
    },
    /// Tell the house.
    Tell(Fact),
    /// End the connection in the agreed way.
    Disconnect,
    /// All is over.
    Finish,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Resting(Instant),
    Connecting,
    /// Connected; with the states read or not yet.
    Up(bool),
    Leaving(Instant),
    Over,
}

/// The uplink.
#[derive(Debug)]
pub struct Machine {
    host: Host,
    prefix: Prefix,
    phase: Phase,
    backoff: Backoff,
    quarrel: Quarrel,
    flow: Flow,
    desk: Desk,
    herald: Option<Herald>,
    allowance: Allowance,
    /// The broker knows nothing of what it kept before.
    forgetful: bool,
    /// How this machine is, and why.
    condition: (Condition, String),
    /// What was told last about the broker, so that it is told once.
    told: Option<String>,
}

impl Machine {
    /// Connects at the first tick. `commands` is the run under which commands from the broker are kept.
    pub fn new(host: Host, prefix: Prefix, house: Option<House>, commands: Epoch, backoff: Backoff) -> Machine {
        Machine {
            desk: Desk::new(host.node.clone(), commands),
            herald: house.map(Herald::new),
            phase: Phase::Resting(Instant::default()),
            quarrel: Quarrel::default(),
            flow: Flow::default(),
            allowance: Allowance::default(),
            forgetful: true,
            condition: (Condition::Online, String::new()),
            told: None,
            host,
            prefix,
            backoff,
        }
    }

    /// Decides.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        let mut actions = match input {
            Input::Tick => self.tick(now),
            Input::Up(greeting) => self.up(greeting, now),
            Input::Subscribed(refused) => self.subscribed(&refused, now),
            Input::Answered(mark, verdict) => self.answered(mark, verdict, now),
            Input::Heard(message) => self.heard(message, now),
            Input::Down(trouble) => self.down(trouble, now),
            Input::States(entries) => self.states(&entries, now),
            Input::Record(entry) => self.record(&entry, now),
            Input::Kept(digest, result) => self.kept(digest, result, now),
            Input::Stop => self.stop(now),
        };
        actions.extend(self.pump(now));
        actions
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Resting(until) | Phase::Leaving(until) => Some(until),
            Phase::Connecting | Phase::Over => None,
            Phase::Up(_) => {
                let herald = self.herald.as_ref().and_then(Herald::deadline);
                protocol::time::earliest(self.flow.deadline(), herald)
            }
        }
    }

    /// Whether it wants the next records.
    pub fn wants_records(&self) -> bool {
        self.phase == Phase::Up(true) && self.flow.has_room()
    }

    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Sends what can be sent, and ends the farewell when all of it is answered.
    fn pump(&mut self, now: Now) -> Vec<Action> {
        let (Phase::Up(_) | Phase::Leaving(_)) = self.phase else { return Vec::new() };
        let (mut actions, refused) = self.flow.pump(now.instant);
        for (about, position) in refused {
            let why = "the broker takes no packets of that size; let it take larger ones".to_owned();
            actions.extend(self.refused("", &about, why, now));
            actions.extend(position.map(Action::Settle));
        }
        if matches!(self.phase, Phase::Leaving(_)) && self.flow.is_idle() && actions.is_empty() {
            actions.push(Action::Disconnect);
        }
        actions
    }

    fn tick(&mut self, now: Now) -> Vec<Action> {
        match self.phase {
            Phase::Resting(until) if until <= now.instant => {
                self.phase = Phase::Connecting;
                vec![Action::Connect(self.state(Condition::Offline, "lost", now))]
            }
            Phase::Leaving(until) if until <= now.instant => self.finish(),
            Phase::Up(_) => {
                let due = self.herald.as_mut().map(|herald| herald.tick(now.instant)).unwrap_or_default();
                self.flow.push_all(due);
                Vec::new()
            }
            Phase::Resting(_) | Phase::Connecting | Phase::Leaving(_) | Phase::Over => Vec::new(),
        }
    }

    fn up(&mut self, greeting: Greeting, now: Now) -> Vec<Action> {
        if self.phase != Phase::Connecting {
            return Vec::new();
        }
        self.phase = Phase::Up(false);
        self.quarrel.up(now.instant, greeting.resumed);
        self.flow.begin(greeting);
        self.forgetful = !greeting.resumed;
        let (condition, cause) = self.condition.clone();
        self.flow.push(self.state(condition, &cause, now));
        let topics = self.herald.as_ref().map(Herald::topics).unwrap_or_default();
        let mut actions = vec![Action::Subscribe(self.prefix.commands(), topics), Action::ReadStates];
        actions.extend(self.tell_uplink(true, String::new()));
        actions
    }

    fn subscribed(&mut self, refused: &[String], now: Now) -> Vec<Action> {
        if let Some(herald) = &mut self.herald {
            herald.subscribed(now.instant);
        }
        if refused.is_empty() { Vec::new() } else { self.tell_uplink(true, refused.join("; ")) }
    }

    fn answered(&mut self, mark: Mark, verdict: Verdict, now: Now) -> Vec<Action> {
        let answer = self.flow.answered(mark, verdict, now.instant);
        let mut actions: Vec<Action> = answer.settled.map(Action::Settle).into_iter().collect();
        if let Some((about, why)) = answer.refused {
            actions.extend(self.refused("", &about, why, now));
        }
        if answer.accepted {
            self.backoff.reset();
        }
        actions
    }

    fn heard(&mut self, message: Message, now: Now) -> Vec<Action> {
        if let Some(herald) = &mut self.herald
            && herald.listens_to(&message.topic)
        {
            let due = herald.heard(&message, now.instant);
            self.flow.push_all(due);
            return Vec::new();
        }
        let token = message.token;
        match self.desk.take(&message, &self.prefix, now) {
            Ok(Taken::Waits) => Vec::new(),
            Ok(Taken::Done) => vec![Action::Acknowledge(token)],
            Ok(Taken::Keep { digest, event, search }) => vec![Action::Keep { digest, event, search }],
            Err(why) => {
                let mut actions = self.refused(&self.host.broker.clone(), &message.topic, why, now);
                actions.push(Action::Acknowledge(token));
                actions
            }
        }
    }

    fn kept(&mut self, digest: u64, result: Result<(), String>, now: Now) -> Vec<Action> {
        let (token, topic) = self.desk.kept(digest, result.is_ok());
        let mut actions: Vec<Action> = token.map(Action::Acknowledge).into_iter().collect();
        if let Err(why) = result {
            actions.extend(self.refused(&self.host.broker.clone(), &topic, why, now));
        }
        actions
    }

    /// How everything is: what the broker forgot is said again, and Home Assistant's devices follow from it.
    fn states(&mut self, entries: &[Arc<Entry>], now: Now) -> Vec<Action> {
        if self.phase != Phase::Up(false) {
            return Vec::new();
        }
        self.phase = Phase::Up(true);
        if let Some(herald) = &mut self.herald {
            herald.house.clear();
        }
        for entry in entries {
            let Ok(topic) = Topic::parse(&entry.record.subject) else { continue };
            if let Some(herald) = &mut self.herald {
                herald.house.note(&topic, &entry.record.body);
            }
            let own = topic.node == self.host.node && topic.kind == Kind::State;
            if self.forgetful
                && !own
                && let Ok(publication) = self.publication(entry, &topic, now)
            {
                self.flow.push(publication);
            }
        }
        Vec::new()
    }

    fn record(&mut self, entry: &Entry, now: Now) -> Vec<Action> {
        if self.phase != Phase::Up(true) {
            return Vec::new();
        }
        let position = entry.position;
        let Ok(topic) = Topic::parse(&entry.record.subject) else { return vec![Action::Settle(position)] };
        if topic.kind == Kind::State && topic.node == self.host.node && !self.is_of_this_run(&entry.record.body) {
            return vec![Action::Settle(position)];
        }
        if let Some(herald) = &mut self.herald {
            self.flow.push_all(herald.note(&topic, &entry.record.body));
        }
        match self.publication(entry, &topic, now) {
            Ok(publication) => {
                self.flow.push_record(publication, position);
                Vec::new()
            }
            Err(why) => {
                let mut actions = self.refused(entry.record.key.node.as_str(), &entry.record.subject, why, now);
                actions.push(Action::Settle(position));
                actions
            }
        }
    }

    /// Whether our own state is that of this run. If so, it is remembered for the next connection.
    fn is_of_this_run(&mut self, body: &[u8]) -> bool {
        match told::decode(body).map(|told| told.fact) {
            Ok(Fact::MachineState { state, boot, cause, .. }) if boot == self.host.epoch.0 => {
                self.condition = (state, cause);
                true
            }
            _ => false,
        }
    }

    fn publication(&mut self, entry: &Entry, topic: &Topic, now: Now) -> Result<Publication, String> {
        let own_reply = matches!(topic.kind, Kind::Reply(_)) && topic.node == self.host.node;
        let address = own_reply.then(|| self.desk.address(&entry.record.body)).flatten().unwrap_or_default();
        let record = &entry.record;
        let payload = super::payload::outgoing(&record.body, &record.key, address.transaction.as_deref())?;
        let left = |expires: u64| u32::try_from(expires.saturating_sub(now.unix.as_secs())).unwrap_or(u32::MAX);
        Ok(Publication {
            topic: address.topic.unwrap_or_else(|| self.prefix.below(&record.subject)),
            payload,
            keep: topic::is_kept(topic),
            expires: record.expires.map(left),
            id: Some(record.key.clone()),
            correlation: address.correlation,
        })
    }

    fn down(&mut self, trouble: Trouble, now: Now) -> Vec<Action> {
        if let Phase::Leaving(_) | Phase::Over = self.phase {
            return self.finish();
        }
        let was_up = self.is_up();
        self.flow.end();
        if let Some(herald) = &mut self.herald {
            herald.down();
        }
        let taken = trouble == Trouble::Taken || self.quarrel.down(now.instant, was_up, &trouble);
        let (pause, why) = if taken { (ASIDE, self.taken()) } else { (self.backoff.next(), self.words(trouble)) };
        self.phase = Phase::Resting(now.instant + pause);
        let rewind = was_up.then_some(Action::Rewind);
        rewind.into_iter().chain(self.tell_uplink(false, why)).collect()
    }

    fn taken(&mut self) -> String {
        self.quarrel = Quarrel::default();
        let (id, minutes) = (&self.host.client_id, ASIDE.as_secs() / 60);
        format!(
            "another client uses our client id {id}; give one of the two another mqtt-client-id. Tried again in {minutes} minutes"
        )
    }

    fn words(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Closed => "the broker closed the connection; its log may say why".into(),
            Trouble::Taken => String::new(),
            Trouble::Other(why) => why,
        }
    }

    fn stop(&mut self, now: Now) -> Vec<Action> {
        if !self.is_up() {
            return self.finish();
        }
        self.phase = Phase::Leaving(now.instant + FAREWELL);
        self.flow.farewell();
        let (condition, cause) = self.condition.clone();
        let cause = if cause.is_empty() { "stopped".to_owned() } else { cause };
        if condition == Condition::Online {
            self.flow.push(self.state(Condition::Draining, &cause, now));
        }
        self.flow.push(self.state(Condition::Offline, &cause, now));
        Vec::new()
    }

    fn finish(&mut self) -> Vec<Action> {
        self.phase = Phase::Over;
        vec![Action::Finish]
    }

    /// Our own state, as the broker keeps it.
    fn state(&self, state: Condition, cause: &str, now: Now) -> Publication {
        let Host { node, epoch, program, .. } = &self.host;
        let fact = Fact::MachineState { state, boot: epoch.0, program: program.clone(), cause: cause.into() };
        Publication {
            topic: self.prefix.below(&told::topic_of(node, &fact).to_string()),
            payload: told::encode(&Told::new(now.unix, fact)),
            keep: true,
            expires: None,
            id: None,
            correlation: None,
        }
    }

    fn tell_uplink(&mut self, connected: bool, detail: String) -> Vec<Action> {
        let news = format!("{connected} {detail}");
        if self.told.as_ref() == Some(&news) {
            return Vec::new();
        }
        self.told = Some(news);
        vec![Action::Tell(Fact::Uplink { broker: self.host.broker.clone(), connected, detail })]
    }

    /// Something is not taken; told, as long as it is not told too often.
    fn refused(&mut self, from: &str, about: &str, why: String, now: Now) -> Vec<Action> {
        if !self.allowance.spend(now.instant) {
            return Vec::new();
        }
        let from = if from.is_empty() { self.host.node.as_str() } else { from };
        let about = protocol::name::printable(about.as_bytes());
        vec![Action::Tell(Fact::EventRefused { from: from.into(), about, why })]
    }
}
