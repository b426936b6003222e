//! What a peer sends, until it is in the journal: one batch after the other, so that they are kept in their order.

use super::machine::MOST_WAITING;
use super::{Shared, record_now};
use crate::journal::{Appended, Failure};
use protocol::event::{Batch, Event};
use std::collections::VecDeque;
use std::time::Duration;

/// After the disk has refused what a peer sent.
const PAUSE: Duration = Duration::from_secs(1);

/// The batches of one peer.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    batches: VecDeque<Batch>,
    /// Bytes of the one that is being appended.
    busy: Option<usize>,
    /// Bytes of them all.
    waiting: usize,
}

impl Incoming {
    /// One more has come. `false` if the peer has sent more than [`MOST_WAITING`] bytes that wait.
    pub(super) fn push(&mut self, batch: Batch) -> bool {
        self.waiting += weight(&batch);
        self.batches.push_back(batch);
        self.waiting <= MOST_WAITING
    }

    /// The next one, if none is being appended; it is, from now on.
    pub(super) fn next(&mut self) -> Option<Batch> {
        if self.busy.is_some() {
            return None;
        }
        let batch = self.batches.pop_front()?;
        self.busy = Some(weight(&batch));
        Some(batch)
    }

    /// The one that was being appended is kept.
    pub(super) fn kept(&mut self) {
        self.waiting -= self.busy.take().unwrap_or(0);
    }

    /// Nothing of the peer waits.
    pub(super) fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.busy.is_none()
    }
}

/// What a batch takes while it waits, also one without events.
fn weight(batch: &Batch) -> usize {
    size_of::<Batch>() + batch.events.iter().map(Event::size).sum::<usize>()
}

/// Appends what a peer sent, as often as the disk makes it necessary. `false` if the journal is closed.
pub(super) async fn append(shared: &Shared, events: Vec<Event>) -> bool {
    let mut left: Vec<_> = events.into_iter().map(record_now).collect();
    while !left.is_empty() {
        let Ok(answers) = shared.journal.append_all(left.clone()).await else { return false };
        left = left
            .into_iter()
            .zip(answers)
            .filter(|(_, answer)| is_to_be_tried_again(answer))
            .map(|(it, _)| it)
            .collect();
        if !left.is_empty() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    true
}

fn is_to_be_tried_again(answer: &Result<Appended, Failure>) -> bool {
    match answer {
        Ok(_) => false,
        Err(why) => {
            tracing::error!("{why}");
            why.is_temporary()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(through: u64) -> Batch {
        Batch { through, events: Vec::new(), lost: 0 }
    }

    #[test]
    fn one_after_the_other_is_handed_out() {
        let mut incoming = Incoming::default();
        assert!(incoming.push(batch(1)) && incoming.push(batch(2)));
        assert_eq!(incoming.next().map(|batch| batch.through), Some(1));
        assert!(incoming.next().is_none(), "the first is not kept yet");
        incoming.kept();
        assert_eq!(incoming.next().map(|batch| batch.through), Some(2));
        assert!(!incoming.is_empty());
        incoming.kept();
        assert!(incoming.is_empty() && incoming.next().is_none());
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_kept_waits_no_longer() {
        let most = MOST_WAITING / size_of::<Batch>();
        let mut incoming = Incoming::default();
        assert!((0..most as u64).all(|number| incoming.push(batch(number))));
        incoming.next().unwrap();
        assert!(!incoming.push(batch(0)), "what is being appended waits, too");
        incoming.kept();
        incoming.next().unwrap();
        incoming.kept();
        assert!(incoming.push(batch(0)));
    }
}
