//! Where things lie in the bucket. The layout is the one that the house has always had:
//! `cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20.ts`, in the configured time zone, and the time is that of the segment's **end**.
//! A second segment that ends in the same second is `..._2.ts`: nothing is ever overwritten. A machine that does not know the time begins at the same one
//! after each boot, so its recorder's run stands behind that: `cam_1_1970_01_01_00_00_20_0000000a.ts`.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use segments::{Clock, Label};

/// Beyond it there are no calendars; the end of the year 9998.
const LAST_MS: u64 = 253_370_764_799_999;

/// An instant of the house's clocks, in milliseconds since 1970.
pub fn instant(unix_ms: u64) -> Timestamp {
    Timestamp::from_millisecond(unix_ms.min(LAST_MS).cast_signed()).expect("it lies within the calendar")
}

/// The folder of a camera's hour: `cam1/2026/11/26/07`.
pub fn hour(zone: &TimeZone, camera: &str, unix_ms: u64) -> String {
    format!("{camera}/{}", instant(unix_ms).to_zoned(zone.clone()).strftime("%Y/%m/%d/%H"))
}

/// From when to when the hour of an instant lasts, in milliseconds since 1970.
pub fn span_of_hour(zone: &TimeZone, unix_ms: u64) -> (u64, u64) {
    const HOUR_MS: u64 = 3_600_000;
    let into = instant(unix_ms).to_zoned(zone.clone()).time();
    let seconds = into.minute().unsigned_abs() as u64 * 60 + into.second().unsigned_abs() as u64;
    let from = unix_ms.saturating_sub(seconds * 1000 + unix_ms % 1000);
    (from, from + HOUR_MS)
}

/// The key of a segment of a camera; `nth` counts those that would have the same one, from 1 on.
pub fn segment(zone: &TimeZone, camera: &str, label: &Label, nth: u32) -> String {
    let number = camera.strip_prefix("cam").unwrap_or(camera);
    let end = instant(label.end_unix_ms()).to_zoned(zone.clone());
    let run = if label.clock == Clock::Unset { format!("_{}", label.boot) } else { String::new() };
    let suffix = if nth > 1 { format!("_{nth}") } else { String::new() };
    let time = end.strftime("%Y_%m_%d_%H_%M_%S");
    format!("{}/cam_{number}_{time}{run}{suffix}.ts", hour(zone, camera, label.end_unix_ms()))
}

/// The folder that a key lies in.
pub fn folder(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::label;

    fn ending(end: u64) -> Label {
        label(1, end, 0)
    }

    #[test]
    fn a_machine_that_does_not_know_the_time_takes_no_key_of_an_earlier_run() {
        let of_run = |boot: &str| Label { clock: Clock::Unset, boot: boot.into(), ..ending(20_000) };
        let key = |boot: &str, nth| segment(&TimeZone::UTC, "cam1", &of_run(boot), nth);
        assert_eq!(key("0000000a", 1), "cam1/1970/01/01/00/cam_1_1970_01_01_00_00_20_0000000a.ts");
        assert_eq!(key("0000000a", 2), "cam1/1970/01/01/00/cam_1_1970_01_01_00_00_20_0000000a_2.ts");
        assert_ne!(key("0000000a", 1), key("0000000b", 1));
    }

    #[test]
    fn keys_are_those_of_the_old_uploader() {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        // TZ=Asia/Kolkata date -d @1795658060 +%F_%T says 2026-11-26_07:24:20.
        let end = 1_795_658_060_999;
        assert_eq!(segment(&zone, "cam1", &ending(end), 1), "cam1/2026/11/26/07/cam_1_2026_11_26_07_24_20.ts");
        assert_eq!(segment(&zone, "cam12", &ending(end), 2), "cam12/2026/11/26/07/cam_12_2026_11_26_07_24_20_2.ts");
        assert_eq!(segment(&zone, "front", &ending(end), 1), "front/2026/11/26/07/cam_front_2026_11_26_07_24_20.ts");
        assert_eq!(hour(&zone, "cam1", end), folder(&segment(&zone, "cam1", &ending(end), 3)));
        assert_eq!(hour(&TimeZone::UTC, "cam1", end), "cam1/2026/11/26/01");
    }

    #[test]
    fn an_hour_begins_when_its_folder_does() {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let (from, to) = span_of_hour(&zone, 1_795_658_060_999);
        assert_eq!(
            (hour(&zone, "cam1", from), hour(&zone, "cam1", from - 1)),
            ("cam1/2026/11/26/07".into(), "cam1/2026/11/26/06".into())
        );
        assert_eq!(
            (hour(&zone, "cam1", to - 1), hour(&zone, "cam1", to)),
            ("cam1/2026/11/26/07".into(), "cam1/2026/11/26/08".into())
        );
        assert_eq!(span_of_hour(&TimeZone::UTC, 0), (0, 3_600_000));
    }

    #[test]
    fn a_clock_that_is_wrong_makes_a_key_all_the_same() {
        assert_eq!(segment(&TimeZone::UTC, "cam1", &ending(0), 1), "cam1/1970/01/01/00/cam_1_1970_01_01_00_00_00.ts");
        assert!(segment(&TimeZone::UTC, "cam1", &ending(u64::MAX), 1).contains("/9998/12/31/23/"));
    }
}
