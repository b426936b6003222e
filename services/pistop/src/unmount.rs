//! `pistop unmount`: disks of this machine, written back and unmounted. Plainly, unless a flag says otherwise: what is
//! torn from its users may lose what they have not yet written.

use clap::Args;
use mounts::deadline::{Deadline, seconds, whole};
use mounts::policy::Policy;
use mounts::unmount::{Job, plan, unmount};
use protocol::hook::VARIABLE_DEADLINE;
use runner::exit::Failure;
use std::path::PathBuf;
use std::time::Duration;

/// What each directory gets, though the ones before it took all the time.
const LEAST: Duration = Duration::from_secs(1);

/// The flags of `unmount`.
#[derive(Debug, Args)]
pub struct UnmountFlags {
    /// The directories
    #[arg(required = true, value_name = "DIR")]
    pub dirs: Vec<PathBuf>,
    /// Seconds for all of them; otherwise a second less than the hook has, or 20
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub deadline: Option<Duration>,
    /// If it stays busy, detach it
    #[arg(long)]
    pub force: bool,
    /// Detach it at once
    #[arg(long, conflicts_with = "force")]
    pub lazily: bool,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

impl UnmountFlags {
    fn job(&self, target: PathBuf, time: Duration) -> Job {
        let policy = match (self.lazily, self.force) {
            (true, _) => Policy::Lazy,
            (false, true) => Policy::Forcing,
            (false, false) => Policy::Patient,
        };
        Job { target, policy, time, sync: !self.lazily }
    }
}

/// Unmounts one after the other; one that stays does not keep the others.
pub fn run(flags: &UnmountFlags) -> Result<(), Failure> {
    let deadline = Deadline::after(whole(flags.deadline, std::env::var(VARIABLE_DEADLINE).ok().as_deref()));
    let mut stayed = Vec::new();
    for dir in &flags.dirs {
        let job = flags.job(dir.clone(), deadline.left().max(LEAST));
        stayed.extend(one(&job, flags.dry_run).err());
    }
    summary(stayed)
}

fn one(job: &Job, dry_run: bool) -> Result<(), Failure> {
    match dry_run {
        true => plan(job).map(|lines| lines.iter().for_each(|line| println!("{line}"))),
        false => unmount(job, |line| println!("{line}")).map(|sentence| println!("{sentence}")),
    }
}

/// It is worth another attempt if one of them may go the next time.
fn summary(stayed: Vec<Failure>) -> Result<(), Failure> {
    let words = stayed.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    match stayed.iter().any(|failure| matches!(failure, Failure::Temporary(_))) {
        _ if stayed.is_empty() => Ok(()),
        true => Err(Failure::Temporary(words)),
        false => Err(Failure::Permanent(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_worth_another_attempt_if_one_of_them_may_go() {
        let (busy, wrong) = (|| Failure::Temporary("busy".into()), || Failure::Permanent("wrong".into()));
        assert_eq!(summary(vec![]), Ok(()));
        assert_eq!(summary(vec![busy(), busy()]), Err(Failure::Temporary("busy; busy".into())));
        assert_eq!(summary(vec![busy(), wrong()]), Err(Failure::Temporary("busy; wrong".into())));
        assert_eq!(summary(vec![wrong()]), Err(Failure::Permanent("wrong".into())));
    }
}
