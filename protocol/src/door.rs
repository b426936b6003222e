//! What a program says to the agent of its own machine, fserver or fclient, over the agent's Unix socket, and what the
//! agent says to it. The framing is that of [`crate::frame`]. A program may say much before it is answered; answers to
//! [`Ask::Publish`] come in the order of the asking, whatever else comes between them.

use crate::event::Event;
use crate::name::{Epoch, HostName};
use serde::{Deserialize, Serialize};

/// What a program says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ask {
    /// First of all; the program and its version, for logs. Answered by [`Tell::Welcome`].
    Hello(String),
    /// Keep these, in this order.
    Publish(Vec<Event>),
    /// From now on tell me; once a connection.
    Subscribe(Subscribe),
    /// Done with the events at these positions, in any order; for those subscriptions that have a name.
    Done(Vec<u64>),
    /// Give it to me again, some time later.
    Again(Vec<u64>),
    /// Forget the cursor of that name.
    Forget(String),
    /// What waits where. Answered by [`Tell::Queue`].
    Queue,
    /// How the agent is, for `pistop doctor`. Answered by [`Tell::Health`].
    Health,
    /// How much the journal may hold. Answered by [`Tell::Room`].
    Room,
}

/// Where a subscription begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// With the next event. A name that was here before goes on where it was.
    Next,
    /// With how everything is now, then the next event.
    States,
    /// With the oldest event that is kept.
    Oldest,
}

/// What a program wants to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribe {
    /// A name makes it last: what comes while the program is away waits for it, and each event comes until the program
    /// is done with it. Without one it ends with the connection, and nothing has to be acknowledged.
    pub name: Option<String>,
    /// Patterns of topics; one match is enough, and several are one.
    pub filters: Vec<String>,
    /// Where it begins.
    pub from: From,
}

/// The place of [`Tell::Events`] among its siblings, for those who encode it without a copy of the events.
pub const EVENTS: u32 = 3;

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Tell {
    /// Who the agent is.
    Welcome {
        /// The machine's name: the node of all events that are published here.
        node: HostName,
        /// The agent and its version.
        agent: String,
        /// The run of it.
        epoch: Epoch,
    },
    /// So many more of what was to be published are kept.
    Kept(u32),
    /// The next one is not.
    Refused {
        /// Why, and the remedy.
        why: String,
        /// It may work later.
        temporary: bool,
    },
    /// Events, each with the number by which it is acknowledged.
    Events(Vec<(u64, Event)>),
    /// So many events that were asked for are lost, at most.
    Missed(u64),
    /// Nothing is left of what was there when the subscription began; what follows is new.
    Live,
    /// The answer to [`Ask::Queue`].
    Queue(Vec<Waiting>),
    /// The answer to [`Ask::Health`].
    Health(Health),
    /// What was asked cannot be done; the connection is over.
    Error(String),
    /// The first of what [`Ask::Queue`] asks for, if one frame has no room for all; [`Tell::Queue`] brings the last of it.
    QueuePart(Vec<Waiting>),
    /// The answer to [`Ask::Room`]: so many bytes the files of the journal take at most.
    Room(u64),
}

/// What waits for one consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The consumer: `hooks`, `link:kitchen`, `mqtt`, or the name of a subscription.
    pub consumer: String,
    /// Events that it has not finished with, counted up to 10,000; if much waits for very many, also those that it does
    /// not want.
    pub events: u64,
    /// Of those it was handed, and has not finished with.
    pub open: u64,
    /// Seconds since the oldest of them came, while the agent ran.
    pub oldest: Option<u64>,
    /// Whether it is here: a machine has a link, a program is connected, the broker is reached.
    pub here: bool,
    /// What it wants, the first patterns, if that is known.
    pub wants: Vec<String>,
}

/// How an agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Where the journal is.
    pub journal: String,
    /// It outlives the process and not the power.
    pub ram: bool,
    /// Bytes that it takes; of how many, [`Ask::Room`] asks.
    pub bytes: u64,
    /// Events that were dropped because of a bound since it was begun, by class in the order of [`crate::event::Keep::EACH`].
    pub dropped: [u64; 3],
    /// What one sync of its disk took just now, in microseconds.
    pub sync_us: u64,
    /// Links that are up, with the host at the other end of each.
    pub links: Vec<String>,
    /// The MQTT broker, if one is configured: address, and what is the matter with it or its version.
    pub broker: Option<(String, String)>,
    /// What should be looked at, each with its remedy.
    pub findings: Vec<String>,
}
