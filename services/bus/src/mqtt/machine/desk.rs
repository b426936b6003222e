//! Commands from the broker: which are taken, which were here before, and where their replies go.
//!
//! A broker delivers at least once, so a command may come again: in the same connection or, if its acknowledgement got
//! lost, in the next one, even to the next run of this program. What is recognized is not obeyed twice.

use super::Now;
use crate::command::{Reply, Request};
use crate::mqtt::payload::{self, Ask};
use crate::mqtt::topic::{Prefix, takes_replies};
use protocol::event::{Event, EventId, MAX_BODY};
use protocol::topic::{Kind, Topic};
use protocol::{Epoch, HostName};
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// So many commands are recognized when they come again.
const MOST_RECENT: usize = 256;
/// So many replies are expected at a time; a reply that is not goes to the usual place.
const MOST_AWAITED: usize = 256;
/// The longest correlation data that are given back, in bytes.
const MAX_CORRELATION: usize = 1024;

/// What came from the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Names it until it is acknowledged.
    pub token: u64,
    /// Where it was published.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// The broker kept it, or was told to.
    pub retained: bool,
    /// The broker has sent it before, it says.
    pub again: bool,
    /// The number that the broker gave it.
    pub packet: u16,
    /// So many seconds it is still worth something.
    pub expires: Option<u32>,
    /// Where the reply is wanted.
    pub response: Option<String>,
    /// What the asker recognizes his reply by.
    pub correlation: Option<Vec<u8>>,
}

/// What becomes of a command.
#[derive(Debug)]
pub(super) enum Taken {
    /// There is nothing to be done.
    Done,
    /// It is on its way into the journal already.
    Waits,
    /// It goes into the journal.
    Keep { digest: u64, event: Box<Event>, search: bool },
}

/// Where a reply goes.
#[derive(Debug, Clone, Default)]
pub(super) struct Address {
    pub(super) topic: Option<String>,
    pub(super) correlation: Option<Vec<u8>>,
    pub(super) transaction: Option<String>,
}

#[derive(Debug)]
struct Recent {
    digest: u64,
    token: u64,
    topic: String,
    kept: bool,
}

#[derive(Debug)]
struct Awaited {
    id: EventId,
    /// Who was asked.
    target: HostName,
    address: Address,
}

/// The desk.
#[derive(Debug)]
pub(super) struct Desk {
    node: HostName,
    epoch: Epoch,
    sequence: u64,
    recent: VecDeque<Recent>,
    awaited: VecDeque<Awaited>,
}

impl Desk {
    pub(super) fn new(node: HostName, epoch: Epoch) -> Desk {
        Desk { node, epoch, sequence: 0, recent: VecDeque::new(), awaited: VecDeque::new() }
    }

    /// Looks at a command.
    ///
    /// # Errors
    /// It is refused; names the remedy.
    pub(super) fn take(&mut self, message: &Message, prefix: &Prefix, now: Now) -> Result<Taken, String> {
        if message.retained && message.payload.is_empty() {
            // Somebody takes away what the broker kept.
            return Ok(Taken::Done);
        }
        let (target, verb) = address(message, prefix)?;
        let Ask { arguments, transaction, within } = payload::incoming(&message.payload)?;
        let (response, correlation) = response(message, prefix)?;
        let digest = digest(message, transaction.as_deref());
        let named = transaction.is_some() || correlation.is_some();
        let seen = self.recent.iter_mut().find(|recent| recent.digest == digest);
        if let Some(recent) = seen.filter(|_| named || message.again) {
            recent.token = message.token;
            return Ok(if recent.kept { Taken::Done } else { Taken::Waits });
        }
        let within = message.expires.map_or(within, |seconds| within.min(Duration::from_secs(u64::from(seconds))));
        let deadline_ms = u64::try_from((now.unix + within).as_millis()).unwrap_or(u64::MAX);
        let request = Request { verb, deadline_ms, from: self.node.clone(), arguments };
        let event = self.event(&request, &target, digest, now)?;
        self.remember(Recent { digest, token: message.token, topic: message.topic.clone(), kept: false });
        let address = Address { topic: response, correlation, transaction };
        self.expect(Awaited { id: event.id.clone(), target, address });
        Ok(Taken::Keep { digest, event: Box::new(event), search: named || message.again })
    }

    /// The event, with the digest in its body, by which a later run recognizes it.
    fn event(&mut self, request: &Request, target: &HostName, digest: u64, now: Now) -> Result<Event, String> {
        let id = EventId { node: self.node.clone(), epoch: self.epoch, sequence: self.sequence + 1 };
        let at = u64::try_from(now.unix.as_millis()).unwrap_or(u64::MAX);
        let mut event = request.event(id, target, at).map_err(|why| why.to_string())?;
        event.body.0.pop();
        event.body.0.extend_from_slice(seal(digest).as_bytes());
        if event.body.0.len() > MAX_BODY {
            return Err(format!("a command of {} bytes; at most {MAX_BODY} are kept", event.body.0.len()));
        }
        self.sequence += 1;
        Ok(event)
    }

    fn remember(&mut self, recent: Recent) {
        self.recent.retain(|other| other.digest != recent.digest);
        self.recent.truncate(MOST_RECENT - 1);
        self.recent.push_front(recent);
    }

    fn expect(&mut self, awaited: Awaited) {
        self.awaited.truncate(MOST_AWAITED - 1);
        self.awaited.push_front(awaited);
    }

    /// The journal has it, or will not have it: what is to be acknowledged to the broker, and its topic.
    pub(super) fn kept(&mut self, digest: u64, kept: bool) -> (Option<u64>, String) {
        let Some(at) = self.recent.iter().position(|recent| recent.digest == digest) else {
            return (None, String::new());
        };
        let recent = &mut self.recent[at];
        recent.kept = true;
        let (token, topic) = (recent.token, recent.topic.clone());
        if !kept {
            self.recent.remove(at);
        }
        (Some(token), topic)
    }

    /// Where a reply of a machine is wanted; as often as it has to be sent, if nobody else was asked.
    pub(super) fn address(&self, from: &HostName, body: &[u8]) -> Option<Address> {
        let reply = Reply::decode(body).ok()?;
        let awaited = self.awaited.iter().find(|awaited| awaited.id == reply.to && awaited.target == *from)?;
        Some(awaited.address.clone())
    }
}

/// The end of a body with this digest in it. What a journal is searched for.
pub(crate) fn seal(digest: u64) -> String {
    format!(",\"digest\":\"{digest:016x}\"}}")
}

/// Who is to do what.
fn address(message: &Message, prefix: &Prefix) -> Result<(HostName, String), String> {
    if message.retained {
        return Err("a kept command would be obeyed again at each start; send it without the retain flag, and an empty one with it to take this one away".into());
    }
    if message.expires == Some(0) {
        return Err("it came too late".into());
    }
    let rest = prefix.rest(&message.topic).unwrap_or(&message.topic);
    match Topic::parse(rest).map_err(|why| why.to_string())? {
        Topic { node, kind: Kind::Request(verb) } => Ok((node, verb.into())),
        _ => Err(format!("commands go to {prefix}/MACHINE/req/VERB")),
    }
}

type Response = (Option<String>, Option<Vec<u8>>);

fn response(message: &Message, prefix: &Prefix) -> Result<Response, String> {
    if message.correlation.as_ref().is_some_and(|data| data.len() > MAX_CORRELATION) {
        return Err(format!("its correlation data are too long; at most {MAX_CORRELATION} bytes are given back"));
    }
    match &message.response {
        Some(topic) if !takes_replies(topic, prefix) => {
            Err("no reply can be sent to its response topic; take one of your own, without wildcards".into())
        }
        response => Ok((response.clone(), message.correlation.clone())),
    }
}

/// What a command is recognized by: the name that its asker gave it or, without one, the broker's number and all it says.
fn digest(message: &Message, transaction: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.topic.hash(&mut hasher);
    match (transaction, &message.correlation) {
        (None, None) => (message.packet, &message.payload).hash(&mut hasher),
        // Another asker may count from 1 as well.
        named => (named, &message.response, &message.payload).hash(&mut hasher),
    }
    hasher.finish()
}
