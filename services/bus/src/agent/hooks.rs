//! The hooks of facts: for an event, the files in the folder of its fact, run one after another by `runner::hooks`. What
//! they find is `protocol::hook` and, in words, `hooks/README.md`.
//!
//! What always holds: one row runs at a time, it ends within [`Limits`], and whatever a fact says reaches a hook as the value
//! of a variable and never as a command. How far the rows have come is on the disk before the first hook of a row begins, so
//! that one that was cut off runs again and is told so.

use crate::journal::Position;
use crate::told::{self, variables};
use jiff::Timestamp;
use protocol::event::Event;
use protocol::fact::{Fact, shape};
use protocol::hook::{
    FACT_PREFIX, FACT_VARIABLES, HookEvent, VARIABLE_AT, VARIABLE_EVENT, VARIABLE_EVENT_ID, VARIABLE_FAMILY,
    VARIABLE_NODE, VARIABLE_REPLAYED, VARIABLES,
};
use protocol::message::{HookOutcome, HookResult};
use protocol::topic::Topic;
use runner::hooks::{self, Ending, Folders, Hook, KILL_AFTER, Limits, Report, Run};
use runner::state::StateDir;
use serde_json::{Map, Value};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A hook that exits 111 is run so often in all: once, and five times again, which takes half a minute of pauses.
const ATTEMPTS: u32 = 6;
/// A row has the time of each of its hooks and this for the pauses between attempts; then it is over, since the next event
/// waits behind it.
const PAUSES: Duration = Duration::from_secs(60);
/// The file that says how far the rows have come.
const BEGUN: &str = "begun";
/// The file that says which hook runs.
const TRACE: &str = "hook";

/// Which hooks run, and with what.
#[derive(Debug, Clone, Default)]
pub struct HookPlan {
    /// Directories of hooks; a later one replaces files of an earlier one.
    pub directories: Vec<PathBuf>,
    /// What every hook gets beside the variables of the fact.
    pub environment: Vec<(OsString, OsString)>,
    /// The time of each attempt of each hook.
    pub timeout: Duration,
    /// A directory of our own that lasts as long as the journal does. Without it no hook knows that it runs again.
    pub state: Option<PathBuf>,
}

/// Runs rows, one at a time.
#[derive(Debug)]
pub struct HookRunner {
    plan: HookPlan,
    state: Option<Arc<StateDir>>,
    /// Rows up to here have begun, in this run or an earlier one.
    begun: Option<Position>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// How its hooks ended, in their order.
    pub outcomes: Vec<HookOutcome>,
    /// How it ended. If it was cancelled, its event is not done with.
    pub ending: Ending,
    /// What is to be told of those that failed for good. Of a hook that was to tell of a failure, nothing is.
    pub failed: Vec<Fact>,
}

impl HookRunner {
    /// Ends a hook that an earlier run of this program left behind, and looks how far it had come.
    pub async fn open(plan: HookPlan) -> HookRunner {
        let state = plan.state.as_deref().and_then(|path| match StateDir::open(path) {
            Ok(state) => Some(Arc::new(state)),
            Err(why) => {
                tracing::warn!("{}: {why}; hooks are not told when they run again", path.display());
                None
            }
        });
        if let Some(path) = &plan.state {
            hooks::end_orphan(&path.join(TRACE), KILL_AFTER).await;
        }
        let text = state.as_ref().and_then(|state| state.read(BEGUN).ok().flatten()).unwrap_or_default();
        let begun = String::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).map(Position);
        HookRunner { plan, state, begun }
    }

    /// Which facts have hooks here, as of now.
    pub fn folders(&self) -> Folders {
        hooks::folders(&self.plan.directories)
    }

    /// Runs the hooks of an event that stands at a place of the journal. Cancelling it ends the hook that runs.
    pub async fn row(&mut self, event: &Event, position: Position, cancel: CancellationToken) -> Row {
        let Some((topic, name)) = fact_of(event) else { return Row::of(Ending::AllDone, Vec::new()) };
        let hooks = match hooks::find(HookEvent::Fact(name), &self.plan.directories, None) {
            Ok(hooks) if hooks.is_empty() => return Row::of(Ending::AllDone, Vec::new()),
            Ok(hooks) => hooks,
            Err(why) => return Row::unreadable(name, event, why.to_string()),
        };
        let replayed = self.begin(position).await;
        let mut outcomes = Vec::new();
        let run = self.run(event, &topic, name, hooks, replayed);
        let ending = hooks::run(run, cancel, |report| {
            if let Report::Ended(outcome) = report {
                outcomes.push(outcome);
            }
        });
        let ending = ending.await;
        Row::of(ending, outcomes).with_failures(name, event)
    }

    /// Notes that a row begins; says whether it had begun before.
    async fn begin(&mut self, position: Position) -> bool {
        if self.begun.is_some_and(|begun| position <= begun) {
            return true;
        }
        self.begun = Some(position);
        if let Some(state) = self.state.clone() {
            let write = move || state.replace(BEGUN, format!("{position}\n").as_bytes());
            if let Ok(Err(why)) = tokio::task::spawn_blocking(write).await {
                tracing::warn!("cannot note that hooks begin: {why}; if they are cut off, they are not told so");
            }
        }
        false
    }

    fn run(&self, event: &Event, topic: &Topic, name: &'static str, hooks: Vec<Hook>, replayed: bool) -> Run {
        let whole = self.plan.timeout * u32::try_from(hooks.len()).unwrap_or(u32::MAX) + PAUSES;
        let limits = Limits {
            per_hook: self.plan.timeout,
            until: Some(Instant::now() + whole),
            kill_after: KILL_AFTER,
            temporary_attempts: Some(ATTEMPTS),
        };
        Run {
            event: HookEvent::Fact(name),
            hooks,
            environment: environment(&self.plan.environment, event, topic, name, replayed),
            stdin: stdin(event),
            limits,
            drill: None,
            trace: self.plan.state.as_ref().map(|path| path.join(TRACE)),
        }
    }
}

impl Row {
    fn of(ending: Ending, outcomes: Vec<HookOutcome>) -> Row {
        Row { outcomes, ending, failed: Vec::new() }
    }

    fn unreadable(name: &str, event: &Event, why: String) -> Row {
        tracing::error!("no hooks of {name} are run: {why}");
        let outcome = HookOutcome { hook: name.into(), result: HookResult::NotRun(why), took: Duration::ZERO };
        Row::of(Ending::SomeFailed, vec![outcome]).with_failures(name, event)
    }

    /// A failure that is told about a failure would go on for ever.
    fn with_failures(mut self, name: &str, event: &Event) -> Row {
        let told = |outcome: &HookOutcome| match &outcome.result {
            HookResult::Done | HookResult::Cancelled => None,
            result => {
                let (hook, about) = (outcome.hook.clone(), event.id.to_string());
                Some(Fact::HookFailed { hook, about, result: result.to_string() })
            }
        };
        if name != "hook-failed" {
            self.failed = self.outcomes.iter().filter_map(told).collect();
        }
        self
    }
}

/// The topic and the fact of an event, if it tells one that is known here. Others have no folder.
fn fact_of(event: &Event) -> Option<(Topic, &'static str)> {
    let topic = event.topic().ok()?;
    let name = shape(told::name_of(&topic)?)?.rule.name;
    Some((topic, name))
}

fn environment(
    base: &[(OsString, OsString)],
    event: &Event,
    topic: &Topic,
    name: &str,
    replayed: bool,
) -> Vec<(OsString, OsString)> {
    let ours = |name: &OsStr| {
        let known = VARIABLES.iter().chain(&FACT_VARIABLES).any(|ours| name == *ours);
        known || name.to_str().is_some_and(|name| name.starts_with(FACT_PREFIX))
    };
    let facts = [
        (VARIABLE_EVENT, name.to_owned()),
        (VARIABLE_NODE, topic.node.to_string()),
        (VARIABLE_FAMILY, topic.family().map(|family| family.to_string()).unwrap_or_default()),
        (VARIABLE_EVENT_ID, event.id.to_string()),
        (VARIABLE_AT, at(&event.body.0)),
        (VARIABLE_REPLAYED, if replayed { "1".into() } else { String::new() }),
    ];
    let mut all: Vec<_> = base.iter().filter(|(name, _)| !ours(name)).cloned().collect();
    all.extend(facts.into_iter().map(|(name, value)| (name.into(), value.into())));
    all.extend(variables(&event.body.0).into_iter().map(|(name, value)| (name.into(), value.into())));
    all
}

fn object(body: &[u8]) -> Map<String, Value> {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The time in a body, if the clock that it is from was set and it lies within the calendar.
fn at(body: &[u8]) -> String {
    let body = object(body);
    let ms = body.get("at").and_then(Value::as_i64).filter(|_| !body.contains_key("clock"));
    ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// The body with what the envelope says beside it.
fn stdin(event: &Event) -> Vec<u8> {
    let mut body = object(&event.body.0);
    body.insert("id".into(), event.id.to_string().into());
    body.insert("topic".into(), event.topic.clone().into());
    format!("{}\n", Value::Object(body)).into_bytes()
}

#[cfg(test)]
mod tests;
