//! A run from its beginning to its end: the base system outside of the walls, everything else inside of them.

use crate::base::Base;
use crate::house::House;
use crate::ledger::Ledger;
use crate::watch::Watch;
use crate::{record, scenes, walls};
use clap::Parser;
use nix::unistd::geteuid;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Whole machines go through some evenings, with the packages that `make deb` has made.
#[derive(Debug, Parser)]
pub struct Options {
    /// Where the packages are
    #[arg(long, value_name = "DIR", default_value = "target/debian")]
    packages: PathBuf,
    /// Where the machines' disks and the time line go
    #[arg(long, value_name = "DIR", default_value = "target/house")]
    to: PathBuf,
    /// Play only these scenes, by number (may be given more than once)
    #[arg(long, value_name = "N")]
    only: Vec<usize>,
    /// Keep this run as the record in this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Runs it; whether all was as expected.
///
/// # Errors
/// It could not be run at all: no root, no QEMU, no packages.
pub fn run(options: &Options) -> io::Result<bool> {
    if !geteuid().is_root() {
        return Err(io::Error::other("namespaces and disks need root; run it as root, or with sudo -E make house"));
    }
    if walls::inside() {
        walls::settle()?;
        return inside(options);
    }
    Base::find()?;
    let over = walls::enclose();
    sweep(&options.to)?;
    over
}

fn inside(options: &Options) -> io::Result<bool> {
    let began = Instant::now();
    sweep(&options.to)?;
    let scratch = scratch(&options.to)?;
    let timeline = options.to.join("timeline.txt");
    let watch = Watch::begin(&timeline)?;
    watch.tell("the disks are made, with the packages installed on them");
    let house = House::build(&Base::find()?, &options.packages, &scratch, watch)?;
    let mut ledger = Ledger::default();
    let versions = scenes::play(&house, &mut ledger, &options.only);
    let block = record::block(&versions, &ledger, began.elapsed());
    println!("\n{block}\nThe whole time line: {}", timeline.display());
    fs::write(options.to.join("record.txt"), &block)?;
    if let Some(path) = &options.record {
        fs::write(path, record::kept(&block, &house.watch.story()))?;
    }
    Ok(ledger.agrees())
}

/// The directory of one run.
fn scratch(to: &Path) -> io::Result<PathBuf> {
    let scratch = to.join("run");
    fs::create_dir_all(&scratch)?;
    fs::canonicalize(scratch)
}

/// The disks of an earlier run are of no use to anybody; the time line stays.
fn sweep(to: &Path) -> io::Result<()> {
    match fs::remove_dir_all(to.join("run")) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}
