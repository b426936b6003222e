//! How much is kept and how long. Pure. From the bounds follows what the journal takes on the disk at most.

use super::failure::Failure;
use super::record::Keep;
use std::time::Duration;

/// The smallest segment: below it, headers of files would outweigh the records.
pub const MIN_SEGMENT: u64 = 1024;
/// The largest segment. One is read whole into memory when it is checked or rewritten.
pub const MAX_SEGMENT: u64 = 64 * 1024 * 1024;
/// A class takes at least so many segments, as the oldest records of a class go by a segment's share at a time.
pub const SEGMENTS: u64 = 4;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The bound of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Bytes of records, each with its header of 56 bytes. Reached, the oldest go.
    pub bytes: u64,
    /// Age, in time that the journal was open: a machine that was off has not aged its records. Held to an eighth.
    pub age: Duration,
}

/// The bounds of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of [`Keep::All`].
    pub keep_all: Bound,
    /// Of [`Keep::LatestPerSubject`].
    pub latest_per_subject: Bound,
    /// Of [`Keep::DropOldest`].
    pub drop_oldest: Bound,
    /// Bytes of one file.
    pub segment: u64,
    /// Bytes of the newest records that are in memory as well, for those who follow.
    pub recent: u64,
}

impl Default for Bounds {
    /// At most 91 MiB on the disk: little for an SD card, and months of a house's events.
    fn default() -> Bounds {
        Bounds {
            keep_all: Bound { bytes: 32 * MIB, age: 90 * DAY },
            latest_per_subject: Bound { bytes: 4 * MIB, age: 365 * DAY },
            drop_oldest: Bound { bytes: 8 * MIB, age: 2 * DAY },
            segment: MIB,
            recent: 128 * KIB,
        }
    }
}

impl Bounds {
    /// What suits [`super::Place::Memory`] on a small machine: about 20 MiB of memory.
    pub fn in_memory() -> Bounds {
        Bounds {
            keep_all: Bound { bytes: 4 * MIB, age: 90 * DAY },
            latest_per_subject: Bound { bytes: MIB, age: 365 * DAY },
            drop_oldest: Bound { bytes: MIB, age: 2 * DAY },
            segment: 128 * KIB,
            recent: 128 * KIB,
        }
    }

    /// The bound of a class.
    pub const fn of(&self, keep: Keep) -> Bound {
        match keep {
            Keep::All => self.keep_all,
            Keep::LatestPerSubject => self.latest_per_subject,
            Keep::DropOldest => self.drop_oldest,
        }
    }

    /// The bytes that segments take at most: each closed one is at least half alive, one is open, one is written anew,
    /// and one is for what stands at the start of each.
    pub fn disk(&self) -> u64 {
        2 * Keep::EACH.iter().map(|&keep| self.of(keep).bytes).sum::<u64>() + 3 * self.segment
    }

    /// The largest record that is taken, with its header.
    pub const fn record(&self) -> u64 {
        self.segment / 2
    }

    /// So old may the first record of a file be before the next file is begun, in seconds.
    pub(crate) fn turn(&self) -> u32 {
        let shortest = Keep::EACH.iter().map(|&keep| self.of(keep).age).min().unwrap_or(DAY);
        u32::try_from(shortest.as_secs() / 8).unwrap_or(u32::MAX).max(1)
    }

    /// Whether they can be held.
    ///
    /// # Errors
    /// [`Failure::Bounds`] names the bound and what it should be.
    pub fn check(&self) -> Result<(), Failure> {
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&self.segment) {
            let why = format!("a segment of {} bytes; take {MIN_SEGMENT} to {MAX_SEGMENT}", self.segment);
            return Err(Failure::Bounds(why));
        }
        let least = SEGMENTS * self.segment;
        match Keep::EACH.iter().find(|&&keep| self.of(keep).bytes < least) {
            None => Ok(()),
            Some(keep) => Err(Failure::Bounds(format!(
                "{} bytes for {keep} records; take at least {least}, or smaller segments",
                self.of(*keep).bytes
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_bounds_can_be_held() {
        for bounds in [Bounds::default(), Bounds::in_memory()] {
            bounds.check().unwrap();
        }
        assert_eq!(Bounds::default().disk() / MIB, 91);
    }

    #[test]
    fn bounds_that_cannot_be_held_are_named() {
        let mut bounds = Bounds { segment: 10, ..Bounds::default() };
        assert!(bounds.check().unwrap_err().to_string().contains("segment of 10 bytes"));
        bounds.segment = MIB;
        bounds.drop_oldest.bytes = MIB;
        let why = bounds.check().unwrap_err().to_string();
        assert!(why.contains("1048576 bytes for drop-oldest") && why.contains("at least 4194304"), "{why}");
    }
}
