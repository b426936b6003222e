//! What an encoder is told of speed. Pure.
//!
//! It knows nothing of time: it gives each picture `bitrate / fps` bits, whenever that comes. So those two only have to fit each other, and what it
//! makes follows the camera by itself: one that slows down at night takes less room, and its pictures look as they did.

/// How many milliseconds of the bitrate x264 may save up for a picture, at the wanted pace; its own default.
const BUFFER_MS: f64 = 600.0;
/// More it does not take.
const MOST_BUFFER_MS: f64 = 10_000.0;

/// How the encoder works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Pictures a second, as far as was known when it began.
    pub fps: f64,
    /// kbit a second.
    pub bitrate: u32,
    /// Milliseconds of it that may be saved up.
    pub buffer_ms: u32,
}

impl Rate {
    /// For an encoder that believes in `fps` pictures a second, where `bitrate` is wanted for `wanted` of them.
    pub fn at(fps: f64, wanted: f64, bitrate: u32) -> Rate {
        let share = fps / wanted;
        // The least that x264 takes.
        let bitrate = (f64::from(bitrate) * share).round().max(1.0) as u32;
        Rate { fps, bitrate, buffer_ms: (BUFFER_MS / share).min(MOST_BUFFER_MS) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_as_many_bits_at_any_pace() {
        assert_eq!(Rate::at(15.0, 15.0, 1000), Rate { fps: 15.0, bitrate: 1000, buffer_ms: 600 });
        assert_eq!(Rate::at(5.0, 15.0, 1000), Rate { fps: 5.0, bitrate: 333, buffer_ms: 1800 });
        assert_eq!(Rate::at(18.0, 15.0, 1000), Rate { fps: 18.0, bitrate: 1200, buffer_ms: 500 });
        assert_eq!(Rate::at(0.03, 120.0, 16), Rate { fps: 0.03, bitrate: 1, buffer_ms: 10_000 });
    }
}
