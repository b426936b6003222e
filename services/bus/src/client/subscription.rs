//! Listening. When the agent goes, the subscription is made again with the next one: one with a name goes on where it
//! was, one without begins anew, which is told as [`Item::Restarted`].

use super::connection::{self, Connection, FIRST_PAUSE, LAST_PAUSE};
use protocol::door::{Ask, Subscribe, Tell};
use protocol::event::{Event, EventId};
use runner::framing;
use runner::retry::Backoff;
use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// It was told again, at this place and over this connection, and is finished already.
    Known(u64, u64),
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
                self.heard().connected();
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
                let Some(tell) = read.next::<Tell>().await? else {
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
                let asks = self.heard().asks(together(one, finish));
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
            Tell::Events(events) => events.into_iter().filter_map(|(place, event)| self.event(place, event)).collect(),
            Tell::Missed(count) => vec![Item::Missed(count)],
            Tell::Live => vec![Item::Live],
            Tell::Error(why) => vec![Item::Refused(why)],
            _ => Vec::new(),
        }
    }

    fn event(&self, place: u64, event: Event) -> Option<Item> {
        // Without a name nothing is told twice, and nothing acknowledged.
        let number = match self.finished.upgrade().filter(|_| self.named) {
            Some(finish) => self.heard().hear(place, &event.id, &finish)?,
            None => place,
        };
        Some(Item::Event(number, Box::new(event)))
    }

    /// Each change of it leaves it whole.
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was finished meanwhile goes together.
fn together(first: Finished, finished: &mut mpsc::UnboundedReceiver<Finished>) -> Vec<Finished> {
    let mut all = vec![first];
    while let Some(one) = if all.len() < TOGETHER { finished.try_recv().ok() } else { None } {
        all.push(one);
    }
    all
}

/// What this program has heard. An agent that crashed has forgotten the last second of acknowledgements and tells those
/// events again; here they are told once.
///
/// An agent counts places in its journal, and the next agent may have another one: on the disk, or in RAM as the disk is
/// broken. So the program finishes numbers of our own, and an agent hears only of what it has told over this connection;
/// what was finished between two is acknowledged when it is told again.
#[derive(Debug, Default)]
struct Heard {
    /// By place.
    told: BTreeMap<u64, Told>,
    /// The places of what is not finished, by our numbers.
    places: HashMap<u64, u64>,
    last: u64,
    connection: u64,
}

/// What stands at a place.
#[derive(Debug)]
struct Told {
    /// A digest of the event's id.
    id: u64,
    /// Our number.
    number: u64,
    /// Over which connection it was told last.
    connection: u64,
    finished: bool,
}

impl Heard {
    /// Another connection begins.
    fn connected(&mut self) {
        self.connection += 1;
    }

    /// The number of an event that is to be told; one that was finished already is to be acknowledged again.
    fn hear(&mut self, place: u64, id: &EventId, finish: &mpsc::UnboundedSender<Finished>) -> Option<u64> {
        let (id, connection) = (digest(id), self.connection);
        if let Some(told) = self.told.get_mut(&place).filter(|told| told.id == id) {
            told.connection = connection;
            if told.finished {
                let _ = finish.send(Finished::Known(place, connection));
            }
            return None;
        }
        self.last += 1;
        let told = Told { id, number: self.last, connection, finished: false };
        if let Some(before) = self.told.insert(place, told) {
            self.places.remove(&before.number);
        }
        self.places.insert(self.last, place);
        self.forget();
        Some(self.last)
    }

    /// The oldest that is finished goes, if there are too many.
    fn forget(&mut self) {
        if self.told.len() > REMEMBERED
            && let Some(&place) = self.told.iter().find(|(_, told)| told.finished).map(|(place, _)| place)
        {
            self.told.remove(&place);
        }
    }

    /// What is to be said to the agent.
    fn asks(&mut self, finished: Vec<Finished>) -> [Ask; 2] {
        let (mut done, mut again) = (Vec::new(), Vec::new());
        for one in finished {
            match one {
                Finished::Done(number) => done.extend(self.done(number)),
                Finished::Again(number) => again.extend(self.again(number)),
                Finished::Known(place, connection) if connection == self.connection => done.push(place),
                Finished::Known(..) => {}
            }
        }
        [Ask::Done(done), Ask::Again(again)]
    }

    fn done(&mut self, number: u64) -> Option<u64> {
        let place = self.places.remove(&number)?;
        let told = self.told.get_mut(&place)?;
        told.finished = true;
        (told.connection == self.connection).then_some(place)
    }

    fn again(&mut self, number: u64) -> Option<u64> {
        let place = self.places.remove(&number)?;
        let told = self.told.remove(&place)?;
        (told.connection == self.connection).then_some(place)
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

    fn done(heard: &mut Heard, finished: Finished) -> Vec<u64> {
        match heard.asks(vec![finished]) {
            [Ask::Done(places), Ask::Again(_)] => places,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_event_is_told_once_and_acknowledged_again() {
        let (finish, mut finished) = mpsc::unbounded_channel();
        let mut heard = Heard::default();
        let number = heard.hear(7, &id(7), &finish).expect("it is new");
        assert_eq!(heard.hear(7, &id(7), &finish), None);
        assert_eq!(done(&mut heard, Finished::Done(number)), [7]);
        assert_eq!(heard.hear(7, &id(7), &finish), None);
        assert_eq!(done(&mut heard, finished.try_recv().expect("it is acknowledged again")), [7]);
        let number = heard.hear(8, &id(8), &finish).expect("it is new");
        assert_eq!(heard.asks(vec![Finished::Again(number)]), [Ask::Done(vec![]), Ask::Again(vec![8])]);
        assert!(heard.hear(8, &id(8), &finish).is_some());
    }

    #[test]
    fn what_is_done_reaches_no_other_journal() {
        let (finish, mut finished) = mpsc::unbounded_channel();
        let mut heard = Heard::default();
        let (one, two) = (heard.hear(1, &id(1), &finish).unwrap(), heard.hear(2, &id(2), &finish).unwrap());
        heard.connected();
        let at_first = done(&mut heard, Finished::Done(one));
        assert!(at_first.is_empty(), "what the next agent has at that place is not known");
        let other = heard.hear(2, &id(9), &finish).expect("another event at that place");
        assert!(done(&mut heard, Finished::Done(two)).is_empty());
        assert_eq!(done(&mut heard, Finished::Done(other)), [2]);
        heard.connected();
        assert_eq!(heard.hear(1, &id(1), &finish), None, "the first journal is there again");
        let known = finished.try_recv().expect("it is acknowledged now");
        assert_eq!(done(&mut heard, known), [1]);
        assert!(heard.hear(2, &id(2), &finish).is_some(), "rather twice than never");
        heard.hear(1, &id(1), &finish);
        heard.connected();
        assert!(done(&mut heard, finished.try_recv().unwrap()).is_empty(), "that connection is over");
    }
}
