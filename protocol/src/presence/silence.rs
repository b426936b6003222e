//! What silence means: a link that ended, a lease that runs out, a restart that is overdue, and whose fault it was.

use super::{Action, ENDED, Ended, PROBE_ENDED_EVERY, PROBE_EVERY, Phase, Presence, RECHECK_EVERY, STALL};
use crate::cause::Cause;
use crate::name::Epoch;
use crate::time::Instant;
use std::time::Duration;

impl Presence {
    // ---- a link that ends ----

    /// A clean end: an old server's way to go, and for a new one, which always says why, a crash. What a server said comes
    /// before its end, so one that has not even greeted is an old one, unless it has spoken frames on another link.
    pub(super) fn closed(&mut self, now: Instant) -> Vec<Action> {
        let Some(link) = self.link.take() else { return Vec::new() };
        let old = !link.greeted && !link.new && self.run.is_none() && self.own_fault.is_none();
        if old && matches!(self.phase, Phase::Up { hold: None, .. }) {
            self.phase = Phase::Down { cause: Cause::Closed, id: None };
            return self.changed(Some(Cause::Closed), vec!["an old server closed the link cleanly".into()]);
        }
        self.link_ended("the link ended without a word".into(), now)
    }

    pub(super) fn broken(&mut self, why: String, now: Instant) -> Vec<Action> {
        match self.link.take() {
            Some(_) => self.link_ended(format!("the link broke: {why}"), now),
            None => Vec::new(),
        }
    }

    fn link_ended(&mut self, why: String, now: Instant) -> Vec<Action> {
        match self.phase {
            Phase::Up { hold: Some(hold), .. } if now < hold => Vec::new(),
            Phase::Up { .. } if self.run.is_some() && self.own_fault.is_none() => self.last_chance(why, now),
            Phase::Up { .. } => self.suspect(why),
            // No commit: the way back may still be open, and a loose cable is none of the server's words.
            Phase::Stopping { .. } | Phase::Unknown | Phase::Down { .. } => Vec::new(),
        }
    }

    /// The server has a moment to answer, and longer on a network that is slow to let it.
    fn last_chance(&mut self, why: String, now: Instant) -> Vec<Action> {
        let until = now + ENDED + self.detector.unease() / 2;
        (self.ended, self.next_probe) = (Some(Ended { why, until }), now);
        self.probe(now)
    }

    // ---- time that passes ----

    pub(super) fn tick(&mut self, now: Instant) -> Vec<Action> {
        let Some(due) = self.deadline().filter(|&due| due <= now) else { return Vec::new() };
        if now.since(due) > STALL {
            return self.stalled(now.since(due), now);
        }
        if self.own_fault.is_some() {
            return self.check_link();
        }
        match self.phase {
            Phase::Up { .. } if self.ended.is_some() => self.lease_tick(now),
            Phase::Up { hold: Some(hold), epoch } if hold <= now => self.hold_over(epoch, now),
            Phase::Stopping { deadline, committed: false, .. } if deadline <= now && self.beats(now) => self.wait(now),
            Phase::Stopping { deadline, committed: false, .. } if deadline <= now => self.check_link(),
            Phase::Up { hold: None, .. } => self.lease_tick(now),
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => self.silent_link(),
        }
    }

    /// The time of a restart has passed: either the server never went, or it did not come back.
    fn hold_over(&mut self, epoch: Option<Epoch>, now: Instant) -> Vec<Action> {
        if self.beats(now) {
            return self.up(epoch, "the server did not go after all".into());
        }
        self.link_ended("the server did not return in the time it named".into(), now)
    }

    fn beats(&self, now: Instant) -> bool {
        self.link_is_new() && now.since(self.detector.last_beat()) < self.detector.timeout()
    }

    /// The deadline has passed and the server is still heard: its word decides, not ours.
    fn wait(&mut self, now: Instant) -> Vec<Action> {
        if let Phase::Stopping { deadline, .. } = &mut self.phase {
            *deadline = now + RECHECK_EVERY;
        }
        Vec::new()
    }

    /// A link that stayed silent from the start leads to an old server; one that fell silent is dead, and without a
    /// lease nobody is accused for it. A server that has spoken frames must be silent twice to be taken for an old one.
    fn silent_link(&mut self) -> Vec<Action> {
        let new = self.link_is_new();
        if new || (self.run.is_some() && !self.silent) {
            self.silent = !new;
            return self.reconnect();
        }
        let silence = self.settle().as_millis();
        self.up(None, format!("connected, and silent for {silence} ms as old servers are"))
    }

    // ---- the lease ----

    /// An old server on a living link has no lease: TCP itself watches it.
    pub(super) fn lease_deadline(&self) -> Option<Instant> {
        let old = matches!(self.phase, Phase::Up { epoch: None, .. }) && !self.link_is_new();
        if old && self.link.is_some() {
            return None;
        }
        let suspect_at = if self.ended.is_some() { self.next_probe } else { self.detector.suspect_at() };
        Some(suspect_at.max(self.next_probe).min(self.lease_end()))
    }

    fn link_is_new(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.new)
    }

    fn lease_end(&self) -> Instant {
        self.ended.as_ref().map_or(self.detector.lost_at(), |ended| ended.until)
    }

    fn lease_tick(&mut self, now: Instant) -> Vec<Action> {
        if now < self.lease_end() {
            return self.probe(now);
        }
        let silence = now.since(self.detector.last_beat()).as_secs_f64();
        let what = match self.ended.take() {
            Some(ended) => ended.why,
            None => format!("no beat for {silence:.1} s, time-out {:.1} s", self.timeout().as_secs_f64()),
        };
        self.suspect(format!("{what}, {} probes unanswered", self.probes))
    }

    /// Asks the server, and once a second also whether the own link is still up.
    fn probe(&mut self, now: Instant) -> Vec<Action> {
        self.probes += 1;
        self.next_probe = now + if self.ended.is_some() { PROBE_ENDED_EVERY } else { PROBE_EVERY };
        let mut actions = vec![Action::Probe];
        if self.next_look <= now {
            self.next_look = now + RECHECK_EVERY;
            actions.push(Action::CheckLink);
        }
        actions
    }

    /// The server lives though its link is silent: patience, and a fresh link if this one has been silent for long.
    pub(super) fn here(&mut self, answered: Epoch, now: Instant) -> Vec<Action> {
        match &mut self.phase {
            Phase::Up { .. } if self.run < Some(answered) => return self.another_run(now),
            Phase::Up { hold: None, .. } if self.run == Some(answered) => self.detector.answer(now),
            Phase::Up { hold: Some(_), .. } if self.run == Some(answered) => self.grant(now),
            Phase::Unknown | Phase::Up { .. } | Phase::Stopping { .. } | Phase::Down { .. } => return Vec::new(),
        }
        self.acquit();
        let silent = now.since(self.detector.last_beat()) > self.detector.timeout();
        if silent { self.reconnect() } else { Vec::new() }
    }

    /// The server has started anew before anybody was accused, and this link leads to the run before.
    fn another_run(&mut self, now: Instant) -> Vec<Action> {
        self.grant(now);
        self.reconnect()
    }

    // ---- whose fault ----

    /// Nobody is accused before the own link has been looked at.
    fn suspect(&mut self, why: String) -> Vec<Action> {
        self.suspicion = Some(why);
        self.check_link()
    }

    fn check_link(&mut self) -> Vec<Action> {
        self.checking = true;
        vec![Action::CheckLink]
    }

    pub(super) fn own_link(&mut self, up: bool, evidence: String, now: Instant) -> Vec<Action> {
        let asked = std::mem::take(&mut self.checking);
        match self.phase {
            Phase::Up { .. } if !up => self.own_fault_begins(evidence, now),
            Phase::Up { .. } | Phase::Stopping { .. } if up && self.own_fault.is_some() => {
                self.own_fault_over(evidence, now)
            }
            Phase::Up { hold, .. } => self.accuse(hold, evidence),
            Phase::Stopping { deadline, committed: false, .. } if asked && deadline <= now => {
                self.deadline_over(up, evidence, now)
            }
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } => Vec::new(),
        }
    }

    fn own_fault_begins(&mut self, evidence: String, now: Instant) -> Vec<Action> {
        let first = self.own_fault.replace(now).is_none();
        self.detector.excuse(now);
        self.acquit();
        if first { self.excuse(evidence) } else { Vec::new() }
    }

    /// Who could not have heard a cancel takes the silence for none of the server's words.
    fn deadline_over(&mut self, up: bool, evidence: String, now: Instant) -> Vec<Action> {
        match up {
            true => self.commit(None, vec!["the deadline of the shutdown has passed".into(), evidence]),
            false => self.own_fault_begins(evidence, now),
        }
    }

    fn accuse(&mut self, hold: Option<Instant>, evidence: String) -> Vec<Action> {
        let Some(why) = self.suspicion.take() else { return Vec::new() };
        let cause = if hold.is_some() { Cause::Restart } else { Cause::Lost };
        self.lose(cause, vec![why, evidence])
    }

    fn lose(&mut self, cause: Cause, evidence: Vec<String>) -> Vec<Action> {
        self.phase = Phase::Down { cause, id: None };
        let mut actions = self.changed(Some(cause), evidence);
        actions.extend(self.reconnect());
        actions
    }

    /// The silence was ours: the lease starts anew on a new link, and nobody is accused.
    pub(super) fn own_fault_over(&mut self, evidence: String, now: Instant) -> Vec<Action> {
        self.own_fault = None;
        self.grant(now);
        let mut actions = self.excuse(evidence);
        actions.extend(self.reconnect());
        actions
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
    pub(super) fn grant(&mut self, now: Instant) {
        self.detector.excuse(now);
        self.acquit();
        let lease = self.detector.lost_at();
        if let Phase::Up { hold: Some(due), .. } | Phase::Stopping { deadline: due, .. } = &mut self.phase {
            *due = lease.max(*due);
        }
        if let Some(link) = &mut self.link {
            link.since = now;
        }
    }

    pub(super) fn excuse(&self, evidence: String) -> Vec<Action> {
        let open = matches!(self.phase, Phase::Up { .. } | Phase::Stopping { committed: false, .. });
        if open { self.changed(Some(Cause::Own), vec![evidence]) } else { Vec::new() }
    }
}
