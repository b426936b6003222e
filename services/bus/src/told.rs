//! Facts as bodies of events and back: `{"at":1764100000123,"fact":"motion","camera":"cam1","percent":12.5}`, under the
//! topic and with the class and the lifetime that the rule of the fact says.
//!
//! What always holds: what [`encode`] gives is at most [`MAX_BODY`] bytes long and is read again by [`decode`]; and a body
//! that nobody here understands still gives its fields to a hook, by [`variables`].
//!
//! | module | what it does |
//! |---|---|
//! | `say` | a fact out of words, as `pistop publish camera/motion camera=cam1` has them |
//! | `variables` | a body as the variables of a hook |

mod say;
mod variables;

pub use say::{BadFact, parse};
pub use variables::{MAX_FIELDS, MAX_VALUE, escaped, variables};

use crate::carry::CLOCK_IS_SET;
use protocol::event::{Body, Event, EventId, MAX_BODY};
use protocol::fact::{Fact, Retain, Rule, shape, shapes};
use protocol::name::{HostName, printable};
use protocol::topic::{Filter, Kind, MAX_WORD, Topic, word};
use runner::nearest;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::time::Duration;

/// So many bytes of a text are told; with the most texts that a fact has, they fit into a body.
const MAX_TEXT: usize = 8 * 1024;
/// So many, if a longer one would be too long after all, as its bytes are such that JSON takes six for one.
const MAX_ODD_TEXT: usize = 1024;

/// A fact and when it was told.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Milliseconds since 1970, by the clock of the machine that tells it.
    pub at: u64,
    /// That clock was not set, so the time means nothing.
    pub clock_unset: bool,
    /// The fact.
    pub fact: Fact,
}

impl Told {
    /// Tells a fact at this time since 1970.
    pub fn new(now: Duration, fact: Fact) -> Told {
        let at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Told { at, clock_unset: now.as_secs() < CLOCK_IS_SET, fact }
    }
}

/// Why a body tells no fact that is known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Over [`MAX_BODY`] bytes.
    #[error("a body of {0} bytes is too long; at most {MAX_BODY} are allowed, so name a file and do not carry it")]
    TooLong(usize),
    /// It is no JSON object.
    #[error("the body is no JSON object ({0}); write it as {{\"at\":1764100000123,\"fact\":\"motion\",..}}")]
    NoObject(String),
    /// A key that must be there is not, or holds something else.
    #[error("the body has no `{0}`; give {1}")]
    Without(&'static str, &'static str),
    /// A fact that this version does not know.
    #[error("`{name}` is no fact that this version knows; the nearest is `{nearest}`")]
    Unknown {
        /// Its name.
        name: String,
        /// The nearest known one.
        nearest: &'static str,
    },
    /// Its fields are not those of the fact.
    #[error("the fact `{name}` cannot be read: {why}")]
    Fields {
        /// The name of the fact.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
}

/// The body that tells a fact. A text of it that is absurdly long is cut off, and a number that is none is told as 0.
pub fn encode(told: &Told) -> Vec<u8> {
    let body = |most| serde_json::to_vec(&Written { told, most }).expect("texts, numbers and flags are JSON");
    let whole = body(MAX_TEXT);
    if whole.len() <= MAX_BODY { whole } else { body(MAX_ODD_TEXT) }
}

/// What a body tells. Fields that this version does not know are passed over.
///
/// # Errors
/// It tells no fact that is known here.
pub fn decode(body: &[u8]) -> Result<Told, BadBody> {
    if body.len() > MAX_BODY {
        return Err(BadBody::TooLong(body.len()));
    }
    let map: Map<String, Value> = serde_json::from_slice(body).map_err(|why| BadBody::NoObject(text_of(&why)))?;
    let name = map.get("fact").and_then(Value::as_str).ok_or(BadBody::Without("fact", "the name of one"))?;
    let name = shape(name).map(|shape| shape.rule.name).ok_or_else(|| unknown(name))?;
    let at = map.get("at").and_then(Value::as_u64).ok_or(BadBody::Without("at", "milliseconds since 1970"))?;
    let clock_unset = map.get("clock").is_some_and(|clock| clock == "unset");
    let fact = Fact::deserialize(Value::Object(map)).map_err(|why| BadBody::Fields { name, why: text_of(&why) })?;
    Ok(Told { at, clock_unset, fact })
}

fn text_of(why: &serde_json::Error) -> String {
    printable(why.to_string().as_bytes())
}

fn unknown(name: &str) -> BadBody {
    let name = printable(name.as_bytes().get(..MAX_WORD).unwrap_or(name.as_bytes()));
    let nearest = nearest(&name, shapes().iter().map(|shape| shape.rule.name)).unwrap_or_default();
    BadBody::Unknown { name, nearest }
}

/// A fact as it stands in a body: its time, its name, its fields in their order.
struct Written<'a> {
    told: &'a Told,
    most: usize,
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Told { at, clock_unset, fact } = self.told;
        let (rule, clock) = (fact.rule(), clock_unset.then(|| ("clock", "unset".into())));
        let mut values = serde_json::to_value(fact).map_err(serde::ser::Error::custom)?;
        let fields = shape(rule.name).map(|shape| shape.fields.as_slice()).unwrap_or_default();
        let fields = fields.iter().map(|field| (field.name, plain(values[field.name].take(), self.most)));
        let head = std::iter::once(("at", Value::from(*at))).chain(clock).chain([("fact", rule.name.into())]);
        serializer.collect_map(head.chain(fields))
    }
}

/// JSON has no word for a number that is none.
fn plain(value: Value, most: usize) -> Value {
    match value {
        Value::Null => 0.into(),
        Value::String(text) if text.len() > most => text[..text.floor_char_boundary(most)].into(),
        value => value,
    }
}

/// The topic under which a fact about `node` is told.
pub fn topic_of(node: &HostName, fact: &Fact) -> Topic {
    let Rule { family, name, retain, .. } = fact.rule();
    let kind = match (fact, retain) {
        (Fact::MachineState { .. }, _) => Kind::State,
        (_, Retain::Each) => Kind::Event(family, name.into()),
        (_, Retain::Last) => Kind::Status(family, name.into(), fact.item().map(item)),
    };
    Topic { node: node.clone(), kind }
}

/// The pattern of all topics under which facts of this rule are told.
pub fn filter_of(rule: &Rule) -> Filter {
    let Rule { family, name, retain, .. } = rule;
    let pattern = match retain {
        _ if *name == MACHINE_STATE => "+/state".into(),
        Retain::Each => format!("+/evt/{family}/{name}"),
        Retain::Last => format!("+/st/{family}/{name}/#"),
    };
    Filter::parse(&pattern).expect("names of facts are words")
}

/// The name of the fact that is told under a topic; commands tell none.
pub fn name_of(topic: &Topic) -> Option<&str> {
    match &topic.kind {
        Kind::State => Some(MACHINE_STATE),
        Kind::Event(_, name) | Kind::Status(_, name, _) => Some(name),
        Kind::Request(_) | Kind::Reply(_) => None,
    }
}

/// The one fact whose topic does not end with its name.
const MACHINE_STATE: &str = "machine-state";

/// An item as the last level of a topic. One that is no [`word`], such as the source `/home/music`, is made one: what does
/// not fit becomes `_`, and the checksum of all of it follows, so that `a/b` and `a b` stay two: `_home_music-50e37490`.
fn item(text: &str) -> Box<str> {
    word(text).unwrap_or_else(|_| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let fitting: String = text.chars().map(plain).take(MAX_WORD - 9).collect();
        let hidden = if fitting.starts_with('.') { "_" } else { "" };
        let fitting = format!("{hidden}{}", &fitting[hidden.len()..]);
        format!("{fitting}-{:08x}", crc32fast::hash(text.as_bytes())).into()
    })
}

/// The event that tells a fact about the machine that makes it.
pub fn event_of(id: EventId, told: &Told) -> Event {
    let node = id.node.clone();
    event_about(id, &node, told)
}

/// The event that tells a fact about `node` now.
pub fn event(id: EventId, node: &HostName, fact: &Fact) -> Event {
    event_about(id, node, &Told::new(runner::clock::unix_now(), fact.clone()))
}

/// The event that tells a fact about `node`.
pub fn event_about(id: EventId, node: &HostName, told: &Told) -> Event {
    let rule = told.fact.rule();
    Event {
        id,
        class: rule.class(),
        topic: topic_of(node, &told.fact).to_string(),
        ttl: Some(u32::try_from(rule.lifetime.as_secs()).unwrap_or(u32::MAX)),
        body: Body(encode(told)),
    }
}

#[cfg(test)]
mod tests;
