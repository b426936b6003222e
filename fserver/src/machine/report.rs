//! The part of the machine that answers questions: who is here, and why something was decided.

use super::{Action, ControlId, House, OldPeers, Peer, Speaker, Via, cut, shown, stopping::kind};
use core::net::IpAddr;
use protocol::control::{
    HouseStatus, PEERS_PER_REPLY, PeerStatus, Reply, Request, ServerStatus, ShutdownStatus, Verdict,
};
use protocol::message::Decision;
use protocol::{HostName, Instant};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// How many decisions are remembered about a host.
const PER_HOST: usize = 8;
/// How many facts of a client's decision are remembered.
const MOST_EVIDENCE: usize = 8;
/// About how many hosts anything is remembered; more names than that are noise or an attack.
const HOSTS: usize = 4096;

/// The last decisions about each host.
#[derive(Debug, Default)]
pub(super) struct Memory(HashMap<HostName, VecDeque<Remembered>>);

#[derive(Debug)]
struct Remembered {
    at: Instant,
    what: What,
}

/// What was decided. Most machines come and stay, and of those there may be thousands.
#[derive(Debug)]
enum What {
    /// It came, from there.
    Came(Option<IpAddr>),
    /// By whom, and why.
    Decided(Box<(&'static str, Decision)>),
}

impl Memory {
    pub(super) fn record(
        &mut self,
        host: &HostName,
        by: &'static str,
        what: String,
        evidence: Vec<String>,
        now: Instant,
    ) {
        self.decided(host, by, Decision { ago: Duration::ZERO, what, evidence, epoch: None }, now);
    }

    fn decided(&mut self, host: &HostName, by: &'static str, decision: Decision, now: Instant) {
        self.keep(host, Remembered { at: now, what: What::Decided(Box::new((by, decision))) });
    }

    /// It came, from there, at that time; told when it goes, since while a machine is here its link says so.
    pub(super) fn came(&mut self, host: &HostName, from: Option<IpAddr>, since: Instant) {
        let of_host = self.of(host);
        of_host.insert(later_than(of_host, since), Remembered { at: since, what: What::Came(from) });
        of_host.truncate(PER_HOST);
    }

    fn keep(&mut self, host: &HostName, remembered: Remembered) {
        let of_host = self.of(host);
        of_host.push_front(remembered);
        of_host.truncate(PER_HOST);
    }

    fn of(&mut self, host: &HostName) -> &mut VecDeque<Remembered> {
        if self.0.len() >= HOSTS && !self.0.contains_key(host) {
            self.forget_the_stalest();
        }
        self.0.entry(host.clone()).or_insert_with(|| VecDeque::with_capacity(1))
    }

    #[cfg(test)]
    pub(super) fn hosts(&self) -> usize {
        self.0.len()
    }

    fn forget_the_stalest(&mut self) {
        let stalest = self.0.iter().min_by_key(|(_, kept)| kept.front().map(|kept| kept.at));
        if let Some(host) = stalest.map(|(host, _)| host.clone()) {
            self.0.remove(&host);
        }
    }

    /// The newest first; `here` is from where it came and when, if it is here.
    fn verdicts(&self, host: &HostName, here: Option<(Option<IpAddr>, Instant)>, now: Instant) -> Vec<Verdict> {
        let nothing = VecDeque::new();
        let kept = self.0.get(host).unwrap_or(&nothing);
        let mut verdicts: Vec<Verdict> = kept.iter().map(|kept| kept.verdict(now)).collect();
        if let Some((from, since)) = here {
            let came = Remembered { at: since, what: What::Came(from) };
            verdicts.insert(later_than(kept, since), came.verdict(now));
        }
        verdicts
    }
}

/// How many of these, the newest first, are later.
fn later_than(kept: &VecDeque<Remembered>, at: Instant) -> usize {
    kept.iter().take_while(|kept| kept.at >= at).count()
}

impl Remembered {
    fn verdict(&self, now: Instant) -> Verdict {
        let ago = now.since(self.at);
        match &self.what {
            What::Came(from) => {
                let what = format!("came from {}", shown(*from));
                Verdict { by: "server".into(), decision: Decision { ago, what, evidence: Vec::new(), epoch: None } }
            }
            What::Decided(decided) => {
                let (by, decision) = &**decided;
                Verdict { by: (*by).into(), decision: Decision { ago: decision.ago + ago, ..decision.clone() } }
            }
        }
    }
}

impl House {
    pub(super) fn asked(&mut self, asker: ControlId, request: Request, now: Instant) -> Vec<Action> {
        match request {
            Request::Pair(request) => self.asked_to_pair(asker, request, now),
            Request::Paired => self.paired(asker, now),
            Request::Unpair(host) => vec![Action::Strike(asker, host)],
            Request::Status => self.status(asker, now),
            Request::Shutdown(request) => self.asked_to_shut_down(asker, request, now),
            Request::Cancel => self.asked_to_cancel(asker),
            Request::Why(host) => self.why(asker, host, now),
            Request::Join(_) => vec![Action::Reply(asker, Reply::Refused("a join is no question".into()))],
        }
    }

    pub(super) fn decision(&mut self, host: HostName, told: Decision, now: Instant) -> Vec<Action> {
        let evidence = told.evidence.iter().take(MOST_EVIDENCE).map(|fact| cut(fact)).collect();
        let decision = Decision { what: cut(&told.what), evidence, ..told };
        let note = super::info(format!("{host} decided: {} ({})", decision.what, decision.evidence.join("; ")));
        self.memory.decided(&host, "client", decision, now);
        vec![note]
    }

    fn why(&self, asker: ControlId, host: HostName, now: Instant) -> Vec<Action> {
        let here = self.hosts.get(&host).and_then(|id| self.peers.get(id)).map(|peer| (peer.address, peer.since));
        let verdicts = self.memory.verdicts(&host, here, now);
        let known = !verdicts.is_empty();
        let unknown = format!("nothing is known of {host}; `pistop status` lists who is here");
        let reply = if known { Reply::Why(verdicts) } else { Reply::Refused(unknown) };
        vec![Action::Reply(asker, reply), Action::Reply(asker, Reply::Done { late: Vec::new() })]
            .into_iter()
            .take(if known { 2 } else { 1 })
            .collect()
    }

    fn status(&self, asker: ControlId, now: Instant) -> Vec<Action> {
        let peers: Vec<PeerStatus> = self.peers.values().map(|peer| peer_status(peer, now)).collect();
        let pages = peers.chunks(PEERS_PER_REPLY).map(|page| Reply::Peers(page.to_vec()));
        std::iter::once(Reply::Server(self.server_status(now)))
            .chain(pages)
            .chain([Reply::House(self.house_status()), Reply::Done { late: Vec::new() }])
            .map(|reply| Action::Reply(asker, reply))
            .collect()
    }

    fn server_status(&self, now: Instant) -> ServerStatus {
        ServerStatus {
            name: self.rules.name.clone(),
            epoch: self.rules.epoch,
            up: now.since(self.began),
            program: self.rules.program.clone(),
            listening: self.rules.listening.clone(),
            peers: self.peers.len(),
            most_peers: self.rules.most_peers,
            shutdown: self.shutdown_status(now),
        }
    }

    fn house_status(&self) -> HouseStatus {
        let count = |wanted: fn(&Speaker) -> bool| self.peers.values().filter(|peer| wanted(&peer.speaker)).count();
        HouseStatus {
            closed: self.guard.closed,
            paired: self.guard.list.peers().count(),
            unpaired: count(|speaker| matches!(speaker, Speaker::New(client) if client.paired.is_none())),
            old: count(|speaker| matches!(speaker, Speaker::Old)),
            old_allowed: match self.rules.old_peers {
                OldPeers::WhileOpen => !self.guard.closed,
                OldPeers::Any | OldPeers::From(_) => true,
                OldPeers::Off => false,
            },
        }
    }

    fn shutdown_status(&self, now: Instant) -> Option<ShutdownStatus> {
        let shutdown = self.shutdown.as_ref()?;
        let phase = if shutdown.committed() { "committed" } else { "announced" };
        Some(ShutdownStatus {
            id: shutdown.id(),
            phase: phase.into(),
            kind: kind(shutdown.order()).into(),
            reason: shutdown.order().reason.clone(),
            left: shutdown.deadline().map_or(Duration::ZERO, |deadline| deadline.since(now)),
            parts: shutdown.parts().into_iter().take(PEERS_PER_REPLY).collect(),
        })
    }
}

fn peer_status(peer: &Peer, now: Instant) -> PeerStatus {
    let (host, kind) = match &peer.speaker {
        Speaker::Unclassified => (None, "unclassified"),
        Speaker::Old => (None, "old"),
        Speaker::Greeted(greeted) => (Some(greeted.name.clone()), "unclassified"),
        Speaker::New(client) => (Some(client.name.clone()), if client.paired.is_some() { "paired" } else { "new" }),
    };
    let client = match &peer.speaker {
        Speaker::New(client) => Some(client),
        Speaker::Unclassified | Speaker::Old | Speaker::Greeted(_) => None,
    };
    PeerStatus {
        host,
        address: shown(peer.address),
        kind: kind.into(),
        via: if peer.via == Via::Tcp { "tcp" } else { "ucspi" }.into(),
        since: now.since(peer.since),
        round_trip: client.and_then(|client| client.round_trip),
        last_hook: client.and_then(|client| client.last_hook.as_deref().cloned()),
        unknown_frames: client.map_or(0, |client| client.unknown_frames),
    }
}
