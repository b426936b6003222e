//! The handshake of a normal link: the client knows the server's key from pairing, the server looks the client's up.
//!
//! Each step takes the state by value, so that none can be done twice or out of order. Both hello lines are bound in:
//! whoever changes a name, the epoch or the dialect on the way ends the handshake.

use super::authorized::{Authorized, Peer};
use super::cipher::Sealed;
use super::key::{PublicKey, SecretKey};
use super::noise::{End, Noise};
use protocol::line::{ClientLine, ServerLine};
use protocol::{Epoch, HostName};
use std::sync::Arc;

pub use super::noise::{BadStep, MAX_MESSAGE};

/// What a handshake is for: the first byte of each of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A normal link, byte 1.
    Link,
    /// A machine that joins with a code, byte 2.
    Pairing,
}

impl Kind {
    /// What this message belongs to.
    ///
    /// # Errors
    /// It is empty, or of a kind that this version does not know.
    pub fn of(message: &[u8]) -> Result<Kind, BadStep> {
        match message.first() {
            Some(1) => Ok(Kind::Link),
            Some(2) => Ok(Kind::Pairing),
            Some(&other) => Err(BadStep::UnknownKind(other)),
            None => Err(BadStep::Length(0)),
        }
    }

    pub(super) const fn byte(self) -> u8 {
        match self {
            Kind::Link => 1,
            Kind::Pairing => 2,
        }
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Kind::Link => "a link",
            Kind::Pairing => "pairing",
        }
    }

    pub(super) const fn other(self) -> Kind {
        match self {
            Kind::Link => Kind::Pairing,
            Kind::Pairing => Kind::Link,
        }
    }
}

/// What the two said of themselves in the clear, before the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hellos {
    /// The name in `wait pistop/2 NAME`.
    pub client: HostName,
    /// The name in `pistop/2 NAME EPOCH`.
    pub server: HostName,
    /// Its epoch.
    pub epoch: Epoch,
}

impl Hellos {
    /// Both lines, and what the handshake is for: both ends must have seen the same. Each line ends with the one
    /// newline in it, so no two pairs of lines give the same bytes.
    pub(super) fn prologue(&self, kind: Kind) -> Vec<u8> {
        let client = ClientLine::Hello(self.client.clone()).encode();
        let server = ServerLine::Hello { server: self.server.clone(), epoch: self.epoch }.encode();
        [&b"pistop sealed link 1\n"[..], &[kind.byte()], &client, &server].concat()
    }
}

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A message that is none.
    #[error(transparent)]
    Step(#[from] BadStep),
    /// Said by a client.
    #[error(
        "the server's key is not the one this machine was paired with: {} instead of {}; somebody is in between, or the \
         server was set up anew: pair again", found.fingerprint(), pinned.fingerprint()
    )]
    WrongServer {
        /// The key that the other end has.
        found: PublicKey,
        /// The key of the pairing.
        pinned: PublicKey,
    },
    /// Said by a server.
    #[error(
        "the key {key} of {name} is not authorized here, or not any more; pair it again, or add it to authorized_peers"
    )]
    Unknown {
        /// What the client calls itself.
        name: HostName,
        /// Its key.
        key: PublicKey,
    },
    /// Said by a server.
    #[error(
        "the key of {listed} came under the name {said}; change the name in authorized_peers, or pair {said} again"
    )]
    WrongName {
        /// What the client calls itself.
        said: HostName,
        /// The name beside its key in the list.
        listed: HostName,
    },
}

/// The client's end.
#[derive(Debug)]
pub struct Initiator {
    noise: Noise,
    pinned: PublicKey,
}

impl Initiator {
    /// Begins; the bytes go out in the first `Handshake` frame.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn new(key: &SecretKey, pinned: PublicKey, hellos: &Hellos) -> Result<(Initiator, Vec<u8>), BadStep> {
        let mut noise = Noise::link(End::Initiator, key, &hellos.prologue(Kind::Link));
        let first = noise.write(&[])?;
        Ok((Initiator { noise, pinned }, first))
    }

    /// Takes the server's answer. The bytes go out in the second `Handshake` frame, the last thing in the clear; the
    /// next bytes of either side are sealed. The client's own key has been shown to nobody but the paired server.
    ///
    /// # Errors
    /// The other end is not the server that this machine was paired with, or something was changed on the way.
    pub fn receive(mut self, answer: &[u8]) -> Result<(Vec<u8>, Sealed), Refusal> {
        self.noise.read(answer)?;
        let (found, pinned) = (self.noise.remote()?, self.pinned);
        if found != pinned {
            return Err(Refusal::WrongServer { found, pinned });
        }
        let last = self.noise.write(&[])?;
        Ok((last, self.noise.split()))
    }
}

/// The server's end.
#[derive(Debug)]
pub struct Responder {
    noise: Noise,
    name: HostName,
}

/// A client that may be on this link.
#[derive(Debug)]
pub struct Admitted {
    /// Who it is and what it may do.
    pub peer: Arc<Peer>,
    /// The link from here on.
    pub sealed: Sealed,
}

/// A client that may not be on this link.
#[derive(Debug)]
pub struct Denied {
    /// Why.
    pub why: Refusal,
    /// Over which the client can be told, if the handshake itself came to its end: it has proved its key.
    pub farewell: Option<Box<Sealed>>,
}

impl From<BadStep> for Denied {
    fn from(why: BadStep) -> Self {
        Denied { why: why.into(), farewell: None }
    }
}

impl Responder {
    /// Answers a client's first message; the bytes go out in a `Handshake` frame, and then nothing until
    /// [`Responder::finish`]. This proves nothing about the client yet.
    ///
    /// # Errors
    /// It is no first message of a link.
    pub fn answer(key: &SecretKey, hellos: &Hellos, first: &[u8]) -> Result<(Responder, Vec<u8>), BadStep> {
        let mut noise = Noise::link(End::Responder, key, &hellos.prologue(Kind::Link));
        noise.read(first)?;
        let answer = noise.write(&[])?;
        Ok((Responder { noise, name: hellos.client.clone() }, answer))
    }

    /// Takes the client's last message and looks its key up. The next bytes of either side are sealed.
    ///
    /// # Errors
    /// The client is not in the list, is there under another name, or something was changed on the way.
    pub fn finish(mut self, last: &[u8], authorized: &Authorized) -> Result<Admitted, Denied> {
        self.noise.read(last)?;
        let key = self.noise.remote()?;
        let sealed = self.noise.split();
        match authorized.peer(&key) {
            Some(peer) if peer.name == self.name => Ok(Admitted { peer: peer.clone(), sealed }),
            Some(peer) => Err(deny(Refusal::WrongName { said: self.name, listed: peer.name.clone() }, sealed)),
            None => Err(deny(Refusal::Unknown { name: self.name, key }, sealed)),
        }
    }
}

fn deny(why: Refusal, sealed: Sealed) -> Denied {
    Denied { why, farewell: Some(Box::new(sealed)) }
}
