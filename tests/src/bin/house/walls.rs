//! The walls around everything: this program starts itself again in network, mount and process namespaces of its own. The
//! inner one is the first process in there, so when it ends, for whatever reason, the kernel ends every machine with it,
//! and bridge, taps and mounts are gone. The outer one only waits, and ends the inner one when it is told to end; killed itself, it takes the inner one along.

use crate::shell;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::process::Command;

/// Tells the inner program that it is inside.
const INSIDE: &str = "PISTOP_HOUSE_INSIDE";

/// Whether this is the inner program.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this program again, within; whether it succeeded.
///
/// # Errors
/// Namespaces cannot be made.
pub fn enclose() -> io::Result<bool> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child"]);
    let mut child = command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE, "1").spawn()?;
    let unshare = Pid::from_raw(child.id() as i32);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            let _ = kill(unshare, Signal::SIGKILL);
        }
    });
    Ok(child.wait()?.success())
}

/// What the inner program does first: its mounts and its view of processes are its own.
///
/// # Errors
/// The mounts cannot be made private.
pub fn settle() -> io::Result<()> {
    shell::words("mount --make-rprivate /")?;
    shell::words("mount -t proc proc /proc").map(|_| ())
}
