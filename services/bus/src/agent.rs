//! The agent of a machine: the one who keeps its events. It has a thread and an event loop of its own inside fserver or
//! fclient, so that nothing that happens on the bus can hold up presence or a shutdown.
//!
//! ```text
//! programs of this machine -- door --> journal --> links, hooks, programs, broker
//!                                         ^
//!                    links to other machines
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | [`machine`] | what may be on the way to a peer, what a peer may say. Pure |
//! | `links`, `owed`, `patterns` | what goes to other machines, and what comes from them |
//! | `backlog`, `incoming`, `outbox` | what peers said and is not heard yet, or not kept; and the frames for many of them |
//! | `absent`, `newcomers` | machines that are not waited for any more, and those that nobody knew |
//! | `door`, `connection` | programs of this machine, over a Unix socket |
//! | `clerk`, `missed` | what the agent itself has to say |
//! | `renamed`, `places` | what is left from under another name, or where the journal was before |
//! | `refusals` | how often it is told that a peer was refused |
//! | `report` | what waits for whom, and how the agent is |
//! | `subscriptions`, `kept` | which subscriptions outlive their programs, and small files |
//! | [`hooks`], `rows` | what runs at this machine when something was said |
//! | `uplink` | the uplink to the broker, and how it is |
//! | `verbs` | commands to this machine |

mod absent;
mod backlog;
mod clerk;
mod connection;
mod door;
pub mod hooks;
mod incoming;
mod kept;
mod links;
pub mod machine;
mod missed;
mod newcomers;
mod outbox;
mod owed;
mod patterns;
mod places;
mod refusals;
mod renamed;
mod report;
mod rows;
mod subscriptions;
mod uplink;
mod verbs;

use crate::carry;
use crate::journal::{Bounds, Clock, Damage, Failure, Fill, Journal, Notice, Place, Position, Start};
use crate::mqtt;
use crate::secure::Roles;
use backlog::{Backlog, Comes};
use clerk::Clerk;
use hooks::HookPlan;
use links::{Links, News};
use protocol::fact::Fact;
use protocol::{Epoch, Filter, HostName, Message};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use subscriptions::Subscriptions;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, LocalSet};
use tokio_util::sync::CancellationToken;

/// The name that a client's journal keeps its cursor towards the server under.
const TO_SERVER: &str = "link:server";

/// A hook that runs when the agent is to end has so long to end, too.
const HOOK_ENDS: Duration = Duration::from_secs(1);

/// So long the broker is waited for, to hear that this server ends.
const GOODBYE: Duration = Duration::from_secs(2);

/// So many orders are obeyed before anything else is looked at.
const AT_A_TIME: usize = 64;

/// What an agent has to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This machine.
    pub node: HostName,
    /// The program that it lives in, with its version.
    pub program: String,
    /// The run of it.
    pub epoch: Epoch,
    /// Where the journal is; a directory in RAM outlives the process and not the power.
    pub place: Place,
    /// Whether that directory is in RAM.
    pub ram: bool,
    /// A directory in RAM, for a disk that is worn out.
    pub spare: Option<PathBuf>,
    /// How much is kept.
    pub bounds: Bounds,
    /// The Unix socket for programs.
    pub door: PathBuf,
    /// Its group, whose members may come in, if there is such a group.
    pub group: Option<String>,
    /// Which hooks run on events, if any do.
    pub hooks: Option<HookPlan>,
    /// The broker beyond this house, if there is one.
    pub uplink: Option<mqtt::Config>,
    /// What to follow of other machines beside what programs and hooks here want.
    pub follow: Vec<Filter>,
    /// This machine is the server, which relays to all others.
    pub server: bool,
    /// A server waits so long for a machine that has no link, in time that its journal is open; for ever if there is none.
    pub forget_after: Option<Duration>,
    /// So many machines that nobody knew before and that prove nothing an address may name at a time.
    pub strangers_per_address: u32,
    /// Where it is remembered in which places the journal was, if anywhere.
    pub state_dir: Option<PathBuf>,
}

/// What the host program tells its agent.
#[derive(Debug)]
pub enum Order {
    /// A link carries events from now on. Told again of a link that does, it says what the other end may say from now on.
    LinkUp {
        /// Its number, for the host program.
        link: u64,
        /// Who is at the other end.
        host: HostName,
        /// What it may say.
        roles: Roles,
        /// Where it is, if it proves nothing: one address may name only so many machines.
        stranger: Option<IpAddr>,
    },
    /// It carries none any more.
    LinkDown(u64),
    /// [`Message::Follow`], [`Message::Events`] or [`Message::Kept`] came over it.
    Heard(u64, Message),
    /// This machine is not waited for any more: it belongs to the house no longer.
    Forget(HostName),
    /// Something is to be said of this machine.
    Tell(Fact),
    /// Something is to be said of another machine, which the server does.
    TellOf(HostName, Fact),
    /// End; the channel is answered when everything is on the disk.
    Stop(oneshot::Sender<()>),
}

/// What the agent asks of its host program.
#[derive(Debug, Clone)]
pub enum Out {
    /// Send these bytes, whole frames, over each of these links.
    Send(Vec<u64>, Arc<[u8]>),
    /// Somebody who may do so asks for the house to shut down (`false`) or to restart (`true`), for this reason.
    Shutdown(bool, String),
    /// These machines were here when an earlier run of this server ended.
    Known(Vec<HostName>),
    /// A peer does what no peer of ours does; the link is to be closed for this reason.
    Refuse(u64, String),
}

/// The way to a running agent. It ends when this is dropped.
#[derive(Debug, Clone)]
pub struct Agent {
    orders: UnboundedSender<Order>,
    out: UnboundedSender<Out>,
    backlog: Arc<Backlog>,
}

impl Agent {
    /// Opens the journal and the door, and starts the thread.
    ///
    /// # Errors
    /// The journal or the door cannot be opened; the text names the remedy.
    pub fn start(mut settings: Settings) -> Result<(Agent, UnboundedReceiver<Out>), String> {
        let (journal, damage) = open(&mut settings).map_err(|why| why.to_string())?;
        let door = door::Door::open(&settings.door, settings.group.as_deref())?;
        let (orders, order) = unbounded_channel();
        let (out, outs) = unbounded_channel();
        let notices = damage.into_iter().map(Notice::Damaged).collect();
        let backlog = Arc::new(Backlog::default());
        let parts = Parts { settings, journal, door, notices, backlog: backlog.clone() };
        let thread = std::thread::Builder::new().name("bus".into());
        let agent = Agent { orders, out: out.clone(), backlog };
        thread.spawn(move || run(parts, order, out)).map_err(|why| format!("the thread of the bus: {why}"))?;
        Ok((agent, outs))
    }

    /// Tells it; an agent that has ended hears nothing. A link that says more than the agent gets round to is refused.
    pub fn order(&self, order: Order) {
        let comes = match &order {
            Order::Heard(link, message) => self.backlog.comes(*link, message),
            Order::LinkDown(link) => self.backlog.ends(*link),
            _ => Comes::In,
        };
        match comes {
            Comes::In => drop(self.orders.send(order)),
            Comes::TooMuch(link) => {
                let why = "says more than this machine gets round to hearing; it does not wait for answers".into();
                let _ = self.out.send(Out::Refuse(link, why));
            }
            Comes::Behind => {}
        }
    }

    /// Ends it, and returns when everything is on the disk.
    pub async fn stop(&self) {
        let (answer, answered) = oneshot::channel();
        self.order(Order::Stop(answer));
        let _ = answered.await;
    }
}

/// Opens the journal; on a disk that is full, read-only or broken, in RAM, and that is said.
fn open(settings: &mut Settings) -> Result<(Journal, Vec<Damage>), Failure> {
    let at = |place: &Place| Journal::open(place.clone(), settings.bounds, Clock::system());
    let why = match at(&settings.place) {
        Err(why @ (Failure::Disk { .. } | Failure::Unusable { .. })) => why,
        opened => return opened,
    };
    let Some(spare) = settings.spare.take() else { return Err(why) };
    tracing::error!("{why}; events are kept in {}, in RAM, until power is lost", spare.display());
    if let Some(plan) = &mut settings.hooks {
        // How far the rows have come is counted in places of that journal.
        plan.state = plan.state.is_some().then(|| spare.join("hooks"));
    }
    let place = Place::Directory(spare);
    let opened = at(&place)?;
    (settings.place, settings.ram) = (place, true);
    Ok(opened)
}

struct Parts {
    settings: Settings,
    journal: Journal,
    door: door::Door,
    notices: Vec<Notice>,
    backlog: Arc<Backlog>,
}

fn run(parts: Parts, orders: UnboundedReceiver<Order>, out: UnboundedSender<Out>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => return tracing::error!("the event bus does not run: {why}; start this program again"),
    };
    let tasks = LocalSet::new();
    let answer = tasks.block_on(&runtime, serve(parts, orders, out));
    // The journal is closed when the last task that holds it has gone.
    drop(tasks);
    if let Some(answer) = answer {
        let _ = answer.send(());
    }
}

/// What all parts of an agent share. It is one thread's, so nothing is locked.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) journal: Rc<Journal>,
    pub(crate) clerk: Clerk,
    pub(crate) subscriptions: Subscriptions,
    listeners: connection::Listeners,
    pub(crate) out: UnboundedSender<Out>,
    /// Changes when somebody here wants something else.
    pub(crate) wants: watch::Sender<()>,
    /// There is a new consumer.
    settle: Notify,
    /// The facts that have hooks here.
    pub(crate) hooked: RefCell<BTreeSet<&'static str>>,
    /// The hosts at the other ends of links, by link.
    pub(crate) hosts: RefCell<BTreeMap<u64, HostName>>,
    /// How the uplink to the broker is, once it has said so.
    uplink: RefCell<Option<uplink::Standing>>,
    /// When machines had a link last.
    absent: RefCell<absent::Absent>,
    /// What was missed, so that it is told once a minute.
    missed: RefCell<missed::Missed>,
    /// Something was missed.
    summing: Notify,
    /// What is to be looked at, each with its remedy.
    findings: RefCell<Vec<String>>,
    refusals: RefCell<refusals::Refusals>,
    newcomers: RefCell<newcomers::Newcomers>,
    began: std::time::Instant,
}

impl Shared {
    pub(crate) fn unix(&self) -> u64 {
        runner::clock::unix_now().as_secs()
    }

    /// A consumer of the journal begins or goes on; says whether it is new.
    pub(crate) fn consume(&self, name: &str, start: Start) -> Result<bool, Failure> {
        let new = self.journal.register(name, start)?;
        if new {
            self.settle.notify_one();
        }
        self.journal.rewind(name).map(|()| new)
    }

    /// Writes down soon who the consumers are, many together.
    async fn settle_again_and_again(self: Rc<Self>) {
        loop {
            self.settle.notified().await;
            if let Err(why) = self.journal.settle().await {
                tracing::error!("who consumes events is not on the disk: {why}");
            }
        }
    }

    pub(crate) fn fill(&self) -> Fill {
        self.journal.fill()
    }
}

/// Until it is told to end; whom to tell when all is over. This is looked at whenever anything happens, before all tasks:
/// what the host program says is obeyed first, and nothing else is done here.
async fn serve(
    parts: Parts,
    mut orders: UnboundedReceiver<Order>,
    out: UnboundedSender<Out>,
) -> Option<oneshot::Sender<()>> {
    let (ending, backlog) = (CancellationToken::new(), parts.backlog.clone());
    let _ends_hooks = ending.clone().drop_guard();
    let (shared, links, tasks) = begin(parts, out, &ending).await;
    let mut batch = Vec::new();
    loop {
        let count = orders.recv_many(&mut batch, AT_A_TIME).await;
        let stop = batch.drain(..).find_map(|order| {
            backlog.taken(&order);
            obey(&mut links.borrow_mut(), &shared, order)
        });
        if stop.is_none() && count > 0 {
            // Whoever says much does not keep the others of this thread waiting.
            tokio::task::yield_now().await;
            continue;
        }
        if stop.is_some() {
            ending.cancel();
            tasks.ended().await;
            shared.tell_rest();
        }
        shared.clerk.settle().await;
        return stop;
    }
}

/// What somebody may have to be told, from here on.
struct Changes {
    end: watch::Receiver<Position>,
    told: watch::Receiver<u64>,
    wanted: watch::Receiver<()>,
}

impl Changes {
    fn of(shared: &Shared) -> Changes {
        let journal = &shared.journal;
        Changes { end: journal.end(), told: journal.told(), wanted: shared.wants.subscribe() }
    }
}

/// Tells programs and links what is new; programs first, as they are few.
async fn keep_up(
    links: Rc<RefCell<Links>>,
    mut news: UnboundedReceiver<News>,
    mut changes: Changes,
    shared: Rc<Shared>,
) {
    loop {
        tokio::select! {
            Some(news) = news.recv() => links.borrow_mut().hear_news(news),
            Ok(()) = changes.end.changed() => {
                shared.listeners.tell();
                links.borrow_mut().pump_all();
            }
            Ok(()) = changes.told.changed() => shared.journal.notices().into_iter().for_each(|notice| shared.clerk.notice(notice)),
            Ok(()) = changes.wanted.changed() => links.borrow().follow(),
        }
    }
}

/// What is still at work when the agent is told to end.
struct Tasks {
    rows: Option<JoinHandle<()>>,
    uplink: Option<JoinHandle<()>>,
}

impl Tasks {
    /// A hook that does not end in time is killed with its task, and runs again.
    async fn ended(self) {
        let rows = tokio::time::timeout(HOOK_ENDS, ended(self.rows));
        let uplink = tokio::time::timeout(GOODBYE, ended(self.uplink));
        let _ = tokio::join!(rows, uplink);
    }
}

/// Everything but obeying orders.
async fn begin(
    parts: Parts,
    out: UnboundedSender<Out>,
    ending: &CancellationToken,
) -> (Rc<Shared>, Rc<RefCell<Links>>, Tasks) {
    let Parts { settings, journal, door, notices, .. } = parts;
    let subscriptions = Subscriptions::open(&settings.place);
    let journal = Rc::new(journal);
    let clerk = Clerk::start(&settings, journal.clone());
    let wants = watch::Sender::new(());
    let shared = Rc::new(Shared {
        settings,
        journal,
        clerk,
        subscriptions,
        listeners: Default::default(),
        out,
        wants,
        settle: Notify::new(),
        hooked: Default::default(),
        hosts: Default::default(),
        uplink: Default::default(),
        absent: Default::default(),
        missed: Default::default(),
        summing: Notify::new(),
        findings: Default::default(),
        refusals: Default::default(),
        newcomers: Default::default(),
        began: std::time::Instant::now(),
    });
    let (links, news) = Links::new(shared.clone());
    let links = Rc::new(RefCell::new(links));
    tokio::task::spawn_local(keep_up(links.clone(), news, Changes::of(&shared), shared.clone()));
    tokio::task::spawn_local(shared.clone().settle_again_and_again());
    tokio::task::spawn_local(missed::sum_up(shared.clone()));
    let mut closed = Some(door);
    let mut open = || closed.take().map(|door| tokio::task::spawn_local(door.serve(shared.clone())));
    renamed::take_up(&shared, &mut || drop(open())).await;
    tokio::task::spawn_local(look_behind(shared.clone()));
    tokio::task::spawn_local(absent::watch(shared.clone()));
    notices.into_iter().for_each(|notice| shared.clerk.notice(notice));
    drop(open());
    tokio::task::spawn_local(verbs::serve(shared.clone()));
    let plan = shared.settings.hooks.clone();
    if let Some(plan) = &plan {
        // Before the first link is up: what is not asked for then is passed over.
        shared.hooked.replace(runner::hooks::folders(&plan.directories).facts);
    }
    let uplink = uplink::start(&shared, ending);
    let rows = plan.map(|plan| tokio::task::spawn_local(rows::serve(shared.clone(), plan, ending.clone())));
    if shared.settings.server {
        let _ = shared.out.send(Out::Known(known(&shared)));
    }
    (shared, links, Tasks { rows, uplink })
}

/// Does what the host program says, but for ending: then, whom to tell.
fn obey(links: &mut Links, shared: &Shared, order: Order) -> Option<oneshot::Sender<()>> {
    match order {
        Order::LinkUp { link, host, roles, stranger } => links.up(link, host, roles, stranger),
        Order::LinkDown(link) => links.down(link),
        Order::Heard(link, message) => links.heard(link, message),
        Order::Forget(host) => links.forget(&host),
        Order::Tell(fact) => shared.clerk.tell(&shared.settings.node, &fact),
        Order::TellOf(host, fact) => shared.clerk.tell(&host, &fact),
        Order::Stop(answer) => return Some(answer),
    }
    None
}

/// What is left where the journal was before is said in the log, and to whoever asks.
async fn look_behind(shared: Rc<Shared>) {
    let settings = shared.settings.clone();
    let findings = tokio::task::spawn_blocking(move || places::left_behind(&settings)).await.unwrap_or_default();
    findings.iter().for_each(|finding| tracing::error!("{finding}"));
    shared.findings.borrow_mut().extend(findings);
}

async fn ended(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        // A task that panicked has said so.
        let _ = task.await;
    }
}

/// The machines of which the last word is that they are here.
fn known(shared: &Shared) -> Vec<HostName> {
    let states = shared.journal.latest(&|topic| topic.ends_with("/state")).unwrap_or_else(|why| {
        tracing::error!("who was here before is not known: {why}");
        Vec::new()
    });
    let here = states.iter().filter(|entry| {
        let body = serde_json::from_slice::<serde_json::Value>(&entry.record.body).unwrap_or_default();
        body["state"] != "offline"
    });
    here.filter_map(|entry| Some(protocol::Topic::parse(&entry.record.subject).ok()?.node)).collect()
}

/// An event as a record of this journal, now.
pub(crate) fn record_now(event: protocol::Event) -> crate::journal::Record {
    carry::record(event, runner::clock::unix_now().as_secs())
}
