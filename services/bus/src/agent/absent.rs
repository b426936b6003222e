//! Machines that had no link for long. What waits for one that never returns is read past at each count and keeps a place
//! among the consumers for ever, so after a time the server gives it up, aloud. Ages are counted as those of records are:
//! in the time that the journal was open.

use super::{Shared, kept, report};
use protocol::HostName;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

const FILE: &str = "links.json";
/// So often everybody is looked at; so much of its last link a crash may forget.
const ROUND: Duration = Duration::from_secs(3600);
/// No more often, however short the time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The consumers that are machines.
const LINK: &str = "link:";

/// When each of them had a link last, in seconds that the journal was open.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Absent(BTreeMap<String, u32>);

impl Absent {
    /// Has a link now.
    fn saw(&mut self, consumer: &str, second: u32) {
        match self.0.get_mut(consumer) {
            Some(seen) => *seen = second,
            None => drop(self.0.insert(consumer.into(), second)),
        }
    }

    /// These are all there are. One that nothing is known of counts from now on.
    fn are<'a>(&mut self, all: impl Iterator<Item = &'a str>, second: u32) {
        let mut before = std::mem::take(&mut self.0);
        self.0 = all.map(|name| (name.into(), before.remove(name).unwrap_or(second))).collect();
    }

    /// Who has been away for longer than that.
    fn over(&self, second: u32, after: Duration) -> Vec<String> {
        let is_over = |seen: u32| u64::from(second.saturating_sub(seen)) >= after.as_secs();
        self.0.iter().filter(|(_, seen)| is_over(**seen)).map(|(name, _)| name.clone()).collect()
    }
}

impl Shared {
    /// A machine had a link until now.
    pub(super) fn saw(&self, consumer: &str) {
        self.absent.borrow_mut().saw(consumer, self.journal.second());
    }

    /// A machine is not waited for any more. What waited for it is told, as something that it misses.
    pub(super) fn forget_machine(&self, host: &str, why: &str) {
        let consumer = format!("{LINK}{host}");
        let Some(standing) = self.journal.consumers().into_iter().find(|standing| standing.name == consumer) else {
            return;
        };
        let count = report::count(self, &standing);
        if let Err(why) = self.journal.forget(&consumer) {
            return tracing::error!("{why}");
        }
        self.subscriptions.unfollow(&consumer);
        if count == 0 {
            return tracing::info!("{host} {why}; it is not waited for any more");
        }
        tracing::warn!(
            "{host} {why}; it is not waited for any more, and {count} events that waited for it are given up"
        );
        self.missed(host, count);
    }
}

/// Looks from time to time, for as long as the agent runs.
pub(super) async fn watch(shared: Rc<Shared>) {
    let Some(after) = shared.settings.forget_after.filter(|_| shared.settings.server) else { return };
    let place = kept::beside(&shared.settings.place, FILE);
    let text = place.as_deref().map_or(Ok(None), kept::read);
    let read = text.and_then(|text| Ok(text.map(|text| serde_json::from_str(&text)).transpose()?));
    match read {
        Ok(known) => *shared.absent.borrow_mut() = Absent(known.unwrap_or_default()),
        Err(why) => tracing::warn!("{FILE}: {why}; who had a link when is not known, so everybody counts from now on"),
    }
    let mut written = String::new();
    loop {
        look(&shared, after);
        let seen = serde_json::to_string(&shared.absent.borrow().0).expect("names and numbers");
        if let Some(place) = place.as_deref().filter(|_| seen != written) {
            match kept::write(place, &seen) {
                Ok(()) => written = seen,
                Err(why) => tracing::error!("{FILE}: {why}; who had a link when is written down later"),
            }
        }
        tokio::time::sleep(ROUND.min(after / 2).max(SHORTEST)).await;
    }
}

fn look(shared: &Shared, after: Duration) {
    let (second, consumers) = (shared.journal.second(), shared.journal.consumers());
    let links = consumers.iter().map(|standing| standing.name.as_str()).filter(|name| name.starts_with(LINK));
    shared.absent.borrow_mut().are(links, second);
    let here: Vec<HostName> = shared.hosts.borrow().values().cloned().collect();
    here.iter().for_each(|host| shared.saw(&format!("{LINK}{host}")));
    let over = shared.absent.borrow().over(second, after);
    let days = after.as_secs_f64() / 86_400.0;
    for host in over.iter().filter_map(|name| name.strip_prefix(LINK)) {
        shared.forget_machine(host, &format!("had no link for {days} days (FORGET_AFTER)"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 86_400;

    #[test]
    fn whoever_has_no_link_for_long_is_named_and_nobody_else() {
        let after = Duration::from_secs(90 * u64::from(DAY));
        let mut absent = Absent::default();
        absent.are(["link:attic", "link:hall"].into_iter(), 10 * DAY);
        assert!(absent.over(99 * DAY, after).is_empty(), "one that nothing was known of counts from then on");
        absent.saw("link:hall", 50 * DAY);
        absent.are(["link:attic", "link:bath", "link:hall"].into_iter(), 100 * DAY);
        assert_eq!(absent.over(100 * DAY, after), ["link:attic"]);
        absent.are(["link:hall"].into_iter(), 140 * DAY);
        assert_eq!(absent.over(140 * DAY, after), ["link:hall"], "who is no consumer is no more known");
        let again: BTreeMap<String, u32> = serde_json::from_str(&serde_json::to_string(&absent.0).unwrap()).unwrap();
        assert_eq!(Absent(again), absent);
    }
}
