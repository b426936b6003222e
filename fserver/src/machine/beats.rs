//! Beats: when each new client hears one, what its answers say, and whose lease has run out.
//!
//! What always holds: the beats of a moment are the same bytes for all, since a beat's number counts moments and not what
//! one link was sent.

use super::{Action, House, Peer, PeerId, Speaker};
use protocol::message::Beat;
use protocol::{Instant, Message, frame};
use std::rc::Rc;
use std::time::Duration;

/// New peers hear a beat once a second.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// The beats of a second are spread over this many moments, so that 10,000 peers never answer at once.
pub(super) const SLOTS: u64 = 20;
/// How far apart those moments are.
const MOMENT: Duration = Duration::from_millis(BEAT_EVERY.as_millis() as u64 / SLOTS);
/// How many beat moments are remembered for round trips: longer than any lease.
const REMEMBERED: usize = 600;

impl House {
    /// The beats of all moments that have come since the last ones.
    pub(super) fn beat_until(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        let current = (now.since(self.began).as_nanos() / MOMENT.as_nanos()) as u64;
        let missed = (self.moment + 1).max((current + 1).saturating_sub(SLOTS));
        for moment in missed..=current {
            if self.leased[(moment % SLOTS) as usize] > 0 {
                actions.extend(self.beat_moment(moment, now));
            }
        }
        self.moment = self.moment.max(current);
        actions
    }

    /// What a peer hears now and then.
    pub(super) fn beat(&self) -> Rc<[u8]> {
        let number = self.beats.back().map_or(0, |(number, _)| *number);
        let next_ms = BEAT_EVERY.as_millis() as u32;
        frame::encode(&Message::Beat(Beat { number, next_ms })).into()
    }

    /// A peer has heard the beat of that number.
    pub(super) fn echo(&mut self, id: PeerId, number: u64, now: Instant) -> Vec<Action> {
        let sent = self.beats.binary_search_by_key(&number, |&(number, _)| number);
        let round_trip = sent.ok().map(|index| now.since(self.beats[index].1));
        if let Some(Peer { speaker: Speaker::New(client), .. }) = self.peers.get_mut(&id).map(Box::as_mut) {
            client.round_trip = round_trip.or(client.round_trip);
        }
        Vec::new()
    }

    /// When somebody is due next; a house of three wakes up three times a second and not twenty.
    pub(super) fn next_beat(&self) -> Option<Instant> {
        let due = |moment: &u64| self.leased[(moment % SLOTS) as usize] > 0;
        let moment = (self.moment + 1..=self.moment + SLOTS).find(due)?;
        Some(self.began + MOMENT * moment as u32)
    }

    /// Beats for the peers of one slot, and a look at their leases.
    fn beat_moment(&mut self, moment: u64, now: Instant) -> Vec<Action> {
        self.beats.push_back((moment, now));
        if self.beats.len() > REMEMBERED {
            self.beats.pop_front();
        }
        let (mut here, mut gone) = (Vec::new(), Vec::new());
        for (&id, peer) in self.peers.iter().filter(|(id, _)| slot(**id) as u64 == moment % SLOTS) {
            match &peer.speaker {
                Speaker::Unclassified | Speaker::Old => {}
                _ if now.since(peer.heard) > self.rules.lease => gone.push(id),
                Speaker::New(_) => here.push(id),
                Speaker::Greeted(_) => {}
            }
        }
        let mut actions = if here.is_empty() { Vec::new() } else { vec![Action::Send(here, self.beat())] };
        for id in gone {
            actions.extend(self.expire(id, now));
        }
        actions
    }

    fn expire(&mut self, id: PeerId, now: Instant) -> Vec<Action> {
        let silence = self.peers.get(&id).map_or(Duration::ZERO, |peer| now.since(peer.heard));
        self.ended(id, Some(format!("is gone: no sign of life for {:.0} s", silence.as_secs_f64())), now)
    }
}

/// In which of a second's moments a peer hears its beat.
pub(super) fn slot(id: PeerId) -> usize {
    (id.0 % SLOTS) as usize
}
