//! Why a presence changed. The causes are never mixed up, because they decide what runs and whether a machine may
//! power itself off; the table is the one of the project's wire contract.
//!
//! | cause | hooks | power off |
//! |---|---|---|
//! | `shutdown` | server-stopping | if POWER_OFF is set |
//! | `restart` | none until the time has passed | never |
//! | `closed` | server-stopping | if POWER_OFF is set, as pistop does |
//! | `lost` | server-lost | only if POWER_OFF_ON_LOST is set |
//! | `self` | none; the lease is extended | never |
//! | `local` | server-stopping | never |

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a server is, or is taken to be, no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The server said that it goes.
    Shutdown,
    /// The server said that it goes and returns.
    Restart,
    /// An old server closed the link cleanly and without a word.
    Closed,
    /// No beat within the lease, or a broken link, while the client's own network is fine.
    Lost,
    /// The client itself slept, stalled or lost its network: no verdict on the server at all.
    #[serde(rename = "self")]
    Own,
    /// Somebody stopped the client on its own machine.
    Local,
}

impl Cause {
    /// The word used on the wire, in logs, in `PISTOP_CAUSE` and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Cause::Shutdown => "shutdown",
            Cause::Restart => "restart",
            Cause::Closed => "closed",
            Cause::Lost => "lost",
            Cause::Own => "self",
            Cause::Local => "local",
        }
    }

    /// What a machine with these settings does after its hooks have let go.
    pub const fn powers_off(self, policy: PowerPolicy) -> bool {
        match self {
            Cause::Shutdown | Cause::Closed => policy.power_off,
            Cause::Lost => policy.power_off_on_lost,
            Cause::Restart | Cause::Own | Cause::Local => false,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What the owner of a machine allowed, by the variables of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PowerPolicy {
    /// `POWER_OFF`: go down with the server.
    pub power_off: bool,
    /// `POWER_OFF_ON_LOST`: go down even if the server merely vanished. Off unless asked for.
    pub power_off_on_lost: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_announced_or_clean_end_powers_off() {
        let policy = PowerPolicy { power_off: true, power_off_on_lost: false };
        let off: Vec<_> = [Cause::Shutdown, Cause::Restart, Cause::Closed, Cause::Lost, Cause::Own, Cause::Local]
            .into_iter()
            .filter(|cause| cause.powers_off(policy))
            .collect();
        assert_eq!(off, [Cause::Shutdown, Cause::Closed]);
        assert!(Cause::Lost.powers_off(PowerPolicy { power_off_on_lost: true, ..policy }));
        assert!(!Cause::Shutdown.powers_off(PowerPolicy::default()));
    }
}
