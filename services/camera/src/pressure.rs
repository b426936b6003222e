//! Whether the room for recordings runs short. Pure. It is told when it begins and when it is over, which is a good
//! deal later, so that a segment that comes or goes changes nothing.

use protocol::fact::Fact;

/// It runs short when so many hundredths are taken,
const HIGH: u64 = 80;
/// and no longer when no more than so many are.
const LOW: u64 = 60;

/// What was told.
#[derive(Debug, Default)]
pub struct Pressure {
    high: Option<bool>,
}

impl Pressure {
    /// What is to be told when `bytes` of `cap` are taken: the first time how it is, then each change.
    pub fn look(&mut self, bytes: u64, cap: u64) -> Option<Fact> {
        let over = |hundredths| bytes > cap / 100 * hundredths;
        let high = if self.high == Some(true) { over(LOW) } else { over(HIGH) };
        let before = self.high.replace(high);
        (before != Some(high)).then_some(Fact::QueuePressure { high, bytes, cap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_when_it_is_over() {
        let mut pressure = Pressure::default();
        let mut high = |bytes| match pressure.look(bytes, 1000) {
            Some(Fact::QueuePressure { high, .. }) => Some(high),
            _ => None,
        };
        assert_eq!(high(0), Some(false), "another run may have said something else");
        assert_eq!([500, 800, 801, 999, 700, 601].map(&mut high), [None, None, Some(true), None, None, None]);
        assert_eq!([600, 700, 801].map(high), [Some(false), None, Some(true)]);
    }
}
