//! What somebody on the same network may try, one test each; and that honest links work however the bytes are cut.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod files;
mod joining;
mod link;
mod speed;
mod stream;
mod text;

use super::*;
use protocol::{Epoch, HostName};

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn hellos() -> Hellos {
    Hellos { client: host("kitchen"), server: host("attic"), epoch: Epoch(7) }
}

/// A server that knows one client, and that client.
struct House {
    server: SecretKey,
    client: SecretKey,
    authorized: Authorized,
}

impl House {
    fn new() -> House {
        let (server, client) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let (authorized, complaints) = Authorized::parse("list", &format!("kitchen {} follow\n", client.public()));
        assert_eq!(complaints, []);
        House { server, client, authorized }
    }

    /// A client that knows this server begins.
    fn initiator(&self) -> (Initiator, Vec<u8>) {
        Initiator::new(&self.client, self.server.public(), &hellos()).unwrap()
    }

    /// The whole handshake; the client's end, the server's end.
    fn link(&self) -> (Sealed, Admitted) {
        let (initiator, first) = self.initiator();
        let (responder, answer) = Responder::answer(&self.server, &hellos(), &first).unwrap();
        let (last, sealed) = initiator.receive(&answer).unwrap();
        (sealed, responder.finish(&last, &self.authorized).unwrap())
    }
}

fn seal(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    sealer.seal(plain, &mut sealed);
    sealed
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, Broken> {
    let mut plain = Vec::new();
    opener.receive(sealed, |part| plain.extend_from_slice(part)).map(|()| plain)
}
