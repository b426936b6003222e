//! One client and one server, event by event. The client runs [`Presence`] as a real program does; the server does what
//! fserver does: it beats, answers probes, announces a restart, and expires a client that it has not heard for its lease.
//! A verdict is wrong if the server was alive and reachable by design of the story when it was passed.

use super::air::Air;
use super::client::Client;
use super::fixed::Fixed;
use super::life::Fate;
use super::models::Model;
use super::server::Server;
use super::tcp::{Packet, Stream};
use super::{Time, seconds};
use fastrand::Rng;
use protocol::{Epoch, ShutdownId};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What the two say to each other, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Word {
    Greeting,
    HelloLine(Epoch),
    HelloFrame,
    Beat,
    Echo,
    Prepare(ShutdownId),
    End,
}

/// Which end of a link something reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    Client,
    Server,
}

/// What happens at one instant. A number names the link or the attempt that it belongs to.
#[derive(Debug, Clone, Copy)]
pub enum Event {
    Segment(End, u32, Packet),
    Reset(u32),
    Beat(u32),
    Probe,
    Here(Epoch),
    OwnLink,
    Dial(u32),
    Syn(u32),
    SynArrives(u32),
    Connected(u32),
    Wakes,
    Fate(Fate),
}

/// Both directions of the present link.
pub struct Link {
    pub number: u32,
    pub to_client: Stream<Word>,
    pub to_server: Stream<Word>,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub hours: f64,
    pub deaths: u64,
    /// Verdicts `lost` on a server that lived.
    pub wrong: u64,
    /// Restarts called overdue though the server was back in time.
    pub overdue: u64,
    /// Times at which a client with POWER_OFF set, and without POWER_OFF_ON_LOST, would have powered off.
    pub power_offs: u64,
    /// How long each death took to be noticed, in nanoseconds.
    pub noticed: Vec<Time>,
    pub probes: u64,
    /// Each wrong verdict, with what it rested on.
    pub explanations: Vec<String>,
    pub fixed: Fixed,
}

pub struct World {
    pub now: Time,
    pub rng: Rng,
    pub air: Air,
    pub model: Model,
    pub link: Option<Link>,
    pub client: Client,
    pub server: Server,
    /// The server's machine is dead since then, and somebody has noticed.
    pub dead_since: Option<Time>,
    pub noticed: bool,
    /// The server's process was last not there at this instant.
    pub absent_at: Time,
    pub report: Report,
    queue: BinaryHeap<Reverse<(Time, u64, Keyed)>>,
    queued: u64,
    send: Vec<u64>,
    heard: Vec<Word>,
}

/// An event in the queue; time and order of arrival decide, so all events are alike.
struct Keyed(Event);

impl PartialEq for Keyed {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Keyed {}

impl PartialOrd for Keyed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Keyed {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Lives through this many hours of a model.
pub fn run(model: Model, hours: f64, seed: u64) -> Report {
    let mut world = World::new(model, seed);
    let end = seconds(hours * 3600.0);
    while world.step(end) {}
    world.report.hours = hours;
    world.report
}

impl World {
    fn new(model: Model, seed: u64) -> Self {
        let mut world = Self {
            now: 0,
            rng: Rng::with_seed(seed),
            air: Air::new(model.link),
            model,
            link: None,
            client: Client::new(),
            server: Server::new(),
            dead_since: None,
            noticed: false,
            absent_at: 0,
            report: Report::default(),
            queue: BinaryHeap::new(),
            queued: 0,
            send: Vec::new(),
            heard: Vec::new(),
        };
        world.at(0, Event::Dial(0));
        world.begin_fate();
        world
    }

    pub fn at(&mut self, at: Time, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, Keyed(event))));
    }

    /// The next thing that happens; `false` once it lies beyond the end. Of things at the same instant the machine's
    /// deadline comes first, which is the order that is hardest on it.
    fn step(&mut self, end: Time) -> bool {
        let queued = self.queue.peek().map_or(Time::MAX, |Reverse((at, ..))| *at);
        let tick = self.tick_due().unwrap_or(Time::MAX);
        let (end_of_patience, timer) = self.timer();
        self.now = self.now.max(tick.min(timer).min(queued));
        if self.now > end {
            return false;
        }
        if tick <= timer && tick <= queued {
            self.tick();
        } else if timer <= queued {
            self.retransmit(end_of_patience);
        } else if let Some(Reverse((_, _, Keyed(event)))) = self.queue.pop() {
            self.happens(event);
        }
        true
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Segment(to, link, packet) => self.segment(to, link, packet),
            Event::Reset(link) => self.client_reset(link),
            Event::Beat(link) => self.beat(link),
            Event::Probe => self.probed(),
            Event::Here(epoch) => self.here(epoch),
            Event::OwnLink => self.own_link(),
            Event::Dial(after) => self.dial(after),
            Event::Syn(attempt) => self.syn(attempt),
            Event::SynArrives(attempt) => self.syn_arrives(attempt),
            Event::Connected(attempt) => self.connected(attempt),
            Event::Wakes => self.wakes(),
            Event::Fate(fate) => self.strikes(fate),
        }
    }

    /// One packet over the air.
    pub fn carry(&mut self, event: Event) {
        if let Some(at) = self.air.carry(self.now, &mut self.rng) {
            self.at(at, event);
        }
    }

    // ---- the link ----

    /// Which sender's patience ends first, and when. A machine that is off has none.
    fn timer(&self) -> (End, Time) {
        let Some(link) = &self.link else { return (End::Client, Time::MAX) };
        let client = link.to_server.timer.unwrap_or(Time::MAX).max(self.client.machine_runs_at);
        let server = link.to_client.timer.filter(|_| self.air.server_on).unwrap_or(Time::MAX);
        if client < server { (End::Client, client) } else { (End::Server, server) }
    }

    fn retransmit(&mut self, from: End) {
        let (mut send, now) = (std::mem::take(&mut self.send), self.now);
        if let Some(link) = &mut self.link {
            link.from(from).timer_fires(now, &mut send);
        }
        self.transmit(from, send);
    }

    pub fn say(&mut self, from: End, word: Word) {
        let (mut send, now) = (std::mem::take(&mut self.send), self.now);
        if let Some(link) = &mut self.link {
            link.from(from).push(word, now, &mut send);
        }
        self.transmit(from, send);
    }

    fn transmit(&mut self, from: End, mut send: Vec<u64>) {
        let number = self.link.as_ref().map_or(0, |link| link.number);
        for segment in send.drain(..) {
            self.carry(Event::Segment(from.other(), number, Packet::Data(segment)));
        }
        self.send = send;
    }

    fn segment(&mut self, to: End, number: u32, packet: Packet) {
        if to == End::Server && !self.server.knows(number) {
            return self.carry(Event::Reset(number));
        }
        if self.link.as_ref().is_none_or(|link| link.number != number) || (to == End::Client && self.air.client_off) {
            return;
        }
        match packet {
            Packet::Data(segment) => self.data(to, number, segment),
            Packet::Ack { upto, early } => self.ack(to, upto, early),
        }
    }

    fn data(&mut self, to: End, number: u32, segment: u64) {
        let mut heard = std::mem::take(&mut self.heard);
        let Some(link) = &mut self.link else { return };
        let ack = link.from(to.other()).data_arrives(segment, &mut heard);
        self.carry(Event::Segment(to.other(), number, ack));
        for word in heard.drain(..) {
            match to {
                End::Client => self.client_hears(number, word),
                End::Server => self.server_hears(word),
            }
        }
        self.heard = heard;
    }

    fn ack(&mut self, to: End, upto: u64, early: u64) {
        let (mut send, now) = (std::mem::take(&mut self.send), self.now);
        if let Some(link) = &mut self.link {
            link.from(to).ack_arrives(upto, early, now, &mut send);
        }
        self.transmit(to, send);
    }
}

impl Link {
    /// The direction that begins at this end.
    fn from(&mut self, end: End) -> &mut Stream<Word> {
        match end {
            End::Client => &mut self.to_server,
            End::Server => &mut self.to_client,
        }
    }
}

impl End {
    fn other(self) -> Self {
        match self {
            End::Client => End::Server,
            End::Server => End::Client,
        }
    }
}

impl Report {
    /// Adds what came of another run.
    pub fn add(&mut self, other: Report) {
        self.hours += other.hours;
        self.deaths += other.deaths;
        self.wrong += other.wrong;
        self.overdue += other.overdue;
        self.power_offs += other.power_offs;
        self.probes += other.probes;
        self.explanations.extend(other.explanations);
        self.noticed.extend(other.noticed);
        for (index, noticed) in other.fixed.noticed.into_iter().enumerate() {
            self.fixed.wrong[index] += other.fixed.wrong[index];
            self.fixed.noticed[index].extend(noticed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{models, table};
    use super::*;

    #[test]
    fn a_seed_is_a_life() {
        let life = |seed| format!("{:?}", run(models::ALL[12], 8.0, seed));
        assert_eq!(life(1), life(1));
        assert_ne!(life(1), life(2));
    }

    #[test]
    fn on_a_clean_link_nobody_is_accused_and_every_death_is_noticed() {
        let report = run(models::ALL[0], 60.0, 1);
        assert_eq!((report.wrong, report.overdue, report.power_offs), (0, 0, 0), "{:?}", report.explanations);
        assert!(report.deaths > 10 && report.noticed.len() as u64 >= report.deaths - 1);
        assert!(table::percentile(&report.noticed, 1.0) < 4.5);
    }

    #[test]
    fn on_no_link_does_anybody_power_off() {
        for model in models::ALL {
            assert_eq!(run(model, 6.0, 7).power_offs, 0, "{}", model.name);
        }
    }
}
