//! What a machine's mpd is doing, by its own protocol.

use crate::machine::Machine;
use crate::watch;
use std::time::Duration;

/// What it says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Player {
    /// `play`, `pause` or `stop`.
    pub state: String,
    /// Seconds into the piece.
    pub elapsed: f64,
    /// What went wrong last, empty if nothing did.
    pub error: String,
}

/// Asks; `None` if no mpd runs there.
pub fn of(machine: &Machine) -> Option<Player> {
    let said = machine.says("/usr/local/lib/house/player status");
    let value = |key: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    let player =
        Player { state: value("state"), elapsed: value("elapsed").parse().unwrap_or(0.0), error: value("error") };
    (!player.state.is_empty()).then_some(player)
}

/// Waits until it plays and moves on; where it is then.
pub fn plays(machine: &Machine, patience: Duration) -> Option<f64> {
    let playing = || of(machine).filter(|player| player.state == "play").map(|player| player.elapsed);
    watch::until(patience, || {
        let first = playing()?;
        let second = watch::until(Duration::from_secs(5), || playing().filter(|&now| now > first + 0.2))?;
        Some(second)
    })
}
