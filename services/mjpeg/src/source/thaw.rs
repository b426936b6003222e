//! When a camera whose picture is frozen is asked anew. That helps one whose stream hangs and whose server does not; it costs a second of
//! recording, so one whose picture stays frozen is asked less and less often.

use std::time::Duration;

/// One camera, over all its connections.
#[derive(Debug)]
pub struct Thaw {
    first: Duration,
    next: Duration,
}

impl Thaw {
    /// The first time after so long.
    pub const fn new(first: Duration) -> Self {
        Self { first, next: first }
    }

    /// How long the picture has been frozen, if it is time to ask anew.
    pub fn is_due(&mut self, frozen: Option<Duration>) -> Option<Duration> {
        let Some(span) = frozen else {
            self.next = self.first;
            return None;
        };
        let due = span >= self.next;
        if due {
            self.next = span.saturating_mul(2);
        }
        due.then_some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_stays_frozen_is_asked_less_and_less_often() {
        let seconds = Duration::from_secs;
        let mut thaw = Thaw::new(seconds(60));
        let asked = |thaw: &mut Thaw, from: u64, to: u64| -> Vec<u64> {
            (from..to).filter(|&at| thaw.is_due(Some(seconds(at))).is_some()).collect()
        };
        assert_eq!(asked(&mut thaw, 10, 600), [60, 120, 240, 480]);
        assert_eq!(thaw.is_due(None), None);
        assert_eq!(asked(&mut thaw, 10, 100), [60], "it moved in between");
    }
}
