//! Networks of our own. A namespace has no name and lives as long as its descriptor and the processes in it, so nothing
//! is left behind, whatever becomes of us.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::process::Command;

/// A network namespace.
pub struct Network(File);

impl Network {
    /// A new one, in which only the loopback is up.
    pub fn new() -> io::Result<Self> {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        };
        let network = std::thread::scope(|scope| scope.spawn(make).join()).map_err(|_| panicked())??;
        let network = Self(network);
        network.ip("link set lo up")?;
        Ok(network)
    }

    /// Does something in it; what is started there stays there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let work = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| panicked())?
    }

    /// Runs `ip` in it, with these words as arguments.
    pub fn ip(&self, words: &str) -> io::Result<()> {
        let done = self.inside(|| Command::new("ip").args(words.split(' ')).output())?;
        let why = || io::Error::other(format!("ip {words}: {}", String::from_utf8_lossy(&done.stderr).trim()));
        if done.status.success() { Ok(()) } else { Err(why()) }
    }

    /// Lays a cable to another one; each end gets its name.
    pub fn connect(&self, here: &str, other: &Network, there: &str) -> io::Result<()> {
        let path = format!("/proc/{}/fd/{}", std::process::id(), other.0.as_raw_fd());
        self.ip(&format!("link add {here} type veth peer name {there} netns {path}"))
    }
}

fn panicked() -> io::Error {
    io::Error::other("a thread in a network namespace panicked")
}
