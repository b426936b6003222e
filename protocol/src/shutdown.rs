//! How a server lets everybody go: the coordinator of the two-phase shutdown.
//!
//! First phase: all are told, and report `received`, `stopped`, `unmounted`. The way back is open until every new
//! client is `unmounted` and every old one has left, or the deadline has passed. Second phase: the commit, from which on clients
//! may power off and the server may stop sharing. New clients are known by name, so one that restarts in the
//! middle takes up where it was; who did not finish is named. A restart only asks that everybody has heard of it.

use crate::cause::Cause;
use crate::message::{HookOutcome, HookResult, Prepare, Progress, Stage};
use crate::name::{HostName, ShutdownId};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the announcement of a restart waits to be heard: a restart must not be held up by a dead peer.
pub const RESTART_NOTICE: Duration = Duration::from_secs(1);

/// How many failed hooks are remembered of each party.
const MOST_TROUBLES: usize = 4;

/// Who takes part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A client that reports.
    New(HostName),
    /// An old client, known by its link alone: it has let go when the link ends.
    Old(u64),
}

/// What becomes of the server itself once everybody has let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Afterwards {
    /// Its machine stays on, or somebody else sees to it.
    Stays,
    /// Its machine goes down.
    GoesDown,
    /// Its machine starts again and is back within this time: everybody lets go, and nobody powers off.
    Returns(Duration),
    /// Its machine goes down or starts again. Until it is known which, nobody is told to power off.
    Undecided,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// [`Cause::Shutdown`] or [`Cause::Restart`].
    pub cause: Cause,
    /// How long to wait, or when to be back.
    pub within: Duration,
    /// The operator's words.
    pub reason: String,
    /// Nothing really stops.
    pub drill: bool,
    /// What the server does then; of no meaning for a restart of the service alone.
    pub then: Afterwards,
}

#[derive(Debug, Default)]
struct Part {
    label: String,
    stage: Option<Stage>,
    left: bool,
    troubles: Vec<HookOutcome>,
}

/// How far one party came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartStatus {
    /// Host name, or the address of an old client.
    pub who: String,
    /// Whether it can report at all.
    pub old: bool,
    /// The last stage it reported.
    pub stage: Option<Stage>,
    /// Its link has ended.
    pub left: bool,
    /// Nothing of it holds the server any more.
    pub released: bool,
    /// The hooks that did not succeed, the first few.
    pub troubles: Vec<HookOutcome>,
}

/// A shutdown in progress.
#[derive(Debug)]
pub struct Shutdown {
    id: ShutdownId,
    order: Order,
    began: Instant,
    parts: BTreeMap<Party, Part>,
    committed: bool,
}

/// The first phase ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Who did not finish, in words; empty if all did.
    pub late: Vec<String>,
}

impl Shutdown {
    /// Begins without any party; each one that is here or comes later is told by [`Shutdown::join`].
    pub fn begin(id: ShutdownId, order: Order, now: Instant) -> Self {
        Self { id, order, began: now, parts: BTreeMap::new(), committed: false }
    }

    /// Its id.
    pub fn id(&self) -> ShutdownId {
        self.id
    }

    /// What was asked for.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// Whether the way back is closed.
    pub fn committed(&self) -> bool {
        self.committed
    }

    /// It turns out what the server does afterwards. If everybody has let go without knowing it, the first phase begins again for
    /// those who could not be told before.
    pub fn decide(&mut self, then: Afterwards, now: Instant) {
        if self.order.then == Afterwards::Undecided && self.committed {
            (self.committed, self.began) = (false, now);
        }
        self.order.then = then;
    }

    /// When the first phase ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.committed).then(|| self.began + self.patience())
    }

    fn patience(&self) -> Duration {
        if self.order.cause == Cause::Restart { RESTART_NOTICE } else { self.order.within }
    }

    /// Somebody takes part, perhaps again after a new start; a new client must be sent the answer.
    pub fn join(&mut self, party: Party, label: String, now: Instant) -> Prepare {
        let part = self.parts.entry(party).or_default();
        (part.label, part.left) = (label, false);
        self.prepare(now)
    }

    /// Whether this party has been told.
    pub fn knows(&self, party: &Party) -> bool {
        self.parts.contains_key(party)
    }

    /// The announcement with the time that is left.
    pub fn prepare(&self, now: Instant) -> Prepare {
        Prepare {
            id: self.id,
            cause: self.order.cause,
            within: self.order.within.saturating_sub(now.since(self.began)),
            reason: self.order.reason.clone(),
            drill: self.order.drill,
        }
    }

    /// A report; one for another shutdown is ignored.
    pub fn progress(&mut self, host: &HostName, progress: Progress) {
        if progress.id != self.id {
            return;
        }
        if let Some(part) = self.parts.get_mut(&Party::New(host.clone())) {
            part.stage = part.stage.max(Some(progress.stage));
            part.troubles.extend(progress.outcomes.into_iter().filter(|outcome| outcome.result != HookResult::Done));
            part.troubles.truncate(MOST_TROUBLES);
        }
    }

    /// A link ended: how its party is called, if it takes part.
    pub fn left(&mut self, party: &Party) -> Option<&str> {
        let part = self.parts.get_mut(party)?;
        part.left = true;
        Some(&part.label)
    }

    /// Whether the first phase ends now; answers once.
    pub fn review(&mut self, now: Instant) -> Option<Committed> {
        let over = self.deadline()? <= now;
        let waiting = || self.parts.iter().filter(|(party, part)| !self.released(party, part));
        if !over && waiting().next().is_some() {
            return None;
        }
        let late = waiting().map(|(party, part)| describe(party, part)).collect();
        self.committed = true;
        Some(Committed { late })
    }

    fn released(&self, party: &Party, part: &Part) -> bool {
        match (party, self.order.cause) {
            (Party::New(_), Cause::Restart) => part.left || part.stage.is_some(),
            (Party::New(_), _) if self.order.drill => part.stage >= Some(Stage::Bye),
            (Party::New(_), _) => part.stage >= Some(Stage::Unmounted),
            (Party::Old(_), Cause::Restart) => true,
            (Party::Old(_), _) if self.order.then == Afterwards::Undecided => true,
            (Party::Old(_), _) => part.left || self.order.drill,
        }
    }

    /// How far everybody is.
    pub fn parts(&self) -> Vec<PartStatus> {
        self.parts.iter().map(|(party, part)| self.part_status(party, part)).collect()
    }

    fn part_status(&self, party: &Party, part: &Part) -> PartStatus {
        PartStatus {
            who: part.label.clone(),
            old: matches!(party, Party::Old(_)),
            stage: part.stage,
            left: part.left,
            released: self.released(party, part),
            troubles: part.troubles.clone(),
        }
    }
}

fn describe(party: &Party, part: &Part) -> String {
    let Part { label, stage, left, troubles } = part;
    let hook = troubles.last().map(|o| format!(", {} {}", o.hook, o.result)).unwrap_or_default();
    match (party, stage) {
        (Party::Old(_), _) => format!("{label} (old client) has not closed its link"),
        (Party::New(_), None) if *left => format!("{label} left before it answered"),
        (Party::New(_), None) => format!("{label} did not answer"),
        (Party::New(_), Some(stage)) if *left => format!("{label} left after `{}`{hook}", stage.word()),
        (Party::New(_), Some(stage)) => format!("{label} got no further than `{}`{hook}", stage.word()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Epoch;

    const ID: ShutdownId = ShutdownId { epoch: Epoch(1), number: 1 };

    fn host(name: &str) -> HostName {
        HostName::parse(name).unwrap()
    }

    fn order(cause: Cause) -> Order {
        Order { cause, within: Duration::from_secs(30), reason: String::new(), drill: false, then: Afterwards::Stays }
    }

    fn at(seconds: u64) -> Instant {
        Instant::at(Duration::from_secs(seconds))
    }

    fn report(stage: Stage) -> Progress {
        Progress { id: ID, stage, outcomes: Vec::new() }
    }

    #[test]
    fn it_commits_when_the_last_one_has_let_go() {
        let mut shutdown = Shutdown::begin(ID, order(Cause::Shutdown), at(0));
        shutdown.join(Party::New(host("kitchen")), "kitchen".into(), at(0));
        shutdown.join(Party::Old(7), "10.0.0.7".into(), at(0));
        shutdown.progress(&host("kitchen"), report(Stage::Stopped));
        assert_eq!(shutdown.review(at(1)), None);
        shutdown.progress(&host("kitchen"), report(Stage::Unmounted));
        assert_eq!(shutdown.review(at(2)), None, "the old one is still connected");
        shutdown.left(&Party::Old(7));
        assert_eq!(shutdown.review(at(3)), Some(Committed { late: vec![] }));
        assert_eq!(shutdown.review(at(4)), None, "a commit happens once");
    }

    #[test]
    fn the_deadline_names_who_did_not_finish() {
        let mut shutdown = Shutdown::begin(ID, order(Cause::Shutdown), at(0));
        shutdown.join(Party::New(host("attic")), "attic".into(), at(0));
        shutdown.join(Party::New(host("kitchen")), "kitchen".into(), at(0));
        shutdown.progress(&host("attic"), report(Stage::Received));
        shutdown.left(&Party::New(host("kitchen")));
        let late = shutdown.review(at(30)).unwrap().late;
        assert_eq!(late, ["attic got no further than `received`", "kitchen left before it answered"]);
    }

    #[test]
    fn a_client_that_restarts_in_the_middle_keeps_its_place() {
        let mut shutdown = Shutdown::begin(ID, order(Cause::Shutdown), at(0));
        let kitchen = Party::New(host("kitchen"));
        shutdown.join(kitchen.clone(), "kitchen".into(), at(0));
        shutdown.left(&kitchen);
        let told = shutdown.join(kitchen, "kitchen".into(), at(10));
        assert_eq!((told.id, told.within), (ID, Duration::from_secs(20)));
        shutdown.progress(&host("kitchen"), Progress { id: ShutdownId { number: 9, ..ID }, ..report(Stage::Bye) });
        assert_eq!(shutdown.review(at(11)), None, "a report on another shutdown counts for nothing");
        shutdown.progress(&host("kitchen"), report(Stage::Unmounted));
        assert_eq!(shutdown.review(at(12)), Some(Committed { late: vec![] }));
    }

    #[test]
    fn a_restart_only_has_to_be_heard() {
        let mut shutdown = Shutdown::begin(ID, order(Cause::Restart), at(0));
        shutdown.join(Party::New(host("kitchen")), "kitchen".into(), at(0));
        shutdown.join(Party::Old(1), "10.0.0.7".into(), at(0));
        assert_eq!(shutdown.review(at(0)), None);
        shutdown.progress(&host("kitchen"), report(Stage::Received));
        assert_eq!(shutdown.review(at(0)), Some(Committed { late: vec![] }));
    }

    #[test]
    fn old_clients_are_waited_for_only_once_they_could_be_told() {
        let undecided = Order { then: Afterwards::Undecided, ..order(Cause::Shutdown) };
        let mut shutdown = Shutdown::begin(ID, undecided, at(0));
        shutdown.join(Party::New(host("kitchen")), "kitchen".into(), at(0));
        shutdown.join(Party::Old(7), "10.0.0.7".into(), at(0));
        shutdown.progress(&host("kitchen"), report(Stage::Unmounted));
        assert_eq!(shutdown.review(at(1)), Some(Committed { late: vec![] }));
        shutdown.decide(Afterwards::GoesDown, at(2));
        assert_eq!(shutdown.review(at(3)), None, "the old one is still connected");
        shutdown.left(&Party::Old(7));
        assert_eq!(shutdown.review(at(4)), Some(Committed { late: vec![] }));
        shutdown.decide(Afterwards::GoesDown, at(5));
        assert!(shutdown.committed(), "what was decided stays decided");
    }

    #[test]
    fn a_house_without_clients_goes_at_once() {
        let mut shutdown = Shutdown::begin(ID, order(Cause::Shutdown), at(0));
        assert_eq!(shutdown.review(at(0)), Some(Committed { late: vec![] }));
    }
}
