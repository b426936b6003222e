//! Network namespaces: machines with a cable between them that can be pulled. Needs root, or user namespaces.

use super::World;
use super::process::Process;
use nix::unistd::{Pid, geteuid};
use std::process::Command;

/// A network of its own, with loopback and nothing else at first. It lives as long as this value.
#[derive(Debug)]
pub struct Network {
    world: World,
    holder: Process,
}

impl Network {
    /// An empty one.
    #[track_caller]
    pub fn new(world: &World, name: &str) -> Self {
        let mut unshare = world.command("unshare");
        unshare.args(if geteuid().is_root() { &["-n"][..] } else { &["-Urn"] });
        unshare.args(["sh", "-c", "ip link set lo up && echo ready && exec sleep 3600"]);
        let holder = Process::start(world, &mut unshare, &world.path(&format!("network-{name}")));
        world.until("a network namespace is there (needs root, or user namespaces)", || {
            holder.output().contains("ready")
        });
        Self { world: world.clone(), holder }
    }

    /// The process that holds it.
    pub fn pid(&self) -> Pid {
        self.holder.pid()
    }

    /// What a program has to be run under to be in it.
    pub fn words(&self) -> Vec<String> {
        let own = if geteuid().is_root() { vec![] } else { vec!["-U", "--preserve-credentials"] };
        let pid = self.pid().to_string();
        let words = ["nsenter", "-t", &pid].into_iter().chain(own).chain(["-n"]);
        words.map(String::from).collect()
    }

    /// Runs `ip` in it, with arguments separated by blanks.
    #[track_caller]
    pub fn ip(&self, arguments: &str) {
        let words = self.words();
        let mut command: Command = self.world.command(&words[0]);
        let output =
            command.args(&words[1..]).arg("ip").args(arguments.split(' ')).output().expect("nsenter is installed");
        assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// A cable to another one: `eth0` here has 10.77.0.1, there 10.77.0.2.
    #[track_caller]
    pub fn connect(&self, other: &Network) {
        self.ip(&format!("link add eth0 type veth peer name eth0 netns {}", other.pid()));
        for (network, address) in [(self, "10.77.0.1"), (other, "10.77.0.2")] {
            network.ip(&format!("addr add {address}/24 dev eth0"));
            network.ip("link set eth0 up");
        }
    }
}
