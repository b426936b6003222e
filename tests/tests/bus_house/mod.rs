//! A server with programs at its door that have nothing to do with what goes wrong.

use protocol::door::{Ask, From, Subscribe, Tell};
use protocol::event::{Batch, Body, Class, Event, EventId, Keep};
use protocol::{Epoch, HostName, Message, frame};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::World;
use tests::world::door::Door;
use tests::world::raw::Raw;
use tests::world::server::Server;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An event of the attic, of an id that no other has.
pub fn event(topic: &str, body: &[u8]) -> Event {
    static SEQUENCE: AtomicU64 = AtomicU64::new(1);
    let node = HostName::parse("attic").unwrap();
    let id = EventId { node, epoch: Epoch(7), sequence: SEQUENCE.fetch_add(1, Ordering::Relaxed) };
    let class = Class { keep: Keep::All, durable: true };
    Event { id, class, topic: topic.into(), ttl: None, body: Body(body.to_vec()) }
}

/// The server, one who listens to the house itself, and peers that are kept.
pub struct House {
    pub world: World,
    pub attic: Server,
    told: Door,
    peers: Vec<Raw>,
}

impl House {
    pub fn new() -> Self {
        let world = World::new();
        let attic = world.server("attic").start();
        Self::around(world, attic)
    }

    pub fn around(world: World, attic: Server) -> Self {
        let told = hearer(&attic.place().path("bus.sock"), &["+/evt/host/#"]);
        Self { world, attic, told, peers: Vec::new() }
    }

    pub fn door_path(&self) -> PathBuf {
        self.attic.place().path("bus.sock")
    }

    pub fn door(&self) -> Door {
        Door::connect_soon(&self.door_path())
    }

    /// Somebody who listens at the attic.
    pub fn hearer(&self, filters: &[&str]) -> Door {
        hearer(&self.door_path(), filters)
    }

    /// Publishes at the attic; why not, if it is refused.
    pub fn publish(&mut self, event: Event) -> Result<(), String> {
        publish(&mut self.door(), event)
    }

    /// The same as [`event`], of another machine.
    pub fn event_of(&self, node: &str, topic: &str, body: &[u8]) -> Event {
        let event = event(topic, body);
        Event { id: EventId { node: HostName::parse(node).unwrap(), ..event.id }, ..event }
    }

    /// A satellite of this name sends these, and is told that they were seen to.
    pub fn sends(&mut self, name: &str, events: Vec<Event>) {
        let mut peer = self.attic.connect();
        peer.introduce_on_the_bus(name, 5);
        for (through, event) in (1..).zip(events) {
            peer.say(frame::encode(&Message::Events(Batch { through, events: vec![event], lost: 0 })));
            peer.until("it is seen to", |raw| raw.messages().contains(&Message::Kept(through)));
        }
        self.peers.push(peer);
    }

    /// Waits for a fact of the house that holds all of these words.
    #[track_caller]
    pub fn until_told(&mut self, words: &[&str]) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let Some((_, event)) = self.told.next(PATIENCE).unwrap() else { break };
            let text = format!("{} {}", event.topic, String::from_utf8_lossy(&event.body.0));
            if words.iter().all(|word| text.contains(word)) {
                return;
            }
        }
        panic!("nobody was told {words:?}\n{}", self.world.logs());
    }

    /// What is said at the attic is heard there, and the server answers who asks it.
    #[track_caller]
    pub fn goes_on(&mut self) {
        self.goes_on_at(&self.door_path(), "attic");
        assert!(self.attic.status()["peers"].is_array());
    }

    /// The same at the door of that machine.
    #[track_caller]
    pub fn goes_on_at(&self, door: &Path, node: &str) {
        let topic = format!("{node}/evt/display/notice");
        let (mut ear, word) = (hearer(door, &[&topic]), self.event_of(node, &topic, b"{}"));
        assert_eq!(publish(&mut Door::connect_soon(door), word.clone()), Ok(()));
        let heard = ear.next(PATIENCE).unwrap().expect("what is said is heard");
        assert_eq!(heard.1, word);
    }
}

fn hearer(door: &Path, filters: &[&str]) -> Door {
    let mut door = Door::connect_soon(door);
    let filters = filters.iter().map(|filter| (*filter).into()).collect();
    door.subscribe(Subscribe { name: None, filters, from: From::Next }).unwrap();
    door
}

fn publish(door: &mut Door, event: Event) -> Result<(), String> {
    door.say(&Ask::Publish(vec![event])).unwrap();
    match door.answer().unwrap() {
        Tell::Kept(1) => Ok(()),
        Tell::Refused { why, .. } => Err(why),
        other => panic!("an answer that is none: {other:?}"),
    }
}
