//! Events as records of a journal, and back. On the way a lifetime becomes a point in time of this machine's own clock,
//! so that no two clocks have to agree; a clock that is not set gives no such point, and the event stays too long, never
//! too short.

use crate::journal::{Entry, Record};
use protocol::event::{Body, Event};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// No machine that this program runs on lives before it: 2026, in seconds since 1970. An earlier clock is not set.
pub const CLOCK_IS_SET: u64 = 1_767_225_600;

/// An event as a record, at this time in seconds since 1970.
pub fn record(event: Event, unix: u64) -> Record {
    let Event { id, class, topic, ttl, body } = event;
    let expires = ttl.filter(|_| unix >= CLOCK_IS_SET).map(|ttl| unix + u64::from(ttl));
    Record { key: id, class, subject: topic, expires, body: body.0 }
}

/// A record as an event, at this time in seconds since 1970.
pub fn event(record: &Record, unix: u64) -> Event {
    Event {
        id: record.key.clone(),
        class: record.class,
        topic: record.subject.clone(),
        ttl: ttl(record, unix),
        body: Body(record.body.clone()),
    }
}

fn ttl(record: &Record, unix: u64) -> Option<u32> {
    record.expires.map(|expires| u32::try_from(expires.saturating_sub(unix)).unwrap_or(u32::MAX))
}

/// A record that is encoded as the [`Event`] it was, without a copy of it.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a>(pub &'a Entry, pub u64);

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Carried<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = &self.0.record;
        let mut event = serializer.serialize_struct("Event", 5)?;
        event.serialize_field("id", &record.key)?;
        event.serialize_field("class", &record.class)?;
        event.serialize_field("topic", &record.subject)?;
        event.serialize_field("ttl", &ttl(record, self.1))?;
        event.serialize_field("body", &Bytes(&record.body))?;
        event.end()
    }
}

/// The bytes that an entry takes in a frame, at most.
pub fn size(entry: &Entry) -> usize {
    let record = &entry.record;
    64 + record.key.node.as_str().len() + record.subject.len() + record.body.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Position;
    use protocol::event::{Class, EventId, Keep};
    use protocol::{Epoch, HostName, codec};

    const NOW: u64 = CLOCK_IS_SET + 1000;

    fn motion() -> Event {
        let id = EventId { node: HostName::parse("attic").unwrap(), epoch: Epoch(7), sequence: 3 };
        let class = Class { keep: Keep::DropOldest, durable: false };
        Event { id, class, topic: "attic/evt/camera/motion".into(), ttl: Some(60), body: Body(b"{}".to_vec()) }
    }

    #[test]
    fn an_event_comes_back_with_what_is_left_of_its_life() {
        let record = record(motion(), NOW);
        assert_eq!(record.expires, Some(NOW + 60));
        assert_eq!(event(&record, NOW + 20), Event { ttl: Some(40), ..motion() });
        assert_eq!(event(&record, NOW + 90).ttl, Some(0));
    }

    #[test]
    fn a_clock_that_is_not_set_ends_no_life() {
        assert_eq!(record(motion(), 3600).expires, None);
    }

    #[test]
    fn a_record_is_encoded_as_the_event_that_it_was() {
        let entry = Entry { position: Position(9), second: 0, record: record(motion(), NOW) };
        let bytes = codec::encode(&Carried(&entry, NOW + 20));
        assert_eq!(codec::decode::<Event>(&bytes).unwrap(), event(&entry.record, NOW + 20));
        assert!(bytes.len() <= size(&entry));
    }
}
