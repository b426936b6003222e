//! What the uplink decides: when to connect, what to say, what to settle, what to obey, when to stand aside. Pure: a
//! broker, a journal and a clock are what the tests say they are.
//!
//! What always holds: a record is settled in the journal only when the broker has answered for it, or will never take
//! it, which is told; a command is acknowledged to the broker only when the journal has it, or when it is refused, which
//! is told, too; nothing of an earlier connection counts in the next one.
//!
//! | module | what it settles |
//! |---|---|
//! | `vocabulary` | what it is told, and what it answers |
//! | `records` | what is said of a record |
//! | `flow` | what goes to the broker next, and what its answers settle |
//! | `desk` | which commands are taken, and where their replies go |
//! | `herald` | when Home Assistant is told what |
//! | `quarrel` | whether somebody else uses our client id |

mod desk;
mod flow;
mod herald;
mod quarrel;
mod records;
#[cfg(test)]
mod tests;
mod vocabulary;
pub use desk::Message;
pub(super) use desk::seal;
pub use flow::{Mark, Publication, Verdict, WINDOW};
pub use vocabulary::{Action, Greeting, Host, Input, Now, Trouble};

use super::discovery::House;
use super::topic::{Prefix, VERSION};
use crate::allowance::Allowance;
use crate::told::{self, Told};
use desk::{Desk, Taken};
use flow::{Flow, Refused};
use herald::Herald;
use protocol::fact::{Condition, Fact};
use protocol::{Epoch, Instant};
use quarrel::{End, Quarrel};
use runner::retry::Backoff;
use std::time::Duration;

/// So long we stand aside if somebody else uses our client id.
pub const ASIDE: Duration = Duration::from_secs(600);
/// So long the end waits for the broker's answers.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// So much of what a broker says of its version is told, in bytes.
const MOST_OF_VERSION: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Resting(Instant),
    Connecting,
    /// Connected; with the states read or not yet.
    Up(bool),
    /// The last words are on their way.
    Leaving(Instant),
    /// They have arrived, and we have said goodbye.
    Parting(Instant),
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
    /// What the broker refuses us, once it has answered what we subscribe to.
    refusals: Option<String>,
    /// What it says that it is, if it does.
    version: String,
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
            refusals: None,
            version: String::new(),
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
            Phase::Resting(until) | Phase::Leaving(until) | Phase::Parting(until) => Some(until),
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
        for Refused { about, why, position } in refused {
            actions.extend(self.refused("", &about, why, now));
            actions.extend(position.map(Action::Settle));
        }
        if let Phase::Leaving(until) = self.phase
            && self.flow.is_idle()
        {
            self.phase = Phase::Parting(until);
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
            Phase::Leaving(until) | Phase::Parting(until) if until <= now.instant => self.finish(),
            Phase::Up(_) => {
                let due = self.herald.as_mut().map(|herald| herald.tick(now.instant)).unwrap_or_default();
                self.flow.push_all(due);
                Vec::new()
            }
            Phase::Resting(_) | Phase::Connecting | Phase::Leaving(_) | Phase::Parting(_) | Phase::Over => Vec::new(),
        }
    }

    fn up(&mut self, greeting: Greeting, now: Now) -> Vec<Action> {
        if self.phase != Phase::Connecting {
            return Vec::new();
        }
        self.phase = Phase::Up(false);
        self.quarrel.up(now.instant);
        self.flow.begin(greeting);
        self.forgetful = !greeting.resumed;
        (self.refusals, self.version) = (None, String::new());
        let (condition, cause) = self.condition.clone();
        self.flow.push(self.state(condition, &cause, now));
        let mut topics = self.herald.as_ref().map(Herald::topics).unwrap_or_default();
        topics.push(VERSION.into());
        vec![Action::Subscribe(self.prefix.commands(), topics), Action::ReadStates]
    }

    fn subscribed(&mut self, refused: &[String], now: Now) -> Vec<Action> {
        if let Some(herald) = &mut self.herald {
            herald.subscribed(now.instant);
        }
        self.refusals = Some(refused.join("; "));
        self.tell_connected()
    }

    /// The broker's version comes by itself, after its answer or before it.
    fn tell_connected(&mut self) -> Vec<Action> {
        let Some(refusals) = &self.refusals else { return Vec::new() };
        let words = [refusals, &self.version].into_iter().filter(|words| !words.is_empty());
        let detail = words.map(String::as_str).collect::<Vec<_>>().join("; ");
        self.tell_uplink(true, detail)
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
        if message.topic == VERSION {
            let most = message.payload.len().min(MOST_OF_VERSION);
            self.version = protocol::name::printable(&message.payload[..most]);
            return self.tell_connected();
        }
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

    fn down(&mut self, trouble: Trouble, now: Now) -> Vec<Action> {
        if let Phase::Leaving(_) | Phase::Parting(_) | Phase::Over = self.phase {
            return self.finish();
        }
        let was_up = self.is_up();
        let ends_again = self.flow.broke();
        if let Some(herald) = &mut self.herald {
            herald.down();
        }
        let (pause, why) = match self.quarrel.down(now.instant, &trouble) {
            // Rather an event that the broker does not bear: that is known after the next.
            End::Quarrel if ends_again && trouble == Trouble::Closed => (Duration::ZERO, words(trouble)),
            End::Ordinary => (self.backoff.next(), words(trouble)),
            End::Suspicious => (Duration::ZERO, words(trouble)),
            End::Quarrel => (ASIDE, self.taken()),
        };
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

fn words(trouble: Trouble) -> String {
    match trouble {
        Trouble::Closed | Trouble::Taken => "the broker closed the connection; its log may say why".into(),
        Trouble::Other(why) => why,
    }
}
