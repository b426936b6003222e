//! How a client knows that its server is there, leaving, or lost, and why: the table of [`crate::cause`] as a machine.
//!
//! What always holds: a verdict `lost` needs either a broken link or a lease that ran out while probes went
//! unanswered, and in both cases the client's own network link must have been found up; a client that slept, stalled
//! or was unplugged accuses nobody. An announced restart is never a loss before its time has passed. A new server counts
//! as up from its first beat on, an old one (which says nothing) once it has been silently connected for [`SETTLE`].

use crate::cause::Cause;
use crate::detector::{Bounds, Detector};
use crate::message::Prepare;
use crate::name::{Epoch, HostName, ShutdownId};
use crate::time::{Instant, earliest};
use std::time::Duration;

/// How long a link may stay silent before its server is taken for an old one.
pub const SETTLE: Duration = Duration::from_millis(300);
/// How often a silent server is probed.
pub const PROBE_EVERY: Duration = Duration::from_millis(200);
/// How often a client that lost its own network looks whether it is back.
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
    server: Option<(HostName, Epoch)>,
    /// The server said that it goes: its beats on this link no longer mean that it is up.
    leaving: bool,
}

/// The machine.
#[derive(Debug)]
pub struct Presence {
    phase: Phase,
    link: Option<Link>,
    detector: Detector,
    suspicion: Option<String>,
    checking: bool,
    own_fault: Option<Instant>,
    released: bool,
    probes: u32,
    next_probe: Instant,
}

impl Presence {
    /// Starts without a link, in [`Phase::Unknown`].
    pub fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            phase: Phase::Unknown,
            link: None,
            detector: Detector::new(bounds, now),
            suspicion: None,
            checking: false,
            own_fault: None,
            released: false,
            probes: 0,
            next_probe: now,
        }
    }

    /// Starts where an earlier run of this client left off, so that a server that vanished meanwhile is noticed.
    pub fn resumed(bounds: Bounds, phase: Phase, now: Instant) -> Self {
        Self { phase, ..Self::new(bounds, now) }
    }

    /// Where the server is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The server's own name, once it gave one.
    pub fn server(&self) -> Option<&HostName> {
        self.link.as_ref()?.server.as_ref().map(|(name, _)| name)
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
            Phase::Up { hold: None, .. } => self.lease_runs().then(|| self.lease_deadline()),
            Phase::Up { hold: Some(due), .. } | Phase::Stopping { deadline: due, committed: false, .. } => {
                earliest(Some(due), self.link_deadline())
            }
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } => self.link_deadline(),
        }
    }

    /// Where no lease runs: when a silent link is taken for an old server's, or for a dead one.
    fn link_deadline(&self) -> Option<Instant> {
        let link = self.link.as_ref()?;
        match (&link.server, self.phase) {
            (Some(_), _) => Some(self.detector.lost_at()),
            (None, Phase::Unknown | Phase::Down { .. }) => Some(link.since + SETTLE),
            (None, Phase::Up { .. } | Phase::Stopping { .. }) => None,
        }
    }

    /// Takes one input; what is to be done because of it.
    pub fn handle(&mut self, input: Input, now: Instant) -> Vec<Action> {
        let actions = self.decide(input, now);
        if !matches!(self.phase, Phase::Up { .. }) {
            (self.own_fault, self.suspicion) = (None, None);
        }
        self.released &= matches!(self.phase, Phase::Stopping { .. });
        actions
    }

    fn decide(&mut self, input: Input, now: Instant) -> Vec<Action> {
        match input {
            Input::Connected => self.connected(now),
            Input::Hello { server, epoch } => self.hello(server, epoch, now),
            Input::Beat => self.beat(now),
            Input::Prepare(prepare) => self.prepare(prepare, now),
            Input::Cancel(id) => self.cancel(id, now),
            Input::Commit(id) => self.commit(Some(id), "the server committed to it"),
            Input::ShutdownLine => self.shutdown_line(now),
            Input::Closed => self.closed(),
            Input::Broken(why) => self.broken(why),
            Input::Here(epoch) => self.here(epoch, now),
            Input::OwnLink { up, evidence } => self.own_link(up, evidence, now),
            Input::Slept(span) => {
                self.own_fault_over(format!("this machine slept for {:.1} s", span.as_secs_f64()), now)
            }
            Input::LetGo => self.let_go(),
            Input::Tick => self.tick(now),
        }
    }

    fn connected(&mut self, now: Instant) -> Vec<Action> {
        self.link = Some(Link { since: now, server: None, leaving: false });
        self.suspicion = None;
        self.detector.restart(now);
        self.recovered("the server is reached again", now)
    }

    fn hello(&mut self, server: HostName, epoch: Epoch, now: Instant) -> Vec<Action> {
        self.detector.restart(now);
        if let Some(link) = &mut self.link {
            link.server = Some((server, epoch));
        }
        Vec::new()
    }

    /// The first beat of a link says: I am here and not leaving. Later ones only renew the lease.
    fn beat(&mut self, now: Instant) -> Vec<Action> {
        self.detector.beat(now);
        (self.suspicion, self.probes) = (None, 0);
        let mut actions = self.recovered("the server is heard again", now);
        actions.extend(self.beats());
        actions
    }

    fn recovered(&mut self, evidence: &str, now: Instant) -> Vec<Action> {
        if self.own_fault.take().is_none() {
            return Vec::new();
        }
        self.grant(now);
        self.excuse(evidence.into())
    }

    fn beats(&mut self) -> Vec<Action> {
        let Some(Link { server: Some((_, epoch)), leaving, .. }) = &self.link else { return Vec::new() };
        let (epoch, leaving) = (*epoch, *leaving);
        match self.phase {
            Phase::Up { epoch: Some(known), hold: None } if known == epoch => Vec::new(),
            Phase::Up { hold: Some(_), epoch: Some(known) } if known == epoch => Vec::new(),
            Phase::Up { .. } => {
                self.phase = Phase::Up { epoch: Some(epoch), hold: None };
                self.changed(None, vec![format!("the server is back as run {epoch}, in time")])
            }
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } if leaving => Vec::new(),
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } => {
                self.up(Some(epoch), format!("run {epoch} of the server beats"))
            }
        }
    }

    fn prepare(&mut self, prepare: Prepare, now: Instant) -> Vec<Action> {
        self.detector.extend(now);
        if self.run().is_some_and(|run| prepare.id.epoch < run) {
            return Vec::new();
        }
        if let Some(link) = &mut self.link {
            link.leaving = true;
        }
        if prepare.cause == Cause::Restart {
            return self.hold(prepare, now);
        }
        let known = match self.phase {
            Phase::Stopping { id, .. } | Phase::Down { id, .. } => id,
            Phase::Up { .. } | Phase::Unknown => None,
        };
        if known == Some(prepare.id) {
            return Vec::new();
        }
        let deadline = now + prepare.within;
        self.released = false;
        self.phase = Phase::Stopping { id: Some(prepare.id), deadline, committed: false };
        let said = format!("the server announced shutdown {} within {:.0} s", prepare.id, prepare.within.as_secs_f64());
        self.changed(Some(Cause::Shutdown), vec![said])
    }

    /// A restart holds whatever was up; a client that is not up has nothing to hold. Hearing it again moves the time.
    fn hold(&mut self, prepare: Prepare, now: Instant) -> Vec<Action> {
        let Phase::Up { epoch, hold } = self.phase else { return Vec::new() };
        self.phase = Phase::Up { epoch, hold: Some(now + prepare.within) };
        if hold.is_some() {
            return Vec::new();
        }
        let said = format!("the server announced a restart and is back within {:.0} s", prepare.within.as_secs_f64());
        self.changed(Some(Cause::Restart), vec![said])
    }

    /// The time of a restart has passed: either the server never went, or it did not come back.
    fn hold_over(&mut self, epoch: Option<Epoch>, now: Instant) -> Vec<Action> {
        let beats = now.since(self.detector.last_beat()) < self.detector.timeout();
        if beats && self.link.is_some() {
            self.phase = Phase::Up { epoch, hold: None };
            return self.changed(None, vec!["the server did not go after all".into()]);
        }
        self.suspicion = Some("the server did not return in the time it named".into());
        self.check_link()
    }

    /// Too late for a client that has committed; but beats mean again that the server is up, if it still beats.
    fn cancel(&mut self, cancelled: ShutdownId, now: Instant) -> Vec<Action> {
        self.detector.extend(now);
        if self.run().is_some_and(|run| cancelled.epoch < run) {
            return Vec::new();
        }
        if let Some(link) = &mut self.link {
            link.leaving = false;
        }
        match self.phase {
            Phase::Stopping { id: Some(id), committed: false, .. } if id == cancelled => {
                self.up(Some(cancelled.epoch), format!("the server cancelled shutdown {cancelled}"))
            }
            Phase::Up { epoch, hold: Some(_) } => {
                self.phase = Phase::Up { epoch, hold: None };
                self.changed(None, vec![format!("the server cancelled restart {cancelled}")])
            }
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => Vec::new(),
        }
    }

    fn commit(&mut self, given: Option<ShutdownId>, why: &str) -> Vec<Action> {
        match self.phase {
            Phase::Stopping { id, deadline, committed: false } if given.is_none() || given == id => {
                self.phase = Phase::Stopping { id, deadline, committed: true };
                let actions = self.changed(Some(Cause::Shutdown), vec![why.to_owned()]);
                if self.released {
                    self.let_go();
                }
                actions
            }
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => Vec::new(),
        }
    }

    fn shutdown_line(&mut self, now: Instant) -> Vec<Action> {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Vec::new();
        }
        self.phase = Phase::Stopping { id: None, deadline: now + OLD_DEADLINE, committed: true };
        self.changed(Some(Cause::Shutdown), vec!["the server said `shutdown`".into()])
    }

    /// A clean end: an old server's way to go, and for a new one, which always says why, a crash.
    fn closed(&mut self) -> Vec<Action> {
        let Some(link) = self.link.take() else { return Vec::new() };
        match self.phase {
            Phase::Up { epoch: None, hold: None } if self.own_fault.is_none() && link.server.is_none() => {
                self.phase = Phase::Down { cause: Cause::Closed, id: None };
                self.changed(Some(Cause::Closed), vec!["an old server closed the link cleanly".into()])
            }
            Phase::Up { .. } => self.suspect("the link ended without a word".into()),
            Phase::Stopping { .. } => self.commit(None, "the link ended after the shutdown was announced"),
            Phase::Unknown | Phase::Down { .. } => Vec::new(),
        }
    }

    fn broken(&mut self, why: String) -> Vec<Action> {
        if self.link.take().is_none() {
            return Vec::new();
        }
        match self.phase {
            Phase::Up { .. } => self.suspect(format!("the link broke: {why}")),
            Phase::Stopping { .. } => self.commit(None, "the link broke after the shutdown was announced"),
            Phase::Unknown | Phase::Down { .. } => Vec::new(),
        }
    }

    /// Nobody is accused before the own link has been looked at.
    fn suspect(&mut self, why: String) -> Vec<Action> {
        if matches!(self.phase, Phase::Up { hold: Some(_), .. }) {
            return Vec::new();
        }
        self.suspicion = Some(why);
        self.check_link()
    }

    fn check_link(&mut self) -> Vec<Action> {
        self.checking = true;
        vec![Action::CheckLink]
    }

    fn own_link(&mut self, up: bool, evidence: String, now: Instant) -> Vec<Action> {
        self.checking = false;
        let Phase::Up { hold, .. } = self.phase else { return Vec::new() };
        if !up {
            let first = self.own_fault.is_none();
            self.own_fault = Some(now);
            self.detector.extend(now);
            return if first { self.changed(Some(Cause::Own), vec![evidence]) } else { Vec::new() };
        }
        if self.own_fault.is_some() {
            return self.own_fault_over(evidence, now);
        }
        let Some(why) = self.suspicion.take() else { return Vec::new() };
        let cause = if hold.is_some() { Cause::Restart } else { Cause::Lost };
        self.lose(cause, vec![why, evidence])
    }

    /// The silence was ours: the lease starts anew on a new link, and nobody is accused.
    fn own_fault_over(&mut self, evidence: String, now: Instant) -> Vec<Action> {
        (self.own_fault, self.suspicion) = (None, None);
        self.grant(now);
        let mut actions = self.excuse(evidence);
        if self.link.take().is_some() {
            actions.push(Action::Reconnect);
        }
        actions
    }

    /// The server lives though its link is silent: patience, and a fresh link if this one has been silent for long.
    fn here(&mut self, answered: Epoch, now: Instant) -> Vec<Action> {
        if !matches!(self.phase, Phase::Up { .. }) || self.run() != Some(answered) {
            return Vec::new();
        }
        self.detector.extend(now);
        (self.suspicion, self.probes) = (None, 0);
        let silent = now.since(self.detector.last_beat()) > self.detector.timeout();
        if silent && self.link.take().is_some() { vec![Action::Reconnect] } else { Vec::new() }
    }

    /// Until the commit the server may still cancel, so a client that has let go waits for it.
    fn let_go(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Stopping { id, committed: true, .. } => self.phase = Phase::Down { cause: Cause::Shutdown, id },
            Phase::Stopping { committed: false, .. } => self.released = true,
            Phase::Unknown | Phase::Up { .. } | Phase::Down { .. } => (),
        }
        Vec::new()
    }

    fn tick(&mut self, now: Instant) -> Vec<Action> {
        let Some(due) = self.deadline().filter(|&due| due <= now) else { return Vec::new() };
        if now.since(due) > STALL {
            return self.stalled(now.since(due), now);
        }
        if self.own_fault.is_some() {
            return self.check_link();
        }
        match self.phase {
            Phase::Up { hold: Some(hold), epoch } if hold <= now => self.hold_over(epoch, now),
            Phase::Stopping { deadline, committed: false, .. } if deadline <= now => {
                self.commit(None, "the deadline of the shutdown has passed")
            }
            Phase::Up { hold: None, .. } => self.lease_tick(now),
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => self.silent_link(),
        }
    }

    /// Whoever wakes up late has missed beats that were sent: they get the chance to be read first.
    fn stalled(&mut self, late: Duration, now: Instant) -> Vec<Action> {
        self.grant(now);
        if self.own_fault.is_some() {
            return self.check_link();
        }
        self.excuse(format!("this client was stalled for {:.1} s", late.as_secs_f64()))
    }

    /// Whatever runs out gets the time of one more lease, and a silent link the time to be read.
    fn grant(&mut self, now: Instant) {
        self.detector.extend(now);
        let lease = self.detector.lost_at();
        if let Phase::Up { hold: Some(due), .. } | Phase::Stopping { deadline: due, .. } = &mut self.phase {
            *due = lease.max(*due);
        }
        if let Some(link) = &mut self.link {
            link.since = now;
        }
    }

    fn excuse(&self, evidence: String) -> Vec<Action> {
        let up = matches!(self.phase, Phase::Up { .. });
        if up { self.changed(Some(Cause::Own), vec![evidence]) } else { Vec::new() }
    }

    fn lease_tick(&mut self, now: Instant) -> Vec<Action> {
        if now < self.detector.lost_at() {
            self.probes += 1;
            self.next_probe = now + PROBE_EVERY;
            return vec![Action::Probe];
        }
        let silence = now.since(self.detector.last_beat()).as_secs_f64();
        let why = format!(
            "no beat for {silence:.1} s, time-out {:.1} s, {} probes unanswered",
            self.timeout().as_secs_f64(),
            self.probes
        );
        self.suspect(why)
    }

    /// A link that stayed silent from the start leads to an old server; one that fell silent is dead, and without a
    /// lease nobody is accused for it.
    fn silent_link(&mut self) -> Vec<Action> {
        if self.link.take_if(|link| link.server.is_some()).is_some() {
            return vec![Action::Reconnect];
        }
        self.up(None, format!("connected, and silent for {} ms as old servers are", SETTLE.as_millis()))
    }

    fn up(&mut self, epoch: Option<Epoch>, evidence: String) -> Vec<Action> {
        self.phase = Phase::Up { epoch, hold: None };
        self.changed(None, vec![evidence])
    }

    fn lose(&mut self, cause: Cause, evidence: Vec<String>) -> Vec<Action> {
        self.phase = Phase::Down { cause, id: None };
        self.suspicion = None;
        let mut actions = self.changed(Some(cause), evidence);
        if self.link.take().is_some() {
            actions.push(Action::Reconnect);
        }
        actions
    }

    fn changed(&self, cause: Option<Cause>, evidence: Vec<String>) -> Vec<Action> {
        vec![Action::Changed(Change { phase: self.phase, cause, evidence })]
    }

    /// The run of the server that is spoken to, or was last: what an earlier one announced means nothing any more.
    fn run(&self) -> Option<Epoch> {
        let heard = self.link.as_ref().and_then(|link| link.server.as_ref()).map(|(_, epoch)| *epoch);
        let known = if let Phase::Up { epoch, .. } = self.phase { epoch } else { None };
        heard.or(known)
    }

    /// An old server on a living link has no lease: TCP itself watches it.
    fn lease_runs(&self) -> bool {
        self.link.is_none() || self.run().is_some()
    }

    fn lease_deadline(&self) -> Instant {
        self.detector.suspect_at().max(self.next_probe).min(self.detector.lost_at())
    }
}
