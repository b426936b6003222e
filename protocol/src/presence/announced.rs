//! What the server says: it is reached, greets, beats, announces its end or its return, and takes that back.

use super::{Action, Link, OLD_DEADLINE, Phase, Presence};
use crate::cause::Cause;
use crate::message::Prepare;
use crate::name::{Epoch, HostName, ShutdownId};
use crate::time::Instant;

impl Presence {
    pub(super) fn connected(&mut self, now: Instant) -> Vec<Action> {
        self.link = Some(Link { since: now, server: None, greeted: false, new: false, leaving: false });
        self.detector.relink(now);
        self.acquit();
        self.recovered("the server is reached again", now)
    }

    /// Only new servers greet, and they say it when they go: the end of this link will be no announcement. Whether it has a
    /// lease is not known before the hello, since a child of tcpserver greets and then may have nobody to speak for.
    pub(super) fn greeted(&mut self) -> Vec<Action> {
        if let Some(link) = &mut self.link {
            link.greeted = true;
        }
        Vec::new()
    }

    /// A run that was not known before owes no explanation for the silence of the last one.
    pub(super) fn hello(&mut self, server: HostName, epoch: Epoch, now: Instant) -> Vec<Action> {
        if self.run.replace(epoch) != Some(epoch) {
            self.detector.excuse(now);
        }
        self.detector.relink(now);
        self.silent = false;
        if let Some(link) = &mut self.link {
            (link.server, link.new) = (Some(server), true);
        }
        Vec::new()
    }

    pub(super) fn beat(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = self.recovered("the server is heard again", now);
        self.acquit();
        self.detector.beat(now);
        actions.extend(self.first_beat());
        actions
    }

    fn recovered(&mut self, evidence: &str, now: Instant) -> Vec<Action> {
        if self.own_fault.take().is_none() {
            return Vec::new();
        }
        self.grant(now);
        self.excuse(evidence.into())
    }

    /// The first beat of a link says: I am here and not leaving. Later ones only renew the lease.
    fn first_beat(&mut self) -> Vec<Action> {
        let Some(Link { server: Some(_), leaving, .. }) = self.link else { return Vec::new() };
        let Some(epoch) = self.run else { return Vec::new() };
        match self.phase {
            Phase::Up { epoch: Some(known), .. } if known == epoch => Vec::new(),
            Phase::Up { .. } => self.up(Some(epoch), format!("the server is back as run {epoch}, in time")),
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } if leaving => Vec::new(),
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } => {
                self.up(Some(epoch), format!("run {epoch} of the server beats"))
            }
        }
    }

    /// What an earlier run of the server announced means nothing any more.
    fn is_stale(&self, id: ShutdownId) -> bool {
        self.run.is_some_and(|run| id.epoch < run)
    }

    fn leaves(&mut self, leaving: bool) {
        if let Some(link) = &mut self.link {
            link.leaving = leaving;
        }
    }

    pub(super) fn prepare(&mut self, prepare: Prepare, now: Instant) -> Vec<Action> {
        self.detector.answer(now);
        if self.is_stale(prepare.id) {
            return Vec::new();
        }
        self.leaves(true);
        if prepare.cause == Cause::Restart { self.hold(prepare, now) } else { self.stopping(prepare, now) }
    }

    fn stopping(&mut self, prepare: Prepare, now: Instant) -> Vec<Action> {
        let known = match self.phase {
            Phase::Stopping { id, .. } | Phase::Down { id, .. } => id,
            Phase::Up { .. } | Phase::Unknown => None,
        };
        if known == Some(prepare.id) {
            return Vec::new();
        }
        (self.released, self.own_fault) = (false, None);
        self.phase = Phase::Stopping { id: Some(prepare.id), deadline: now + prepare.within, committed: false };
        let said = format!("the server announced shutdown {} within {:.0} s", prepare.id, prepare.within.as_secs_f64());
        self.changed(Some(Cause::Shutdown), vec![said])
    }

    /// A restart holds whatever was up; a client that is not up has nothing to hold. Hearing it again moves the time.
    fn hold(&mut self, prepare: Prepare, now: Instant) -> Vec<Action> {
        if let Phase::Stopping { id, committed: false, .. } = self.phase
            && id == Some(prepare.id)
        {
            return self.returns(prepare);
        }
        let Phase::Up { epoch, hold } = self.phase else { return Vec::new() };
        self.phase = Phase::Up { epoch, hold: Some(now + prepare.within) };
        if hold.is_some() {
            return Vec::new();
        }
        let said = format!("the server announced a restart and is back within {:.0} s", prepare.within.as_secs_f64());
        self.changed(Some(Cause::Restart), vec![said])
    }

    /// The server's machine starts again: in place of the commit comes its promise to be back.
    fn returns(&mut self, prepare: Prepare) -> Vec<Action> {
        self.phase = Phase::Down { cause: Cause::Restart, id: Some(prepare.id) };
        let said =
            format!("the server's machine starts again and is back within {:.0} s", prepare.within.as_secs_f64());
        self.changed(Some(Cause::Restart), vec![said])
    }

    /// Too late for a client that has committed; but beats mean again that the server is up, if it still beats.
    pub(super) fn cancel(&mut self, cancelled: ShutdownId, now: Instant) -> Vec<Action> {
        self.detector.answer(now);
        if self.is_stale(cancelled) {
            return Vec::new();
        }
        self.leaves(false);
        match self.phase {
            Phase::Stopping { id: Some(id), committed: false, .. } if id == cancelled => {
                self.up(Some(cancelled.epoch), format!("the server cancelled shutdown {cancelled}"))
            }
            Phase::Up { epoch, hold: Some(_) } => self.up(epoch, format!("the server cancelled restart {cancelled}")),
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => Vec::new(),
        }
    }

    pub(super) fn commit(&mut self, given: Option<ShutdownId>, why: Vec<String>) -> Vec<Action> {
        match self.phase {
            Phase::Stopping { id, deadline, committed: false } if given.is_none() || given == id => {
                self.phase = Phase::Stopping { id, deadline, committed: true };
                let actions = self.changed(Some(Cause::Shutdown), why);
                if self.released {
                    self.let_go();
                }
                actions
            }
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => Vec::new(),
        }
    }

    pub(super) fn shutdown_line(&mut self, now: Instant) -> Vec<Action> {
        if matches!(self.phase, Phase::Stopping { .. }) {
            return Vec::new();
        }
        self.phase = Phase::Stopping { id: None, deadline: now + OLD_DEADLINE, committed: true };
        self.changed(Some(Cause::Shutdown), vec!["the server said `shutdown`".into()])
    }

    /// Until the commit the server may still cancel, so a client that has let go waits for it.
    pub(super) fn let_go(&mut self) -> Vec<Action> {
        match self.phase {
            Phase::Stopping { id, committed: true, .. } => self.phase = Phase::Down { cause: Cause::Shutdown, id },
            Phase::Stopping { committed: false, .. } => self.released = true,
            Phase::Unknown | Phase::Up { .. } | Phase::Down { .. } => (),
        }
        Vec::new()
    }
}
