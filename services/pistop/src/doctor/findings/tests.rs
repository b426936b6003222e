//! What is a problem, what is only told, and that each finding comes with its remedy.

use super::*;
use bus::client::Keeper;
use protocol::HostName;

fn healthy() -> Seen {
    let health = Health {
        journal: "/var/lib/pistop/fserver/journal".into(),
        ram: false,
        bytes: 4096,
        dropped: [0, 3, 7],
        sync_us: 900,
        links: vec!["kitchen".into()],
        broker: None,
        findings: Vec::new(),
    };
    Seen {
        door: Door { path: "/run/pistop/bus.sock".into(), mode: 0o660, group: "pistop".into() },
        keeper: Keeper { node: HostName::parse("attic").unwrap(), program: "fserver 1".into() },
        health,
        room: Some(95_420_416),
        waiting: vec![waiting("link:hall", 5000, Some(90_000), false), waiting("hooks", 3, Some(5), true)],
        pings: vec![ping("kitchen", &[3, 4], 900)],
        clock: Clock::Synchronised,
        uplink: None,
        troubles: vec![trouble("peer-paired", "attic")],
    }
}

fn waiting(consumer: &str, events: u64, oldest: Option<u64>, here: bool) -> Waiting {
    Waiting { consumer: consumer.into(), events, open: 0, oldest, here, wants: Vec::new() }
}

fn ping(host: &str, trips: &[u64], ahead_ms: i64) -> Ping {
    let trips = trips.iter().map(|ms| Duration::from_millis(*ms)).collect();
    Ping { host: HostName::parse(host).unwrap(), trips, ahead_ms, failed: None }
}

fn trouble(fact: &str, host: &str) -> Trouble {
    Trouble { fact: fact.into(), host: host.into(), times: 2, last: "hook=motion/50-x".into() }
}

/// Exactly one thing is found, and its words are these.
#[track_caller]
fn one(change: impl FnOnce(&mut Seen), is_problem: bool, words: &str, remedy: &str) {
    let mut seen = healthy();
    change(&mut seen);
    let found = of(&seen);
    let [finding] = &found[..] else { panic!("not one: {found:?}") };
    assert!(finding.what.contains(words) && finding.remedy.contains(remedy), "{finding:?}");
    assert_eq!(finding.is_problem, is_problem, "{finding:?}");
}

#[test]
fn a_healthy_machine_has_no_findings() {
    assert_eq!(of(&healthy()), []);
}

#[test]
fn each_thing_that_is_wrong_is_named_with_its_remedy() {
    one(|seen| seen.door.mode = 0o666, true, "everybody on this machine may come in", "chmod 660 /run/pistop/bus.sock");
    one(|seen| seen.health.sync_us = 83_000, true, "takes 83 ms", "journal = \"ram\"");
    one(|seen| seen.health.sync_us = 0, true, "cannot be written to", "make room");
    one(|seen| seen.health.findings = vec!["it burns; put it out".into()], true, "it burns", "put it out");
    one(|seen| seen.waiting[0].here = true, true, "5000 events wait for link:hall, the oldest for 1 d 1 h", "both");
    one(|seen| seen.waiting = vec![waiting("sub:gallery", 9, Some(700), true)], true, "9 events", "see its log");
    one(|seen| seen.waiting = vec![waiting("sub:gallery", 9, Some(700), false)], true, "9 events", "start the program");
    one(|seen| seen.waiting = vec![waiting("mqtt", 9, Some(700), false)], true, "9 events", "see the log of fserver");
    one(|seen| seen.clock = Clock::Alone, true, "nobody keeps the clock", "chrony");
    one(|seen| seen.pings[0].failed = Some("late".into()), true, "kitchen is there and does not answer", "log there");
    one(|seen| seen.pings = vec![ping("kitchen", &[3, 1500], 0)], true, "a command to kitchen took 1.5 s", "network");
    one(|seen| seen.pings = vec![ping("hall", &[3], 4990)], true, "hall is 5.0 s ahead of this one", "both");
    one(|seen| seen.pings = vec![ping("hall", &[3], -2001)], true, "hall is 2.0 s behind this one", "both");
    one(|seen| seen.troubles = vec![trouble("hook-failed", "hall")], true, "hook-failed on hall, 2 times", "by hand");
    one(|seen| seen.troubles = vec![trouble("peer-refused", "attic")], true, "peer-refused on attic", "another name");
    one(|seen| seen.troubles = vec![trouble("event-refused", "hall")], false, "event-refused on hall", "mend");
}

#[test]
fn a_disk_in_ram_may_be_slow_and_a_journal_in_memory_has_none() {
    let mut seen = healthy();
    (seen.health.ram, seen.health.sync_us) = (true, 83_000);
    assert_eq!(of(&seen), []);
    (seen.health.journal, seen.health.sync_us) = ("memory".into(), 0);
    assert_eq!(of(&seen), []);
}

#[test]
fn a_broker_that_is_reached_has_quirks_and_one_that_is_not_has_a_problem() {
    let uplink = |connected, detail: &str| Some(Uplink { broker: "mqtt://b".into(), connected, detail: detail.into() });
    one(
        |seen| seen.uplink = uplink(Some(false), "refused"),
        true,
        "mqtt://b is not reached: refused",
        "see that it runs",
    );
    let mut seen = healthy();
    seen.uplink = uplink(Some(true), "mosquitto version 2.0.11");
    seen.clock = Clock::Alone;
    let found = of(&seen);
    assert!(
        found.len() > 2 && found[0].is_problem && found[1..].iter().all(|finding| !finding.is_problem),
        "{found:?}"
    );
}
