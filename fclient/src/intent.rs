//! What this client is about, in a form that outlives it: the entry of the intent journal, one small JSON file.
//!
//! An entry is on the disk before the action that it covers begins, so a client that crashed or was restarted in the
//! middle knows what its hooks may have done: it finishes what was begun, and powers nothing off twice. Times count from the
//! boot, since an entry of another boot means nothing any more.

use protocol::message::{HookOutcome, HookResult};
use protocol::{Cause, Epoch, HostName, ShutdownId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The version of the journal's format.
pub const VERSION: u32 = 1;

/// One journal: the entry, and the boot for which it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`VERSION`].
    pub version: u32,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// What the client is about.
    pub intent: Intent,
}

/// What the client is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Intent {
    /// The hooks of `server-up` have begun.
    Up {
        /// Its name, if it gave one.
        server: Option<HostName>,
        /// Its run; `None` for an old server.
        epoch: Option<Epoch>,
        /// They have also ended.
        complete: bool,
        /// It announced a restart and is back by then, in seconds since boot.
        back_by: Option<f64>,
    },
    /// Letting go: the hooks of `server-stopping` or `server-lost` run, or have run and the server has not committed yet.
    Stopping {
        /// Why.
        cause: Cause,
        /// The shutdown, if the server gave it an id.
        id: Option<ShutdownId>,
        /// Its name, if it gave one.
        server: Option<HostName>,
        /// The operator's words.
        reason: String,
        /// There is no way back.
        committed: bool,
        /// A newer state came: the hooks are finished, and nothing follows from it.
        overtaken: bool,
        /// When the server waits no longer, in seconds since boot.
        deadline: f64,
        /// The hooks that have ended.
        ended: Vec<Ended>,
        /// The hook that has begun and not ended.
        begun: Option<String>,
    },
    /// The hooks of `power-off` have begun.
    PoweringOff {
        /// Why.
        cause: Cause,
        /// The shutdown, if the server gave it an id.
        id: Option<ShutdownId>,
        /// They have also ended.
        done: bool,
    },
    /// Nothing is held.
    Down {
        /// Why.
        cause: Cause,
        /// The shutdown, if the server gave it an id.
        id: Option<ShutdownId>,
    },
}

/// A hook that has ended; [`HookOutcome`] for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Ended {
    hook: String,
    result: HookResult,
    seconds: f64,
}

impl From<&HookOutcome> for Ended {
    fn from(outcome: &HookOutcome) -> Self {
        let HookOutcome { hook, result, took } = outcome.clone();
        Self { hook, result, seconds: took.as_secs_f64() }
    }
}

impl From<Ended> for HookOutcome {
    fn from(ended: Ended) -> Self {
        let took = Duration::try_from_secs_f64(ended.seconds).unwrap_or_default();
        HookOutcome { hook: ended.hook, result: ended.result, took }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_survives_the_trip_and_can_be_read_by_people() {
        let outcome =
            HookOutcome { hook: "server-stopping/50-x".into(), result: HookResult::Failed(1), took: Duration::ZERO };
        let intent = Intent::Stopping {
            cause: Cause::Shutdown,
            id: Some(ShutdownId { epoch: Epoch(u64::MAX), number: 2 }),
            server: Some(HostName::parse("attic").unwrap()),
            reason: "night".into(),
            committed: false,
            overtaken: false,
            deadline: 12.5,
            ended: vec![(&outcome).into()],
            begun: Some("server-stopping/60-y".into()),
        };
        let entry = Entry { version: VERSION, boot: "b".into(), intent };
        let text = serde_json::to_string_pretty(&entry).unwrap();
        assert!(text.contains(r#""phase": "stopping""#) && text.contains(r#""cause": "shutdown""#), "{text}");
        assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
    }
}
