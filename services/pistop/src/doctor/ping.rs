//! The round trip of a command to every machine that is there, and how far its clock is from ours.

use crate::door::{self, SILENCE};
use crate::request::ask;
use bus::client::{Bus, Item, Subscription};
use bus::command::{Outcome, Reply};
use protocol::HostName;
use protocol::door::{From, Subscribe};
use protocol::event::EventId;
use runner::clock::unix_now;
use runner::exit::Failure;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How often each is asked.
const ROUNDS: usize = 3;
/// So long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The answers were heard once already; so long they may take the second time.
const AGAIN: Duration = Duration::from_millis(300);

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ping {
    /// Who was asked.
    pub host: HostName,
    /// How long each round took.
    pub trips: Vec<Duration>,
    /// So many milliseconds its clock is ahead of ours at least, or behind if it is less than zero; zero if that cannot
    /// be told from the time that the answer was on its way.
    pub ahead_ms: i64,
    /// Why there was no answer.
    pub failed: Option<String>,
}

/// One answer: which, and between which times of our own clock it was given.
struct Trip {
    id: EventId,
    sent: Duration,
    heard: Duration,
}

/// Asks all of them at the same time.
///
/// # Errors
/// The agent of this machine says nothing.
pub async fn all(bus: &Bus, hosts: Vec<HostName>) -> Result<Vec<Ping>, Failure> {
    let filters = vec![format!("{}/res/ping", bus.node().await)];
    let mut answers = bus.subscribe(Subscribe { name: None, filters, from: From::Next });
    let silent = |_| Failure::Temporary(door::silent(bus.door()));
    timeout(SILENCE, answers.live()).await.map_err(silent)?;
    let mut asked = JoinSet::new();
    for host in hosts {
        asked.spawn(rounds(bus.clone(), host));
    }
    let mut all = Vec::new();
    while let Some(ended) = asked.join_next().await {
        all.push(ended.map_err(|why| Failure::Temporary(why.to_string()))?);
    }
    let given = given(&mut answers).await;
    let mut pings: Vec<Ping> = all.into_iter().map(|rounds| rounds.ping(&given)).collect();
    pings.sort_by(|one, other| one.host.cmp(&other.host));
    Ok(pings)
}

struct Rounds {
    host: HostName,
    trips: Vec<Trip>,
    failed: Option<String>,
}

async fn rounds(bus: Bus, host: HostName) -> Rounds {
    let (mut trips, mut failed) = (Vec::new(), None);
    while trips.len() < ROUNDS && failed.is_none() {
        let sent = unix_now();
        match ask(bus.clone(), host.clone(), "ping".into(), Map::new(), ANSWER).await {
            Ok(answer) if answer.reply.outcome == Outcome::Done => {
                trips.push(Trip { id: answer.reply.to, sent, heard: sent + answer.took });
            }
            Ok(answer) => failed = Some(answer.reply.remarks),
            Err(why) => failed = Some(why.to_string()),
        }
    }
    Rounds { host, trips, failed }
}

/// When each answer was given, by the clock of who gave it.
async fn given(answers: &mut Subscription) -> BTreeMap<EventId, Duration> {
    let mut given = BTreeMap::new();
    while let Ok(item) = timeout(AGAIN, answers.next()).await {
        let Item::Event(_, event) = item else { continue };
        let at = serde_json::from_slice::<Value>(&event.body.0).ok().and_then(|body| body["at"].as_u64());
        if let (Ok(reply), Some(at)) = (Reply::decode(&event.body.0), at) {
            given.insert(reply.to, Duration::from_millis(at));
        }
    }
    given
}

impl Rounds {
    fn ping(self, given: &BTreeMap<EventId, Duration>) -> Ping {
        let apart = |trip: &Trip| Some(ahead(given.get(&trip.id)?.as_millis(), trip.sent, trip.heard));
        // The quickest answer says most about the clock.
        let quickest = self.trips.iter().min_by_key(|trip| trip.heard - trip.sent);
        let trips = self.trips.iter().map(|trip| trip.heard - trip.sent).collect();
        let ahead_ms = quickest.and_then(apart).unwrap_or(0);
        Ping { host: self.host, trips, ahead_ms, failed: self.failed }
    }
}

/// A time that lies between ours is no difference.
fn ahead(at: u128, sent: Duration, heard: Duration) -> i64 {
    let apart = |one: u128, other: u128| i64::try_from(one.saturating_sub(other)).unwrap_or(i64::MAX);
    apart(at, heard.as_millis()) - apart(sent.as_millis(), at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_ahead_only_if_the_way_of_the_answer_cannot_explain_it() {
        let ahead = |at| ahead(at, Duration::from_millis(1000), Duration::from_millis(1500));
        assert_eq!([900, 1000, 1200, 1500, 4500].map(ahead), [-100, 0, 0, 0, 3000]);
        assert_eq!(ahead(0), -1000);
    }

    #[test]
    fn the_quickest_answer_tells_about_the_clock() {
        let host = HostName::parse("hall").unwrap();
        let id = |sequence| EventId { node: host.clone(), epoch: protocol::Epoch(1), sequence };
        let trip = |sequence, ms| Trip { id: id(sequence), sent: Duration::ZERO, heard: Duration::from_millis(ms) };
        let rounds = Rounds { host: host.clone(), trips: vec![trip(1, 9000), trip(2, 10)], failed: None };
        let given = BTreeMap::from([(id(1), Duration::from_secs(5)), (id(2), Duration::from_secs(5))]);
        let ping = rounds.ping(&given);
        assert_eq!((ping.ahead_ms, ping.trips.len()), (4990, 2));
    }
}
