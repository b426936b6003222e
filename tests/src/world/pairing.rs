//! Pairing as people do it: `pistop pair` on the server, `pistop pair --server` with its code on the machine.

use super::control::Said;
use super::place::Place;
use super::process::Process;
use super::programs;
use super::server::Server;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A `pistop pair` that waits on the server.
#[derive(Debug)]
pub struct Offer {
    process: Process,
    code: String,
}

impl Offer {
    /// What it shows.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What it has said so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(mut self) -> Said {
        let status = self.process.wait_exit();
        Said { status, output: self.process.output(), error: self.process.log() }
    }
}

impl Server {
    /// Begins to pair a machine, with more arguments of `pistop pair`.
    #[track_caller]
    pub fn offers(&self, arguments: &[&str]) -> Offer {
        let process = self.pistop_begins(&[&["pair", "--yes"], arguments].concat());
        let shown = || Some(process.output().split_once("The code is ")?.1.split_once(',')?.0.to_owned());
        self.place().world().until("a code is shown", || shown().is_some());
        let code = shown().expect("it has just been shown");
        Offer { process, code }
    }

    /// Pairs a machine with these roles, from the first command to the last.
    #[track_caller]
    pub fn pairs_as(&self, place: &Place, roles: &str) {
        let offer = self.offers(&["--roles", roles]);
        let said = join(place, self.address(), offer.code());
        assert!(said.status.success(), "{said:?}");
        let said = offer.ends();
        assert!(said.status.success() && said.output.contains(" has joined"), "{said:?}");
    }

    /// Pairs a machine with the usual roles.
    #[track_caller]
    pub fn pairs(&self, place: &Place) {
        self.pairs_as(place, "follow publish:*");
    }

    /// The list of paired machines.
    pub fn list(&self) -> PathBuf {
        self.place().path("authorized_peers")
    }
}

/// Has a machine join with a code.
#[track_caller]
pub fn join(place: &Place, server: SocketAddr, code: &str) -> Said {
    let mut command = place.world().command(programs::find("pistop"));
    command.args(["pair", "--server", &server.to_string(), "--code", code, "--name", place.name()]);
    command.arg("--state-dir").arg(place.path("state"));
    let mut process = Process::start(place.world(), &mut command, &place.path("pair"));
    let status = process.wait_exit();
    Said { status, output: process.output(), error: process.log() }
}
