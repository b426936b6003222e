//! What goes to the broker, in order, and what its answers settle. So many are under way at a time; each keeps what it
//! takes to send it again.

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

    /// Only what comes from now on is still to be sent.
    pub(super) fn farewell(&mut self) {
        self.queue.clear();
        self.paused = None;
    }

    /// Something of our own.
    pub(super) fn push(&mut self, publication: Publication) {
        self.queue.push_back(Item { publication, position: None });
    }

    /// Several such.
    pub(super) fn push_all(&mut self, publications: Vec<Publication>) {
        publications.into_iter().for_each(|publication| self.push(publication));
    }

    /// A record of the journal.
    pub(super) fn push_record(&mut self, publication: Publication, position: Position) {
        self.queue.push_back(Item { publication, position: Some(position) });
    }

    /// Whether records can be taken up.
    pub(super) fn has_room(&self) -> bool {
        self.queue.is_empty() && self.flying.len() < WINDOW && self.paused.is_none()
    }

    /// Whether all is said and answered.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flying.is_empty()
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.paused
    }

    /// What is to be sent now, and what is too large ever to be: its topic, and its place if it is a record.
    pub(super) fn pump(&mut self, now: Instant) -> (Vec<Action>, Vec<(String, Option<Position>)>) {
        self.paused = self.paused.filter(|&until| now < until);
        let (mut actions, mut refused) = (Vec::new(), Vec::new());
        while self.paused.is_none() && self.flying.len() < WINDOW {
            let Some(mut item) = self.queue.pop_front() else { break };
            let publication = &mut item.publication;
            publication.keep &= self.keeps;
            let bytes = publication.topic.len() + publication.payload.len() + ENVELOPE;
            if self.largest.is_some_and(|most| bytes > most) {
                refused.push((item.publication.topic, item.position));
                continue;
            }
            self.last += 1;
            actions.push(Action::Publish(Mark(self.last), publication.clone()));
            self.flying.insert(Mark(self.last), item);
        }
        (actions, refused)
    }

    /// The broker has answered.
    pub(super) fn answered(&mut self, mark: Mark, verdict: Verdict, now: Instant) -> Answer {
        let Some(item) = self.flying.remove(&mark) else { return Answer::default() };
        match verdict {
            Verdict::Taken => Answer { settled: item.position, accepted: true, refused: None },
            Verdict::Later => {
                self.queue.push_front(item);
                self.paused = Some(now + PAUSE);
                Answer::default()
            }
            Verdict::Never(why) => {
                let refused = Some((item.publication.topic, why));
                Answer { settled: item.position, refused, accepted: false }
            }
        }
    }
}
