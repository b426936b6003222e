//! What a story is told with.
//!
//! That something was *not* heard is shown by a fence: a last message by the same speaker. Messages of one speaker come
//! in their order, so whoever hears the fence has heard all that came before, and nothing has to be waited for in vain.

use super::engine::{Engine, From, Heard, Kind, Message, Session, Verdict};
use protocol::topic::Filter;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long anything may take that must come.
const PATIENCE: Duration = Duration::from_secs(20);
/// The last levels of a fence's topic.
const FENCE: &str = "evt/display/fence";
/// What every ear asks for beside what its story wants.
const FENCES: &str = "+/evt/display/fence";
/// The machines that say it: those that have said something else.
const FIRST: &str = "attic";

/// An engine, those who speak there, and what was noted.
pub struct Stage {
    engine: Box<dyn Engine>,
    speakers: BTreeMap<String, Box<dyn Session>>,
    fences: u64,
    notes: Vec<String>,
}

/// Somebody who listens.
pub struct Ear {
    session: Box<dyn Session>,
}

/// An event.
pub fn event(topic: &str, payload: impl AsRef<[u8]>) -> Message {
    Message { topic: topic.into(), payload: payload.as_ref().into(), kind: Kind::Event, ttl: None }
}

/// A state.
pub fn state(topic: &str, payload: impl AsRef<[u8]>) -> Message {
    Message { kind: Kind::State, ..event(topic, payload) }
}

impl Message {
    /// Worth something for so many seconds only.
    pub fn for_seconds(self, ttl: u32) -> Message {
        Message { ttl: Some(ttl), ..self }
    }
}

impl Stage {
    /// An empty one.
    pub fn new(engine: Box<dyn Engine>) -> Self {
        Self { engine, speakers: BTreeMap::new(), fences: 0, notes: Vec::new() }
    }

    /// The engine, for a story that ends it or lets a machine come and go.
    pub fn engine(&mut self) -> &mut dyn Engine {
        &mut *self.engine
    }

    /// The machine at which those are who listen.
    pub fn hearers_node(&self) -> &'static str {
        self.engine.hearers_node()
    }

    /// Somebody who listens subscribes once more.
    pub fn subscribe_again(&mut self, ear: &mut Ear, filters: &[&str], from: From) -> Verdict {
        ear.session.subscribe(&with_fences(filters), from)
    }

    /// Ends the engine by `kill -9` and starts it again; the speakers come back.
    pub fn kill(&mut self) {
        self.engine.kill();
        self.speakers.values_mut().for_each(|speaker| speaker.come_back());
    }

    /// Ends it as its supervisor does and starts it again; the speakers come back.
    pub fn restart(&mut self) {
        self.engine.restart();
        self.speakers.values_mut().for_each(|speaker| speaker.come_back());
    }

    /// Somebody without a name who hears what comes from here on.
    pub fn ear(&mut self, filters: &[&str]) -> Ear {
        self.ear_of(None, filters, From::Next)
    }

    /// Somebody without a name who first hears how everything is.
    pub fn late_ear(&mut self, filters: &[&str]) -> Ear {
        self.ear_of(None, filters, From::States)
    }

    /// Somebody for whom messages wait.
    pub fn lasting_ear(&mut self, name: &str, filters: &[&str]) -> Ear {
        self.ear_of(Some(name), filters, From::Next)
    }

    fn ear_of(&mut self, name: Option<&str>, filters: &[&str], from: From) -> Ear {
        let mut session = self.engine.hearer(name);
        assert_eq!(session.subscribe(&with_fences(filters), from), Verdict::Taken, "{filters:?}");
        Ear { session }
    }

    /// Publishes, by the machine that the topic begins with; all must be taken.
    #[track_caller]
    pub fn say(&mut self, messages: &[Message]) {
        let node = node(messages.first().expect("something is said"));
        let verdicts = self.speaker(&node).publish(messages);
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Taken), "{messages:?}: {verdicts:?}");
    }

    /// Publishes, by the attic, what may be refused, and notes whether it was.
    pub fn try_to_say(&mut self, message: Message) {
        let verdict = self.speaker(FIRST).publish(&[message])[0];
        self.note(format!("{verdict:?}"));
        self.speaker(FIRST).come_back();
    }

    /// Somebody tries to subscribe to this; notes whether it was refused.
    pub fn try_to_hear(&mut self, filter: &str) {
        let verdict = self.engine.hearer(None).subscribe(&[filter], From::Next);
        self.note(format!("{verdict:?}"));
    }

    /// The program at that machine which publishes.
    pub fn speaker(&mut self, node: &str) -> &mut dyn Session {
        let engine = &mut self.engine;
        &mut **self.speakers.entry(node.into()).or_insert_with(|| engine.speaker(node))
    }

    /// Returns when all that was said has come to where those are who listen.
    #[track_caller]
    pub fn until_heard_everywhere(&mut self) {
        let mut ear = self.late_ear(&[]);
        self.listen(&mut ear);
    }

    /// Everything that an ear hears until the fences of all who have spoken; acknowledged. Nothing is noted.
    #[track_caller]
    pub fn listen(&mut self, ear: &mut Ear) -> Vec<Heard> {
        self.listen_and(ear, |_| true)
    }

    /// The same, but only what is chosen is acknowledged.
    #[track_caller]
    pub fn listen_and(&mut self, ear: &mut Ear, acknowledged: impl Fn(&Heard) -> bool) -> Vec<Heard> {
        let mut waited_for = self.set_fences();
        let (start, mut all) = (Instant::now(), Vec::new());
        while !waited_for.is_empty() {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let Some(heard) = ear.session.next(left) else {
                panic!(
                    "waited in vain for the fence of {waited_for:?}; heard until then: {:?}\n{}",
                    lines(&all),
                    self.engine.world().logs()
                );
            };
            if heard.topic.ends_with(FENCE) {
                ear.session.done(&heard);
                waited_for.retain(|fence| *fence != (heard.topic.clone(), heard.payload.clone()));
            } else {
                if acknowledged(&heard) {
                    ear.session.done(&heard);
                }
                all.push(heard);
            }
        }
        all
    }

    /// Listens, and notes a line for each message.
    #[track_caller]
    pub fn hear(&mut self, ear: &mut Ear) {
        let heard = self.listen(ear);
        self.notes.extend(lines(&heard));
    }

    /// Listens, and notes the messages by their topics: for what comes in no certain order.
    #[track_caller]
    pub fn hear_sorted(&mut self, ear: &mut Ear) {
        let mut lines = lines(&self.listen(ear));
        lines.sort();
        self.notes.extend(lines);
    }

    /// Notes a line.
    pub fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    /// What was noted.
    pub fn noted(&self) -> &[String] {
        &self.notes
    }

    fn set_fences(&mut self) -> Vec<(String, Vec<u8>)> {
        self.speaker(FIRST);
        self.fences += 1;
        let number = self.fences.to_string().into_bytes();
        let nodes: Vec<String> = self.speakers.keys().cloned().collect();
        let fences: Vec<_> = nodes.iter().map(|node| (format!("{node}/{FENCE}"), number.clone())).collect();
        for (topic, number) in &fences {
            self.say(&[event(topic, number)]);
        }
        fences
    }
}

impl Ear {
    /// The session itself.
    pub fn session(&mut self) -> &mut dyn Session {
        &mut *self.session
    }

    /// The link is gone, and a new one is there.
    pub fn loses_its_link(&mut self) {
        self.session.cut();
        self.session.come_back();
    }

    /// Hears the next message and leaves it unacknowledged.
    #[track_caller]
    pub fn takes_one(&mut self) -> Heard {
        self.session.next(PATIENCE).expect("a message comes")
    }
}

/// What is asked for, and the fences if that does not hold them already.
fn with_fences<'a>(filters: &[&'a str]) -> Vec<&'a str> {
    let holds = |filter: &&str| Filter::parse(filter).is_ok_and(|filter| filter.matches(&format!("{FIRST}/{FENCE}")));
    let everywhere = filters.iter().any(|filter| holds(filter) && filter.starts_with(['+', '#']));
    filters.iter().copied().chain((!everywhere).then_some(FENCES)).collect()
}

fn node(message: &Message) -> String {
    let text = String::from_utf8_lossy(&message.topic);
    text.split('/').next().unwrap_or_default().into()
}

/// A line for each message: the topic and the payload, or the payload's length if that is more than a word.
pub fn lines(heard: &[Heard]) -> Vec<String> {
    let payload = |payload: &[u8]| match std::str::from_utf8(payload) {
        Ok(text) if payload.len() <= 40 => text.to_owned(),
        _ => format!("({} bytes)", payload.len()),
    };
    heard.iter().map(|heard| format!("{} {}", heard.topic, payload(&heard.payload))).collect()
}
