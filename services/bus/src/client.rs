//! What programs use: publish, subscribe, ask others to do something, do what others ask. A program names the socket of
//! its machine's agent and nothing else. It may start before the agent and outlive it: everything here waits and goes on.
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use bus::client::Bus;
//! use protocol::fact::Fact;
//! let bus = Bus::open("/run/pistop/bus.sock", "camera 0.1.0");
//! bus.publish(&Fact::CameraOnline { camera: "cam1".into() }).await?;
//! # Ok(()) }
//! ```

mod connection;
mod publisher;
mod service;
mod shutdowns;
mod subscription;

pub use connection::{DOOR, Keeper, ask, reach};
pub use publisher::Refused;
pub use service::{Asked, Service};
pub use shutdowns::{Shutdown, Shutdowns};
pub use subscription::{Item, Subscription};

use crate::command::{Outcome, Reply, Request};
use crate::told;
use protocol::door::{From, Subscribe};
use protocol::event::{Body, Class, Event, EventId};
use protocol::fact::Fact;
use protocol::{Epoch, HostName, Topic};
use publisher::Publisher;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// One program on the bus.
#[derive(Debug, Clone)]
pub struct Bus {
    door: PathBuf,
    program: String,
    publisher: Publisher,
}

impl Bus {
    /// A program with its version at the door of its machine's agent. Needs a running tokio runtime.
    pub fn open(door: impl Into<PathBuf>, program: &str) -> Bus {
        let door = door.into();
        let publisher = Publisher::start(door.clone(), program.into());
        Bus { door, program: program.into(), publisher }
    }

    /// The machine's name on the bus; waits for the agent.
    pub async fn node(&self) -> HostName {
        self.publisher.node().await
    }

    /// Says a fact of this machine. When this returns, the event is kept as its rule says, whatever is killed then.
    ///
    /// # Errors
    /// It is none that can be kept.
    pub async fn publish(&self, fact: &Fact) -> Result<EventId, Refused> {
        let node = self.node().await;
        let said = told::event(self.publisher.next_id(&node), &node, fact);
        self.publisher.publish(said).await
    }

    /// Says anything under a topic, which has to be of this machine's own unless it is a command or a reply.
    ///
    /// # Errors
    /// It is none that can be kept.
    pub async fn say(&self, topic: &Topic, class: Class, ttl: Option<u32>, body: Vec<u8>) -> Result<EventId, Refused> {
        self.say_text(topic.to_string(), class, ttl, body).await
    }

    /// The same with a topic that is checked by the agent.
    ///
    /// # Errors
    /// It is none that can be kept.
    pub async fn say_text(
        &self,
        topic: String,
        class: Class,
        ttl: Option<u32>,
        body: Vec<u8>,
    ) -> Result<EventId, Refused> {
        let node = self.node().await;
        let id = self.publisher.next_id(&node);
        self.publisher.publish(Event { id, class, topic, ttl, body: Body(body) }).await
    }

    /// Sends an event as it is, with the id that it has: for those that send one again.
    ///
    /// # Errors
    /// It is none that can be kept.
    pub async fn resend(&self, event: Event) -> Result<EventId, Refused> {
        self.publisher.publish(event).await
    }

    /// Listens. With a name, what comes while this program is away waits for it, and each event is to be finished with
    /// [`Subscription::done`].
    pub fn subscribe(&self, wanted: Subscribe) -> Subscription {
        Subscription::start(self.door.clone(), self.program.clone(), wanted)
    }

    /// Asks a machine to do something, and waits until it has or the time is over.
    ///
    /// # Errors
    /// The command could not be kept.
    pub async fn request(
        &self,
        target: &HostName,
        verb: &str,
        arguments: Map<String, Value>,
        within: Duration,
    ) -> Result<Reply, Refused> {
        let deadline = Instant::now() + within;
        let absent = || Refused { why: "the agent of this machine did not come in time".into(), temporary: true };
        let node = timeout_at(deadline, self.node()).await.map_err(|_| absent())?;
        let filters = vec![format!("{node}/res/{verb}")];
        let mut replies = self.subscribe(Subscribe { name: None, filters, from: From::Next });
        let over = |to: EventId| Reply {
            to,
            outcome: Outcome::Expired,
            remarks: format!("{target} did not answer within {} s", within.as_secs_f32()),
            data: Map::new(),
        };
        let id = self.publisher.next_id(&node);
        if timeout_at(deadline, replies.live()).await.is_err() {
            return Ok(over(id));
        }
        let request = Request::new(verb, &node, arguments, within);
        let event = request.event(id.clone(), target, crate::unix_ms());
        let event = event.map_err(|why| Refused { why: why.to_string(), temporary: false })?;
        match timeout_at(deadline, self.publisher.publish(event)).await {
            Ok(published) => published.map(drop)?,
            Err(_) => return Ok(over(id)),
        }
        let answer = async {
            loop {
                let Item::Event(_, event) = replies.next().await else { continue };
                match Reply::decode(&event.body.0) {
                    Ok(reply) if reply.to == id && (event.id.node == *target || reply.is_by_server()) => return reply,
                    _ => {}
                }
            }
        };
        Ok(timeout_at(deadline, answer).await.unwrap_or_else(|_| over(id)))
    }

    /// Does what is asked of this machine under a verb, from now on and whenever this program runs.
    pub fn serve(&self, verb: &str) -> Service {
        Service::start(self.clone(), verb)
    }

    /// Hears from now on when the server of this machine lets everybody go.
    pub fn shutdowns(&self) -> Shutdowns {
        Shutdowns::start(self)
    }

    /// The socket of the agent.
    pub fn door(&self) -> &Path {
        &self.door
    }

    /// The run of this program, as it stands in the ids of its events.
    pub fn epoch(&self) -> Epoch {
        self.publisher.epoch()
    }
}
