//! An outside command with a deadline. However it behaves, the time that it costs is bounded: when its time is over, its
//! process group is killed, and one that hangs in the kernel is left behind.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::{self, PipeReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How often we look whether it has ended.
const LOOK: Duration = Duration::from_millis(10);
/// How long we go on reading after its end: something that it left running may hold the other end.
const DRAIN: Duration = Duration::from_millis(200);
/// No more than this is kept of what it says.
const MOST_SAID: u64 = 64 * 1024;

/// What came of it.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard output and standard error.
    pub said: String,
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started (`NotFound` if there is no such program), or does not end in time (`TimedOut`).
pub fn run<A: AsRef<OsStr>>(program: &str, arguments: &[A], limit: Duration) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
    let mut child = command.spawn()?;
    // It holds the writing end, without which the reading end would never see the end.
    drop(command);
    let said = listen(reader);
    let status = wait(&mut child, limit)?;
    Ok(Ended { status, said: said.recv_timeout(DRAIN).unwrap_or_default() })
}

fn listen(reader: PipeReader) -> Receiver<String> {
    let (tell, said) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = reader.take(MOST_SAID).read_to_end(&mut bytes);
        let _ = tell.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    said
}

fn wait(child: &mut Child, limit: Duration) -> io::Result<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(LOOK);
    }
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    thread::sleep(LOOK);
    let _ = child.try_wait();
    Err(io::Error::new(io::ErrorKind::TimedOut, format!("not done after {} s", limit.as_secs())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_it_says_and_how_it_ends_is_told() {
        let ended = run("sh", &["-c", "echo out; echo err >&2; exit 3"], LONG).unwrap();
        assert_eq!((ended.status.code(), ended.said.as_str()), (Some(3), "out\nerr\n"));
    }

    #[test]
    fn one_that_hangs_is_ended_with_all_its_children() {
        let scratch = tempfile::tempdir().unwrap();
        let text = format!("sleep 600 & echo $! > {}/pid; wait", scratch.path().display());
        let why = run("sh", &["-c", &text], Duration::from_millis(500)).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::TimedOut);
        let pid = std::fs::read_to_string(scratch.path().join("pid")).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let began = Instant::now();
        while state().contains("(sleep) S") {
            assert!(began.elapsed() < LONG, "{}", state());
            thread::sleep(LOOK);
        }
    }

    #[test]
    fn what_it_leaves_running_holds_nobody_up() {
        let began = Instant::now();
        assert!(run("sh", &["-c", "sleep 30 &"], LONG).unwrap().status.success());
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(run("/nowhere/x", &[""; 0], LONG).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
