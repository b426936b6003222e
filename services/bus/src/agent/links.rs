//! Links to other machines: what goes out is read with a durable cursor for each machine, what comes in is appended, and
//! acknowledged when it is kept. A slow machine holds up nobody: what it has not acknowledged is bounded, the rest stays
//! in the journal until it comes back for it.

use super::incoming::{self, Incoming};
use super::machine::{self, Flow};
use super::outbox::Outbox;
use super::owed::Owed;
use super::patterns::Patterns;
use super::{Shared, TO_SERVER, verbs};
use crate::carry;
use crate::journal::{Entry, Gap, Position, Start};
use crate::secure::Roles;
use protocol::event::{Batch, Event};
use protocol::fact::Fact;
use protocol::{Filter, HostName, Message, frame};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// All links.
pub(super) struct Links {
    shared: Rc<Shared>,
    links: BTreeMap<u64, Box<Link>>,
    /// What the last new link may say; nearly all may say the same.
    roles: Rc<Roles>,
    tell: UnboundedSender<News>,
    /// What peers missed and have not acknowledged to know.
    owed: Owed,
    outbox: Outbox,
}

/// What is seldom there is on the heap only while it is: thousands of links are idle.
struct Link {
    host: HostName,
    roles: Rc<Roles>,
    /// The name of its cursor.
    consumer: Rc<str>,
    /// What a follower asked for; before it has, nothing is read for it.
    filters: Option<Patterns>,
    /// How often it has asked.
    asking: u32,
    /// Nothing is read for it until its cursor is on the disk.
    settling: bool,
    flow: Flow,
    /// What it asked for while states were still told to it, or while it might not follow; the last time counts.
    asked: Option<Box<[String]>>,
    /// States that are told before anything else; there is at least one.
    states: Option<Box<States>>,
    /// Nothing is left for it in the journal before this place.
    seen: Position,
    incoming: Option<Box<Incoming>>,
}

/// How things are that a follower did not ask for before.
#[derive(Default)]
struct States(VecDeque<Arc<Entry>>);

/// What a task of a link has done.
pub(super) enum News {
    /// The batch of a peer with this number is in the journal.
    Appended(u64, u64),
    /// The cursor of a follower is on the disk: what it asked for, at this time of asking, can be read for it.
    Settled(u64, u32, Vec<Filter>),
}

impl Links {
    /// None yet, and what tasks of links will have done.
    pub(super) fn new(shared: Rc<Shared>) -> (Links, UnboundedReceiver<News>) {
        let (tell, news) = unbounded_channel();
        let (links, roles) = Default::default();
        let outbox = Outbox::new(shared.out.clone());
        let owed = Owed::open(&shared.settings.place);
        (Links { shared, links, roles, tell, owed, outbox }, news)
    }

    /// What follows from what a task of a link has done.
    pub(super) fn hear_news(&mut self, news: News) {
        match news {
            News::Appended(number, through) => self.kept_theirs(number, through),
            News::Settled(number, asked, filters) => self.settled(number, asked, filters),
        }
    }

    pub(super) fn up(&mut self, number: u64, host: HostName, roles: Roles, stranger: Option<IpAddr>) {
        if *self.roles != roles {
            self.roles = Rc::new(roles);
        }
        let roles = self.roles.clone();
        if let Some(link) = self.links.get_mut(&number).filter(|link| link.host == host) {
            link.roles = roles;
            return self.go_on(number);
        }
        let server = self.shared.settings.server;
        let consumer: Rc<str> = if server { format!("link:{host}").into() } else { TO_SERVER.into() };
        if stranger.is_some_and(|address| server && !self.shared.welcomes(&host, &consumer, address)) {
            return;
        }
        let start = if server { Start::Latest } else { Start::Earliest };
        if let Err(why) = self.shared.consume(&consumer, start) {
            return tracing::error!("no events for {host}: {why}");
        }
        // The cursor is one link's: what an older one took would wait for an answer that never comes.
        let older: Vec<u64> =
            self.links.iter().filter(|(_, link)| link.consumer == consumer).map(|(&older, _)| older).collect();
        older.into_iter().for_each(|older| self.down(older));
        self.shared.hosts.borrow_mut().insert(number, host.clone());
        let link = Link {
            host,
            roles,
            consumer,
            filters: None,
            asked: None,
            asking: 0,
            settling: false,
            flow: Flow::default(),
            states: None,
            seen: Position::START,
            incoming: None,
        };
        self.links.insert(number, Box::new(link));
        self.follow();
        self.pump(number);
        self.outbox.flush();
    }

    pub(super) fn down(&mut self, number: u64) {
        self.shared.hosts.borrow_mut().remove(&number);
        if let Some(link) = self.links.remove(&number) {
            self.owed.broke(&link.consumer);
            self.shared.saw(&link.consumer);
        }
    }

    /// A machine is not waited for any more.
    pub(super) fn forget(&mut self, host: &HostName) {
        let theirs: Vec<u64> = self.links.iter().filter(|(_, link)| link.host == *host).map(|(&it, _)| it).collect();
        theirs.into_iter().for_each(|number| self.down(number));
        self.owed.forget(&format!("link:{host}"));
        self.shared.forget_machine(host.as_str(), "is paired no longer");
    }

    pub(super) fn heard(&mut self, number: u64, message: Message) {
        match message {
            Message::Follow(filters) => self.asks(number, filters),
            Message::Events(batch) => self.take_in(number, batch),
            Message::Kept(through) => self.kept_ours(number, through),
            _ => {}
        }
    }

    /// Tells the server what this machine wants to hear.
    pub(super) fn follow(&self) {
        if self.shared.settings.server || self.links.is_empty() {
            return;
        }
        let filters = self.shared.wanted().iter().map(ToString::to_string).collect();
        let bytes: Arc<[u8]> = frame::encode(&Message::Follow(filters)).into();
        self.outbox.send(self.links.keys().copied().collect(), bytes);
    }

    /// Sends a peer what it may be sent now; then what it asked for when it could not be told is looked up.
    fn go_on(&mut self, number: u64) {
        self.pump(number);
        let is_free = |link: &&mut Box<Link>| link.roles.may_follow() && link.states.is_none() && !link.settling;
        let link = self.links.get_mut(&number).filter(is_free);
        if let Some(texts) = link.and_then(|link| link.asked.take()) {
            self.wants(number, &texts);
        }
        self.outbox.flush();
    }

    /// A follower asks for something else. While it has not taken what it asked for before, nothing is looked up for it.
    fn asks(&mut self, number: u64, texts: Vec<String>) {
        match self.links.get_mut(&number) {
            Some(link) if link.states.is_some() || link.settling => link.asked = Some(texts.into()),
            Some(_) => self.wants(number, &texts),
            None => {}
        }
    }

    /// A follower's patterns. How things are that it did not ask for before is told first.
    fn wants(&mut self, number: u64, texts: &[String]) {
        let Some(link) = self.links.get_mut(&number).filter(|_| self.shared.settings.server) else { return };
        if !link.roles.may_follow() {
            link.asked = Some(texts.into());
            let why = "it has no role to follow; give it `follow` in authorized_peers";
            self.shared.refused(&link.host, "", why);
            return;
        }
        let filters = match machine::filters(texts) {
            Ok(filters) => filters,
            Err(why) => {
                self.shared.refused(&link.host, "", &why);
                return;
            }
        };
        link.asked = None;
        link.asking = link.asking.wrapping_add(1);
        let (asked, before) = (link.asking, self.shared.subscriptions.of(&link.consumer));
        let is_more = before.is_some_and(|before| filters.iter().any(|filter| !before.contains(filter)));
        if !is_more {
            return self.follows(number, filters);
        }
        // The cursor has passed over what was not wanted. A crash that forgets so would bring that now, behind newer.
        link.settling = true;
        tokio::task::spawn_local(settle(self.shared.clone(), number, asked, filters, self.tell.clone()));
    }

    fn settled(&mut self, number: u64, asked: u32, filters: Vec<Filter>) {
        if self.links.get(&number).is_some_and(|link| link.asking == asked) {
            self.follows(number, filters);
            self.go_on(number);
        }
    }

    /// From here on a follower is sent what matches one of these.
    fn follows(&mut self, number: u64, filters: Vec<Filter>) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let wants = self.shared.subscriptions.follow(link.consumer.clone(), &filters);
        let before = link.filters.replace(wants);
        let is_fresh = |filter: &Filter| before.as_ref().is_none_or(|before| !before.contains(filter));
        let fresh: Vec<Filter> = filters.into_iter().filter(is_fresh).collect();
        (link.settling, link.seen) = (false, Position::START);
        let host = link.host.as_str();
        let states = self.shared.journal.latest(&|topic| fresh.iter().any(|filter| filter.matches(topic)));
        match states {
            Ok(states) => {
                // What lies behind comes in its turn: before what is older, it would pass that off as a repetition.
                let reached = self.shared.journal.reached(&link.consumer).unwrap_or_default();
                let is_to_be_told =
                    |entry: &Arc<Entry>| entry.position < reached && entry.record.key.node.as_str() != host;
                let of_others = states.into_iter().filter(is_to_be_told);
                let mut states = link.states.take().unwrap_or_default();
                states.0.extend(of_others);
                link.states = Some(states).filter(|states| !states.0.is_empty());
            }
            Err(why) => tracing::error!("{why}"),
        }
        self.pump(number);
        self.outbox.flush();
    }

    /// There is something new in the journal.
    pub(super) fn pump_all(&mut self) {
        let numbers: Vec<u64> = self.links.keys().copied().collect();
        numbers.into_iter().for_each(|number| self.pump(number));
        self.outbox.flush();
    }

    /// Sends a peer what it may be sent now.
    fn pump(&mut self, number: u64) {
        while let Some((entries, gap)) = self.next(number).or_else(|| self.owes(number)) {
            let bytes = entries.iter().map(|entry| carry::size(entry)).sum();
            let Some(link) = self.links.get_mut(&number) else { return };
            let positions = entries.iter().map(|entry| entry.position).collect();
            let through = link.flow.send(positions, bytes);
            // What an agent that was killed had found is told in the house, and to the peer only if it did not hear.
            if let Some(gap) = gap.filter(|&gap| !self.owed.knows(&link.consumer, gap)) {
                self.shared.missed(link.host.as_str(), gap.count());
            }
            let lost = self.owed.send(&link.consumer, through, gap);
            self.outbox.batch(number, through, entries, lost, self.shared.unix());
        }
    }

    /// A batch of nothing for a peer that is still to be told what it missed.
    fn owes(&self, number: u64) -> Option<(Vec<Arc<Entry>>, Option<Gap>)> {
        let link = self.links.get(&number).filter(|link| self.owed.is_due(&link.consumer))?;
        let server = self.shared.settings.server;
        let listens = !server || link.filters.is_some() && link.roles.may_follow();
        (listens && !link.settling && link.flow.room() > 0).then(|| (Vec::new(), None))
    }

    /// What comes next for a peer: the records, and where something that it may have wanted is lost.
    fn next(&mut self, number: u64) -> Option<(Vec<Arc<Entry>>, Option<Gap>)> {
        let shared = self.shared.clone();
        let link = self.links.get_mut(&number)?;
        let room = link.flow.room();
        let server = shared.settings.server;
        if room == 0 || link.settling || server && !link.roles.may_follow() {
            return None;
        }
        if let Some(states) = &mut link.states {
            let some = some_states(&mut states.0, room);
            link.states.take_if(|states| states.0.is_empty());
            return Some((some, None));
        }
        let (filters, host, own) = (link.filters.clone(), &link.host, &shared.settings.node);
        if server && filters.is_none() {
            return None;
        }
        let wanted = |entry: &Entry| match &filters {
            Some(filters) => {
                let topic = entry.record.subject.as_str();
                entry.record.key.node != *host && filters.matches(topic)
            }
            None => entry.record.key.node == *own,
        };
        let mut lost: Option<Gap> = None;
        while link.seen < shared.journal.next() {
            let batch = match shared.journal.take(&link.consumer, &wanted, room) {
                Ok(batch) => batch,
                Err(why) => {
                    tracing::error!("{why}");
                    break;
                }
            };
            let before = std::mem::replace(&mut link.seen, batch.next);
            lost = lost.into_iter().chain(batch.gap).reduce(Gap::and);
            if !batch.entries.is_empty() {
                return Some((batch.entries, lost));
            }
            if batch.next == before {
                break;
            }
        }
        lost.map(|lost| (Vec::new(), Some(lost)))
    }

    fn kept_ours(&mut self, number: u64, through: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        self.owed.kept(&link.consumer, through);
        for position in link.flow.kept(through) {
            if let Err(why) = self.shared.journal.acknowledge(&link.consumer, position) {
                tracing::error!("{why}");
            }
        }
        self.go_on(number);
    }

    fn take_in(&mut self, number: u64, batch: Batch) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if !link.incoming.get_or_insert_default().push(batch) {
            let why =
                format!("{} sends more events than this machine can keep; it does not wait for answers", link.host);
            self.outbox.refuse(number, why);
            return self.down(number);
        }
        self.append_next(number);
    }

    fn append_next(&mut self, number: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        link.incoming.take_if(|incoming| incoming.is_empty());
        let Some(batch) = link.incoming.as_mut().and_then(|incoming| incoming.next()) else { return };
        if batch.lost > 0 {
            self.shared.missed(self.shared.settings.node.as_str(), batch.lost);
        }
        let admitted = batch.events.into_iter().filter(|event| self.shared.admits(link, event)).collect();
        let (shared, tell, through) = (self.shared.clone(), self.tell.clone(), batch.through);
        tokio::task::spawn_local(async move {
            if incoming::append(&shared, admitted).await {
                let _ = tell.send(News::Appended(number, through));
            }
        });
    }

    /// What a peer sent is kept, and it is told so.
    fn kept_theirs(&mut self, number: u64, through: u64) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if let Some(incoming) = &mut link.incoming {
            incoming.kept();
        }
        self.outbox.send(vec![number], frame::encode(&Message::Kept(through)).into());
        self.append_next(number);
    }
}

/// As many states as fit.
pub(super) fn some_states(states: &mut VecDeque<Arc<Entry>>, room: usize) -> Vec<Arc<Entry>> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while let Some(entry) = states.pop_front_if(|entry| bytes == 0 || bytes + carry::size(entry) <= room) {
        bytes += carry::size(&entry);
        some.push(entry);
    }
    some
}

impl Shared {
    /// What this machine wants to hear of others.
    pub(super) fn wanted(&self) -> Vec<Filter> {
        let mut wanted = self.settings.follow.clone();
        let own = ["req/#", "res/#"].map(|rest| format!("{}/{rest}", self.settings.node));
        wanted.extend(own.iter().map(|text| Filter::parse(text).expect("a host name and a pattern")));
        wanted.extend(self.subscriptions.filters());
        wanted.extend(super::rows::filters(&self.hooked.borrow()));
        wanted.sort();
        wanted.dedup();
        // More than a server takes, or than fits into a frame: rather too much is heard than nothing.
        let bytes: usize = wanted.iter().map(|filter| filter.as_str().len()).sum();
        match wanted.len() > machine::MOST_FILTERS || bytes > machine::FRAME {
            true => vec![Filter::parse("#").expect("the pattern of all topics")],
            false => wanted,
        }
    }

    /// Whether an event of a peer is kept; if not, that is told. What a server sends is what it took in itself.
    fn admits(&self, link: &Link, event: &Event) -> bool {
        let verdict = match self.settings.server {
            true => machine::admit(event, &link.host, &link.roles).map(drop),
            false => machine::form(event).map(drop),
        };
        let Err(why) = verdict else { return true };
        if self.refused(&link.host, &event.topic, &why) && self.settings.server {
            verbs::refuse(self, &link.host, event, &why);
        }
        false
    }

    /// What a machine says is not kept. A machine that says such things without end is not told of without end; whether
    /// it was.
    pub(super) fn refused(&self, from: &HostName, topic: &str, why: &str) -> bool {
        if !self.refusals.borrow_mut().may_tell(from, protocol::Instant::at(self.began.elapsed())) {
            return false;
        }
        tracing::warn!("{from}: {why}");
        let topic = protocol::name::printable(topic.as_bytes());
        let fact = Fact::EventRefused { from: from.to_string(), about: topic, why: why.into() };
        self.clerk.tell(&self.settings.node, &fact);
        true
    }
}

/// Writes down how far everybody is. A disk that refuses is told; what is lost by a crash then is order, and no event.
async fn settle(shared: Rc<Shared>, number: u64, asked: u32, filters: Vec<Filter>, tell: UnboundedSender<News>) {
    if let Err(why) = shared.journal.settle().await {
        tracing::error!("{why}");
    }
    let _ = tell.send(News::Settled(number, asked, filters));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With more than that an allocator takes the next larger piece, for each of thousands of followers.
    #[test]
    fn a_link_is_no_larger_than_its_piece_of_memory() {
        assert!(size_of::<Link>() <= 120, "{} bytes", size_of::<Link>());
    }
}
