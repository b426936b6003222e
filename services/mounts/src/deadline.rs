//! How long all of it may take: what the flag says, else a little less than the hook that we are has, else [`USUAL`].
//! There is always a limit.

use std::time::{Duration, Instant};

/// If nobody says anything.
pub const USUAL: Duration = Duration::from_secs(20);
/// What we keep back from a hook's time, to say how it went before the hook is ended. A small machine that is busy needs
/// a second to notice that it is late.
const RESERVE: Duration = Duration::from_secs(2);
/// With less nothing would ever succeed.
const LEAST: Duration = Duration::from_millis(500);

/// A moment by which all has to be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// So long from now.
    #[must_use]
    pub fn after(time: Duration) -> Deadline {
        Deadline(Instant::now() + time)
    }

    /// What is left; nothing when it has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// What is left, but no more than this.
    #[must_use]
    pub fn at_most(self, time: Duration) -> Duration {
        self.left().min(time)
    }
}

/// How long the whole may take, by the flag and by `PISTOP_DEADLINE`, which hooks have in their environment.
#[must_use]
pub fn whole(flag: Option<Duration>, hook: Option<&str>) -> Duration {
    let hook = hook.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let hook = hook.map(|time: Duration| time.saturating_sub(RESERVE));
    flag.or(hook).unwrap_or(USUAL).max(LEAST)
}

/// How long one attempt to mount may take. It leaves a hook most of its time: one that exits 111 is tried again for as
/// long as the server is there, but one that had to be ended is not.
#[must_use]
pub fn attempt(flag: Option<Duration>, hook: Option<&str>) -> Duration {
    flag.unwrap_or_else(|| whole(None, hook).min(USUAL))
}

/// A number of seconds, as a flag gives it.
///
/// # Errors
/// It is no number, or none that can be waited.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.parse().ok();
    let time = number.and_then(|number| Duration::try_from_secs_f64(number).ok());
    // A day is more than anybody waits, and no clock overflows by it.
    let time = time.filter(|&time| time <= Duration::from_secs(86_400));
    time.ok_or_else(|| format!("`{text}` is no number of seconds that can be waited; give one, as in 20 or 0.5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins_and_a_hook_keeps_two_seconds_back() {
        let s = Duration::from_secs;
        assert_eq!(whole(None, None), USUAL);
        assert_eq!(whole(None, Some("60")), s(58));
        assert_eq!(whole(Some(s(3)), Some("60")), s(3));
        assert_eq!(whole(None, Some("1")), LEAST);
        assert_eq!(whole(None, Some("soon")), USUAL);
    }

    #[test]
    fn a_hook_has_time_for_more_than_one_attempt_to_mount() {
        let s = Duration::from_secs;
        assert_eq!(attempt(None, Some("60")), USUAL);
        assert_eq!(attempt(None, Some("10")), s(8));
        assert_eq!(attempt(Some(s(45)), Some("60")), s(45));
    }

    #[test]
    fn seconds_are_a_number_that_can_be_waited() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["", "x", "-1", "inf", "nan", "1e300", "86401"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
