//! What follows from what was seen. Pure.

use super::broker::quirks;
use super::clock::Clock;
use super::ping::Ping;
use super::seen::{Door, Seen, Trouble, Uplink};
use crate::queue::count;
use crate::words::span;
use protocol::door::{Health, Waiting};
use std::time::Duration;

/// A disk that takes longer for one write holds everybody up.
const SLOW_DISK: Duration = Duration::from_millis(50);
/// A command that takes longer is no longer at once.
const SLOW_PING: Duration = Duration::from_secs(1);
/// So far clocks may be apart before the order of events is in doubt.
const APART_MS: u64 = 2000;
/// Who is here and has not taken an event for so long is stuck; so is a program that is not, and the broker.
const STUCK: Duration = Duration::from_secs(600);
/// Others may write to the socket.
const OTHERS_WRITE: u32 = 0o002;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// It is to be mended; otherwise it is only good to know.
    pub is_problem: bool,
    /// What.
    pub what: String,
    /// What helps.
    pub remedy: String,
}

impl Finding {
    /// Something to be mended.
    pub fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { is_problem: true, what: what.into(), remedy: remedy.into() }
    }

    /// Something that is good to know.
    pub fn note(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { is_problem: false, what: what.into(), remedy: remedy.into() }
    }
}

/// Everything that is to be told, problems first.
pub fn of(seen: &Seen) -> Vec<Finding> {
    let mut all: Vec<Finding> = door(&seen.door).into_iter().chain(journal(&seen.health)).collect();
    all.extend(seen.health.findings.iter().map(|finding| own(finding)));
    all.extend(seen.waiting.iter().filter_map(stuck));
    all.extend(clock(seen.clock));
    all.extend(seen.pings.iter().flat_map(ping));
    all.extend(seen.uplink.iter().flat_map(uplink));
    all.extend(seen.troubles.iter().filter_map(trouble));
    all.sort_by_key(|finding| !finding.is_problem);
    all
}

fn door(Door { path, mode, .. }: &Door) -> Option<Finding> {
    let what = format!("everybody on this machine may come in at {}", path.display());
    let remedy = format!("chmod 660 {}, and see who changed it", path.display());
    (mode & OTHERS_WRITE != 0).then(|| Finding::problem(what, remedy))
}

fn journal(health: &Health) -> Option<Finding> {
    let took = Duration::from_micros(health.sync_us);
    let journal = &health.journal;
    if health.sync_us == 0 && journal.starts_with('/') {
        return Some(Finding::problem(
            format!("{journal} cannot be written to, so no event is kept"),
            "make room on that disk, or see why it is read-only",
        ));
    }
    let ms = took.as_millis();
    (took > SLOW_DISK && !health.ram).then(|| {
        Finding::problem(
            format!("one write to {journal} takes {ms} ms, and every event waits for it"),
            "set journal = \"ram\" if events may be lost with the power, or take a better card or disk",
        )
    })
}

/// The agent's own words have their remedy behind the first semicolon.
fn own(text: &str) -> Finding {
    let (what, remedy) = text.split_once("; ").unwrap_or((text, "see its log"));
    Finding::problem(what, remedy)
}

fn stuck(Waiting { consumer, events, oldest, here, .. }: &Waiting) -> Option<Finding> {
    let whose = consumer.split_once(':').map(|(whose, _)| whose);
    let is_due = *here || whose == Some("sub") || consumer == "mqtt";
    let oldest = oldest.map(Duration::from_secs).filter(|oldest| is_due && *oldest > STUCK && *events > 0)?;
    let what = format!("{} events wait for {consumer}, the oldest for {}", count(*events), span(oldest));
    let remedy = match whose {
        Some("link") => "see the logs of both machines",
        Some(_) if *here => "the program that takes them is connected; see its log",
        Some(_) => "start the program that takes them; see its log",
        None => "see the log of fserver or fclient here",
    };
    Some(Finding::problem(what, remedy))
}

fn clock(clock: Clock) -> Option<Finding> {
    let remedy = "install systemd-timesyncd or chrony, and see that it reaches a time server";
    (clock == Clock::Alone).then(|| Finding::problem("nobody keeps the clock of this machine right", remedy))
}

fn ping(Ping { host, trips, ahead_ms, failed }: &Ping) -> Vec<Finding> {
    let mut all = Vec::new();
    if let Some(why) = failed {
        let remedy = format!("see the log there, and `pistop events --since 1h --filter event-refused` for {host}");
        all.push(Finding::problem(format!("{host} is there and does not answer a ping: {why}"), remedy));
    }
    if let Some(slowest) = trips.iter().max().filter(|slowest| **slowest > SLOW_PING) {
        let remedy = "look at its disk with pistop doctor there, and at the network";
        all.push(Finding::problem(format!("a command to {host} took {}", span(*slowest)), remedy));
    }
    if ahead_ms.unsigned_abs() > APART_MS {
        let apart = span(Duration::from_millis(ahead_ms.unsigned_abs()));
        let side = if *ahead_ms > 0 { "ahead of" } else { "behind" };
        let remedy = "run systemd-timesyncd or chrony on both";
        all.push(Finding::problem(format!("the clock of {host} is {apart} {side} this one"), remedy));
    }
    all
}

fn uplink(Uplink { broker, connected, detail }: &Uplink) -> Vec<Finding> {
    match connected {
        Some(false) => {
            let what = format!("the MQTT broker {broker} is not reached: {detail}");
            vec![Finding::problem(what, "see that it runs, and the settings of fserver that begin with mqtt")]
        }
        Some(true) | None => quirks(detail),
    }
}

fn trouble(Trouble { fact, host, times, last }: &Trouble) -> Option<Finding> {
    let problem: fn(String, &'static str) -> Finding = |what, remedy| Finding::problem(what, remedy);
    let note: fn(String, &'static str) -> Finding = |what, remedy| Finding::note(what, remedy);
    let (kind, remedy) = match fact.as_str() {
        "hook-failed" => (problem, "mend it, and try it by hand; the log there tells what it said"),
        "journal-damaged" => (problem, "look at that disk; what is damaged is left out, and the rest is as it was"),
        "events-dropped" => {
            (problem, "see who has not taken them, with pistop queue there; start him, or make him forget")
        }
        "events-missed" => (note, "who missed them should look at the whole again"),
        "event-refused" => (note, "mend or update the program that said it"),
        "peer-refused" => (problem, "give one of the two another name, or set NAME there"),
        "stranger-refused" => (note, "if it is one of yours, give it its right; if not, see who it is"),
        _ => return None,
    };
    let often = if *times == 1 { "once".into() } else { format!("{times} times") };
    Some(kind(format!("{fact} on {host}, {often} in the last day: {last}"), remedy))
}

#[cfg(test)]
mod tests;
