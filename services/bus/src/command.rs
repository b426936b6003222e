//! Commands and what became of them, as bodies of events. A request goes to the machine that is to do it, under
//! `TARGET/req/VERB`, its reply to the one that asked, under `ASKER/res/VERB`.
//!
//! ```json
//! {"at":1764100000123,"request":"version","deadline":1764100030123,"from":"kitchen","arguments":{}}
//! {"at":1764100000150,"reply":"kitchen-17-3","outcome":"done","remarks":"","data":{"version":"0.1.0"}}
//! ```
//!
//! What always holds: neither is a state that somebody finds later, and a request is worth nothing after its deadline. It is
//! told twice: as what is left of it in the envelope, by which journals and links go, and as an instant in the body.

mod refusal;

pub use refusal::Refusal;

use crate::carry::CLOCK_IS_SET;
use protocol::event::{Body, Class, Event, EventId, Keep, MAX_BODY};
use protocol::name::{HostName, printable};
use protocol::topic::{Kind, Topic, word};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// Every command and every reply counts, and is on the disk before anybody relies on it.
pub const CLASS: Class = Class { keep: Keep::All, durable: true };
/// So many seconds somebody may still want to know what became of what he asked for.
pub const REPLY_LIFETIME: u32 = 3600;
/// The mark of a refusal by the server, which answers in place of the machine that was asked. No peer may set it.
const BY_SERVER: &str = "by-server";
/// So many bytes of remarks are told.
const MAX_REMARKS: usize = 2048;

/// Something that a machine is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is to be done: a [`word`].
    pub verb: String,
    /// From then on it must not be done any more, in milliseconds since 1970 by the asker's clock.
    pub deadline_ms: u64,
    /// Which machine asks.
    pub from: HostName,
    /// What the verb needs to know.
    pub arguments: Map<String, Value>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was tried, and did not work.
    Failed,
    /// It was not tried.
    Refused,
    /// It came too late, and was not tried.
    Expired,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Outcome::Done => "done",
            Outcome::Failed => "failed",
            Outcome::Refused => "refused",
            Outcome::Expired => "expired",
        })
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The id of the request's event.
    pub to: EventId,
    /// What became of it.
    pub outcome: Outcome,
    /// Words for people: why not, and the remedy; may be empty.
    pub remarks: String,
    /// What was asked for.
    pub data: Map<String, Value>,
}

/// Why an event is no command, or would be none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCommand {
    /// Its body cannot be read.
    #[error(
        "this is no command or reply ({0}); write a JSON object with `request` and `deadline`, or `reply` and `outcome`"
    )]
    Body(String),
    /// Its topic and its body do not belong together.
    #[error("`{0}` is no topic of this command; requests go to TARGET/req/VERB, replies to ASKER/res/VERB")]
    Topic(String),
    /// The verb is no word.
    #[error("{0}")]
    Verb(String),
    /// Its arguments are too much.
    #[error("a command of {0} bytes is too long; at most {MAX_BODY} are allowed, so name a file and do not send it")]
    TooLong(usize),
}

#[derive(Serialize, Deserialize)]
struct RequestBody {
    at: u64,
    request: String,
    deadline: u64,
    from: HostName,
    #[serde(default)]
    arguments: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct ReplyBody {
    at: u64,
    reply: String,
    outcome: Outcome,
    #[serde(default)]
    remarks: String,
    #[serde(default)]
    data: Map<String, Value>,
}

impl Request {
    /// Asks for something that is worth nothing when this time has passed.
    pub fn new(verb: &str, from: &HostName, arguments: Map<String, Value>, within: Duration) -> Request {
        let deadline = (runner::clock::unix_now() + within).as_millis();
        let deadline_ms = u64::try_from(deadline).unwrap_or(u64::MAX);
        Request { verb: verb.into(), deadline_ms, from: from.clone(), arguments }
    }

    /// Its body, at this time in milliseconds since 1970.
    ///
    /// # Errors
    /// The verb is no word, or the arguments are too long.
    pub fn encode(&self, at: u64) -> Result<Vec<u8>, BadCommand> {
        let Request { verb: request, deadline_ms: deadline, from, arguments } = self.clone();
        check(&request)?;
        let body = json(&RequestBody { at, request, deadline, from, arguments });
        if body.len() > MAX_BODY { Err(BadCommand::TooLong(body.len())) } else { Ok(body) }
    }

    /// What a body says.
    ///
    /// # Errors
    /// It is no request.
    pub fn decode(body: &[u8]) -> Result<Request, BadCommand> {
        let RequestBody { request: verb, deadline: deadline_ms, from, arguments, .. } = read(body)?;
        check(&verb)?;
        Ok(Request { verb, deadline_ms, from, arguments })
    }

    /// The request in an event, and whom it addresses.
    ///
    /// # Errors
    /// It holds none, or under a topic of something else.
    pub fn of(event: &Event) -> Result<(HostName, Request), BadCommand> {
        let request = Request::decode(&event.body.0)?;
        match event.topic() {
            Ok(Topic { node, kind: Kind::Request(verb) }) if *verb == *request.verb => Ok((node, request)),
            _ => Err(BadCommand::Topic(printable(event.topic.as_bytes()))),
        }
    }

    /// The event that asks `target` for it, at this time in milliseconds since 1970.
    ///
    /// # Errors
    /// The verb is no word, or the arguments are too long.
    pub fn event(&self, id: EventId, target: &HostName, at: u64) -> Result<Event, BadCommand> {
        let body = Body(self.encode(at)?);
        let left = self.deadline_ms.saturating_sub(at).div_ceil(1000);
        let ttl = Some(u32::try_from(left).unwrap_or(u32::MAX));
        let topic = Topic { node: target.clone(), kind: Kind::Request(self.verb.as_str().into()) }.to_string();
        Ok(Event { id, class: CLASS, topic, ttl, body })
    }

    /// Whether its deadline has come, at `now_ms` since 1970. A clock that was never set cannot say so; then only what is
    /// left of it in the envelope counts.
    pub fn is_over(&self, now_ms: u64) -> bool {
        now_ms / 1000 >= CLOCK_IS_SET && now_ms >= self.deadline_ms
    }
}

impl Reply {
    /// The server did not let the request through, for this reason.
    pub fn by_server(to: EventId, why: String) -> Reply {
        let data = Map::from_iter([(BY_SERVER.to_owned(), true.into())]);
        Reply { to, outcome: Outcome::Refused, remarks: why, data }
    }

    /// Whether it says that it is the server's, in place of the machine that was asked.
    pub fn is_by_server(&self) -> bool {
        self.data.contains_key(BY_SERVER)
    }

    /// Its body, at this time in milliseconds since 1970. Data that is too long is left out, which the remarks then say: an answer always comes.
    pub fn encode(&self, at: u64) -> Vec<u8> {
        let Reply { to, outcome, mut remarks, data } = self.clone();
        remarks.truncate(remarks.floor_char_boundary(MAX_REMARKS));
        let mut body = ReplyBody { at, reply: to.to_string(), outcome, remarks, data };
        let whole = json(&body);
        if whole.len() <= MAX_BODY {
            return whole;
        }
        body.data.clear();
        let separator = if body.remarks.is_empty() { "" } else { "; " };
        body.remarks += &format!("{separator}the data, {} bytes in all, is too long and left out", whole.len());
        json(&body)
    }

    /// What a body says.
    ///
    /// # Errors
    /// It is no reply.
    pub fn decode(body: &[u8]) -> Result<Reply, BadCommand> {
        let ReplyBody { reply, outcome, remarks, data, .. } = read(body)?;
        let to = reply.parse().map_err(|why: protocol::event::BadId| BadCommand::Body(why.to_string()))?;
        Ok(Reply { to, outcome, remarks, data })
    }

    /// The reply in an event.
    ///
    /// # Errors
    /// It holds none, or under a topic of something else.
    pub fn of(event: &Event) -> Result<Reply, BadCommand> {
        match event.topic() {
            Ok(Topic { kind: Kind::Reply(_), .. }) => Reply::decode(&event.body.0),
            _ => Err(BadCommand::Topic(printable(event.topic.as_bytes()))),
        }
    }

    /// The event that tells it to whoever sent the request, at this time in milliseconds since 1970.
    pub fn event(&self, id: EventId, request: &Request, at: u64) -> Event {
        let kind = Kind::Reply(request.verb.as_str().into());
        let topic = Topic { node: request.from.clone(), kind }.to_string();
        Event { id, class: CLASS, topic, ttl: Some(REPLY_LIFETIME), body: Body(self.encode(at)) }
    }
}

fn check(verb: &str) -> Result<(), BadCommand> {
    word(verb).map(drop).map_err(|why| BadCommand::Verb(why.to_string()))
}

fn json<T: Serialize>(body: &T) -> Vec<u8> {
    serde_json::to_vec(body).expect("JSON in, JSON out")
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, BadCommand> {
    if body.len() > MAX_BODY {
        return Err(BadCommand::TooLong(body.len()));
    }
    serde_json::from_slice(body).map_err(|why| BadCommand::Body(printable(why.to_string().as_bytes())))
}

#[cfg(test)]
mod tests;
