//! The part of the loop that has to do with who may come in: handshakes, the list of paired machines, and codes.

use super::Loop;
use crate::gate::Enrolled;
use crate::machine::{Action, ControlId, Input, PeerId};
use crate::peers::Event;
use bus::secure::{Authorized, AuthorizedFile, KeyFile, Peer as Paired, SecretKey};
use protocol::HostName;
use protocol::control::{Reply, Secret};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often the list is looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The list of paired machines as a file, and what was last said of it.
#[derive(Debug)]
pub struct List {
    file: AuthorizedFile,
    told: String,
}

impl List {
    /// The list at this place, which need not be there.
    pub fn at(place: &Path) -> List {
        List { file: AuthorizedFile::at(place), told: String::new() }
    }

    /// Who is in it, and whether it closes the house; nothing if it cannot be read, which is said once.
    /// A list whose lines are all wrong closes the house as well: somebody meant it to.
    fn read(&mut self) -> Option<(Arc<Authorized>, bool)> {
        match self.file.load() {
            Ok((list, complaints)) => {
                self.told.clear();
                complaints.iter().for_each(|complaint| tracing::error!("{complaint}"));
                let closed = list.peers().next().is_some() || !complaints.is_empty();
                Some((Arc::new(list), closed))
            }
            Err(why) => {
                self.complain(why.to_string());
                None
            }
        }
    }

    fn complain(&mut self, why: String) {
        if why != self.told {
            tracing::error!("{why}; until it can be read, the list from before holds, and without one nobody comes in");
            self.told = why;
        }
    }
}

/// The key of this server. Without one it serves on, and no machine can be paired.
pub fn key(state_dir: &Path) -> Result<SecretKey, String> {
    let key = KeyFile::within(state_dir).load_or_make();
    key.map_err(|why| why.to_string()).inspect_err(|why| tracing::error!("no machine can be paired: {why}"))
}

impl Loop {
    /// Reads the list at the start: one that cannot be read lets nobody in.
    pub(super) fn read_first_list(&mut self) {
        let (list, closed) = self.list.read().unwrap_or_else(|| (Arc::default(), true));
        if !closed {
            let place = self.config.authorized_peers.display();
            tracing::info!(
                "the house is open, as {place} names nobody: anybody on this network may follow and publish; `pistop pair` closes it"
            );
        }
        self.listed(list, closed);
    }

    /// Reads the list if it has changed.
    pub(super) fn look_at_list(&mut self) {
        if self.list.file.changed() {
            self.read_list();
        }
    }

    fn read_list(&mut self) {
        if let Some((list, closed)) = self.list.read() {
            self.listed(list, closed);
        }
    }

    fn listed(&mut self, list: Arc<Authorized>, closed: bool) {
        self.gate.listed(list.clone());
        self.feed(Input::Listed(list, closed));
    }

    /// Performs what has to do with it.
    pub(super) fn guard(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Shake(peer, name, bytes) => Some(self.shake(peer, name, &bytes)),
            Action::Offer(asker, until) => {
                let reply = match self.gate.offer(until) {
                    Ok(code) => Reply::PairingCode { code: Secret::new(code), lasts: until.since(self.clock.now()) },
                    Err(why) => Reply::Refused(why),
                };
                let refused = matches!(reply, Reply::Refused(_)).then_some(Input::AskerGone(asker));
                self.tell_when_gone(asker);
                self.reply(asker, reply).or(refused)
            }
            Action::Withdraw => {
                self.gate.withdraw();
                None
            }
            Action::Enroll(peer, paired) => {
                self.enroll(peer, paired);
                None
            }
            Action::Strike(asker, host) => {
                self.strike(asker, host);
                None
            }
            _ => None,
        }
    }

    fn shake(&mut self, peer: PeerId, name: HostName, bytes: &[u8]) -> Input {
        let outcome = self.gate.shake(peer, name, bytes, self.clock.now());
        if let Some(sealed) = outcome.sealed {
            self.peers.seal(peer, sealed);
        }
        Input::Shaken(peer, outcome.shaken)
    }

    /// The disk is waited for by a thread of its own.
    fn enroll(&self, peer: PeerId, paired: Paired) {
        let place = self.config.authorized_peers.clone();
        self.write(move || Enrolled::Added(peer, make_folder(&place).and_then(|()| add(&place, &paired))));
    }

    fn strike(&self, asker: ControlId, host: HostName) {
        let file = AuthorizedFile::at(&self.config.authorized_peers);
        self.write(move || {
            let result = file.remove(&host).map_err(|why| why.to_string());
            Enrolled::Removed(asker, host, result)
        });
    }

    fn write(&self, change: impl FnOnce() -> Enrolled + Send + 'static) {
        let events = self.peers.events();
        tokio::spawn(async move {
            if let Ok(enrolled) = tokio::task::spawn_blocking(change).await {
                let _ = events.send(Event::Enrolled(enrolled)).await;
            }
        });
    }

    /// The file of the list was changed by us, or could not be.
    pub(super) fn enrolled(&mut self, enrolled: Enrolled) {
        match enrolled {
            Enrolled::Added(peer, result) => {
                let verdict = self.gate.verdict(peer, &result).unwrap_or_default();
                self.feed(Input::Enrolled(peer, verdict, result));
            }
            Enrolled::Removed(asker, host, result) => self.feed(Input::Struck(asker, host, result)),
        }
        self.read_list();
    }

    /// A code is good as long as somebody sees it.
    fn tell_when_gone(&self, asker: ControlId) {
        let Some(replies) = self.askers.get(&asker).cloned() else { return };
        let events = self.peers.events();
        tokio::spawn(async move {
            replies.closed().await;
            let _ = events.send(Event::Input(Input::AskerGone(asker))).await;
        });
    }
}

fn make_folder(place: &Path) -> Result<(), String> {
    let folder = place.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(|why| format!("{}: {why}; make that directory", folder.display()))
}

fn add(place: &Path, paired: &Paired) -> Result<(), String> {
    AuthorizedFile::at(place).add(paired).map_err(|why| why.to_string())
}
