//! A process of ours: killed and reaped when its value goes, and never signalled after that.

use super::{cleanup, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

/// A process that we started and have not reaped.
pub struct Started {
    child: Child,
    name: String,
}

impl Started {
    /// Starts it; the error names the program.
    pub fn new(mut command: Command) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null());
        let cannot = |why: io::Error| io::Error::new(why.kind(), format!("cannot start {name}: {why}"));
        let child = cleanup::start(&mut command).map_err(cannot)?;
        Ok(Self { child, name })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Sends a signal; not reaped, so the number is still its own.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(Pid::from_raw(self.pid()), signal)?)
    }

    /// Waits for its end.
    pub fn ended(&mut self, limit: Duration) -> io::Result<ExitStatus> {
        let wish = format!("the end of {} {}", self.name, self.pid());
        wait::until(&wish, limit, || self.child.try_wait())
    }

    /// Ends it at once.
    pub fn kill(&mut self) -> io::Result<()> {
        let _ = self.child.kill();
        self.child.wait()?;
        cleanup::gone(self.pid());
        Ok(())
    }

    /// Its standard output, if it was piped.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its log, if it was piped.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Reads lines for as long as there are any and hands on those that mean something, as a log keeper would; the
/// process never blocks on its log.
pub fn lines<T: Send + 'static>(
    from: impl Read + Send + 'static,
    mut meaning: impl FnMut(&str) -> Option<T> + Send + 'static,
) -> Receiver<T> {
    let (found, results) = mpsc::channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if let Some(thing) = meaning(String::from_utf8_lossy(&line).trim_end()) {
                let _ = found.send(thing);
            }
            line.clear();
        }
    });
    results
}
