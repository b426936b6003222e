//! The servers that fserver is compared with: Debian's tcpserver with one process a client, as pistop runs it, and
//! mosquitto.

use super::ground::agents::{command, program};
use super::ground::started::{self, Started};
use super::ground::{numbers, wait};
use super::mqtt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const START: Duration = Duration::from_secs(10);
/// What a process of the old form may take, in KiB: measured at 1 MiB, doubled.
const PER_PROCESS: u64 = 2048;

/// tcpserver and its children.
pub struct TcpServer {
    process: Started,
    /// Where it listens.
    pub address: SocketAddr,
}

impl TcpServer {
    /// With the flags of pistop's own run script.
    pub fn start(clients: usize) -> io::Result<Self> {
        let clients = clients.max(1).to_string();
        let mut command = command(&found("tcpserver")?, &[("DATA_TIMEOUT", "0")]);
        command.args(["-1vDHRo", "-l", "0", "-c", &clients, "-b", &clients, "127.0.0.1", "0"]);
        command.arg(program("old_server")?).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Started::new(command)?;
        let (Some(output), Some(log)) = (process.take_stdout(), process.take_stderr()) else {
            return Err(io::Error::other("tcpserver has no output"));
        };
        started::lines(log, |_| None::<()>);
        let port = started::lines(output, |line| line.trim().parse::<u16>().ok());
        let port = port.recv_timeout(START).map_err(|_| wait::late("tcpserver listening", START))?;
        Ok(Self { process, address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    /// The process of each client.
    pub fn children(&self) -> io::Result<Vec<i32>> {
        numbers::children(self.process.pid())
    }

    /// tcpserver itself.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Waits until every process of a client can hear SIGTERM; returns them.
    pub fn listening(&self, clients: usize) -> io::Result<Vec<i32>> {
        wait::until("all children of tcpserver catching SIGTERM", Duration::from_secs(60), || {
            let children = self.children()?;
            let deaf = children.iter().any(|&child| !numbers::catches_term(child).unwrap_or(false));
            Ok((children.len() == clients && !deaf).then_some(children))
        })
    }
}

/// SIGTERM to every child, as `killall pistopserver` sends it, without the search through `/proc` that it begins with.
pub fn terminate_all(children: &[i32]) {
    for &child in children {
        let _ = kill(Pid::from_raw(child), Signal::SIGTERM);
    }
}

/// Why so many processes cannot be had here, if so.
pub fn too_many(clients: usize) -> io::Result<Option<String>> {
    let (needed, available) = (clients as u64 * PER_PROCESS, numbers::available()?);
    if needed > available {
        return Ok(Some(format!("{clients} processes may take {} MiB, {} are free", needed / 1024, available / 1024)));
    }
    // Two threads a process.
    let most = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"].map(|path| read_number(path).unwrap_or(0));
    let tight = most.into_iter().min().filter(|&most| (clients as u64) * 5 / 2 > most);
    Ok(tight.map(|most| format!("{clients} processes with two threads each are too close to the limit of {most}")))
}

fn read_number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// How mosquitto is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// For speed: no persistence, no Nagle.
    Quick,
    /// As Debian ships it: what is kept goes to the disk each half an hour.
    Shipped,
    /// The only way in which it loses nothing that it has acknowledged: each change goes to the disk within a second.
    Lossless,
}

impl Setting {
    fn lines(self, folder: &Path) -> String {
        let folder = folder.display();
        match self {
            Setting::Quick => "persistence false\nset_tcp_nodelay true\n".into(),
            Setting::Shipped => format!("persistence true\npersistence_location {folder}/\n"),
            Setting::Lossless => {
                let kept = format!("persistence true\npersistence_location {folder}/\n");
                kept + "autosave_on_changes true\nautosave_interval 1\n"
            }
        }
    }
}

/// mosquitto in a folder of its own, without a log.
pub struct Mosquitto {
    process: Started,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Mosquitto {
    /// Starts it on a port that was free a moment ago, as it cannot tell one that the kernel chose.
    pub fn start(folder: &Path, setting: Setting) -> io::Result<Self> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let file = folder.join("mosquitto.conf");
        let listener = format!("listener {} 127.0.0.1\nallow_anonymous true\n", address.port());
        fs::write(&file, listener + "log_type none\nuser root\n" + &setting.lines(folder))?;
        let mut command = command(&found("mosquitto")?, &[]);
        command.arg("-c").arg(file).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Started::new(command)?;
        wait::until("mosquitto listening", START, || Ok(TcpStream::connect(address).ok()))?;
        Ok(Self { process, address })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// A publisher that is connected and has said nothing yet.
    pub fn publisher(&self) -> io::Result<mqtt::Client> {
        mqtt::Client::open(self.address, "publisher")
    }
}

/// A program of the system.
pub fn found(name: &str) -> io::Result<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"].map(Path::new);
    let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{name} is not installed"));
    folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file()).ok_or_else(missing)
}

/// The version of a Debian package, or what is known instead.
pub fn version(package: &str) -> String {
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    match asked {
        Ok(answer) if answer.status.success() => String::from_utf8_lossy(&answer.stdout).into_owned(),
        _ => "not from Debian, or not installed".into(),
    }
}
