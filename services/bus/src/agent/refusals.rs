//! How often it is told that what a machine says was refused. Pure.

use crate::allowance::Allowance;
use protocol::{HostName, Instant};
use std::collections::HashMap;

/// So many machines are told apart.
const MOST: usize = 1024;

/// What each machine may still have told about it.
#[derive(Debug, Default)]
pub(crate) struct Refusals(HashMap<HostName, Allowance>);

impl Refusals {
    /// Whether one more refusal of a machine is told.
    pub(super) fn may_tell(&mut self, from: &HostName, now: Instant) -> bool {
        if self.0.len() >= MOST && !self.0.contains_key(from) {
            // Names without end are one machine's, whatever it says.
            self.0.retain(|_, allowance| !allowance.is_whole(now));
            if self.0.len() >= MOST {
                return false;
            }
        }
        self.0.entry(from.clone()).or_default().spend(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn host(text: &str) -> HostName {
        HostName::parse(text).unwrap()
    }

    #[test]
    fn one_machine_takes_nothing_from_another() {
        let (mut refusals, now) = (Refusals::default(), Instant::at(Duration::from_secs(1)));
        let told = (0..1000).filter(|_| refusals.may_tell(&host("attic"), now)).count();
        assert!(told < 100, "{told}");
        assert!(refusals.may_tell(&host("kitchen"), now));
    }

    #[test]
    fn machines_without_end_are_told_of_when_others_have_been_quiet() {
        let (mut refusals, now) = (Refusals::default(), Instant::at(Duration::from_secs(1)));
        let told = (0..5000).filter(|number| refusals.may_tell(&host(&format!("m{number}")), now)).count();
        assert_eq!(told, MOST);
        assert!(refusals.may_tell(&host("late"), Instant::at(Duration::from_secs(1000))));
    }
}
