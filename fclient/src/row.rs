//! One row of hooks: which ones, with what environment and on which input, and what happens while they run.
//!
//! Whether this machine may power off is settled before, and only the hooks of `power-off` are told how.

use crate::config::Config;
use crate::machine::{Input, Run};
use protocol::Cause;
use protocol::hook::{self, HookEvent};
use protocol::message::{HookOutcome, HookResult};
use runner::hooks::{self, Hook, KILL_AFTER, Limits, Report};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// However late it was told, a client has this long to let go.
const LEAST: Duration = Duration::from_secs(5);
/// What only the hooks of `power-off` see.
const POWER_OFF_COMMAND: &str = "POWER_OFF_COMMAND";

/// A row under way. It goes on only while [`Row::next`] is waited for.
pub struct Row {
    cancel: CancellationToken,
    inputs: UnboundedReceiver<Input>,
    hooks: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Row {
    /// Begins it. `until` is when the server waits no longer.
    pub fn begin(config: &Config, run: &Run, until: Option<Instant>) -> Self {
        let (tell, inputs) = unbounded_channel();
        let cancel = CancellationToken::new();
        let hooks = match plan(config, run, until) {
            Ok(plan) => Some(perform(plan, cancel.clone(), tell)),
            Err(why) => {
                tracing::error!("{why}");
                let (hook, result) = (run.event.name().into(), HookResult::NotRun(why));
                let _ = tell.send(Input::HookEnded(HookOutcome { hook, result, took: Duration::ZERO }));
                None
            }
        };
        Self { cancel, inputs, hooks }
    }

    /// Ends it; what it still has to say comes from [`Row::next`].
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// What happens next. Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Input {
        loop {
            let hooks = async {
                match &mut self.hooks {
                    Some(hooks) => hooks.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                input = self.inputs.recv() => return input.unwrap_or(Input::RunEnded),
                () = hooks => self.hooks = None,
            }
        }
    }
}

fn perform(
    plan: hooks::Run,
    cancel: CancellationToken,
    tell: UnboundedSender<Input>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        // Nobody listens any more only when the whole program ends.
        hooks::run(plan, cancel, |report| drop(tell.send(input(report)))).await;
    })
}

fn input(report: Report) -> Input {
    match report {
        Report::Started { hook, attempt } => Input::HookBegan(hook, attempt),
        Report::Text(text) => Input::HookSaid(text),
        Report::Ended(outcome) => Input::HookEnded(outcome),
    }
}

/// The hooks of an event, as they would run.
///
/// # Errors
/// A directory of hooks that is there cannot be read.
pub fn hooks_of(config: &Config, event: HookEvent) -> Result<Vec<Hook>, runner::settings::BadConfig> {
    hooks::find(event, &config.hooks, config.settings.path("home").as_deref())
}

fn plan(config: &Config, run: &Run, until: Option<Instant>) -> Result<hooks::Run, String> {
    let mut hooks = hooks_of(config, run.event).map_err(|why| why.to_string())?;
    hooks.retain(|hook| !run.skip.contains(&hook.name));
    Ok(hooks::Run {
        event: run.event,
        limits: limits(config, run, until, hooks.len()),
        environment: environment(config, run),
        stdin: stdin(config, run),
        drill: run.drill.then(|| config.drill_command.clone()),
        trace: Some(trace(config)),
        hooks,
    })
}

/// Where it is noted which hook runs.
pub fn trace(config: &Config) -> PathBuf {
    config.state_dir.join("hook")
}

/// A start tries for as long as the server is there; everything else has an end: the server's deadline, the time of
/// one hook for a client that somebody is waiting to see stop, or else the time of one hook for each.
fn limits(config: &Config, run: &Run, until: Option<Instant>, count: usize) -> Limits {
    let now = Instant::now();
    let each = config.hook_timeout;
    let local = run.cause == Some(Cause::Local);
    let whole = if local { each } else { each * u32::try_from(count).unwrap_or(u32::MAX) };
    let until = match run.event {
        HookEvent::ServerUp => None,
        _ => Some(until.map_or(now + whole, |until| until.max(now + LEAST))),
    };
    Limits { per_hook: each, until, kill_after: KILL_AFTER, temporary_attempts: None }
}

fn environment(config: &Config, run: &Run) -> Vec<(OsString, OsString)> {
    let mut all = config.settings.environment();
    let hidden = |name: &OsStr| run.event != HookEvent::PowerOff && name == POWER_OFF_COMMAND;
    all.retain(|(name, _)| !hidden(name) && !hook::VARIABLES.iter().any(|ours| name == *ours));
    // A script looks whether there is something; what means no is nothing.
    let policy = &config.policy;
    let switches = [("POWER_OFF", policy.power_off), ("POWER_OFF_ON_LOST", policy.power_off_on_lost)];
    let is_off = |name: &OsStr| switches.iter().any(|(switch, on)| name == *switch && !on);
    all.iter_mut().filter(|(name, _)| is_off(name)).for_each(|(_, value)| value.clear());
    let facts = Facts::of(config, run);
    let ours = [
        (hook::VARIABLE_EVENT, Some(facts.event)),
        (hook::VARIABLE_CAUSE, facts.cause),
        (hook::VARIABLE_SERVER, Some(&facts.server)),
        (hook::VARIABLE_HOST, Some(facts.host)),
        (hook::VARIABLE_ID, facts.id.as_deref()),
        (hook::VARIABLE_REASON, Some(facts.reason)),
    ];
    all.extend(ours.into_iter().filter_map(|(name, value)| Some((name.into(), value?.into()))));
    all
}

fn stdin(config: &Config, run: &Run) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Facts::of(config, run)).expect("facts are texts and numbers");
    line.push(b'\n');
    line
}

/// What a hook is told, in variables and as a line of JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Facts<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    server: String,
    host: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    reason: &'a str,
    hook_timeout: f64,
    drill: bool,
}

impl<'a> Facts<'a> {
    fn of(config: &'a Config, run: &'a Run) -> Self {
        Self {
            event: run.event.name(),
            cause: run.cause.map(Cause::word),
            server: run.server.as_ref().map_or_else(|| config.host.clone(), ToString::to_string),
            host: &config.host,
            id: run.id.map(|id| id.to_string()),
            reason: &run.reason,
            hook_timeout: config.hook_timeout.as_secs_f64(),
            drill: run.drill,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, layers};

    #[test]
    fn a_hook_sees_nothing_in_a_switch_that_says_no() {
        let seen = |value: &str| {
            let names = ["HOST", "POWER_OFF", "POWER_OFF_ON_LOST"].map(OsString::from);
            let set = names.into_iter().zip(["attic", value, "no"].map(OsString::from)).collect();
            let options = Options::default();
            let config = Config::check(&options, layers(&options, set).unwrap()).unwrap();
            let run = Run {
                event: HookEvent::ServerStopping,
                cause: Some(Cause::Shutdown),
                server: None,
                id: None,
                reason: String::new(),
                until: None,
                skip: Vec::new(),
                drill: false,
            };
            let all = environment(&config, &run);
            ["POWER_OFF", "POWER_OFF_ON_LOST"].map(|name| all.iter().find(|it| it.0 == name).unwrap().1.clone())
        };
        assert_eq!(seen("off"), ["", ""]);
        assert_eq!(seen("please"), ["please", ""]);
    }
}
