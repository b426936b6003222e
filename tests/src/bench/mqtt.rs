//! As much of MQTT 3.1.1 as a load generator needs, as cheap as it can be had.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The kinds of packets that a client hears.
pub const CONNACK: u8 = 2;
/// A message.
pub const PUBLISH: u8 = 3;
/// A message with QoS 1 has arrived.
pub const PUBACK: u8 = 4;
/// The subscription is made.
pub const SUBACK: u8 = 9;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A clean session without keep-alive, so that idle means idle.
pub fn connect(id: &str) -> Vec<u8> {
    let head = [&text("MQTT")[..], &[4, 0b10, 0, 0]].concat();
    packet(0x10, &[head, text(id)].concat())
}

/// One subscription.
pub fn subscribe(topic: &str, qos: u8) -> Vec<u8> {
    packet(0x82, &[&[0, 1][..], &text(topic), &[qos]].concat())
}

/// One message with QoS 0.
pub fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    packet(0x30, &[&text(topic)[..], payload].concat())
}

/// One message with QoS 1, under a number that is not zero.
pub fn publish_acked(topic: &str, number: u16, payload: &[u8]) -> Vec<u8> {
    packet(0x32, &[&text(topic)[..], &number.to_be_bytes(), payload].concat())
}

/// The answer to a message with QoS 1.
pub fn puback(number: [u8; 2]) -> [u8; 4] {
    [0x40, 2, number[0], number[1]]
}

/// Topic, number and payload of a message; without a number it has QoS 0.
type Message<'a> = (&'a [u8], Option<[u8; 2]>, &'a [u8]);

/// What is in a message.
pub fn message(kind: u8, body: &[u8]) -> Option<Message<'_>> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let (topic, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
    if kind & 0b110 == 0 {
        return Some((topic, None, rest));
    }
    rest.split_first_chunk::<2>().map(|(number, payload)| (topic, Some(*number), payload))
}

/// Takes the first whole packet off some bytes: its first byte, its body, and how many bytes it used up.
pub fn take(bytes: &[u8]) -> io::Result<Option<(u8, &[u8], usize)>> {
    let Some((&kind, rest)) = bytes.split_first() else { return Ok(None) };
    let mut length = 0usize;
    for (place, &byte) in rest.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            let body = rest[place + 1..].get(..length);
            return Ok(body.map(|body| (kind, body, 2 + place + length)));
        }
    }
    if rest.len() < 4 { Ok(None) } else { Err(io::Error::other("an MQTT packet is longer than any may be")) }
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("our names are short");
    [&length.to_be_bytes()[..], text.as_bytes()].concat()
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let (low, high) = (body.len() as u8 & 0x7f, u8::try_from(body.len() >> 7).expect("our packets are short"));
    let head: &[u8] = if high == 0 { &[kind, low] } else { &[kind, low | 0x80, high] };
    [head, body].concat()
}

/// A client on a socket that blocks.
pub struct Client {
    stream: TcpStream,
    heard: Vec<u8>,
}

impl Client {
    /// Connects and is answered.
    pub fn open(to: SocketAddr, id: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(to)?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream, heard: Vec::new() };
        client.say(&connect(id))?;
        client.await_kind(CONNACK)?;
        Ok(client)
    }

    /// Subscribes and is answered.
    pub fn subscribe(&mut self, topic: &str, qos: u8) -> io::Result<()> {
        self.say(&subscribe(topic, qos))?;
        self.await_kind(SUBACK)
    }

    /// Its socket, from here on.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends packets.
    pub fn say(&mut self, packets: &[u8]) -> io::Result<()> {
        self.stream.write_all(packets)
    }

    /// Waits for bytes, so long at most, and hands on the packets that are whole; false if the time is over.
    pub fn hear(&mut self, limit: Duration, mut on: impl FnMut(u8, &[u8])) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(limit))?;
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.heard.extend_from_slice(&bytes[..count]),
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => return Ok(false),
            Err(why) => return Err(why),
        }
        let mut used = 0;
        while let Some((kind, body, size)) = take(&self.heard[used..])? {
            on(kind, body);
            used += size;
        }
        self.heard.drain(..used);
        Ok(true)
    }

    fn await_kind(&mut self, wanted: u8) -> io::Result<()> {
        let mut seen = false;
        while !seen {
            if !self.hear(PATIENCE, |kind, _| seen |= kind >> 4 == wanted)? {
                return Err(io::Error::other("the broker does not answer"));
            }
        }
        Ok(())
    }
}
