//! `fserver`, before and after its start, and `pistop`, which asks it.

use super::actor::{Actor, Launch};
use super::control::{Control, Said};
use super::place::Place;
use super::process::Process;
use super::raw::Raw;
use super::service::Service;
use super::{programs, read};
use serde_json::Value;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// A server that is not started yet.
#[derive(Debug)]
pub struct ServerPlan {
    place: Place,
    launch: Launch,
    listen: Option<String>,
}

impl ServerPlan {
    pub(super) fn new(place: Place) -> Self {
        place.set("NAME", place.name());
        place.set("ANNOUNCE", "off");
        place.set("MACHINE_LOCK", "off");
        place.set("CONTROL", &Control::of(&place).path().display().to_string());
        place.set("DOOR", &place.path("bus.sock").display().to_string());
        place.set("STATE_DIR", &place.path("state").display().to_string());
        place.set("AUTHORIZED_PEERS", &place.path("authorized_peers").display().to_string());
        place.set("HOOKS", &place.hooks().display().to_string());
        place.set("HOME", &place.home().display().to_string());
        let mut launch = Launch::new(programs::find("fserver"));
        launch.argument("--variables");
        launch.argument(place.variables());
        Self { place, launch, listen: None }
    }

    /// A variable, as a file of the variables directory.
    pub fn variable(self, name: &str, value: &str) -> Self {
        self.place.set(name, value);
        self
    }

    /// A hook; see [`Place::hook`].
    pub fn hook(self, name: &str, text: &str) -> Self {
        self.place.hook(name, text);
        self
    }

    /// One more argument.
    pub fn argument(mut self, argument: &str) -> Self {
        self.launch.argument(argument);
        self
    }

    /// A variable of the process's environment.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.launch.environment(name, value);
        self
    }

    /// A program that executes the rest of its command line, such as `ip netns exec x`.
    pub fn under<W: AsRef<str>>(mut self, words: &[W]) -> Self {
        self.launch.under(words);
        self
    }

    /// Where to listen, instead of a free port on the world's own address.
    pub fn listen(mut self, address: &str) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// Its folder.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Program and arguments without `--listen`, for a service's `run` and for tcpserver.
    pub fn words(&self) -> Vec<String> {
        self.launch.words().iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// Starts it and waits until it listens. Started again, it listens on the same port.
    #[track_caller]
    pub fn start(mut self) -> Server {
        let listen = self.listen.clone().unwrap_or_else(|| format!("{}:0", self.place.world().address()));
        let mut first = self.launch.clone();
        first.argument("--listen");
        first.argument(&listen);
        let mut actor = Actor::start(self.place, first);
        actor.until_log("listening on ");
        let address = listening(&actor.log()).expect("the log line holds an address");
        self.launch.argument("--listen");
        self.launch.argument(address.to_string());
        *actor.launch() = self.launch;
        Server { control: Control::of(actor.place()), actor, address }
    }

    /// Starts it as a service of daemontools, and waits until it listens.
    #[track_caller]
    pub fn start_as_service(self) -> Service {
        Service::start(&self)
    }

    /// Starts it where it is expected not to get as far as listening.
    pub fn start_to_fail(mut self) -> Actor {
        if let Some(listen) = &self.listen {
            self.launch.argument("--listen");
            self.launch.argument(listen);
        }
        Actor::start(self.place, self.launch)
    }
}

/// The first address that a log says it listens on.
pub fn listening(log: &str) -> Option<SocketAddr> {
    let (_, rest) = log.split_once("listening on ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A server that was started.
#[derive(Debug)]
pub struct Server {
    actor: Actor,
    control: Control,
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its local socket.
    pub fn control(&self) -> PathBuf {
        self.control.path()
    }

    /// Starts it again where it was, and waits until it listens.
    #[track_caller]
    pub fn start_again(&mut self) {
        let before = self.log().matches("listening on ").count();
        self.actor.start_again();
        let what = format!("{} listens again", self.place().name());
        self.place().world().until(&what, || self.log().matches("listening on ").count() > before);
    }

    /// A raw connection to it.
    #[track_caller]
    pub fn connect(&self) -> Raw {
        Raw::connect(self.place().world(), self.address)
    }

    /// Runs `pistop` to its end.
    #[track_caller]
    pub fn pistop(&self, arguments: &[&str]) -> Said {
        self.control.pistop(arguments)
    }

    /// Starts `pistop`, for instance a shutdown that takes its time.
    pub fn pistop_begins(&self, arguments: &[&str]) -> Process {
        self.control.pistop_begins(arguments)
    }

    /// What `pistop status --json` says.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.control.status()
    }

    /// The peers in that status.
    #[track_caller]
    pub fn peers(&self) -> Vec<Value> {
        self.control.peers()
    }

    /// Waits until that many peers are here, of that kind: `new`, `old` or `unclassified`.
    #[track_caller]
    pub fn until_peers(&self, count: usize, kind: &str) {
        self.control.until_peers(count, kind);
    }

    /// How often it has gone to sleep so far; once that has grown, it has woken up and done what there was to do.
    pub fn sleeps(&self) -> u64 {
        let status = read(&PathBuf::from(format!("/proc/{}/status", self.pid())));
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    }

    /// The memory that it holds alone, in KiB, as the kernel shares it out (PSS).
    pub fn memory(&self) -> u64 {
        let account = read(&PathBuf::from(format!("/proc/{}/smaps_rollup", self.pid())));
        let line = account.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

impl Deref for Server {
    type Target = Actor;
    fn deref(&self) -> &Actor {
        &self.actor
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Actor {
        &mut self.actor
    }
}
