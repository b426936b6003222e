//! Whether the room for recordings runs short. Pure. It is told when it begins and when it is over, which is a good
//! deal later, so that a segment that comes or goes changes nothing.

use protocol::fact::Fact;

/// It runs short when so many hundredths are taken,
const HIGH: u64 = 80;
/// and no longer when no more than so many are.
const LOW: u64 = 60;

/// What was told: whether it runs short, and whether there is none at all.
#[derive(Debug, Default)]
pub struct Pressure {
    told: Option<(bool, bool)>,
}

impl Pressure {
    /// What is to be told when `bytes` of `cap` are taken, or pictures are lost since the file system is `full`, whoever filled it: the
    /// first time how it is, then each change.
    pub fn look(&mut self, bytes: u64, cap: u64, full: bool) -> Option<Fact> {
        let over = |hundredths| bytes > cap / 100 * hundredths;
        let was_high = self.told.is_some_and(|(high, _)| high);
        let high = full || over(if was_high { LOW } else { HIGH });
        let before = self.told.replace((high, full));
        (before != Some((high, full))).then_some(Fact::QueuePressure { high, full, bytes, cap })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_begins_and_when_it_is_over() {
        let mut pressure = Pressure::default();
        let mut high = |bytes| match pressure.look(bytes, 1000, false) {
            Some(Fact::QueuePressure { high, .. }) => Some(high),
            _ => None,
        };
        assert_eq!(high(0), Some(false), "another run may have said something else");
        assert_eq!([500, 800, 801, 999, 700, 601].map(&mut high), [None, None, Some(true), None, None, None]);
        assert_eq!([600, 700, 801].map(high), [Some(false), None, Some(true)]);
    }

    #[test]
    fn a_disk_that_others_have_filled_is_told_however_little_recordings_take() {
        let mut pressure = Pressure::default();
        let mut told = |full| match pressure.look(10, 1000, full) {
            Some(Fact::QueuePressure { high, full, .. }) => Some((high, full)),
            _ => None,
        };
        let expected = [Some((false, false)), Some((true, true)), None, Some((false, false))];
        assert_eq!([false, true, true, false].map(&mut told), expected);
    }
}
