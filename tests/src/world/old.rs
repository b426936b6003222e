//! The re-created old peers under Debian's real tcpserver and tcpclient, and tcpserver with anything else behind it.

use super::actor::{Actor, Launch};
use super::place::Place;
use super::raw::Raw;
use super::server::Server;
use super::{programs, read};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// tcpserver that is not started yet.
#[derive(Debug)]
pub struct TcpServerPlan {
    place: Place,
    options: Vec<String>,
    program: Vec<String>,
    environment: Vec<(String, String)>,
    under: Vec<String>,
    listen: Option<IpAddr>,
}

impl TcpServerPlan {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            options: Vec::new(),
            program: Vec::new(),
            environment: Vec::new(),
            under: Vec::new(),
            listen: None,
        }
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

    /// A program that executes the rest of its command line, such as `ip netns exec x`.
    pub fn under<W: AsRef<str>>(mut self, words: &[W]) -> Self {
        self.under.splice(..0, words.iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The address to listen on, instead of the world's own.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.parse().expect("an address"));
        self
    }

    /// Starts it and waits until it listens. Started again, it listens on the same port.
    #[track_caller]
    pub fn start(self) -> TcpServer {
        let address =
            SocketAddr::new(self.listen.unwrap_or(self.place.world().address()), self.place.world().free_port());
        let mut launch = Launch::new("tcpserver");
        launch.under(&self.under);
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

    /// Waits until an old client waits for the end, and a child has read all that it said. A server that ends earlier
    /// closes over unread bytes, which is a reset.
    #[track_caller]
    pub fn until_served(&self, client: &Actor) {
        let pid = client.pid();
        let what = format!("the old client {} waits, and all it said is read", client.place().name());
        let listening = || !self.children().is_empty() && self.children().into_iter().all(listens);
        let world = self.place().world();
        world.until(&what, || waits_for_data(pid) && listening() && unread(self.address) == 0);
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
    pub fn under<W: AsRef<str>>(mut self, words: &[W]) -> Self {
        self.under.splice(..0, words.iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// Its folder.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Starts it under tcpclient.
    #[track_caller]
    pub fn start(self) -> Actor {
        let server = self.server.expect("an old client needs a server: `.of(..)`, `.behind(..)` or `.at(..)`");
        let mut launch = Launch::new(programs::find("old_client"));
        launch.under(&["tcpclient", "-HRl0", &server.ip().to_string(), &server.port().to_string()]);
        launch.under(&self.under);
        launch.environment("HOME", &self.place.home().display().to_string());
        Actor::start(self.place, launch)
    }
}

/// Whether a process sits in poll(2), as the old peers do while nothing comes.
fn waits_for_data(pid: Pid) -> bool {
    let call = read(&PathBuf::from(format!("/proc/{pid}/syscall")));
    let number = call.split(' ').next().and_then(|word| word.parse::<i64>().ok());
    #[cfg(target_arch = "x86_64")]
    let polls = [nix::libc::SYS_poll, nix::libc::SYS_ppoll];
    #[cfg(not(target_arch = "x86_64"))]
    let polls = [nix::libc::SYS_ppoll];
    number.is_some_and(|number| polls.contains(&number))
}

/// Whether a process has its handler of SIGTERM in place.
fn listens(pid: Pid) -> bool {
    let status = read(&PathBuf::from(format!("/proc/{pid}/status")));
    let caught = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
    caught.is_some_and(|caught| caught & 1 << (Signal::SIGTERM as u64 - 1) != 0)
}

/// How many bytes lie unread in the sockets that were accepted at an address.
fn unread(address: SocketAddr) -> u64 {
    let SocketAddr::V4(v4) = address else { return 0 };
    let own = format!("{:08X}:{:04X}", u32::from_le_bytes(v4.ip().octets()), v4.port());
    let established = |line: &str| -> Option<u64> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (_, queue) = words.get(4)?.split_once(':')?;
        (words.get(1) == Some(&own.as_str()) && words.get(3) == Some(&"01"))
            .then(|| u64::from_str_radix(queue, 16).ok())?
    };
    read(&PathBuf::from("/proc/net/tcp")).lines().filter_map(established).sum()
}
