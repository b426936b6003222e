//! What the agent says of itself to whoever asks: what waits for whom, and how it is.

use super::Shared;
use crate::journal::{Entry, Place, Standing};
use crate::mqtt;
use protocol::door::{Health, Tell, Waiting};
use std::path::Path;
use std::time::Instant;

/// Of what waits for one consumer so many events are counted.
const MOST_COUNTED: u64 = 10_000;
/// So many bytes of records are read at a time to count them.
const READING: usize = 24 * 1024;
/// So many patterns of each consumer are told.
const MOST_WISHES: usize = 16;
/// One frame carries about so many bytes of what waits, as they are in memory, which decoding is bounded by; that of one
/// consumer takes less than the rest of a frame.
const PART: usize = 32 * 1024;
/// The largest sync that a doctor writes.
const PROBE: &[u8; 512] = &[0; 512];

/// What waits for each consumer, in as many answers as it takes.
pub(super) fn queue(shared: &Shared) -> Vec<Tell> {
    in_parts(waiting(shared))
}

fn in_parts(waiting: Vec<Waiting>) -> Vec<Tell> {
    let (mut parts, mut part, mut bytes) = (Vec::new(), Vec::new(), 0);
    for one in waiting {
        bytes += weight(&one);
        part.push(one);
        if bytes > PART {
            parts.push(Tell::QueuePart(std::mem::take(&mut part)));
            bytes = 0;
        }
    }
    parts.push(Tell::Queue(part));
    parts
}

fn weight(Waiting { consumer, wants, .. }: &Waiting) -> usize {
    let wants = wants.iter().map(|want| size_of::<String>() + want.len()).sum::<usize>();
    size_of::<Waiting>() + consumer.len() + wants
}

fn waiting(shared: &Shared) -> Vec<Waiting> {
    let hosts = shared.hosts.borrow();
    let is_here = |name: &str| match (name.split_once(':'), name) {
        (Some(("link", "server")), _) => !hosts.is_empty(),
        (Some(("link", host)), _) => hosts.values().any(|here| here.as_str() == host),
        (Some(("sub", _)), _) => shared.subscriptions.is_held(name),
        (_, mqtt::CONSUMER) => shared.reaches_broker(),
        _ => true,
    };
    let standings = shared.journal.consumers().into_iter();
    let waiting = standings.map(|standing| {
        let (events, oldest) = count(shared, &standing);
        let here = is_here(&standing.name);
        let wants = shared.subscriptions.of(&standing.name).unwrap_or_default();
        let wants = wants.iter().take(MOST_WISHES).map(ToString::to_string).collect();
        Waiting { consumer: standing.name, events, open: standing.open as u64, oldest, here, wants }
    });
    waiting.collect()
}

/// How many events wait for a consumer, and the age of the oldest in seconds.
pub(super) fn count(shared: &Shared, standing: &Standing) -> (u64, Option<u64>) {
    let filters = shared.subscriptions.of(&standing.name);
    let node = &shared.settings.node;
    let wanted = |entry: &Entry| match standing.name.as_str() {
        super::TO_SERVER => entry.record.key.node == *node,
        name if name.strip_prefix("link:") == Some(entry.record.key.node.as_str()) => false,
        _ => filters.as_ref().is_none_or(|all| all.iter().any(|filter| filter.matches(&entry.record.subject))),
    };
    let (mut count, mut oldest, mut from) = (0, None, standing.waits_at);
    while count < MOST_COUNTED && from < *shared.journal.end().borrow() {
        let Ok(batch) = shared.journal.read(from, &wanted, READING) else { break };
        oldest = oldest.or_else(|| batch.entries.first().map(|entry| shared.journal.age(entry)));
        count += batch.entries.len() as u64;
        if batch.next == from {
            break;
        }
        from = batch.next;
    }
    (count, oldest)
}

/// How the agent is.
pub(super) fn health(shared: &Shared) -> Health {
    let fill = shared.fill();
    let (journal, sync_us) = match &shared.settings.place {
        Place::Memory => ("memory".into(), 0),
        Place::Directory(path) => (path.display().to_string(), sync_time(path)),
    };
    let mut findings = shared.findings.borrow().clone();
    if shared.unix() < crate::carry::CLOCK_IS_SET {
        findings.push("the clock of this machine is not set; install systemd-timesyncd, or chrony, and wait".into());
    }
    Health {
        journal,
        ram: shared.settings.ram,
        bytes: fill.bytes,
        dropped: fill.dropped,
        sync_us,
        links: shared.hosts.borrow().values().map(ToString::to_string).collect(),
        broker: shared.broker(),
        findings,
    }
}

/// What the disk takes for a small write until it is there, in microseconds; zero if it refuses.
fn sync_time(directory: &Path) -> u64 {
    use std::io::Write;
    let path = directory.join("probe");
    let start = Instant::now();
    let written =
        std::fs::File::create(&path).and_then(|mut file| file.write_all(PROBE).and_then(|()| file.sync_data()));
    let took = start.elapsed().as_micros();
    let _ = std::fs::remove_file(path);
    written.map_or(0, |()| u64::try_from(took).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::codec;

    #[test]
    fn the_longest_queue_goes_in_frames_of_their_size_and_nobody_is_left_out() {
        let waiting: Vec<Waiting> = (0..16_384)
            .map(|number| Waiting {
                consumer: format!("link:host{number}"),
                events: 10_000,
                open: 4096,
                oldest: Some(u64::MAX),
                here: false,
                wants: vec!["x".repeat(512); if number % 100 == 0 { MOST_WISHES } else { 1 }],
            })
            .collect();
        let parts = in_parts(waiting.clone());
        let is_read = |tell: &Tell| codec::decode::<Tell>(&codec::encode(tell)).as_ref() == Ok(tell);
        assert!(parts.iter().all(is_read));
        let last = parts.len() - 1;
        let each = parts.into_iter().enumerate().flat_map(|(at, tell)| match tell {
            Tell::QueuePart(part) if at < last => part,
            Tell::Queue(part) if at == last => part,
            other => panic!("{other:?}"),
        });
        assert!(each.eq(waiting));
    }
}
