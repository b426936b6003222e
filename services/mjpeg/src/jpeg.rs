//! A JPEG without decoding it: [`Eye`] says whether it is whole, how big it is, whether something moved, and whether it is a live picture.
//!
//! The brightness of each block of 8 by 8 pixels is a number of its own in a baseline JPEG (DC). To get at it all Huffman codes must be read,
//! but nothing else of decoding is done; and a reader that arrives at the last block with the last byte has shown that the data are whole. No crate
//! does that: `jpeg-decoder` with `scale(1/8)` takes 1.4 to 2.0 ms for a VGA picture, ten times as long as here, since it keeps and transforms what we skip.

pub mod dc;
pub mod frozen;
pub mod header;
pub mod huffman;
pub mod motion;
mod sizes;

use crate::config::Config;
use crate::flaw::Flaw;
use crate::happening::{Look, Size};
use dc::Decoder;
use frozen::Frozen;
use header::Header;
use motion::Motion;
use sizes::Sizes;
use std::time::{Duration, Instant};

/// Broken pictures come in showers; after one, each is read to its end for so long.
const WARY: Duration = Duration::from_secs(10);

/// Looks at each picture of one camera in turn. It reads through a few a second (`Config::looks`), each one of an unusual number of bytes, and each
/// one for a while after a broken one; of the others it reads the header.
#[derive(Debug)]
pub struct Eye {
    decoder: Decoder,
    motion: Motion,
    frozen: Frozen,
    sizes: Sizes,
    wary: Option<Instant>,
    /// Of the last picture that was read through.
    frozen_for: Option<Duration>,
    /// Between looks for motion.
    pause: Duration,
    looked: Option<Instant>,
    size: Option<Size>,
    /// Another size, seen once.
    odd: Option<Size>,
}

impl Eye {
    /// Before the first picture.
    pub fn new(config: &Config) -> Self {
        Self {
            decoder: Decoder::default(),
            motion: Motion::new(config.motion_threshold),
            frozen: Frozen::new(config.frozen),
            sizes: Sizes::default(),
            wary: None,
            frozen_for: None,
            // A little less, lest a look at each third picture become one at each fourth by jitter.
            pause: Duration::from_secs_f32(0.9 / config.looks.clamp(0.1, 100.0)),
            looked: None,
            size: None,
            odd: None,
        }
    }

    /// What there is to say of a picture that came at `at`, or why it is no good one.
    pub fn see(&mut self, jpeg: &[u8], at: Instant) -> Result<(Size, Look), Flaw> {
        let seen = self.look(jpeg, at);
        if seen.is_err() {
            self.wary = Some(at + WARY);
        }
        seen
    }

    fn look(&mut self, jpeg: &[u8], at: Instant) -> Result<(Size, Look), Flaw> {
        let header = Header::read(jpeg)?;
        self.keep_size(header.size)?;
        let due = self.looked.is_none_or(|looked| at.saturating_duration_since(looked) >= self.pause);
        let wary = self.wary.is_some_and(|wary| at < wary);
        if !self.sizes.is_unusual(jpeg.len()) && !due && !wary {
            return Ok((header.size, Look { motion_percent: None, frozen: self.frozen_for }));
        }
        let Some(picture) = self.decoder.decode(&header, jpeg)? else {
            return Ok((header.size, Look::default()));
        };
        self.frozen_for = self.frozen.see(&picture, at);
        let motion_percent = due.then(|| {
            self.looked = Some(at);
            self.motion.see(&picture, at)
        });
        Ok((header.size, Look { motion_percent, frozen: self.frozen_for }))
    }

    /// A new size counts when it comes twice: a damaged header must not cost a segment.
    fn keep_size(&mut self, size: Size) -> Result<(), Flaw> {
        if self.size.is_some_and(|known| known != size) && self.odd != Some(size) {
            self.odd = Some(size);
            return Err(Flaw::OddSize);
        }
        (self.size, self.odd) = (Some(size), None);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
