//! What is said of those who try what they may not: every attempt once, and a flood of them once in a while with its
//! number, so that nobody can fill a disk by knocking.

use super::{Action, House, shown, warn};
use core::net::IpAddr;
use protocol::Instant;
use protocol::fact::Fact;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

/// The same from the same address is said again after this time at the earliest.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// So many addresses and kinds are told apart; those beyond are counted together.
const MOST: usize = 256;

/// What was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Attempt {
    /// To follow or publish without being paired.
    Unpaired,
    /// To be told of shutdowns in the old dialect.
    Old,
    /// Nothing, for as long as nobody needs.
    Silence,
    /// More links than one address may have, or than may wait to be proved.
    Crowd,
    /// To shut the house down.
    Shutdown,
    /// A handshake that is none, or one too many.
    Handshake,
    /// A key that is not paired.
    Key,
    /// To join without the code.
    Pairing,
}

#[derive(Debug)]
struct Recent {
    said: Instant,
    more: u32,
}

/// Who tried what lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    recent: HashMap<(Option<IpAddr>, Attempt), Recent>,
    due: Option<Instant>,
}

impl Strangers {
    /// Whether this one is said now; otherwise it is counted.
    fn is_said(&mut self, address: Option<IpAddr>, attempt: Attempt, now: Instant) -> bool {
        if self.recent.len() >= MOST {
            self.recent.retain(|_, recent| recent.more > 0 || now < recent.said + AGAIN_AFTER);
        }
        let known = self.recent.len() < MOST || self.recent.contains_key(&(address, attempt));
        match self.recent.entry((address.filter(|_| known), attempt)) {
            Entry::Occupied(entry) if entry.get().more > 0 || now < entry.get().said + AGAIN_AFTER => {
                let recent = entry.into_mut();
                let due = recent.said + AGAIN_AFTER;
                recent.more = recent.more.saturating_add(1);
                self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
                false
            }
            entry => {
                entry.insert_entry(Recent { said: now, more: 0 });
                true
            }
        }
    }

    /// When [`Strangers::counted`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Forgets what is long ago; what was counted and not said.
    fn counted(&mut self, now: Instant) -> Vec<(Option<IpAddr>, Attempt, u32)> {
        let mut counted = Vec::new();
        self.due = None;
        self.recent.retain(|(address, attempt), recent| {
            let due = recent.said + AGAIN_AFTER;
            let over = due <= now;
            match (over, recent.more) {
                (true, 0) => return false,
                (true, more) => {
                    counted.push((*address, *attempt, more));
                    *recent = Recent { said: now, more: 0 };
                }
                (false, 0) => {}
                (false, _) => self.due = Some(self.due.map_or(due, |earlier| earlier.min(due))),
            }
            true
        });
        counted
    }
}

impl House {
    /// Somebody tried what he may not: for the log, and for whoever listens on the bus.
    pub(super) fn stranger(
        &mut self,
        address: Option<IpAddr>,
        attempt: Attempt,
        what: String,
        now: Instant,
    ) -> Vec<Action> {
        match self.guard.strangers.is_said(address, attempt, now) {
            true => self.say_of(&shown(address), what),
            false => Vec::new(),
        }
    }

    fn say_of(&self, address: &str, what: String) -> Vec<Action> {
        let note = warn(format!("{address} {what}"));
        let fact = Fact::StrangerRefused { address: address.into(), what };
        vec![note, Action::Tell(self.rules.name.clone(), fact)]
    }

    /// A flood is said to be one.
    pub(super) fn say_counted(&mut self, now: Instant) -> Vec<Action> {
        if self.guard.strangers.due.is_none_or(|due| now < due) {
            return Vec::new();
        }
        let counted = self.guard.strangers.counted(now);
        counted.into_iter().flat_map(|(address, attempt, more)| self.say_more(address, attempt, more)).collect()
    }

    fn say_more(&self, address: Option<IpAddr>, attempt: Attempt, more: u32) -> Vec<Action> {
        let what = match attempt {
            Attempt::Unpaired => "came without being paired",
            Attempt::Old => "came as an old client",
            Attempt::Silence => "said nothing",
            Attempt::Crowd => "came in too great a number",
            Attempt::Shutdown => "asked for a shutdown",
            Attempt::Handshake => "tried a handshake",
            Attempt::Key => "came with a key that is not paired",
            Attempt::Pairing => "tried to join",
        };
        self.say_of(&shown(address), format!("{what} {more} times more, and was refused each time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::at(Duration::from_secs(100));

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(number.into()))
    }

    #[test]
    fn a_flood_is_said_once_and_then_counted() {
        let mut strangers = Strangers::default();
        assert!(strangers.is_said(address(1), Attempt::Unpaired, START));
        for millis in 1..=5000 {
            assert!(!strangers.is_said(address(1), Attempt::Unpaired, START + Duration::from_millis(millis)));
        }
        assert!(strangers.is_said(address(1), Attempt::Shutdown, START), "another kind is another matter");
        assert!(strangers.is_said(address(2), Attempt::Unpaired, START), "and so is another address");
        let due = strangers.deadline().unwrap();
        assert_eq!(due, START + AGAIN_AFTER);
        assert_eq!(strangers.counted(due), [(address(1), Attempt::Unpaired, 5000)]);
        assert!(!strangers.is_said(address(1), Attempt::Unpaired, due + Duration::from_secs(1)));
        assert_eq!(strangers.counted(due + AGAIN_AFTER), [(address(1), Attempt::Unpaired, 1)]);
        assert_eq!(strangers.counted(due + AGAIN_AFTER * 2), []);
        assert!(strangers.recent.is_empty() && strangers.deadline().is_none());
    }

    #[test]
    fn a_crowd_of_addresses_takes_no_more_memory_than_a_few() {
        let mut strangers = Strangers::default();
        let said = (0..100_000).filter(|&number| strangers.is_said(address(number), Attempt::Key, START)).count();
        assert!(said <= MOST + 1 && strangers.recent.len() <= MOST + 1, "{said} were said");
        let counted: u32 = strangers.counted(START + AGAIN_AFTER).iter().map(|(_, _, more)| more).sum();
        assert_eq!(said + counted as usize, 100_000);
    }
}
