//! The part of the loop that runs the hooks of a shutdown.

use super::{LAST_WORDS, Loop};
use crate::machine::Released;
use protocol::hook::{self, HookEvent};
use runner::hooks::{self, Limits, Report, Run};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

impl Loop {
    /// Those of `clients-released`, and if the machine goes down with them, those of `going-down` after them.
    pub(super) fn run_hooks(&mut self, released: Released) {
        let events = [HookEvent::ClientsReleased, HookEvent::GoingDown];
        let runs: Vec<Run> =
            events[..=usize::from(released.going_down)].iter().map(|&event| self.a_run(event, &released)).collect();
        let hooks = runs.iter().map(|run| run.hooks.len()).sum::<usize>();
        runner::ready::extend(self.config.hook_timeout * u32::try_from(hooks).unwrap_or(u32::MAX) + LAST_WORDS);
        let ended = self.hooks_ended.clone();
        tokio::task::spawn_local(async move {
            let mut outcomes = Vec::new();
            for run in runs {
                hooks::run(run, CancellationToken::new(), |report| {
                    if let Report::Ended(outcome) = report {
                        outcomes.push(outcome);
                    }
                })
                .await;
            }
            let _ = ended.send(outcomes);
        });
    }

    fn a_run(&self, event: HookEvent, released: &Released) -> Run {
        let found = hooks::find(event, &self.config.hooks, None);
        let hooks = found.unwrap_or_else(|why| {
            tracing::error!("no hooks of {event} are run: {why}");
            Vec::new()
        });
        Run {
            event,
            hooks,
            environment: self.hook_environment(event, released),
            stdin: hook_stdin(event, released),
            limits: Limits {
                per_hook: self.config.hook_timeout,
                until: None,
                kill_after: Duration::from_secs(2),
                temporary_attempts: Some(3),
            },
            drill: None,
            trace: None,
        }
    }

    fn hook_environment(&self, event: HookEvent, released: &Released) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
        let mut environment = self.config.settings.environment();
        let facts = [
            (hook::VARIABLE_EVENT, event.name().to_owned()),
            (hook::VARIABLE_CAUSE, released.cause().word().to_owned()),
            (hook::VARIABLE_SERVER, self.config.name.to_string()),
            (hook::VARIABLE_HOST, self.config.name.to_string()),
            (hook::VARIABLE_ID, released.id.to_string()),
            (hook::VARIABLE_REASON, protocol::name::printable(released.reason.as_bytes())),
        ];
        environment.extend(facts.map(|(name, value)| (name.into(), value.into())));
        environment
    }
}

fn hook_stdin(event: HookEvent, released: &Released) -> Vec<u8> {
    let facts = serde_json::json!({
        "event": event.name(),
        "cause": released.cause().word(),
        "id": released.id.to_string(),
        "reason": released.reason,
        "late": released.late,
    });
    format!("{facts}\n").into_bytes()
}
