//! The pictures: slopes and noise, a bright square that goes round, and the picture's number in two rows of black and white blocks at its top.
//! VGA at this quality takes 20 to 25 KB.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

/// Side of a block of the number. As big as a macroblock, so that it outlives H.264.
const BLOCK: usize = 16;

/// Blocks in a row, and rows: 24 bits of number and 8 bits that check them.
const ROW: usize = 16;
const BITS: usize = 32;

const QUALITY: u8 = 75;

/// So many backgrounds, each with a noise of its own.
const BACKGROUNDS: usize = 4;

/// A scene of one size.
#[derive(Debug)]
pub struct Scene {
    width: usize,
    height: usize,
    /// Y, Cb, Cr of each pixel.
    backgrounds: Vec<Vec<u8>>,
}

impl Scene {
    /// 320x240 or more; `dark` as at night.
    pub fn new(width: usize, height: usize, dark: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(33);
        let backgrounds = (0..BACKGROUNDS).map(|_| background(width, height, dark, &mut random)).collect();
        Self { width, height, backgrounds }
    }

    /// The picture of this number, of which 24 bits are shown. `still`: nothing moves, as when the camera hangs.
    pub fn jpeg(&self, number: u32, still: bool) -> Vec<u8> {
        let time = if still { 0 } else { number as usize };
        let mut pixels = self.backgrounds[time % BACKGROUNDS].clone();
        self.draw_square(&mut pixels, time);
        self.draw_number(&mut pixels, number);
        let mut jpeg = Vec::new();
        let mut encoder = Encoder::new(&mut jpeg, QUALITY);
        encoder.set_sampling_factor(SamplingFactor::R_4_2_2);
        encoder
            .encode(&pixels, self.width as u16, self.height as u16, ColorType::Ycbcr)
            .expect("the pixels are as many as the size says");
        jpeg
    }

    /// Round the picture's middle in six seconds.
    fn draw_square(&self, pixels: &mut [u8], time: usize) {
        let turn = time as f32 / 90.0 * std::f32::consts::TAU;
        let left = (self.width as f32 * (0.5 + 0.35 * turn.cos())) as usize - 20;
        let top = (self.height as f32 * (0.55 + 0.25 * turn.sin())) as usize;
        self.fill(pixels, (left, top), (60, 60), 230);
    }

    fn draw_number(&self, pixels: &mut [u8], number: u32) {
        let bits = number << 8 | u32::from(check(number));
        for bit in 0..BITS {
            let level = if bits >> (BITS - 1 - bit) & 1 == 1 { 235 } else { 20 };
            self.fill(pixels, (bit % ROW * BLOCK, bit / ROW * BLOCK), (BLOCK, BLOCK), level);
        }
    }

    fn fill(&self, pixels: &mut [u8], (left, top): (usize, usize), (across, down): (usize, usize), level: u8) {
        for y in top..(top + down).min(self.height) {
            let row = y * self.width;
            for pixel in pixels[(row + left) * 3..(row + (left + across).min(self.width)) * 3].chunks_exact_mut(3) {
                pixel.copy_from_slice(&[level, 128, 128]);
            }
        }
    }
}

fn background(width: usize, height: usize, dark: bool, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        let level = 50 + x * 90 / width + y * 50 / height + usize::from((x / 40 + y / 40) % 2 == 0) * 12;
        let level = if dark { level / 4 } else { level };
        let hue = (100 + x * 50 / width) as u8;
        pixels.extend_from_slice(&[level as u8 + random.u8(0..14), hue, 250 - hue]);
    }
    pixels
}

/// Eight bits that a damaged number does not match.
fn check(number: u32) -> u8 {
    let mixed = (number & 0xff_ffff).wrapping_mul(0x9e37_79b1);
    (mixed >> 24) as u8
}

/// The number in a picture. `brightness` says how bright the picture is at a place, in pixels; only the difference counts.
pub fn number(brightness: impl Fn(usize, usize) -> i32) -> Option<u32> {
    let levels: Vec<i32> =
        (0..BITS).map(|bit| brightness(bit % ROW * BLOCK + BLOCK / 2, bit / ROW * BLOCK + BLOCK / 2)).collect();
    let middle = (levels.iter().min()? + levels.iter().max()?) / 2;
    let bits = levels.iter().fold(0_u32, |bits, level| bits << 1 | u32::from(*level > middle));
    let number = bits >> 8;
    (bits as u8 == check(number)).then_some(number)
}

/// The number in a picture of one byte of brightness a pixel, as `ffmpeg -pix_fmt gray` writes it.
pub fn number_of_gray(gray: &[u8], width: usize) -> Option<u32> {
    (gray.len() > width * BLOCK * BITS / ROW).then(|| number(|x, y| i32::from(gray[y * width + x])))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read() {
        let scene = Scene::new(320, 240, true);
        for wanted in [0, 1, 1234, 0xff_ffff] {
            let mut pixels = scene.backgrounds[0].clone();
            scene.draw_number(&mut pixels, wanted);
            let gray: Vec<u8> = pixels.chunks(3).map(|pixel| pixel[0]).collect();
            assert_eq!(number_of_gray(&gray, 320), Some(wanted));
            let half: Vec<u8> =
                gray.iter().enumerate().map(|(at, level)| if at / 320 < 16 { *level } else { 128 }).collect();
            assert_eq!(number_of_gray(&half, 320).filter(|number| *number != wanted), None);
        }
    }

    #[test]
    fn pictures_have_the_size_of_real_ones() {
        let sizes = [Scene::new(640, 480, false), Scene::new(640, 480, true)].map(|scene| scene.jpeg(7, false).len());
        assert!(sizes.iter().all(|size| (10_000..40_000).contains(size)), "{sizes:?}");
    }
}
