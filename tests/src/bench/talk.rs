//! What one client of the load generator says and hears: an old pistop client, a new one, or an MQTT subscriber. All
//! are as cheap as they can be, and alike in what they do between two events: nothing.

use protocol::frame;
use protocol::line::{ClientLine, ServerLine, VERSION};
use protocol::message::Hello;
use protocol::name::Identity;
use protocol::session::{Heard, Session};
use protocol::{HostName, Message};

/// The topic that MQTT clients subscribe to.
pub const TOPIC: &str = "house/shutdown";

/// Which kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Lines, as pistop's own client speaks them.
    Old,
    /// Frames.
    New,
    /// MQTT 3.1.1, one subscription with QoS 0.
    Mqtt,
}

/// What a client has just learnt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The server knows it.
    Ready,
    /// The server is alive.
    Beat,
    /// The server goes.
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
    },
    /// The bytes of an MQTT packet that is not yet whole.
    Mqtt(Vec<u8>),
}

impl Talk {
    /// The client of this number, and what it says first.
    pub fn open(dialect: Dialect, number: usize) -> (Self, Vec<u8>) {
        let name = || HostName::parse(&format!("client-{number}")).expect("letters, a dash and digits are a name");
        let pistop = |name| Talk::Pistop { session: Session::default(), name };
        match dialect {
            Dialect::Old => (pistop(None), ClientLine::Wait.encode()),
            Dialect::New => (pistop(Some(name())), ClientLine::Hello(name()).encode()),
            Dialect::Mqtt => (Talk::Mqtt(Vec::new()), mqtt_connect(&format!("client-{number}"))),
        }
    }

    /// Takes what one read gave; what is to be answered goes to `answer`.
    pub fn hear(&mut self, bytes: &[u8], answer: &mut Vec<u8>, on: impl FnMut(News)) -> Result<(), String> {
        match self {
            Talk::Pistop { session, name } => hear_pistop(session, name.as_ref(), bytes, answer, on),
            Talk::Mqtt(pending) => hear_mqtt(pending, bytes, answer, on),
        }
    }
}

fn hear_pistop(
    session: &mut Session<ServerLine>,
    name: Option<&HostName>,
    bytes: &[u8],
    answer: &mut Vec<u8>,
    mut on: impl FnMut(News),
) -> Result<(), String> {
    let said = |heard| match (heard, name) {
        (Heard::Line(ServerLine::Greeting(_)), None) => on(News::Ready),
        (Heard::Line(ServerLine::Shutdown), _) => on(News::Told),
        (Heard::Line(ServerLine::Hello { .. }), Some(name)) => answer.extend(frame::encode(&hello(name))),
        (Heard::Message(Message::Beat(beat)), _) => {
            answer.extend(frame::encode(&Message::Echo { number: beat.number }));
            on(News::Ready);
            on(News::Beat);
        }
        (Heard::Message(Message::Prepare(_)), _) => on(News::Told),
        _ => {}
    };
    session.receive(bytes, said).map_err(|broken| broken.to_string())
}

fn hello(name: &HostName) -> Message {
    let number = name.as_str().bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    Message::Hello(Hello {
        version: VERSION,
        name: name.clone(),
        identity: Identity(number),
        program: "bench".into(),
        capabilities: Vec::new(),
    })
}

/// Whole packets only; all of ours are shorter than 128 bytes, so their length is one byte.
fn hear_mqtt(
    pending: &mut Vec<u8>,
    bytes: &[u8],
    answer: &mut Vec<u8>,
    mut on: impl FnMut(News),
) -> Result<(), String> {
    pending.extend_from_slice(bytes);
    while let [kind, length, rest @ ..] = pending.as_slice()
        && let Some(body) = rest.get(..usize::from(*length))
    {
        match kind >> 4 {
            2 if body.last() == Some(&0) => answer.extend(mqtt_subscribe()),
            9 => on(News::Ready),
            3 => on(News::Told),
            _ => return Err(format!("an MQTT packet of kind {kind:#x} was not expected")),
        }
        let used = 2 + body.len();
        pending.drain(..used);
    }
    Ok(())
}

/// A clean session without keep-alive, so that idle means idle.
pub fn mqtt_connect(id: &str) -> Vec<u8> {
    let head = [&mqtt_text("MQTT")[..], &[4, 0b10, 0, 0]].concat();
    mqtt_packet(0x10, &[head, mqtt_text(id)].concat())
}

fn mqtt_subscribe() -> Vec<u8> {
    mqtt_packet(0x82, &[&[0, 1][..], &mqtt_text(TOPIC), &[0]].concat())
}

/// One message with QoS 0.
pub fn mqtt_publish() -> Vec<u8> {
    mqtt_packet(0x30, &[&mqtt_text(TOPIC)[..], b"shutdown\n"].concat())
}

fn mqtt_text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("our names are short");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn mqtt_packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).ok().filter(|length| *length < 128).expect("our packets are short");
    [&[kind, length][..], body].concat()
}
