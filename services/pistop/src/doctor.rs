//! `pistop doctor`: looks at this machine's part of the event bus, at its uploads and at who writes to its disk, and
//! says what is wrong and what helps. Changes nothing, but for pings, which are commands that do nothing, and the small
//! object by which upload's doctor tries its storage.
//!
//! | module | what it does |
//! |---|---|
//! | [`seen`], [`ping`], [`clock`] | looking at the bus |
//! | [`uploads`] | asking upload's own doctor |
//! | [`disk`] | who writes to the disk that holds `/` |
//! | [`findings`], [`broker`] | what follows from it. Pure |
//! | [`report`] | how it is said. Pure |

pub mod broker;
pub mod clock;
pub mod disk;
pub mod findings;
pub mod ping;
pub mod report;
pub mod seen;
pub mod uploads;

use crate::service::flags::Where;
use crate::words::out;
use clap::Args;
use disk::Disk;
use findings::Finding;
use runner::exit::Failure;
use seen::Seen;
use std::path::{Path, PathBuf};
use std::time::Duration;
use uploads::Uploads;

/// So long the disk is watched on a machine with cameras, if nobody says how long.
const WATCHED: Duration = Duration::from_secs(5);

/// The flags of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorFlags {
    /// Watch for so many seconds who writes to the disk that holds /; on a machine with cameras that is done anyway
    #[arg(long, value_name = "S", num_args = 0..=1, default_missing_value = "5", value_parser = crate::config::seconds)]
    pub disk: Option<Duration>,
    /// For programs
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Where,
    /// Where settings are, for tests
    #[arg(long, hide = true, default_value = "/etc/pistop")]
    pub etc: PathBuf,
    /// Where the kernel counts, for tests
    #[arg(long, hide = true, default_value = "/proc")]
    pub proc: PathBuf,
}

/// What is to be seen without the bus.
#[derive(Debug)]
pub struct Local {
    /// Uploads.
    pub uploads: Uploads,
    /// Who writes, if that was watched.
    pub disk: Option<Disk>,
}

impl Local {
    async fn look(flags: &DoctorFlags) -> Result<Local, Failure> {
        let services = flags.place.directory();
        let has_cameras = flags.etc.join("camera.toml").exists() || services.join("camera").is_dir();
        let span = flags.disk.or_else(|| has_cameras.then_some(WATCHED));
        let disk = async {
            match span {
                Some(span) => disk::look::between(&flags.proc, span).await.map(Some),
                None => Ok(None),
            }
        };
        let (uploads, disk) = tokio::join!(uploads::look(&flags.etc, &services), disk);
        Ok(Local { uploads, disk: disk? })
    }

    fn findings(&self) -> Vec<Finding> {
        let disk = self.disk.iter().flat_map(Disk::findings);
        self.uploads.findings().into_iter().chain(disk).collect()
    }
}

/// Looks, and says what was found. What has nothing to do with the bus is said even if its agent does not answer.
///
/// # Errors
/// There are problems, or the agent does not answer.
pub async fn run(door: &Path, flags: &DoctorFlags) -> Result<(), Failure> {
    let (seen, local) = tokio::join!(seen::look(door), Local::look(flags));
    let local = local?;
    let findings = all(seen.as_ref().ok(), &local);
    match &seen {
        // Whoever asked for nothing else is told why there is nothing.
        Err(_) if local.disk.is_none() && local.uploads == Uploads::None => {}
        _ => tell(flags.json, seen.as_ref().ok(), &local, &findings)?,
    }
    seen?;
    runner::check::verdict(findings.iter().filter(|finding| finding.is_problem).count())
}

fn all(seen: Option<&Seen>, local: &Local) -> Vec<Finding> {
    let mut all: Vec<Finding> = seen.map(findings::of).unwrap_or_default();
    all.extend(local.findings());
    all.sort_by_key(|finding| !finding.is_problem);
    all
}

fn tell(as_json: bool, seen: Option<&Seen>, local: &Local, findings: &[Finding]) -> Result<(), Failure> {
    match as_json {
        true => out(&format!("{}\n", report::json(seen, local, findings))),
        false => out(&report::people(seen, local, findings)),
    }
}
