//! What the doctor says: first what he saw, then what he found. Pure.

use super::Local;
use super::clock::Clock;
use super::disk::{Disk, Writer};
use super::findings::Finding;
use super::ping::Ping;
use super::seen::{Seen, Uplink};
use super::uploads::Uploads;
use crate::words::{size, table, took};
use bus::told::escaped;
use protocol::event::Keep;
use serde_json::{Value, json};
use std::time::Duration;

/// For people: a line for everything that was looked at, then a line for each finding.
pub fn people(seen: Option<&Seen>, local: &Local, findings: &[Finding]) -> String {
    let rows = seen.map(of_the_bus).into_iter().flatten().chain(of_this_machine(local));
    let rows: Vec<Vec<String>> = rows.map(|(name, words)| vec![name.into(), words]).collect();
    let line = |finding: &Finding| {
        let kind = if finding.is_problem { "problem" } else { "note" };
        format!("{kind}: {}; {}\n", escaped(&finding.what), escaped(&finding.remedy))
    };
    table(&rows) + &findings.iter().map(line).collect::<String>()
}

fn of_the_bus(seen: &Seen) -> [(&'static str, String); 6] {
    [
        ("bus", bus(seen)),
        ("journal", journal(seen)),
        ("links", links(&seen.health.links)),
        ("pings", pings(&seen.pings)),
        ("clock", clock(seen.clock).into()),
        ("broker", broker(seen.uplink.as_ref())),
    ]
}

fn of_this_machine(local: &Local) -> impl Iterator<Item = (&'static str, String)> {
    let uploads = Some(&local.uploads).filter(|uploads| **uploads != Uploads::None);
    let uploads = uploads.map(|uploads| ("uploads", uploads.line()));
    uploads.into_iter().chain(local.disk.as_ref().map(|disk| ("disk", disk.line())))
}

fn bus(seen: &Seen) -> String {
    let who = if seen.door.group == "root" { "root".into() } else { format!("root and the group {}", seen.door.group) };
    format!("{} on {}; {who} may come in at {}", seen.keeper.program, seen.keeper.node, seen.door.path.display())
}

fn journal(seen: &Seen) -> String {
    let health = &seen.health;
    let place = if health.ram { "in RAM, lost with the power" } else { "on the disk" };
    let sync = took(Duration::from_micros(health.sync_us));
    let dropped = Keep::EACH.iter().zip(health.dropped).filter(|(_, count)| *count > 0);
    let dropped: Vec<String> = dropped.map(|(keep, count)| format!("{count} of {keep}")).collect();
    let dropped = if dropped.is_empty() { "nothing".into() } else { dropped.join(", ") };
    let bytes = size(health.bytes);
    let fill = seen.room.map_or_else(|| bytes.clone(), |most| format!("{bytes} of {}", size(most)));
    format!("{}, {place}: {fill}, dropped so far: {dropped}; one write takes {sync}", health.journal)
}

fn links(links: &[String]) -> String {
    if links.is_empty() { "none".into() } else { links.join(", ") }
}

fn pings(pings: &[Ping]) -> String {
    let mut trips: Vec<Duration> = pings.iter().flat_map(|ping| ping.trips.iter().copied()).collect();
    trips.sort();
    let answered = pings.iter().filter(|ping| ping.failed.is_none()).count();
    let [half, most] = [50, 99].map(|percent| rank(&trips, percent).map_or_else(|| "-".into(), took));
    format!("{answered} of {} machines answer; half of the commands within {half}, 99 % within {most}", pings.len())
}

/// The smallest that is not exceeded by so many percent.
fn rank(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let place = (sorted.len() * percent).div_ceil(100).checked_sub(1)?;
    sorted.get(place).copied()
}

const fn clock(clock: Clock) -> &'static str {
    match clock {
        Clock::Synchronised => "goes by a time server",
        Clock::Alone => "goes by itself",
        Clock::Unknown => "nobody here can say whether it goes by a time server",
    }
}

fn broker(uplink: Option<&Uplink>) -> String {
    let Some(Uplink { broker, connected, detail }) = uplink else { return "none is set up".into() };
    let state = match connected {
        Some(true) => "is reached",
        Some(false) => "is not reached",
        None => "is not reached yet",
    };
    let detail = if detail.is_empty() { String::new() } else { format!(": {}", escaped(detail)) };
    format!("{} {state}{detail}", escaped(broker))
}

/// The same as one object. Without the bus, what it has is missing.
pub fn json(seen: Option<&Seen>, local: &Local, findings: &[Finding]) -> Value {
    let mut all = seen.map_or_else(|| json!({}), bus_json);
    let finding =
        |finding: &Finding| json!({"problem": finding.is_problem, "what": finding.what, "remedy": finding.remedy});
    all["findings"] = findings.iter().map(finding).collect();
    all["disk"] = local.disk.as_ref().map_or(Value::Null, disk_json);
    all
}

fn disk_json(disk: &Disk) -> Value {
    let writer = |writer: &Writer| json!({"process": writer.pid, "name": writer.name, "bytes": writer.bytes});
    json!({
        "device": disk.device.as_ref().map(|(name, _)| name),
        "bytes": disk.device.as_ref().map(|(_, bytes)| bytes),
        "seconds": disk.span.as_secs_f64(),
        "writers": disk.writers.iter().map(writer).collect::<Vec<_>>(),
        "unseen": disk.unseen,
    })
}

fn bus_json(seen: &Seen) -> Value {
    let ms = |took: &Duration| took.as_secs_f64() * 1000.0;
    let ping = |ping: &Ping| {
        let trips: Vec<f64> = ping.trips.iter().map(ms).collect();
        json!({"host": ping.host, "ms": trips, "ahead-ms": ping.ahead_ms, "failed": ping.failed})
    };
    let uplink =
        |uplink: &Uplink| json!({"broker": uplink.broker, "connected": uplink.connected, "detail": uplink.detail});
    json!({
        "node": seen.keeper.node,
        "program": seen.keeper.program,
        "door": {"path": seen.door.path, "mode": format!("{:o}", seen.door.mode), "group": seen.door.group},
        "health": seen.health,
        "room": seen.room,
        "queue": seen.waiting,
        "pings": seen.pings.iter().map(ping).collect::<Vec<_>>(),
        "clock": match seen.clock {
            Clock::Synchronised => Some(true),
            Clock::Alone => Some(false),
            Clock::Unknown => None,
        },
        "uplink": seen.uplink.as_ref().map(uplink),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::HostName;

    #[test]
    fn ranks_are_those_of_the_sorted_times() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!((rank(&times, 50), rank(&times, 99)), (Some(times[99]), Some(times[197])));
        assert_eq!(
            (rank(&times[..1], 50), rank(&times[..1], 99), rank(&[], 50)),
            (Some(times[0]), Some(times[0]), None)
        );
    }

    #[test]
    fn the_lines_are_plain_words() {
        let ping = |host: &str, failed: Option<&str>| Ping {
            host: HostName::parse(host).unwrap(),
            trips: if failed.is_some() { vec![] } else { vec![Duration::from_micros(2340)] },
            ahead_ms: 0,
            failed: failed.map(str::to_owned),
        };
        let expected = "1 of 2 machines answer; half of the commands within 2.3 ms, 99 % within 2.3 ms";
        assert_eq!(pings(&[ping("attic", None), ping("hall", Some("late"))]), expected);
        assert!(pings(&[ping("hall", Some("late"))]).contains("within -"));
        let uplink = |connected, detail: &str| Uplink { broker: "b:1883".into(), connected, detail: detail.into() };
        assert_eq!(broker(Some(&uplink(Some(true), ""))), "b:1883 is reached");
        assert_eq!(broker(Some(&uplink(Some(false), "refused"))), "b:1883 is not reached: refused");
        assert_eq!(broker(None), "none is set up");
    }
}
