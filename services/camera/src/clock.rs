//! Whether the machine knows what time it is, and when that is to be told: recordings carry the time. Pure.

use protocol::fact::Fact;

/// What helps.
const UNSET: &str = "recordings carry a wrong time, and get the right one when the clock is set; check the network, and that a time server is \
                     heard (timedatectl)";

/// What was said of it.
#[derive(Debug, Default)]
pub struct Clock {
    told: Option<bool>,
}

impl Clock {
    /// It was said that it is not set.
    pub fn is_unset(&self) -> bool {
        self.told == Some(false)
    }

    /// What is to be said now, if anything.
    pub fn look(&mut self, set: bool) -> Option<Fact> {
        let why = if set { "" } else { UNSET };
        (self.told.replace(set) != Some(set)).then(|| Fact::MachineClock { set, why: why.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_not_set_is_told_once_and_again_when_it_is() {
        let mut clock = Clock::default();
        let told: Vec<_> = [false, false, true, true, false].into_iter().map(|set| clock.look(set)).collect();
        let set = |fact: &Option<Fact>| match fact {
            Some(Fact::MachineClock { set, why }) if *set == why.is_empty() => Some(*set),
            _ => None,
        };
        assert_eq!(told.iter().map(set).collect::<Vec<_>>(), [Some(false), None, Some(true), None, Some(false)]);
    }
}
