//! `STATE_DIR/server`: the server that this machine was paired with. Once it is there, nothing is said or believed in
//! the clear any more, or whoever is in between would only have to leave the handshake away.

use super::disk::{self, Fault};
use super::key::PublicKey;
use protocol::HostName;
use std::fs;
use std::io;
use std::path::Path;

/// The name of the file in the state directory.
pub const NAME: &str = "server";

/// A server and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedServer {
    /// The name it had when this machine was paired; only for people, the key is what counts.
    pub name: HostName,
    /// Its key.
    pub key: PublicKey,
}

/// How a client may talk to a server. Ask this before each link, and hold on to the answer for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Never paired: as ever, in the clear.
    Unpaired,
    /// Paired: only sealed, and only with this server. Until the link is sealed, all that comes is noise: a line
    /// `shutdown`, an end of file, a frame or a `Refused` changes nothing but the log.
    Pinned(PinnedServer),
}

impl Trust {
    /// What the state directory says.
    ///
    /// # Errors
    /// The file is there and does not say which server. That is not "unpaired": the client must not go on.
    pub fn load(state: &Path) -> Result<Trust, Fault> {
        let place = state.join(NAME);
        let Some((file, _)) = disk::open(&place)? else { return Ok(Trust::Unpaired) };
        let text = disk::text(&place, file)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let pinned = match words[..] {
            [name, key] => HostName::parse(name).map_err(|why| why.to_string()).and_then(|name| {
                let key = key.parse().map_err(|why| format!("the key of {name}: {why}"))?;
                Ok(PinnedServer { name, key })
            }),
            _ => Err("it does not hold one name and one key".into()),
        };
        let remedy = "pair again; deleting it makes this machine talk in the clear, to anybody";
        pinned.map(Trust::Pinned).map_err(|why| Fault::new(&place, format!("{why}; {remedy}")))
    }

    /// Whether what is not sealed may be said or believed.
    pub const fn may_talk_plain(&self) -> bool {
        matches!(self, Trust::Unpaired)
    }

    /// The server to begin a handshake with.
    pub const fn pinned(&self) -> Option<&PinnedServer> {
        match self {
            Trust::Unpaired => None,
            Trust::Pinned(server) => Some(server),
        }
    }
}

impl PinnedServer {
    /// Keeps it; when this returns, it is on the disk.
    ///
    /// # Errors
    /// The disk refused, and what was there before stands.
    pub fn store(&self, state: &Path) -> Result<(), Fault> {
        disk::replace(&state.join(NAME), format!("{} {}\n", self.name, self.key).as_bytes(), 0o600)
    }

    /// Forgets the pairing, for one that is ended by hand.
    ///
    /// # Errors
    /// The disk refused.
    pub fn forget(state: &Path) -> Result<(), Fault> {
        let place = state.join(NAME);
        match fs::remove_file(&place) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(Fault::io(&place, &why)),
            _ => Ok(()),
        }
    }
}
