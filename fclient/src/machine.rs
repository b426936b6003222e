//! The satellite's decisions: what a client does about what it hears of its one server. Pure: inputs and time in,
//! actions out; the one loop in `follow.rs` performs them, in their order.
//!
//! What always holds: at most one row of hooks runs; letting go is never cut short by a server that returns; a state
//! is recorded before anything is done in it; the hooks of `power-off` run only after a cause that the owner allowed
//! to, and never once somebody has asked this client itself to end.
//!
//! [`Presence`] decides where the server is. On top of it stand a goal (what presence asks for) and a state (what the
//! hooks have made of it); `work.rs` holds the table that leads from the one to the other.

mod drill;
mod hear;
mod post;
mod report;
mod resume;
mod state;
mod stranger;
mod work;

use crate::intent::Intent;
use drill::Drill;
use post::Post;
use protocol::cause::PowerPolicy;
use protocol::detector::Bounds;
use protocol::fact::Fact;
use protocol::hook::HookEvent;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Decision, Hello, HookOutcome};
use protocol::presence::{self, Change, Presence};
use protocol::session::Heard;
use protocol::time::earliest;
use protocol::{Cause, Epoch, HostName, Instant, Message, ShutdownId};
use state::{Goal, State};
use std::time::Duration;

/// What the machine has to know of the settings.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How this client introduces itself.
    pub hello: Hello,
    /// `HOST:PORT`, for people.
    pub server: String,
    /// What the owner allowed.
    pub policy: PowerPolicy,
    /// How patient the lease is.
    pub bounds: Bounds,
    /// There is one link, made by tcpclient, and the program ends with it.
    pub once: bool,
    /// How long after the boot, sleep not counted, the zero of this process's instants is.
    pub booted: Duration,
}

/// Somebody asks this client to end, on its own machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// For good, as far as anybody knows: let go first.
    Shutdown,
    /// To be started again at once: touch nothing.
    Restart,
}

/// What the loop tells the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A link was made, over which anybody may speak.
    Connected,
    /// A link was made and sealed; its server has proved who it is, and lines are over.
    Proven {
        /// Its name.
        server: HostName,
        /// Which run of it.
        epoch: Epoch,
    },
    /// This machine was paired: a link made before proves nothing, and is made anew.
    Paired,
    /// The server said something.
    Heard(Heard<ServerLine>),
    /// The server closed the link cleanly.
    Closed,
    /// The link broke; the system's word for it.
    Broken(String),
    /// This run of the server answered a probe.
    Here(Epoch),
    /// The answer to [`Action::CheckLink`].
    OwnLink {
        /// Whether this machine's own way to the server is up.
        up: bool,
        /// In words.
        evidence: String,
    },
    /// The machine was suspended for this long.
    Slept(Duration),
    /// A hook begins: event and file, as in `server-stopping/50-unmount-share`; for so often as the number says.
    HookBegan(String, u32),
    /// A hook has ended.
    HookEnded(HookOutcome),
    /// An old start or stop script wrote a line for the server.
    HookSaid(String),
    /// The row of hooks has ended, by itself or because it was cancelled.
    RunEnded,
    /// This client is to end.
    Leave(Leave),
    /// Nothing but time.
    Tick,
}

/// When to try to connect again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// In a fraction of a second at first, then with patience.
    Soon,
    /// Its server has just gone for good; it will not be back within seconds.
    Rest,
    /// It was refused; somebody has to change something first.
    Refused,
}

/// A row of hooks to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Which folder.
    pub event: HookEvent,
    /// `None` for `server-up`.
    pub cause: Option<Cause>,
    /// The server's own name, if it gave one.
    pub server: Option<HostName>,
    /// The shutdown, if it has an id.
    pub id: Option<ShutdownId>,
    /// The operator's words.
    pub reason: String,
    /// When the server waits no longer.
    pub until: Option<Instant>,
    /// Hooks that an earlier run of this client has brought to their end.
    pub skip: Vec<String>,
    /// A harmless command in place of each hook.
    pub drill: bool,
}

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks closely.
    Debug,
    /// What happens.
    Info,
    /// What somebody should look at.
    Warn,
    /// What somebody must mend.
    Error,
}

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is done.
    Done,
    /// Whoever started it should do so again.
    Again,
}

/// What the loop is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Put this into the journal, and go on when it is on the disk. `None` empties it.
    Record(Option<Intent>),
    /// Send a line.
    SayLine(ClientLine),
    /// Send a frame.
    Say(Message),
    /// Send what is still to be sent, then end the link cleanly.
    HangUp,
    /// End the link without further ado.
    Drop,
    /// There is no link any more; make one.
    Retry(Pause),
    /// Send one probe.
    Probe,
    /// Find out whether the own network link is up, and answer with [`Input::OwnLink`].
    CheckLink,
    /// Begin a row of hooks. None runs at this moment.
    Run(Run),
    /// End the row of hooks that runs; [`Input::RunEnded`] still follows.
    CancelRun,
    /// Log a decision.
    Decided(Option<Cause>, Decision),
    /// Log a line.
    Note(Level, String),
    /// The link to this server carries events from now on.
    BusUp(HostName),
    /// What it carries.
    Bus(Message),
    /// It carries none any more.
    BusDown,
    /// Say it of this machine.
    Tell(Fact),
    /// End the program, after what was said has been sent.
    Exit(Exit),
}

/// The link as the machine sees it.
#[derive(Debug)]
struct Link {
    number: u64,
    since: Instant,
    frames: bool,
    /// It greeted, or said `shutdown`, as old servers do.
    greeted: bool,
    /// It said something before it greeted, as no server does.
    strange: bool,
    /// Frames of kinds that only newer peers know.
    unknown: u32,
    /// It carries events.
    bus: bool,
}

/// A row of hooks in progress.
#[derive(Debug)]
struct Running {
    event: HookEvent,
    drill: bool,
    cancelled: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    rules: Rules,
    presence: Presence,
    link: Option<Link>,
    links: u64,
    refused: bool,
    /// What the last one said who is no server.
    stranger: Option<String>,
    server: Option<HostName>,
    reason: Option<(ShutdownId, String)>,
    goal: Goal,
    goals: u64,
    held: bool,
    state: State,
    /// The shutdown after which the hooks of `power-off` have run.
    powered_off: Option<ShutdownId>,
    running: Option<Running>,
    drill: Option<Drill>,
    post: Post,
    /// A new server has spoken to this run of the client.
    reached: bool,
    /// Until then a power-off that an earlier run had begun waits for the server to be heard.
    hesitates: Option<Instant>,
    leaving: Option<Leave>,
    exited: bool,
    recorded: Option<Intent>,
    now: Instant,
    out: Vec<Action>,
}

impl Machine {
    /// Starts where the journal says that an earlier run left off.
    pub fn new(rules: Rules, journal: Option<Intent>, now: Instant) -> Self {
        let mut machine = Self {
            presence: Presence::new(rules.bounds, now),
            rules,
            link: None,
            links: 0,
            refused: false,
            stranger: None,
            server: None,
            reason: None,
            goal: Goal::Unknown,
            goals: 0,
            held: false,
            state: State::Nothing,
            powered_off: None,
            running: None,
            drill: None,
            post: Post::default(),
            reached: false,
            hesitates: None,
            leaving: None,
            exited: false,
            recorded: journal.clone(),
            now,
            out: Vec::new(),
        };
        if let Some(intent) = journal {
            machine.resume(intent);
        }
        machine
    }

    /// Takes one input; what is to be done because of it.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        self.now = now;
        self.decide(input);
        self.advance();
        self.record();
        std::mem::take(&mut self.out)
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        let texts = self.link.as_ref().filter(|link| !link.frames).and_then(|link| self.post.deadline(link.since));
        let hesitates = self.hesitates.filter(|&until| until > self.now);
        earliest(earliest(self.presence.deadline(), texts), hesitates)
    }

    /// Where the server is, in a few words for a status line.
    pub fn status(&self) -> &'static str {
        match self.presence.phase() {
            presence::Phase::Unknown => "looking for the server",
            presence::Phase::Up { hold: None, .. } => "the server is up",
            presence::Phase::Up { hold: Some(_), .. } => "the server restarts",
            presence::Phase::Stopping { .. } => "the server is stopping",
            presence::Phase::Down { .. } => "the server is down",
        }
    }

    fn decide(&mut self, input: Input) {
        match input {
            Input::Connected => self.connected(),
            Input::Proven { server, epoch } => self.proven(server, epoch),
            Input::Paired => self.paired(),
            Input::Heard(heard) => self.heard(heard),
            Input::Closed => self.link_over(self.clean_end()),
            Input::Broken(why) => self.link_over(presence::Input::Broken(why)),
            Input::Here(epoch) => self.sense(presence::Input::Here(epoch)),
            Input::OwnLink { up, evidence } => self.sense(presence::Input::OwnLink { up, evidence }),
            Input::Slept(span) => self.sense(presence::Input::Slept(span)),
            Input::HookBegan(hook, attempt) => self.hook_began(hook, attempt),
            Input::HookEnded(outcome) => self.hook_ended(outcome),
            Input::HookSaid(text) => self.post.text(text),
            Input::RunEnded => self.run_ended(),
            Input::Leave(leave) => self.leave(leave),
            Input::Tick => self.sense(presence::Input::Tick),
        }
        self.send_texts();
    }

    /// Tells presence, and does what it answers.
    fn sense(&mut self, input: presence::Input) {
        for action in self.presence.handle(input, self.now) {
            match action {
                presence::Action::Changed(change) => self.changed(change),
                presence::Action::Probe => self.out.push(Action::Probe),
                presence::Action::CheckLink => self.out.push(Action::CheckLink),
                presence::Action::Reconnect => self.reconnect(),
            }
        }
    }

    /// A new link, because this one leads nowhere. One that tcpclient made cannot be made anew: while the server
    /// counts as up it is given another chance, as if it had just been made.
    fn reconnect(&mut self) {
        let up = matches!(self.presence.phase(), presence::Phase::Up { .. });
        if self.link.is_none() {
            return;
        }
        if self.rules.once && up {
            return self.restart_link();
        }
        self.drop_link(Action::Drop, Pause::Soon);
    }

    /// Ends the link from this side.
    fn drop_link(&mut self, how: Action, pause: Pause) {
        if let Some(link) = self.link.take() {
            self.close_bus(&link);
        }
        self.out.push(how);
        self.retry(pause);
    }

    fn close_bus(&mut self, link: &Link) {
        if link.bus {
            self.out.push(Action::BusDown);
        }
    }

    fn retry(&mut self, pause: Pause) {
        if !self.rules.once {
            self.out.push(Action::Retry(pause));
        }
    }

    /// A decision: for the log, and for the server, who is asked `pistop why`.
    fn decided(&mut self, cause: Option<Cause>, what: &str, evidence: Vec<String>) {
        let epoch = self.epoch();
        let decision = Decision { ago: Duration::ZERO, what: what.into(), evidence, epoch };
        self.out.push(Action::Decided(cause, decision.clone()));
        self.post.decision(self.now, decision);
        self.send_decisions();
    }

    fn epoch(&self) -> Option<Epoch> {
        match self.presence.phase() {
            presence::Phase::Up { epoch, .. } => epoch,
            presence::Phase::Stopping { id, .. } | presence::Phase::Down { id, .. } => id.map(|id| id.epoch),
            presence::Phase::Unknown => None,
        }
    }

    fn note(&mut self, level: Level, text: impl Into<String>) {
        self.out.push(Action::Note(level, text.into()));
    }

    /// Sends a frame, if frames are spoken.
    fn say(&mut self, message: Message) {
        if self.speaks_frames() {
            self.out.push(Action::Say(message));
        }
    }

    fn speaks_frames(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.frames)
    }

    /// What the loop performs first: the state in which all the rest is done.
    fn record(&mut self) {
        let intent = self.intent();
        if intent != self.recorded {
            self.recorded = intent.clone();
            self.out.insert(0, Action::Record(intent));
        }
    }
}

/// What a change of presence is called.
fn name(change: &Change) -> &'static str {
    use presence::Phase::{Down, Stopping, Unknown, Up};
    match (change.phase, change.cause) {
        (Unknown, _) => "server unknown",
        (Up { .. } | Stopping { .. }, Some(Cause::Own)) => "own fault, nobody is accused",
        (Up { hold: Some(_), .. }, _) => "server restarts, holding still",
        (Up { .. }, _) => "server up",
        (Stopping { committed: false, .. }, _) => "server stopping",
        (Stopping { committed: true, .. }, _) => "server stopping for good",
        (Down { cause: Cause::Closed, .. }, _) => "server closed its link",
        (Down { cause: Cause::Restart, id: Some(_) }, _) => "server starts again, staying on",
        (Down { cause: Cause::Restart, .. }, _) => "server did not return from its restart",
        (Down { .. }, _) => "server lost",
    }
}

#[cfg(test)]
mod tests;
