//! What one client of the load generator says and hears: an old pistop client, a new one, with or without the event
//! bus, or an MQTT subscriber. All are as cheap as they can be, and alike in what they do between two events: nothing.

use super::mqtt;
use super::sealed::{Keys, Link};
use protocol::frame;
use protocol::line::{ClientLine, ServerLine, VERSION};
use protocol::message::{BUS, Hello};
use protocol::name::Identity;
use protocol::session::{Heard, Session};
use protocol::{HostName, Message};
use std::rc::Rc;

/// The topic that MQTT clients subscribe to.
pub const TOPIC: &str = "house/shutdown";
/// The event that clients with the bus follow, and MQTT clients as well if they are to hear the same.
pub const EVENT: &str = "server/evt/camera/motion";

/// Which kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Lines, as pistop's own client speaks them.
    Old,
    /// Frames.
    New,
    /// Frames, and [`EVENT`] is followed, and acknowledged.
    Bus,
    /// Frames on a sealed link, as a paired client.
    Sealed,
    /// The same, and it follows what an fclient follows, and [`EVENT`].
    SealedBus,
    /// MQTT 3.1.1, one subscription to [`TOPIC`] with QoS 0.
    Mqtt,
    /// MQTT 3.1.1, one subscription to [`EVENT`] with this QoS.
    Follower(u8),
}

/// What a client has just learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The server knows it.
    Ready,
    /// The server is alive.
    Beat,
    /// The server goes, or what is followed has happened.
    Told,
}

/// One client's end of its link.
pub enum Talk {
    /// An old or a new client.
    Pistop {
        /// What arrives.
        session: Session<ServerLine>,
        /// The name of a new client.
        name: Option<HostName>,
        /// It follows events.
        bus: bool,
    },
    /// A paired client.
    Sealed(Link),
    /// An MQTT client.
    Mqtt {
        /// The bytes of a packet that is not yet whole.
        pending: Vec<u8>,
        /// What it subscribes to.
        topic: &'static str,
        /// And how.
        qos: u8,
    },
}

impl Talk {
    /// The client of this number, and what it says first. A sealed one needs its keys.
    pub fn open(dialect: Dialect, number: usize, keys: Option<&Rc<Keys>>) -> (Self, Vec<u8>) {
        let name = || name(number);
        let hello = || ClientLine::Hello(name()).encode();
        let sealed = |bus| (Talk::Sealed(Link::new(keys.expect("it was paired").clone(), number, bus)), hello());
        let pistop = |name, bus| Talk::Pistop { session: Session::default(), name, bus };
        let mqtt =
            |topic, qos| (Talk::Mqtt { pending: Vec::new(), topic, qos }, mqtt::connect(&format!("client-{number}")));
        match dialect {
            Dialect::Old => (pistop(None, false), ClientLine::Wait.encode()),
            Dialect::New => (pistop(Some(name()), false), hello()),
            Dialect::Bus => (pistop(Some(name()), true), hello()),
            Dialect::Sealed => sealed(false),
            Dialect::SealedBus => sealed(true),
            Dialect::Mqtt => mqtt(TOPIC, 0),
            Dialect::Follower(qos) => mqtt(EVENT, qos),
        }
    }

    /// Takes what one read gave; what is to be answered goes to `answer`.
    pub fn hear(&mut self, bytes: &[u8], answer: &mut Vec<u8>, on: impl FnMut(News)) -> Result<(), String> {
        match self {
            Talk::Pistop { session, name, bus } => hear_pistop(session, name.as_ref(), *bus, bytes, answer, on),
            Talk::Sealed(link) => link.hear(bytes, answer, on),
            Talk::Mqtt { pending, topic, qos } => hear_mqtt(pending, (topic, *qos), bytes, answer, on),
        }
    }
}

fn hear_pistop(
    session: &mut Session<ServerLine>,
    name: Option<&HostName>,
    bus: bool,
    bytes: &[u8],
    answer: &mut Vec<u8>,
    mut on: impl FnMut(News),
) -> Result<(), String> {
    let said = |heard| match (&heard, name) {
        (Heard::Line(ServerLine::Greeting(_)), None) => on(News::Ready),
        (Heard::Line(ServerLine::Shutdown), _) => on(News::Told),
        (Heard::Line(ServerLine::Hello { .. }), Some(name)) => {
            answer.extend(introduction(name, bus.then(|| vec![EVENT.into()])));
        }
        _ => reply(&heard, answer, &mut on),
    };
    session.receive(bytes, said).map_err(|broken| broken.to_string())
}

/// What a client of frames answers to one of the server's.
pub fn reply(heard: &Heard<ServerLine>, answer: &mut Vec<u8>, on: &mut impl FnMut(News)) {
    match heard {
        Heard::Message(Message::Beat(beat)) => {
            answer.extend(frame::encode(&Message::Echo { number: beat.number }));
            on(News::Ready);
            on(News::Beat);
        }
        Heard::Message(Message::Prepare(_)) => on(News::Told),
        Heard::Message(Message::Events(batch)) => {
            answer.extend(frame::encode(&Message::Kept(batch.through)));
            on(News::Told);
        }
        _ => {}
    }
}

/// The name of the client of this number.
pub fn name(number: usize) -> HostName {
    HostName::parse(&format!("client-{number}")).expect("letters, a dash and digits are a name")
}

/// The first frames of a client, which may want to follow something.
pub fn introduction(name: &HostName, follows: Option<Vec<String>>) -> Vec<u8> {
    let number = name.as_str().bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let hello = Message::Hello(Hello {
        version: VERSION,
        name: name.clone(),
        identity: Identity(number),
        program: "bench".into(),
        capabilities: follows.iter().map(|_| BUS.into()).collect(),
    });
    let follow = follows.map(|filters| frame::encode(&Message::Follow(filters)));
    [frame::encode(&hello), follow.unwrap_or_default()].concat()
}

fn hear_mqtt(
    pending: &mut Vec<u8>,
    (topic, qos): (&str, u8),
    bytes: &[u8],
    answer: &mut Vec<u8>,
    mut on: impl FnMut(News),
) -> Result<(), String> {
    pending.extend_from_slice(bytes);
    let mut used = 0;
    while let Some((kind, body, size)) = mqtt::take(&pending[used..]).map_err(|why| why.to_string())? {
        match kind >> 4 {
            mqtt::CONNACK if body.last() == Some(&0) => answer.extend(mqtt::subscribe(topic, qos)),
            mqtt::SUBACK => on(News::Ready),
            mqtt::PUBLISH => {
                let number = mqtt::message(kind, body).and_then(|(_, number, _)| number);
                answer.extend(number.iter().flat_map(|number| mqtt::puback(*number)));
                on(News::Told);
            }
            _ => return Err(format!("an MQTT packet of kind {kind:#x} was not expected")),
        }
        used += size;
    }
    pending.drain(..used);
    if pending.is_empty() {
        *pending = Vec::new();
    }
    Ok(())
}
