//! The one file that names snow: a handshake as messages in and out.
//!
//! snow keeps its copies of the keys until the handshake is over, and does not wipe them; they are boxed, few, and gone
//! when the link is sealed.

use super::cipher::{Opener, Sealed, Sealer};
use super::handshake::Kind;
use super::key::{PublicKey, SecretKey};
use snow::params::{DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::Dh;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

/// The longest message of a handshake with its first byte: all that it holds is three keys, two tags and a name.
pub const MAX_MESSAGE: usize = 512;

/// Why a message of a handshake is not taken. The text says what it means for the one who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStep {
    /// Its first byte is none that this version knows.
    #[error("a handshake of kind {0} is not known here; install the same version of pistop on both machines")]
    UnknownKind(u8),
    /// It is of the other kind than what was begun.
    #[error("a handshake for {} came where one for {} was begun; begin anew", .0.word(), .0.other().word())]
    OtherKind(Kind),
    /// It has no bytes, or more than [`MAX_MESSAGE`].
    #[error("a handshake of {0} bytes is none; at most {MAX_MESSAGE} are taken")]
    Length(usize),
    /// It was changed, comes from an earlier handshake, or the two ends saw different hello lines.
    #[error(
        "a handshake does not fit: it was changed or repeated on the way, or the two ends saw different hello lines; \
         if the next one fails as well, somebody is in between"
    )]
    Forged,
    /// The operating system gave no random numbers.
    #[error("the operating system gives no random numbers; without them there is no secure link")]
    NoRandom,
}

impl From<snow::Error> for BadStep {
    fn from(why: snow::Error) -> Self {
        match why {
            snow::Error::Rng => BadStep::NoRandom,
            _ => BadStep::Forged,
        }
    }
}

/// Which end of the handshake this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Initiator,
    Responder,
}

/// A handshake under way.
pub struct Noise {
    kind: Kind,
    end: End,
    state: Box<HandshakeState>,
}

impl std::fmt::Debug for Noise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Noise({:?}, {:?})", self.kind, self.end)
    }
}

impl Noise {
    /// A handshake of a normal link.
    pub fn link(end: End, key: &SecretKey, prologue: &[u8]) -> Noise {
        let state = build("Noise_XX_25519_ChaChaPoly_BLAKE2s", end, key, prologue, None);
        Noise { kind: Kind::Link, end, state: Box::new(state) }
    }

    /// A handshake that a code authenticates.
    pub fn pairing(end: End, key: &SecretKey, prologue: &[u8], psk: &[u8; 32]) -> Noise {
        let state = build("Noise_XXpsk0_25519_ChaChaPoly_BLAKE2s", end, key, prologue, Some(psk));
        Noise { kind: Kind::Pairing, end, state: Box::new(state) }
    }

    /// The next message, for a `Handshake` frame.
    pub fn write(&mut self, payload: &[u8]) -> Result<Vec<u8>, BadStep> {
        let mut message = vec![0; MAX_MESSAGE];
        message[0] = self.kind.byte();
        let length = self.state.write_message(payload, &mut message[1..])?;
        message.truncate(1 + length);
        Ok(message)
    }

    /// Takes the other end's message; the answer is its payload.
    pub fn read(&mut self, message: &[u8]) -> Result<Vec<u8>, BadStep> {
        if message.len() > MAX_MESSAGE {
            return Err(BadStep::Length(message.len()));
        }
        match Kind::of(message)? {
            kind if kind == self.kind => {}
            kind => return Err(BadStep::OtherKind(kind)),
        }
        let mut payload = vec![0; MAX_MESSAGE];
        let length = self.state.read_message(&message[1..], &mut payload)?;
        payload.truncate(length);
        Ok(payload)
    }

    /// The other end's key, as soon as a message has brought it.
    pub fn remote(&self) -> Result<PublicKey, BadStep> {
        let key = self.state.get_remote_static().and_then(|key| key.try_into().ok());
        key.map(PublicKey::from_bytes).ok_or(BadStep::Forged)
    }

    /// The sealed link, once all messages have gone. The raw keys are taken since snow's own state of a link is twice
    /// as large and cannot be held by two tasks; they are used as Noise says, see [`super::cipher`].
    pub fn split(mut self) -> Sealed {
        let (forth, back) = self.state.dangerously_get_raw_split();
        let (forth, back) = (Zeroizing::new(forth), Zeroizing::new(back));
        let (send, receive) = match self.end {
            End::Initiator => (forth, back),
            End::Responder => (back, forth),
        };
        Sealed { sealer: Sealer::new(send), opener: Opener::new(receive) }
    }
}

fn build(pattern: &str, end: End, key: &SecretKey, prologue: &[u8], psk: Option<&[u8; 32]>) -> HandshakeState {
    let builder = || {
        let builder = Builder::new(pattern.parse()?).local_private_key(key.bytes())?.prologue(prologue)?;
        let builder = match psk {
            Some(psk) => builder.psk(0, psk)?,
            None => builder,
        };
        match end {
            End::Initiator => builder.build_initiator(),
            End::Responder => builder.build_responder(),
        }
    };
    builder().expect("the pattern is known, its algorithms are built in, and it has all the keys it needs")
}

/// The public half of a secret key.
pub fn public_of(secret: &[u8; 32]) -> [u8; 32] {
    let public = dh(secret);
    public.pubkey().try_into().expect("a key of this curve has 32 bytes")
}

/// Whether everybody knows the secret that is shared with this key: a point of small order, such as 32 zeros.
pub fn is_weak(public: &[u8; 32]) -> bool {
    let mut shared = [0; 32];
    let agreed = dh(&[0x55; 32]).dh(public, &mut shared);
    agreed.is_err() || shared == [0; 32]
}

/// BLAKE2s of the parts, one behind the other.
pub fn hash(parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut hash = DefaultResolver.resolve_hash(&HashChoice::Blake2s).expect("BLAKE2s is built in");
    hash.reset();
    parts.iter().for_each(|part| hash.input(part));
    let mut out = Zeroizing::new([0; 32]);
    hash.result(&mut *out);
    out
}

fn dh(secret: &[u8; 32]) -> Box<dyn Dh> {
    let mut dh = DefaultResolver.resolve_dh(&DHChoice::Curve25519).expect("Curve25519 is built in");
    dh.set(secret);
    dh
}
