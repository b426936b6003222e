//! The stage for a real fclient: a scratch directory with hooks that only write down that they ran, and a server made
//! of a listener and this crate's dialects. Every wait is limited; no port and no path is fixed.

#![allow(dead_code, missing_docs, clippy::unwrap_used)] // each test file uses a part; a test may unwrap

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Beat, Hello, Prepare, Progress, Stage};
use protocol::name::Identity;
use protocol::session::{Heard, Session};
use protocol::{Cause, Epoch, HostName, Message, ShutdownId, frame};
use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const FCLIENT: &str = env!("CARGO_BIN_EXE_fclient");
pub const PATIENCE: Duration = Duration::from_secs(15);
pub const RUN: Epoch = Epoch(100);
pub const FIRST: ShutdownId = ShutdownId { epoch: RUN, number: 1 };

/// Waits until it is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// A machine's files.
pub struct Home {
    dir: TempDir,
}

impl Home {
    /// With one hook for each event; each writes a line into the diary.
    pub fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        home.hook("server-up/20-mount-share", "");
        home.hook("server-stopping/10-stop-player", "");
        home.hook("server-stopping/50-unmount-share", "");
        home.hook("server-lost/50-unmount-lazily", "");
        home.hook("power-off/90-power-off", "exec $POWER_OFF_COMMAND");
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A hook that writes event, cause and name into the diary and then does more.
    pub fn hook(&self, name: &str, more: &str) {
        let diary = self.path("diary");
        let line = format!("echo \"{name} $PISTOP_CAUSE\" >>{}", diary.display());
        self.script(&format!("hooks/{name}"), &format!("{line}\n{more}"));
    }

    pub fn script(&self, name: &str, body: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    /// The hooks that ran, in their order.
    pub fn diary(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("diary")).unwrap_or_default();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    pub fn wait_for_diary(&self, expected: &[&str]) {
        until(&format!("the diary {expected:?}, it is {:?}", self.diary()), || self.diary().len() >= expected.len());
        assert_eq!(self.diary(), expected);
    }

    pub fn journal(&self) -> String {
        fs::read_to_string(self.path("state/intent")).unwrap_or_default()
    }

    pub fn wait_for_journal(&self, text: &str) {
        until(&format!("{text} in the journal"), || self.journal().contains(text));
    }

    pub fn is_off(&self) -> bool {
        self.path("off").exists()
    }

    /// An fclient that has not been started. What is set here can be changed by the caller.
    pub fn command(&self) -> Command {
        let mut command = Command::new(FCLIENT);
        self.set(&mut command);
        command
    }

    /// The environment in which every client runs.
    pub fn set(&self, command: &mut Command) {
        let off = format!("touch {}", self.path("off").display());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path("home")).env("PISTOP_LOG", "debug");
        command.env("NAME", "kitchen").env("ANNOUNCE", "off").env("ON_TERM", "shutdown").env("POWER_OFF_COMMAND", off);
        command.env("STATE_DIR", self.path("state")).env("HOOKS", self.path("hooks"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::from(self.log()));
    }

    fn log(&self) -> fs::File {
        fs::File::options().create(true).append(true).open(self.path("log")).unwrap()
    }

    pub fn read_log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the client's log\n{}--- its journal\n{}", self.read_log(), self.journal());
        }
    }
}

/// A running client; killed when dropped.
pub struct Client(pub Child);

impl Client {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().try_into().unwrap()), signal).unwrap();
    }

    /// As a crash does it: at once, and without its hooks knowing.
    pub fn crash(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end of the client", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that does what the test says.
pub struct Server {
    listener: TcpListener,
}

impl Server {
    pub fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// A client of this server.
    pub fn client(&self, home: &Home) -> Command {
        let mut command = home.command();
        command.arg("--server").arg(self.address().to_string());
        command
    }

    /// The next client, whose first line has been heard.
    pub fn accept(&self) -> Peer {
        self.listener.set_nonblocking(true).unwrap();
        let mut accepted = None;
        until("a connection", || {
            accepted = self.listener.accept().ok();
            accepted.is_some()
        });
        let mut peer = Peer::new(accepted.unwrap().0);
        let hello = ClientLine::Hello(HostName::parse("kitchen").unwrap());
        assert_eq!(peer.hear(), Some(Heard::Line(hello)));
        peer
    }

    /// The next client, with which frames are spoken and which has been told that the server is there.
    pub fn accept_new(&self, epoch: Epoch) -> Peer {
        let mut peer = self.accept();
        peer.greet(epoch);
        peer.beat();
        peer
    }
}

/// The server's end of one link.
pub struct Peer {
    pub stream: TcpStream,
    session: Session<ClientLine>,
    heard: VecDeque<Heard<ClientLine>>,
}

impl Peer {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, session: Session::default(), heard: VecDeque::new() }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn send(&mut self, message: &Message) {
        self.write(&frame::encode(message));
    }

    /// The next thing said; `None` at the end.
    pub fn hear(&mut self) -> Option<Heard<ClientLine>> {
        let mut buffer = [0; 4096];
        while self.heard.is_empty() {
            let n = self.stream.read(&mut buffer).expect("the client says something in time");
            if n == 0 {
                return None;
            }
            self.session.receive(&buffer[..n], |heard| self.heard.push_back(heard)).unwrap();
        }
        self.heard.pop_front()
    }

    pub fn greet(&mut self, epoch: Epoch) {
        let server = HostName::parse("attic").unwrap();
        self.write(&ServerLine::Hello { server: server.clone(), epoch }.encode());
        let (identity, program) = (Identity(1), "fserver test".into());
        self.send(&Message::Hello(Hello { version: 2, name: server, identity, program, capabilities: vec![] }));
    }

    pub fn beat(&mut self) {
        self.send(&Message::Beat(Beat { number: 1, next_ms: 1000 }));
    }

    pub fn prepare(&mut self, cause: Cause, drill: bool) {
        let within = Duration::from_secs(30);
        self.send(&Message::Prepare(Prepare { id: FIRST, cause, within, reason: "night".into(), drill }));
    }

    /// The next message that is wanted; others are passed over.
    pub fn message<T>(&mut self, mut wanted: impl FnMut(Message) -> Option<T>) -> T {
        loop {
            match self.hear().expect("the link stays open") {
                Heard::Message(message) => match wanted(message) {
                    Some(found) => return found,
                    None => continue,
                },
                other => panic!("{other:?} between frames"),
            }
        }
    }

    /// The stages up to and with this one, each with its hooks.
    pub fn stages(&mut self, last: Stage) -> Vec<(Stage, Vec<String>)> {
        let mut stages = Vec::new();
        loop {
            let progress = self.message(|m| if let Message::Progress(progress) = m { Some(progress) } else { None });
            let Progress { id, stage, outcomes } = progress;
            assert_eq!(id, FIRST);
            stages.push((stage, outcomes.into_iter().map(|outcome| outcome.hook).collect()));
            if stage == last {
                return stages;
            }
        }
    }

    /// Reads until the client has closed its end.
    pub fn hear_end(&mut self) {
        while self.hear().is_some() {}
    }

    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

pub fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
