//! The verbs with their flags, and where the local sockets of fserver and of the event bus are.

use crate::cam::CamFlags;
use crate::doctor::DoctorFlags;
use crate::drive::{DriveFlags, How};
use crate::events::EventsFlags;
use crate::logs::LogFlags;
use crate::publish::PublishFlags;
use crate::request::RequestFlags;
use crate::service::flags::ServiceVerb;
use clap::{Args, Parser, Subcommand};
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use std::path::PathBuf;
use std::time::Duration;

/// The settings that this command shares with fserver and fclient.
pub const SETTINGS: &[Setting] = &[
    Setting { key: "control", default: "/run/pistop/fserver.sock", help: "the local socket of fserver" },
    Setting { key: "door", default: bus::client::DOOR, help: "the local socket of the event bus" },
];

/// Asks and tells the running fserver and the event bus, makes services and drives them.
#[derive(Debug, Parser)]
#[command(name = "pistop", version)]
pub struct Options {
    /// The local socket of fserver; otherwise the variable CONTROL, or /run/pistop/fserver.sock
    #[arg(long, value_name = "PATH", global = true)]
    pub control: Option<PathBuf>,
    /// The local socket of the event bus, on any machine; otherwise the variable DOOR, or /run/pistop/bus.sock
    #[arg(long, value_name = "PATH", global = true)]
    pub door: Option<PathBuf>,
    /// The directory of variables of fserver or fclient, if CONTROL or DOOR is set there; with cam, that of camera
    #[arg(long, value_name = "DIR", global = true)]
    pub variables: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Who is here, since when, and how a shutdown goes; or how services are
    Status(StatusFlags),
    /// Make services, and take them away
    Service {
        /// What to do with them
        #[command(subcommand)]
        verb: ServiceVerb,
    },
    /// Start services, and wait until they run
    Start(DriveFlags),
    /// Stop services, and wait until they are down
    Stop(DriveFlags),
    /// End services so that they know that they return, and wait until they run again
    Restart(DriveFlags),
    /// Have services started when the machine comes up
    Enable(DriveFlags),
    /// Leave services down when the machine comes up
    Disable(DriveFlags),
    /// What services have logged
    Logs(LogFlags),
    /// Cameras: start, stop, status, setdur and more
    Cam(Box<CamFlags>),
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
    /// What was said on the event bus, and with --follow what is said
    Events(EventsFlags),
    /// Say something on the event bus; without a fact, lists what can be said
    Publish(PublishFlags),
    /// Ask a machine to do something, and wait for its answer
    Request(RequestFlags),
    /// For whom events wait at this machine, and how many
    Queue {
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Looks at this machine's part of the event bus, its uploads and its disk, and says what is wrong and what helps
    Doctor(DoctorFlags),
    /// On the server: make a code with which one machine can be paired. On that machine, with --server: pair it
    Pair(PairFlags),
    /// Which machines are paired with this server
    Peers {
        /// What to do; without it, list them
        #[command(subcommand)]
        verb: Option<PeersVerb>,
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
    /// Take the power from the disks of a USB hub, if nothing uses them any more
    CutPower(CutPowerFlags),
    /// Send a line to the display: load, PowerOff, MusicOff, or LINE COLUMN FLAG:TEXT
    Display(DisplayFlags),
    /// Send a notice to the desktop
    Notify(NotifyFlags),
}

/// The flags of `pair`.
#[derive(Debug, Args)]
pub struct PairFlags {
    /// Pair this machine with that server
    #[arg(long, value_name = "HOST[:PORT]")]
    pub server: Option<String>,
    /// The code that the server shows; without it, it is asked for
    #[arg(long, value_name = "CODE", requires = "server")]
    pub code: Option<String>,
    /// Where fclient keeps its state; otherwise its setting state-dir
    #[arg(long, value_name = "DIR", requires = "server")]
    pub state_dir: Option<PathBuf>,
    /// fclient's TOML file; /etc/pistop/fclient.toml if it is there
    #[arg(long, value_name = "FILE", requires = "server")]
    pub config: Option<PathBuf>,
    /// On the server: only a machine of this name. With --server: this machine's name, otherwise its setting name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What the machine may do: follow, publish:FAMILY, command:VERB (or * for all), shutdown
    #[arg(long, value_name = "ROLES", default_value = ROLES, conflicts_with = "server")]
    pub roles: String,
    /// How many seconds the code is good
    #[arg(long, value_name = "S", value_parser = seconds, conflicts_with = "server")]
    pub lasts: Option<Duration>,
    /// Do not ask whether the house shall be closed
    #[arg(long, conflicts_with = "server")]
    pub yes: bool,
}

/// What a machine may do that is paired without other words.
pub const ROLES: &str = "follow publish:*";

/// What to do with paired machines.
#[derive(Debug, Subcommand)]
pub enum PeersVerb {
    /// Pair a machine no longer; its link ends
    Remove {
        /// Its name
        name: String,
        /// Even if it is the last one, without which the house is open to everybody
        #[arg(long)]
        yes: bool,
    },
}

/// The flags of `cut-power`; each takes precedence over the setting of fserver that it names.
#[derive(Debug, Default, Args)]
pub struct CutPowerFlags {
    /// The hub as uhubctl names it, as in 2 or 1-1 (usb-hub)
    #[arg(long, value_name = "LOC")]
    pub hub: Option<String>,
    /// Only these ports of it, as in 1,2 (usb-ports)
    #[arg(long, value_name = "LIST")]
    pub ports: Option<String>,
    /// The disk, by its directory or device; as long as it is mounted, the power stays (mdrive)
    #[arg(long, value_name = "DIR|DEV")]
    pub disk: Option<String>,
    /// The hub switches its ports together only, as a Pi 4 does: switch twice (usb-ganged)
    #[arg(long)]
    pub ganged: bool,
    /// The program that switches (uhubctl)
    #[arg(long, value_name = "PROGRAM")]
    pub uhubctl: Option<String>,
    /// fserver's TOML file; /etc/pistop/fserver.toml if it is there
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Where the kernel tells of its devices, for tests
    #[arg(long, hide = true, default_value = "/sys")]
    pub sysfs: PathBuf,
    /// Where it tells of mounts and swap, for tests
    #[arg(long, hide = true, default_value = "/proc")]
    pub proc: PathBuf,
}

/// The flags of `display`.
#[derive(Debug, Args)]
pub struct DisplayFlags {
    /// What to show
    #[arg(value_name = "WORD|LINE")]
    pub what: String,
    /// A TOML file with lcd-fifo, lcd-host and lcd-port; without it, from the environment
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The flags of `notify`.
#[derive(Debug, Args)]
pub struct NotifyFlags {
    /// The headline
    pub summary: String,
    /// What is below it
    pub body: String,
    /// A TOML file with notify-fifo, notify-host and notify-port; without it, from the environment
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The flags of `status`.
#[derive(Debug, Args)]
pub struct StatusFlags {
    /// Services to look at, in the words of svstat; without any, it is the house
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub how: How,
    /// For programs
    #[arg(long)]
    pub json: bool,
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

/// A number of seconds on a command line.
///
/// # Errors
/// It is none that can be waited.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|_| format!("`{text}` is no number of seconds that can be waited"))
}

impl Options {
    /// Where fserver listens.
    pub fn socket(&self) -> Result<PathBuf, Failure> {
        self.path("control", self.control.as_ref())
    }

    /// Where the event bus is.
    pub fn door(&self) -> Result<PathBuf, Failure> {
        self.path("door", self.door.as_ref())
    }

    fn path(&self, key: &'static str, flag: Option<&PathBuf>) -> Result<PathBuf, Failure> {
        if let Some(path) = flag {
            return Ok(path.clone());
        }
        let environment = std::env::vars_os().collect();
        let sources = Sources { config: None, variables: self.variables.clone(), environment, flags: Vec::new() };
        let settings = Settings::load(SETTINGS, sources)?;
        settings.path(key).ok_or_else(|| settings.bad(key, "a path is needed".into()).into())
    }
}
