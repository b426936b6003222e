//! When Home Assistant is told what: all devices a moment after each connection and whenever it says that it is there,
//! one device when it changes. What the broker keeps of machines that are no more is taken away after an hour, since a
//! server that has lost its journal hears of its machines only when they come back.

use super::desk::Message;
use super::flow::Publication;
use crate::mqtt::discovery::{House, Judgement};
use protocol::topic::Topic;
use protocol::{HostName, Instant};
use std::collections::BTreeMap;
use std::time::Duration;

/// So long after we have subscribed, the broker has sent us the documents that it keeps.
pub(super) const GATHER: Duration = Duration::from_secs(2);
/// So long a document of an unknown machine is left alone.
pub(super) const STALE: Duration = Duration::from_secs(3600);

/// Who tells it.
#[derive(Debug)]
pub(super) struct Herald {
    /// What there is to be told.
    pub(super) house: House,
    /// When all is told.
    due: Option<Instant>,
    /// It was told in this connection.
    told: bool,
    /// Documents of machines that nobody knows, and when they go.
    stale: BTreeMap<String, Instant>,
}

impl Herald {
    pub(super) fn new(house: House) -> Herald {
        Herald { house, due: None, told: false, stale: BTreeMap::new() }
    }

    /// What it listens to.
    pub(super) fn topics(&self) -> Vec<String> {
        vec![self.house.birth(), self.house.documents()]
    }

    /// Whether a message is for it.
    pub(super) fn listens_to(&self, topic: &str) -> bool {
        let document = protocol::Filter::parse(&self.house.documents()).is_ok_and(|filter| filter.matches(topic));
        document || topic == self.house.birth()
    }

    pub(super) fn subscribed(&mut self, now: Instant) {
        self.due = Some(now + GATHER);
    }

    pub(super) fn down(&mut self) {
        (self.due, self.told) = (None, false);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.stale.values().copied().chain(self.due).min()
    }

    /// What is due now.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Publication> {
        let mut due = Vec::new();
        if self.due.take_if(|due| *due <= now).is_some() {
            self.told = true;
            due.extend(self.all());
        }
        let known: Vec<String> = self.house.machines().map(|node| self.house.topic(node)).collect();
        self.stale.retain(|topic, _| !known.contains(topic));
        let (gone, left) = std::mem::take(&mut self.stale).into_iter().partition(|(_, at)| *at <= now);
        self.stale = left;
        let gone: BTreeMap<String, Instant> = gone;
        due.extend(gone.into_keys().map(|topic| kept(topic, Vec::new())));
        due
    }

    /// Home Assistant says that it is there, or the broker what it keeps. What it says of its start while we come is old.
    pub(super) fn heard(&mut self, message: &Message, now: Instant) -> Vec<Publication> {
        if message.topic == self.house.birth() {
            let fresh = message.payload == b"online" && !message.retained && self.told;
            return if fresh { self.all() } else { Vec::new() };
        }
        match self.house.judge(&message.topic, &message.payload) {
            Judgement::Foreign | Judgement::Current => Vec::new(),
            Judgement::Stale => {
                self.stale.entry(message.topic.clone()).or_insert(now + STALE);
                Vec::new()
            }
            Judgement::Shrunk(node, without) => {
                vec![kept(message.topic.clone(), without.to_string().into_bytes()), self.document(&node)]
            }
        }
    }

    /// How something is. The device is told again if it has changed, and all have been told already.
    pub(super) fn note(&mut self, topic: &Topic, body: &[u8]) -> Vec<Publication> {
        let changed = self.house.note(topic, body) && self.told;
        if changed { vec![self.document(&topic.node)] } else { Vec::new() }
    }

    fn all(&self) -> Vec<Publication> {
        self.house.machines().map(|node| self.document(node)).collect()
    }

    fn document(&self, node: &HostName) -> Publication {
        kept(self.house.topic(node), self.house.document(node).to_string().into_bytes())
    }
}

fn kept(topic: String, payload: Vec<u8>) -> Publication {
    Publication { topic, payload, keep: true, expires: None, id: None, correlation: None }
}
