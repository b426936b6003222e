//! One program at the door. What it publishes is answered in order; what it subscribed to is sent as fast as it reads,
//! and never faster, so a program that does not read costs one read of the journal and holds up nobody.

use super::links::some_states;
use super::{Shared, record_now, report};
use crate::carry::Carried;
use crate::journal::{Appended, Entry, Failure, Gap, Position, Start};
use protocol::door::{Ask, From, Subscribe, Tell};
use protocol::event::Event;
use protocol::topic::Kind;
use protocol::{Filter, frame};
use runner::framing;
use serde::{Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::task::coop::consume_budget;

type Reader = framing::Reader<OwnedReadHalf>;

/// One sending carries about so many bytes of events.
const SENDING: usize = 24 * 1024;
/// So many answers may wait; a program that asks for more without reading is let go.
const MOST_ANSWERS: usize = 4096;

/// After the disk has refused a subscription.
const PAUSE: Duration = Duration::from_secs(1);

/// Why there is no subscription.
enum Trouble {
    /// It may work later.
    Now(String),
    /// It never will.
    Ever(String),
}

/// A connection.
#[derive(Debug)]
struct Connection {
    shared: Rc<Shared>,
    number: u64,
    write: OwnedWriteHalf,
    answers: RefCell<VecDeque<Tell>>,
    subscription: RefCell<Option<Subscription>>,
    /// The cursor of the subscription has to be on the disk and is not yet.
    is_unsettled: Cell<bool>,
    /// What the socket has not taken yet.
    out: RefCell<Vec<u8>>,
    /// The last word is in it, or was sent.
    is_over: Cell<bool>,
    /// Something is to be sent.
    news: Notify,
}

/// The programs that have subscribed. What is new is sent to them by whoever brings it; what a full socket does not take
/// then, by their own tasks.
#[derive(Debug, Default)]
pub(super) struct Listeners(RefCell<BTreeMap<u64, Weak<Connection>>>);

impl Listeners {
    /// Sends each what is new, as much as it takes now.
    pub(super) fn tell(&self) {
        for connection in self.0.borrow().values().filter_map(Weak::upgrade) {
            if !connection.has_heard_all() {
                connection.send_now();
            }
        }
    }
}

impl std::convert::From<Failure> for Trouble {
    fn from(why: Failure) -> Trouble {
        if why.is_temporary() { Trouble::Now(why.to_string()) } else { Trouble::Ever(why.to_string()) }
    }
}

/// Returns when the other end has gone; never, if it has said something more.
async fn gone(read: &mut Reader) {
    if read.more().await.is_ok_and(|more| more) {
        std::future::pending::<()>().await;
    }
}

/// What a program is told.
#[derive(Debug)]
struct Subscription {
    /// The name of its cursor, if it has one.
    consumer: Option<Rc<str>>,
    filters: Rc<[Filter]>,
    /// It has got everything before; set back when it wants something again.
    next: Position,
    /// States that are told first.
    states: VecDeque<Arc<Entry>>,
    /// Here the past ends.
    past: Option<Position>,
}

/// Serves one program until it goes.
pub(super) async fn serve(shared: Rc<Shared>, stream: UnixStream, number: u64, _here: Rc<()>) {
    let (read, write) = stream.into_split();
    let this = Rc::new(Connection {
        shared,
        number,
        write,
        answers: RefCell::default(),
        subscription: RefCell::default(),
        is_unsettled: Cell::default(),
        out: RefCell::default(),
        is_over: Cell::default(),
        news: Notify::new(),
    });
    let ended = tokio::select! {
        biased;
        ended = this.listen(Reader::new(read)) => ended,
        ended = this.speak() => ended,
    };
    if let Err(why) = ended {
        tracing::debug!("a program at the door of the bus: {why}");
    }
    this.leave();
}

impl Connection {
    async fn listen(self: &Rc<Self>, mut read: Reader) -> io::Result<()> {
        loop {
            let end = self.shared.journal.next();
            loop {
                match read.take::<Ask>() {
                    Ok(None) => break,
                    Err(why) => return self.fail(why.to_string()).await,
                    Ok(Some(ask)) => {
                        if let Err(why) = self.obey(ask, &mut read).await {
                            return self.fail(why).await;
                        }
                    }
                }
            }
            // What was kept leaves for whoever follows before its publisher has the answer.
            if self.shared.journal.next() != end {
                self.shared.listeners.tell();
            }
            self.send_now();
            if self.answers.borrow().len() > MOST_ANSWERS {
                return Err(io::Error::other("it reads no answers"));
            }
            if !read.more().await? {
                return Ok(());
            }
        }
    }

    /// Tells what is wrong, and ends when that has been sent or the other end has gone.
    async fn fail(&self, why: String) -> io::Result<()> {
        tracing::warn!("a program at the door of the bus is let go: {why}");
        self.answer(Tell::Error(why));
        self.news.notify_one();
        std::future::pending().await
    }

    /// It is sent when all that was read is obeyed.
    fn answer(&self, tell: Tell) {
        self.answers.borrow_mut().push_back(tell);
    }

    async fn obey(self: &Rc<Self>, ask: Ask, read: &mut Reader) -> Result<(), String> {
        match ask {
            Ask::Hello(program) => self.welcome(&program),
            Ask::Publish(events) => self.publish(events).await,
            Ask::Subscribe(subscribe) => self.subscribe_when_it_can(&subscribe, read).await?,
            Ask::Done(positions) => {
                self.done(&positions, |name, position| self.shared.journal.acknowledge(name, position).map(drop))?
            }
            Ask::Again(positions) => {
                self.done(&positions, |name, position| self.shared.journal.give_back(name, position).map(drop))?;
                self.subscription.borrow_mut().iter_mut().for_each(|it| it.next = Position::START);
            }
            Ask::Forget(name) => self.forget(&name)?,
            Ask::Queue => report::queue(&self.shared).await.into_iter().for_each(|part| self.answer(part)),
            Ask::Health => self.answer(Tell::Health(report::health(&self.shared))),
            Ask::Room => self.answer(Tell::Room(self.shared.fill().most)),
        }
        Ok(())
    }

    fn welcome(&self, program: &str) {
        tracing::debug!("at the door of the bus: {}", protocol::name::printable(program.as_bytes()));
        let settings = &self.shared.settings;
        let (node, agent, epoch) = (settings.node.clone(), settings.program.clone(), settings.epoch);
        self.answer(Tell::Welcome { node, agent, epoch });
    }

    async fn publish(&self, events: Vec<Event>) {
        let mut verdicts: Vec<Option<String>> = Vec::with_capacity(events.len());
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let objection = self.objection(&event);
            if objection.is_none() {
                records.push(record_now(event));
            }
            verdicts.push(objection);
        }
        if records.iter().any(|record| record.class.durable) {
            // What waits for the disk keeps no answer back.
            self.send_now();
        }
        let answers = self.shared.journal.append_all(records).await;
        let mut answers = answers.unwrap_or_default().into_iter();
        let mut kept = 0;
        for verdict in verdicts {
            let refused = match verdict {
                Some(why) => Some((why, false)),
                None => refusal(answers.next().unwrap_or(Err(Failure::Closed))),
            };
            let Some((why, temporary)) = refused else {
                kept += 1;
                continue;
            };
            if std::mem::take(&mut kept) > 0 {
                self.answer(Tell::Kept(kept));
            }
            self.answer(Tell::Refused { why, temporary });
        }
        if kept > 0 {
            self.answer(Tell::Kept(kept));
        }
    }

    /// Why an event of a program of this machine is not kept.
    fn objection(&self, event: &Event) -> Option<String> {
        let node = &self.shared.settings.node;
        let topic = match super::machine::form(event) {
            Ok(topic) => topic,
            Err(why) => return Some(why),
        };
        // The server would not take it; so it is refused while its program is still there to hear it.
        if topic.node != *node && !matches!(topic.kind, Kind::Request(_) | Kind::Reply(_)) {
            return Some(format!(
                "this machine, {node}, does not speak for {}; begin the topic with {node}",
                topic.node
            ));
        }
        (event.id.node != *node).then(|| format!("an event of {}; this machine is {node}", event.id.node))
    }

    /// Subscribes; on a disk that refuses, as often as that takes, or until the program goes.
    async fn subscribe_when_it_can(self: &Rc<Self>, subscribe: &Subscribe, read: &mut Reader) -> Result<(), String> {
        let mut told = false;
        self.send_now();
        loop {
            let why = match self.subscribe(subscribe).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Ever(why)) => return Err(why),
                Err(Trouble::Now(why)) => why,
            };
            if !std::mem::replace(&mut told, true) {
                tracing::error!("a subscription waits: {why}");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = gone(read) => return Ok(()),
            }
        }
    }

    async fn subscribe(self: &Rc<Self>, subscribe: &Subscribe) -> Result<(), Trouble> {
        let Subscribe { name, filters, from } = subscribe;
        let filters = super::machine::filters(filters).map_err(Trouble::Ever)?;
        let journal = &self.shared.journal;
        let end = journal.next();
        let consumer = name.as_ref().map(|name| Rc::<str>::from(format!("sub:{name}")));
        match (name, &consumer) {
            (Some(name), Some(consumer)) => {
                let start = if *from == From::Oldest { Start::Earliest } else { Start::Latest };
                self.shared.subscriptions.take(consumer, self.number);
                let before = self.shared.subscriptions.of(consumer).unwrap_or_default();
                let is_more = filters.iter().any(|filter| !before.contains(filter));
                // Before there is a cursor: what nobody asks the server for is passed over by it.
                let kept = self.shared.subscriptions.keep(name, filters.clone());
                kept.map_err(|why| {
                    Trouble::Now(format!("the subscription {name} cannot be kept: {why}; make room on that disk"))
                })?;
                self.is_unsettled.set(self.is_unsettled.get() | self.shared.consume(consumer, start)? | is_more);
                if self.is_unsettled.get() {
                    // What comes from here on waits for it, and nothing that it did not want before, whatever is killed
                    // then: its cursor is written first.
                    journal.settle().await?;
                    self.is_unsettled.set(false);
                }
            }
            _ => self.shared.subscriptions.add(self.number, filters.clone()),
        }
        let states = match from {
            From::States => journal.latest(&|topic| filters.iter().any(|filter| filter.matches(topic))),
            From::Next | From::Oldest => Ok(Vec::new()),
        };
        let states = states?.into();
        // A cursor knows its place better.
        let next = if *from == From::Oldest || consumer.is_some() { Position::START } else { end };
        *self.subscription.borrow_mut() =
            Some(Subscription { consumer, filters: filters.into(), next, states, past: Some(end) });
        self.shared.listeners.0.borrow_mut().insert(self.number, Rc::downgrade(self));
        self.shared.wants.send_replace(());
        Ok(())
    }

    fn done(&self, positions: &[u64], each: impl Fn(&str, Position) -> Result<(), Failure>) -> Result<(), String> {
        let consumer = self.subscription.borrow().as_ref().and_then(|subscription| subscription.consumer.clone());
        let consumer = consumer.ok_or("only events of a subscription with a name are acknowledged; give it one")?;
        positions.iter().try_for_each(|&at| each(&consumer, Position(at))).map_err(|why| why.to_string())
    }

    fn forget(&self, name: &str) -> Result<(), String> {
        let consumer = format!("sub:{name}");
        self.subscription.borrow_mut().take_if(|subscription| subscription.consumer.as_deref() == Some(&*consumer));
        let known = self.shared.subscriptions.forget(name).map_err(|why| why.to_string())?;
        // A name without a cursor was told of below.
        let _ = self.shared.journal.forget(&consumer);
        self.shared.wants.send_replace(());
        match known {
            true => self.answer(Tell::Kept(0)),
            false => {
                let known = self.shared.subscriptions.names().join(", ");
                let why = format!("there is no subscription `{name}`; there are: {known}");
                self.answer(Tell::Refused { why, temporary: false });
            }
        }
        Ok(())
    }

    fn leave(&self) {
        self.shared.listeners.0.borrow_mut().remove(&self.number);
        if self.shared.subscriptions.end(self.number) {
            self.shared.wants.send_replace(());
        }
    }

    /// Sends what others could not, until the last word is sent.
    async fn speak(&self) -> io::Result<()> {
        loop {
            let is_said = self.send()?;
            match self.is_over.get() {
                true if is_said => return Ok(()),
                _ if is_said => self.news.notified().await,
                _ => self.write.writable().await?,
            }
            // A program that takes whatever it is sent does not keep the others of this thread waiting.
            consume_budget().await;
        }
    }

    /// Sends some of what is to be said, unless the socket is full; what is left is sent by [`Connection::speak`].
    fn send_now(&self) {
        if !self.send().unwrap_or(false) {
            self.news.notify_one();
        }
    }

    /// The same; whether nothing is left.
    fn send(&self) -> io::Result<bool> {
        let mut out = self.out.borrow_mut();
        if out.is_empty() && !self.is_over.get() {
            self.put_events(&mut out)?;
            self.put_answers(&mut out);
        }
        if out.is_empty() {
            return Ok(true);
        }
        match self.write.try_write(&out) {
            Ok(count) => drop(out.drain(..count)),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(why) => return Err(why),
        }
        out.shrink_to(4 * SENDING);
        Ok(out.is_empty() && self.answers.borrow().is_empty() && self.has_heard_all())
    }

    fn has_heard_all(&self) -> bool {
        self.subscription.borrow().as_ref().is_none_or(|subscription| subscription.has_heard_all(&self.shared))
    }

    /// All answers.
    fn put_answers(&self, bytes: &mut Vec<u8>) {
        for tell in self.answers.borrow_mut().drain(..) {
            self.is_over.set(self.is_over.get() | matches!(tell, Tell::Error(_)));
            frame::put(bytes, &tell);
        }
    }

    /// The next events, if there are any.
    fn put_events(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut place = self.subscription.borrow_mut();
        let Some(subscription) = place.as_mut().filter(|it| !it.has_heard_all(&self.shared)) else { return Ok(()) };
        if let Some(name) = &subscription.consumer
            && !self.shared.subscriptions.has(name, self.number)
        {
            let name = name.strip_prefix("sub:").unwrap_or(name);
            let remedy = "give each program a name of its own";
            self.answer(Tell::Error(format!("another program has taken the subscription `{name}`; {remedy}")));
            *place = None;
            return Ok(());
        }
        let (entries, gap) = subscription.next(&self.shared).map_err(io::Error::other)?;
        if let Some(gap) = gap {
            frame::put(bytes, &Tell::Missed(gap.count()));
        }
        if !entries.is_empty() {
            frame::put(bytes, &Events(&entries, self.shared.unix()));
        }
        if subscription.has_caught_up(&self.shared) {
            subscription.past = None;
            frame::put(bytes, &Tell::Live);
        }
        Ok(())
    }
}

impl Subscription {
    fn next(&mut self, shared: &Shared) -> Result<(Vec<Arc<Entry>>, Option<Gap>), Failure> {
        if !self.states.is_empty() {
            return Ok((some_states(&mut self.states, SENDING), None));
        }
        let end = shared.journal.next();
        let filters = self.filters.clone();
        let wanted = |entry: &Entry| filters.iter().any(|filter| filter.matches(&entry.record.subject));
        let mut gap = None;
        loop {
            let batch = match &self.consumer {
                Some(name) => shared.journal.take(name, &wanted, SENDING)?,
                None if self.next >= end => return Ok((Vec::new(), gap)),
                None => shared.journal.read(self.next, &wanted, SENDING)?,
            };
            let stuck = batch.next == self.next && batch.entries.is_empty();
            self.next = batch.next;
            gap = gap.into_iter().chain(batch.gap).reduce(Gap::and);
            if !batch.entries.is_empty() || self.next >= end || stuck {
                return Ok((batch.entries, gap));
            }
        }
    }

    /// Whether there is nothing more for it.
    fn has_heard_all(&self, shared: &Shared) -> bool {
        self.past.is_none() && self.states.is_empty() && self.next >= shared.journal.next()
    }

    fn has_caught_up(&self, shared: &Shared) -> bool {
        let end = shared.journal.next();
        self.states.is_empty() && self.past.is_some_and(|past| self.next >= past.min(end))
    }
}

/// [`Tell::Events`] without a copy of the events.
struct Events<'a>(&'a [Arc<Entry>], u64);

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let events: Vec<(u64, Carried<'_>)> =
            self.0.iter().map(|entry| (entry.position.0, Carried(entry, self.1))).collect();
        serializer.serialize_newtype_variant("Tell", protocol::door::EVENTS, "Events", &events)
    }
}

/// Why an append was refused, and whether it may work later.
fn refusal(answer: Result<Appended, Failure>) -> Option<(String, bool)> {
    answer.err().map(|why| (why.to_string(), why.is_temporary()))
}
