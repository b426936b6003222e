//! Machines without a cursor, by the address that names them. In an open house anybody may name as many as he likes, one
//! after the other, and each would have a place among the consumers until FORGET_AFTER. Who has a cursor is not asked.
//! Pure, but for what the agent does with it.

use super::Shared;
use protocol::fact::Fact;
use protocol::{HostName, Instant};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// After so long an address may name one more: in the 90 days of FORGET_AFTER 2,160 of the 16,384 consumers.
const EACH: Duration = Duration::from_secs(3600);
/// So many addresses are told apart; those beyond count as one.
const MOST: usize = 1024;
/// So many places among the consumers are for programs and for machines that are paired.
const RESERVED: usize = 1024;

/// What each address has named lately.
#[derive(Debug, Default)]
pub(crate) struct Newcomers(HashMap<Option<IpAddr>, Named>);

#[derive(Debug, Default)]
struct Named {
    spent: u32,
    since: Instant,
    told: Option<Instant>,
}

/// What becomes of a newcomer.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Welcome,
    Refused,
    /// And that is to be told.
    Told,
}

impl Named {
    fn recover(&mut self, now: Instant) {
        let back = u32::try_from(now.since(self.since).as_secs() / EACH.as_secs()).unwrap_or(u32::MAX);
        if back > 0 {
            (self.spent, self.since) = (self.spent.saturating_sub(back), now);
        }
    }

    fn comes(&mut self, most: u32, now: Instant) -> Verdict {
        self.recover(now);
        if self.spent < most {
            self.spent += 1;
            return Verdict::Welcome;
        }
        match self.told {
            Some(told) if now.since(told) < EACH => Verdict::Refused,
            _ => {
                self.told = Some(now);
                Verdict::Told
            }
        }
    }
}

impl Newcomers {
    /// An address names a machine that nobody knew.
    fn comes(&mut self, address: IpAddr, most: u32, now: Instant) -> Verdict {
        if self.0.len() >= MOST {
            self.0.retain(|_, named| {
                named.recover(now);
                named.spent > 0
            });
        }
        let known = self.0.len() < MOST || self.0.contains_key(&Some(address));
        let fresh = || Named { since: now, ..Named::default() };
        self.0.entry(Some(address).filter(|_| known)).or_insert_with(fresh).comes(most, now)
    }
}

impl Shared {
    /// Whether a machine that proves nothing gets a cursor, or has one. One that does not is here for presence alone.
    pub(super) fn welcomes(&self, host: &HostName, consumer: &str, address: IpAddr) -> bool {
        if self.journal.reached(consumer).is_ok() {
            return true;
        }
        let is_full = self.journal.room_for_consumers() <= RESERVED;
        let most = if is_full { 0 } else { self.settings.strangers_per_address };
        let verdict = self.newcomers.borrow_mut().comes(address, most, Instant::at(self.began.elapsed()));
        if verdict == Verdict::Told {
            let what = format!(
                "names more machines than get events here, {host} among them, which are here for presence alone; pair this house's machines, or raise MAX_PER_ADDRESS"
            );
            tracing::warn!("{address} {what}");
            self.clerk.tell(&self.settings.node, &Fact::StrangerRefused { address: address.to_string(), what });
        }
        verdict == Verdict::Welcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn an_address_names_so_many_machines_and_then_one_an_hour_and_that_is_told_once() {
        let (mut newcomers, start) = (Newcomers::default(), Instant::at(Duration::from_secs(9)));
        let mut verdicts =
            |from, count, now| -> Vec<Verdict> { (0..count).map(|_| newcomers.comes(address(from), 3, now)).collect() };
        use Verdict::{Refused, Told, Welcome};
        assert_eq!(verdicts(1, 5, start), [Welcome, Welcome, Welcome, Told, Refused]);
        assert_eq!(verdicts(2, 1, start), [Welcome], "another address is another matter");
        assert_eq!(verdicts(1, 3, start + EACH), [Welcome, Told, Refused]);
    }

    #[test]
    fn addresses_without_end_take_bounded_memory_and_count_as_one() {
        let (mut newcomers, start) = (Newcomers::default(), Instant::at(Duration::from_secs(9)));
        let mut welcome = |now| (0..9000).filter(|&n| newcomers.comes(address(n), 3, now) == Verdict::Welcome).count();
        assert_eq!(welcome(start), MOST + 3);
        assert!(welcome(start + EACH * 9) > MOST, "who has recovered is forgotten");
        assert!(newcomers.0.len() <= MOST + 1);
    }
}
