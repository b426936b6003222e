//! The trace of the hook that runs, in a file: a hook outlives the program that started it, if that was killed, and
//! nobody must find two of the same hook at work. So the next run of the program ends the orphan before it goes on.
//!
//! A process is known by its id, the tick of the clock at which it began (proc(5), field 22 of `stat`), and the boot.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How often an orphan is looked at while it ends.
const LOOK: Duration = Duration::from_millis(20);

/// A file that exists as long as the hook runs.
#[derive(Debug)]
pub(super) struct Trace<'a>(&'a Path);

impl<'a> Trace<'a> {
    /// Leaves it; without it a hook still runs, so a full disk is only told.
    pub(super) fn leave(path: &'a Path, pid: u32, hook: &str) -> Self {
        let text = i32::try_from(pid).ok().and_then(born).map(|born| format!("{} {pid} {born} {hook}\n", boot()));
        if let Err(why) = fs::write(path, text.unwrap_or_default()) {
            tracing::warn!("cannot note in {} that {hook} runs: {why}", path.display());
        }
        Self(path)
    }
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}

/// A hook that was left behind.
struct Orphan {
    group: Pid,
    born: u64,
    hook: String,
}

/// Ends the hook that an earlier run of this program left behind, if there is one: TERM to its group, and KILL when
/// `kill_after` has passed.
pub async fn end_orphan(trace: &Path, kill_after: Duration) {
    let Some(orphan) = fs::read_to_string(trace).ok().as_deref().and_then(read) else { return };
    tracing::warn!("hook {}: left behind by an earlier run, and ended", orphan.hook);
    let deadline = Instant::now() + kill_after;
    let _ = killpg(orphan.group, Signal::SIGTERM);
    let _ = killpg(orphan.group, Signal::SIGCONT);
    while orphan.lives() && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let _ = killpg(orphan.group, Signal::SIGKILL);
    while orphan.lives() && Instant::now() < deadline + kill_after {
        sleep(LOOK).await;
    }
    let _ = fs::remove_file(trace);
}

/// The orphan of which a trace tells, if it still lives.
fn read(text: &str) -> Option<Orphan> {
    let mut words = text.trim().splitn(4, ' ');
    let (of_boot, pid, born) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let orphan = Orphan { group: Pid::from_raw(pid), born, hook: words.next()?.to_owned() };
    (of_boot == boot() && pid > 1 && orphan.lives()).then_some(orphan)
}

impl Orphan {
    fn lives(&self) -> bool {
        born(self.group.as_raw()) == Some(self.born)
    }
}

/// When a process began, in ticks since boot; `None` if it is no more, or only waits to be buried.
fn born(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    fields.nth(18)?.parse().ok().filter(|_| state != "Z")
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    #[tokio::test]
    async fn an_orphan_is_ended_though_it_ignores_sigterm() {
        let scratch = tempfile::tempdir().unwrap();
        let trace = scratch.path().join("hook");
        let mut child = Command::new("sh")
            .args(["-c", "trap '' TERM; while :; do sleep 0.05; done"])
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        std::mem::forget(Trace::leave(&trace, child.id(), "server-stopping/10-hang"));
        end_orphan(&trace, Duration::from_millis(200)).await;
        assert!(child.try_wait().unwrap().is_some() && !trace.exists());
    }

    #[tokio::test]
    async fn a_process_that_merely_has_the_same_id_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let trace = scratch.path().join("hook");
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let pid = child.id();
        let born = born(i32::try_from(pid).unwrap()).unwrap();
        for text in [format!("{} {pid} {} x", boot(), born + 1), format!("another-boot {pid} {born} x"), "noise".into()]
        {
            fs::write(&trace, text).unwrap();
            end_orphan(&trace, Duration::from_millis(50)).await;
            assert!(child.try_wait().unwrap().is_none());
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_trace_lasts_as_long_as_its_hook() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("hook");
        let trace = Trace::leave(&path, std::process::id(), "server-up/20-x");
        assert!(fs::read_to_string(&path).unwrap().ends_with(" server-up/20-x\n"));
        drop(trace);
        assert!(!path.exists());
    }
}
