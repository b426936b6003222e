//! What the agent says of itself to whoever asks: what waits for whom, and how it is.

use super::Shared;
use crate::journal::{Entry, Journal, Place, Position, Standing};
use crate::mqtt;
use protocol::door::{Health, Tell, Waiting};
use protocol::{Filter, HostName};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

/// Of what waits for one consumer so many events are counted.
const MOST_COUNTED: u64 = 10_000;
/// So many bytes of records are read at a time to count them.
const READING: usize = 128 * 1024;
/// So often for all consumers together, which is about a second's work; a house of which thousands are away is told
/// rather at once than exactly.
const MOST_STEPS: usize = 1024;
/// So often while others wait.
const MOST_STEPS_AT_ONCE: usize = 64;
/// So many patterns of each consumer are told.
const MOST_WISHES: usize = 16;
/// One frame carries about so many bytes of what waits, as they are in memory, which decoding is bounded by; that of one
/// consumer takes less than the rest of a frame.
const PART: usize = 32 * 1024;
/// The largest sync that a doctor writes.
const PROBE: &[u8; 512] = &[0; 512];

/// What waits for each consumer, in as many answers as it takes.
pub(super) async fn queue(shared: &Shared) -> Vec<Tell> {
    in_parts(waiting(shared).await)
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

/// Whoever asks holds up nobody else of this thread.
async fn waiting(shared: &Shared) -> Vec<Waiting> {
    let hosts: BTreeSet<HostName> = shared.hosts.borrow().values().cloned().collect();
    let is_here = |name: &str| match (name.split_once(':'), name) {
        (Some(("link", "server")), _) => !hosts.is_empty(),
        (Some(("link", host)), _) => HostName::parse(host).is_ok_and(|host| hosts.contains(&host)),
        (Some(("sub", _)), _) => shared.subscriptions.is_held(name),
        (_, mqtt::CONSUMER) => shared.reaches_broker(),
        _ => true,
    };
    let (mut waiting, mut steps) = (Vec::new(), MOST_STEPS);
    for standing in shared.journal.consumers() {
        let filters = shared.subscriptions.of(&standing.name);
        let wanted = |entry: &Entry| is_wanted(shared, &standing.name, filters.as_deref(), entry);
        let mut count = Count::of(&shared.journal, &standing, &wanted);
        while steps > 0 && count.step() {
            steps -= 1;
            tokio::task::yield_now().await;
        }
        let (events, oldest) = count.end();
        let here = is_here(&standing.name);
        let wants = filters.iter().flatten().take(MOST_WISHES).map(ToString::to_string).collect();
        waiting.push(Waiting { consumer: standing.name, events, open: standing.open as u64, oldest, here, wants });
    }
    waiting
}

fn is_wanted(shared: &Shared, consumer: &str, filters: Option<&[Filter]>, entry: &Entry) -> bool {
    match consumer {
        super::TO_SERVER => entry.record.key.node == shared.settings.node,
        name if name.strip_prefix("link:") == Some(entry.record.key.node.as_str()) => false,
        _ => filters.is_none_or(|all| all.iter().any(|filter| filter.matches(&entry.record.subject))),
    }
}

/// How many events wait for a consumer, at most.
pub(super) fn count(shared: &Shared, standing: &Standing) -> u64 {
    let filters = shared.subscriptions.of(&standing.name);
    let wanted = |entry: &Entry| is_wanted(shared, &standing.name, filters.as_deref(), entry);
    let mut count = Count::of(&shared.journal, standing, &wanted);
    let _ = (0..MOST_STEPS_AT_ONCE).all(|_| count.step());
    count.end().0
}

/// Counts what waits for one consumer, a piece of the journal at a time.
struct Count<'a> {
    journal: &'a Journal,
    wanted: &'a dyn Fn(&Entry) -> bool,
    at: Position,
    end: Position,
    events: u64,
    /// The age of the oldest, in seconds.
    oldest: Option<u64>,
}

impl<'a> Count<'a> {
    fn of(journal: &'a Journal, standing: &Standing, wanted: &'a dyn Fn(&Entry) -> bool) -> Count<'a> {
        Count { journal, wanted, at: standing.waits_at, end: journal.next(), events: 0, oldest: None }
    }

    /// One piece more; false if there was none.
    fn step(&mut self) -> bool {
        if self.events >= MOST_COUNTED || self.at >= self.end {
            return false;
        }
        let Ok(batch) = self.journal.read(self.at, self.wanted, READING) else {
            self.at = self.end;
            return false;
        };
        self.oldest = self.oldest.or_else(|| batch.entries.first().map(|entry| self.journal.age(entry)));
        self.events += batch.entries.len() as u64;
        // A reading that gets no further has nothing more to find.
        self.at = if batch.next > self.at { batch.next } else { self.end };
        true
    }

    /// How many there are, and the age of the oldest. Of what was not read all counts, wanted or not.
    fn end(self) -> (u64, Option<u64>) {
        let rest = self.end.0.saturating_sub(self.at.0).min(MOST_COUNTED.saturating_sub(self.events));
        (self.events + rest, self.oldest)
    }
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

    #[test]
    fn what_waits_for_a_crowd_is_counted_in_a_bounded_number_of_steps() {
        use crate::journal::{Bounds, Class, Clock, Keep, Key, Record, Start, wait};
        let (journal, _) = Journal::open(Place::Memory, Bounds::in_memory(), Clock::system()).unwrap();
        journal.register("hall", Start::Earliest).unwrap();
        for sequence in 1..=1000 {
            let key = Key { node: HostName::parse("attic").unwrap(), epoch: protocol::Epoch(1), sequence };
            let (class, subject) = (Class { keep: Keep::All, durable: false }, format!("s/{}", sequence % 2));
            wait(journal.append(Record { key, class, subject, expires: None, body: vec![0; 1000] })).unwrap();
        }
        let standing = journal.consumers().remove(0);
        let wanted = |entry: &Entry| entry.record.subject == "s/1";
        let counted = |steps: usize| {
            let mut count = Count::of(&journal, &standing, &wanted);
            let _ = (0..steps).all(|_| count.step());
            count.end().0
        };
        assert!(counted(0) >= 1000 && counted(99) == 500);
        assert!((501..1000).contains(&counted(1)), "what was read is counted as it is wanted");
    }
}
