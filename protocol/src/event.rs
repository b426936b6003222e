//! What travels on the bus: an event with its envelope, wherever it has come by. The envelope says all that journals and
//! relays need to know; the body is JSON that only the ends read, so that a newer machine's facts pass through older ones.

use crate::name::{Epoch, HostName};
use crate::topic::{BadTopic, Topic};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The longest body, in bytes. An event names a file, it does not carry it, and a whole one fits into a frame.
pub const MAX_BODY: usize = 32 * 1024;

/// The families of facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Who is here.
    Presence,
    /// A machine and its bus.
    Host,
    /// Cameras and their recordings.
    Camera,
    /// What leaves the house for a safe place.
    Upload,
    /// Copies of what must not be lost.
    Backup,
    /// Memory cards that are read.
    Ingest,
    /// New versions of programs.
    Update,
    /// Processes that are looked after.
    Watchdog,
    /// What is done by the clock.
    Schedule,
    /// What people are shown.
    Display,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 10] = [
        Family::Presence,
        Family::Host,
        Family::Camera,
        Family::Upload,
        Family::Backup,
        Family::Ingest,
        Family::Update,
        Family::Watchdog,
        Family::Schedule,
        Family::Display,
    ];

    /// The word in topics and roles.
    pub const fn name(self) -> &'static str {
        match self {
            Family::Presence => "presence",
            Family::Host => "host",
            Family::Camera => "camera",
            Family::Upload => "upload",
            Family::Backup => "backup",
            Family::Ingest => "ingest",
            Family::Update => "update",
            Family::Watchdog => "watchdog",
            Family::Schedule => "schedule",
            Family::Display => "display",
        }
    }

    /// The family of that name.
    pub fn parse(text: &str) -> Option<Family> {
        Family::ALL.into_iter().find(|family| family.name() == text)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which event this is, wherever it has come by: the same id is the same event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventId {
    /// The machine that made it.
    pub node: HostName,
    /// The run of the program that made it.
    pub epoch: Epoch,
    /// Counts what that run made.
    pub sequence: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.node, self.epoch, self.sequence)
    }
}

/// A text that is no id of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is no id of an event; it is written NODE-EPOCH-NUMBER, as in attic-17-3")
    }
}

impl FromStr for EventId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<EventId, BadId> {
        let mut parts = text.rsplitn(3, '-');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        let (sequence, epoch) = (number().ok_or(BadId)?, Epoch(number().ok_or(BadId)?));
        let node = HostName::parse(parts.next().ok_or(BadId)?).map_err(|_| BadId)?;
        Ok(EventId { node, epoch, sequence })
    }
}

/// What goes first when there is too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Nothing, until the bound of these records is reached; then the oldest, loudly.
    All,
    /// Whatever a newer record of the same topic replaces: states.
    LatestPerSubject,
    /// The oldest: what is worth less the older it is.
    DropOldest,
}

impl Keep {
    /// All of them; the place in this list is a number on the disk and never changes.
    pub const EACH: [Keep; 3] = [Keep::All, Keep::LatestPerSubject, Keep::DropOldest];

    /// Its place in [`Keep::EACH`].
    pub const fn index(self) -> usize {
        match self {
            Keep::All => 0,
            Keep::LatestPerSubject => 1,
            Keep::DropOldest => 2,
        }
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["keep-all", "latest-per-subject", "drop-oldest"][self.index()])
    }
}

/// How an event is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Class {
    /// What goes first when there is too much.
    pub keep: Keep,
    /// Whether it must be on the disk before its publisher is told that it is kept. Otherwise it survives the end of the
    /// process, but not a power cut in the next half minute.
    pub durable: bool,
}

/// An event with its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which one it is.
    pub id: EventId,
    /// How it is kept.
    pub class: Class,
    /// What it is about. Checked by [`Event::topic`] and not before, so that one wrong event costs no link.
    pub topic: String,
    /// So many seconds it is still worth something; no two clocks have to agree about it.
    pub ttl: Option<u32>,
    /// JSON, at most [`MAX_BODY`] bytes.
    pub body: Body,
}

impl Event {
    /// Its topic.
    ///
    /// # Errors
    /// It is none.
    pub fn topic(&self) -> Result<Topic, BadTopic> {
        Topic::parse(&self.topic)
    }

    /// About so many bytes it takes as part of a frame, and never more.
    pub fn size(&self) -> usize {
        ENVELOPE + self.id.node.as_str().len() + self.topic.len() + self.body.0.len()
    }
}

/// What an envelope takes beside its texts: lengths, numbers and flags at their longest.
const ENVELOPE: usize = 48;

/// The bytes of a body; encoded at once and not byte by byte.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Body(pub Vec<u8>);

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Body, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Body;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Body, E> {
                Ok(Body(bytes.to_vec()))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Body, E> {
                Ok(Body(bytes))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Body, A::Error> {
                let mut body = Vec::new();
                while let Some(byte) = bytes.next_element()? {
                    body.push(byte);
                }
                Ok(Body(body))
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// Events on their way from one journal into another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Batch {
    /// Once these are kept, so is everything up to here, in the sender's count: [`crate::Message::Kept`] repeats it.
    pub through: u64,
    /// In the order of the sender's journal.
    pub events: Vec<Event>,
    /// So many of what the receiver had asked for are lost: dropped by a bound, or damaged. Zero is none; it may be told
    /// too high, as what it was about is gone as well.
    pub lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for text in ["attic-17-3", "living-room.local-18446744073709551615-0"] {
            assert_eq!(text.parse::<EventId>().unwrap().to_string(), text);
        }
        for bad in ["attic-17", "attic-x-3", "-1-1", ""] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_size_of_an_event_is_never_told_too_low() {
        let node = HostName::parse(&"n".repeat(64)).unwrap();
        let id = EventId { node, epoch: Epoch(u64::MAX), sequence: u64::MAX };
        let class = Class { keep: Keep::DropOldest, durable: true };
        let topic = "t".repeat(512);
        let event = Event { id, class, topic, ttl: Some(u32::MAX), body: Body(vec![0xff; MAX_BODY]) };
        let bytes = crate::codec::encode(&event);
        assert!(bytes.len() <= event.size() && crate::codec::decode::<Event>(&bytes) == Ok(event.clone()));
        assert!(event.size() < crate::frame::MAX_BODY / 2 + 1024, "one event fits into a frame, and into half of one");
    }
}
