//! Where a camera is, and how patient we are with it. Each default has its reason beside it.

use crate::url::Url;
use std::ops::RangeInclusive;
use std::time::Duration;

/// The most a picture may have. An ESP32 sends 10 to 40 KB at VGA and some 300 KB at its best.
pub const MAX_FRAME: usize = 1 << 20;

/// One camera's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The stream.
    pub url: Url,
    /// To look its name up and connect. 3 s: a camera in the same house answers in milliseconds, or after one retransmission.
    pub connect: Duration,
    /// From the connection to the first picture, and between pictures until their pace is known. 5 s: night exposures are long.
    pub answer: Duration,
    /// Longest time without a good picture before the camera is lost; a slow camera gets five of its frame times. 2 s: an ESP32 on a bad
    /// Wi-Fi pauses for a second.
    pub stall: Duration,
    /// How long the end of a connection is waited for before the next one is opened. 1 s.
    pub close: Duration,
    /// Pauses between attempts, doubling from the first to the last, each with jitter. 0.25 s to 10 s.
    pub back_off: RangeInclusive<Duration>,
    /// Bytes; a bigger picture is dropped. [`MAX_FRAME`].
    pub max_frame: usize,
    /// Pictures a second that are read through, for motion and for damage. 5: nobody crosses a room in less; each costs 0.2 ms at VGA.
    pub looks: f32,
    /// Levels of brightness, of 255, by which an eighth-size pixel must differ from its background to count as moved. 8: the noise of an
    /// OV2640 in daylight is below 3 when averaged over 64 pixels.
    pub motion_threshold: u8,
    /// A picture that is exactly the same for this long is a frozen one: a live sensor has noise. 10 s.
    pub frozen: Duration,
    /// A camera whose picture is frozen for this long is asked anew, and again each time that has doubled. 60 s: an empty room at night may
    /// look frozen to a dull sensor, and each attempt costs a second.
    pub thaw: Duration,
}

impl Config {
    /// The defaults.
    pub fn new(url: Url) -> Self {
        Self {
            url,
            connect: Duration::from_secs(3),
            answer: Duration::from_secs(5),
            stall: Duration::from_secs(2),
            close: Duration::from_secs(1),
            back_off: Duration::from_millis(250)..=Duration::from_secs(10),
            max_frame: MAX_FRAME,
            looks: 5.0,
            motion_threshold: 8,
            frozen: Duration::from_secs(10),
            thaw: Duration::from_secs(60),
        }
    }
}
