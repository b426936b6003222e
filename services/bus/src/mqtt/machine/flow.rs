//! What goes to the broker, in order, and what its answers settle. So many are under way at a time; each keeps what it
//! takes to send it again.
//!
//! An event that a broker ends the connection for would end each next one, and nothing behind it would ever arrive. So
//! what was the first under way when a connection ended goes alone the next time, and is set aside if that ends several
//! connections in a row.

use super::{Action, Greeting};
use crate::journal::Position;
use protocol::Instant;
use protocol::event::EventId;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// So many are under way at a time: mosquitto lets a client have 20.
pub const WINDOW: usize = 16;
/// After a broker has said that it cannot take something now.
pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// So many connections have to end while the same event is the only one under way, before it is set aside.
const MOST_ENDS: u32 = 3;
/// So often something is sent of which the broker does not say whether it ever takes it.
const MOST_TRIES: u32 = 12;
/// So many events that were set aside are remembered, as a broker that forgets what it kept is told states again.
const MOST_ASIDE: usize = 64;
/// What a packet takes beside topic and payload, at most: its header and properties.
const ENVELOPE: usize = 512;

/// Names a publication until the broker has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(pub u64);

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// Where.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// The broker is to keep it for whoever comes later.
    pub keep: bool,
    /// So many seconds it is worth something.
    pub expires: Option<u32>,
    /// Which event it is.
    pub id: Option<EventId>,
    /// What the asker recognizes his reply by.
    pub correlation: Option<Vec<u8>>,
}

/// What a broker says to a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has it.
    Taken,
    /// It cannot take it now.
    Later,
    /// It does not take it, for this reason, and may or may not do so another time.
    Unclear(String),
    /// It will never take it, for this reason.
    Never(String),
}

/// What follows from a verdict.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The journal is done with it.
    pub(super) settled: Option<Position>,
    /// Topic and reason, if it was refused for good.
    pub(super) refused: Option<(String, String)>,
    /// It was taken.
    pub(super) accepted: bool,
}

#[derive(Debug)]
struct Item {
    publication: Publication,
    position: Option<Position>,
    /// Its last one, if it was sent before over this connection.
    mark: Option<Mark>,
    tries: u32,
}

/// What may be the reason for which connections end.
#[derive(Debug)]
struct Suspect {
    id: EventId,
    /// So many have ended while it was the only one under way.
    ends: u32,
}

/// What does not go, and why.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) about: String,
    pub(super) why: String,
    /// Where it is in the journal, if it is a record.
    pub(super) position: Option<Position>,
}

/// What waits, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    last: u64,
    queue: VecDeque<Item>,
    flying: BTreeMap<Mark, Item>,
    largest: Option<usize>,
    keeps: bool,
    paused: Option<Instant>,
    suspect: Option<Suspect>,
    aside: VecDeque<EventId>,
    /// How many were ever set aside.
    set_aside: u64,
}

impl Flow {
    /// A connection begins.
    pub(super) fn begin(&mut self, greeting: Greeting) {
        self.end();
        self.largest = greeting.largest.map(|bytes| bytes as usize);
        self.keeps = greeting.keeps;
    }

    /// It ends: nothing of it counts any more. Marks are not used again, so that late answers mean nothing.
    pub(super) fn end(&mut self) {
        self.queue.clear();
        self.flying.clear();
        self.paused = None;
    }

    /// It has ended by itself. Whether that was not the first time with the same event under way, and nothing else.
    pub(super) fn broke(&mut self) -> bool {
        let first = self.flying.values().find_map(|item| item.publication.id.clone());
        let alone = self.flying.len() == 1;
        self.end();
        match (first, &mut self.suspect) {
            (Some(id), Some(suspect)) if suspect.id == id => {
                suspect.ends += u32::from(alone);
                alone
            }
            (Some(id), suspect) => {
                *suspect = Some(Suspect { id, ends: u32::from(alone) });
                false
            }
            (None, _) => false,
        }
    }

    /// Only what comes from now on is still to be sent.
    pub(super) fn farewell(&mut self) {
        self.queue.clear();
        self.paused = None;
    }

    /// Something of our own.
    pub(super) fn push(&mut self, publication: Publication) {
        self.queue.push_back(Item { publication, position: None, mark: None, tries: 0 });
    }

    /// Several such.
    pub(super) fn push_all(&mut self, publications: Vec<Publication>) {
        publications.into_iter().for_each(|publication| self.push(publication));
    }

    /// A record of the journal.
    pub(super) fn push_record(&mut self, publication: Publication, position: Position) {
        self.queue.push_back(Item { publication, position: Some(position), mark: None, tries: 0 });
    }

    /// Whether records can be taken up.
    pub(super) fn has_room(&self) -> bool {
        self.queue.is_empty() && self.flying.len() < self.window() && self.paused.is_none()
    }

    /// One that is suspected goes alone.
    fn window(&self) -> usize {
        if self.suspect.is_some() { 1 } else { WINDOW }
    }

    /// Whether all is said and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flying.is_empty()
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.paused
    }

    /// What is to be sent now, and what never will be.
    pub(super) fn pump(&mut self, now: Instant) -> (Vec<Action>, Vec<Refused>) {
        self.paused = self.paused.filter(|&until| now < until);
        let (mut actions, mut refused) = (Vec::new(), Vec::new());
        while self.paused.is_none() && self.flying.len() < self.window() {
            let Some(mut item) = self.queue.pop_front() else { break };
            if let Some(why) = self.objection(&item.publication) {
                refused.push(Refused { about: item.publication.topic, why, position: item.position });
                continue;
            }
            item.publication.keep &= self.keeps;
            self.last += 1;
            item.mark = Some(Mark(self.last));
            actions.push(Action::Publish(Mark(self.last), item.publication.clone()));
            self.flying.insert(Mark(self.last), item);
        }
        (actions, refused)
    }

    /// Why something is not sent.
    fn objection(&mut self, publication: &Publication) -> Option<String> {
        let bytes = publication.topic.len() + publication.payload.len() + ENVELOPE;
        if self.largest.is_some_and(|most| bytes > most) {
            return Some("the broker takes no packets of that size; let it take larger ones".into());
        }
        let id = publication.id.as_ref()?;
        if self.suspect.take_if(|suspect| suspect.id == *id && suspect.ends >= MOST_ENDS).is_some() {
            self.set_aside += 1;
            self.aside.truncate(MOST_ASIDE - 1);
            self.aside.push_front(id.clone());
        }
        let count = self.set_aside;
        self.aside.contains(id).then(|| {
            format!("{MOST_ENDS} connections to the broker ended as it was sent; it is set aside, as {count} in all are, and the broker's log may say why")
        })
    }

    /// The broker has answered.
    pub(super) fn answered(&mut self, mark: Mark, verdict: Verdict, now: Instant) -> Answer {
        let Some(mut item) = self.flying.remove(&mark) else { return Answer::default() };
        let refused = match verdict {
            Verdict::Taken => None,
            Verdict::Never(why) => Some(why),
            Verdict::Unclear(why) if item.tries + 1 >= MOST_TRIES => {
                Some(format!("{why}, {MOST_TRIES} times in a row"))
            }
            Verdict::Unclear(_) | Verdict::Later => {
                item.tries += u32::from(verdict != Verdict::Later);
                self.send_again(mark, item);
                self.paused = Some(now + PAUSE);
                return Answer::default();
            }
        };
        self.clear(&item);
        let accepted = refused.is_none();
        Answer { settled: item.position, refused: refused.map(|why| (item.publication.topic, why)), accepted }
    }

    /// The broker has answered for the one that was suspected, or for one behind it: that one is gone.
    fn clear(&mut self, item: &Item) {
        let id = item.publication.id.as_ref();
        self.suspect.take_if(|suspect| item.position.is_some() || id == Some(&suspect.id));
    }

    /// Before all that was sent later.
    fn send_again(&mut self, mark: Mark, item: Item) {
        let earlier = self.queue.iter().take_while(|queued| queued.mark.is_some_and(|other| other < mark)).count();
        self.queue.insert(earlier, item);
    }
}
