//! The intent that goes into the journal, and the state that comes out of it at the next start.
//!
//! A server that was up is taken to be up still: if it is not, its lease runs out. Letting go is finished, without the
//! hooks that had ended, and a shutdown that was not committed powers nothing off unless the server is heard again. A decision
//! to power off is carried out if its hooks had not ended and the server is not back within a lease, and never a second time.

use super::report::Report;
use super::state::{Goal, Gone, State, Stop};
use super::{Level, Machine};
use crate::intent::Intent;
use protocol::message::Stage;
use protocol::presence::{Phase, Presence};
use protocol::{Cause, Epoch, Instant, ShutdownId};
use std::time::Duration;

impl Machine {
    pub(super) fn intent(&self) -> Option<Intent> {
        Some(match &self.state {
            State::Nothing => return None,
            State::Up { epoch, complete, .. } => Intent::Up {
                server: self.server.clone(),
                epoch: *epoch,
                complete: *complete,
                back_by: self.back_by().map(|at| self.since_boot(at)),
            },
            State::LettingGo(stop) => Intent::Stopping {
                cause: stop.gone.cause,
                id: stop.gone.id,
                server: self.server.clone(),
                reason: stop.gone.reason.clone(),
                committed: self.is_committed(&stop.gone) && !self.is_hearsay(&stop.gone),
                overtaken: self.is_overtaken(&stop.gone),
                deadline: self.since_boot(stop.gone.deadline),
                ended: stop.report.ended.iter().map(Into::into).collect(),
                begun: stop.begun.clone(),
            },
            State::PoweringOff { stop, done } => {
                Intent::PoweringOff { cause: stop.gone.cause, id: stop.gone.id, done: *done }
            }
            State::Down(stop) => Intent::Down { cause: stop.gone.cause, id: stop.gone.id },
        })
    }

    fn back_by(&self) -> Option<Instant> {
        match self.presence.phase() {
            Phase::Up { hold, .. } => hold,
            Phase::Unknown | Phase::Stopping { .. } | Phase::Down { .. } => None,
        }
    }

    fn is_committed(&self, gone: &Gone) -> bool {
        gone.committed || matches!(&self.goal, Goal::Gone(wanted) if wanted.number == gone.number && wanted.committed)
    }

    /// Known only from an earlier run, which had not heard of a commit; this one has not heard anything at all.
    pub(super) fn is_hearsay(&self, gone: &Gone) -> bool {
        gone.resumed && !gone.committed && !self.reached
    }

    pub(super) fn is_hesitating(&self) -> bool {
        self.hesitates.is_some_and(|until| self.now < until)
    }

    /// The server is there after all, so nothing follows from its end any more.
    pub(super) fn drop_power_off(&mut self) {
        let State::PoweringOff { stop, done: false } = &self.state else { return };
        self.state = State::Down(stop.clone());
        self.note(Level::Warn, "the server is back: the power-off that an earlier run had begun is dropped");
    }

    /// A later run of the server than the one that went.
    pub(super) fn drop_power_off_before(&mut self, epoch: Epoch) {
        let went = self.state.stop().and_then(|stop| stop.gone.id).map(|id| id.epoch);
        if self.running.is_none() && went.is_some_and(|went| went < epoch) {
            self.drop_power_off();
        }
    }

    fn since_boot(&self, at: Instant) -> f64 {
        (self.rules.booted + at.since_start()).as_secs_f64()
    }

    /// The instant of this process; one that lies before its start is its start.
    fn instant(&self, since_boot: f64) -> Instant {
        let at = Duration::try_from_secs_f64(since_boot).unwrap_or_default();
        Instant::at(at.saturating_sub(self.rules.booted))
    }

    pub(super) fn resume(&mut self, intent: Intent) {
        let phase = match intent {
            Intent::Up { server, epoch, complete, back_by } => {
                self.server = server;
                self.state = State::Up { epoch, link: 0, complete };
                let hold = back_by.map(|at| self.instant(at)).filter(|&at| at > self.now);
                self.held = hold.is_some();
                Phase::Up { epoch, hold }
            }
            Intent::Stopping { cause, id, server, reason, committed, overtaken, deadline, ended, begun } => {
                self.server = server;
                let deadline = self.instant(deadline);
                let gone = Gone { reason, deadline, committed, ..self.earlier_end(cause, id) };
                self.goal = if overtaken { Goal::Unknown } else { Goal::Gone(gone.clone()) };
                self.log_resumed(&gone, ended.len(), begun.as_deref());
                let ended = ended.into_iter().map(Into::into).collect();
                let report = Report::resumed(id, Stage::Received, ended);
                self.state = State::LettingGo(Stop { report, ..Stop::new(gone) });
                match (cause, overtaken) {
                    (Cause::Shutdown, false) => {
                        Phase::Stopping { id, deadline: deadline.max(self.a_lease_on()), committed }
                    }
                    (_, _) => Phase::Down { cause, id },
                }
            }
            Intent::PoweringOff { cause, id, done: false } => {
                let gone = self.earlier_end(cause, id);
                self.goal = Goal::Gone(gone.clone());
                self.state = State::PoweringOff { stop: over(gone, Stage::Stopped), done: false };
                self.hesitates = Some(self.a_lease_on());
                self.note(
                    Level::Warn,
                    "an earlier run of this client was ended while it powered off; unless the server is back, it is done again",
                );
                Phase::Down { cause, id }
            }
            Intent::PoweringOff { cause, id, done: true } | Intent::Down { cause, id } => {
                self.powered_off = id;
                let gone = self.earlier_end(cause, id);
                self.goal = Goal::Gone(gone.clone());
                self.state = State::Down(over(gone, Stage::Bye));
                Phase::Down { cause, id }
            }
        };
        self.presence = Presence::resumed(self.rules.bounds, phase, self.now);
    }

    /// What the server gets to be heard by a client that has just started.
    fn a_lease_on(&self) -> Instant {
        self.now + self.rules.bounds.ceiling
    }

    fn earlier_end(&mut self, cause: Cause, id: Option<ShutdownId>) -> Gone {
        Gone { resumed: true, ..self.an_end(cause, id, self.now, true) }
    }

    fn log_resumed(&mut self, gone: &Gone, ended: usize, begun: Option<&str>) {
        let event = super::work::event(gone.cause);
        self.note(
            Level::Warn,
            format!("an earlier run of this client was ended in {event}, after {ended} hooks; it goes on"),
        );
        if let Some(hook) = begun {
            self.note(Level::Warn, format!("{hook} had begun and not ended; it runs again"));
        }
    }
}

fn over(gone: Gone, stage: Stage) -> Stop {
    Stop { report: Report::resumed(gone.id, stage, Vec::new()), over: true, ..Stop::new(gone) }
}
