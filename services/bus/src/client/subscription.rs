//! Listening. When the agent goes, the subscription is made again with the next one: one with a name goes on where it
//! was, one without begins anew, which is told as [`Item::Restarted`].

use super::connection::{self, Connection, FIRST_PAUSE, LAST_PAUSE};
use protocol::door::{Ask, Subscribe, Tell};
use protocol::event::{Event, EventId};
use runner::framing;
use runner::retry::Backoff;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// An event, with the number by which it is finished.
    Event(u64, Box<Event>),
    /// So many events at most that were asked for are lost.
    Missed(u64),
    /// What follows is new.
    Live,
    /// The agent was away; without a name, what came meanwhile was not heard.
    Restarted,
    /// The agent refuses the subscription for this reason; nothing more follows.
    Refused(String),
}

/// A subscription; it ends when it is dropped.
#[derive(Debug)]
pub struct Subscription {
    items: mpsc::Receiver<Vec<Item>>,
    ready: VecDeque<Item>,
    finished: mpsc::UnboundedSender<Finished>,
}

/// What became of an event.
#[derive(Debug)]
enum Finished {
    Done(u64),
    Again(u64),
}

/// So many sendings wait for a subscriber that is slow; the rest waits at the agent.
const WAITING: usize = 4;
/// So many events are remembered: more than come in the second of which a crash forgets the acknowledgements.
const REMEMBERED: usize = 128 * 1024;
/// So many are acknowledged together.
const TOGETHER: usize = 4096;

impl Subscription {
    pub(super) fn start(door: PathBuf, program: String, wanted: Subscribe) -> Subscription {
        let (tell, items) = mpsc::channel(WAITING);
        let (finished, finish) = mpsc::unbounded_channel();
        let follower = Follower {
            heard: Mutex::default(),
            named: wanted.name.is_some(),
            wanted,
            tell,
            finished: finished.downgrade(),
        };
        tokio::spawn(follower.follow(door, program, finish));
        Subscription { items, ready: VecDeque::new(), finished }
    }

    /// What is heard next. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Item {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return item;
            }
            match self.items.recv().await {
                Some(items) => self.ready.extend(items),
                None => std::future::pending().await,
            }
        }
    }

    /// Returns when everything that was there at the beginning has been told; events before are kept for [`Self::next`].
    pub async fn live(&mut self) {
        let mut before = VecDeque::new();
        loop {
            match self.next().await {
                Item::Live => break,
                refused @ Item::Refused(_) => {
                    before.push_back(refused);
                    break;
                }
                item => before.push_back(item),
            }
        }
        before.append(&mut self.ready);
        self.ready = before;
    }

    /// This program is done with an event.
    pub fn done(&self, number: u64) {
        let _ = self.finished.send(Finished::Done(number));
    }

    /// It is to come again.
    pub fn again(&self, number: u64) {
        let _ = self.finished.send(Finished::Again(number));
    }
}

/// The task behind a subscription.
struct Follower {
    wanted: Subscribe,
    named: bool,
    tell: mpsc::Sender<Vec<Item>>,
    finished: mpsc::WeakUnboundedSender<Finished>,
    heard: Mutex<Heard>,
}

impl Follower {
    async fn follow(self, door: PathBuf, program: String, mut finish: mpsc::UnboundedReceiver<Finished>) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LAST_PAUSE);
        let mut first = true;
        while !self.tell.is_closed() {
            if let Ok(connection) = connection::connect(&door, &program).await {
                backoff.reset();
                if !std::mem::replace(&mut first, false) && self.tell.send(vec![Item::Restarted]).await.is_err() {
                    return;
                }
                match self.listen(connection, &mut finish).await {
                    Ok(()) => return,
                    Err(why) => tracing::debug!("the agent went: {why}"),
                }
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.next()) => {}
                () = self.tell.closed() => return,
            }
        }
    }

    /// Until the connection breaks; `Ok` if nobody listens any more, or never will be told anything.
    async fn listen(&self, connection: Connection, finish: &mut mpsc::UnboundedReceiver<Finished>) -> io::Result<()> {
        let Connection { mut read, mut write, .. } = connection;
        framing::write(&mut write, &Ask::Subscribe(self.wanted.clone())).await?;
        let hear = async {
            loop {
                // Whatever is heard has a place before it counts as heard: this future may be dropped at any wait.
                let Ok(place) = self.tell.reserve().await else { return Ok(()) };
                let Some(tell) = framing::read::<Tell>(&mut read).await? else {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                };
                let refused = matches!(tell, Tell::Error(_));
                let items = self.items(tell);
                if !items.is_empty() {
                    place.send(items);
                }
                if refused {
                    return Ok(());
                }
            }
        };
        let finish = async {
            while let Some(one) = finish.recv().await {
                let asks = together(one, finish);
                self.heard().finished(&asks);
                for ask in asks.iter().filter(|ask| !matches!(ask, Ask::Done(all) | Ask::Again(all) if all.is_empty()))
                {
                    framing::write(&mut write, ask).await?;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            ended = hear => ended,
            ended = finish => ended,
            () = self.tell.closed() => Ok(()),
        }
    }

    fn items(&self, tell: Tell) -> Vec<Item> {
        match tell {
            Tell::Events(events) => {
                let new = events.into_iter().filter(|(number, event)| self.is_new(*number, &event.id));
                new.map(|(number, event)| Item::Event(number, Box::new(event))).collect()
            }
            Tell::Missed(count) => vec![Item::Missed(count)],
            Tell::Live => vec![Item::Live],
            Tell::Error(why) => vec![Item::Refused(why)],
            _ => Vec::new(),
        }
    }

    fn is_new(&self, number: u64, id: &EventId) -> bool {
        // Without a name nothing is told twice, and nothing acknowledged.
        let Some(finish) = self.finished.upgrade().filter(|_| self.named) else { return true };
        self.heard().is_new(number, id, &finish)
    }

    /// Each change of it leaves it whole.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was finished meanwhile goes together.
fn together(first: Finished, finished: &mut mpsc::UnboundedReceiver<Finished>) -> [Ask; 2] {
    let (mut done, mut again) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(one) = next {
        match one {
            Finished::Done(number) => done.push(number),
            Finished::Again(number) => again.push(number),
        }
        next = if done.len() + again.len() < TOGETHER { finished.try_recv().ok() } else { None };
    }
    [Ask::Done(done), Ask::Again(again)]
}

/// What this program has heard. An agent that crashed has forgotten the last second of acknowledgements and tells those
/// events again; here they are told once. An agent with another journal counts anew, so a number alone says nothing.
#[derive(Debug, Default)]
struct Heard {
    numbers: BTreeMap<u64, Told>,
}

/// What stands under a number.
#[derive(Debug)]
struct Told {
    /// A digest of the event's id.
    id: u64,
    finished: bool,
}

impl Heard {
    /// Whether an event is to be told; one that was finished already is to be acknowledged again.
    fn is_new(&mut self, number: u64, id: &EventId, finish: &mpsc::UnboundedSender<Finished>) -> bool {
        let id = digest(id);
        match self.numbers.get(&number).filter(|told| told.id == id) {
            Some(Told { finished: true, .. }) => {
                let _ = finish.send(Finished::Done(number));
                false
            }
            Some(Told { finished: false, .. }) => false,
            None => {
                self.numbers.insert(number, Told { id, finished: false });
                if self.numbers.len() > REMEMBERED {
                    self.numbers.pop_first();
                }
                true
            }
        }
    }

    fn finished(&mut self, asks: &[Ask; 2]) {
        let [Ask::Done(done), Ask::Again(again)] = asks else { return };
        for number in done {
            self.numbers.entry(*number).and_modify(|told| told.finished = true);
        }
        for number in again {
            self.numbers.remove(number);
        }
    }
}

fn digest(id: &EventId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::{Epoch, HostName};

    fn id(sequence: u64) -> EventId {
        EventId { node: HostName::parse("attic").expect("a name"), epoch: Epoch(1), sequence }
    }

    #[test]
    fn an_event_is_told_once_and_one_of_another_journal_under_its_number_as_well() {
        let (finish, mut finished) = mpsc::unbounded_channel();
        let mut heard = Heard::default();
        assert!(heard.is_new(1, &id(7), &finish) && !heard.is_new(1, &id(7), &finish));
        heard.finished(&[Ask::Done(vec![1]), Ask::Again(vec![])]);
        assert!(!heard.is_new(1, &id(7), &finish));
        assert!(matches!(finished.try_recv(), Ok(Finished::Done(1))), "it is acknowledged again");
        assert!(heard.is_new(1, &id(8), &finish), "the journal is another one");
        assert!(!heard.is_new(1, &id(8), &finish) && finished.try_recv().is_err());
    }
}
