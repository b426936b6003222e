//! A simulated pair: the client's machine and session on one side, a scripted server, old or new, on the other, joined
//! by queues with a constant delay. Time is virtual and only moves from event to event, so a story of an hour
//! takes a millisecond and runs the same each time.
//!
//! The client's loop is the one that a real program has: it reads, translates what it heard into inputs, performs the
//! actions, ticks at the deadline, and dials again every 200 ms while it has no link.

mod server;

use protocol::cause::Cause;
use protocol::detector::Bounds;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Hello, Message};
use protocol::name::Identity;
use protocol::presence::{Action, Change, Input, Phase, Presence};
use protocol::session::{Heard, Session};
use protocol::{Epoch, HostName, Instant, frame};
use server::Server;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long everything travels.
const DELAY: Duration = Duration::from_millis(1);
/// How often a client without a link dials.
const DIAL_EVERY: Duration = Duration::from_millis(200);
/// More ticks than this at one instant are a busy loop.
const MOST_TICKS: u32 = 4;

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// What arrives at one end of a link.
#[derive(Debug, Clone)]
pub enum Wire {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// What happens at one instant. The number names the link, so that what belongs to a link that is gone is dropped.
#[derive(Debug, Clone)]
enum Event {
    ToClient(u32, Wire),
    ToServer(u32, Vec<u8>),
    Probe,
    Here(Epoch),
    OwnLink,
    Dial,
    Beat(u32),
}

pub struct Pair {
    pub now: Instant,
    pub presence: Presence,
    pub probes: u32,
    pub dials: u32,
    server: Server,
    session: Session<ServerLine>,
    link: Option<u32>,
    links: u32,
    queue: BTreeMap<(Instant, u64), Event>,
    queued: u64,
    held: Vec<Event>,
    cut: bool,
    own_link: bool,
    asleep_until: Instant,
    changes: Vec<Change>,
}

impl Pair {
    /// A new server of this run is there, and the client begins to dial.
    pub fn with_new_server(epoch: u64) -> Self {
        Self::with(Server::new(Some(Epoch(epoch))))
    }

    /// An old server is there.
    pub fn with_old_server() -> Self {
        Self::with(Server::new(None))
    }

    fn with(server: Server) -> Self {
        let now = Instant::at(Duration::from_secs(1000));
        let mut pair = Self {
            now,
            presence: Presence::new(Bounds::DEFAULT, now),
            probes: 0,
            dials: 0,
            server,
            session: Session::default(),
            link: None,
            links: 0,
            queue: BTreeMap::new(),
            queued: 0,
            held: Vec::new(),
            cut: false,
            own_link: true,
            asleep_until: now,
            changes: Vec::new(),
        };
        pair.at(now, Event::Dial);
        pair
    }

    /// Lets this many seconds pass.
    pub fn run(&mut self, span: f64) {
        let end = self.now + seconds(span);
        let mut ticks = 0;
        while let Some((at, tick)) = self.next().filter(|(at, _)| *at <= end) {
            ticks = if at > self.now { 0 } else { ticks + u32::from(tick) };
            assert!(ticks <= MOST_TICKS, "busy loop at {:?}: {:?}", self.now.since_start(), self.presence);
            self.now = self.now.max(at);
            if tick { self.input(Input::Tick) } else { self.event() }
        }
        self.now = end;
    }

    /// When something is next, and whether it is a tick. On waking up, time is noticed before anything is read.
    fn next(&self) -> Option<(Instant, bool)> {
        let tick = self.presence.deadline().map(|due| (due.max(self.asleep_until), true));
        let event = self.queue.iter().next().map(|((at, _), event)| (self.reaches(*at, event), false));
        match (tick, event) {
            (Some(tick), Some(event)) => Some(if tick.0 <= event.0 { tick } else { event }),
            (tick, event) => tick.or(event),
        }
    }

    fn reaches(&self, at: Instant, event: &Event) -> Instant {
        match event {
            Event::ToServer(..) | Event::Probe | Event::Beat(_) => at,
            Event::ToClient(..) | Event::Here(_) | Event::OwnLink | Event::Dial => at.max(self.asleep_until),
        }
    }

    fn event(&mut self) {
        let Some(((_, number), event)) = self.queue.pop_first() else { return };
        if self.reaches(self.now, &event) > self.now {
            self.queue.insert((self.asleep_until, number), event);
            return;
        }
        match event {
            Event::ToClient(link, wire) if self.link == Some(link) => self.client_reads(wire),
            Event::ToServer(link, bytes) => self.server_reads(link, &bytes),
            Event::Beat(link) => self.server_beats(link),
            Event::Probe => self.server_is_probed(),
            Event::Here(epoch) => self.input(Input::Here(epoch)),
            Event::OwnLink => self.input(Input::OwnLink { up: self.own_link, evidence: "as the story says".into() }),
            Event::Dial => self.dial(),
            Event::ToClient(..) => (),
        }
    }

    fn at(&mut self, at: Instant, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }

    /// Over the network: at once, when the cut is over if TCP carries it, or never.
    fn send(&mut self, event: Event) {
        let carried = matches!(event, Event::ToClient(..) | Event::ToServer(..));
        match self.cut || !self.own_link {
            false => self.at(self.now + DELAY, event),
            true if carried => self.held.push(event),
            true => (),
        }
    }

    // ---- the client's loop ----

    fn dial(&mut self) {
        if self.link.is_some() {
            return;
        }
        self.dials += 1;
        if !self.server.running || self.cut || !self.own_link {
            self.at(self.now + DIAL_EVERY, Event::Dial);
            return;
        }
        self.links += 1;
        (self.link, self.session) = (Some(self.links), Session::default());
        self.server_accepts(self.links);
        self.input(Input::Connected);
        self.say(ClientLine::Hello(name("kitchen")).encode());
    }

    fn say(&mut self, bytes: Vec<u8>) {
        if let Some(link) = self.link {
            self.send(Event::ToServer(link, bytes));
        }
    }

    fn client_reads(&mut self, wire: Wire) {
        match wire {
            Wire::Bytes(bytes) => self.client_hears(&bytes),
            Wire::Fin => self.link_ends(Input::Closed),
            Wire::Reset => self.link_ends(Input::Broken("connection reset by peer".into())),
        }
    }

    fn client_hears(&mut self, bytes: &[u8]) {
        let mut heard = Vec::new();
        self.session.receive(bytes, |said| heard.push(said)).expect("the scripted server speaks well");
        heard.into_iter().for_each(|said| self.client_is_told(said));
    }

    fn client_is_told(&mut self, said: Heard<ServerLine>) {
        match said {
            Heard::Line(ServerLine::Hello { server, epoch }) => {
                self.say(frame::encode(&Message::Hello(hello())));
                self.input(Input::Hello { server, epoch });
            }
            Heard::Line(ServerLine::Shutdown) => self.input(Input::ShutdownLine),
            Heard::Message(Message::Beat(beat)) => {
                self.say(frame::encode(&Message::Echo { number: beat.number }));
                self.input(Input::Beat);
            }
            Heard::Message(Message::Prepare(prepare)) => self.input(Input::Prepare(prepare)),
            Heard::Message(Message::Cancel(id)) => self.input(Input::Cancel(id)),
            Heard::Message(Message::Commit(id)) => self.input(Input::Commit(id)),
            Heard::Line(ServerLine::Greeting(_)) => self.input(Input::Greeted),
            Heard::Line(ServerLine::Text(_)) | Heard::Message(_) | Heard::Unknown(_) => (),
        }
    }

    fn link_ends(&mut self, how: Input) {
        self.drop_link();
        self.input(how);
    }

    fn drop_link(&mut self) {
        self.link = None;
        self.at(self.now + DELAY, Event::Dial);
    }

    /// Hands the machine one input and performs what it answers.
    pub fn input(&mut self, input: Input) {
        for action in self.presence.handle(input, self.now) {
            match action {
                Action::Changed(change) => self.changes.push(change),
                Action::CheckLink => self.at(self.now + DELAY, Event::OwnLink),
                Action::Reconnect => self.drop_link(),
                Action::Probe => {
                    self.probes += 1;
                    self.send(Event::Probe);
                }
            }
        }
    }

    // ---- what stories do to the network and the client ----

    /// Both ways are cut, or mended; what TCP carries arrives after all.
    pub fn cut(&mut self, cut: bool) {
        self.cut = cut;
        self.flush();
    }

    /// The client's own cable.
    pub fn own_link(&mut self, up: bool) {
        self.own_link = up;
        self.flush();
    }

    fn flush(&mut self) {
        std::mem::take(&mut self.held).into_iter().for_each(|event| self.send(event));
    }

    /// The client does not run for this long, and sees it only by its clock.
    pub fn stall(&mut self, span: f64) {
        self.asleep_until = self.now + seconds(span);
        self.run(span);
    }

    /// The client's machine is suspended for this long, and the loop sees that first of all.
    pub fn suspend(&mut self, span: f64) {
        let wake = self.now + seconds(span);
        self.asleep_until = wake + Duration::from_nanos(1);
        self.run(span);
        (self.now, self.asleep_until) = (wake, wake);
        self.input(Input::Slept(seconds(span)));
    }

    // ---- what stories ask ----

    /// The changes since the last question, a word each.
    pub fn saw(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.changes).iter().map(word).collect()
    }

    /// What the last change rested on.
    pub fn evidence(&self) -> String {
        self.changes.last().map(|change| change.evidence.join("; ")).unwrap_or_default()
    }

    /// Whether a client with POWER_OFF set, and without POWER_OFF_ON_LOST, would power off now.
    pub fn powers_off(&self) -> bool {
        let policy = protocol::cause::PowerPolicy { power_off: true, power_off_on_lost: false };
        match self.presence.phase() {
            Phase::Stopping { committed, .. } => committed,
            Phase::Down { cause, .. } => cause.powers_off(policy),
            Phase::Unknown | Phase::Up { .. } => false,
        }
    }
}

fn word(change: &Change) -> &'static str {
    match (change.phase, change.cause) {
        (Phase::Unknown, _) => "unknown",
        (Phase::Up { hold: None, .. }, None) => "up",
        (Phase::Up { hold: Some(_), .. }, Some(Cause::Restart)) => "restarting",
        (Phase::Up { .. }, Some(Cause::Own)) => "self",
        (Phase::Up { .. }, _) => "an up of no known kind",
        (Phase::Stopping { committed: false, .. }, Some(Cause::Own)) => "self",
        (Phase::Stopping { committed: false, .. }, _) => "stopping",
        (Phase::Stopping { committed: true, .. }, _) => "committed",
        (Phase::Down { cause: Cause::Restart, .. }, _) => "overdue",
        (Phase::Down { cause, .. }, _) => cause.word(),
    }
}

fn name(text: &str) -> HostName {
    HostName::parse(text).expect("a name in a story is a host name")
}

fn hello() -> Hello {
    let version = protocol::line::VERSION;
    Hello { version, name: name("kitchen"), identity: Identity(1), program: "story".into(), capabilities: Vec::new() }
}
