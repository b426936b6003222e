//! Two machines of one name: the second one is refused each time that it comes, which is every few seconds. The house is
//! told of it once a minute.

use super::{Action, House, PeerId, shown};
use protocol::fact::Fact;
use protocol::{HostName, Instant};
use std::collections::HashMap;
use std::time::Duration;

/// The same name is told again after this time at the earliest.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// So many names are told in that time; it takes a link for each to have any of them refused.
const MOST: usize = 256;

/// Which names were told lately.
#[derive(Debug, Default)]
pub(super) struct Namesakes {
    told: HashMap<HostName, Instant>,
}

impl Namesakes {
    /// Whether this one is told now.
    fn is_told(&mut self, name: &HostName, now: Instant) -> bool {
        self.told.retain(|_, told| now < *told + AGAIN_AFTER);
        let tells = self.told.len() < MOST && !self.told.contains_key(name);
        if tells {
            self.told.insert(name.clone(), now);
        }
        tells
    }
}

impl House {
    /// Refuses a machine whose name is another one's, and has the house told.
    pub(super) fn refuse_namesake(&mut self, id: PeerId, name: &HostName, why: String, now: Instant) -> Vec<Action> {
        let address = shown(self.peers.get(&id).and_then(|peer| peer.address));
        let fact = Fact::PeerRefused { peer: name.to_string(), address, why: why.clone() };
        let mut actions = self.refuse(id, why, now);
        if self.namesakes.is_told(name, now) {
            actions.push(Action::Tell(self.rules.name.clone(), fact));
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_once_a_minute_and_a_crowd_of_them_is_bounded() {
        let (mut namesakes, start) = (Namesakes::default(), Instant::at(Duration::from_secs(100)));
        let name = |number: usize| HostName::parse(&format!("host{number}")).unwrap();
        assert!(namesakes.is_told(&name(1), start) && !namesakes.is_told(&name(1), start + AGAIN_AFTER / 2));
        assert!(namesakes.is_told(&name(2), start), "another name is another matter");
        assert!(namesakes.is_told(&name(1), start + AGAIN_AFTER));
        let told = (10..10_000).filter(|&number| namesakes.is_told(&name(number), start + AGAIN_AFTER)).count();
        assert_eq!((told, namesakes.told.len()), (MOST - 1, MOST));
    }
}
