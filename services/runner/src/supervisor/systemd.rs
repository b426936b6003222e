//! What systemd is about to do: with the whole machine, and with the unit that this process belongs to. Asked by
//! `systemctl`, since that is there wherever systemd is; a command that hangs is killed, and the gap is told.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// What systemd does with the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// As in `running`, `degraded`, `stopping`.
    pub state: String,
    /// If it is stopping: the target that leads to a new start.
    pub starts_again: Option<&'static str>,
}

/// Targets after which a machine is back (systemd.special(7)).
const STARTS_AGAIN: [&str; 3] = ["reboot.target", "kexec.target", "soft-reboot.target"];

/// What stands for the target if systemd does not tell it.
const UNKNOWN: &str = "a target that could not be found out";

/// A unit of systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name, as in `fserver.service`.
    pub name: String,
    /// What systemd is doing to it.
    pub job: Job,
}

/// What systemd is doing to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Nothing that it would list.
    None,
    /// Stopping it, to start it again.
    Restart,
    /// Stopping it.
    Stop,
}

/// How long one command may take. While a small machine goes down, all its services end at once, and systemctl takes seconds
/// there; without its answer a reboot would be taken for a shutdown, and clients would power off.
const ANSWER: Duration = Duration::from_secs(4);

/// Where systemd is to be found.
pub(super) struct Systemd<'a> {
    systemctl: &'a str,
    /// This folder exists if systemd is the machine's init (sd_booted(3)).
    marker: PathBuf,
    /// The control group of this process.
    cgroup: PathBuf,
    /// Whether systemd says that it started us (systemd.exec(5)).
    invoked: bool,
}

impl<'a> Systemd<'a> {
    pub(super) fn of_this_machine(systemctl: &'a str) -> Systemd<'a> {
        Systemd {
            systemctl,
            marker: "/run/systemd/system".into(),
            cgroup: "/proc/self/cgroup".into(),
            invoked: std::env::var_os("INVOCATION_ID").is_some(),
        }
    }

    /// The state of the machine.
    pub(super) async fn system(&self) -> Result<Option<System>, String> {
        if !self.marker.is_dir() {
            return Ok(None);
        }
        let said = self.ask(&["is-system-running"]).await?;
        let Some(state) = said.split_whitespace().next().map(String::from) else {
            return Err(format!("{} is-system-running said nothing", self.systemctl));
        };
        let starts_again = if state == "stopping" { self.starts_again().await } else { None };
        Ok(Some(System { state, starts_again }))
    }

    /// Without an answer nobody is powered off.
    async fn starts_again(&self) -> Option<&'static str> {
        match self.jobs().await {
            Ok(jobs) => STARTS_AGAIN.into_iter().find(|target| has_start_job(&jobs, target)),
            Err(_) => Some(UNKNOWN),
        }
    }

    async fn jobs(&self) -> Result<String, String> {
        self.ask(&["list-jobs", "--no-legend", "--plain"]).await
    }

    /// The unit that we are in, and its job.
    pub(super) async fn unit(&self) -> Result<Option<Unit>, String> {
        let Some(name) = self.name().filter(|_| self.invoked && self.marker.is_dir()) else { return Ok(None) };
        let jobs = self.jobs().await?;
        Ok(Some(Unit { job: job(&jobs, &name), name }))
    }

    fn name(&self) -> Option<String> {
        unit_name(&std::fs::read_to_string(&self.cgroup).ok()?)
    }

    /// What the command prints, whatever it exits with: `is-system-running` fails unless all is well.
    async fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let shown = format!("{} {}", self.systemctl, arguments.join(" "));
        let mut command = Command::new(Path::new(self.systemctl));
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        match timeout(ANSWER, command.output()).await {
            Ok(Ok(output)) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Ok(Err(why)) => Err(format!("{shown} could not be run ({why}); is SYSTEMCTL right?")),
            Err(_) => Err(format!("{shown} gave no answer in {} s", ANSWER.as_secs())),
        }
    }
}

/// The innermost service in lines such as `0::/system.slice/fserver.service`.
fn unit_name(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::").or(line.strip_prefix("1:name=systemd:")))?;
    path.rsplit('/').find(|part| part.ends_with(".service")).map(String::from)
}

/// The job in lines such as `123 fserver.service restart running`.
fn job(jobs: &str, unit: &str) -> Job {
    match kind_of_job(jobs, unit) {
        Some("restart" | "try-restart") => Job::Restart,
        Some("stop") => Job::Stop,
        _ => Job::None,
    }
}

fn has_start_job(jobs: &str, unit: &str) -> bool {
    kind_of_job(jobs, unit) == Some("start")
}

fn kind_of_job<'a>(jobs: &'a str, unit: &str) -> Option<&'a str> {
    jobs.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        (words.next() == Some(unit)).then(|| words.next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    const JOBS: &str = "  12 fserver.service restart running\n  13 nfs-server.service stop waiting\n";

    /// A machine with systemd, on which `systemctl` is a shell script.
    fn machine(dir: &Path, script: &str) -> (String, PathBuf, PathBuf) {
        let (systemctl, cgroup) = (dir.join("systemctl"), dir.join("cgroup"));
        fs::write(&systemctl, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(&cgroup, "0::/system.slice/fserver.service\n").unwrap();
        (systemctl.display().to_string(), dir.into(), cgroup)
    }

    #[test]
    fn the_unit_is_the_innermost_service_of_the_control_group() {
        assert_eq!(unit_name("0::/system.slice/fserver.service\n").as_deref(), Some("fserver.service"));
        assert_eq!(unit_name("0::/system.slice/fserver.service/hooks\n").as_deref(), Some("fserver.service"));
        assert_eq!(unit_name("4:cpu:/x\n1:name=systemd:/system.slice/a.service\n").as_deref(), Some("a.service"));
        assert_eq!(unit_name("0::/user.slice/session-2.scope\n"), None);
    }

    #[test]
    fn a_job_is_found_by_the_whole_name_of_its_unit() {
        assert_eq!(job(JOBS, "fserver.service"), Job::Restart);
        assert_eq!(job(JOBS, "nfs-server.service"), Job::Stop);
        assert_eq!(job(JOBS, "server.service"), Job::None);
        assert_eq!(job("No jobs running.\n", "fserver.service"), Job::None);
        assert_eq!(job("1 fserver.service start waiting", "fserver.service"), Job::None);
    }

    #[tokio::test]
    async fn systemctl_is_asked_and_its_exit_code_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let script =
            "case $1 in is-system-running) echo stopping; exit 1;; *) echo ' 7 fserver.service stop running';; esac";
        let (systemctl, marker, cgroup) = machine(dir.path(), script);
        let systemd = Systemd { systemctl: &systemctl, marker, cgroup, invoked: true };
        assert_eq!(systemd.system().await, Ok(Some(System { state: "stopping".into(), starts_again: None })));
        assert_eq!(systemd.unit().await, Ok(Some(Unit { name: "fserver.service".into(), job: Job::Stop })));
        assert_eq!(Systemd { invoked: false, ..systemd }.unit().await, Ok(None));
    }

    #[tokio::test]
    async fn a_machine_that_starts_again_is_told_from_one_that_goes() {
        let dir = tempfile::tempdir().unwrap();
        let script = "case $1 in is-system-running) echo stopping;; *) echo ' 7 reboot.target start waiting';; esac";
        let (systemctl, marker, cgroup) = machine(dir.path(), script);
        let systemd = Systemd { systemctl: &systemctl, marker, cgroup, invoked: true };
        assert_eq!(systemd.system().await.unwrap().unwrap().starts_again, Some("reboot.target"));
    }

    #[tokio::test]
    async fn a_machine_that_goes_nobody_knows_where_to_powers_nobody_off() {
        let dir = tempfile::tempdir().unwrap();
        let script = "case $1 in is-system-running) echo stopping;; *) exec sleep 60;; esac";
        let (systemctl, marker, cgroup) = machine(dir.path(), script);
        let systemd = Systemd { systemctl: &systemctl, marker, cgroup, invoked: true };
        assert_eq!(systemd.system().await.unwrap().unwrap().starts_again, Some(UNKNOWN));
    }

    #[tokio::test]
    async fn a_command_that_hangs_or_is_missing_is_a_gap() {
        let dir = tempfile::tempdir().unwrap();
        let (systemctl, marker, cgroup) = machine(dir.path(), "exec sleep 60");
        let systemd = Systemd { systemctl: &systemctl, marker, cgroup, invoked: true };
        let gap = systemd.system().await.unwrap_err();
        assert!(gap.ends_with("systemctl is-system-running gave no answer in 4 s"), "{gap}");
        let gap = Systemd { systemctl: "/nowhere/systemctl", ..systemd }.unit().await.unwrap_err();
        assert!(gap.contains("is SYSTEMCTL right?"), "{gap}");
    }

    #[tokio::test]
    async fn without_systemd_nothing_is_asked() {
        let systemd = Systemd {
            systemctl: "/nowhere/systemctl",
            marker: "/nowhere".into(),
            cgroup: "/proc/self/cgroup".into(),
            invoked: true,
        };
        assert_eq!((systemd.system().await, systemd.unit().await), (Ok(None), Ok(None)));
    }
}
