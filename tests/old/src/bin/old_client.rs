//! pistopclient as it is today, warts included.
//!
//! Descriptors: 6 reads, 7 writes, 0 to 2 are the hook's. The start hook runs to its end before a byte is read; then
//! each read counts only if it begins with `shutdown\n`, and end of file counts as well. Both make this process become
//! the stop hook. A reset connection or SIGTERM ends it without the stop hook; a failed start hook counts as success.

use std::env;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use old_peers::{Failure, Patience, READ_SIZE, conclude, read_when_ready};
use signal_hook::consts::SIGTERM;

fn main() -> ExitCode {
    conclude("old_client", run())
}

fn run() -> Result<ExitCode, Failure> {
    exit_on_sigterm()?;
    let script = find_script()?;
    if let Err(reason) = start(&script) {
        eprintln!("old_client: {} start: {reason}", script.display());
        return Ok(ExitCode::SUCCESS);
    }
    let reader = adopt(6).map_err(|error| Failure::temporary("read-network", error))?;
    let writer = adopt(7).map_err(|error| Failure::temporary("write-network", error))?;
    announce_waiting(&writer)?;
    match read_until_ending(&reader, Patience::from_settings())? {
        Ending::Lost => {
            drop(reader);
            Err(become_stop_hook(&script, "lost connection with remote. executing"))
        }
        Ending::PoweredOff => Err(become_stop_hook(&script, "remote powered off. Executing")),
    }
}

/// At once and always, even while the start hook runs; that hook then lives on.
fn exit_on_sigterm() -> Result<(), Failure> {
    signal_hook::flag::register_conditional_shutdown(SIGTERM, 1, Arc::new(AtomicBool::new(true)))
        .map(drop)
        .map_err(|error| Failure::temporary("sigaction", error))
}

/// A `.pistop` directory wins even when no script is in it.
fn find_script() -> Result<PathBuf, Failure> {
    let home = env::var_os("HOME").ok_or_else(|| Failure::permanent("HOME not set"))?;
    env::set_current_dir(&home).map_err(|error| Failure::temporary("chdir HOME", error))?;
    if env::set_current_dir(".pistop").is_ok() {
        return Ok(Path::new(&home).join(".pistop/pistopstart"));
    }
    env::var_os("OLD_LIBEXECDIR")
        .map(|directory| Path::new(&directory).join("pistop/pistopstart"))
        .filter(|script| script.exists())
        .ok_or_else(|| Failure::permanent("no pistopstart"))
}

fn start(script: &Path) -> Result<(), String> {
    say(&format!("executing {} start\n", script.display()));
    match hook(script, "start").status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

fn hook(script: &Path, action: &str) -> Command {
    let mut command = Command::new(script);
    command.arg0("pistopstart").arg(action);
    command
}

/// Called once for each descriptor that UCSPI hands over.
#[expect(unsafe_code, reason = "std has no safe way to take over a descriptor by its number")]
fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    std::fs::symlink_metadata(format!("/proc/self/fd/{number}"))?;
    // SAFETY: it is open, as just checked, and by the UCSPI contract it is ours alone; nothing else here names it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

fn announce_waiting(writer: &OwnedFd) -> Result<(), Failure> {
    nix::unistd::write(writer, b"wait\n").map(drop).map_err(|error| Failure::temporary("write-network", error))
}

enum Ending {
    Lost,
    PoweredOff,
}

fn read_until_ending(reader: &OwnedFd, mut patience: Patience) -> Result<Ending, Failure> {
    let mut buffer = [0; READ_SIZE];
    loop {
        let length = read_when_ready(reader, &mut buffer, &mut patience)
            .map_err(|error| Failure::temporary("read-network", error))?;
        let Some((_, all_but_last)) = buffer[..length].split_last() else {
            return Ok(Ending::Lost);
        };
        log_command(all_but_last);
        if buffer[..length].starts_with(b"shutdown\n") {
            return Ok(Ending::PoweredOff);
        }
    }
}

fn log_command(text: &[u8]) {
    let _ = io::stderr().write_all(&[b"got command [", text, b"]\n"].concat());
}

/// Returns only when the hook cannot be executed. The hook keeps this process id and every open descriptor.
fn become_stop_hook(script: &Path, cause: &str) -> Failure {
    say(&format!("{cause} {} stop\n", script.display()));
    Failure::temporary("exec stop hook", hook(script, "stop").exec())
}

fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
