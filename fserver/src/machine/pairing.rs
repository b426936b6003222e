//! How machines are paired and unpaired: a code that a person asks for here and types there, and the list of all who are.

use super::strangers::Attempt;
use super::{Action, ControlId, House, PeerId, Speaker, info, shown};
use bus::secure::{Failure, Kind, Peer as Paired, PublicKey, Roles};
use protocol::control::{PEERS_PER_REPLY, PairRequest, PairedStatus, Reply};
use protocol::fact::Fact;
use protocol::{HostName, Instant, Message, frame};
use std::time::Duration;

/// No code is good for longer.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A code in force.
#[derive(Debug)]
pub(super) struct Pairing {
    asker: ControlId,
    roles: Roles,
    name: Option<HostName>,
    until: Instant,
    /// Who has proved the code and is being written down.
    joining: Option<(PeerId, Paired)>,
}

impl House {
    pub(super) fn asked_to_pair(&mut self, asker: ControlId, request: PairRequest, now: Instant) -> Vec<Action> {
        let roles = match request.roles.parse::<Roles>() {
            Ok(roles) => roles,
            Err(why) => return vec![Action::Reply(asker, Reply::Refused(why.to_string()))],
        };
        let mut actions = self.end_pairing("another `pistop pair` was started, whose code counts now");
        let until = now + request.lasts.min(LONGEST);
        self.pairing = Some(Pairing { asker, roles, name: request.name, until, joining: None });
        actions.push(Action::Offer(asker, until));
        actions.push(info(format!("a machine can be paired for {:.0} s", until.since(now).as_secs_f64())));
        actions
    }

    /// The code is good no longer, and whoever waits is told so.
    fn end_pairing(&mut self, why: &str) -> Vec<Action> {
        let Some(pairing) = self.pairing.take() else { return Vec::new() };
        vec![Action::Withdraw, Action::Reply(pairing.asker, Reply::Refused(why.into()))]
    }

    pub(super) fn pairing_deadline(&self) -> Option<Instant> {
        self.pairing.as_ref().filter(|pairing| pairing.joining.is_none()).map(|pairing| pairing.until)
    }

    pub(super) fn end_old_pairing(&mut self, now: Instant) -> Vec<Action> {
        match self.pairing_deadline() {
            Some(until) if until <= now => {
                self.end_pairing("no machine came while the code was good; run `pistop pair` again")
            }
            _ => Vec::new(),
        }
    }

    /// A code that nobody sees any more is withdrawn.
    pub(super) fn pairing_asker_gone(&mut self, asker: ControlId) -> Vec<Action> {
        match &self.pairing {
            Some(pairing) if pairing.asker == asker && pairing.joining.is_none() => {
                self.pairing = None;
                vec![Action::Withdraw, info("whoever wanted to pair a machine has left; the code is void".into())]
            }
            _ => Vec::new(),
        }
    }

    /// Whether the first bytes of a handshake may go on: one for pairing needs a code in force.
    pub(super) fn may_join(&mut self, id: PeerId, first: &[u8], now: Instant) -> Result<(), Vec<Action>> {
        if Kind::of(first) != Ok(Kind::Pairing) {
            return Ok(());
        }
        let Some(name) = self.greeted(id).map(|greeted| greeted.name.clone()) else { return Ok(()) };
        let why = match &self.pairing {
            None => "no machine is being paired here; run `pistop pair` on this server first".into(),
            Some(Pairing { name: Some(only), .. }) if *only != name => {
                format!("only a machine named {only} is being paired here, and this one says that it is {name}")
            }
            Some(_) => return Ok(()),
        };
        let what = (Attempt::Pairing, format!("tried to join as {name} and is refused: {why}"));
        Err(self.refuse_stranger(id, what, why, now))
    }

    /// It knew the code.
    pub(super) fn joined(&mut self, id: PeerId, name: HostName, key: PublicKey) -> Vec<Action> {
        let Some(pairing) = &mut self.pairing else { return Vec::new() };
        let paired = Paired { name, key, roles: pairing.roles.clone() };
        pairing.joining = Some((id, paired.clone()));
        self.stage(id, super::Stage::Joining);
        vec![Action::Enroll(id, paired)]
    }

    /// It did not.
    pub(super) fn not_joined(&mut self, id: PeerId, name: &HostName, why: &Failure, now: Instant) -> Vec<Action> {
        let from = shown(self.peers.get(&id).and_then(|peer| peer.address));
        let asker = self.pairing.as_ref().map(|pairing| pairing.asker);
        let what = (Attempt::Pairing, format!("tried to join as {name} and is refused: {why}"));
        let mut actions = self.refuse_stranger(id, what, why.to_string(), now);
        let told = format!("{name} at {from}: {why}");
        actions.extend(asker.map(|asker| Action::Reply(asker, Reply::PairingFailed(told))));
        if matches!(why, Failure::Void) {
            actions.extend(self.end_pairing("the code is void after too many wrong tries; run `pistop pair` again"));
        }
        actions
    }

    /// Its key is written down, or not; `verdict` are the last bytes of the handshake, which say so.
    pub(super) fn enrolled(
        &mut self,
        id: PeerId,
        verdict: Vec<u8>,
        result: Result<(), String>,
        now: Instant,
    ) -> Vec<Action> {
        let mut actions = vec![Action::Send(vec![id], frame::encode(&Message::Handshake(verdict)).into())];
        actions.push(Action::TurnAway(id));
        actions.extend(self.forget(id, now));
        let joined = |pairing: &mut Pairing| pairing.joining.as_ref().is_some_and(|(peer, _)| *peer == id);
        let Some(Pairing { asker, joining: Some((_, paired)), .. }) = self.pairing.take_if(joined) else {
            return actions;
        };
        actions.push(Action::Withdraw);
        let (name, fingerprint) = (paired.name.clone(), paired.key.fingerprint());
        match result {
            Ok(()) => {
                actions.push(info(format!(
                    "{name} is paired, with the key {fingerprint} and the roles: {}",
                    paired.roles
                )));
                let fact = Fact::PeerPaired { peer: name.to_string(), key: fingerprint };
                actions.push(Action::Tell(self.rules.name.clone(), fact));
                actions.push(Action::Reply(asker, Reply::Paired(vec![self.paired_status(&paired, now)])));
                actions.push(Action::Reply(asker, Reply::Done { late: Vec::new() }));
            }
            Err(why) => actions.push(Action::Reply(asker, Reply::Refused(why))),
        }
        actions
    }

    /// Everybody who is paired, by name.
    pub(super) fn paired(&self, asker: ControlId, now: Instant) -> Vec<Action> {
        let mut all: Vec<PairedStatus> =
            self.guard.list.peers().map(|paired| self.paired_status(paired, now)).collect();
        all.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        let pages = all.chunks(PEERS_PER_REPLY).map(|page| Reply::Paired(page.to_vec()));
        pages.chain([Reply::Done { late: Vec::new() }]).map(|reply| Action::Reply(asker, reply)).collect()
    }

    fn paired_status(&self, paired: &Paired, now: Instant) -> PairedStatus {
        let here = self.hosts.get(&paired.name).and_then(|id| self.peers.get(id)).is_some_and(
            |peer| matches!(&peer.speaker, Speaker::New(client) if client.paired.as_ref().is_some_and(|p| p.key == paired.key)),
        );
        PairedStatus {
            name: paired.name.clone(),
            fingerprint: paired.key.fingerprint(),
            roles: paired.roles.to_string(),
            here,
            seen: self.guard.seen.get(&paired.name).map(|&at| now.since(at)).filter(|_| !here),
        }
    }

    /// A line was taken off the list, or not. Whose it was belongs to the house no longer.
    pub(super) fn struck(&self, asker: ControlId, name: &HostName, result: Result<bool, String>) -> Vec<Action> {
        let gone = (result == Ok(true)).then(|| Action::BusForget(name.clone()));
        let reply = match result {
            Ok(true) => Reply::Done { late: Vec::new() },
            Ok(false) => Reply::Refused(format!("{name} is not paired; `pistop peers` lists who is")),
            Err(why) => Reply::Refused(why),
        };
        std::iter::once(Action::Reply(asker, reply)).chain(gone).collect()
    }
}
