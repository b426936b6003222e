//! Pictures in a row have about the same number of bytes. One that has much less or more is worth a closer look.

/// The last sizes, of which the median is taken: a second at 15 fps.
const REMEMBERED: usize = 15;

/// Below three quarters of the median, or above half as much again: what moves in a scene changes a picture by a few per cent.
const USUAL: std::ops::RangeInclusive<usize> = 75..=150;

/// The sizes of the last pictures.
#[derive(Debug, Default)]
pub struct Sizes {
    last: [usize; REMEMBERED],
    count: usize,
}

impl Sizes {
    /// Notes a size; whether it is unusual. The first ones all are.
    pub fn is_unusual(&mut self, size: usize) -> bool {
        let mut known = self.last;
        let median = *known.select_nth_unstable(REMEMBERED / 2).1;
        self.last[self.count % REMEMBERED] = size;
        self.count += 1;
        self.count <= REMEMBERED || !USUAL.contains(&(size.saturating_mul(100) / median.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_sizes() {
        let mut sizes = Sizes::default();
        assert!((0..REMEMBERED).all(|_| sizes.is_unusual(20_000)));
        assert_eq!(
            [20_000, 16_000, 14_900, 29_000, 31_000].map(|size| sizes.is_unusual(size)),
            [false, false, true, false, true]
        );
        let darker = (0..REMEMBERED).map(|_| sizes.is_unusual(5_000)).filter(|unusual| *unusual).count();
        assert!(darker < REMEMBERED && !sizes.is_unusual(5_000), "{darker}");
    }
}
