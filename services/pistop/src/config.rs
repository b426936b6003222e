//! The verbs with their flags, and where fserver's local socket is.

use clap::{Args, Parser, Subcommand};
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use std::path::PathBuf;
use std::time::Duration;

/// The only setting that this command shares with fserver.
pub const SETTINGS: &[Setting] =
    &[Setting { key: "control", default: "/run/pistop/fserver.sock", help: "the local socket of fserver" }];

/// Asks and tells the running fserver.
#[derive(Debug, Parser)]
#[command(name = "pistop", version)]
pub struct Options {
    /// The local socket of fserver; otherwise the variable CONTROL, or /run/pistop/fserver.sock
    #[arg(long, value_name = "PATH", global = true)]
    pub control: Option<PathBuf>,
    /// fserver's directory of variables, if CONTROL is set there
    #[arg(long, value_name = "DIR", global = true)]
    pub variables: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Who is here, since when, and how a shutdown goes
    Status {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Let every client let go, then run the hooks of clients-released
    Shutdown(ShutdownFlags),
    /// The last decisions about a host, and what they rest on
    Why {
        /// Its name, as `pistop status` shows it
        host: String,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Unmount a disk of this machine; says who keeps it busy
    Unmount(crate::unmount::UnmountFlags),
    /// All phases with harmless commands in place of hooks, and a time line for each host
    Drill {
        /// Seconds to wait for everybody
        #[arg(long, value_name = "S", value_parser = seconds)]
        deadline: Option<Duration>,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

/// The flags of `shutdown`.
#[derive(Debug, Args)]
pub struct ShutdownFlags {
    /// Seconds to wait for everybody
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub deadline: Option<Duration>,
    /// Why, for people and logs
    #[arg(long, value_name = "T", default_value = "")]
    pub reason: String,
    /// It is a restart: nobody powers off, and the server is back within so many seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub restart: Option<Duration>,
    /// This machine goes down afterwards: run the hooks of going-down too
    #[arg(long, conflicts_with_all = ["restart", "reboot"])]
    pub going_down: bool,
    /// This machine starts again afterwards: everybody lets go, nobody powers off, and it is back within so many seconds
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "restart")]
    pub reboot: Option<Duration>,
    /// Take it back, as long as not everybody has let go
    #[arg(long, conflicts_with_all = ["deadline", "restart", "reboot", "going_down", "dry_run"])]
    pub cancel: bool,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// For programs: one JSON object a line
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|_| format!("`{text}` is no number of seconds that can be waited"))
}

impl Options {
    /// Where fserver listens.
    pub fn socket(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.control {
            return Ok(path.clone());
        }
        let environment = std::env::vars_os().collect();
        let sources = Sources { config: None, variables: self.variables.clone(), environment, flags: Vec::new() };
        let settings = Settings::load(SETTINGS, sources)?;
        settings.path("control").ok_or_else(|| settings.bad("control", "a path is needed".into()).into())
    }
}
