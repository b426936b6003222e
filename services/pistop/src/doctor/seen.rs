//! What the doctor looks at.

use super::clock::{self, Clock};
use super::ping::{self, Ping};
use crate::door::{self, PROGRAM, SILENCE, silent};
use crate::events::body::Fields;
use crate::events::line;
use crate::queue;
use bus::client::{Bus, Keeper};
use nix::unistd::{Gid, Group};
use protocol::Event;
use protocol::door::{Ask, Health, Tell, Waiting};
use runner::clock::unix_now;
use runner::exit::Failure;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

/// How far back troubles count.
const LATELY: Duration = Duration::from_secs(24 * 3600);

/// All of it.
#[derive(Debug)]
pub struct Seen {
    /// The socket.
    pub door: Door,
    /// The agent.
    pub keeper: Keeper,
    /// How it says it is.
    pub health: Health,
    /// So many bytes the journal takes at most; unknown of an older agent.
    pub room: Option<u64>,
    /// What waits.
    pub waiting: Vec<Waiting>,
    /// The round trips.
    pub pings: Vec<Ping>,
    /// The clock here.
    pub clock: Clock,
    /// The broker.
    pub uplink: Option<Uplink>,
    /// What went wrong in the last day.
    pub troubles: Vec<Trouble>,
}

/// The socket of the bus.
#[derive(Debug)]
pub struct Door {
    /// Where it is.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its group.
    pub group: String,
}

/// The MQTT broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// Its address.
    pub broker: String,
    /// Whether it is reached; unknown before the first try has ended.
    pub connected: Option<bool>,
    /// What is the matter with it, or its version.
    pub detail: String,
}

/// A fact that tells of a trouble, on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The name of the fact.
    pub fact: String,
    /// Where.
    pub host: String,
    /// How often.
    pub times: usize,
    /// The fields of the last one.
    pub last: String,
}

/// Looks at everything.
///
/// # Errors
/// The agent of this machine does not answer.
pub async fn look(door: &Path) -> Result<Seen, Failure> {
    let (bus, keeper) = door::open(door, Duration::ZERO).await?;
    let health = health(door).await?;
    let room = room(door).await;
    let waiting = queue::ask(door).await?;
    let mut hosts = door::online(&bus).await?;
    if !hosts.contains(&keeper.node) {
        hosts.push(keeper.node.clone());
    }
    let pings = ping::all(&bus, hosts).await?;
    let uplink = uplink(&bus, &health).await?;
    let troubles = troubles(&door::kept(&bus, &["+/evt/host/+"]).await?, unix_now());
    let door = socket(door)?;
    Ok(Seen { door, keeper, health, room, waiting, pings, clock: clock::look().await, uplink, troubles })
}

async fn health(door: &Path) -> Result<Health, Failure> {
    let answer = timeout(SILENCE, bus::client::ask(door, PROGRAM, Ask::Health)).await;
    match answer.unwrap_or_else(|_| Err(silent(door))).map_err(Failure::Temporary)? {
        Tell::Health(health) => Ok(health),
        other => Err(Failure::Permanent(format!("an answer that does not belong to health: {other:?}"))),
    }
}

/// An agent that was started before this program was updated has no answer.
async fn room(door: &Path) -> Option<u64> {
    match timeout(SILENCE, bus::client::ask(door, PROGRAM, Ask::Room)).await {
        Ok(Ok(Tell::Room(most))) => Some(most),
        _ => None,
    }
}

fn socket(path: &Path) -> Result<Door, Failure> {
    let about = path.metadata().map_err(|why| Failure::Temporary(format!("{}: {why}", path.display())))?;
    let group = Group::from_gid(Gid::from_raw(about.gid())).ok().flatten();
    let group = group.map_or_else(|| about.gid().to_string(), |group| group.name);
    Ok(Door { path: path.into(), mode: about.mode() & 0o7777, group })
}

/// The last word about it on the bus says whether it is reached; the agent knows its address before that.
async fn uplink(bus: &Bus, health: &Health) -> Result<Option<Uplink>, Failure> {
    let states = door::states(bus, &["+/st/host/uplink/#"]).await?;
    let last = states.last().map(|event| Fields::of(&event.body.0));
    let told = last.map(|fields| Uplink {
        broker: fields.text("broker").into(),
        connected: fields.get("connected").and_then(serde_json::Value::as_bool),
        detail: fields.text("detail").into(),
    });
    let known = health.broker.clone().map(|(broker, detail)| Uplink { broker, connected: None, detail });
    Ok(told.or(known))
}

/// The troubles among these events, each kind on each machine once.
fn troubles(events: &[Event], now: Duration) -> Vec<Trouble> {
    let mut all: BTreeMap<(String, String), Trouble> = BTreeMap::new();
    for event in events {
        let fields = Fields::of(&event.body.0);
        let is_old = line::at(&fields).is_some_and(|at| at + LATELY < now);
        let Some(host) = event.topic().ok().map(|topic| topic.node.to_string()).filter(|_| !is_old) else { continue };
        let fact = fields.text("fact").to_owned();
        let (times, last) = (0, String::new());
        let new = || Trouble { fact: fact.clone(), host: host.clone(), times, last };
        let trouble = all.entry((host.clone(), fact.clone())).or_insert_with(new);
        trouble.times += 1;
        trouble.last = fields.people(&["at", "clock", "fact"]);
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::event::{Body, Class, EventId, Keep};
    use protocol::{Epoch, HostName};

    fn event(host: &str, fact: &str, at: u64) -> Event {
        let id = EventId { node: HostName::parse(host).unwrap(), epoch: Epoch(1), sequence: at };
        let body = Body(format!("{{\"at\":{},\"fact\":\"{fact}\",\"n\":{at}}}", at * 1000).into_bytes());
        let class = Class { keep: Keep::All, durable: true };
        Event { id, class, topic: format!("{host}/evt/host/{fact}"), ttl: None, body }
    }

    #[test]
    fn troubles_of_the_last_day_are_counted_by_machine() {
        let day = 24 * 3600;
        let events = [
            event("attic", "hook-failed", 9),
            event("attic", "hook-failed", 11),
            event("hall", "hook-failed", 12),
            event("attic", "hook-failed", 13),
        ];
        let found = troubles(&events, Duration::from_secs(day + 10));
        let short: Vec<_> = found.iter().map(|t| (t.host.as_str(), t.times, t.last.as_str())).collect();
        assert_eq!(short, [("attic", 2, "n=13"), ("hall", 1, "n=12")]);
    }
}
