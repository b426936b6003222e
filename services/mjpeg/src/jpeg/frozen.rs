//! A camera that hangs may send its last picture for ever, with fresh bytes: recorded as if nothing happened. A live sensor's noise changes some
//! block's brightness in every picture; so a picture that stays exactly the same is no live one. A dark or evenly lit picture may well stay the same.

use super::dc::Picture;
use std::time::{Duration, Instant};

/// Levels between the darkest and the brightest block below which a picture shows nothing, and cannot be judged.
const FLAT: i16 = 8;

/// The picture as it was, and since when.
#[derive(Debug)]
pub struct Frozen {
    after: Duration,
    levels: Vec<i16>,
    since: Option<Instant>,
}

impl Frozen {
    /// A picture is frozen when it is the same for `after`.
    pub fn new(after: Duration) -> Self {
        Self { after, levels: Vec::new(), since: None }
    }

    /// How long the picture has been the same, if that is too long.
    pub fn see(&mut self, picture: &Picture<'_>, at: Instant) -> Option<Duration> {
        match self.since {
            Some(since) if self.levels == picture.levels => {
                let long = at.saturating_duration_since(since);
                (long >= self.after && !is_flat(picture.levels)).then_some(long)
            }
            _ => {
                self.levels.clear();
                self.levels.extend_from_slice(picture.levels);
                self.since = Some(at);
                None
            }
        }
    }
}

fn is_flat(levels: &[i16]) -> bool {
    let (least, most) = (levels.iter().min(), levels.iter().max());
    least.zip(most).is_none_or(|(least, most)| most - least < FLAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_picture_for_long() {
        let (mut frozen, start) = (Frozen::new(Duration::from_secs(10)), Instant::now());
        let mut see = |levels: &[i16], second: u64| {
            frozen.see(&Picture { width: 2, levels }, start + Duration::from_secs(second)).map(|long| long.as_secs())
        };
        assert_eq!(
            [see(&[1, 50], 0), see(&[1, 50], 9), see(&[1, 50], 10), see(&[1, 50], 12)],
            [None, None, Some(10), Some(12)]
        );
        assert_eq!(
            [see(&[1, 51], 13), see(&[1, 50], 14), see(&[1, 50], 23), see(&[1, 50], 24)],
            [None, None, None, Some(10)]
        );
        assert_eq!([see(&[1, 2], 30), see(&[1, 2], 60)], [None, None]);
    }
}
