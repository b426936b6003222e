//! The uplink: what is said in this house, at an MQTT broker; commands from there; and Home Assistant, which finds every
//! machine by itself. Only here is MQTT named.
//!
//! What always holds: the broker is never needed. While it is away, records wait in the journal, with the bounds of the
//! journal; when it comes back, it gets them in order, each at least once and recognizable by its `id`.
//!
//! | module | what it does |
//! |---|---|
//! | [`config`] | where the broker is, and who we are there |
//! | [`topic`], [`payload`], [`discovery`] | what is said there, and where. Pure |
//! | [`machine`] | when what is done. Pure |
//! | `link` | a connection: the only file that names the library |
//! | `secretary` | commands on their way into the journal |

pub mod config;
pub mod discovery;
mod link;
pub mod machine;
pub mod payload;
mod secretary;
pub mod topic;

pub use config::Config;

use crate::journal::{Failure, Journal, Start};
use discovery::House;
use link::{Heard, Link};
use machine::{Action, Host, Input, Machine, Now, Trouble};
use protocol::fact::Fact;
use protocol::{Epoch, HostName};
use runner::clock::Clock;
use runner::retry::Backoff;
use secretary::Secretary;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

/// The name of its cursor in the journal.
pub const CONSUMER: &str = "mqtt";
/// So many bytes of records are read at a time.
const HANDFUL: usize = 24 * 1024;
/// The first pause before another attempt to connect,
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// and the longest one.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// What the uplink has to know.
#[derive(Debug, Clone)]
pub struct Uplink {
    /// Where the broker is, and who we are there.
    pub config: Config,
    /// The server.
    pub node: HostName,
    /// Its run.
    pub epoch: Epoch,
    /// Its program with its version.
    pub program: String,
}

/// Keeps the uplink until `stop` says that the program ends; then says goodbye, which takes two seconds at most. What the
/// house has to know is handed to `tell`. Runs in a [`tokio::task::LocalSet`].
pub async fn run(uplink: Uplink, journal: Rc<Journal>, tell: impl Fn(Fact), stop: impl Future<Output = ()>) {
    if let Err(why) = begin(&journal).await {
        return tracing::error!("nothing goes to the broker: {why}");
    }
    let mut desk = Loop::new(&uplink, journal, tell);
    let mut stop = std::pin::pin!(stop);
    let mut stopping = false;
    let mut end = desk.journal.end();
    desk.handle(Input::Tick);
    while !desk.over {
        desk.feed();
        let hungry = desk.machine.wants_records();
        let due = desk.machine.deadline().map(|at| desk.clock.tokio(at));
        tokio::select! {
            biased;
            () = &mut stop, if !stopping => {
                stopping = true;
                desk.handle(Input::Stop);
            }
            heard = next(&mut desk.link) => desk.heard(heard),
            Some((digest, result)) = desk.secretary.next() => desk.handle(Input::Kept(digest, result)),
            Ok(()) = end.changed(), if hungry => {}
            () = sleep_until(due) => desk.handle(Input::Tick),
        }
    }
}

/// A place in the journal, which a crash does not forget: what is said from here on goes to the broker.
async fn begin(journal: &Journal) -> Result<(), Failure> {
    if journal.register(CONSUMER, Start::Latest)? {
        journal.settle().await?;
    }
    journal.rewind(CONSUMER)
}

async fn next(link: &mut Option<Link>) -> Heard {
    match link {
        Some(link) => link.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The loop's own things.
struct Loop<'a, T> {
    config: &'a Config,
    journal: Rc<Journal>,
    tell: T,
    clock: Clock,
    machine: Machine,
    link: Option<Link>,
    secretary: Secretary,
    /// The token of what was heard last.
    last: u64,
    over: bool,
}

impl<'a, T: Fn(Fact)> Loop<'a, T> {
    fn new(uplink: &'a Uplink, journal: Rc<Journal>, tell: T) -> Self {
        let Uplink { config, node, epoch, program } = uplink;
        let (broker, client_id) = (config.broker.to_string(), config.client_id.clone());
        let host = Host { node: node.clone(), epoch: *epoch, program: program.clone(), broker, client_id };
        let discovery = config.discovery.clone();
        let house = discovery.map(|at| House::new(config.prefix.clone(), at, node.clone(), program.clone()));
        let (commands, backoff) = (Epoch(crate::fresh_epoch()), Backoff::new(FIRST_PAUSE, LAST_PAUSE));
        let machine = Machine::new(host, config.prefix.clone(), house, commands, backoff);
        let secretary = Secretary::new(journal.clone());
        Loop { config, journal, tell, clock: Clock::start(), machine, link: None, secretary, last: 0, over: false }
    }

    fn handle(&mut self, input: Input) {
        let now = Now { instant: self.clock.now(), unix: runner::clock::unix_now() };
        for action in self.machine.handle(input, now) {
            self.perform(action);
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Up(greeting) => self.handle(Input::Up(greeting)),
            Heard::Subscribed(refused) => self.handle(Input::Subscribed(refused)),
            Heard::Answered(mark, verdict) => self.handle(Input::Answered(mark, verdict)),
            Heard::Message(message) => self.handle(Input::Heard(message)),
            Heard::Down(trouble) => self.down(trouble),
        }
    }

    fn down(&mut self, trouble: Trouble) {
        if let Some(link) = self.link.take() {
            self.last = link.last();
        }
        self.handle(Input::Down(trouble));
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Connect(will) => match Link::open(self.config, &will, self.last) {
                Ok(link) => self.link = Some(link),
                Err(trouble) => self.down(trouble),
            },
            Action::Subscribe(commands, others) => self.with_link(|link| link.subscribe(&commands, &others)),
            Action::Publish(mark, publication) => self.with_link(|link| link.publish(mark, publication)),
            Action::Acknowledge(token) => self.with_link(|link| link.acknowledge(token)),
            Action::Disconnect => self.with_link(|link| link.disconnect()),
            Action::Settle(position) => self.log(self.journal.acknowledge(CONSUMER, position).map(drop)),
            Action::Rewind => self.log(self.journal.rewind(CONSUMER)),
            Action::ReadStates => self.read_states(),
            Action::Keep { digest, event, search } => self.secretary.keep(digest, *event, search),
            Action::Tell(fact) => self.tell(fact),
            Action::Finish => self.over = true,
        }
    }

    fn with_link(&mut self, act: impl FnOnce(&mut Link)) {
        if let Some(link) = &mut self.link {
            act(link);
        }
    }

    fn tell(&self, fact: Fact) {
        match &fact {
            Fact::Uplink { broker, connected: true, detail } => tracing::info!("connected to {broker} {detail}"),
            Fact::Uplink { detail, .. } => tracing::warn!("{detail}"),
            Fact::EventRefused { from, about, why } => tracing::warn!("{from}: {about}: {why}"),
            _ => {}
        }
        (self.tell)(fact);
    }

    fn log(&self, result: Result<(), Failure>) {
        if let Err(why) = result {
            tracing::error!("the journal of the uplink: {why}");
        }
    }

    fn read_states(&mut self) {
        match self.journal.latest(&topic::goes_up) {
            Ok(entries) => self.handle(Input::States(entries)),
            Err(why) => {
                tracing::error!("{why}");
                self.handle(Input::States(Vec::new()));
            }
        }
    }

    /// Hands the machine what it wants of the journal.
    fn feed(&mut self) {
        while self.machine.wants_records() {
            let batch = match self.journal.take(CONSUMER, &|entry| topic::goes_up(&entry.record.subject), HANDFUL) {
                Ok(batch) => batch,
                Err(why) => return tracing::error!("nothing goes to the broker for now: {why}"),
            };
            if let Some(gap) = batch.gap {
                let count = gap.count();
                self.tell(Fact::EventsMissed { consumer: CONSUMER.into(), count });
            }
            if batch.entries.is_empty() && batch.next >= self.journal.next() {
                return;
            }
            for entry in batch.entries {
                self.handle(Input::Record(entry));
            }
        }
    }
}
