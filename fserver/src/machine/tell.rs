//! What the house says of itself on the event bus.

use super::{Action, House, Speaker};
use protocol::fact::{Condition, Fact};
use protocol::shutdown::{Order, Shutdown};
use protocol::{Cause, HostName, Instant};
use std::time::Duration;

/// So long a machine that was here before this server started has to come back, before it is said to be gone.
pub(super) const GRACE: Duration = Duration::from_secs(30);

impl House {
    /// How a machine is.
    pub(super) fn tell_state(&self, host: &HostName, state: Condition, program: &str, cause: &str) -> Action {
        let boot = self.rules.epoch.0;
        Action::Tell(host.clone(), Fact::MachineState { state, boot, program: program.into(), cause: cause.into() })
    }

    /// A machine has gone.
    pub(super) fn tell_gone(&self, speaker: &Speaker) -> Option<Action> {
        let Speaker::New(client) = speaker else { return None };
        let cause = self.shutdown.as_ref().map_or("left", |shutdown| shutdown.order().cause.word());
        Some(self.tell_state(&client.name, Condition::Offline, "", cause))
    }

    /// This server, while it serves.
    pub fn own_state(&self) -> Fact {
        let (boot, program) = (self.rules.epoch.0, self.rules.program.clone());
        Fact::MachineState { state: Condition::Online, boot, program, cause: String::new() }
    }

    /// This server, when it ends.
    pub fn last_state(&self) -> Fact {
        let cause = if self.returning.is_some() { Cause::Restart } else { Cause::Shutdown };
        let (boot, program) = (self.rules.epoch.0, self.rules.program.clone());
        Fact::MachineState { state: Condition::Offline, boot, program, cause: cause.word().into() }
    }

    /// How this server is.
    pub(super) fn tell_own(&self, state: Condition, cause: &str) -> Action {
        self.tell_state(&self.rules.name, state, &self.rules.program, cause)
    }

    /// A shutdown begins; a drill is nobody's business.
    pub(super) fn tell_announced(&self, shutdown: &Shutdown) -> Vec<Action> {
        let order = shutdown.order();
        if order.drill {
            return Vec::new();
        }
        let (shutdown, cause, within) = (shutdown.id().to_string(), order.cause.word(), order.within.as_secs());
        let fact = Fact::ShutdownAnnounced { shutdown, cause: cause.into(), reason: order.reason.clone(), within };
        vec![self.tell_own(Condition::Draining, cause), Action::Tell(self.rules.name.clone(), fact)]
    }

    /// There is no way back from it.
    pub(super) fn tell_committed(&self, id: protocol::ShutdownId, order: &Order, late: &[String]) -> Vec<Action> {
        if order.drill {
            return Vec::new();
        }
        let fact = Fact::ShutdownCommitted { shutdown: id.to_string(), late: late.join(" ") };
        vec![Action::Tell(self.rules.name.clone(), fact)]
    }

    /// It was taken back.
    pub(super) fn tell_cancelled(&self, id: protocol::ShutdownId) -> Vec<Action> {
        let fact = Fact::ShutdownCancelled { shutdown: id.to_string() };
        vec![self.tell_own(Condition::Online, ""), Action::Tell(self.rules.name.clone(), fact)]
    }

    /// An earlier run of this server knew these machines as here.
    pub(super) fn remember(&mut self, hosts: Vec<HostName>, now: Instant) {
        self.remembered = hosts;
        self.grace = Some(now + GRACE);
    }

    /// Those of them who have not come back.
    pub(super) fn end_grace(&mut self, now: Instant) -> Vec<Action> {
        if self.grace.is_none_or(|end| now < end) {
            return Vec::new();
        }
        self.grace = None;
        let gone = std::mem::take(&mut self.remembered).into_iter();
        gone.filter(|host| !self.hosts.contains_key(host) && *host != self.rules.name)
            .map(|host| self.tell_state(&host, Condition::Offline, "", "left while the server was away"))
            .collect()
    }
}
