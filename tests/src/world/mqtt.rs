//! A client of an MQTT broker that does nothing by itself: no connection is made again, nothing is said twice, and
//! nothing is acknowledged until the test says so.

pub mod packet;

use super::PATIENCE;
use super::pipe::Pipe;
use packet::{Delivery, Introduction, Packet};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Reason codes from here on are refusals.
pub const REFUSED: u8 = 0x80;

/// A connection to a broker.
pub struct Mqtt {
    pipe: Pipe<Packet>,
    /// Whether the broker had a session of that name.
    pub present: bool,
    last: u16,
    heard: VecDeque<Delivery>,
    answers: BTreeMap<u16, u8>,
}

impl Mqtt {
    /// Connects.
    ///
    /// # Errors
    /// There is no broker, or it refuses.
    pub fn connect(broker: SocketAddr, who: &Introduction) -> io::Result<Self> {
        let stream = TcpStream::connect(broker)?;
        stream.set_nodelay(true)?;
        let mut pipe = Pipe::new(stream, packet::take);
        pipe.say(&packet::connect(who), PATIENCE)?;
        match pipe.hear(PATIENCE)? {
            Some(Packet::Connected(present, code)) if code < REFUSED => {
                Ok(Self { pipe, present, last: 0, heard: VecDeque::new(), answers: BTreeMap::new() })
            }
            other => Err(io::Error::other(format!("the broker answers {other:?}"))),
        }
    }

    /// Publishes one message and waits for what becomes of it: its reason code.
    ///
    /// # Errors
    /// The connection is over.
    pub fn publish(&mut self, topic: &[u8], payload: &[u8], retain: bool, expiry: Option<u32>) -> io::Result<u8> {
        let id = self.post(topic, payload, retain, expiry)?;
        self.answer(id)
    }

    /// Publishes, and does not wait; [`Mqtt::answer`] tells what became of it.
    ///
    /// # Errors
    /// The connection is over.
    pub fn post(&mut self, topic: &[u8], payload: &[u8], retain: bool, expiry: Option<u32>) -> io::Result<u16> {
        let id = self.next_id();
        self.pipe.say(&packet::publish(id, topic, payload, retain, expiry), PATIENCE)?;
        Ok(id)
    }

    /// Subscribes to all of these and waits for the reason code.
    ///
    /// # Errors
    /// The connection is over.
    pub fn subscribe(&mut self, filters: &[&str], states: bool) -> io::Result<u8> {
        let id = self.next_id();
        self.pipe.say(&packet::subscribe(id, filters, states), PATIENCE)?;
        self.answer(id)
    }

    /// The next message; nothing if none comes in time.
    ///
    /// # Errors
    /// The connection is over.
    pub fn next(&mut self, patience: Duration) -> io::Result<Option<Delivery>> {
        while self.heard.is_empty() && self.hear(patience)? {}
        Ok(self.heard.pop_front())
    }

    /// A message was taken.
    ///
    /// # Errors
    /// The connection is over.
    pub fn acknowledge(&mut self, id: u16) -> io::Result<()> {
        self.pipe.say(&packet::acknowledge(id), PATIENCE)
    }

    /// Asks for a sign of life and waits for it: all that was said before has been seen to.
    ///
    /// # Errors
    /// The connection is over.
    pub fn ping(&mut self) -> io::Result<()> {
        self.pipe.say(&packet::ping(), PATIENCE)?;
        self.answer(0).map(drop)
    }

    /// Ends the connection; the session lasts so many seconds more.
    pub fn leave(mut self, session: u32) {
        let _ = self.pipe.say(&packet::goodbye(session), PATIENCE);
        while matches!(self.hear(PATIENCE), Ok(true)) {}
    }

    /// The reason code for what has this number.
    ///
    /// # Errors
    /// The connection is over, or the answer does not come.
    pub fn answer(&mut self, id: u16) -> io::Result<u8> {
        loop {
            if let Some(code) = self.answers.remove(&id) {
                return Ok(code);
            }
            if !self.hear(PATIENCE)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("the broker does not answer number {id}")));
            }
        }
    }

    fn next_id(&mut self) -> u16 {
        self.last = self.last.checked_add(1).unwrap_or(1);
        self.last
    }

    /// Takes one packet; says whether there was one in time.
    fn hear(&mut self, patience: Duration) -> io::Result<bool> {
        let Some(packet) = self.pipe.hear(patience)? else { return Ok(false) };
        match packet {
            Packet::Message(delivery) => self.heard.push_back(delivery),
            Packet::Published(id, code) | Packet::Subscribed(id, code) => drop(self.answers.insert(id, code)),
            Packet::Pong => drop(self.answers.insert(0, 0)),
            Packet::Goodbye(code) => {
                return Err(io::Error::other(format!("the broker ends the link, reason {code:#x}")));
            }
            Packet::Connected(..) => return Err(io::Error::other("a second answer to one connection")),
        }
        Ok(true)
    }
}
