//! The re-created old peers under Debian's real tcpserver and tcpclient, and tcpserver with anything else behind it.

use super::actor::{Actor, Launch};
use super::place::Place;
use super::programs;
use super::raw::Raw;
use super::server::Server;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// tcpserver that is not started yet.
#[derive(Debug)]
pub struct TcpServerPlan {
    place: Place,
    options: Vec<String>,
    program: Vec<String>,
    environment: Vec<(String, String)>,
}

impl TcpServerPlan {
    pub(super) fn new(place: Place) -> Self {
        Self { place, options: Vec::new(), program: Vec::new(), environment: Vec::new() }
    }

    /// What it runs for each connection.
    pub fn program(mut self, program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let program = program.into().display().to_string();
        self.program = std::iter::once(program).chain(arguments.iter().map(|&word| word.to_owned())).collect();
        self
    }

    /// A whole command line to run for each connection, as [`super::server::ServerPlan::words`] gives it.
    pub fn words(mut self, words: Vec<String>) -> Self {
        self.program = words;
        self
    }

    /// An option of tcpserver, as in `-c2`.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    /// A variable of the environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it listens. Started again, it listens on the same port.
    #[track_caller]
    pub fn start(self) -> TcpServer {
        let address = SocketAddr::new(self.place.world().address(), self.place.world().free_port());
        let mut launch = Launch::new("tcpserver");
        launch.argument("-v1HRl0");
        self.options.iter().for_each(|option| launch.argument(option));
        launch.argument(address.ip().to_string());
        launch.argument(address.port().to_string());
        self.program.iter().for_each(|word| launch.argument(word));
        self.environment.iter().for_each(|(name, value)| launch.environment(name, value));
        let actor = Actor::start(self.place, launch);
        actor.place().world().until("tcpserver listens", || actor.output().contains('\n'));
        TcpServer { actor, address }
    }
}

/// tcpserver that was started.
#[derive(Debug)]
pub struct TcpServer {
    actor: Actor,
    address: SocketAddr,
}

impl TcpServer {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A raw connection to it.
    #[track_caller]
    pub fn connect(&self) -> Raw {
        Raw::connect(self.place().world(), self.address)
    }

    /// The children that live, in the order of their connections.
    pub fn children(&self) -> Vec<Pid> {
        let log = self.log();
        let after = |mark: &str| {
            let lines = log.lines().filter_map(move |line| line.strip_prefix("tcpserver: ")?.strip_prefix(mark));
            lines.filter_map(|rest| rest.split(' ').next()?.parse::<i32>().ok()).collect::<Vec<_>>()
        };
        let ended = after("end ");
        after("pid ").into_iter().filter(|pid| !ended.contains(pid)).map(Pid::from_raw).collect()
    }

    /// Waits until that many children live.
    #[track_caller]
    pub fn until_children(&self, count: usize) {
        let what = format!("{count} children of tcpserver {} live", self.place().name());
        self.place().world().until(&what, || self.children().len() == count);
    }

    /// Sends a signal to every child, as `killall` does.
    pub fn signal_children(&self, signal: Signal) {
        for child in self.children() {
            let _ = kill(child, signal);
        }
    }
}

impl Deref for TcpServer {
    type Target = Actor;
    fn deref(&self) -> &Actor {
        &self.actor
    }
}

impl DerefMut for TcpServer {
    fn deref_mut(&mut self) -> &mut Actor {
        &mut self.actor
    }
}

/// An old client that is not started yet.
#[derive(Debug)]
pub struct OldClientPlan {
    place: Place,
    server: Option<SocketAddr>,
    under: Vec<String>,
}

impl OldClientPlan {
    pub(super) fn new(place: Place) -> Self {
        place.old_script("pistopstart", "");
        Self { place, server: None, under: Vec::new() }
    }

    /// Which server it follows.
    pub fn of(self, server: &Server) -> Self {
        self.at(server.address())
    }

    /// Which server it follows, behind tcpserver.
    pub fn behind(self, server: &TcpServer) -> Self {
        self.at(server.address())
    }

    /// Which address it follows.
    pub fn at(mut self, server: SocketAddr) -> Self {
        self.server = Some(server);
        self
    }

    /// Its script, called with `start` and `stop`; its event is `pistopstart start`.
    pub fn pistopstart(self, text: &str) -> Self {
        self.place.old_script("pistopstart", text);
        self
    }

    /// A program that executes the rest of its command line, such as `ip netns exec x`.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under.splice(..0, words.iter().map(|&word| word.to_owned()));
        self
    }

    /// Starts it under tcpclient.
    #[track_caller]
    pub fn start(self) -> Actor {
        let server = self.server.expect("an old client needs a server: `.of(..)`, `.behind(..)` or `.at(..)`");
        let mut launch = Launch::new(programs::find("old_client"));
        launch.under(&["tcpclient", "-HRl0", &server.ip().to_string(), &server.port().to_string()]);
        launch.under(&self.under.iter().map(String::as_str).collect::<Vec<_>>());
        launch.environment("HOME", &self.place.home().display().to_string());
        Actor::start(self.place, launch)
    }
}
