//! Performs an unmount step by step, as [`crate::policy`] decides, until the table shows nothing any more. The result is
//! what the table says, not what a call returned.

use crate::child::End;
use crate::deadline::Deadline;
use crate::errand::Errand;
use crate::holders;
use crate::mount::{absolute, now};
use crate::order;
use crate::place;
use crate::policy::{Heard, How, Next, Obstacle, Policy, Step, Unmounting};
use crate::table::{self, Mount};
use nix::errno::Errno;
use runner::exit::Failure;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What is kept back to find out who stood in the way.
const REPORT: Duration = Duration::from_secs(2);
/// To start a process takes its time on a small machine; with less an attempt that would succeed were called silent.
const SHORTEST: Duration = Duration::from_millis(500);

/// What is to be unmounted, and how.
#[derive(Debug, Clone)]
pub struct Job {
    /// The directory.
    pub target: PathBuf,
    /// How rough it may get.
    pub policy: Policy,
    /// How long it may take.
    pub time: Duration,
    /// It is a disk of our own: what is in memory is written to it first.
    pub sync: bool,
}

impl Job {
    fn steps(&self) -> Vec<Step> {
        self.policy.steps(self.time.saturating_sub(REPORT.min(self.time / 4)))
    }

    /// The directory as the table knows it, and the table.
    fn look(&self) -> Result<(PathBuf, Vec<Mount>), Failure> {
        let mounts = now()?;
        let target = place::real(absolute(&self.target)?, &mounts, self.time / 4);
        match target == Path::new("/") {
            true => Err(Failure::Permanent("/ holds the whole machine and stays; name another directory".into())),
            false => Ok((target, mounts)),
        }
    }
}

/// What would be done, line by line.
///
/// # Errors
/// Nothing could be done.
pub fn plan(job: &Job) -> Result<Vec<String>, Failure> {
    let (target, mut mounts) = job.look()?;
    let mut lines = Vec::new();
    while let Some(mount) = order::innermost(&mounts, &order::doomed(&mounts, &target)).cloned() {
        lines.push(format!("would unmount {} ({}, {})", mount.target.display(), mount.source.display(), mount.kind));
        mounts.retain(|other| other.id != mount.id);
    }
    if lines.is_empty() {
        return Ok(vec![not_mounted(&target)]);
    }
    if job.sync {
        lines.insert(0, format!("would write what is in memory to {}", target.display()));
    }
    lines.extend(job.steps().iter().map(|step| format!("would {step}")));
    Ok(lines)
}

/// Unmounts, and says in a sentence how it went; `say` hears what happens on the way.
///
/// # Errors
/// It is still mounted, or not yet written back; temporary if it may go the next time.
pub fn unmount(job: &Job, mut say: impl FnMut(String)) -> Result<String, Failure> {
    let deadline = Deadline::after(job.time);
    let (target, mounts) = job.look()?;
    if order::doomed(&mounts, &target).is_empty() {
        return Ok(not_mounted(&target));
    }
    if job.sync {
        sync(&target, &mounts, deadline, &mut say);
    }
    let mut work = Unmounting::new(&target, job.steps());
    let mut tale = Tale::default();
    let began = Instant::now();
    loop {
        match work.next(&now()?, began.elapsed()) {
            Next::Try(path, how, limit) => {
                let heard = attempt(&path, how, limit.max(SHORTEST));
                tale.hear(&path, how, heard, deadline, &mut say);
                work.heard(heard, began.elapsed());
            }
            Next::Pause(time) => sleep(time),
            Next::Gone => return tale.gone(&target, &now()?),
            Next::GiveUp => return Err(given_up(&target, work.obstacle(), deadline)),
        }
    }
}

fn not_mounted(target: &Path) -> String {
    format!("{} is not mounted", target.display())
}

/// A failure is said and no more: the unmount writes back, too, and a plain one does not end before that.
fn sync(target: &Path, mounts: &[Mount], deadline: Deadline, say: &mut impl FnMut(String)) {
    let ours = table::standing(mounts, target).is_some_and(|mount| !mount.can_be_cut_off());
    if !ours {
        return;
    }
    match Errand::Sync(target.to_owned()).run(deadline.left() * 2 / 3) {
        End::Done(_) => (),
        End::Failed(fault) => say(format!("{} could not be written back: {}", target.display(), fault.said)),
        End::Silent(_) => say(format!("{} was not written back in time", target.display())),
    }
}

fn attempt(path: &Path, how: How, limit: Duration) -> Heard {
    match Errand::Unmount(path.to_owned(), how).run(limit) {
        End::Done(_) => Heard::Done,
        End::Failed(fault) => Heard::Refused(Errno::from_raw(fault.code)),
        End::Silent(_) => Heard::Silent,
    }
}

/// What is to be told at the end.
#[derive(Debug, Default)]
struct Tale {
    /// Who keeps it busy has been said.
    named: bool,
    /// The last plain one did not come back from the kernel.
    unfinished: bool,
    roughest: Option<How>,
}

impl Tale {
    fn hear(&mut self, path: &Path, how: How, heard: Heard, deadline: Deadline, say: &mut impl FnMut(String)) {
        self.unfinished = how == How::Plain && heard == Heard::Silent;
        self.roughest = self.roughest.max(Some(how));
        if (how, heard) == (How::Plain, Heard::Refused(Errno::EBUSY)) && !self.named {
            self.named = true;
            say(format!("{} is busy, {}", path.display(), holders::named(path, deadline.left() / 4)));
        }
    }

    fn gone(&self, target: &Path, mounts: &[Mount]) -> Result<String, Failure> {
        let what = match self.roughest {
            Some(How::Force) => "is unmounted, its server was cut off",
            Some(How::Detach) => "is detached; whoever still uses it keeps what he has open",
            _ => "is unmounted",
        };
        if self.unfinished {
            let why = "is out of the way, but the kernel still writes it back; wait before its power is cut";
            return Err(Failure::Temporary(format!("{} {why}", target.display())));
        }
        let trigger = table::covering(mounts, target).filter(|mount| mount.is_trigger());
        let stays = trigger.map(|mount| format!("; the automounter's trigger on {} stays", mount.target.display()));
        Ok(format!("{} {what}{}", target.display(), stays.unwrap_or_default()))
    }
}

fn given_up(target: &Path, obstacle: Option<&Obstacle>, deadline: Deadline) -> Failure {
    let still = |path: &Path, why: &str| format!("{} is still mounted: {} {why}", target.display(), path.display());
    match obstacle {
        Some(Obstacle::Busy(path)) => {
            let who = holders::named(path, deadline.left().max(SHORTEST));
            Failure::Temporary(still(path, &format!("is busy, {who}")))
        }
        Some(Obstacle::Silent(path)) => {
            Failure::Temporary(still(path, "did not come back from the kernel; if its server is dead, use --lazily"))
        }
        Some(Obstacle::Refused(_, Errno::EPERM)) => {
            Failure::Permanent(format!("{} can be unmounted by root only", target.display()))
        }
        Some(Obstacle::Refused(path, errno)) => Failure::Temporary(still(path, errno.desc())),
        None => Failure::Temporary(format!("{} is still mounted: the time was too short", target.display())),
    }
}
