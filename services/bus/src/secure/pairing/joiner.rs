//! The client's end of a pairing: the machine on which the code was typed.

use super::{Code, Failure, same_name};
use crate::secure::cipher::Opener;
use crate::secure::handshake::{Hellos, Kind};
use crate::secure::key::SecretKey;
use crate::secure::noise::{BadStep, End, Noise};
use crate::secure::pin::PinnedServer;
use protocol::name::printable;

/// A client that has sent its first message.
#[derive(Debug)]
pub struct Joiner {
    noise: Noise,
    hellos: Hellos,
}

/// A client that knows the server, and waits to be noted there.
#[derive(Debug)]
pub struct JoinerWaits {
    server: PinnedServer,
    opener: Opener,
}

impl Joiner {
    /// Begins; the bytes go out in the first `Handshake` frame. They say nothing about this machine.
    ///
    /// # Errors
    /// There are no random numbers.
    pub fn new(code: &Code, key: &SecretKey, hellos: &Hellos) -> Result<(Joiner, Vec<u8>), BadStep> {
        let mut noise = Noise::pairing(End::Initiator, key, &hellos.prologue(Kind::Pairing), &code.key());
        let first = noise.write(&[])?;
        Ok((Joiner { noise, hellos: hellos.clone() }, first))
    }

    /// Takes the server's answer; the bytes go out in the second `Handshake` frame.
    ///
    /// # Errors
    /// The other end does not know the code, or is not to be trusted for another reason.
    pub fn receive(self, answer: &[u8]) -> Result<(JoinerWaits, Vec<u8>), Failure> {
        let Joiner { mut noise, hellos } = self;
        let within = noise.read(answer).map_err(|why| match why {
            BadStep::Forged => Failure::WrongServer,
            why => why.into(),
        })?;
        same_name(&hellos.server, &within)?;
        let server = PinnedServer { name: hellos.server, key: noise.remote()? };
        if server.key.is_weak() {
            return Err(Failure::WeakKey);
        }
        let last = noise.write(hellos.client.as_str().as_bytes())?;
        Ok((JoinerWaits { server, opener: noise.split().opener }, last))
    }
}

impl JoinerWaits {
    /// Takes the server's last word. What this gives is to be stored: from then on, see [`crate::secure::Trust`].
    ///
    /// # Errors
    /// The server has not noted this machine, or these are not its words.
    pub fn receive(mut self, verdict: &[u8]) -> Result<PinnedServer, Failure> {
        match Kind::of(verdict)? {
            Kind::Pairing => {}
            kind => return Err(BadStep::OtherKind(kind).into()),
        }
        let mut words = Vec::new();
        self.opener.receive(&verdict[1..], |plain| words.extend_from_slice(plain)).map_err(|_| BadStep::Forged)?;
        match &words[..] {
            [_] => Ok(self.server),
            [_, reason @ ..] => Err(Failure::Refused(printable(reason))),
            [] => Err(BadStep::Forged.into()),
        }
    }
}
