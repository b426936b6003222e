//! The trace of the hook that runs, in a file: a hook outlives the program that started it, if that was killed, and
//! nobody must find two of the same hook at work. So the next run of the program ends the orphan before it goes on.
//!
//! The trace is a random number, on the disk before the hook begins, that the hook finds in its environment. The orphan
//! is the leader of a process group with that number; a daemon that a hook has started leads a session, and is left alone.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The variable that holds the number of the attempt.
const VARIABLE: &str = "PISTOP_RUN";
/// How often an orphan is looked at while it ends.
const LOOK: Duration = Duration::from_millis(20);

/// A file that exists as long as the hook runs.
#[derive(Debug)]
pub(super) struct Trace<'a> {
    path: &'a Path,
    mark: String,
}

impl<'a> Trace<'a> {
    /// Leaves it; without it a hook still runs, so a full disk is only told.
    pub(super) fn leave(path: &'a Path, hook: &str) -> Self {
        let mark = format!("{VARIABLE}={:016x}", fastrand::u64(..));
        if let Err(why) = fs::write(path, format!("{mark} {hook}\n")) {
            tracing::warn!("cannot note in {} that {hook} runs: {why}", path.display());
        }
        Self { path, mark }
    }

    /// What the hook must find in its environment: name and value.
    pub(super) fn variable(&self) -> (&str, &str) {
        self.mark.split_once('=').expect("a mark is a name and a value")
    }
}

impl Drop for Trace<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path);
    }
}

/// Ends the hook that an earlier run of this program left behind, if there is one: TERM to its group, and KILL when
/// `kill_after` has passed.
pub async fn end_orphan(trace: &Path, kill_after: Duration) {
    let Ok(text) = fs::read_to_string(trace) else { return };
    let (mark, hook) = text.trim().split_once(' ').unwrap_or_default();
    let deadline = Instant::now() + kill_after;
    let mut signal = Signal::SIGTERM;
    while let Some(group) = orphan(mark).filter(|_| Instant::now() < deadline + kill_after) {
        if signal == Signal::SIGTERM {
            tracing::warn!("hook {hook}: left behind by an earlier run, and ended");
            let _ = killpg(group, Signal::SIGTERM).and_then(|()| killpg(group, Signal::SIGCONT));
            signal = Signal::SIGKILL;
        } else if Instant::now() > deadline {
            let _ = killpg(group, signal);
        }
        sleep(LOOK).await;
    }
    let _ = fs::remove_file(trace);
}

/// The process group of the hook with this mark, if it still lives.
fn orphan(mark: &str) -> Option<Pid> {
    let marked = mark.starts_with(VARIABLE);
    let processes = fs::read_dir("/proc").ok()?.flatten().filter(|_| marked);
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|&pid| has(pid, mark) && leads_a_group_only(pid) == Some(true)).map(Pid::from_raw).next()
}

fn has(pid: i32, mark: &str) -> bool {
    let environment = fs::read(PathBuf::from(format!("/proc/{pid}/environ"))).unwrap_or_default();
    environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
}

/// Whether a living process leads its group but no session: proc(5), fields 3, 5 and 6 of `stat`.
fn leads_a_group_only(pid: i32) -> Option<bool> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').take(4).collect();
    let [state, _parent, group, session] = fields[..] else { return None };
    Some(state != "Z" && group.parse() == Ok(pid) && session.parse() != Ok(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    fn marked(trace: &Trace<'_>, text: &str) -> Child {
        let (name, value) = trace.variable();
        let mut command = Command::new("sh");
        command.args(["-c", text]).env(name, value).stdout(Stdio::null()).process_group(0);
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn an_orphan_is_ended_though_it_ignores_sigterm() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("hook");
        let trace = Trace::leave(&path, "server-stopping/10-hang");
        let mut child = marked(&trace, "trap '' TERM; while :; do sleep 0.05; done");
        std::mem::forget(trace);
        end_orphan(&path, Duration::from_millis(200)).await;
        assert!(child.try_wait().unwrap().is_some() && !path.exists());
    }

    #[tokio::test]
    async fn other_processes_and_daemons_of_the_hook_are_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("hook");
        let mut other = marked(&Trace::leave(&path, "server-up/20-another-attempt"), "exec sleep 60");
        let trace = Trace::leave(&path, "server-up/20-start-player");
        let (began, pid_file) = (Instant::now(), scratch.path().join("pid"));
        let mut hook =
            marked(&trace, &format!("setsid sh -c 'echo $$ > {}; exec sleep 60' & wait", pid_file.display()));
        std::mem::forget(trace);
        let daemon = loop {
            assert!(began.elapsed() < Duration::from_secs(10), "the daemon did not begin");
            match fs::read_to_string(&pid_file).unwrap_or_default().trim().parse() {
                Ok(pid) => break Pid::from_raw(pid),
                Err(_) => sleep(LOOK).await,
            }
        };
        end_orphan(&path, Duration::from_millis(200)).await;
        assert!(hook.wait().unwrap().code().is_none(), "the hook itself is ended");
        assert!(other.try_wait().unwrap().is_none());
        nix::sys::signal::kill(daemon, Signal::SIGKILL).expect("the daemon lives on");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_trace_lasts_as_long_as_its_hook() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("hook");
        let trace = Trace::leave(&path, "server-up/20-x");
        assert!(fs::read_to_string(&path).unwrap().ends_with(" server-up/20-x\n"));
        drop(trace);
        assert!(!path.exists());
    }
}
