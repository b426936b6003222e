//! Instants in local time, as tai64nlocal prints them. The offsets come from the machine's own table of the zone,
//! `/etc/localtime` or the one that TZ names; without one, it is UTC. Source of the format: RFC 8536. The rule at a
//! table's end is not read: Debian's tables list every change up to 2037.

use runner::tai64n::Stamp;
use std::fs;
use std::path::PathBuf;

const TABLES: &str = "/usr/share/zoneinfo";
/// Length of the head of each of the two parts of a table.
const HEAD: usize = 44;
const DAY: i64 = 86_400;

/// The offsets from UTC in seconds, each with the instant from which it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    first: i64,
    changes: Vec<(i64, i64)>,
}

impl Zone {
    /// That of this process.
    pub fn local() -> Zone {
        let path = match std::env::var("TZ") {
            Err(_) => PathBuf::from("/etc/localtime"),
            Ok(name) => PathBuf::from(TABLES).join(name.trim_start_matches(':')),
        };
        fs::read(path).ok().and_then(|table| Zone::parse(&table)).unwrap_or(Zone { first: 0, changes: Vec::new() })
    }

    /// From a table. `None` if it is none, or of the old kind that has no second part.
    fn parse(table: &[u8]) -> Option<Zone> {
        let second = Part::head(table)?;
        let rest = table.get(second.end(4)..).filter(|_| table[4] >= b'2')?;
        let part = Part::head(rest)?;
        let body = rest.get(HEAD..)?;
        let (times, body) = body.split_at_checked(8 * part.times)?;
        let (kinds, body) = body.split_at_checked(part.times)?;
        let offset =
            |kind: usize| Some(i64::from(i32::from_be_bytes(body.get(6 * kind..6 * kind + 4)?.try_into().ok()?)));
        let times = times.chunks_exact(8).map(|time| i64::from_be_bytes(time.try_into().expect("eight bytes")));
        let changes = times.zip(kinds).map(|(time, &kind)| Some((time, offset(kind.into())?)));
        Some(Zone { first: offset(0)?, changes: changes.collect::<Option<_>>()? })
    }

    fn offset(&self, unix: i64) -> i64 {
        let before = self.changes.partition_point(|&(from, _)| from <= unix);
        before.checked_sub(1).map_or(self.first, |at| self.changes[at].1)
    }

    /// `2026-11-21 20:15:00.123456789`.
    pub fn show(&self, stamp: Stamp) -> String {
        let (unix, nanoseconds) = stamp.unix();
        let [year, month, day, hour, minute, second] = self.fields(unix);
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanoseconds:09}")
    }

    /// `20261121-201500`, for names of folders.
    pub fn compact(&self, unix: i64) -> String {
        let [year, month, day, hour, minute, second] = self.fields(unix);
        format!("{year}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
    }

    fn fields(&self, unix: i64) -> [i64; 6] {
        // Whoever forges a stamp may go beyond all calendars; that is shown as the last day of ours.
        let local = unix.clamp(-62_135_596_800, 253_402_214_400) + self.offset(unix);
        let [year, month, day] = date(local.div_euclid(DAY));
        let second = local.rem_euclid(DAY);
        [year, month, day, second / 3600, second / 60 % 60, second % 60]
    }
}

/// The counts in a head: of instants, and what stands behind them.
struct Part {
    times: usize,
    kinds: usize,
    letters: usize,
    leaps: usize,
    standard: usize,
    universal: usize,
}

impl Part {
    fn head(bytes: &[u8]) -> Option<Part> {
        let head = bytes.get(..HEAD).filter(|head| head.starts_with(b"TZif"))?;
        // A table that claims more than any has is cut off, and then its end is not found.
        let count =
            |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes")).min(1 << 20) as usize;
        let [universal, standard, leaps, times, kinds, letters] = [20, 24, 28, 32, 36, 40].map(count);
        Some(Part { times, kinds, letters, leaps, standard, universal })
    }

    /// Where it ends, if an instant has so many bytes.
    fn end(&self, instant: usize) -> usize {
        HEAD + self.times * (instant + 1)
            + self.kinds * 6
            + self.letters
            + self.leaps * (instant + 4)
            + self.standard
            + self.universal
    }
}

/// Year, month and day from the days since 1970. In a year that begins in March the leap day is the last one, so that
/// months and years can be counted by division.
fn date(days: i64) -> [i64; 3] {
    const CYCLE: i64 = 146_097;
    let since_march = days + 719_468;
    let (cycle, day) = (since_march.div_euclid(CYCLE), since_march.rem_euclid(CYCLE));
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    [cycle * 400 + year + i64::from(month <= 2), month, day]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const UTC: Zone = Zone { first: 0, changes: Vec::new() };

    #[test]
    fn days_have_dates() {
        let at = |unix| UTC.compact(unix);
        assert_eq!(at(0), "19700101-000000");
        assert_eq!(at(951_782_399), "20000228-235959");
        assert_eq!(at(951_782_400), "20000229-000000");
        assert_eq!(at(-1), "19691231-235959");
        assert_eq!(at(4_107_542_400), "21000301-000000");
        assert_eq!(at(i64::MAX), "99991231-000000");
    }

    #[test]
    fn an_offset_holds_from_its_instant_on() {
        let zone = Zone { first: 3600, changes: vec![(100, 7200), (200, 3600)] };
        assert_eq!([99, 100, 199, 200].map(|unix| zone.offset(unix)), [3600, 7200, 7200, 3600]);
        assert_eq!(zone.show(Stamp::from_unix(Duration::new(150, 5))), "1970-01-01 02:02:30.000000005");
    }

    #[test]
    fn what_is_no_table_is_none() {
        for table in [&b""[..], b"TZif", b"UTC0\n", &[b"TZif2".as_slice(), &[0xff; 80]].concat()] {
            assert_eq!(Zone::parse(table), None);
        }
    }
}
