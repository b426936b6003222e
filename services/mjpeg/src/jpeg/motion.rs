//! How much of the picture moved: the share of blocks that differ from a background which slowly follows.
//!
//! What is no motion: noise (each block is a mean of 64 pixels; the threshold rises with the noise that is left, as at night; a block alone does
//! not count), a picture that gets brighter or darker as a whole (the median difference is taken off), and a lamp that is switched (when most of
//! the picture changes at once, the new picture is the background, and is so until the camera's exposure has settled).

use super::dc::Picture;
use std::time::{Duration, Instant};

/// More than this share of the picture at once is light.
const LIGHT: f32 = 0.6;

/// An OV2640's exposure settles within a second after that.
const SETTLING: Duration = Duration::from_millis(1500);

/// How fast the background follows where nothing moves, and where something stays that had moved: a parked car is background after a while.
const STILL: f32 = 4.0;
const MOVED: f32 = 30.0;

/// After a pause like this the old background says nothing.
const PAUSE: Duration = Duration::from_secs(10);

/// The threshold is at least so many times the noise, which is the median difference of late, and at most this.
const NOISE: f32 = 5.0;
const MOST_NOISE: f32 = 10.0;

/// Seconds in which a new noise is learnt, as when a night begins.
const LEARNT: f32 = 2.0;

/// What the pictures looked like up to now.
#[derive(Debug)]
pub struct Motion {
    threshold: i16,
    background: Vec<f32>,
    at: Option<Instant>,
    settles: Option<Instant>,
    noise: f32,
    differences: Vec<i16>,
    sorted: Vec<i16>,
}

impl Motion {
    /// `threshold` in levels of brightness, of 255.
    pub fn new(threshold: u8) -> Self {
        let threshold = i16::from(threshold.max(1));
        Self {
            threshold,
            background: Vec::new(),
            at: None,
            settles: None,
            noise: 0.0,
            differences: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// Per cent of the picture. 0 at first, and while the light changes.
    pub fn see(&mut self, picture: &Picture<'_>, at: Instant) -> f32 {
        let since = self.at.replace(at).map(|before| at.saturating_duration_since(before));
        let Some(since) = since.filter(|since| *since < PAUSE && self.background.len() == picture.levels.len()) else {
            self.adopt(picture);
            self.settles = Some(at + SETTLING);
            return 0.0;
        };
        self.compare(picture);
        let moved = self.moved(picture.width);
        let share = moved.iter().filter(|moved| **moved).count() as f32 / moved.len().max(1) as f32;
        if share > LIGHT {
            self.settles = Some(at + SETTLING);
        }
        let settling = self.settles.is_some_and(|settles| at < settles);
        self.learn_noise(if settling { 1.0 } else { (since.as_secs_f32() / LEARNT).min(1.0) });
        if settling {
            self.adopt(picture);
            return 0.0;
        }
        self.follow(picture, &moved, since.as_secs_f32());
        share * 100.0
    }

    fn adopt(&mut self, picture: &Picture<'_>) {
        self.background.clear();
        self.background.extend(picture.levels.iter().map(|level| f32::from(*level)));
    }

    /// Differences to the background, without what the whole picture has in common.
    fn compare(&mut self, picture: &Picture<'_>) {
        let Self { differences, sorted, background, .. } = self;
        differences.clear();
        differences.extend(picture.levels.iter().zip(background).map(|(level, before)| level - before.round() as i16));
        let light = median(sorted, differences.iter().copied());
        differences.iter_mut().for_each(|difference| *difference = (*difference - light).abs());
    }

    fn learn_noise(&mut self, pace: f32) {
        let noise = f32::from(median(&mut self.sorted, self.differences.iter().copied())).min(MOST_NOISE);
        self.noise += (noise - self.noise) * pace;
    }

    fn moved(&self, width: usize) -> Vec<bool> {
        let differences = &self.differences;
        let threshold = self.threshold.max((self.noise * NOISE) as i16);
        let moved = |at: usize| differences.get(at).is_some_and(|difference| *difference > threshold);
        let beside = |at: usize| {
            let column = at % width;
            (column > 0 && moved(at - 1))
                || (column + 1 < width && moved(at + 1))
                || (at >= width && moved(at - width))
                || moved(at + width)
        };
        (0..differences.len()).map(|at| moved(at) && beside(at)).collect()
    }

    fn follow(&mut self, picture: &Picture<'_>, moved: &[bool], seconds: f32) {
        for ((before, level), moved) in self.background.iter_mut().zip(picture.levels).zip(moved) {
            let pace = (seconds / if *moved { MOVED } else { STILL }).min(1.0);
            *before += (f32::from(*level) - *before) * pace;
        }
    }
}

fn median(room: &mut Vec<i16>, values: impl Iterator<Item = i16>) -> i16 {
    room.clear();
    room.extend(values);
    let middle = room.len() / 2;
    if room.is_empty() { 0 } else { *room.select_nth_unstable(middle).1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTH: usize = 20;

    /// Looks five times a second at scenes of 20 by 10 blocks.
    struct Scene {
        motion: Motion,
        now: Instant,
        noise: fastrand::Rng,
    }

    impl Scene {
        /// After the first seconds, in which it learns.
        fn new(noise: i16) -> Self {
            let mut scene = Self { motion: Motion::new(8), now: Instant::now(), noise: fastrand::Rng::with_seed(1) };
            assert_eq!((0..10).map(|_| scene.see(|_, _| 0, noise)).fold(0.0, f32::max), 0.0);
            scene
        }

        fn see(&mut self, level: impl Fn(usize, usize) -> i16, noise: i16) -> f32 {
            self.now += Duration::from_millis(200);
            let blocks = (0..WIDTH * 10).map(|at| level(at % WIDTH, at / WIDTH) + self.noise.i16(-noise..=noise));
            self.motion.see(&Picture { width: WIDTH, levels: &blocks.collect::<Vec<_>>() }, self.now)
        }
    }

    /// A bright thing of four by five blocks: a tenth of the picture.
    fn thing(x: usize, y: usize) -> i16 {
        if (3..7).contains(&x) && y < 5 { 40 } else { 0 }
    }

    #[test]
    fn a_thing_moves_in_and_becomes_background() {
        let mut scene = Scene::new(2);
        assert_eq!(scene.see(thing, 2), 10.0);
        let moved: Vec<f32> = (0..300).map(|_| scene.see(thing, 2)).collect();
        assert!(moved[10] == 10.0 && moved[299] == 0.0, "{moved:?}");
    }

    #[test]
    fn noise_is_no_motion() {
        let mut scene = Scene::new(14);
        assert_eq!((0..100).map(|_| scene.see(|_, _| 0, 14)).fold(0.0, f32::max), 0.0);
        let spot = |x, y| if (x, y) == (9, 5) { 100 } else { 0 };
        assert_eq!(scene.see(spot, 14), 0.0, "a block alone");
    }

    #[test]
    fn light_is_no_motion() {
        let mut scene = Scene::new(1);
        assert_eq!(scene.see(|_, _| 30, 1), 0.0, "the exposure changes");
        let lamp = |x: usize, _| x as i16 * 6 - 60;
        assert_eq!(scene.see(lamp, 1), 0.0, "a lamp is switched on");
        assert_eq!(scene.see(|x, y| lamp(x, y) + thing(x, y), 1), 0.0, "settling");
        scene.now += SETTLING;
        assert_eq!(scene.see(lamp, 1), 10.0, "the thing is gone");
        scene.now += PAUSE;
        assert_eq!(scene.see(|_, _| 0, 1), 0.0, "after a pause");
    }
}
