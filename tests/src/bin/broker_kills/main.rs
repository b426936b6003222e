//! `make torture`: mosquitto is killed again and again while a publisher and a subscriber talk through it. After each
//! kill both have to come back on their own, and what the broker had not acknowledged has to arrive. Exit code 1 if it
//! does not.
//!
//! Three brokers, because each asks something else of a client: one that forgets all sessions, one whose disk is a
//! second behind, so that a session comes back with an old state, and one that writes down each change.

mod broker;
mod client;
#[path = "../../bench/ground/mod.rs"]
#[allow(dead_code, reason = "several programs share it, and none needs all of it")]
mod ground;
mod trial;

use broker::{Broker, Disk};
use clap::Parser;
use ground::cleanup::Scratch;
use ground::table::Table;
use std::io;
use std::process::ExitCode;
use trial::{Outcome, Trial};

/// Kills a broker again and again, and looks whether its clients come back.
#[derive(Debug, Parser)]
struct Options {
    /// How often each of the three brokers is killed
    #[arg(long, default_value_t = 50)]
    kills: usize,
    /// What the moments of the kills are drawn from
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("broker_kills: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nobody was stuck.
fn run(options: &Options) -> io::Result<bool> {
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("{}, {}, seed {seed}", client::LIBRARY, broker::version()?);
    let scratch = Scratch::open("pistop-broker-kills")?;
    let mut table = Table::new(&Outcome::HEADINGS);
    let mut free = true;
    for disk in Disk::EACH {
        let outcome = one(disk, options.kills, seed, &scratch)?;
        free &= outcome.stuck.is_none();
        table.row(outcome.cells(disk.name()));
    }
    table.print();
    Ok(free)
}

fn one(disk: Disk, kills: usize, seed: u64, scratch: &Scratch) -> io::Result<Outcome> {
    let broker = Broker::start(&scratch.folder(disk.name())?, disk)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let talk = async { Trial::open(broker, seed).run(kills).await };
    tokio::task::LocalSet::new().block_on(&runtime, talk)
}
