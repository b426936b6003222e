//! mosquitto in a folder of its own, killed and started again on one port.

use super::ground::started::Started;
use super::ground::wait;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const PROGRAM: &str = "/usr/sbin/mosquitto";
const START: Duration = Duration::from_secs(10);

/// What a broker still knows after it was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Nothing.
    Off,
    /// What it knew up to a second before.
    EachSecond,
    /// All that it had written down after each change.
    EachChange,
}

impl Disk {
    /// All, in the order of the table.
    pub const EACH: [Self; 3] = [Self::Off, Self::EachSecond, Self::EachChange];

    /// For the table, and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "forgets",
            Self::EachSecond => "each-second",
            Self::EachChange => "each-change",
        }
    }

    fn lines(self) -> &'static str {
        match self {
            Self::Off => "persistence false\n",
            Self::EachSecond => "persistence true\nautosave_interval 1\n",
            Self::EachChange => "persistence true\nautosave_interval 1\nautosave_on_changes true\n",
        }
    }
}

/// A broker that may be killed.
pub struct Broker {
    /// Where it listens, each time.
    pub port: u16,
    settings: PathBuf,
    process: Option<Started>,
}

impl Broker {
    /// On a port that was free a moment ago, as it cannot tell one that the kernel chose.
    pub fn start(folder: &Path, disk: Disk) -> io::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let settings = folder.join("mosquitto.conf");
        let (lines, place) = (disk.lines(), folder.display());
        let limits = "max_queued_messages 100000\nset_tcp_nodelay true\n";
        let rest = format!("allow_anonymous true\nlog_type none\nuser root\npersistence_location {place}/\n");
        fs::write(&settings, format!("listener {port} 127.0.0.1\n{lines}{limits}{rest}"))?;
        let mut broker = Self { port, settings, process: None };
        broker.again()?;
        wait::until("mosquitto listening", START, || Ok(TcpStream::connect(("127.0.0.1", port)).ok()))?;
        Ok(broker)
    }

    /// Starts it once more; it listens a moment later.
    pub fn again(&mut self) -> io::Result<()> {
        let mut command = Command::new(PROGRAM);
        command.arg("-c").arg(&self.settings).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(Started::new(command)?);
        Ok(())
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill())
    }
}

/// The name and version that it says it has.
pub fn version() -> io::Result<String> {
    let help = Command::new(PROGRAM).arg("-h").output()?;
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    Ok(text.lines().next().unwrap_or("mosquitto").to_owned())
}
