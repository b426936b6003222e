//! The server's end of a pairing: one code, for one machine, for a while.

use super::{Code, Failure, same_name};
use crate::secure::cipher::Sealer;
use crate::secure::handshake::{Hellos, Kind};
use crate::secure::key::{PublicKey, SecretKey};
use crate::secure::noise::{BadStep, End, Noise};
use protocol::{HostName, Instant};

/// Wrong tries that an offer takes; the next one is not looked at.
pub const TRIES: u8 = 5;

/// The longest reason told to a client that is not taken, in bytes.
pub const MAX_REASON: usize = 300;

/// A code in force. It is in memory only and ends with the process.
#[derive(Debug)]
pub struct Offer {
    code: Code,
    until: Instant,
    wrong: u8,
    used: bool,
}

/// A client that has shown the code in its first message; that alone may be an echo of another's.
#[derive(Debug)]
pub struct Pending {
    noise: Noise,
    hellos: Hellos,
}

/// A client that has proved the code. It waits for the server to note its key.
#[derive(Debug)]
pub struct Joined {
    /// Its host name.
    pub name: HostName,
    /// Its key.
    pub key: PublicKey,
    sealer: Sealer,
}

impl Joined {
    /// Tells the client that its key is noted, on the disk: it may now trust this server. The bytes go out in a
    /// `Handshake` frame, the last one.
    pub fn confirm(self) -> Vec<u8> {
        self.verdict("")
    }

    /// Tells the client that its key was not noted, and why, in the same way. At most [`MAX_REASON`] bytes are told.
    pub fn refuse(self, why: &str) -> Vec<u8> {
        let end = why.floor_char_boundary(MAX_REASON);
        self.verdict(if why.is_empty() { "no reason given" } else { &why[..end] })
    }

    /// One sealed record: a byte that has no meaning yet, so that none is empty, then the reason, if it is one.
    fn verdict(mut self, reason: &str) -> Vec<u8> {
        let mut message = vec![Kind::Pairing.byte()];
        self.sealer.seal(&[&[0], reason.as_bytes()].concat(), &mut message);
        message
    }
}

impl Offer {
    /// An offer of this code that stands until then.
    pub const fn new(code: Code, until: Instant) -> Offer {
        Offer { code, until, wrong: 0, used: false }
    }

    /// When to drop it.
    pub const fn deadline(&self) -> Instant {
        self.until
    }

    /// Whether it can still be taken up.
    ///
    /// # Errors
    /// It was used, is over its time or has had its wrong tries.
    pub fn stands(&self, now: Instant) -> Result<(), Failure> {
        match self {
            _ if self.used => Err(Failure::Used),
            _ if self.wrong >= TRIES => Err(Failure::Void),
            _ if now >= self.until => Err(Failure::Expired),
            _ => Ok(()),
        }
    }

    /// Answers a client's first message; the bytes go out in a `Handshake` frame.
    ///
    /// # Errors
    /// The offer does not stand, or the client does not know the code: then a try is gone.
    pub fn answer(
        &mut self,
        key: &SecretKey,
        hellos: &Hellos,
        first: &[u8],
        now: Instant,
    ) -> Result<(Pending, Vec<u8>), Failure> {
        self.stands(now)?;
        let mut noise = Noise::pairing(End::Responder, key, &hellos.prologue(Kind::Pairing), &self.code.key());
        noise.read(first).map_err(|why| self.wrong(why))?;
        let answer = noise.write(hellos.server.as_str().as_bytes())?;
        Ok((Pending { noise, hellos: hellos.clone() }, answer))
    }

    /// Takes the client's last message. The code is used up, whatever comes after.
    ///
    /// # Errors
    /// The offer does not stand any more, or the client does not know the code after all: then a try is gone.
    pub fn finish(&mut self, pending: Pending, last: &[u8], now: Instant) -> Result<Joined, Failure> {
        self.stands(now)?;
        let Pending { mut noise, hellos } = pending;
        let within = noise.read(last).map_err(|why| self.wrong(why))?;
        let key = noise.remote()?;
        self.used = true;
        same_name(&hellos.client, &within)?;
        if key.is_weak() {
            return Err(Failure::WeakKey);
        }
        Ok(Joined { name: hellos.client, key, sealer: noise.split().sealer })
    }

    /// Counts a try that failed on the code, and none that failed on this machine.
    fn wrong(&mut self, why: BadStep) -> Failure {
        if why == BadStep::NoRandom {
            return why.into();
        }
        self.wrong += 1;
        match TRIES.saturating_sub(self.wrong) {
            0 => Failure::Void,
            left => Failure::WrongCode { left },
        }
    }
}
