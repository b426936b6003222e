//! One process in a group of its own, with its output in files. Dropped, it is ended: TERM, and KILL soon after.

use super::{PATIENCE, World, read};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a process may take to end when nobody waits for it any more.
const LAST_CHANCE: Duration = Duration::from_millis(500);

/// A running process, or one that has ended.
#[derive(Debug)]
pub struct Process {
    world: World,
    child: Child,
    status: Option<ExitStatus>,
    error: PathBuf,
    output: PathBuf,
}

impl Process {
    /// Starts it; standard error goes to `<path>.log`, standard output to `<path>.out.log`, both appended.
    pub fn start(world: &World, command: &mut Command, path: &Path) -> Self {
        let (error, output) = (path.with_extension("log"), path.with_extension("out.log"));
        command.stdin(Stdio::null()).stderr(append(&error)).stdout(append(&output)).process_group(0);
        let child = command.spawn().unwrap_or_else(|why| panic!("cannot start {command:?}: {why}"));
        Self { world: world.clone(), child, status: None, error, output }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("process ids are small"))
    }

    /// What it has written to standard error, over all its runs.
    pub fn log(&self) -> String {
        read(&self.error)
    }

    /// What it has written to standard output.
    pub fn output(&self) -> String {
        read(&self.output)
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let _ = kill(self.pid(), signal);
        }
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child can be waited for");
        }
        self.status
    }

    fn ends_within(&mut self, span: Duration) -> bool {
        let start = Instant::now();
        while self.ended().is_none() && start.elapsed() < span {
            thread::sleep(Duration::from_millis(2));
        }
        self.ended().is_some()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.ended().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        let (world, pid) = (self.world.clone(), self.pid());
        world.until_within(2 * PATIENCE, &format!("process {pid} ({}) ends", self.error.display()), || {
            self.ended().is_some()
        });
        self.status.expect("it has just ended")
    }

    /// Sends a signal and waits for the end.
    #[track_caller]
    pub fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait_exit()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        if !self.ends_within(LAST_CHANCE) {
            let _ = killpg(self.pid(), Signal::SIGKILL);
            // One that hangs in the kernel is left behind rather than waited for.
            self.ends_within(LAST_CHANCE);
        }
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the scratch directory can be written")
}
