//! The three machines, and what they are to each other.

use crate::base::Base;
use crate::disk::Workshop;
use crate::machine::{Machine, Plan};
use crate::watch::Watch;
use crate::{network, player};
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

/// Where both clients see the server's disk.
pub const SHARE: &str = "/var/lib/mpd/MDrive";
/// From power-on to music, on a machine that is busy with other things too.
pub const BOOT: Duration = Duration::from_secs(300);
/// For everything else that takes its time.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Everybody.
pub struct House {
    /// The time line.
    pub watch: Watch,
    /// systemd, NFS, mpd with the database, fserver.
    pub server: Machine,
    /// fclient under systemd, the share by plain NFS; goes off with the server.
    pub attic: Machine,
    /// fclient under daemontools, the share by autofs; stays on.
    pub kitchen: Machine,
}

impl House {
    /// Builds it, from packages, at the addresses of the examples; all power is off.
    ///
    /// # Errors
    /// A command failed; its words are in the message.
    pub fn build(base: &Base, packages: &Path, to: &Path, watch: Watch) -> io::Result<Self> {
        network::lay()?;
        let workshop = Workshop::new(base, packages, to);
        let machine = |name: &'static str, kind: &str, number: u8| {
            let address = Ipv4Addr::new(192, 168, 2, number);
            let mut disks = vec![workshop.root(name, kind, address)?];
            if kind == "server" {
                disks.push(workshop.music()?);
            }
            Machine::new(Plan { name, address, disks }, base, &watch)
        };
        let server = machine("server", "server", 101)?;
        let (attic, kitchen) = (machine("attic", "client", 102)?, machine("kitchen", "client", 103)?);
        Ok(Self { server, attic, kitchen, watch })
    }

    /// The clients.
    pub fn clients(&self) -> [&Machine; 2] {
        [&self.attic, &self.kitchen]
    }

    /// Switches on what is off, and waits until both clients play; whether they do.
    ///
    /// # Errors
    /// QEMU does not start.
    pub fn all_play(&self) -> io::Result<bool> {
        for machine in [&self.server, &self.attic, &self.kitchen] {
            if !machine.is_on() {
                machine.power_on()?;
            }
        }
        let plays = |machine: &Machine| player::plays(machine, BOOT).is_some();
        Ok(self.clients().into_iter().all(plays))
    }

    /// The line of the share in a client's table of mounts, if a server's disk is mounted there.
    pub fn mount(&self, client: &Machine) -> Option<String> {
        let line = client.says(&format!("grep ' {SHARE} .* - nfs4 ' /proc/self/mountinfo"));
        (!line.is_empty()).then_some(line)
    }
}
