//! One network namespace and one mount namespace a machine, held open by a process that sleeps, one for the wire between them, a bridge.
//! Pulling a machine's cable is setting its
//! port of the bridge down: that machine loses its carrier, all others keep theirs.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use tests::World;
use tests::world::process::Process;
use tests::world::read;

/// Longer than any evening; should the demo be killed, even this goes away.
const SLEEP: &str = "600";

/// The network; it goes away when it is dropped.
pub struct Network {
    world: World,
    prefix: String,
    machines: Vec<(String, Process)>,
}

impl Network {
    /// A wire without machines.
    pub fn new(world: &World) -> Self {
        let prefix = format!("pistop{}", std::process::id());
        let network = Self { world: world.clone(), prefix, machines: Vec::new() };
        ip(&["netns", "add", &network.wire()]);
        ip(&["-n", &network.wire(), "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &network.wire(), "link", "set", "br0", "up"]);
        network
    }

    /// Plugs a machine in; its address.
    pub fn add(&mut self, machine: &str) -> Ipv4Addr {
        let namespace = self.namespace(machine);
        let address = Ipv4Addr::new(10, 77, 0, self.machines.len() as u8 + 1);
        ip(&["netns", "add", &namespace]);
        self.machines.push((machine.into(), self.hold(machine)));
        let port = port(machine);
        ip(&["-n", &self.wire(), "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace]);
        ip(&["-n", &self.wire(), "link", "set", &port, "master", "br0", "up"]);
        ip(&["-n", &namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        ip(&["-n", &namespace, "link", "set", "eth0", "up"]);
        address
    }

    /// A process that keeps the machine's namespaces, and with them its mounts, while its programs come and go.
    fn hold(&self, machine: &str) -> Process {
        let namespace = self.namespace(machine);
        let mut command = self.world.command("ip");
        command.args(["netns", "exec", &namespace, "unshare", "--mount", "--propagation", "private", "sleep", SLEEP]);
        let holder = Process::start(&self.world, &mut command, &self.world.path(&format!("{machine}/holder")));
        let comm = format!("/proc/{}/comm", holder.pid());
        self.world.until("the namespaces are made", || read(Path::new(&comm)).trim() == "sleep");
        holder
    }

    /// The command that runs another one on this machine.
    pub fn on(&self, machine: &str) -> Vec<String> {
        let target = self.pid(machine).to_string();
        ["nsenter", "--target", &target, "--net", "--mount", "--"].map(String::from).to_vec()
    }

    /// A process on this machine.
    pub fn pid(&self, machine: &str) -> i32 {
        let holder = self.machines.iter().find(|(name, _)| name == machine).map(|(_, holder)| holder);
        holder.expect("a machine of this network").pid().as_raw()
    }

    /// Pulls a machine's cable.
    pub fn cut(&self, machine: &str) {
        ip(&["-n", &self.wire(), "link", "set", &port(machine), "down"]);
    }

    /// Plugs it in again.
    pub fn mend(&self, machine: &str) {
        ip(&["-n", &self.wire(), "link", "set", &port(machine), "up"]);
    }

    fn wire(&self) -> String {
        self.namespace("wire")
    }

    fn namespace(&self, machine: &str) -> String {
        format!("{}-{machine}", self.prefix)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for machine in self.machines.iter().map(|(name, _)| name.as_str()).chain(["wire"]) {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(machine)]).status();
        }
    }
}

fn port(machine: &str) -> String {
    format!("to-{machine}")
}

fn ip(words: &[&str]) {
    let status = Command::new("ip").args(words).status().expect("`ip` is there: install iproute2");
    assert!(status.success(), "`ip {}` failed", words.join(" "));
}
