//! What lies between two pictures: boundaries in all their forms, headers of parts, and rubbish.
//!
//! Boundaries are not needed to find pictures, since a JPEG says where it begins; and cameras get them wrong in every way: quoted or not, with
//! dashes of their own, before the part or after it, `--b--` in the middle, LF only, none at all. They tell apart only parts that hold no picture.

use crate::flaw::Flaw;
use std::time::Duration;

/// More of a line is not looked at. A header of a part has 40 bytes.
const MAX_LINE: usize = 256;

/// Reads on until a picture begins.
#[derive(Debug, Default)]
pub struct Between {
    line: Vec<u8>,
    /// 0..=2: how much of `FF D8 FF` was just seen.
    start: u8,
    part: Part,
}

/// What the headers of a part say of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Content-Length, true or not.
    pub length: Option<u64>,
    /// X-Timestamp.
    pub camera_time: Option<Duration>,
    /// A header that belongs to a picture was seen.
    announced: bool,
}

impl Between {
    /// Reads `bytes` up to the picture's start: how many come before its `FF D8 FF`, which may have begun with bytes read earlier (then
    /// negative), and what was said of it. `None`: all are read. A part that held no picture is told as a flaw.
    pub fn read(&mut self, bytes: &[u8], mut flaw: impl FnMut(Flaw)) -> Option<(isize, Part)> {
        for (at, &byte) in bytes.iter().enumerate() {
            self.start = match (self.start, byte) {
                (2, 0xff) => {
                    let part = std::mem::take(self).part;
                    return Some((at as isize - 2, part));
                }
                (1, 0xd8) => 2,
                (_, 0xff) => 1,
                _ => 0,
            };
            if let Some(found) = self.take(byte) {
                flaw(found);
            }
        }
        None
    }

    /// What is said of the picture that begins after `bytes`, which are looked at for lines only.
    pub fn before_a_picture(bytes: &[u8], flaw: impl FnMut(Flaw)) -> Part {
        let mut between = Self::default();
        bytes.iter().filter_map(|byte| between.take(*byte)).for_each(flaw);
        between.part
    }

    fn take(&mut self, byte: u8) -> Option<Flaw> {
        if byte == b'\n' {
            return self.end_of_line();
        }
        if self.line.len() < MAX_LINE {
            self.line.push(byte);
        }
        None
    }

    fn end_of_line(&mut self) -> Option<Flaw> {
        let line = std::mem::take(&mut self.line);
        if line.starts_with(b"--") {
            return self.next_part();
        }
        let text = std::str::from_utf8(&line).ok()?;
        let (name, value) = text.split_once(':')?;
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "content-type" => {
                let flaw = self.next_part();
                self.part.announced = true;
                flaw
            }
            "content-length" => {
                self.part.announced = true;
                self.part.length = value.parse().ok();
                None
            }
            "x-timestamp" => {
                self.part.camera_time = seconds(value);
                None
            }
            _ => None,
        }
    }

    /// A part begins; the one before had no picture, or this would not be the place.
    fn next_part(&mut self) -> Option<Flaw> {
        let before = std::mem::take(&mut self.part);
        match before.length {
            _ if !before.announced => None,
            Some(0) => Some(Flaw::Empty),
            _ => Some(Flaw::NoPicture),
        }
    }
}

/// `SECONDS.MICROSECONDS`: CameraWebServer prints the fraction with six digits; others print none, or three.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = fraction.get(..fraction.len().min(9))?;
    let nanos = digits.parse::<u32>().ok()?.checked_mul(10_u32.pow(9 - digits.len() as u32))?;
    Some(Duration::new(whole.parse().ok()?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part that the picture after `text` belongs to, and the flaws before it.
    fn part(text: &[u8]) -> (Part, Vec<Flaw>) {
        let (mut between, mut flaws) = (Between::default(), Vec::new());
        let bytes = [text, b"\xff\xd8\xff"].concat();
        let (at, part) = between.read(&bytes, |flaw| flaws.push(flaw)).unwrap();
        assert_eq!(at, text.len() as isize);
        (part, flaws)
    }

    #[test]
    fn headers_of_a_part() {
        let stock = b"\r\n--123456789000000000000987654321\r\nContent-Type: image/jpeg\r\nContent-Length: 12345\r\nX-Timestamp: 7.000123\r\n\r\n";
        let camera_time = Some(Duration::from_micros(7_000_123));
        assert_eq!(part(stock), (Part { length: Some(12345), camera_time, announced: true }, Vec::new()));
        let text = String::from_utf8_lossy(stock).replace("\r\n", "\n").to_uppercase();
        assert_eq!(part(text.as_bytes()).0.length, Some(12345));
        assert_eq!(part(b"\xff\xff"), (Part::default(), Vec::new()));
    }

    #[test]
    fn parts_without_a_picture() {
        let empty =
            b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 0\r\n\r\n\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n";
        assert_eq!(part(empty).1, [Flaw::Empty]);
        let rubbish = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\nrubbi\xff\xd8sh\r\n--b\r\n\r\n";
        assert_eq!(part(rubbish).1, [Flaw::NoPicture]);
        let in_the_middle = b"--b--\r\n\r\n\r\n--b\r\nContent-Type: image/jpeg\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(part(in_the_middle).1, []);
        let without_boundaries =
            b"Content-Type: image/jpeg\r\nContent-Length: 0\r\n\r\nContent-Type: image/jpeg\r\n\r\n";
        assert_eq!(part(without_boundaries).1, [Flaw::Empty]);
    }

    #[test]
    fn times() {
        assert_eq!(seconds("12"), Some(Duration::from_secs(12)));
        assert_eq!(seconds("12.5"), Some(Duration::from_millis(12_500)));
        assert_eq!(seconds("0.0000000019"), Some(Duration::from_nanos(1)));
        assert_eq!([seconds("x"), seconds("1.x"), seconds("-1"), seconds("1."), seconds("1.€€€€")], [None; 5]);
    }

    #[test]
    fn a_start_in_two_reads() {
        let mut between = Between::default();
        assert_eq!(between.read(b"--b\r\n\xff", drop), None);
        assert_eq!(between.read(b"\xd8\xff", drop).unwrap().0, -1);
    }
}
