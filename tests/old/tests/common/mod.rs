//! The stage for the old programs: Debian's tcpserver and tcpclient on loopback, port 0, with every wait limited.

#![allow(dead_code, missing_docs, clippy::unwrap_used)] // each test file uses a part; a test may unwrap

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;

pub const OLD_SERVER: &str = env!("CARGO_BIN_EXE_old_server");
pub const OLD_CLIENT: &str = env!("CARGO_BIN_EXE_old_client");
const PATIENCE: Duration = Duration::from_secs(10);

pub fn hook(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/hooks", name].iter().collect()
}

/// A stream that is waited for, never longer than `PATIENCE`.
pub struct Transcript<S> {
    pub stream: S,
    seen: Vec<u8>,
}

impl<S: Read + AsFd> Transcript<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, seen: Vec::new() }
    }

    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(text) {
            assert!(self.grow(deadline), "{text:?} did not come; this did: {:?}", self.text());
        }
        self.text()
    }

    /// For what must not come: looks for half a second.
    pub fn stays_without(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + Duration::from_millis(500);
        while !self.text().contains(text) {
            if !self.ready(deadline) {
                return true;
            }
            self.grow(deadline);
        }
        false
    }

    pub fn wait_for_end(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while self.grow(deadline) {}
        self.text()
    }

    fn grow(&mut self, deadline: Instant) -> bool {
        assert!(self.ready(deadline), "neither text nor end came; before that: {:?}", self.text());
        let mut part = [0; 4096];
        let length = self.stream.read(&mut part).unwrap();
        self.seen.extend_from_slice(&part[..length]);
        length > 0
    }

    fn ready(&self, deadline: Instant) -> bool {
        let left: u16 = deadline.saturating_duration_since(Instant::now()).as_millis().try_into().unwrap();
        poll(&mut [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)], left).unwrap() > 0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

pub fn exit_of(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < deadline, "process {} does not end", child.id());
        thread::sleep(Duration::from_millis(2));
    }
}

pub fn terminate(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGTERM).unwrap();
}

/// Waits until the main thread of a process has gone to sleep that many times more: its timed waits do end.
pub fn wait_for_sleeps(pid: u32, count: u32) {
    let goal = sleeps_of(pid) + count;
    let deadline = Instant::now() + PATIENCE;
    while sleeps_of(pid) < goal {
        assert!(Instant::now() < deadline, "process {pid} sleeps for too long");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until a process has read that many bytes more than at `start`: nothing lies unread in its socket then.
pub fn wait_for_reads(pid: u32, start: u64, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    while bytes_read_by(pid) < start + count {
        assert!(Instant::now() < deadline, "process {pid} does not read");
        thread::sleep(Duration::from_millis(2));
    }
}

pub fn bytes_read_by(pid: u32) -> u64 {
    let account = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    account.lines().next().unwrap().strip_prefix("rchar: ").unwrap().parse().unwrap()
}

fn sleeps_of(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/task/{pid}/status")).unwrap();
    let (_, count) = status.split_once("\nvoluntary_ctxt_switches:").unwrap();
    count.lines().next().unwrap().trim().parse().unwrap()
}

/// Closes with a reset instead of an end of file.
pub fn reset(stream: TcpStream) {
    setsockopt(&stream, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
}

fn stream(mut child_side: Command) -> Child {
    child_side.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// tcpserver with `old_server` behind it.
pub struct Server {
    pub tcpserver: Child,
    pub log: Transcript<std::process::ChildStderr>,
    port: u16,
}

impl Server {
    pub fn start() -> Self {
        Self::start_as(&[], &[OLD_SERVER])
    }

    /// `options` are for tcpserver, `program` is what it runs.
    pub fn start_as(options: &[&str], program: &[&str]) -> Self {
        let mut command = Command::new("tcpserver");
        command.args(["-v1HR", "-l0"]).args(options).args(["127.0.0.1", "0"]).args(program);
        command.env_remove("TCP6REMOTEIP").env_remove("OLD_SHUTDOWN_COMMAND").env_remove("DATA_TIMEOUT");
        let mut tcpserver = stream(command);
        let mut port = Transcript::new(tcpserver.stdout.take().unwrap());
        let port = port.wait_for("\n").trim().parse().unwrap();
        Self { log: Transcript::new(tcpserver.stderr.take().unwrap()), tcpserver, port }
    }

    pub fn connect(&self) -> Transcript<TcpStream> {
        Transcript::new(TcpStream::connect(("127.0.0.1", self.port)).unwrap())
    }

    pub fn port(&self) -> String {
        self.port.to_string()
    }

    /// The process of the first client.
    pub fn child(&mut self) -> u32 {
        let log = self.log.wait_for(" from 127.0.0.1\n");
        let (_, rest) = log.split_once("tcpserver: pid ").unwrap();
        rest.split_once(' ').unwrap().0.parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.tcpserver.kill();
        let _ = self.tcpserver.wait();
    }
}

/// tcpclient, which becomes `old_client`, in a home of its own.
pub struct Client {
    pub process: Child,
    pub log: Transcript<std::process::ChildStderr>,
    pub said: Transcript<std::process::ChildStdout>,
    pub home: PathBuf,
}

impl Client {
    /// With `$HOME/.pistop/pistopstart` being that hook; gives the peer's side of the connection too.
    pub fn start(hook_name: &str) -> (Self, Transcript<TcpStream>) {
        let home = new_home();
        fs::create_dir(home.join(".pistop")).unwrap();
        symlink(hook(hook_name), home.join(".pistop/pistopstart")).unwrap();
        Self::start_in(home, &["env"])
    }

    /// `wrapper` may change the environment; `home` is removed at the end.
    pub fn start_in(home: PathBuf, wrapper: &[&str]) -> (Self, Transcript<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let client = Self::connect_to(&port, home, wrapper);
        let (peer, _) = listener.accept().unwrap();
        (client, Transcript::new(peer))
    }

    pub fn connect_to(port: &str, home: PathBuf, wrapper: &[&str]) -> Self {
        let mut command = Command::new("tcpclient");
        command.args(["-HR", "-l0", "127.0.0.1", port]).args(wrapper).arg(OLD_CLIENT);
        command.env("HOME", &home).env_remove("OLD_LIBEXECDIR").env_remove("DATA_TIMEOUT");
        let mut process = stream(command);
        let log = Transcript::new(process.stderr.take().unwrap());
        let said = Transcript::new(process.stdout.take().unwrap());
        Self { process, log, said, home }
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        exit_of(&mut self.process).code()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.home);
    }
}

pub fn new_home() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("old-peers-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let home = std::env::temp_dir().join(name);
    fs::create_dir(&home).unwrap();
    home
}
