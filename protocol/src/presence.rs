//! How a client knows that its server is there, leaving, or lost, and why: the table of [`crate::cause`] as a machine.
//!
//! What always holds: a verdict `lost` on a new server needs a lease that ran out, or a link that ended, while probes went
//! unanswered; on any server the client's own network link must have been found up; a client that slept, stalled or
//! was unplugged accuses nobody, and does not take a deadline that passes meanwhile for a commit. `closed`, the other verdict that may power a machine off, is only ever passed on a server
//! that has neither greeted nor spoken frames. An announced restart is never a loss before its time has passed. A new
//! server counts as up from its first beat on, an old one (which says nothing) once it has been silently connected
//! for [`SETTLE`]. What the server says is in `announced`, what its silence means in `silence`.

mod announced;
mod silence;

use crate::cause::Cause;
use crate::detector::{Bounds, Detector};
use crate::message::Prepare;
use crate::name::{Epoch, HostName, ShutdownId};
use crate::time::{Instant, earliest};
use std::time::Duration;

/// How long a link may stay silent before a server that has never spoken frames is taken for an old one. One that has
/// gets two links and the time of a lease for each.
pub const SETTLE: Duration = Duration::from_millis(300);
/// How often a silent server is probed.
pub const PROBE_EVERY: Duration = Duration::from_millis(100);
/// How often one is probed whose link has ended.
pub const PROBE_ENDED_EVERY: Duration = Duration::from_millis(40);
/// How long a new server whose link ended without a word has to answer a probe, on a quiet network: a link may end
/// although the server lives, for instance when it has not heard this client for its own lease.
pub const ENDED: Duration = Duration::from_millis(150);
/// How often a client that waits for a silent server, or has lost its own network, looks at its own link.
pub const RECHECK_EVERY: Duration = Duration::from_secs(1);
/// A loop that wakes up this late was stalled: what it missed was its own fault.
pub const STALL: Duration = Duration::from_secs(1);
/// How long the deadline of a shutdown is that an old server announces, which names none.
pub const OLD_DEADLINE: Duration = Duration::from_secs(60);

/// Where the server is, as far as this client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not seen since this client started.
    Unknown,
    /// There; for a while, or until `hold`, without a link.
    Up {
        /// The run of a new server; `None` for an old one.
        epoch: Option<Epoch>,
        /// It said that it returns by then: a missing link means nothing yet.
        hold: Option<Instant>,
    },
    /// It announced its end.
    Stopping {
        /// `None` if an old server said so.
        id: Option<ShutdownId>,
        /// When it will not wait any longer.
        deadline: Instant,
        /// There is no way back: this client may power off once it has let go.
        committed: bool,
    },
    /// Gone.
    Down {
        /// Why.
        cause: Cause,
        /// The shutdown that led here, if it was announced with an id.
        id: Option<ShutdownId>,
    },
}

/// What the loop tells the machine.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A link to the server's address was made.
    Connected,
    /// The server said whom it sees. Only new servers say so before they say `shutdown`.
    Greeted,
    /// The server took up the offer of frames.
    Hello {
        /// Its name.
        server: HostName,
        /// Which run of it.
        epoch: Epoch,
    },
    /// A beat, for which the next one is due after this time.
    Beat,
    /// The server announced a shutdown or a restart.
    Prepare(Prepare),
    /// It took the announcement back.
    Cancel(ShutdownId),
    /// It closed the way back.
    Commit(ShutdownId),
    /// The line `shutdown` of an old server.
    ShutdownLine,
    /// The other end closed the link cleanly.
    Closed,
    /// The link broke; the text is the system's word for it.
    Broken(String),
    /// A probe was answered by this run of the server.
    Here(Epoch),
    /// The answer to [`Action::CheckLink`]: whether this machine's own way to the server is up, in words for the evidence.
    OwnLink {
        /// Whether it is.
        up: bool,
        /// For instance `eth0 has a carrier`.
        evidence: String,
    },
    /// The machine was suspended for this long.
    Slept(Duration),
    /// The hooks of a shutdown are done: nothing is held any more. May come before the commit or after it.
    LetGo,
    /// Nothing but time.
    Tick,
}

/// What the loop is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// The phase changed.
    Changed(Change),
    /// Send one probe.
    Probe,
    /// Find out whether the own network link is up, and answer with [`Input::OwnLink`].
    CheckLink,
    /// Close this link without further ado and make a new one.
    Reconnect,
}

/// A decision, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The phase from now on.
    pub phase: Phase,
    /// Why; `None` if the server is simply there.
    pub cause: Option<Cause>,
    /// A fact a line.
    pub evidence: Vec<String>,
}

#[derive(Debug)]
struct Link {
    since: Instant,
    server: Option<HostName>,
    /// The server greeted on this link, as old ones do not.
    greeted: bool,
    /// The server said hello on this link, and beats.
    new: bool,
    /// The server said that it goes: its beats on this link no longer mean that it is up.
    leaving: bool,
}

/// A link that ended without a word, or a restart that is overdue: the server has until then to answer a probe.
#[derive(Debug)]
struct Ended {
    why: String,
    until: Instant,
}

/// The machine.
#[derive(Debug)]
pub struct Presence {
    phase: Phase,
    link: Option<Link>,
    /// The last run of a new server that said hello.
    run: Option<Epoch>,
    /// It has left a link without a word since.
    silent: bool,
    detector: Detector,
    ended: Option<Ended>,
    /// What the server is accused of, once the own link has been found up.
    suspicion: Option<String>,
    checking: bool,
    own_fault: Option<Instant>,
    released: bool,
    probes: u32,
    next_probe: Instant,
    next_look: Instant,
}

impl Presence {
    /// Starts without a link, in [`Phase::Unknown`].
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            phase: Phase::Unknown,
            link: None,
            run: None,
            silent: false,
            detector: Detector::new(bounds, now),
            ended: None,
            suspicion: None,
            checking: false,
            own_fault: None,
            released: false,
            probes: 0,
            next_probe: now,
            next_look: now,
        }
    }

    /// Starts where an earlier run of this client left off, so that a server that vanished meanwhile is noticed.
    pub fn resumed(bounds: Bounds, phase: Phase, now: Instant) -> Self {
        let run = if let Phase::Up { epoch, .. } = phase { epoch } else { None };
        Self { phase, run, ..Self::new(bounds, now) }
    }

    /// Where the server is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The server's own name, once it gave one.
    pub fn server(&self) -> Option<&HostName> {
        self.link.as_ref()?.server.as_ref()
    }

    /// How long silence may last at present.
    pub fn timeout(&self) -> Duration {
        self.detector.timeout()
    }

    /// When [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        if self.checking {
            return None;
        }
        if let Some(since) = self.own_fault {
            return Some(since + RECHECK_EVERY);
        }
        match self.phase {
            Phase::Up { hold: None, .. } => self.lease_deadline(),
            Phase::Up { hold: Some(_), .. } if self.ended.is_some() => self.lease_deadline(),
            Phase::Up { hold: Some(due), .. } | Phase::Stopping { deadline: due, committed: false, .. } => {
                earliest(Some(due), self.link_deadline())
            }
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } => self.link_deadline(),
        }
    }

    /// Where no lease runs: when a silent link is taken for an old server's, or for a dead one.
    fn link_deadline(&self) -> Option<Instant> {
        let link = self.link.as_ref()?;
        match (link.new, self.phase) {
            (true, _) => Some(self.detector.lost_at()),
            (false, Phase::Unknown | Phase::Down { .. }) => Some(link.since + self.settle()),
            (false, Phase::Up { .. } | Phase::Stopping { .. }) => None,
        }
    }

    /// A server that has spoken frames before is not taken for an old one so easily.
    fn settle(&self) -> Duration {
        if self.run.is_some() { self.detector.timeout() } else { SETTLE }
    }

    /// Takes one input; what is to be done because of it.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let actions = self.decide(input, now);
        if !matches!(self.phase, Phase::Up { .. }) {
            (self.suspicion, self.ended) = (None, None);
        }
        if !matches!(self.phase, Phase::Up { .. } | Phase::Stopping { committed: false, .. }) {
            self.own_fault = None;
        }
        self.released &= matches!(self.phase, Phase::Stopping { .. });
        actions
    }

    fn decide(&mut self, input: Input, now: Instant) -> Vec<Action> {
        match input {
            Input::Connected => self.connected(now),
            Input::Greeted => self.greeted(),
            Input::Hello { server, epoch } => self.hello(server, epoch, now),
            Input::Beat => self.beat(now),
            Input::Prepare(prepare) => self.prepare(prepare, now),
            Input::Cancel(id) => self.cancel(id, now),
            Input::Commit(id) => self.commit(Some(id), vec!["the server committed to it".into()]),
            Input::ShutdownLine => self.shutdown_line(now),
            Input::Closed => self.closed(now),
            Input::Broken(why) => self.broken(why, now),
            Input::Here(epoch) => self.here(epoch, now),
            Input::OwnLink { up, evidence } => self.own_link(up, evidence, now),
            Input::Slept(span) => {
                self.own_fault_over(format!("this machine slept for {:.1} s", span.as_secs_f64()), now)
            }
            Input::LetGo => self.let_go(),
            Input::Tick => self.tick(now),
        }
    }

    fn up(&mut self, epoch: Option<Epoch>, evidence: String) -> Vec<Action> {
        self.phase = Phase::Up { epoch, hold: None };
        self.changed(None, vec![evidence])
    }

    fn changed(&self, cause: Option<Cause>, evidence: Vec<String>) -> Vec<Action> {
        vec![Action::Changed(Change { phase: self.phase, cause, evidence })]
    }

    /// This link is given up, if there is one, and another one made.
    fn reconnect(&mut self) -> Vec<Action> {
        self.link.take().map(|_| Action::Reconnect).into_iter().collect()
    }

    /// Whatever the silence was taken for, it is over or excused.
    fn acquit(&mut self) {
        (self.suspicion, self.ended, self.probes) = (None, None, 0);
    }
}
