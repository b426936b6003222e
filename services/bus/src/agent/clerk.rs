//! What the agent itself has to say, in its order. Nobody waits for it: a disk that refuses is tried again, and what
//! waits is bounded.

use super::{Settings, record_now};
use crate::journal::{Bounded, Journal, Notice, Record};
use crate::told;
use protocol::event::{Event, EventId};
use protocol::fact::Fact;
use protocol::{Epoch, HostName};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// So much may wait: a word about each machine of the largest house. Of more, the newest is left out and that is logged.
const MOST: usize = 16 * 1024;
/// So much goes to the disk together.
const TOGETHER: usize = 256;
/// After the disk has refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Its desk.
#[derive(Debug)]
pub(crate) struct Clerk {
    node: HostName,
    epoch: Epoch,
    sequence: Cell<u64>,
    inbox: mpsc::Sender<Letter>,
}

#[derive(Debug)]
enum Letter {
    Record(Box<Record>),
    Settle(oneshot::Sender<()>),
}

impl Clerk {
    pub(crate) fn start(settings: &Settings, journal: Rc<Journal>) -> Clerk {
        let (inbox, letters) = mpsc::channel(MOST);
        tokio::task::spawn_local(write(journal, letters));
        let epoch = Epoch(crate::fresh_epoch());
        Clerk { node: settings.node.clone(), epoch, sequence: Cell::new(0), inbox }
    }

    /// The id of the next thing that the agent makes.
    pub(crate) fn next_id(&self) -> EventId {
        self.sequence.set(self.sequence.get() + 1);
        EventId { node: self.node.clone(), epoch: self.epoch, sequence: self.sequence.get() }
    }

    /// Says a fact of a machine.
    pub(crate) fn tell(&self, about: &HostName, fact: &Fact) {
        self.post(told::event(self.next_id(), about, fact));
    }

    /// Keeps an event of our own.
    pub(crate) fn post(&self, event: Event) {
        let topic = event.topic.clone();
        if self.inbox.try_send(Letter::Record(Box::new(record_now(event)))).is_err() {
            tracing::error!("the disk is too slow for {topic}, which is left out");
        }
    }

    /// Says what the journal noticed.
    pub(crate) fn notice(&self, notice: Notice) {
        let fact = match notice {
            Notice::Damaged(damage) => {
                tracing::error!("{damage}");
                Fact::JournalDamaged { what: damage.to_string() }
            }
            Notice::Dropped(dropped) => {
                tracing::warn!("{dropped}");
                // What a drop of what was told about drops would say is said already.
                let by = if dropped.by == Bounded::Bytes { "bytes" } else { "age" };
                let (class, unread_by) = (dropped.keep.to_string(), dropped.unread_by.join(" "));
                Fact::EventsDropped { class, by: by.into(), count: dropped.count, unread_by }
            }
        };
        self.tell(&self.node, &fact);
    }

    /// Returns when everything that was said is on the disk.
    pub(crate) async fn settle(&self) {
        let (answer, answered) = oneshot::channel();
        if self.inbox.send(Letter::Settle(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }
}

async fn write(journal: Rc<Journal>, mut letters: mpsc::Receiver<Letter>) {
    let (mut together, mut records) = (Vec::new(), Vec::new());
    while letters.recv_many(&mut together, TOGETHER).await > 0 {
        for letter in together.drain(..) {
            match letter {
                Letter::Record(record) => records.push(*record),
                Letter::Settle(answer) => {
                    keep(&journal, std::mem::take(&mut records)).await;
                    if let Err(why) = journal.settle().await {
                        tracing::error!("the last events may be missing: {why}");
                    }
                    let _ = answer.send(());
                }
            }
        }
        keep(&journal, std::mem::take(&mut records)).await;
    }
}

/// Until they are kept, or will never be.
async fn keep(journal: &Journal, mut records: Vec<Record>) {
    let mut told = false;
    while !records.is_empty() {
        let Ok(answers) = journal.append_all(records.clone()).await else { return };
        let mut left = Vec::new();
        for (record, answer) in records.into_iter().zip(answers) {
            let Err(why) = answer else { continue };
            if !std::mem::replace(&mut told, true) {
                tracing::error!("{why}");
            }
            if why.is_temporary() {
                left.push(record);
            }
        }
        records = left;
        if !records.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}
