//! Whether the right ones went when there was no room, and whether the right ones came first when there was a way
//! again. Pure.

use std::time::Duration;

/// A segment, as far as its value goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worth {
    /// Of which camera.
    pub camera: String,
    /// It is evidence.
    pub marked: bool,
    /// When it begins, in milliseconds since 1970.
    pub start_ms: u64,
}

impl Worth {
    /// Smaller is less valuable: it goes first and comes last.
    fn rank(&self) -> (bool, u64) {
        (self.marked, self.start_ms)
    }
}

/// How long a segment was seen in RAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// What it is worth.
    pub worth: Worth,
    /// Seen first then, in time since the beginning,
    pub from: Duration,
    /// and last then.
    pub to: Duration,
}

/// Those that were there before and after a less valuable one than `gone` should have gone: more than `unsure` around
/// `at`.
pub fn should_have_gone<'a>(gone: &Worth, at: Duration, stays: &'a [Stay], unsure: Duration) -> Option<&'a Stay> {
    let was_there = |stay: &&Stay| stay.from + unsure < at && at + unsure < stay.to;
    stays.iter().filter(was_there).find(|stay| stay.worth.rank() < gone.rank())
}

/// Pairs in the order of their arrival of which the second one should have been there first. So many are under way at a
/// time, so one may be overtaken by that many. Of different cameras only marks are compared: the newest of each camera
/// goes before the backlog of all.
pub fn overtaken(arrived: &[Worth], ways: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, first) in arrived.iter().enumerate() {
        let better = |later: &&Worth| match first.camera == later.camera || first.marked != later.marked {
            true => later.rank() > first.rank(),
            false => first.marked && later.start_ms > first.start_ms,
        };
        if let Some(later) = arrived.iter().skip(at + ways).find(better) {
            wrong.push(format!("{} {} before {} {}", first.camera, first.start_ms, later.camera, later.start_ms));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worth(camera: &str, marked: bool, start_ms: u64) -> Worth {
        Worth { camera: camera.into(), marked, start_ms }
    }

    #[test]
    fn evidence_goes_last_and_the_oldest_first() {
        let second = Duration::from_secs(1);
        let stay = |marked, start_ms, from, to| Stay {
            worth: worth("cam1", marked, start_ms),
            from: from * second,
            to: to * second,
        };
        let stays = [stay(false, 5, 1, 9), stay(true, 1, 1, 9)];
        let gone = |marked, start_ms, at| {
            should_have_gone(&worth("cam2", marked, start_ms), at * second, &stays, second).is_some()
        };
        assert!(!gone(false, 4, 5), "it was the oldest");
        assert!(gone(false, 6, 5) && gone(true, 0, 5));
        assert!(!gone(false, 6, 2) && !gone(false, 6, 8), "nobody knows what was there then");
    }

    #[test]
    fn marked_ones_come_first_and_then_the_newest() {
        let good = [
            worth("cam1", true, 7),
            worth("cam2", true, 3),
            worth("cam1", false, 9),
            worth("cam2", false, 4),
            worth("cam1", false, 8),
        ];
        assert_eq!(overtaken(&good, 1), [""; 0]);
        let late = [worth("cam1", false, 9), worth("cam2", true, 3)];
        assert_eq!(overtaken(&late, 1), ["cam1 9 before cam2 3"]);
        assert_eq!(overtaken(&late, 2), [""; 0], "both were under way");
        assert_eq!(overtaken(&[worth("cam1", false, 8), worth("cam1", false, 9)], 1), ["cam1 8 before cam1 9"]);
        assert_eq!(overtaken(&[worth("cam1", true, 8), worth("cam2", true, 9)], 1), ["cam1 8 before cam2 9"]);
    }
}
