//! `pistop cam VERB [NAMES]`: cameras, in the words of the script visdcam that did this before.
//!
//! One program records all cameras and another sends what they recorded. So a camera is started and stopped by its switch, at which the
//! recorder looks, and the services are driven only where all cameras are meant. The recorder is asked and told by files alone.
//!
//! | module | what it does |
//! |---|---|
//! | [`place`] | where the recorder has its settings |
//! | [`target`] | which camera or service a word means. Pure |
//! | [`plan`] | what a verb does to them. Pure |
//! | [`drive`] | and does it |
//! | [`duration`] | how long segments are |
//! | [`view`], [`info`] | how cameras are, in words |
//! | [`ram`], [`clean`] | what lies in RAM, and deletes it |
//! | [`gaps`] | what is missing of a day, and why |
//! | [`picture`] | pictures, from where the recorder serves them |

pub mod clean;
pub mod drive;
pub mod duration;
pub mod gaps;
pub mod info;
pub mod picture;
pub mod place;
pub mod plan;
pub mod ram;
pub mod target;
pub mod view;

use crate::drive::{Verb as Drive, which};
use crate::logs::{self, LogFlags};
use clap::{Args, Subcommand};
use gaps::GapsFlags;
use place::{Cameras, Find};
use runner::exit::Failure;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long it may take to find out whether there is an uploader.
const ANSWER: Duration = Duration::from_secs(10);

/// The flags of `cam`.
#[derive(Debug, Args)]
pub struct CamFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub find: Find,
    /// The same as the verb info, as it always was
    #[arg(long, hide = true)]
    pub info: bool,
    /// What to do; without it, info
    #[command(subcommand)]
    pub verb: Option<CamVerb>,
}

/// What to do with cameras.
#[derive(Debug, Subcommand)]
pub enum CamVerb {
    /// What is missing of a day, and why; ends with 1 if something has no reason, or nothing is known of it
    Gaps(GapsFlags),
    /// Record them from now on
    Start(Aim),
    /// Record them no longer, until start or the next start of this machine; the others go on
    Stop(Aim),
    /// Close their segments and turn to them anew
    Restart(Aim),
    /// Have them recorded when the machine comes up
    Enable(KeptAim),
    /// Have them not recorded when the machine comes up
    Disable(KeptAim),
    /// How they are, and what waits to be uploaded
    Status(Look),
    /// What the recorder has logged, or the uploader
    Logs(CamLogFlags),
    /// What lies in RAM
    Lsram(Look),
    /// Delete what lies in RAM and was not uploaded
    Clean(clean::CleanFlags),
    /// How many seconds a recording is long
    Getdur {
        /// The camera
        name: String,
    },
    /// Set that, in /etc/default/seg-NAME; it counts at once, and no picture is lost
    Setdur(duration::SetFlags),
    /// What can be said, what the names mean, and how everything is
    #[command(alias = "actions")]
    Info,
    /// The newest picture of a camera, as a file
    Snapshot {
        /// The camera
        name: String,
        /// Where to; - is standard output [default: NAME-DATE-TIME.jpg]
        file: Option<PathBuf>,
    },
    /// Where a camera is to be seen, as a URL for a browser or a player
    Live {
        /// The camera
        name: String,
    },
}

/// Who is meant by a verb that does something.
#[derive(Debug, Clone, Args)]
pub struct Aim {
    /// Cameras, all, or units such as seg-cam1, uploader-cam1, camera and upload
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    /// Seconds to wait until it is so
    #[arg(long, value_name = "S", value_parser = crate::config::seconds, default_value = "60")]
    pub deadline: Duration,
}

/// The same for what counts when the machine comes up.
#[derive(Debug, Clone, Args)]
pub struct KeptAim {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub aim: Aim,
    /// And start or stop them now
    #[arg(long)]
    pub now: bool,
}

/// Who is looked at.
#[derive(Debug, Clone, Args)]
pub struct Look {
    /// Cameras, or all [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// The flags of `logs`.
#[derive(Debug, Clone, Args)]
pub struct CamLogFlags {
    /// A camera, all, or a unit: of cameras and of all both logs are shown, of seg-NAME the recorder's, of uploader-NAME the uploader's
    pub name: String,
    /// Where logs are kept that are not in the service directory, in a folder of the service's name
    #[arg(long, value_name = "DIR", default_value = "/var/log/svc")]
    pub logdir: PathBuf,
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// So many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value = "200")]
    pub lines: usize,
}

/// Does what is asked.
///
/// # Errors
/// It cannot be done, or not now; the text names the remedy.
pub async fn run(flags: &CamFlags, variables: Option<PathBuf>, door: &Path) -> Result<(), Failure> {
    let cameras = flags.find.cameras(variables)?;
    match flags.verb.as_ref().unwrap_or(&CamVerb::Info) {
        CamVerb::Start(aim) => drive::run(&cameras, &[Drive::Start], aim).await,
        CamVerb::Stop(aim) => drive::run(&cameras, &[Drive::Stop], aim).await,
        CamVerb::Restart(aim) => drive::run(&cameras, &[Drive::Restart], aim).await,
        CamVerb::Enable(KeptAim { aim, now: false }) => drive::run(&cameras, &[Drive::Enable], aim).await,
        CamVerb::Enable(KeptAim { aim, now: true }) => drive::run(&cameras, &[Drive::Enable, Drive::Start], aim).await,
        CamVerb::Disable(KeptAim { aim, now: false }) => drive::run(&cameras, &[Drive::Disable], aim).await,
        CamVerb::Disable(KeptAim { aim, now: true }) => drive::run(&cameras, &[Drive::Disable, Drive::Stop], aim).await,
        CamVerb::Status(look) => view::run(&cameras, look).await,
        CamVerb::Logs(flags) => show_logs(&cameras, flags).await,
        CamVerb::Lsram(look) => ram::run(&cameras, look),
        CamVerb::Clean(flags) => clean::run(&cameras, flags, door).await,
        CamVerb::Getdur { name } => duration::get(&cameras, name),
        CamVerb::Setdur(flags) => duration::set(&cameras, flags).await,
        CamVerb::Gaps(flags) => gaps::run(&cameras, flags),
        CamVerb::Info => info::run(&cameras),
        CamVerb::Snapshot { name, file } => picture::snapshot(&cameras, name, file.as_deref()).await,
        CamVerb::Live { name } => picture::live(&cameras, name),
    }
}

async fn show_logs(cameras: &Cameras, flags: &CamLogFlags) -> Result<(), Failure> {
    let CamLogFlags { name, logdir, follow, lines } = flags.clone();
    let services = cameras.target(&name)?.services();
    let mut names = vec![services[0].to_owned()];
    for service in &services[1..] {
        // Somebody may send recordings by other means.
        if which(service, &cameras.place, ANSWER).await.is_ok() {
            names.push((*service).into());
        }
    }
    logs::run(&LogFlags { names, place: cameras.place.clone(), logdir, follow, lines }).await
}
