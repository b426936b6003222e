//! The handshakes of all links: bytes in, bytes out, and at the end the cipher of a link. What it costs is bounded by the
//! machine, which decides who may begin one; who may stay, it decides as well.

use crate::machine::{ControlId, PeerId, Shaken};
use bus::secure::{
    Admitted, Authorized, Code, Denied, Hellos, Joined, Kind, Offer, Responder, Sealed, SecretKey, handshake::BadStep,
    pairing,
};
use protocol::{Epoch, HostName, Instant};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// A handshake between two of its messages.
#[derive(Debug)]
enum Step {
    Link(Responder),
    Pairing(pairing::Pending),
    /// It waits for the server to write its key down.
    Joined(Joined),
}

/// All handshakes.
#[derive(Debug)]
pub struct Gate {
    /// Without a key there is no handshake; why there is none.
    key: Result<SecretKey, String>,
    server: HostName,
    epoch: Epoch,
    list: Arc<Authorized>,
    steps: HashMap<PeerId, Step>,
    offer: Option<Offer>,
}

/// The list of paired machines was changed by us, or could not be.
#[derive(Debug)]
pub enum Enrolled {
    /// The machine that has joined over this link.
    Added(PeerId, Result<(), String>),
    /// For this asker; whether that machine was there.
    Removed(ControlId, HostName, Result<bool, String>),
}

/// What one step led to.
#[derive(Debug)]
pub struct Outcome {
    /// For the machine.
    pub shaken: Shaken,
    /// What the link is sealed with from here on.
    pub sealed: Option<Sealed>,
}

impl From<Shaken> for Outcome {
    fn from(shaken: Shaken) -> Self {
        Self { shaken, sealed: None }
    }
}

impl Gate {
    /// The gate of a server with this key.
    pub fn new(key: Result<SecretKey, String>, server: HostName, epoch: Epoch) -> Gate {
        Gate { key, server, epoch, list: Arc::default(), steps: HashMap::new(), offer: None }
    }

    /// These are paired from now on.
    pub fn listed(&mut self, list: Arc<Authorized>) {
        self.list = list;
    }

    /// Makes a code that is good until then.
    ///
    /// # Errors
    /// There is no key, or no random number.
    pub fn offer(&mut self, until: Instant) -> Result<String, String> {
        self.key.as_ref().map_err(Clone::clone)?;
        let code = Code::generate().map_err(|why: io::Error| format!("no code can be made: {why}"))?;
        let text = code.reveal().to_string();
        self.offer = Some(Offer::new(code, until));
        Ok(text)
    }

    /// No code is good any more.
    pub fn withdraw(&mut self) {
        self.offer = None;
    }

    /// The link has ended.
    pub fn forget(&mut self, peer: PeerId) {
        self.take(peer);
    }

    /// How far a handshake is; when thousands have come, nothing is left of all theirs.
    fn take(&mut self, peer: PeerId) -> Option<Step> {
        let step = self.steps.remove(&peer);
        if self.steps.is_empty() {
            self.steps.shrink_to_fit();
        }
        step
    }

    /// Takes a handshake one step further.
    pub fn shake(&mut self, peer: PeerId, client: HostName, bytes: &[u8], now: Instant) -> Outcome {
        let hellos = Hellos { client, server: self.server.clone(), epoch: self.epoch };
        match (self.take(peer), Kind::of(bytes)) {
            (None, Ok(Kind::Link)) => self.begin(peer, &hellos, bytes),
            (None, Ok(Kind::Pairing)) => self.begin_pairing(peer, &hellos, bytes, now),
            (None, Err(why)) => denied(why.into()),
            (Some(Step::Link(responder)), _) => self.finish(responder, bytes),
            (Some(Step::Pairing(pending)), _) => self.finish_pairing(peer, pending, bytes, now),
            (Some(Step::Joined(joined)), _) => {
                self.steps.insert(peer, Step::Joined(joined));
                denied(BadStep::Forged.into())
            }
        }
    }

    fn begin(&mut self, peer: PeerId, hellos: &Hellos, bytes: &[u8]) -> Outcome {
        let Ok(key) = &self.key else { return denied(BadStep::NoRandom.into()) };
        match Responder::answer(key, hellos, bytes) {
            Ok((responder, answer)) => {
                self.steps.insert(peer, Step::Link(responder));
                Shaken::Answer(answer).into()
            }
            Err(why) => denied(why.into()),
        }
    }

    fn finish(&self, responder: Responder, bytes: &[u8]) -> Outcome {
        match responder.finish(bytes, &self.list) {
            Ok(Admitted { peer, sealed }) => Outcome { shaken: Shaken::Known(peer), sealed: Some(sealed) },
            Err(why) => denied(why),
        }
    }

    fn begin_pairing(&mut self, peer: PeerId, hellos: &Hellos, bytes: &[u8], now: Instant) -> Outcome {
        let (Ok(key), Some(offer)) = (&self.key, &mut self.offer) else { return no_offer() };
        match offer.answer(key, hellos, bytes, now) {
            Ok((pending, answer)) => {
                self.steps.insert(peer, Step::Pairing(pending));
                Shaken::Answer(answer).into()
            }
            Err(why) => Shaken::NotJoined(why).into(),
        }
    }

    fn finish_pairing(&mut self, peer: PeerId, pending: pairing::Pending, bytes: &[u8], now: Instant) -> Outcome {
        let Some(offer) = &mut self.offer else { return no_offer() };
        match offer.finish(pending, bytes, now) {
            Ok(joined) => {
                let key = joined.key;
                self.steps.insert(peer, Step::Joined(joined));
                Shaken::Joined(key).into()
            }
            Err(why) => Shaken::NotJoined(why).into(),
        }
    }

    /// The last bytes to a machine that has joined: it is written down, or why it is not.
    pub fn verdict(&mut self, peer: PeerId, result: &Result<(), String>) -> Option<Vec<u8>> {
        let Some(Step::Joined(joined)) = self.take(peer) else { return None };
        Some(match result {
            Ok(()) => joined.confirm(),
            Err(why) => joined.refuse(why),
        })
    }
}

fn denied(Denied { why, farewell }: Denied) -> Outcome {
    Outcome { shaken: Shaken::Denied(why), sealed: farewell.map(|sealed| *sealed) }
}

fn no_offer() -> Outcome {
    Shaken::NotJoined(pairing::Failure::Expired).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::secure::Initiator;

    #[test]
    fn nothing_is_left_of_the_handshakes_of_thousands() {
        let key = SecretKey::generate().unwrap();
        let (server, client) = ["attic", "kitchen"].map(|name| HostName::parse(name).unwrap()).into();
        let hellos = Hellos { client, server, epoch: Epoch(7) };
        let (_, first) = Initiator::new(&SecretKey::generate().unwrap(), key.public(), &hellos).unwrap();
        let mut gate = Gate::new(Ok(key), hellos.server.clone(), hellos.epoch);
        let peers = (1..=40).map(PeerId);
        for peer in peers.clone() {
            let Outcome { shaken, .. } =
                gate.shake(peer, hellos.client.clone(), &first, Instant::at(Default::default()));
            assert!(matches!(shaken, Shaken::Answer(_)));
        }
        assert_eq!(gate.steps.len(), 40);
        peers.for_each(|peer| gate.forget(peer));
        assert_eq!(gate.steps.capacity(), 0);
    }
}
