//! How a new client introduces itself: the hello line, which a handshake may follow, and the hello frame.

use super::strangers::Attempt;
use super::{ALIVE, Action, Client, Greeted, House, MOST_TAKEOVERS, Peer, PeerId, Speaker, Stage, cut, info, slot};
use bus::secure::Peer as Paired;
use protocol::fact::Condition;
use protocol::line::ServerLine;
use protocol::message::{BUS, Hello};
use protocol::name::Identity;
use protocol::{HostName, Instant, Message, frame};
use std::sync::Arc;

impl House {
    pub(super) fn hello_line(&mut self, id: PeerId, name: HostName, now: Instant) -> Vec<Action> {
        let mut bytes = ServerLine::Hello { server: self.rules.name.clone(), epoch: self.rules.epoch }.encode();
        bytes.extend(frame::encode(&Message::Hello(self.hello())));
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.speaker = Speaker::Greeted(Box::new(Greeted { name, stage: Stage::Hello }));
            self.leased[slot(id)] += 1;
        }
        let mut actions = vec![Action::Send(vec![id], bytes.into())];
        if self.guard.closed {
            actions.extend(self.is_to_prove(id, now));
        }
        actions
    }

    pub(super) fn hello(&self) -> Hello {
        Hello {
            version: protocol::line::VERSION,
            name: self.rules.name.clone(),
            identity: self.rules.identity,
            program: self.rules.program.clone(),
            capabilities: vec![BUS.into()],
        }
    }

    pub(super) fn hello_frame(&mut self, id: PeerId, hello: Hello, now: Instant) -> Vec<Action> {
        let paired = match self.said_before(id) {
            Ok(paired) => paired,
            Err(why) => return self.refuse(id, why.into(), now),
        };
        if let Some(refused) = self.objects_to_unpaired(id, &hello, paired.is_some(), now) {
            return refused;
        }
        if let Some(why) = self.objection(id, &hello) {
            return self.refuse(id, why, now);
        }
        if let Some(why) = self.namesake(id, &hello, paired.is_some(), now) {
            return self.refuse_namesake(id, &hello.name, why, now);
        }
        let takeovers = self.takeovers(&hello.name, now);
        let mut actions = self.supersede(&hello, now);
        actions.push(info(format!("{} is here from {}, {}", hello.name, self.address(id), cut(&hello.program))));
        self.hosts.insert(hello.name.clone(), id);
        self.guard.proven(id);
        actions.push(self.tell_state(&hello.name, Condition::Online, &cut(&hello.program), ""));
        let carries = hello.capabilities.iter().any(|capability| capability == BUS);
        let roles = self.roles(paired.as_deref()).filter(|_| carries);
        let Hello { name, identity, .. } = hello;
        let bus = roles.is_some();
        let stranger = self.peers.get(&id).and_then(|peer| peer.address).filter(|_| paired.is_none());
        actions.extend(roles.map(|roles| Action::BusUp(id, name.clone(), roles, stranger)));
        let (round_trip, last_hook, unknown_frames) = (None, None, 0);
        let client = Client { name, identity, round_trip, last_hook, unknown_frames, takeovers, carries, bus, paired };
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.speaker = Speaker::New(Box::new(client));
        }
        let told = self.tell_latecomer(id, now);
        actions.extend(told.unwrap_or_else(|| vec![Action::Send(vec![id], self.beat())]));
        actions
    }

    /// Who proved himself on this link before its hello frame.
    fn said_before(&mut self, id: PeerId) -> Result<Option<Arc<Paired>>, &'static str> {
        match self.greeted(id).map(|greeted| &greeted.stage) {
            Some(Stage::Hello) => Ok(None),
            Some(Stage::Sealed(paired)) => Ok(Some(paired.clone())),
            Some(Stage::Shaking | Stage::Joining) => Err("a hello in the middle of a handshake"),
            None => Err("a second hello on one link"),
        }
    }

    /// In a closed house a client that proved nothing stays only where the owner says so, and under no name of another.
    fn objects_to_unpaired(&mut self, id: PeerId, hello: &Hello, sealed: bool, now: Instant) -> Option<Vec<Action>> {
        let address = self.peers.get(&id).and_then(|peer| peer.address);
        if sealed || !self.guard.closed {
            return None;
        }
        if !self.lets_unpaired_in(address) {
            return Some(self.refuse_unpaired(id, &hello.name, now));
        }
        let taken = self.guard.list.peers().any(|paired| paired.name == hello.name);
        let why = || {
            format!("the name {} is that of a paired machine, and this one does not prove that it is it", hello.name)
        };
        taken.then(|| self.refuse_stranger(id, (Attempt::Unpaired, why()), why(), now))
    }

    fn objection(&self, id: PeerId, hello: &Hello) -> Option<String> {
        let Some(Peer { speaker: Speaker::Greeted(greeted), .. }) = self.peers.get(&id).map(Box::as_ref) else {
            return Some("a second hello on one link".into());
        };
        let name = &greeted.name;
        if hello.version != protocol::line::VERSION {
            let ours = protocol::line::VERSION;
            return Some(format!("version {} of the protocol is not spoken here, {ours} is; update", hello.version));
        }
        (hello.name != *name).then(|| format!("the hello line says {name} and the hello frame {}", hello.name))
    }

    /// Why it does not get its name, if another machine has it.
    fn namesake(&self, id: PeerId, hello: &Hello, sealed: bool, now: Instant) -> Option<String> {
        let name = &hello.name;
        let other = *self.hosts.get(name)?;
        if sealed {
            return None;
        }
        let places = format!("at {} and at {}", self.address(other), self.address(id));
        if self.identity(other)? != hello.identity {
            let remedy = "rename one of them or set NAME; or wait, if this machine has lost its state directory";
            return Some(format!("the name {name} is taken by another machine, they are {places}; {remedy}"));
        }
        (self.takeovers(name, now) > MOST_TAKEOVERS).then(|| {
            let remedy = "remove STATE_DIR/identity on one of them and give it another name";
            format!("two machines share the name {name} and an identity, they are {places}; {remedy}")
        })
    }

    /// How often in a row this name has been taken over from a link that was alive.
    fn takeovers(&self, name: &HostName, now: Instant) -> u32 {
        match self.hosts.get(name).and_then(|id| self.peers.get(id)).map(Box::as_ref) {
            Some(Peer { speaker: Speaker::New(client), heard, .. }) if now.since(*heard) < ALIVE => {
                client.takeovers + 1
            }
            _ => 0,
        }
    }

    fn identity(&self, id: PeerId) -> Option<Identity> {
        match &self.peers.get(&id)?.speaker {
            Speaker::New(client) => Some(client.identity),
            Speaker::Unclassified | Speaker::Old | Speaker::Greeted(_) => None,
        }
    }

    /// The same machine on a new link: the old one is dead, whether TCP knows it or not.
    fn supersede(&mut self, hello: &Hello, now: Instant) -> Vec<Action> {
        let Some(&old) = self.hosts.get(&hello.name) else { return Vec::new() };
        let mut actions = vec![Action::Close(old), info(format!("{} reconnected; its old link is closed", hello.name))];
        // It is not gone, so nobody is told that it is.
        actions.extend(self.forget(old, now).into_iter().filter(|action| !matches!(action, Action::Tell(..))));
        actions
    }
}
