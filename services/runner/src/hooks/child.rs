//! One hook as one process in a group of its own, from its start to its end. However it behaves, the time it costs us is
//! bounded: its deadline, then SIGTERM and [`super::Limits::kill_after`], then SIGKILL and [`LAST_WAIT`].

use super::output::{Flow, Lines};
use super::trace::Trace;
use super::{Hook, legacy};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use protocol::hook::{VARIABLE_ATTEMPT, VARIABLE_DEADLINE};
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// How long we go on reading after the hook itself has ended. Something it left running may hold the other end.
const DRAIN: Duration = Duration::from_millis(200);
/// How long a process may take to die of SIGKILL. One that hangs inside the kernel, on a dead mount, never does.
const LAST_WAIT: Duration = Duration::from_millis(500);
/// How often we look whether the last of a group has gone.
const LOOK: Duration = Duration::from_millis(10);
/// How often a program that is just being written is tried, a [`LOOK`] apart.
const BUSY_TRIES: u32 = 20;

/// One attempt of one hook.
pub(super) struct Attempt<'a> {
    pub(super) hook: &'a Hook,
    pub(super) program: &'a Path,
    pub(super) number: u32,
    pub(super) environment: &'a [(OsString, OsString)],
    pub(super) stdin: &'a [u8],
    /// From now until SIGTERM.
    pub(super) time: Duration,
    pub(super) kill_after: Duration,
    pub(super) cancel: &'a CancellationToken,
    pub(super) trace: Option<&'a Path>,
}

/// How an attempt ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself, or by somebody else's signal.
    Exited(ExitStatus),
    /// We ended it, since its time was over.
    TimedOut,
    /// We ended it, since it was overtaken.
    Cancelled,
    /// It never began.
    NotStarted(io::Error),
}

impl Attempt<'_> {
    /// Runs it; lines that an old script writes to descriptor 7 go to `text`.
    pub(super) async fn run(&self, text: impl FnMut(String)) -> End {
        let deadline = Instant::now() + self.time;
        let trace = self.trace.map(|path| Trace::leave(path, &self.hook.name));
        match self.start(trace.as_ref()).await {
            Ok((child, socket)) => self.attend(child, socket, deadline, text).await,
            Err(why) => End::NotStarted(why),
        }
    }

    async fn start(&self, trace: Option<&Trace<'_>>) -> io::Result<(Child, Option<UnixStream>)> {
        let (mut command, socket) = self.command()?;
        command.envs(trace.map(Trace::variable));
        for _ in 1..BUSY_TRIES {
            match command.spawn() {
                Err(why) if why.raw_os_error() == Some(Errno::ETXTBSY as i32) => sleep(LOOK).await,
                started => return Ok((started?, socket)),
            }
        }
        Ok((command.spawn()?, socket))
    }

    fn command(&self) -> io::Result<(Command, Option<UnixStream>)> {
        let (mut command, socket) = match self.hook.legacy_socket {
            true => self.with_socket()?,
            false => (self.plain(), None),
        };
        command.args(&self.hook.arguments).env_clear().envs(self.environment.iter().cloned());
        command.env(VARIABLE_ATTEMPT, self.number.to_string());
        // At least 1: to `timeout` and its like, 0 is no limit at all.
        command.env(VARIABLE_DEADLINE, self.time.as_secs().max(1).to_string());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        command.current_dir(self.hook.directory.as_deref().unwrap_or(Path::new("/")));
        if self.hook.legacy_socket {
            // Old scripts power off by themselves if they find it; here that is the hook `power-off`'s to do.
            command.env_remove("POWER_OFF");
        }
        Ok((command, socket))
    }

    fn plain(&self) -> Command {
        let mut command = Command::new(self.program);
        command.stdin(Stdio::piped());
        command
    }

    fn with_socket(&self) -> io::Result<(Command, Option<UnixStream>)> {
        let (ours, its) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(legacy::SOCKET_ON_6_AND_7).arg(self.program).stdin(OwnedFd::from(its));
        Ok((command, Some(UnixStream::from_std(ours)?)))
    }

    async fn attend(
        &self,
        mut child: Child,
        mut socket: Option<UnixStream>,
        deadline: Instant,
        mut text: impl FnMut(String),
    ) -> End {
        let flow = Flow::new(&self.hook.name);
        let (mut said, mut complained, mut told) = (Lines::default(), Lines::default(), Lines::default());
        let (mut stdin, mut stdout, mut stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
        let talk = async {
            tokio::join!(
                feed(stdin.take(), self.stdin),
                copy(&flow, &mut stdout, &mut said, |line| flow.log(&line)),
                copy(&flow, &mut stderr, &mut complained, |line| flow.log(&line)),
                copy(&flow, &mut socket, &mut told, &mut text),
            )
        };
        let silence = async {
            let _ = has_ended.await;
            sleep(DRAIN).await;
        };
        let life = async {
            let end = self.live(&mut child, deadline).await;
            drop(ended);
            end
        };
        let talk = async {
            tokio::select! { _ = talk => (), () = silence => () }
        };
        let (end, ()) = tokio::join!(life, talk);
        flow.rest(said, |line| flow.log(&line));
        flow.rest(complained, |line| flow.log(&line));
        flow.rest(told, text);
        flow.settle();
        end
    }

    async fn live(&self, child: &mut Child, deadline: Instant) -> End {
        let mut group = Group::of(child);
        let end = tokio::select! {
            biased;
            status = child.wait() => {
                group.let_go();
                return status.map_or_else(End::NotStarted, End::Exited);
            }
            () = self.cancel.cancelled() => End::Cancelled,
            () = sleep_until(deadline) => End::TimedOut,
        };
        group.put_down(child, self.kill_after, &self.hook.name).await;
        end
    }
}

async fn feed(stdin: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut stdin) = stdin {
        // A hook that does not read what we say is none the worse for it.
        let _ = stdin.write_all(bytes).await;
    }
}

async fn copy(flow: &Flow<'_>, from: &mut Option<impl AsyncRead + Unpin>, lines: &mut Lines, each: impl FnMut(String)) {
    if let Some(from) = from {
        flow.copy(from, lines, each).await;
    }
}

/// The process group of a hook. Dropped before the hook's end, it takes the whole group down, so that a run which is
/// itself dropped leaves nothing behind.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    fn let_go(&mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: impl Into<Option<Signal>>) -> bool {
        self.0.is_some_and(|group| killpg(group, signal).is_ok())
    }

    async fn put_down(&mut self, child: &mut Child, kill_after: Duration, name: &str) {
        self.signal(Signal::SIGTERM);
        // A stopped process hears SIGTERM only when it goes on.
        self.signal(Signal::SIGCONT);
        if timeout(kill_after, self.gone(child)).await.is_err() {
            self.signal(Signal::SIGKILL);
            if timeout(LAST_WAIT, self.gone(child)).await.is_err() {
                tracing::warn!("hook {name}: does not even die of SIGKILL and is left behind; is a mount dead?");
            }
        }
        self.let_go();
    }

    async fn gone(&self, child: &mut Child) {
        let _ = child.wait().await;
        while self.signal(None) {
            sleep(LOOK).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
