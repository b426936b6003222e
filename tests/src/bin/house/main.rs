//! `make house`: a server and two clients as whole machines, on QEMU without KVM. They boot a Debian with its own kernel,
//! systemd, NFS, mpd and daemontools, have our packages installed as anybody would, and go through some evenings.
//! Prints a time line by one clock, then what was expected beside what was seen; the exit code says whether they agree.
//!
//! Nothing of this machine is touched: all that runs is in namespaces of its own and ends with this program, however that ends.
//! On the disk are the cached base system, outside of the tree, and the machines' disks under `target/house`.

mod base;
mod disk;
mod door;
mod evening;
mod house;
mod ledger;
mod machine;
mod music;
mod network;
mod player;
mod record;
mod samples;
mod scenes;
mod shell;
mod walls;
mod watch;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match evening::run(&evening::Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("house: {why}");
            ExitCode::from(100)
        }
    }
}
