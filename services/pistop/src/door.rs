//! The way to the event bus: the agent of this machine, whether that is fserver or fclient, behind its Unix socket.

use bus::client::{Bus, Item, Keeper, Refused, reach};
use protocol::door::{From, Subscribe};
use protocol::{Event, HostName};
use runner::exit::Failure;
use runner::retry::Backoff;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Who asks, for the agent's log.
pub const PROGRAM: &str = concat!("pistop ", env!("CARGO_PKG_VERSION"));
/// So long an agent that is there may say nothing.
pub const SILENCE: Duration = Duration::from_secs(10);
/// A client hears from its server how other machines are; after so long without a word it has heard everything.
const QUIET: Duration = Duration::from_millis(300);
/// The pauses between two looks for an agent that is not there.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// The bus, once its agent has answered.
///
/// # Errors
/// It does not answer in that time, or this user may not come in; the text names the remedy.
pub async fn open(door: &Path, wait: Duration) -> Result<(Bus, Keeper), Failure> {
    let (end, [first, last]) = (Instant::now() + wait, PAUSES);
    let mut pauses = Backoff::new(first, last);
    loop {
        let silent = || Refused { why: silent(door), temporary: true };
        match timeout(SILENCE, reach(door, PROGRAM)).await.unwrap_or_else(|_| Err(silent())) {
            Ok(keeper) => return Ok((Bus::open(door, PROGRAM), keeper)),
            Err(refused) if !refused.temporary || Instant::now() >= end => return Err(failure(refused)),
            Err(_) => sleep(pauses.next().min(end - Instant::now())).await,
        }
    }
}

/// What an agent that says nothing is told about.
pub fn silent(door: &Path) -> String {
    format!("the event bus at {} says nothing; see the log of fserver or fclient on this machine", door.display())
}

/// What was refused, as the end of this program.
pub fn failure(Refused { why, temporary }: Refused) -> Failure {
    if temporary { Failure::Temporary(why) } else { Failure::Permanent(why) }
}

/// `key=value`, as on a command line.
///
/// # Errors
/// There is no `=` in it, or nothing before it.
pub fn pair(word: &str) -> Result<(String, String), String> {
    match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err(format!("`{word}` is no field; write KEY=VALUE, as in text=\"The soup is ready\"")),
    }
}

/// What is kept under these patterns, oldest first.
///
/// # Errors
/// The agent refuses, or says nothing any more.
pub async fn kept(bus: &Bus, filters: &[&str]) -> Result<Vec<Event>, Failure> {
    gather(bus, filters, From::Oldest, Duration::ZERO).await
}

/// How everything under these patterns is now.
///
/// # Errors
/// The agent refuses, or says nothing any more.
pub async fn states(bus: &Bus, filters: &[&str]) -> Result<Vec<Event>, Failure> {
    gather(bus, filters, From::States, QUIET).await
}

async fn gather(bus: &Bus, filters: &[&str], from: From, quiet: Duration) -> Result<Vec<Event>, Failure> {
    let filters = filters.iter().map(|&filter| filter.into()).collect();
    let mut heard = bus.subscribe(Subscribe { name: None, filters, from });
    let (mut events, mut live) = (Vec::new(), false);
    loop {
        match timeout(if live { quiet } else { SILENCE }, heard.next()).await {
            Ok(Item::Event(_, event)) => events.push(*event),
            Ok(Item::Live) => live = true,
            Ok(Item::Missed(_) | Item::Restarted) => {}
            Ok(Item::Refused(why)) => return Err(Failure::Permanent(why)),
            Err(_) if live => return Ok(events),
            Err(_) => return Err(Failure::Temporary(silent(bus.door()))),
        }
    }
}

/// The machines that are there, as far as this one knows, in the order of their names.
///
/// # Errors
/// The agent refuses, or says nothing any more.
pub async fn online(bus: &Bus) -> Result<Vec<HostName>, Failure> {
    Ok(last_words(states(bus, &["+/state"]).await?))
}

/// Of several words about a machine the last one counts.
fn last_words(states: Vec<Event>) -> Vec<HostName> {
    let state = |event: &Event| serde_json::from_slice::<Value>(&event.body.0).ok();
    let is_online = |event: &Event| state(event).is_some_and(|state| state["state"] == "online");
    let words = states.iter().filter_map(|event| Some((event.topic().ok()?.node, is_online(event))));
    let last: std::collections::BTreeMap<HostName, bool> = words.collect();
    last.into_iter().filter_map(|(host, online)| online.then_some(host)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Epoch;
    use protocol::event::{Body, Class, EventId, Keep};

    fn state(host: &str, state: &str) -> Event {
        let id = EventId { node: HostName::parse("attic").unwrap(), epoch: Epoch(1), sequence: 1 };
        let body = Body(format!("{{\"fact\":\"machine-state\",\"state\":\"{state}\"}}").into_bytes());
        let class = Class { keep: Keep::LatestPerSubject, durable: true };
        Event { id, class, topic: format!("{host}/state"), ttl: None, body }
    }

    #[test]
    fn who_was_last_said_to_be_online_is() {
        let words = [("kitchen", "online"), ("attic", "online"), ("hall", "offline"), ("kitchen", "draining")];
        let online = last_words(words.map(|(host, word)| state(host, word)).into());
        assert_eq!(online, [HostName::parse("attic").unwrap()]);
    }

    #[test]
    fn a_field_has_a_name_and_may_have_any_value() {
        assert_eq!(pair("text=a=b c"), Ok(("text".into(), "a=b c".into())));
        assert_eq!(pair("text="), Ok(("text".into(), String::new())));
        assert!(pair("=x").is_err() && pair("x").unwrap_err().contains("`x` is no field; write KEY=VALUE"));
    }
}
