//! One event's hooks, one after another, and what follows from the way each ends: 0 is done, 111 is tried again with
//! growing pauses, anything else has failed. Whether the next one still runs is for [`HookEvent`] to say.

use super::child::{Attempt, End};
use super::{Ending, Hook, Limits, Report, Run};
use crate::retry::Backoff;
use nix::errno::Errno;
use protocol::hook::EXIT_TEMPORARY;
use protocol::message::{HookOutcome, HookResult};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The pause before the second attempt of a hook that exits 111.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// Runs the hooks of an event in their order. Each end is logged here; `report` is for who else wants to know.
/// After each beginning and end the run yields once: whoever polls it after he has looked at the reports has written
/// down the end of one hook before the next one begins.
///
/// Cancelling ends the hook that runs (SIGTERM, then SIGKILL) before this returns. Dropping the future kills it.
pub async fn run(run: Run, cancel: CancellationToken, report: impl FnMut(Report)) -> Ending {
    paced(run, cancel, FIRST_PAUSE, report).await
}

async fn paced(run: Run, cancel: CancellationToken, pause: Duration, mut report: impl FnMut(Report)) -> Ending {
    let mut ending = Ending::AllDone;
    for hook in &run.hooks {
        if cancel.is_cancelled() {
            return Ending::Cancelled;
        }
        let started = Instant::now();
        let result = Course { run: &run, hook, cancel: &cancel }.result(pause, &mut report).await;
        let outcome = HookOutcome { hook: hook.name.clone(), result: result.clone(), took: started.elapsed() };
        log(&outcome);
        report(Report::Ended(outcome));
        tokio::task::yield_now().await;
        match result {
            HookResult::Done => {}
            HookResult::Cancelled => return Ending::Cancelled,
            _ if !run.event.goes_on_after(&hook.name) => return Ending::SomeFailed,
            _ => ending = Ending::SomeFailed,
        }
    }
    ending
}

fn log(outcome: &HookOutcome) {
    let (hook, result, took) = (&outcome.hook, &outcome.result, outcome.took.as_secs_f64());
    match result {
        HookResult::Done | HookResult::Cancelled => tracing::info!("hook {hook}: {result} after {took:.1} s"),
        _ => tracing::warn!("hook {hook}: {result} after {took:.1} s"),
    }
}

/// One hook with all its attempts.
struct Course<'a> {
    run: &'a Run,
    hook: &'a Hook,
    cancel: &'a CancellationToken,
}

/// What one attempt leads to.
enum Step {
    /// The end.
    Over(HookResult),
    /// Another attempt; this result, if there can be none.
    Again(HookResult),
}

impl Course<'_> {
    async fn result(&self, pause: Duration, report: &mut impl FnMut(Report)) -> HookResult {
        if let Some(fault) = &self.hook.fault {
            return HookResult::NotRun(fault.clone());
        }
        let mut backoff = Backoff::new(pause, LAST_PAUSE);
        let mut result =
            HookResult::NotRun("no time was left for it; give the hooks before it less, or all more".into());
        for attempt in 1.. {
            let Some((time, kill_after)) = self.run.limits.shares() else { break };
            result = match self.attempt(attempt, time, kill_after, report).await {
                Step::Over(result) => return result,
                Step::Again(result) => result,
            };
            let pause = backoff.next();
            if !self.run.limits.allow_another(attempt, pause) {
                break;
            }
            tokio::select! {
                () = self.cancel.cancelled() => return HookResult::Cancelled,
                () = tokio::time::sleep(pause) => {}
            }
        }
        result
    }

    async fn attempt(
        &self,
        number: u32,
        time: Duration,
        kill_after: Duration,
        report: &mut impl FnMut(Report),
    ) -> Step {
        report(Report::Started { hook: self.hook.name.clone(), attempt: number });
        tokio::task::yield_now().await;
        let program = self.run.drill.as_deref().unwrap_or(&self.hook.program);
        let attempt = Attempt {
            hook: self.hook,
            program,
            number,
            environment: &self.run.environment,
            stdin: &self.run.stdin,
            time,
            kill_after,
            cancel: self.cancel,
            trace: self.run.trace.as_deref(),
        };
        match attempt.run(|line| report(Report::Text(line))).await {
            End::Exited(status) => after_exit(status),
            End::TimedOut => Step::Over(HookResult::TimedOut),
            End::Cancelled => Step::Over(HookResult::Cancelled),
            End::NotStarted(why) => after_no_start(program, self.hook.directory.as_deref(), &why),
        }
    }
}

impl Limits {
    /// The time until SIGTERM and the time from there to SIGKILL, of a hook that starts now; `None` if `until` is over.
    fn shares(&self) -> Option<(Duration, Duration)> {
        let Some(until) = self.until else { return Some((self.per_hook, self.kill_after)) };
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let kill_after = self.kill_after.min(left / 2);
        Some((self.per_hook.min(left - kill_after), kill_after))
    }

    fn allow_another(&self, attempts: u32, pause: Duration) -> bool {
        self.temporary_attempts.is_none_or(|most| attempts < most)
            && self.until.is_none_or(|until| Instant::now() + pause < until)
    }
}

fn after_exit(status: ExitStatus) -> Step {
    match (status.code(), status.signal()) {
        (Some(0), _) => Step::Over(HookResult::Done),
        (Some(EXIT_TEMPORARY), _) => Step::Again(HookResult::GaveUp),
        (Some(code), _) => Step::Over(HookResult::Failed(code)),
        (None, signal) => Step::Over(HookResult::Signal(signal.unwrap_or_default())),
    }
}

fn after_no_start(program: &Path, directory: Option<&Path>, why: &io::Error) -> Step {
    let shown = program.display();
    let errno = Errno::from_raw(why.raw_os_error().unwrap_or_default());
    let not_run = |text: String| HookResult::NotRun(text);
    match errno {
        Errno::ETXTBSY | Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => {
            Step::Again(not_run(format!("{shown}: {why}; is somebody writing to it, or the machine full?")))
        }
        Errno::ENOENT => Step::Over(not_run(missing(program, directory))),
        Errno::ENOEXEC => {
            Step::Over(not_run(format!("{shown} is no program; give it a first line such as `#!/bin/sh`")))
        }
        Errno::EACCES => {
            let rights = "give it and its interpreter run bits, on a disk that is not mounted noexec";
            Step::Over(not_run(format!("{shown} may not be run; {rights}")))
        }
        _ => Step::Over(not_run(format!("{shown}: {why}; run it by hand to see why"))),
    }
}

/// The kernel has one word for a program, an interpreter and a working directory that are not there.
fn missing(program: &Path, directory: Option<&Path>) -> String {
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        return format!("its directory {} is gone; make it again", directory.display());
    }
    let shown = program.display();
    match interpreter(program) {
        None => format!("{shown} is gone; put it back"),
        Some(line) => format!("{shown} begins with `{line}`, which is not there; install it or change the line"),
    }
}

fn interpreter(program: &Path) -> Option<String> {
    let mut line = Vec::new();
    BufReader::new(File::open(program).ok()?.take(256)).read_until(b'\n', &mut line).ok()?;
    Some(protocol::name::printable(line.trim_ascii_end()))
}

#[cfg(test)]
mod tests;
