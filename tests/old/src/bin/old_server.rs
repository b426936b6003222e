//! pistopserver as it is today, one process for one client, warts included.
//!
//! Descriptors: 0 reads, 1 writes, 2 is the log. It is silent until SIGTERM; its greeting leaves together with the
//! farewell, in one write. It knows no lines: each read is judged by its first bytes, and bytes of longer, earlier
//! reads still lie behind those of a short one. It never powers anything off by itself: see `power_off`.

use std::env;
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitCode};
use std::thread;

use old_peers::{Failure, Patience, READ_SIZE, conclude, read_when_ready};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

fn main() -> ExitCode {
    conclude("old_server", run())
}

fn run() -> Result<ExitCode, Failure> {
    let address = remote_address();
    say_farewell_on_sigterm(format!("Connection from {address}\nshutdown\n"))?;
    serve(&address, Patience::from_settings())
}

fn remote_address() -> String {
    env::var("TCP6REMOTEIP")
        .or_else(|_| env::var("TCPREMOTEIP"))
        .or_else(|_| peer_of_standard_input())
        .unwrap_or_else(|_| "unknown".to_owned())
}

fn peer_of_standard_input() -> io::Result<String> {
    let socket = TcpStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    Ok(socket.peer_addr()?.ip().to_string())
}

/// A thread stands in for the old signal handler: it acts even while the main program is stuck in a write.
fn say_farewell_on_sigterm(farewell: String) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM]).map_err(|error| Failure::temporary("sigaction", error))?;
    thread::spawn(move || {
        signals.forever().next();
        let _ = nix::unistd::write(io::stdout(), farewell.as_bytes());
        process::exit(1)
    });
    Ok(())
}

fn serve(address: &str, mut patience: Patience) -> Result<ExitCode, Failure> {
    // One buffer for all reads, on purpose: `xuit\n` and then a lone `q` make `quit\n`.
    let mut buffer = [0; READ_SIZE];
    loop {
        let length = read_when_ready(io::stdin(), &mut buffer, &mut patience)
            .map_err(|error| Failure::temporary("read-network", error))?;
        if length == 0 {
            eprintln!("{}: {address}: client dropped connection", process::id());
            return Ok(ExitCode::SUCCESS);
        }
        match Verb::at_start_of(&buffer) {
            Some(Verb::Shutdown) => return power_off(),
            Some(Verb::Quit) => return Ok(ExitCode::SUCCESS),
            Some(Verb::Wait) => {}
            None => log(&buffer[..length])?,
        }
    }
}

enum Verb {
    Shutdown,
    Quit,
    Wait,
}

impl Verb {
    fn at_start_of(buffer: &[u8]) -> Option<Self> {
        match buffer {
            [b's', b'h', b'u', b't', b'd', b'o', b'w', b'n', ..] => Some(Self::Shutdown),
            [b'q', b'u', b'i', b't', ..] => Some(Self::Quit),
            [b'w', b'a', b'i', b't', ..] => Some(Self::Wait),
            _ => None,
        }
    }
}

/// The original becomes the system's shutdown command. This one becomes `OLD_SHUTDOWN_COMMAND -h now`, or only says so.
fn power_off() -> Result<ExitCode, Failure> {
    let Some(command) = env::var_os("OLD_SHUTDOWN_COMMAND").filter(|command| !command.is_empty()) else {
        eprintln!("old_server: would power off");
        return Ok(ExitCode::SUCCESS);
    };
    let error = Command::new(command).args(["-h", "now"]).exec();
    Err(Failure::temporary("OLD_SHUTDOWN_COMMAND", error))
}

fn log(text: &[u8]) -> Result<(), Failure> {
    io::stderr().write_all(text).map_err(|error| Failure::temporary("write-log", error))
}
