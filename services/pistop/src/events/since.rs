//! `--since`: a moment as people say it. Pure: what time it is is an argument.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

/// The moment that a text means, said at `now`: `10m`, `2h`, `3d` before it, `today`, `yesterday`, `20:15`,
/// `2026-11-21`, `2026-11-21 20:15`, in the zone of `now`, or RFC 3339 with a zone of its own.
///
/// # Errors
/// It means none.
pub fn parse(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let moment = match text {
        "today" => midnight(now, 0),
        "yesterday" => midnight(now, 1),
        _ => ago(text, now).or_else(|| instant(text)).or_else(|| civil(text, now)),
    };
    moment.ok_or_else(|| {
        let forms = "10m, 2h, 3d, today, yesterday, 20:15, 2026-11-21, \"2026-11-21 20:15\" or 2026-11-21T20:15:00Z";
        format!("`{text}` is no time; write {forms}")
    })
}

fn midnight(now: &Zoned, days_ago: i64) -> Option<Timestamp> {
    let day = now.date().checked_sub(Span::new().days(days_ago)).ok()?;
    Some(day.to_zoned(now.time_zone().clone()).ok()?.timestamp())
}

fn ago(text: &str, now: &Zoned) -> Option<Timestamp> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number = i64::from(number.parse::<u32>().ok().filter(|_| digits)?);
    let span = Span::new();
    let span = match unit {
        "s" => span.try_seconds(number),
        "m" => span.try_minutes(number),
        "h" => span.try_hours(number),
        "d" => span.try_days(number),
        "w" => span.try_weeks(number),
        _ => return None,
    };
    Some(now.checked_sub(span.ok()?).ok()?.timestamp())
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn civil(text: &str, now: &Zoned) -> Option<Timestamp> {
    let at = |moment: DateTime, zone: &TimeZone| Some(moment.to_zoned(zone.clone()).ok()?.timestamp());
    match text.parse::<Time>() {
        Ok(time) if text.contains(':') && !text.contains('-') => at(now.date().to_datetime(time), now.time_zone()),
        _ => at(text.parse().ok()?, now.time_zone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A quarter past eight in the evening, an hour before UTC's.
    fn meant(text: &str) -> Result<String, String> {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let now = DateTime::constant(2026, 11, 21, 20, 15, 30, 0).to_zoned(zone).unwrap();
        parse(text, &now).map(|moment| moment.to_string())
    }

    #[test]
    fn people_say_times_in_many_ways() {
        for (text, moment) in [
            ("90s", "2026-11-21T19:14:00Z"),
            ("10m", "2026-11-21T19:05:30Z"),
            ("2h", "2026-11-21T17:15:30Z"),
            ("3d", "2026-11-18T19:15:30Z"),
            ("1w", "2026-11-14T19:15:30Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("yesterday", "2026-11-19T23:00:00Z"),
            ("19:00", "2026-11-21T18:00:00Z"),
            ("19:00:05", "2026-11-21T18:00:05Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20 07:30", "2026-11-20T06:30:00Z"),
            ("2026-11-20T07:30:01", "2026-11-20T06:30:01Z"),
            ("2026-11-20T07:30:00Z", "2026-11-20T07:30:00Z"),
            ("2026-11-20T07:30:00-05:00", "2026-11-20T12:30:00Z"),
        ] {
            assert_eq!(meant(text).as_deref(), Ok(moment), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_with_what_would_be() {
        for text in ["", "m", "-5m", "5", "5y", "é", "tomorrow", "25:00", "2026-13-01", "99999999999999d", "+1h"] {
            let why = meant(text).map(|moment| format!("{text} is {moment}")).unwrap_err();
            assert!(why.starts_with(&format!("`{text}` is no time; write 10m, 2h")), "{why}");
        }
    }
}
