//! The house as the server sees it: who is here, who speaks which dialect, whose lease has run out, and how a
//! shutdown goes. Pure: inputs and time in, actions out; the one loop in `serve.rs` performs them.
//!
//! What always holds: every peer has at most one entry and every host name at most one peer; a peer that is
//! unclassified or old is told `shutdown` like all others, if old peers are let in where it is; nothing that one peer says
//! changes what another one gets, except a `shutdown` from an address that the owner listed.
//!
//! | module | what it settles |
//! |---|---|
//! | `vocabulary` | what the loop tells it, and what it answers |
//! | `hello`, `namesakes` | how new clients introduce themselves, and two of one name |
//! | `beats` | who hears a beat when, and whose lease has run out |
//! | `guard`, `judge`, `strangers`, `pairing` | who may stay, what is said of others, who joins |
//! | `stopping` | shutdowns |
//! | `tell`, `report` | what is said on the event bus, and to whoever asks |

mod beats;
mod guard;
mod hello;
mod judge;
mod namesakes;
mod pairing;
mod report;
mod stopping;
mod strangers;
mod tell;
#[cfg(test)]
mod tests;
mod vocabulary;

use beats::{SLOTS, slot};
use bus::secure::Peer as Paired;
use core::net::IpAddr;
use guard::Guard;
pub use guard::{OldPeers, Shaken};
use pairing::Pairing;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::HookOutcome;
use protocol::name::Identity;
use protocol::session::Heard;
use protocol::shutdown::{Party, Shutdown};
use protocol::time::earliest;
use protocol::{HostName, Instant, Message, frame};
use report::Memory;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use strangers::Attempt;
pub use vocabulary::{Action, ControlId, Input, Level, PeerId, Released, Rules, Via};

/// So many lines of text of one link go to the log; a start script writes a few.
const MOST_TEXTS: u32 = 500;
/// One machine that reconnects so often, each time on top of a living link, is two machines.
const MOST_TAKEOVERS: u32 = 3;
/// A link over which something came within this time is alive.
const ALIVE: Duration = Duration::from_millis(2500);
/// Words of a peer are cut at so many bytes before they go to a log or into memory.
const MOST_WORDS: usize = 200;

/// What we know of the other end.
#[derive(Debug)]
enum Speaker {
    /// It has said nothing yet.
    Unclassified,
    /// It said `wait` or other text.
    Old,
    /// It was answered with our hello line; its own hello frame or a handshake is due.
    Greeted(Box<Greeted>),
    /// It speaks frames.
    New(Box<Client>),
}

#[derive(Debug)]
struct Greeted {
    name: HostName,
    stage: Stage,
}

/// How far a link is that will speak frames.
#[derive(Debug)]
enum Stage {
    /// It has to say hello, or begin a handshake.
    Hello,
    /// It has begun one; nothing else is sent to it.
    Shaking,
    /// The handshake is over, and this is who came.
    Sealed(Arc<Paired>),
    /// It has proved the code of a pairing.
    Joining,
}

#[derive(Debug)]
struct Client {
    name: HostName,
    identity: Identity,
    round_trip: Option<Duration>,
    last_hook: Option<Box<HookOutcome>>,
    unknown_frames: u32,
    takeovers: u32,
    /// It can carry events.
    carries: bool,
    /// It does.
    bus: bool,
    /// Its line in the list, if the link is sealed.
    paired: Option<Arc<Paired>>,
}

#[derive(Debug)]
struct Peer {
    address: Option<IpAddr>,
    via: Via,
    since: Instant,
    heard: Instant,
    texts: u32,
    speaker: Speaker,
}

/// The machine.
#[derive(Debug)]
pub struct House {
    rules: Rules,
    began: Instant,
    /// Boxed, since a tree that grows at its end is half full.
    peers: BTreeMap<PeerId, Box<Peer>>,
    hosts: BTreeMap<HostName, PeerId>,
    per_address: HashMap<IpAddr, u32>,
    beats: VecDeque<(u64, Instant)>,
    moment: u64,
    leased: [u32; SLOTS as usize],
    memory: Memory,
    shutdown: Option<Shutdown>,
    shutdowns: u32,
    shutdown_began: Instant,
    watchers: Vec<ControlId>,
    late: Vec<String>,
    hooks_running: bool,
    /// The last shutdown whose hooks have been run.
    hooks_run: Option<protocol::ShutdownId>,
    /// Our machine waits for us before it goes down.
    machine_waits: bool,
    /// The shutdown that our machine's own end began, and nobody's request.
    machines_own: Option<protocol::ShutdownId>,
    returning: Option<Instant>,
    terminating: bool,
    /// Machines that an earlier run of this server knew as here, and until when they may come back.
    remembered: Vec<HostName>,
    grace: Option<Instant>,
    guard: Guard,
    namesakes: namesakes::Namesakes,
    pairing: Option<Pairing>,
}

impl House {
    /// An empty house.
    pub fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            began: now,
            peers: BTreeMap::new(),
            hosts: BTreeMap::new(),
            per_address: HashMap::new(),
            beats: VecDeque::new(),
            moment: 0,
            leased: [0; SLOTS as usize],
            memory: Memory::default(),
            shutdown: None,
            shutdowns: 0,
            shutdown_began: now,
            watchers: Vec::new(),
            late: Vec::new(),
            hooks_running: false,
            hooks_run: None,
            machine_waits: false,
            machines_own: None,
            returning: None,
            terminating: false,
            remembered: Vec::new(),
            grace: None,
            guard: Guard::new(now),
            namesakes: Default::default(),
            pairing: None,
        }
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let beat = self.next_beat();
        let stopping = self.shutdown.as_ref().and_then(Shutdown::deadline);
        let strangers = earliest(self.guard_deadline(), self.pairing_deadline());
        earliest(earliest(beat, self.grace), earliest(stopping, strangers))
    }

    /// Takes one input; what is to be done because of it.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        match input {
            Input::Arrived { peer, address, via, greeted } => self.arrived(peer, address, via, greeted, now),
            Input::Heard(peer, heard) => self.heard(peer, heard, now),
            Input::Ended(peer, why) => self.ended(peer, why, now),
            Input::Asked(asker, request) => self.asked(asker, request, now),
            Input::AskerGone(asker) => self.asker_gone(asker),
            Input::Terminate { cause, then, evidence } => self.terminate(cause, then, evidence, now),
            Input::MachineGoes(then) => self.machine_goes(then, now),
            Input::MachineStays => self.machine_stays(),
            Input::HooksEnded(outcomes) => self.hooks_ended(outcomes, now),
            Input::Known(hosts) => {
                self.remember(hosts, now);
                Vec::new()
            }
            Input::Shaken(peer, shaken) => self.shaken(peer, shaken, now),
            Input::Listed(list, closed) => self.listed(list, closed, now),
            Input::Enrolled(peer, verdict, result) => self.enrolled(peer, verdict, result, now),
            Input::Struck(asker, host, result) => self.struck(asker, &host, result),
            Input::Tick => self.tick(now),
        }
    }

    fn arrived(&mut self, id: PeerId, address: Option<IpAddr>, via: Via, greeted: bool, now: Instant) -> Vec<Action> {
        if let Some(refusal) = self.over_address_cap(id, address, now) {
            return refusal;
        }
        let peer = Peer { address, via, since: now, heard: now, texts: 0, speaker: Speaker::Unclassified };
        self.peers.insert(id, Box::new(peer));
        if let Some(address) = address {
            *self.per_address.entry(address).or_default() += 1;
        }
        let greeting = || Action::Send(vec![id], ServerLine::Greeting(shown(address)).encode().into());
        let mut actions = if greeted { Vec::new() } else { vec![greeting()] };
        actions.extend(self.watch_arrival(id, address, now));
        if self.peers.len() == self.rules.most_peers {
            let cap = self.rules.most_peers;
            actions.push(Action::Accept(false));
            actions.push(warn(format!("{cap} peers are here, new ones wait outside; raise MAXDAEMONS to let them in")));
        }
        actions
    }

    /// A reset, not a clean end, which an old client would take for the server's shutdown.
    fn over_address_cap(&mut self, id: PeerId, address: Option<IpAddr>, now: Instant) -> Option<Vec<Action>> {
        let here = *self.per_address.get(&address?)?;
        (here as usize >= self.rules.most_per_address).then(|| {
            let what = format!("has {here} links already; refused, raise MAX_PER_ADDRESS");
            [Action::Reset(id)].into_iter().chain(self.stranger(address, Attempt::Crowd, what, now)).collect()
        })
    }

    fn heard(&mut self, id: PeerId, heard: Heard<ClientLine>, now: Instant) -> Vec<Action> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        peer.heard = now;
        match heard {
            Heard::Line(line) => self.line(id, line, now),
            Heard::Message(message) => self.message(id, message, now),
            Heard::Unknown(_) => {
                if let Speaker::New(client) = &mut peer.speaker {
                    client.unknown_frames = client.unknown_frames.saturating_add(1);
                }
                Vec::new()
            }
        }
    }

    fn line(&mut self, id: PeerId, line: ClientLine, now: Instant) -> Vec<Action> {
        match line {
            ClientLine::Wait => self.now_old(id, now),
            ClientLine::Text(_) if !self.lets_old_in(self.peers.get(&id).and_then(|peer| peer.address)) => {
                self.refuse_old(id, now)
            }
            ClientLine::Text(text) => {
                let mut actions = self.now_old(id, now);
                actions.extend(self.says(id, text));
                actions
            }
            ClientLine::Quit => {
                let note = (!self.guard.is_unproven(id)).then(|| info(format!("{} quits", self.label(id))));
                let mut actions: Vec<Action> = [Action::Close(id)].into_iter().chain(note).collect();
                actions.extend(self.forget(id, now));
                actions
            }
            ClientLine::Shutdown if self.guard.closed => self.refuse_shutdown(id, now),
            ClientLine::Shutdown => self.asked_by_line(id, now),
            ClientLine::Hello(name) => self.hello_line(id, name, now),
            ClientLine::BadHello(why) => self.refuse_line(id, why.to_string(), now),
        }
    }

    /// Somebody's words for the log, unless he has said too many.
    fn says(&mut self, id: PeerId, printable: String) -> Option<Action> {
        let who = self.label(id);
        let peer = self.peers.get_mut(&id)?;
        peer.texts = peer.texts.saturating_add(1);
        match peer.texts {
            ..=MOST_TEXTS => Some(info(format!("{who} says: {printable}"))),
            n if n == MOST_TEXTS + 1 => {
                Some(warn(format!("{who} says more than {MOST_TEXTS} lines; the rest is dropped")))
            }
            _ => None,
        }
    }

    fn now_old(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        match self.peers.get_mut(&id) {
            Some(peer) if matches!(peer.speaker, Speaker::Unclassified) => {
                let address = peer.address;
                if !self.lets_old_in(address) {
                    return self.refuse_old(id, now);
                }
                self.peers.entry(id).and_modify(|peer| peer.speaker = Speaker::Old);
            }
            _ => return Vec::new(),
        }
        self.tell_latecomer(id, now).unwrap_or_default()
    }

    fn message(&mut self, id: PeerId, message: Message, now: Instant) -> Vec<Action> {
        match (message, self.host(id)) {
            (Message::Hello(hello), None) => self.hello_frame(id, hello, now),
            (Message::Handshake(bytes), _) => self.handshake(id, bytes, now),
            (Message::Echo { number }, Some(_)) => self.echo(id, number, now),
            (Message::Progress(progress), Some(host)) => self.progress(id, host, progress, now),
            (Message::Decision(decision), Some(host)) => self.decision(host, decision, now),
            (Message::Text(text), Some(host)) => {
                let text = cut(&text);
                // Why it takes no part, for instance, is wanted by whoever watches a drill.
                let moment = self.moment(host.as_str(), text.clone(), now);
                self.says(id, text).into_iter().chain(moment).collect()
            }
            (message @ (Message::Follow(_) | Message::Events(_) | Message::Kept(_)), Some(_)) => {
                vec![Action::Bus(id, message)]
            }
            (_, None) => self.refuse(id, "the first frame must be a hello; this peer began with another".into(), now),
            (_, Some(host)) => vec![warn(format!("{host} sent a frame that only servers send; ignored"))],
        }
    }

    /// The host name of a peer that has said hello in frames.
    fn host(&self, id: PeerId) -> Option<HostName> {
        match &self.peers.get(&id)?.speaker {
            Speaker::New(client) => Some(client.name.clone()),
            Speaker::Unclassified | Speaker::Old | Speaker::Greeted(_) => None,
        }
    }

    fn refuse(&mut self, id: PeerId, why: String, now: Instant) -> Vec<Action> {
        let bytes = frame::encode(&Message::Refused(why.clone()));
        self.turn_away(id, bytes, why, now)
    }

    fn refuse_line(&mut self, id: PeerId, why: String, now: Instant) -> Vec<Action> {
        let bytes = ServerLine::Text(format!("refused: {why}")).encode();
        self.turn_away(id, bytes, why, now)
    }

    fn turn_away(&mut self, id: PeerId, bytes: Vec<u8>, why: String, now: Instant) -> Vec<Action> {
        let note = warn(format!("{} is refused: {why}", self.label(id)));
        let mut actions = vec![Action::Send(vec![id], bytes.into()), Action::TurnAway(id), note];
        actions.extend(self.forget(id, now));
        actions
    }

    fn ended(&mut self, id: PeerId, why: Option<String>, now: Instant) -> Vec<Action> {
        if !self.peers.contains_key(&id) {
            return vec![Action::Close(id)];
        }
        let words = why.as_deref().unwrap_or("closed its link");
        let note = format!("{} {words}", self.label(id));
        if let Some(host) = self.host(id) {
            self.memory.record(&host, "server", "left".into(), vec![format!("it {words}")], now);
        }
        let mut actions = vec![Action::Close(id)];
        match self.guard.is_unproven(id) {
            true => {
                let address = self.peers.get(&id).and_then(|peer| peer.address);
                let what = format!("{words} before it had said who it is");
                actions.extend(self.stranger(address, Attempt::Silence, what, now));
            }
            false => actions.push(if why.is_some() { warn(note) } else { info(note) }),
        }
        actions.extend(self.forget(id, now));
        actions
    }

    /// Takes a peer out of all books; a shutdown may have waited for just that.
    fn forget(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let full = self.peers.len() == self.rules.most_peers;
        let Some(peer) = self.peers.remove(&id).map(|peer| *peer) else { return Vec::new() };
        self.leave_address(peer.address);
        self.guard.proven(id);
        let told = self.tell_gone(&peer.speaker);
        let carries = matches!(&peer.speaker, Speaker::New(client) if client.bus);
        let party = match peer.speaker {
            Speaker::New(client) => {
                self.leased[slot(id)] -= 1;
                self.hosts.remove(&client.name);
                self.memory.came(&client.name, peer.address, peer.since);
                if client.paired.is_some() {
                    self.guard.seen.insert(client.name.clone(), now);
                }
                Party::New(client.name)
            }
            Speaker::Greeted(_) => {
                self.leased[slot(id)] -= 1;
                Party::Old(id.0)
            }
            Speaker::Unclassified | Speaker::Old => Party::Old(id.0),
        };
        let mut actions = if full { vec![Action::Accept(true)] } else { Vec::new() };
        if carries {
            actions.push(Action::BusDown(id));
        }
        actions.extend(told);
        actions.extend(self.party_left(party, now));
        actions
    }

    fn leave_address(&mut self, address: Option<IpAddr>) {
        let Some(address) = address else { return };
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }

    fn tick(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = self.beat_until(now);
        actions.extend(self.review(now));
        actions.extend(self.end_grace(now));
        actions.extend(self.end_unproven(now));
        actions.extend(self.end_old_pairing(now));
        actions
    }

    fn address(&self, id: PeerId) -> String {
        shown(self.peers.get(&id).and_then(|peer| peer.address))
    }

    /// How a peer is called in log and status: by host name if it gave one, else by address.
    fn label(&self, id: PeerId) -> String {
        self.host(id).map_or_else(|| self.address(id), |host| host.to_string())
    }
}

/// A stranger's words, printable and at most [`MOST_WORDS`] bytes of them.
fn cut(text: &str) -> String {
    let words = protocol::name::printable(&text.as_bytes()[..text.len().min(MOST_WORDS)]);
    words.chars().take(MOST_WORDS).collect()
}

/// An address for people; `unknown` where UCSPI told none.
fn shown(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "unknown".into(), |address| address.to_canonical().to_string())
}

fn info(text: String) -> Action {
    Action::Note(Level::Info, text)
}

fn warn(text: String) -> Action {
    Action::Note(Level::Warn, text)
}
