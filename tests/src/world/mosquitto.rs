//! Debian's mosquitto, as it is or with a folder of its own to keep things in.

use super::mqtt::Mqtt;
use super::mqtt::packet::Introduction;
use super::process::Process;
use super::{World, read};
use nix::sys::signal::Signal;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A broker that runs, or did.
pub struct Mosquitto {
    world: World,
    address: SocketAddr,
    folder: PathBuf,
    process: Process,
    starts: usize,
}

impl Mosquitto {
    /// Starts it with these lines of settings beside its address and folder, and waits until it listens.
    #[track_caller]
    pub fn start(world: &World, name: &str, settings: &str) -> Self {
        let folder = world.path(name);
        fs::create_dir_all(&folder).expect("the scratch directory can be written");
        let address = SocketAddr::new(world.address(), world.free_port());
        let place = folder.display();
        let (port, ip) = (address.port(), address.ip());
        let text = format!(
            "listener {port} {ip}\nallow_anonymous true\nuser root\nlog_dest stderr\nlog_type information\npersistence_location {place}/\n{settings}\n"
        );
        fs::write(folder.join("mosquitto.conf"), text).expect("the scratch directory can be written");
        let process = Self::process(world, &folder);
        let mut broker = Self { world: world.clone(), address, folder, process, starts: 0 };
        broker.until_it_listens();
        broker
    }

    /// Where it listens, after each of its starts.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of this name; an empty one is nobody's.
    ///
    /// # Panics
    /// It refuses.
    #[track_caller]
    pub fn connect(&self, who: &Introduction) -> Mqtt {
        Mqtt::connect(self.address, who).unwrap_or_else(|why| panic!("mosquitto: {why}\n{}", self.log()))
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        read(&self.folder.join("mosquitto.log"))
    }

    fn process(world: &World, folder: &Path) -> Process {
        let mut command = world.command("/usr/sbin/mosquitto");
        Process::start(world, command.arg("-c").arg(folder.join("mosquitto.conf")), &folder.join("mosquitto"))
    }

    /// Ends it by this signal.
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) {
        self.process.stop(signal);
    }

    /// Sends it a signal that does not end it.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Starts it again where it was.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.process = Self::process(&self.world, &self.folder);
        self.until_it_listens();
    }

    /// By its log: version 2.0.11 now and then resets a connection that comes while one that said nothing goes.
    #[track_caller]
    fn until_it_listens(&mut self) {
        self.starts += 1;
        self.world.until("mosquitto listens", || self.log().matches(" running\n").count() >= self.starts);
    }
}
