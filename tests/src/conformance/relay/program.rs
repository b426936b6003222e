//! A program at a door.

use crate::conformance::engine::{From, Heard, Kind, Message, Session, Verdict};
use crate::world::door::Door;
use protocol::door::{self, Ask, Subscribe, Tell};
use protocol::event::{Body, Class, Event, EventId, Keep};
use protocol::topic::Filter;
use protocol::{Epoch, HostName};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Bytes of events in one frame.
const AT_ONCE: usize = 24 * 1024;
/// How long a satellite may take to tell the server what it wants.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(30);
/// What machines say of themselves; no story is about it unless it asks for it by name.
const OF_ITSELF: [&str; 4] = ["+/state", "+/evt/presence/#", "+/evt/host/#", "+/st/host/#"];

/// One program.
pub(super) struct Program {
    door: PathBuf,
    name: Option<String>,
    /// The server's door and a number: what is asked for at a satellite has to reach the server first.
    far: Option<(PathBuf, u64)>,
    link: Option<Door>,
    epoch: Epoch,
    sequence: u64,
    last: Option<Event>,
    wanted: Option<(Vec<String>, From)>,
    /// Its name was.
    forgotten: bool,
    ready: VecDeque<Heard>,
    /// What it was done with. An agent that is killed forgets the last second of acknowledgements; that an event which
    /// comes again is no news is known here, as `bus::client` knows it.
    finished: BTreeSet<u64>,
}

impl Program {
    pub(super) fn at(door: PathBuf) -> Self {
        let link = Some(Door::connect_soon(&door));
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let epoch = Epoch(u64::try_from(since.as_nanos()).expect("it is before 2554"));
        let (wanted, ready, finished) = (None, VecDeque::new(), BTreeSet::new());
        Self {
            door,
            name: None,
            far: None,
            link,
            epoch,
            sequence: 0,
            last: None,
            wanted,
            forgotten: false,
            ready,
            finished,
        }
    }

    pub(super) fn named(self, name: Option<&str>) -> Self {
        Self { name: name.map(String::from), ..self }
    }

    pub(super) fn far_from(self, server: PathBuf, number: u64) -> Self {
        Self { far: Some((server, number)), ..self }
    }

    fn link(&mut self) -> &mut Door {
        self.link.as_mut().expect("a story speaks over a link that is there")
    }

    fn event(&mut self, message: &Message, node: HostName) -> Event {
        self.sequence += 1;
        let keep = if message.kind == Kind::State { Keep::LatestPerSubject } else { Keep::All };
        Event {
            id: EventId { node, epoch: self.epoch, sequence: self.sequence },
            class: Class { keep, durable: true },
            topic: String::from_utf8_lossy(&message.topic).into_owned(),
            ttl: message.ttl,
            body: Body(message.payload.clone()),
        }
    }

    /// Sends these; how many frames there were.
    fn post(&mut self, messages: &[Message]) -> io::Result<()> {
        let node = self.link().node.clone();
        let (mut events, mut bytes) = (Vec::new(), 0);
        for message in messages {
            let event = self.event(message, node.clone());
            if !events.is_empty() && bytes + event.size() > AT_ONCE {
                self.link().say(&Ask::Publish(std::mem::take(&mut events)))?;
                bytes = 0;
            }
            bytes += event.size();
            events.push(event);
        }
        self.last = events.last().cloned();
        self.link().say(&Ask::Publish(events))
    }

    /// What becomes of the next ones that were published.
    fn answered(&mut self) -> io::Result<Vec<Verdict>> {
        match self.link().answer()? {
            Tell::Kept(count) => Ok(vec![Verdict::Taken; count as usize]),
            Tell::Refused { .. } => Ok(vec![Verdict::Refused]),
            other => Err(io::Error::other(format!("an answer that is none: {other:?}"))),
        }
    }

    /// Asks the agent; and if this is a satellite whose server does not know yet what it wants, says things at the server
    /// until one of them is heard here.
    fn ask(&mut self, filters: &[String], from: From, known: bool) -> io::Result<()> {
        let from = if from == From::States { door::From::States } else { door::From::Next };
        let probe = self.far.as_ref().map(|(_, number)| format!("attic/evt/display/probe-{number}"));
        let filters = filters.iter().cloned().chain(probe.clone()).collect();
        let name = self.name.clone();
        self.link().subscribe(Subscribe { name, filters, from })?;
        match (probe, self.far.clone()) {
            (Some(probe), Some((server, _))) if !known => self.until_heard(&probe, server),
            _ => Ok(()),
        }
    }

    fn until_heard(&mut self, probe: &str, server: PathBuf) -> io::Result<()> {
        let (mut prober, start) = (Program::at(server), Instant::now());
        let word = Message { topic: probe.into(), payload: b"{}".into(), kind: Kind::Event, ttl: None };
        while start.elapsed() < PATIENCE {
            prober.publish(std::slice::from_ref(&word));
            while let Some((number, event)) = self.link().next(PAUSE)? {
                if event.topic == probe {
                    self.finish(number)?;
                    return Ok(());
                }
                let news = self.news(number, event)?;
                self.ready.extend(news);
            }
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "what the server says is not heard at the satellite"))
    }

    /// An event as a story hears it, if it is one that stories hear.
    fn news(&mut self, number: u64, event: Event) -> io::Result<Option<Heard>> {
        let Event { topic, ttl, body, .. } = event;
        if topic.contains("/evt/display/probe-") || self.finished.contains(&number) || self.is_of_itself(&topic) {
            self.finish(number)?;
            return Ok(None);
        }
        Ok(Some(Heard { topic, payload: body.0, ttl, number }))
    }

    fn is_of_itself(&self, topic: &str) -> bool {
        let asked = self.wanted.iter().flat_map(|(filters, _)| filters).any(|filter| filter.ends_with("/state"));
        let matches = |filter: &str| Filter::parse(filter).is_ok_and(|filter| filter.matches(topic));
        !asked && OF_ITSELF.iter().any(|filter| matches(filter))
    }

    fn finish(&mut self, number: u64) -> io::Result<()> {
        if self.name.is_none() {
            return Ok(());
        }
        self.finished.insert(number);
        self.link().say(&Ask::Done(vec![number]))
    }
}

impl Session for Program {
    fn publish(&mut self, messages: &[Message]) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let posted = self.post(messages);
        while posted.is_ok() && verdicts.len() < messages.len() {
            match self.answered() {
                Ok(some) => verdicts.extend(some),
                Err(_) => break,
            }
        }
        verdicts.resize(messages.len(), Verdict::Refused);
        verdicts
    }

    fn repeat(&mut self) -> Verdict {
        let last = self.last.clone().expect("something was said");
        let answer = self.link().say(&Ask::Publish(vec![last])).and_then(|()| self.answered());
        answer.map_or(Verdict::Refused, |verdicts| verdicts[0])
    }

    fn publish_and_die(&mut self, messages: &[Message]) -> usize {
        let mut taken = 0;
        if self.post(messages).is_ok() {
            while taken < messages.len() / 2 {
                let Ok(some) = self.answered() else { break };
                taken += some.len();
            }
        }
        self.cut();
        taken
    }

    fn subscribe(&mut self, filters: &[&str], from: From) -> Verdict {
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).into()).collect();
        self.wanted = Some((filters.clone(), from));
        match self.ask(&filters, from, false) {
            Ok(()) => Verdict::Taken,
            Err(_) => Verdict::Refused,
        }
    }

    fn next(&mut self, patience: Duration) -> Option<Heard> {
        let start = Instant::now();
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Some(heard);
            }
            let left = patience.saturating_sub(start.elapsed());
            let next = self.link().next(left).unwrap_or_else(|why| panic!("the link ends: {why}"));
            let (number, event) = next?;
            let news = self.news(number, event).unwrap_or_else(|why| panic!("the link ends: {why}"));
            self.ready.extend(news);
        }
    }

    fn done(&mut self, heard: &Heard) {
        self.finish(heard.number).unwrap_or_else(|why| panic!("the link ends: {why}"));
    }

    fn settle(&mut self) {
        self.link().queue().unwrap_or_else(|why| panic!("the link ends: {why}"));
    }

    fn cut(&mut self) {
        self.link = None;
        self.ready.clear();
    }

    fn come_back(&mut self) {
        self.cut();
        self.link = Some(Door::connect_soon(&self.door));
        if let Some((filters, from)) = self.wanted.clone() {
            let known = self.name.is_some() && !std::mem::take(&mut self.forgotten);
            let asked = self.ask(&filters, from, known);
            asked.unwrap_or_else(|why| panic!("what was taken before is refused: {why}"));
        }
    }

    fn forget(&mut self) {
        let name = self.name.clone().expect("nobody but a name can be forgotten");
        let forgotten = self.link().say(&Ask::Forget(name)).and_then(|()| self.link().answer());
        assert!(matches!(forgotten, Ok(Tell::Kept(0))), "{forgotten:?}");
        self.finished.clear();
        self.forgotten = true;
        self.cut();
    }
}
