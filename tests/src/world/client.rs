//! `fclient`, before and after its start, alone or under tcpclient.

use super::actor::{Actor, Launch};
use super::old::TcpServer;
use super::place::Place;
use super::programs;
use super::server::Server;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

/// A hook for every event, under the names of the shipped ones; each only writes its event.
const HOOKS: [(&str, &str); 4] = [
    ("server-up/20-mount-share", ""),
    ("server-stopping/50-unmount-share", ""),
    ("server-lost/50-unmount-lazily", ""),
    ("power-off/90-power-off", "exec \"$POWER_OFF_COMMAND\""),
];

/// A client that is not started yet.
#[derive(Debug)]
pub struct ClientPlan {
    place: Place,
    launch: Launch,
    server: Option<SocketAddr>,
    ucspi: bool,
    flag: bool,
}

impl ClientPlan {
    pub(super) fn new(place: Place) -> Self {
        place.set("NAME", place.name());
        place.set("ANNOUNCE", "off");
        place.set("DOOR", &place.path("bus.sock").display().to_string());
        place.set("STATE_DIR", &place.path("state").display().to_string());
        place.set("HOOKS", &place.hooks().display().to_string());
        place.set("HOME", &place.home().display().to_string());
        place.set("POWER_OFF_COMMAND", &place.power_off_command().display().to_string());
        for (name, text) in HOOKS {
            place.hook(name, text);
        }
        let launch = Launch::new(programs::find("fclient"));
        Self { place, launch, server: None, ucspi: false, flag: true }
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

    /// Run it by tcpclient, with `--ucspi`.
    pub fn under_tcpclient(mut self) -> Self {
        self.ucspi = true;
        self
    }

    /// A variable, as a file of the variables directory.
    pub fn variable(self, name: &str, value: &str) -> Self {
        self.place.set(name, value);
        self
    }

    /// Its variables come some other way than by `--variables`, for instance by envdir.
    pub fn without_variables_flag(mut self) -> Self {
        self.flag = false;
        self
    }

    /// A hook; see [`Place::hook`].
    pub fn hook(self, name: &str, text: &str) -> Self {
        self.place.hook(name, text);
        self
    }

    /// An old script in `$HOME/.pistop`; see [`Place::old_script`].
    pub fn old_script(self, name: &str, text: &str) -> Self {
        self.place.old_script(name, text);
        self
    }

    /// None of the hooks that it got at first.
    pub fn without_hooks(self) -> Self {
        for (name, _) in HOOKS {
            let _ = fs::remove_file(self.place.hooks().join(name));
        }
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

    /// Its folder.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The command as it would be started, for a test that has to lay its descriptors itself.
    pub fn command(mut self) -> Command {
        self.complete();
        self.launch.command(&self.place)
    }

    /// Starts it.
    pub fn start(mut self) -> Actor {
        self.complete();
        Actor::start(self.place, self.launch)
    }

    fn complete(&mut self) {
        if self.flag {
            self.launch.argument("--variables");
            self.launch.argument(self.place.variables());
        }
        match (self.ucspi, self.server) {
            (true, Some(server)) => {
                self.launch.argument("--ucspi");
                self.launch.under_inside(&["tcpclient", "-HRl0", &server.ip().to_string(), &server.port().to_string()]);
            }
            (false, Some(server)) => {
                self.launch.argument("--server");
                self.launch.argument(server.to_string());
            }
            (_, None) => {}
        }
    }
}
