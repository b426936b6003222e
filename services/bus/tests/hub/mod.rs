//! A house with an uplink, a real mosquitto, and somebody else at that broker.
#![allow(dead_code, clippy::unwrap_used, missing_docs)]

pub mod broker;
pub mod phone;

use bus::journal::{Bounds, Clock, Journal, Place};
use bus::mqtt::config::Broker as Address;
use bus::mqtt::topic::Prefix;
use bus::mqtt::{self, Config, Uplink};
use bus::{carry, told};
use protocol::event::{Body, Class, Event, EventId, Keep};
use protocol::fact::Fact;
use protocol::{Epoch, HostName};
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// Runs a test as an agent runs: on one thread.
pub fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

pub fn config(port: u16) -> Config {
    Config {
        broker: Address { host: "localhost".into(), port, tls: false },
        user: None,
        password_file: None,
        ca_file: None,
        client_id: "fs-1-fserver".into(),
        prefix: Prefix::parse("fs/v1").unwrap(),
        discovery: Some(Prefix::parse("homeassistant").unwrap()),
    }
}

/// The server of the house, with its journal and its uplink.
pub struct Attic {
    pub journal: Rc<Journal>,
    facts: UnboundedReceiver<Fact>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    sequence: Cell<u64>,
}

impl Attic {
    pub fn start(config: Config) -> Attic {
        let (journal, _) = Journal::open(Place::Memory, Bounds::in_memory(), Clock::system()).unwrap();
        Attic::with(Rc::new(journal), config, 7)
    }

    pub fn with(journal: Rc<Journal>, config: Config, epoch: u64) -> Attic {
        let (node, epoch, program) = (host("attic"), Epoch(epoch), "fserver 0.1.0".into());
        let (tell, facts) = unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let run = {
            let journal = journal.clone();
            async move {
                let uplink = Uplink { config, node, epoch, program };
                let stopped = async { drop(stopped.await) };
                mqtt::run(uplink, journal, move |fact| drop(tell.send(fact)), stopped).await;
            }
        };
        Attic { journal, facts, stop: Some(stop), task: spawn_local(run), sequence: Cell::new(0) }
    }

    /// A machine says something.
    pub async fn hear(&self, node: &str, topic: &str, keep: Keep, body: &str) -> EventId {
        self.sequence.set(self.sequence.get() + 1);
        let id = EventId { node: host(node), epoch: Epoch(1), sequence: self.sequence.get() };
        let class = Class { keep, durable: true };
        let event =
            Event { id: id.clone(), class, topic: topic.into(), ttl: Some(600), body: Body(body.as_bytes().to_vec()) };
        self.keep(event).await;
        id
    }

    /// The same, as a fact.
    pub async fn fact(&self, node: &str, fact: &Fact) {
        self.sequence.set(self.sequence.get() + 1);
        let id = EventId { node: host(node), epoch: Epoch(1), sequence: self.sequence.get() };
        self.keep(told::event(id, &host(node), fact)).await;
    }

    pub async fn keep(&self, event: Event) {
        let unix = runner::clock::unix_now().as_secs();
        self.journal.append(carry::record(event, unix)).await.unwrap();
    }

    /// The next fact that the uplink tells about what `meaning` understands.
    pub async fn told<T>(&mut self, mut meaning: impl FnMut(&Fact) -> Option<T>) -> T {
        let search = async {
            loop {
                let fact = self.facts.recv().await.expect("the uplink runs");
                if let Some(found) = meaning(&fact) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("the uplink tells it in time")
    }

    pub async fn connected(&mut self) {
        self.told(|fact| matches!(fact, Fact::Uplink { connected: true, .. }).then_some(())).await;
    }

    /// What the broker is.
    pub async fn version(&mut self) -> String {
        self.told(|fact| match fact {
            Fact::Uplink { connected: true, detail, .. } if !detail.is_empty() => Some(detail.clone()),
            _ => None,
        })
        .await
    }

    /// What is the matter with the broker.
    pub async fn trouble(&mut self) -> String {
        self.told(|fact| match fact {
            Fact::Uplink { connected: false, detail, .. } => Some(detail.clone()),
            _ => None,
        })
        .await
    }

    /// That this is the matter with it.
    pub async fn trouble_of(&mut self, text: &str) {
        let about = |fact: &Fact| match fact {
            Fact::Uplink { connected: false, detail, .. } => detail.contains(text).then_some(()),
            _ => None,
        };
        self.told(about).await;
    }

    /// The broker was seen to be away.
    pub async fn away(&mut self) {
        self.trouble_of("nothing listens").await;
    }

    pub async fn refusal(&mut self) -> String {
        self.told(|fact| match fact {
            Fact::EventRefused { why, .. } => Some(why.clone()),
            _ => None,
        })
        .await
    }

    /// Returns when the journal has so many records under such topics: their bodies.
    pub async fn kept(&self, topic: &str, count: usize) -> Vec<serde_json::Value> {
        let mut end = self.journal.end();
        let search = async {
            loop {
                end.borrow_and_update();
                let wanted = |entry: &bus::journal::Entry| entry.record.subject == topic;
                let found = self.journal.read(bus::journal::Position::START, &wanted, 1 << 20).unwrap().entries;
                if found.len() >= count {
                    return found.iter().map(|entry| serde_json::from_slice(&entry.record.body).unwrap()).collect();
                }
                end.changed().await.unwrap();
            }
        };
        timeout(PATIENCE, search).await.expect("the journal has it in time")
    }

    /// The id of the first record under this topic.
    pub fn id_of(&self, topic: &str) -> EventId {
        let wanted = |entry: &bus::journal::Entry| entry.record.subject == topic;
        let found = self.journal.read(bus::journal::Position::START, &wanted, 1).unwrap();
        found.entries[0].record.key.clone()
    }

    /// The end that is announced.
    pub async fn stop(mut self) -> Rc<Journal> {
        let _ = self.stop.take().map(|stop| stop.send(()));
        timeout(PATIENCE, &mut self.task).await.expect("the uplink ends").unwrap();
        self.journal
    }

    /// The end that nobody expects.
    pub async fn die(self) -> Rc<Journal> {
        self.task.abort();
        let _ = self.task.await;
        self.journal
    }
}
