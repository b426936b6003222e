//! mosquitto as an engine, set up as well as its manual allows: nothing is dropped for its number, and in stories in which
//! it ends, all is written to the disk at each change. What it does with Debian's own settings is measured by `torture`.

use super::engine::{Engine, From, Heard, Kind, Message, Session, Verdict};
use crate::World;
use crate::world::mosquitto::Mosquitto;
use crate::world::mqtt::packet::{Delivery, Introduction};
use crate::world::mqtt::{Mqtt, REFUSED};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

const SETTINGS: &str = "persistence true
max_queued_messages 100000
message_size_limit 32768
set_tcp_nodelay true
log_type error
log_type warning
log_type notice
";
/// It writes everything that it knows, each time; a thousand messages that wait take seconds.
const AT_EACH_CHANGE: &str = "autosave_on_changes true\nautosave_interval 1\n";
/// Seconds that a name outlives its link.
const LASTING: u32 = 3600;
/// Bytes that are published before the answers are waited for.
const AT_ONCE: usize = 16 * 1024;

/// mosquitto, and the machines that come and go there.
pub struct Broker {
    world: World,
    mosquitto: Mosquitto,
    machines: BTreeMap<String, Vec<Mqtt>>,
    boot: u64,
    sessions: u64,
}

impl Broker {
    /// A fresh one, for a story in which it ends, or not.
    pub fn start(ends: bool) -> Box<dyn Engine> {
        let world = World::new();
        let settings = format!("{SETTINGS}{}", if ends { AT_EACH_CHANGE } else { "" });
        let mosquitto = Mosquitto::start(&world, "mosquitto", &settings);
        Box::new(Self { world, mosquitto, machines: BTreeMap::new(), boot: 0, sessions: 0 })
    }

    /// mosquitto acknowledges first and writes its file at the end of the same turn of its loop; the answer to a ping
    /// comes in a later turn. Who kills it in between loses what was acknowledged, as `torture` shows.
    fn until_written(&self) {
        let mut nobody = self.mosquitto.connect(&Introduction { clean: true, ..Introduction::default() });
        nobody.ping().expect("mosquitto answers");
    }

    fn machine(&mut self, name: &str) -> Mqtt {
        self.boot += 1;
        let topic = format!("{name}/state");
        let word = |state: &str| format!("{{\"state\":\"{state}\",\"boot\":{}}}", self.boot).into_bytes();
        let will = Some((topic.clone(), word("offline")));
        let who = Introduction { client: format!("machine-{name}"), clean: true, session: 0, will };
        let mut mqtt = self.mosquitto.connect(&who);
        mqtt.publish(topic.as_bytes(), &word("online"), true, None).expect("mosquitto takes it");
        mqtt
    }
}

impl Engine for Broker {
    fn world(&self) -> &World {
        &self.world
    }

    fn speaker(&mut self, _node: &str) -> Box<dyn Session> {
        self.hearer(None)
    }

    fn hearers_node(&self) -> &'static str {
        "attic"
    }

    fn hearer(&mut self, name: Option<&str>) -> Box<dyn Session> {
        self.sessions += 1;
        let client = name.map_or(format!("nobody-{}", self.sessions), String::from);
        Box::new(Client::new(self.mosquitto.address(), client, name.is_some()))
    }

    fn kill(&mut self) {
        self.until_written();
        self.mosquitto.stop(Signal::SIGKILL);
        self.mosquitto.start_again();
    }

    fn restart(&mut self) {
        self.mosquitto.stop(Signal::SIGTERM);
        self.mosquitto.start_again();
    }

    fn machine_comes(&mut self, name: &str) {
        let mqtt = self.machine(name);
        self.machines.insert(name.into(), vec![mqtt]);
    }

    fn machine_dies(&mut self, name: &str) {
        self.machines.remove(name);
    }

    fn machine_leaves(&mut self, name: &str) {
        let topic = format!("{name}/state");
        let word = format!("{{\"state\":\"offline\",\"boot\":{}}}", self.boot);
        for mut mqtt in self.machines.remove(name).unwrap_or_default() {
            mqtt.publish(topic.as_bytes(), word.as_bytes(), true, None).expect("mosquitto takes it");
            mqtt.leave(0);
        }
    }

    fn machine_comes_over_a_new_link(&mut self, name: &str) {
        let mqtt = self.machine(name);
        self.machines.entry(name.into()).or_default().push(mqtt);
    }
}

/// A client of the broker.
struct Client {
    broker: SocketAddr,
    who: Introduction,
    lasts: bool,
    link: Option<Mqtt>,
    wanted: Option<(Vec<String>, From)>,
}

impl Client {
    fn new(broker: SocketAddr, client: String, lasts: bool) -> Self {
        let who = Introduction { client, clean: !lasts, session: if lasts { LASTING } else { 0 }, will: None };
        let mut client = Self { broker, who, lasts, link: None, wanted: None };
        client.connect();
        client
    }

    /// Connects; says whether the broker remembers the subscription.
    fn connect(&mut self) -> bool {
        let mqtt = Mqtt::connect(self.broker, &self.who).unwrap_or_else(|why| panic!("mosquitto: {why}"));
        self.link.insert(mqtt).present
    }

    fn link(&mut self) -> &mut Mqtt {
        self.link.as_mut().expect("a story speaks over a link that is there")
    }

    fn post(&mut self, message: &Message) -> io::Result<u16> {
        let retain = message.kind == Kind::State;
        self.link().post(&message.topic, &message.payload, retain, message.ttl)
    }

    fn answers(&mut self, posted: &mut Vec<io::Result<u16>>) -> Vec<Verdict> {
        let mut verdict = |id: io::Result<u16>| match id.and_then(|id| self.link().answer(id)) {
            Ok(code) if code < REFUSED => Verdict::Taken,
            _ => Verdict::Refused,
        };
        posted.drain(..).map(&mut verdict).collect()
    }
}

impl Session for Client {
    fn publish(&mut self, messages: &[Message]) -> Vec<Verdict> {
        let (mut verdicts, mut posted, mut bytes) = (Vec::new(), Vec::new(), 0);
        for message in messages {
            posted.push(self.post(message));
            bytes += message.payload.len() + message.topic.len();
            if bytes > AT_ONCE {
                verdicts.extend(self.answers(&mut posted));
                bytes = 0;
            }
        }
        verdicts.extend(self.answers(&mut posted));
        verdicts
    }

    fn publish_and_die(&mut self, messages: &[Message]) -> usize {
        let posted: Vec<u16> = messages.iter().map_while(|message| self.post(message).ok()).collect();
        let half = &posted[..posted.len() / 2];
        let taken = half.iter().take_while(|id| self.link().answer(**id).is_ok_and(|code| code < REFUSED)).count();
        self.cut();
        taken
    }

    fn subscribe(&mut self, filters: &[&str], from: From) -> Verdict {
        self.wanted = Some((filters.iter().map(|filter| (*filter).into()).collect(), from));
        match self.link().subscribe(filters, from == From::States) {
            Ok(code) if code < REFUSED => Verdict::Taken,
            _ => Verdict::Refused,
        }
    }

    fn next(&mut self, patience: Duration) -> Option<Heard> {
        let delivery = self.link().next(patience).unwrap_or_else(|why| panic!("the link ends: {why}"));
        let heard =
            |Delivery { id, topic, expiry, payload, .. }| Heard { topic, payload, ttl: expiry, number: u64::from(id) };
        delivery.map(heard)
    }

    fn done(&mut self, heard: &Heard) {
        let id = u16::try_from(heard.number).expect("a packet's number");
        if id != 0 {
            self.link().acknowledge(id).unwrap_or_else(|why| panic!("the link ends: {why}"));
        }
    }

    fn settle(&mut self) {
        self.link().ping().unwrap_or_else(|why| panic!("the link ends: {why}"));
    }

    fn cut(&mut self) {
        self.link = None;
    }

    fn come_back(&mut self) {
        self.cut();
        let remembered = self.connect();
        if let Some((filters, from)) = self.wanted.clone().filter(|_| !remembered) {
            let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
            assert_eq!(self.subscribe(&filters, from), Verdict::Taken, "it was taken before");
        }
    }

    fn forget(&mut self) {
        assert!(self.lasts, "nobody but a name can be forgotten");
        if let Some(link) = self.link.take() {
            link.leave(0);
        }
    }
}
