//! TAI64N: the instants that daemontools writes, in `supervise/status` as 12 bytes and before each line of multilog as
//! `@` and 24 hex digits. Big-endian seconds from 2^62 on, then nanoseconds.
//!
//! daemontools counts no leap seconds: it adds ten to the seconds since 1970 and takes ten away again. So do we, or
//! the same instant would have two names on one machine. Source: tai64nlocal and svstat 0.76, compared by tests.

use std::time::Duration;

/// What stands for 1970.
const EPOCH: u64 = (1 << 62) + 10;
/// Its length in bytes.
pub const LENGTH: usize = 12;

/// An instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    seconds: u64,
    nanoseconds: u32,
}

impl Stamp {
    /// From the time since 1970.
    pub fn from_unix(since: Duration) -> Stamp {
        Stamp { seconds: EPOCH.saturating_add(since.as_secs()), nanoseconds: since.subsec_nanos() }
    }

    /// Whole seconds since 1970, below zero before it; and the nanoseconds after them.
    pub fn unix(self) -> (i64, u32) {
        (self.seconds.wrapping_sub(EPOCH).cast_signed(), self.nanoseconds)
    }

    /// Whole seconds from an earlier instant to this one; none if it is not earlier, as after a clock was set back.
    pub fn seconds_since(self, earlier: Stamp) -> u64 {
        self.seconds.saturating_sub(earlier.seconds)
    }

    /// As in `supervise/status`.
    pub fn bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[..8].copy_from_slice(&self.seconds.to_be_bytes());
        bytes[8..].copy_from_slice(&self.nanoseconds.to_be_bytes());
        bytes
    }

    /// From these bytes.
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Stamp {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        let seconds = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Stamp { seconds, nanoseconds: u32::from_be_bytes([i, j, k, l]) }
    }

    /// The stamp before a line of multilog, and the rest of the line with its blank.
    pub fn split(line: &str) -> Option<(Stamp, &str)> {
        let (digits, rest) = line.strip_prefix('@')?.split_at_checked(2 * LENGTH)?;
        let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let seconds = u64::from_str_radix(&digits[..16], 16).ok().filter(|_| all_hex)?;
        let nanoseconds = u32::from_str_radix(&digits[16..], 16).ok()?;
        Some((Stamp { seconds, nanoseconds }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let stamp = Stamp::from_unix(Duration::new(1_000_000_000, 7));
        assert_eq!(stamp.bytes(), [0x40, 0, 0, 0, 0x3b, 0x9a, 0xca, 0x0a, 0, 0, 0, 7]);
        assert_eq!(Stamp::from_bytes(stamp.bytes()), stamp);
        assert_eq!(stamp.unix(), (1_000_000_000, 7));
    }

    #[test]
    fn a_line_is_split_after_its_stamp() {
        let (stamp, rest) = Stamp::split("@400000003b9aca0a00000007 listening").unwrap();
        assert_eq!((stamp.unix(), rest), ((1_000_000_000, 7), " listening"));
        for other in ["", "plain", "@40000000", "@4000+0003b9aca0a00000007 x", "@40000000äääääääääääääääää"]
        {
            assert_eq!(Stamp::split(other), None, "{other}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_counts_as_no_time() {
        let at = |seconds| Stamp::from_unix(Duration::from_secs(seconds));
        assert_eq!(at(12).seconds_since(at(5)), 7);
        assert_eq!(at(5).seconds_since(at(12)), 0);
        assert_eq!(Stamp::from_bytes([0; LENGTH]).seconds_since(at(5)), 0);
    }
}
