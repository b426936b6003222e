//! Another list of paired machines holds, and everybody who is here is looked at again.

use super::{Action, House, PeerId, Speaker, Stage, info, warn};
use bus::secure::{Authorized, Peer as Paired};
use protocol::Instant;
use std::sync::Arc;

impl House {
    /// The list of those who are paired was read anew: everybody is looked at again.
    pub(super) fn listed(&mut self, list: Arc<Authorized>, closed: bool, now: Instant) -> Vec<Action> {
        let mut actions: Vec<Action> = self.say_house(&list, closed).into_iter().collect();
        (self.guard.list, self.guard.closed) = (list, closed);
        self.guard.seen.retain(|name, _| self.guard.list.peers().any(|peer| peer.name == *name));
        let peers: Vec<PeerId> = self.peers.keys().copied().collect();
        actions.extend(peers.into_iter().flat_map(|id| self.judge(id, now)));
        actions
    }

    fn say_house(&self, list: &Authorized, closed: bool) -> Option<Action> {
        let count = list.peers().count();
        match (self.guard.closed, closed) {
            (false, true) => Some(info(format!("the house is closed: only the {count} paired may follow, all others are refused"))),
            (true, false) => Some(warn("nobody is paired any more: the house is open, anybody on this network may follow and publish; `pistop pair` closes it".into())),
            _ => None,
        }
    }

    /// Whether a link may go on, now that another list holds.
    fn judge(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let Some(peer) = self.peers.get(&id) else { return Vec::new() };
        let address = peer.address;
        match &peer.speaker {
            Speaker::New(client) => match client.paired.clone() {
                Some(paired) => self.judge_paired(id, &paired, now),
                None if self.lets_unpaired_in(address) => self.judge_bus(id, None, now),
                None => {
                    let name = client.name.clone();
                    self.refuse_unpaired(id, &name, now)
                }
            },
            Speaker::Greeted(greeted) => match &greeted.stage {
                Stage::Sealed(paired) => {
                    let paired = paired.clone();
                    self.judge_paired(id, &paired, now)
                }
                _ if self.guard.closed => self.is_to_prove(id, now),
                _ => Vec::new(),
            },
            Speaker::Old if !self.lets_old_in(address) => self.refuse_old(id, now),
            Speaker::Unclassified if !self.lets_old_in(address) => self.is_to_prove(id, now),
            Speaker::Old | Speaker::Unclassified => {
                self.guard.proven(id);
                Vec::new()
            }
        }
    }

    fn judge_paired(&mut self, id: PeerId, paired: &Paired, now: Instant) -> Vec<Action> {
        let line = self.guard.list.peer(&paired.key).filter(|line| line.name == paired.name).cloned();
        let Some(line) = line else {
            let name = &paired.name;
            let why = format!("{name} is paired no longer; run `pistop pair` on the server to pair it again");
            return self.refuse(id, why, now);
        };
        match self.peers.get_mut(&id).map(|peer| &mut peer.speaker) {
            Some(Speaker::New(client)) => client.paired = Some(line.clone()),
            Some(Speaker::Greeted(greeted)) => greeted.stage = Stage::Sealed(line.clone()),
            _ => {}
        }
        if line.roles == paired.roles { Vec::new() } else { self.judge_bus(id, Some(&line), now) }
    }

    /// The roles of a link have changed, or are looked at again.
    fn judge_bus(&mut self, id: PeerId, paired: Option<&Paired>, now: Instant) -> Vec<Action> {
        let roles = self.roles(paired);
        let Some(Speaker::New(client)) = self.peers.get_mut(&id).map(|peer| &mut peer.speaker) else {
            return Vec::new();
        };
        let (carried, name) = (client.bus, client.name.clone());
        let carries = client.carries && roles.is_some();
        if carries && !carried {
            return self.link_anew(id, now);
        }
        client.bus = carries;
        match (carried, carries, roles) {
            (true, true, _) if paired.is_none() => Vec::new(),
            // The other end is not told, so a link that carries events goes on, with other roles.
            (true, true, Some(roles)) => vec![Action::BusUp(id, name, roles, None)],
            (true, false, _) => vec![Action::BusDown(id)],
            _ => Vec::new(),
        }
    }

    /// What a link asked for and sent while it was there for presence alone was heard by nobody, and the other end does
    /// not know: over a new link it says all of it again.
    fn link_anew(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let note =
            info(format!("{} may use the event bus now; its link is reset, so that it begins anew", self.label(id)));
        [Action::Reset(id), note].into_iter().chain(self.forget(id, now)).collect()
    }
}
