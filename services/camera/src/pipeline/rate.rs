//! What an encoder is told of speed. Pure.
//!
//! It knows nothing of time: it gives each picture `bitrate / fps` bits, whenever that comes. So it is told a bitrate that fits the pictures a second
//! that it believes in, which stay the same, and what it makes follows the camera. BITRATE is never exceeded; where fewer pictures come than are
//! wanted, each has as many bits as it would have then: a camera that slows down at night takes less room, and its pictures look as they did.

/// FPS may be much more than any camera of this kind sends; nobody wants his pictures to have the few bits that they would have then.
const USUAL: f64 = 15.0;
/// How many milliseconds of BITRATE the encoder may save up for a picture; the default of x264.
const BUFFER_MS: f64 = 600.0;
/// More of its own bitrate x264 does not save up.
const MOST_BUFFER_MS: f64 = 10_000.0;
/// A bitrate that is off by less is not worth telling.
const OFF: f64 = 0.1;

/// How the encoder works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Pictures a second, as far as was known when it began.
    pub fps: f64,
    /// kbit in the time that it believes to be a second.
    pub bitrate: u32,
    /// Milliseconds of it that may be saved up.
    pub buffer_ms: u32,
}

/// How a camera is to be recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted {
    /// Pictures a second at most.
    pub fps: f64,
    /// kbit a second at most.
    pub bitrate: u32,
}

impl Wanted {
    /// For an encoder that believes in `believed` pictures a second, while `pace` of them come.
    pub fn rate(self, believed: f64, pace: f64) -> Rate {
        let share = believed / pace.max(self.fps.min(USUAL));
        // The least that x264 takes.
        let bitrate = (f64::from(self.bitrate) * share).round().max(1.0) as u32;
        Rate { fps: believed, bitrate, buffer_ms: (BUFFER_MS / share).min(MOST_BUFFER_MS) as u32 }
    }
}

impl Rate {
    /// Whether another bitrate is worth telling.
    pub fn is_off(&self, wanted: &Rate) -> bool {
        (f64::from(self.bitrate) / f64::from(wanted.bitrate) - 1.0).abs() > OFF
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { fps: 15.0, bitrate: 1000 };

    #[test]
    fn a_slower_camera_has_as_many_bits_a_picture_and_a_faster_one_no_more_a_second() {
        assert_eq!(WANTED.rate(15.0, 15.0), Rate { fps: 15.0, bitrate: 1000, buffer_ms: 600 });
        assert_eq!(WANTED.rate(5.0, 5.0), Rate { fps: 5.0, bitrate: 333, buffer_ms: 1800 });
        assert_eq!(WANTED.rate(15.0, 5.0), WANTED.rate(15.0, 15.0), "it slowed down: the same for each picture");
        assert_eq!(WANTED.rate(18.0, 18.0).bitrate, 1000);
        assert_eq!(WANTED.rate(5.0, 20.0).bitrate, 250, "as it believes that they take four times as long");
        assert_eq!(Wanted { fps: 60.0, ..WANTED }.rate(15.0, 15.0), WANTED.rate(15.0, 15.0), "nothing sends 60");
        assert_eq!(Wanted { fps: 60.0, ..WANTED }.rate(30.0, 30.0).bitrate, 1000);
        assert_eq!(
            Wanted { fps: 120.0, bitrate: 16 }.rate(0.03, 0.03),
            Rate { fps: 0.03, bitrate: 1, buffer_ms: 10_000 }
        );
    }

    #[test]
    fn a_little_more_or_less_is_not_told() {
        let told = WANTED.rate(15.0, 15.0);
        assert!(!told.is_off(&WANTED.rate(15.0, 16.0)) && told.is_off(&WANTED.rate(15.0, 18.0)));
    }
}
