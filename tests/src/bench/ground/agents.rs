//! Our own programs as the measurements need them: from the folder of this program, with an environment of their own
//! and nothing of the machine's.

use super::started::{self, Started};
use super::wait;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const START: Duration = Duration::from_secs(10);

/// The program of this name, built beside this one.
pub fn program(name: &str) -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    let missing =
        || io::Error::other(format!("{} is missing; run `cargo build --release --workspace`", path.display()));
    if path.is_file() { Ok(path) } else { Err(missing()) }
}

/// A command whose environment holds PATH and what is given.
pub fn command(program: &Path, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs(environment.iter().copied());
    command
}

/// A running fserver.
pub struct Server {
    /// The process.
    pub process: Started,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its control socket.
    pub control: PathBuf,
}

impl Server {
    /// Starts it in a folder of its own, listening on `listen`, and waits until it does.
    pub fn start(folder: &Path, listen: &str, environment: &[(&str, &str)]) -> io::Result<Self> {
        let control = folder.join("control");
        let mut command = server_command(folder, listen, environment)?;
        command.stderr(Stdio::piped());
        let mut process = Started::new(command)?;
        let log = process.take_stderr().ok_or_else(|| io::Error::other("fserver has no log"))?;
        let listening = started::lines(log, address_of_line);
        let address = listening.recv_timeout(START).map_err(|_| wait::late("fserver listening", START))?;
        Ok(Self { process, address, control })
    }
}

/// fserver without announcements and without caps, unless `environment` says otherwise.
pub fn server_command(folder: &Path, listen: &str, environment: &[(&str, &str)]) -> io::Result<Command> {
    let mut command = command(&program("fserver")?, &[]);
    command.args(["--listen", listen]);
    command
        .env("DOOR", folder.join("bus"))
        .env("CONTROL", folder.join("control"))
        .env("STATE_DIR", folder.join("state"));
    command.env("HOOKS", folder.join("hooks")).env("NAME", "server").env("ANNOUNCE", "off").env("MACHINE_LOCK", "off");
    command.env("MAXDAEMONS", "20000").env("MAX_PER_ADDRESS", "20000").env("ON_TERM", "shutdown");
    command.envs(environment.iter().copied());
    Ok(command)
}

/// fclient under this name, in a folder of its own.
pub fn client(
    folder: &Path,
    name: &str,
    server: SocketAddr,
    hooks: &Path,
    environment: &[(&str, &str)],
) -> io::Result<Started> {
    let mut command = command(&program("fclient")?, &[("NAME", name), ("POWER_OFF_COMMAND", "/bin/true")]);
    command.args(["--server", &server.to_string()]).env("STATE_DIR", folder.join(name)).env("HOOKS", hooks);
    command.envs(environment.iter().copied());
    command.stderr(File::create(folder.join(format!("{name}.log")))?);
    Started::new(command)
}

fn address_of_line(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split(' ').next()?.parse().ok()
}
