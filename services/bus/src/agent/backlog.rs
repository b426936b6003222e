//! What peers have said and the agent has not heard yet, so that none of them fills the memory. Pure, but for the lock.

use super::Order;
use super::machine::MOST_WAITING;
use protocol::Message;
use protocol::event::Event;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Bytes by link; only of those of which something waits, and of those that said too much.
#[derive(Debug, Default)]
pub(super) struct Backlog(Mutex<HashMap<u64, Waiting>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Bytes(usize),
    /// What comes over this link is heard no more: a part of it is missing.
    Over,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comes {
    In,
    /// It is too much, for the first time on this link.
    TooMuch(u64),
    /// It comes behind what was too much.
    Behind,
}

impl Backlog {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<u64, Waiting>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A message came over a link.
    pub(super) fn comes(&self, link: u64, message: &Message) -> Comes {
        self.with(|links| {
            let before = links.entry(link).or_insert(Waiting::Bytes(0));
            match *before {
                Waiting::Over => Comes::Behind,
                Waiting::Bytes(bytes) if bytes > MOST_WAITING => {
                    *before = Waiting::Over;
                    Comes::TooMuch(link)
                }
                Waiting::Bytes(bytes) => {
                    *before = Waiting::Bytes(bytes + weight(message));
                    Comes::In
                }
            }
        })
    }

    /// A link is over.
    pub(super) fn ends(&self, link: u64) -> Comes {
        self.with(|links| links.remove(&link));
        Comes::In
    }

    /// The agent takes an order up.
    pub(super) fn taken(&self, order: &Order) {
        let Order::Heard(link, message) = order else { return };
        self.with(|links| {
            let Some(Waiting::Bytes(bytes)) = links.get_mut(link) else { return };
            *bytes = bytes.saturating_sub(weight(message));
            if *bytes == 0 {
                links.remove(link);
            }
        });
    }
}

/// What a message takes in memory, in bytes.
fn weight(message: &Message) -> usize {
    let more = match message {
        Message::Follow(filters) => filters.iter().map(|filter| size_of::<String>() + filter.len()).sum(),
        Message::Events(batch) => batch.events.iter().map(Event::size).sum(),
        _ => 0,
    };
    size_of::<Message>() + more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(bytes: usize) -> Message {
        Message::Follow(vec!["x".repeat(bytes)])
    }

    #[test]
    fn what_is_heard_in_time_is_never_too_much() {
        let backlog = Backlog::default();
        for _ in 0..10 {
            assert_eq!(backlog.comes(1, &follow(MOST_WAITING)), Comes::In);
            backlog.taken(&Order::Heard(1, follow(MOST_WAITING)));
        }
        assert!(backlog.with(|links| links.is_empty()), "nothing is kept of a link that waits for nothing");
    }

    #[test]
    fn one_that_says_too_much_is_heard_no_more_until_it_comes_again() {
        let backlog = Backlog::default();
        assert_eq!(backlog.comes(1, &follow(MOST_WAITING)), Comes::In);
        assert_eq!(backlog.comes(1, &Message::Kept(1)), Comes::TooMuch(1));
        assert_eq!(backlog.comes(1, &Message::Kept(2)), Comes::Behind);
        assert_eq!(backlog.comes(2, &Message::Kept(2)), Comes::In, "another link");
        backlog.taken(&Order::Heard(1, follow(MOST_WAITING)));
        assert_eq!(backlog.comes(1, &Message::Kept(3)), Comes::Behind, "a part is missing");
        backlog.ends(1);
        assert_eq!(backlog.comes(1, &Message::Kept(4)), Comes::In);
    }
}
