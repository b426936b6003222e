//! What the recorder hears from a camera, in the order in which it happened.

use crate::cause::Cause;
use bytes::Bytes;
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// `Online` comes before the first frame of each connection that gives one, `Lost` before the next `Online`.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// The camera gives pictures, of this size at first.
    Online(Size),
    /// One whole picture.
    Frame(Frame),
    /// The camera gives no pictures (any more). Told once for each distinct cause until it is online again; while it stays away, a new
    /// cause is told too.
    Lost {
        /// Its `Display` is one line that names the remedy.
        why: Cause,
    },
}

/// A picture that passed the quality gate: it begins and ends as a JPEG does, and its header says what it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The JPEG, from SOI to EOI.
    pub jpeg: Bytes,
    /// When its last byte was read.
    pub at: Instant,
    /// `X-Timestamp`: when the camera took it, by the camera's own clock, which starts anywhere and again with each reboot.
    pub camera_time: Option<Duration>,
    /// May change within a connection, as by a night preset; one odd picture in between does not get through.
    pub size: Size,
    /// What its compressed form tells.
    pub look: Look,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// 1..=65535.
    pub width: u16,
    /// 1..=65535.
    pub height: u16,
}

impl Size {
    /// The most that is recorded, 4096x2160; an OV5640 has 2592x1944. What claims more takes gigabytes to decode.
    pub const MOST_PIXELS: u32 = 4096 * 2160;
    /// The least each way: H.264's own unit.
    const LEAST: u16 = 16;

    /// Whether pictures of it can be recorded.
    pub fn is_recordable(self) -> bool {
        self.width.min(self.height) >= Self::LEAST
            && u32::from(self.width) * u32::from(self.height) <= Self::MOST_PIXELS
    }
}

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What the compressed picture tells without being decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Look {
    /// Share of the picture, 0..=100, that differs from its slowly following background. `None`: this frame was not looked at (only some
    /// are, a few times a second), or cannot be (a progressive JPEG).
    pub motion_percent: Option<f32>,
    /// The picture has been exactly the same for this long, and longer than `Config::frozen`, while frames kept coming.
    pub frozen: Option<Duration>,
}
