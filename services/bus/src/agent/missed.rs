//! What somebody missed is told at once, and the same of the same one again after a minute, summed up: a peer that says
//! so with each batch fills no journal.

use super::Shared;
use protocol::fact::Fact;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// Of the same consumer it is told again after so long.
const TOGETHER: Duration = Duration::from_secs(60);

/// What was told of whom lately, and what was not yet.
#[derive(Debug, Default)]
pub(crate) struct Missed(BTreeMap<String, (Instant, u64)>);

impl Missed {
    /// So many more; how many are to be told now.
    fn add(&mut self, consumer: &str, count: u64, now: Instant) -> Option<u64> {
        if let Some((_, more)) = self.0.get_mut(consumer) {
            *more = more.saturating_add(count);
            return None;
        }
        self.0.insert(consumer.into(), (now, 0));
        Some(count)
    }

    /// When [`Missed::due`] has something to do.
    fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|(told, _)| *told + TOGETHER).min()
    }

    /// What is to be told now.
    fn due(&mut self, now: Instant) -> Vec<(String, u64)> {
        let mut due = Vec::new();
        self.0.retain(|consumer, (told, more)| {
            let keeps = now < *told + TOGETHER || *more > 0;
            if now >= *told + TOGETHER && *more > 0 {
                due.push((consumer.clone(), std::mem::take(more)));
                *told = now;
            }
            keeps
        });
        due
    }

    /// All that was not told yet.
    fn rest(&mut self) -> Vec<(String, u64)> {
        let rest = std::mem::take(&mut self.0).into_iter().map(|(consumer, (_, more))| (consumer, more));
        rest.filter(|(_, more)| *more > 0).collect()
    }
}

impl Shared {
    /// Events that a consumer wanted are gone.
    pub(super) fn missed(&self, consumer: &str, count: u64) {
        let told = self.missed.borrow_mut().add(consumer, count, Instant::now());
        if let Some(count) = told {
            self.tell_missed(consumer.into(), count);
            self.summing.notify_one();
        }
    }

    /// The agent ends.
    pub(super) fn tell_rest(&self) {
        let rest = self.missed.borrow_mut().rest();
        rest.into_iter().for_each(|(consumer, count)| self.tell_missed(consumer, count));
    }

    fn tell_missed(&self, consumer: String, count: u64) {
        self.clerk.tell(&self.settings.node, &Fact::EventsMissed { consumer, count });
    }
}

/// Tells what is due, for as long as the agent runs.
pub(super) async fn sum_up(shared: Rc<Shared>) {
    loop {
        let deadline = shared.missed.borrow().deadline();
        match deadline {
            Some(at) => tokio::time::sleep_until(at).await,
            None => shared.summing.notified().await,
        }
        let due = shared.missed.borrow_mut().due(Instant::now());
        due.into_iter().for_each(|(consumer, count)| shared.tell_missed(consumer, count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_again_and_again_is_told_once_a_minute_and_none_of_it_is_left_out() {
        let (mut missed, start) = (Missed::default(), Instant::now());
        let (mut told, mut times) = (0, 0);
        for second in 0..=600 {
            let now = start + Duration::from_secs(second);
            for (_, count) in missed.due(now) {
                (told, times) = (told + count, times + 1);
            }
            if let Some(count) = missed.add("kitchen", 3, now) {
                (told, times) = (told + count, times + 1);
            }
        }
        assert_eq!(times, 11, "at once, then each minute");
        assert_eq!(missed.add("hall", 7, start), Some(7), "another one is another matter");
        told += missed.rest().into_iter().map(|(_, count)| count).sum::<u64>();
        assert_eq!(told, 3 * 601);
        missed.add("hall", 1, start);
        assert_eq!(missed.due(missed.deadline().unwrap()), []);
        assert!(missed.deadline().is_none(), "who missed nothing more is forgotten");
    }
}
