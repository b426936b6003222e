//! Why a machine does not do what it was asked for, in words that name the remedy.

use super::{Outcome, Reply};
use protocol::event::EventId;
use protocol::name::HostName;
use runner::nearest;
use serde_json::Map;
use std::fmt;

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has ever served this verb here.
    Unknown {
        /// The verb.
        verb: String,
        /// This machine.
        here: HostName,
        /// The verbs that are served here.
        known: Vec<String>,
    },
    /// Somebody serves it, and is not running.
    Away {
        /// The verb.
        verb: String,
        /// This machine.
        here: HostName,
    },
    /// The asker may not.
    NotAllowed {
        /// The verb.
        verb: String,
        /// This machine.
        here: HostName,
        /// Who asked.
        from: HostName,
    },
    /// It came after its deadline.
    Over {
        /// The verb.
        verb: String,
        /// So many milliseconds too late.
        late_ms: u64,
    },
    /// It cannot be understood.
    Bad(String),
}

impl Refusal {
    /// What becomes of the request.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Refusal::Over { .. } => Outcome::Expired,
            Refusal::Unknown { .. } | Refusal::Away { .. } | Refusal::NotAllowed { .. } | Refusal::Bad(_) => {
                Outcome::Refused
            }
        }
    }

    /// The reply that tells it.
    pub fn reply(&self, to: EventId) -> Reply {
        Reply { to, outcome: self.outcome(), remarks: self.to_string(), data: Map::new() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unknown { verb, here, known } => unknown(f, verb, here, known),
            Refusal::Away { verb, here } => {
                write!(f, "the program that serves `{verb}` on {here} is not running; start it and ask again")
            }
            Refusal::NotAllowed { verb, here, from } => {
                write!(f, "{from} may not ask {here} for `{verb}`; give it a role on the server that may command")
            }
            Refusal::Over { verb, late_ms } => {
                let late = std::time::Duration::from_millis(*late_ms).as_secs_f64();
                write!(f, "`{verb}` came {late:.1} s after its deadline and was not done; give it more time, ")?;
                write!(f, "or set the clocks of both machines right")
            }
            Refusal::Bad(why) => f.write_str(why),
        }
    }
}

fn unknown(f: &mut fmt::Formatter<'_>, verb: &str, here: &HostName, known: &[String]) -> fmt::Result {
    write!(f, "nobody on {here} does `{verb}`")?;
    match nearest(verb, known.iter().map(String::as_str)) {
        Some(nearest) => write!(f, "; known are {}; did you mean `{nearest}`?", known.join(", ")),
        None => write!(f, "; start the program that does"),
    }
}
