//! Who may stay: in an open house everybody, in a closed one those who are paired, and a few whom the owner names, for
//! presence alone.
//!
//! A link that has not shown yet that it may stay is unproven: it is told nothing of shutdowns, there are not many of
//! it at a time, and it has the time of a lease. It ends by a reset and never cleanly, since an old client takes a clean
//! end for the server's shutdown.

use super::strangers::{Attempt, Strangers};
use super::{Action, Greeted, House, PeerId, Speaker, Stage};
use crate::address::Network;
use bus::secure::{Authorized, Peer as Paired, Refusal, Roles};
use core::net::IpAddr;
use protocol::time::earliest;
use protocol::{HostName, Instant, Message, frame};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// So many links may be unproven at once, at least; a quarter of all in a large house.
const LEAST_UNPROVEN: usize = 64;
/// So many handshakes one address may begin at once, and so many a second after that: a machine needs one an hour.
const PER_ADDRESS: Pace = Pace { burst: 32, per_second: 4 };
/// The same for all addresses together: a handshake costs a small machine about a millisecond.
const IN_ALL: Pace = Pace { burst: 1024, per_second: 256 };
/// So many addresses are counted; more are those of an attack.
const MOST_ADDRESSES: usize = 4096;
/// From so many on, those that have recovered are forgotten: nearly all, since a machine shakes hands once an hour.
const MANY_ADDRESSES: usize = 64;

/// Which old clients are let in; they prove nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum OldPeers {
    /// All in an open house, none in a closed one.
    #[default]
    WhileOpen,
    /// All.
    Any,
    /// None.
    Off,
    /// Those in these networks.
    From(Vec<Network>),
}

/// How a handshake went on.
#[derive(Debug)]
pub enum Shaken {
    /// This is to be sent back.
    Answer(Vec<u8>),
    /// It is over, and this is who came; the link is sealed.
    Known(Arc<Paired>),
    /// It is over, and nobody whom we know came. The link is sealed if the handshake itself was right.
    Denied(Refusal),
    /// It was for pairing, and the code was right: the key is to be written down.
    Joined(bus::secure::PublicKey),
    /// It was for pairing, and goes no further.
    NotJoined(bus::secure::Failure),
}

/// A rate of events.
#[derive(Debug, Clone, Copy)]
struct Pace {
    burst: u32,
    per_second: u32,
}

/// How much of a pace is used up at present.
#[derive(Debug, Clone, Copy)]
struct Spent {
    used: f64,
    at: Instant,
}

impl Spent {
    fn left(self, pace: Pace, now: Instant) -> f64 {
        let recovered = now.since(self.at).as_secs_f64() * f64::from(pace.per_second);
        (self.used - recovered).max(0.0)
    }

    fn spend(&mut self, pace: Pace, now: Instant) -> bool {
        *self = Spent { used: self.left(pace, now), at: now };
        let allowed = self.used + 1.0 <= f64::from(pace.burst);
        self.used += if allowed { 1.0 } else { 0.0 };
        allowed
    }
}

/// What is known of who may stay.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) list: Arc<Authorized>,
    pub(super) closed: bool,
    pub(super) strangers: Strangers,
    /// When a paired machine was heard last that is away.
    pub(super) seen: HashMap<HostName, Instant>,
    unproven: BTreeMap<PeerId, Instant>,
    handshakes: HashMap<Option<IpAddr>, Spent>,
    /// With so many addresses, those that have recovered are forgotten.
    forget_at: usize,
    all_handshakes: Spent,
}

impl Guard {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            list: Arc::default(),
            closed: false,
            strangers: Strangers::default(),
            seen: HashMap::new(),
            unproven: BTreeMap::new(),
            handshakes: HashMap::new(),
            forget_at: MANY_ADDRESSES,
            all_handshakes: Spent { used: 0.0, at: now },
        }
    }

    pub(super) fn is_unproven(&self, id: PeerId) -> bool {
        self.unproven.contains_key(&id)
    }

    pub(super) fn proven(&mut self, id: PeerId) {
        self.unproven.remove(&id);
    }

    fn may_shake(&mut self, address: Option<IpAddr>, now: Instant) -> bool {
        if self.handshakes.len() >= self.forget_at {
            self.handshakes.retain(|_, spent| spent.left(PER_ADDRESS, now) > 0.0);
            self.forget_at = (2 * self.handshakes.len()).clamp(MANY_ADDRESSES, MOST_ADDRESSES);
            self.handshakes.shrink_to(self.forget_at);
        }
        let known = self.handshakes.len() < MOST_ADDRESSES || self.handshakes.contains_key(&address);
        let own = self.handshakes.entry(address.filter(|_| known)).or_insert(Spent { used: 0.0, at: now });
        own.spend(PER_ADDRESS, now) && self.all_handshakes.spend(IN_ALL, now)
    }
}

impl House {
    /// Whether the house is closed.
    pub fn is_closed(&self) -> bool {
        self.guard.closed
    }

    /// Whether an old client at this address is let in.
    pub(super) fn lets_old_in(&self, address: Option<IpAddr>) -> bool {
        match &self.rules.old_peers {
            OldPeers::WhileOpen => !self.guard.closed,
            OldPeers::Any => true,
            OldPeers::Off => false,
            OldPeers::From(networks) => holds(networks, address),
        }
    }

    /// Whether a new client at this address is let in that is not paired.
    pub(super) fn lets_unpaired_in(&self, address: Option<IpAddr>) -> bool {
        !self.guard.closed || holds(&self.rules.presence_only_from, address)
    }

    /// What a client may do on the bus; nothing for those who are here for presence alone.
    pub(super) fn roles(&self, paired: Option<&Paired>) -> Option<Roles> {
        match paired {
            Some(peer) => Some(peer.roles.clone()),
            None if self.guard.closed => None,
            None => Some(Roles::open_house()),
        }
    }

    /// A link begins that may be anybody's.
    pub(super) fn watch_arrival(&mut self, id: PeerId, address: Option<IpAddr>, now: Instant) -> Vec<Action> {
        match self.lets_old_in(address) {
            true => Vec::new(),
            false => self.is_to_prove(id, now),
        }
    }

    /// It has the time of a lease. The one that has waited longest makes room for one too many.
    pub(super) fn is_to_prove(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        self.guard.unproven.entry(id).or_insert(now + self.rules.lease);
        let most = (self.rules.most_peers / 4).max(LEAST_UNPROVEN).min(self.rules.most_peers.saturating_sub(1));
        match self.guard.unproven.first_key_value() {
            Some((&oldest, _)) if self.guard.unproven.len() > most => {
                let what = format!("keeps a link open and does not say who it is, as {most} others do; it is refused");
                self.reset_stranger(oldest, Attempt::Crowd, what, now)
            }
            _ => Vec::new(),
        }
    }

    /// When somebody's time is over, or something is to be said.
    pub(super) fn guard_deadline(&self) -> Option<Instant> {
        let first = self.guard.unproven.first_key_value().map(|(_, &until)| until);
        earliest(first, self.guard.strangers.deadline())
    }

    /// Those whose time is over.
    pub(super) fn end_unproven(&mut self, now: Instant) -> Vec<Action> {
        let over: Vec<PeerId> =
            self.guard.unproven.iter().filter(|(_, until)| **until <= now).map(|(&id, _)| id).collect();
        let what = "did not say who it is in time; it is refused";
        let mut actions = self.say_counted(now);
        actions.extend(over.into_iter().flat_map(|id| self.reset_stranger(id, Attempt::Silence, what.into(), now)));
        actions
    }

    /// Whoever has not said who he is hears nothing of our end, and must not take it for a shutdown.
    pub(super) fn reset_silent(&mut self, now: Instant) -> Vec<Action> {
        let silent = |id: &PeerId| self.peers.get(id).is_some_and(|peer| matches!(peer.speaker, Speaker::Unclassified));
        let unproven: Vec<PeerId> = self.guard.unproven.keys().copied().filter(silent).collect();
        let what = "has not said who it is; its link is reset, since this server ends";
        unproven.into_iter().flat_map(|id| self.reset_stranger(id, Attempt::Silence, what.into(), now)).collect()
    }

    /// Ends a link so that nobody takes it for a shutdown.
    pub(super) fn reset_stranger(&mut self, id: PeerId, attempt: Attempt, what: String, now: Instant) -> Vec<Action> {
        let address = self.peers.get(&id).and_then(|peer| peer.address);
        let mut actions = vec![Action::Reset(id)];
        actions.extend(self.stranger(address, attempt, what, now));
        actions.extend(self.forget(id, now));
        actions
    }

    /// Ends a link after the words `why`, which name the remedy.
    pub(super) fn refuse_stranger(
        &mut self,
        id: PeerId,
        (attempt, what): (Attempt, String),
        why: String,
        now: Instant,
    ) -> Vec<Action> {
        let address = self.peers.get(&id).and_then(|peer| peer.address);
        let refused = frame::encode(&Message::Refused(why));
        let mut actions = vec![Action::Send(vec![id], refused.into()), Action::TurnAway(id)];
        actions.extend(self.stranger(address, attempt, what, now));
        actions.extend(self.forget(id, now));
        actions
    }

    /// An old client that may not stay.
    pub(super) fn refuse_old(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let what = "is an old client, and none is let in from there; list it in OLD_PEERS if it should be";
        self.reset_stranger(id, Attempt::Old, what.into(), now)
    }

    /// A new client that is not paired.
    pub(super) fn refuse_unpaired(&mut self, id: PeerId, name: &HostName, now: Instant) -> Vec<Action> {
        let (server, what) = (&self.rules.name, format!("came as {name} and is not paired; it is refused"));
        let why = format!(
            "this house is closed; run `pistop pair` on {server}, then `pistop pair --server {server}` on {name}"
        );
        self.refuse_stranger(id, (Attempt::Unpaired, what), why, now)
    }

    /// Bytes of a handshake.
    pub(super) fn handshake(&mut self, id: PeerId, bytes: Vec<u8>, now: Instant) -> Vec<Action> {
        let Some(peer) = self.peers.get(&id) else { return Vec::new() };
        let address = peer.address;
        let Speaker::Greeted(greeted) = &peer.speaker else { return self.out_of_place(id, now) };
        match greeted.stage {
            Stage::Hello => {}
            Stage::Shaking => return vec![Action::Shake(id, greeted.name.clone(), bytes)],
            Stage::Sealed(_) | Stage::Joining => return self.out_of_place(id, now),
        }
        if !self.guard.may_shake(address, now) {
            let what = "tries too many handshakes; it is refused for a while".into();
            return self.reset_stranger(id, Attempt::Handshake, what, now);
        }
        if let Err(actions) = self.may_join(id, &bytes, now) {
            return actions;
        }
        self.stage(id, Stage::Shaking);
        let name = self.greeted(id).map(|greeted| greeted.name.clone());
        name.map(|name| Action::Shake(id, name, bytes)).into_iter().collect()
    }

    fn out_of_place(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let what = "sent a handshake in the middle of a link; it is refused".into();
        self.reset_stranger(id, Attempt::Handshake, what, now)
    }

    pub(super) fn greeted(&mut self, id: PeerId) -> Option<&mut Greeted> {
        match self.peers.get_mut(&id).map(|peer| &mut peer.speaker) {
            Some(Speaker::Greeted(greeted)) => Some(greeted),
            _ => None,
        }
    }

    pub(super) fn stage(&mut self, id: PeerId, stage: Stage) {
        if let Some(greeted) = self.greeted(id) {
            greeted.stage = stage;
        }
    }

    /// What came of it.
    pub(super) fn shaken(&mut self, id: PeerId, shaken: Shaken, now: Instant) -> Vec<Action> {
        let Some(name) = self.greeted(id).map(|greeted| greeted.name.clone()) else { return Vec::new() };
        match shaken {
            Shaken::Answer(bytes) => {
                vec![Action::Send(vec![id], frame::encode(&Message::Handshake(bytes)).into())]
            }
            Shaken::Known(paired) => {
                self.stage(id, Stage::Sealed(paired));
                vec![Action::Send(vec![id], frame::encode(&Message::Hello(self.hello())).into())]
            }
            Shaken::Denied(why) => {
                let attempt = if matches!(why, Refusal::Step(_)) { Attempt::Handshake } else { Attempt::Key };
                let what = format!("came as {name} and is refused: {why}");
                self.refuse_stranger(id, (attempt, what), why.to_string(), now)
            }
            Shaken::Joined(key) => self.joined(id, name, key),
            Shaken::NotJoined(why) => self.not_joined(id, &name, &why, now),
        }
    }

    /// A `shutdown` line in a closed house: nobody who proves nothing shuts it down.
    pub(super) fn refuse_shutdown(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let address = self.peers.get(&id).and_then(|peer| peer.address);
        let what = "asked for a shutdown in the clear, which nobody may do in a closed house; give a paired machine the role shutdown";
        match self.guard.is_unproven(id) {
            true => self.reset_stranger(id, Attempt::Shutdown, what.into(), now),
            false => self.stranger(address, Attempt::Shutdown, what.into(), now),
        }
    }
}

fn holds(networks: &[Network], address: Option<IpAddr>) -> bool {
    address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
}
