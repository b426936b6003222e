//! Instants in this machine's local time; the zone is that of TZ, or of `/etc/localtime`, or UTC.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use runner::tai64n::Stamp;
use std::time::Duration;

/// Where a day begins.
#[derive(Debug, Clone)]
pub struct Zone(TimeZone);

impl Zone {
    /// That of this process.
    pub fn local() -> Zone {
        Zone(TimeZone::system())
    }

    /// One by its name, as in Asia/Kolkata.
    ///
    /// # Errors
    /// It is not known here.
    pub fn named(name: &str) -> Result<Zone, String> {
        let unknown = |_| format!("`{name}` is no time zone here; write it as in Asia/Kolkata, and install tzdata");
        TimeZone::get(name).map(Zone).map_err(unknown)
    }

    /// That of no place in particular.
    pub const fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// `2026-11-21 20:15:00.123456789`, as tai64nlocal prints it.
    pub fn show(&self, stamp: Stamp) -> String {
        let (unix, nanoseconds) = stamp.unix();
        format!("{}.{nanoseconds:09}", self.format("%Y-%m-%d %H:%M:%S", unix))
    }

    /// `2026-11-21 20:15:00`, as lists show it.
    pub fn seconds(&self, since_1970: Duration) -> String {
        self.format("%Y-%m-%d %H:%M:%S", since_1970.as_secs().cast_signed())
    }

    /// This moment.
    pub fn now(&self) -> Zoned {
        Timestamp::now().to_zoned(self.0.clone())
    }

    /// `20:15:00`, where the day is known.
    pub fn time(&self, since_1970: Duration) -> String {
        self.format("%H:%M:%S", since_1970.as_secs().cast_signed())
    }

    /// A day from its midnight to the next, in milliseconds since 1970. It may have 23 or 25 hours.
    ///
    /// # Errors
    /// There is no such day.
    pub fn day(&self, day: Date) -> Result<(u64, u64), String> {
        let midnight = |day: Date| Some(day.to_zoned(self.0.clone()).ok()?.timestamp().as_millisecond());
        let unix = |day: Date| u64::try_from(midnight(day)?).ok();
        let both = day.tomorrow().ok().and_then(|next| unix(day).zip(unix(next)));
        both.ok_or_else(|| format!("{day} is too far away; write a day as in 2026-11-21"))
    }

    /// `20261121-201500`, for names of folders.
    pub fn compact(&self, since_1970: Duration) -> String {
        self.format("%Y%m%d-%H%M%S", since_1970.as_secs().cast_signed())
    }

    /// `21-11-26 20:15:00`, as displays show it.
    pub fn short(&self, since_1970: Duration) -> String {
        self.format("%d-%m-%y %H:%M:%S", since_1970.as_secs().cast_signed())
    }

    /// Whoever forges a stamp may go beyond all calendars; that is shown as their first or last day.
    fn format(&self, form: &str, unix: i64) -> String {
        let (first, last) = (Timestamp::MIN.as_second() + 100_000, Timestamp::MAX.as_second() - 100_000);
        let instant = Timestamp::from_second(unix.clamp(first, last)).expect("it lies within the calendar");
        instant.to_zoned(self.0.clone()).strftime(form).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc() -> Zone {
        Zone::utc()
    }

    #[test]
    fn each_form_is_as_its_readers_know_it() {
        let at = Duration::from_secs(1_795_292_100);
        assert_eq!(utc().compact(at), "20261121-201500");
        assert_eq!(utc().seconds(at), "2026-11-21 20:15:00");
        assert_eq!(utc().short(at), "21-11-26 20:15:00");
        assert_eq!(utc().show(Stamp::from_unix(Duration::new(150, 5))), "1970-01-01 00:02:30.000000005");
    }

    #[test]
    fn a_stamp_beyond_all_calendars_is_shown_all_the_same() {
        assert!(utc().format("%Y", i64::MAX).starts_with("9999") && !utc().format("%Y", i64::MIN).is_empty());
    }
}
