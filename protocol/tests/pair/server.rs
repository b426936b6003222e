//! The other side of the pair: a server that does what the story says, and otherwise what fserver (or, for an old one,
//! pistopserver) does by itself: greet, answer the hello, announce a shutdown to whoever comes, beat, answer probes.

use super::{Event, Pair, Wire, name, seconds};
use protocol::cause::Cause;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Beat, Message, Prepare};
use protocol::session::{Heard, Session};
use protocol::{Epoch, ShutdownId, frame};
use std::time::Duration;

const BEAT_EVERY: Duration = Duration::from_secs(1);

pub struct Server {
    pub running: bool,
    epoch: Option<Epoch>,
    peer: Option<(u32, Session<ClientLine>)>,
    announced: Option<Prepare>,
    beats: u64,
}

impl Server {
    /// A run of a new server, or an old one.
    pub fn new(epoch: Option<Epoch>) -> Self {
        Self { running: true, epoch, peer: None, announced: None, beats: 0 }
    }
}

impl Pair {
    pub(super) fn server_accepts(&mut self, link: u32) {
        self.server.peer = Some((link, Session::default()));
        if self.server.epoch.is_some() {
            self.server_says_line(&ServerLine::Greeting("10.0.0.2".into()));
        }
    }

    pub(super) fn server_reads(&mut self, link: u32, bytes: &[u8]) {
        let Some((peer, session)) = self.server.peer.as_mut().filter(|(peer, _)| *peer == link) else { return };
        let (link, mut heard) = (*peer, Vec::new());
        session.receive(bytes, |said| heard.push(said)).expect("the client speaks well");
        heard.into_iter().for_each(|said| self.server_is_told(link, said));
    }

    fn server_is_told(&mut self, link: u32, said: Heard<ClientLine>) {
        let Some(epoch) = self.server.epoch.filter(|_| self.server.running) else { return };
        match said {
            Heard::Line(ClientLine::Hello(_)) => {
                self.server_says_line(&ServerLine::Hello { server: name("attic"), epoch });
                self.server_says(&Message::Hello(super::hello()));
            }
            Heard::Message(Message::Hello(_)) => {
                if let Some(prepare) = self.server.announced.clone() {
                    self.server_says(&Message::Prepare(prepare));
                }
                self.at(self.now, Event::Beat(link));
            }
            Heard::Line(_) | Heard::Message(_) | Heard::Unknown(_) => (),
        }
    }

    pub(super) fn server_beats(&mut self, link: u32) {
        if !self.server.running || self.server.peer.as_ref().is_none_or(|(peer, _)| *peer != link) {
            return;
        }
        self.server.beats += 1;
        self.server_says(&Message::Beat(Beat { number: self.server.beats, next_ms: 1000 }));
        self.at(self.now + BEAT_EVERY, Event::Beat(link));
    }

    pub(super) fn server_is_probed(&mut self) {
        if let Some(epoch) = self.server.epoch.filter(|_| self.server.running) {
            self.send(Event::Here(epoch));
        }
    }

    fn server_says_line(&mut self, line: &ServerLine) {
        self.server_sends(Wire::Bytes(line.encode()));
    }

    pub fn server_says(&mut self, message: &Message) {
        self.server_sends(Wire::Bytes(frame::encode(message)));
    }

    /// Exactly this, on the link as it is.
    pub fn server_sends(&mut self, wire: Wire) {
        if let Some((link, _)) = self.server.peer {
            self.send(Event::ToClient(link, wire));
        }
    }

    /// SIGTERM to an old server: both lines in one write, then the end (defect 1).
    pub fn old_server_stops(&mut self) {
        self.server_sends(Wire::Bytes(b"Connection from 10.0.0.2\nshutdown\n".to_vec()));
        self.server_closes();
    }

    /// The process is gone, and its kernel closes the link cleanly.
    pub fn server_closes(&mut self) {
        self.server_sends(Wire::Fin);
        self.power_cut();
    }

    /// The process is gone, and its kernel resets the link.
    pub fn server_resets(&mut self) {
        self.server_sends(Wire::Reset);
        self.power_cut();
    }

    /// The whole machine is gone, and says nothing.
    pub fn power_cut(&mut self) {
        self.held.clear();
        self.server.running = false;
        self.server.peer = None;
    }

    /// A server comes up: a run of a new one, or an old one.
    pub fn server_starts(&mut self, epoch: Option<u64>) {
        self.server = Server::new(epoch.map(Epoch));
    }

    /// The running server announces that it goes, to its client and to whoever comes.
    pub fn server_announces(&mut self, cause: Cause, within: f64) -> ShutdownId {
        let epoch = self.server.epoch.expect("only new servers announce");
        let id = ShutdownId { epoch, number: 1 };
        let prepare = Prepare { id, cause, within: seconds(within), reason: "as the story says".into(), drill: false };
        self.server.announced = Some(prepare.clone());
        self.server_says(&Message::Prepare(prepare));
        id
    }

    /// It takes the announcement back.
    pub fn server_cancels(&mut self, id: ShutdownId) {
        self.server.announced = None;
        self.server_says(&Message::Cancel(id));
    }
}
