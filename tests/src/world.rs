//! A scratch directory with everything in it, and the processes that live there.
//!
//! ```no_run
//! let world = tests::World::new();
//! let attic = world.server("attic").start();
//! let kitchen = world.client("kitchen").of(&attic).variable("POWER_OFF", "1").start();
//! world.until("the kitchen is up", || kitchen.has("server-up/20-mount-share"));
//! ```
//!
//! What always holds: nothing of the caller's environment reaches a program; no port is fixed; each world has a loopback
//! address of its own, on which nobody else listens, so a server that restarts finds its port free; nothing can power a
//! machine off, [`place::Place::powered_off`] counts instead; and when a world ends, everything that was started in it,
//! and everything that those processes started, is ended too, by process id, also after a panic.

pub mod actor;
pub mod between;
pub mod client;
pub mod control;
pub mod door;
pub mod ears;
pub mod mosquitto;
pub mod mqtt;
pub mod network;
pub mod old;
pub mod pairing;
pub mod pipe;
pub mod place;
pub mod process;
pub mod programs;
pub mod raw;
pub mod recorder;
pub mod server;
pub mod service;
pub mod services;
pub mod stored;
pub mod uploads;

use client::ClientPlan;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use old::{OldClientPlan, TcpServerPlan};
use place::Place;
use server::ServerPlan;
use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The variable that marks every process of a world, down to the last grandchild.
pub const MARK: &str = "PISTOP_WORLD";
/// Programs that no test may ever reach, in front of the real ones in PATH.
const FORBIDDEN: [&str; 6] = ["shutdown", "poweroff", "halt", "reboot", "systemctl", "init"];

/// A stage; clones are the same stage.
#[derive(Clone, Debug)]
pub struct World(Arc<Ground>);

#[derive(Debug)]
struct Ground {
    scratch: TempDir,
    address: Ipv4Addr,
    logs_told: AtomicBool,
}

impl Default for World {
    fn default() -> Self {
        World::new()
    }
}

impl World {
    /// An empty one.
    pub fn new() -> Self {
        let scratch = tempfile::Builder::new().prefix("pistop-").tempdir().expect("a scratch directory in $TMPDIR");
        let world = World(Arc::new(Ground { scratch, address: own_address(), logs_told: AtomicBool::new(false) }));
        for name in FORBIDDEN {
            let shield = format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\nexit 1\n", world.forbidden().display());
            executable(&world.path("bin").join(name), &shield);
        }
        // What hooks want of a supervisor or a display goes nowhere, unless a test puts something else in its place.
        executable(&world.path("bin/pistop"), "#!/bin/sh\n");
        world
    }

    /// A path in the scratch directory; its parent exists.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.0.scratch.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path)).expect("the scratch directory can be written");
        path
    }

    /// The loopback address that belongs to this world.
    pub fn address(&self) -> IpAddr {
        self.0.address.into()
    }

    /// A port of [`World::address`] that is free, and stays so, since nobody else uses the address.
    pub fn free_port(&self) -> u16 {
        let listener = TcpListener::bind((self.address(), 0)).expect("loopback is there");
        listener.local_addr().expect("a bound socket has an address").port()
    }

    /// A new server, not started yet.
    pub fn server(&self, name: &str) -> ServerPlan {
        ServerPlan::new(Place::new(self, name))
    }

    /// A new client, not started yet. It has a hook for every event, under the names of the shipped ones.
    pub fn client(&self, name: &str) -> ClientPlan {
        ClientPlan::new(Place::new(self, name))
    }

    /// The old server under tcpserver.
    pub fn old_server(&self, name: &str) -> TcpServerPlan {
        self.tcpserver(name).program(programs::find("old_server"), &[])
    }

    /// tcpserver, with a program of your own behind it.
    pub fn tcpserver(&self, name: &str) -> TcpServerPlan {
        TcpServerPlan::new(Place::new(self, name))
    }

    /// The old client under tcpclient.
    pub fn old_client(&self, name: &str) -> OldClientPlan {
        OldClientPlan::new(Place::new(self, name))
    }

    /// Something that hooks can wait for until a test opens it.
    pub fn gate(&self, name: &str) -> Gate {
        Gate(self.path(&format!("gates/{name}")))
    }

    /// A command with the environment of this world and nothing else.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs(self.environment()).current_dir("/");
        command
    }

    /// What every program of this world gets.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", self.path("bin").display());
        let mark = self.0.scratch.path().display().to_string();
        [("PATH".to_owned(), path), (MARK.to_owned(), mark)].into()
    }

    /// Waits until something is so, for at most [`PATIENCE`]; after that, panics with all logs.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.until_within(PATIENCE, what, condition);
    }

    /// The same with a patience of one's own.
    #[track_caller]
    pub fn until_within(&self, patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
        let (start, mut pause) = (Instant::now(), Duration::from_millis(2));
        while !condition() {
            if start.elapsed() > patience {
                self.0.logs_told.store(true, Ordering::Relaxed);
                panic!("waited {:.0} s in vain for this: {what}\n{}", patience.as_secs_f64(), self.logs());
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Looks on for a while: something must be so all the time. For what must *not* happen.
    #[track_caller]
    pub fn throughout(&self, span: Duration, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        while start.elapsed() < span {
            assert!(condition(), "after {:.1} s this no longer holds: {what}", start.elapsed().as_secs_f64());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Everything that was logged, by everybody.
    pub fn logs(&self) -> String {
        logs(self.0.scratch.path())
    }

    /// The command lines of all processes that live in this world, words separated by blanks.
    pub fn processes(&self) -> Vec<String> {
        let pids = marked(&self.0.scratch.path().display().to_string());
        let words = pids.into_iter().map(|pid| read(Path::new(&format!("/proc/{pid}/cmdline"))));
        words.map(|words| words.replace('\0', " ").trim_end().to_owned()).collect()
    }

    fn forbidden(&self) -> PathBuf {
        self.path("forbidden.log")
    }
}

/// Holds up hooks until a test lets them go on.
#[derive(Clone, Debug)]
pub struct Gate(PathBuf);

impl Gate {
    /// The text for a hook that waits here.
    pub fn wait(&self) -> String {
        format!("while [ ! -e '{}' ]; do sleep 0.02; done", self.0.display())
    }

    /// Whoever waits goes on.
    pub fn open(&self) {
        fs::write(&self.0, "").expect("the scratch directory can be written");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        end_marked(&self.scratch.path().display().to_string());
        if thread::panicking() {
            if !self.logs_told.load(Ordering::Relaxed) {
                eprintln!("{}", logs(self.scratch.path()));
            }
            return;
        }
        let forbidden = read(&self.scratch.path().join("forbidden.log"));
        assert!(forbidden.is_empty(), "a program tried to reach the system itself: {forbidden}");
    }
}

/// Ends every process that carries the mark, until none is left: one that forks meanwhile is found the next time.
fn end_marked(mark: &str) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let left = marked(mark);
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _ = kill(pid, Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(5));
    }
    eprintln!("processes of {mark} do not die: {:?}", marked(mark));
}

/// The living processes that were started, by whomever, with that mark in their environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}").into_bytes();
    let carries = |environment: &[u8]| environment.split(|&byte| byte == 0).any(|variable| variable == wanted);
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| carries(&environment)))
        .map(Pid::from_raw)
        .collect()
}

/// 127.x.y.z from the process id and a counter, so that worlds that live at the same time do not share one.
fn own_address() -> Ipv4Addr {
    static WORLDS: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id() % 32_768, WORLDS.fetch_add(1, Ordering::Relaxed) % 127);
    let [_, high, middle, low] = (process << 8 | (count + 1) << 1).to_be_bytes();
    Ipv4Addr::new(127, high | 0x80, middle, low)
}

/// A text file, or nothing if it is not there.
pub fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// Writes a program. The last step is another process's: a file that this one has open for writing may be inherited by
/// whatever another thread starts in that moment, and nobody can run it until then ("text file busy").
pub fn executable(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap_or(path)).expect("the scratch directory can be written");
    let draft = path.with_extension("draft~");
    fs::write(&draft, text).expect("the scratch directory can be written");
    let status = Command::new("install").arg("-m755").arg(&draft).arg(path).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot write {}", path.display());
    fs::remove_file(draft).expect("our own file");
}

/// All logs and events below a directory, each under its name.
fn logs(directory: &Path) -> String {
    let mut files = Vec::new();
    find_logs(directory, &mut files);
    files.sort();
    let name = |path: &PathBuf| path.strip_prefix(directory).unwrap_or(path).display().to_string();
    files.iter().map(|path| format!("----- {}\n{}", name(path), read(path))).collect()
}

fn find_logs(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_log = path.extension().is_some_and(|end| end == "log")
            || ["events", "current"].map(Some).contains(&entry.file_name().to_str());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => find_logs(&path, found),
            Ok(kind) if kind.is_file() && is_log => found.push(path),
            _ => {}
        }
    }
}
