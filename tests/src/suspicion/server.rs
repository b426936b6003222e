//! The server: it answers the hello, beats once a second, answers probes, and expires whoever it has not heard for its
//! lease. Its process may end and come back while its machine runs on.

use super::world::{End, Event, Word, World};
use super::{Time, seconds};
use protocol::{Epoch, ShutdownId};

const BEAT_EVERY: f64 = 1.0;
/// `client-lease` of fserver.
const LEASE: f64 = 15.0;

pub struct Server {
    pub epoch: Epoch,
    /// The process runs; the machine is the air's business.
    pub runs: bool,
    /// The announcement of a restart.
    pub restart: Option<ShutdownId>,
    /// The link that its machine knows, and whether its process still serves it.
    link: Option<u32>,
    serves: bool,
    heard: Time,
}

impl Server {
    pub fn new() -> Self {
        Self { epoch: Epoch(1), runs: true, restart: None, link: None, serves: false, heard: 0 }
    }

    pub fn knows(&self, link: u32) -> bool {
        self.link == Some(link)
    }

    /// A machine that was off knows no links.
    pub fn boots(&mut self) {
        self.link = None;
        self.starts();
    }

    /// A new run of the process.
    pub fn starts(&mut self) {
        (self.epoch, self.runs, self.restart, self.serves) = (Epoch(self.epoch.0 + 1), true, None, false);
    }
}

impl World {
    pub fn server_accepts(&mut self, link: u32) {
        (self.server.link, self.server.serves, self.server.heard) = (Some(link), true, self.now);
        self.say(End::Server, Word::Greeting);
    }

    pub fn server_hears(&mut self, word: Word) {
        self.server.heard = self.now;
        if !self.server.serves {
            return;
        }
        match word {
            Word::HelloLine(_) => self.say(End::Server, Word::HelloLine(self.server.epoch)),
            Word::HelloFrame => {
                if let Some(id) = self.server.restart {
                    self.say(End::Server, Word::Prepare(id));
                }
                self.beat(self.server.link.unwrap_or_default());
            }
            Word::Greeting | Word::Echo | Word::Beat | Word::Prepare(_) | Word::End => (),
        }
    }

    pub fn beat(&mut self, link: u32) {
        if !self.server.serves || !self.server.knows(link) || !self.air.server_on {
            return;
        }
        if self.now - self.server.heard > seconds(LEASE) {
            return self.server_closes();
        }
        self.say(End::Server, Word::Beat);
        self.at(self.now + seconds(BEAT_EVERY), Event::Beat(link));
    }

    /// The process lets go of its link; its machine still delivers what was said.
    pub fn server_closes(&mut self) {
        if self.server.serves {
            self.say(End::Server, Word::End);
        }
        self.server.serves = false;
    }

    pub fn probed(&mut self) {
        if self.server.runs && self.air.server_on {
            self.carry(Event::Here(self.server.epoch));
        }
    }
}
