//! An evening in a house of sandboxes, in front of your eyes: one file server, three new clients, one old one. Each
//! has a network namespace and a mount namespace of its own; real mounts are made and removed by the hooks that we
//! ship. What a program of one machine says is heard by a hook of another and at a real MQTT broker. Prints a time line, then what was expected beside what was seen; the exit code says whether they agree.
//!
//! Nothing of this machine is touched: what stands for the power-off only writes a line.

mod broker;
mod house;
mod ledger;
mod network;
mod scenes;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("demo: namespaces and mounts need root; run it as root, or with sudo -E make demo");
        return ExitCode::from(100);
    }
    let mut ledger = ledger::Ledger::default();
    scenes::evening(&mut ledger);
    print!("{ledger}");
    if ledger.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
