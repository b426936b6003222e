//! `fserver`, before and after its start, and `pistop`, which asks it.

use super::actor::{Actor, Launch};
use super::place::Place;
use super::process::Process;
use super::raw::Raw;
use super::{programs, read};
use serde_json::Value;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};

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
        place.set("CONTROL", &control(&place).display().to_string());
        place.set("STATE_DIR", &place.path("state").display().to_string());
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
    pub fn under(mut self, words: &[&str]) -> Self {
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
        Server { actor, address }
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

fn control(place: &Place) -> PathBuf {
    place.path("control.sock")
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
    address: SocketAddr,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its local socket.
    pub fn control(&self) -> PathBuf {
        control(self.place())
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
        let mut process = self.pistop_begins(arguments);
        let status = process.wait_exit();
        Said { status, output: process.output(), error: process.log() }
    }

    /// Starts `pistop`, for instance a shutdown that takes its time.
    pub fn pistop_begins(&self, arguments: &[&str]) -> Process {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let path = self.place().path(format!("pistop-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
        let world = self.place().world();
        Process::start(world, pistop(self.place()).args(arguments), &path)
    }

    /// What `pistop status --json` says.
    #[track_caller]
    pub fn status(&self) -> Value {
        let said = self.pistop(&["status", "--json"]);
        assert!(said.status.success(), "pistop status failed: {}", said.error);
        serde_json::from_str(&said.output).unwrap_or_else(|why| panic!("no JSON ({why}): {}", said.output))
    }

    /// The peers in that status.
    #[track_caller]
    pub fn peers(&self) -> Vec<Value> {
        self.status()["peers"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until that many peers are here, of that kind: `new`, `old` or `unclassified`.
    #[track_caller]
    pub fn until_peers(&self, count: usize, kind: &str) {
        let what = format!("{} has {count} {kind} peers", self.place().name());
        let of_kind = || self.peers().iter().filter(|peer| peer["kind"] == kind).count();
        self.place().world().until(&what, || of_kind() == count);
    }

    /// The memory that it holds alone, in KiB, as the kernel shares it out (PSS).
    pub fn memory(&self) -> u64 {
        let account = read(&PathBuf::from(format!("/proc/{}/smaps_rollup", self.pid())));
        let line = account.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    }
}

fn pistop(place: &Place) -> Command {
    let mut command = place.world().command(programs::find("pistop"));
    command.arg("--control").arg(control(place));
    command
}

/// What a command that has ended said.
#[derive(Debug, Clone)]
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// Its standard error.
    pub error: String,
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
