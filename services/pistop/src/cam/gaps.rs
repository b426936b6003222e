//! `pistop cam gaps`: what is missing of a day, and why. Each moment of it is recorded, explained, unexplained or, where no ledger is left of
//! it, unknown, and the four make up all of it.

use super::place::Cameras;
use crate::local_time::Zone;
use crate::words::{out, span, table};
use clap::Args;
use jiff::Span;
use jiff::civil::Date;
use runner::exit::Failure;
use segments::account::{Account, account};
use segments::ledger;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What this program ends with if something is unexplained or unknown.
pub const UNEXPLAINED: i32 = 1;
const ALL: &str = "all";
/// In the order of [`Account::sums`].
const SUMS: [&str; 4] = ["recorded", "explained", "unexplained", "unknown"];

/// The flags of `gaps`.
#[derive(Debug, Args)]
pub struct GapsFlags {
    /// The camera, or all
    #[arg(value_name = "NAME", default_value = ALL)]
    pub name: String,
    /// The day: YYYY-MM-DD, yesterday or today; otherwise today, up to now
    #[arg(long, value_name = "DAY", value_parser = said)]
    pub day: Option<Said>,
    /// The time zone of the day; otherwise that of this machine
    #[arg(long, value_name = "ZONE", value_parser = Zone::named)]
    pub zone: Option<Zone>,
    /// Where camera keeps recordings; otherwise its setting ram-dir
    #[arg(long, value_name = "DIR")]
    pub ram_dir: Option<PathBuf>,
    /// For programs
    #[arg(long)]
    pub json: bool,
}

/// A day as people say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// So many days before today.
    Ago(i32),
    /// That of the calendar.
    On(Date),
}

fn said(text: &str) -> Result<Said, String> {
    match text {
        "today" => Ok(Said::Ago(0)),
        "yesterday" => Ok(Said::Ago(1)),
        _ => text
            .parse()
            .map(Said::On)
            .map_err(|_| format!("`{text}` is no day; write today, yesterday or one as in 2026-11-25")),
    }
}

/// A camera's day.
#[derive(Debug)]
struct Day {
    camera: String,
    from: u64,
    to: u64,
    account: Account,
}

/// Reads and prints. Does not return if something is unexplained or unknown.
///
/// # Errors
/// There is no such day or camera, or a ledger cannot be read.
pub fn run(cameras: &Cameras, flags: &GapsFlags) -> Result<(), Failure> {
    let ram_dir = flags.ram_dir.as_ref().unwrap_or(&cameras.ram_dir);
    // Another folder may be that of another machine.
    let configured = if flags.ram_dir.is_some() { &[][..] } else { &cameras.names };
    let zone = flags.zone.clone().unwrap_or_else(Zone::local);
    let (from, to) = when(flags.day, &zone)?;
    let days: Result<Vec<Day>, Failure> = names(ram_dir, configured, &flags.name)?
        .into_iter()
        .map(|camera| {
            let lines = ledger::read(ram_dir, &camera).map_err(|why| unread(ram_dir, &why))?;
            Ok(Day { camera, from, to, account: account(&lines, from, to) })
        })
        .collect();
    let days = days?;
    out(&if flags.json { format!("{}\n", json(&days)) } else { people(&days, &zone) })?;
    if days.iter().any(|day| day.account.sums()[2..].iter().any(|&ms| ms > 0)) {
        std::process::exit(UNEXPLAINED);
    }
    Ok(())
}

/// The day in milliseconds since 1970, as far as it has gone.
fn when(day: Option<Said>, zone: &Zone) -> Result<(u64, u64), Failure> {
    let now = zone.now();
    let day = match day.unwrap_or(Said::Ago(0)) {
        Said::On(day) => day,
        Said::Ago(days) => now.date().saturating_sub(Span::new().days(days)),
    };
    let (from, to) = zone.day(day).map_err(Failure::Permanent)?;
    let now = u64::try_from(now.timestamp().as_millisecond()).unwrap_or_default();
    if from >= now {
        return Err(Failure::Permanent("that day has not begun yet; leave --day away for today".into()));
    }
    Ok((from, to.min(now)))
}

/// Those that have a ledger, and those that should have one.
fn names(ram_dir: &Path, configured: &[String], name: &str) -> Result<Vec<String>, Failure> {
    let written = ledger::cameras(ram_dir).map_err(|why| unread(ram_dir, &why))?;
    let all: BTreeSet<String> = written.into_iter().chain(configured.iter().cloned()).collect();
    let all: Vec<String> = all.into_iter().collect();
    let dir = ram_dir.display();
    match (all.is_empty(), name) {
        (true, _) => Err(Failure::Permanent(format!(
            "{dir} has no ledger: has camera run since this machine was started, and is --ram-dir right?"
        ))),
        (_, ALL) => Ok(all),
        _ if all.iter().any(|one| one == name) => Ok(vec![name.into()]),
        _ => Err(Failure::Permanent(format!("{dir} has no ledger of {name}; it has those of {}", all.join(" ")))),
    }
}

fn unread(ram_dir: &Path, why: &std::io::Error) -> Failure {
    Failure::Temporary(format!("the ledgers in {} cannot be read: {why}; may this user read them?", ram_dir.display()))
}

fn people(days: &[Day], zone: &Zone) -> String {
    days.iter().map(|day| day.people(zone)).collect::<Vec<_>>().join("\n")
}

impl Day {
    fn people(&self, zone: &Zone) -> String {
        let (from, to) = (zone.seconds(unix(self.from)), zone.seconds(unix(self.to)));
        let mut text = format!("{}, {from} to {to}\n", self.camera);
        text += &table(&self.rows(zone));
        for &(from, to) in &self.account.frozen {
            let (from, to) = (zone.time(unix(from)), zone.time(unix(to)));
            text += &format!("from {from} to {to} the picture was frozen; it is recorded\n");
        }
        text += &table(&self.sums());
        text + &self.remark(zone)
    }

    fn rows(&self, zone: &Zone) -> Vec<Vec<String>> {
        let head = ["from", "to", "length", "not recorded because"].map(str::to_owned).to_vec();
        let row = |(piece, reason): (&segments::account::Piece, &segments::account::Reason)| {
            let time = |at| zone.time(unix(at));
            vec![time(piece.from), time(piece.to), span(unix(piece.ms())), reason.to_string()]
        };
        let rows: Vec<_> = self.account.gaps().map(row).collect();
        if rows.is_empty() { rows } else { [vec![head], rows].concat() }
    }

    fn sums(&self) -> Vec<Vec<String>> {
        let sums = self.account.sums();
        let row = |((word, share), ms): ((&str, String), u64)| vec![word.to_owned(), share, span(unix(ms))];
        SUMS.into_iter().zip(percent(sums)).zip(sums).map(row).collect()
    }

    /// A ledger in RAM is gone when the machine starts again.
    fn remark(&self, zone: &Zone) -> String {
        match self.account.begins {
            Some((begins, _)) if begins > self.from => {
                let begins = if begins < self.to { zone.time(unix(begins)) } else { zone.seconds(unix(begins)) };
                format!(
                    "the ledger in RAM begins at {begins}; what was before stands in the hourly lists in the bucket\n"
                )
            }
            Some(_) => String::new(),
            None => "the ledger in RAM is empty; what was before stands in the hourly lists in the bucket\n".into(),
        }
    }

    fn json(&self) -> Value {
        let [recorded, explained, unexplained, unknown] = self.account.sums();
        let gap = |(piece, reason): (&segments::account::Piece, &segments::account::Reason)| {
            let (from, to) = (instant(piece.from), instant(piece.to));
            json!({ "from": from, "to": to, "ms": piece.ms(), "reason": reason.word(), "words": reason.to_string() })
        };
        let frozen = |&(from, to): &(u64, u64)| json!({ "from": instant(from), "to": instant(to), "ms": to - from });
        json!({
            "camera": self.camera,
            "from": instant(self.from),
            "to": instant(self.to),
            "ledger-begins": self.account.begins.map(|(begins, _)| instant(begins)),
            "recorded-ms": recorded,
            "explained-ms": explained,
            "unexplained-ms": unexplained,
            "unknown-ms": unknown,
            "gaps": self.account.gaps().map(gap).collect::<Vec<_>>(),
            "frozen": self.account.frozen.iter().map(frozen).collect::<Vec<_>>(),
        })
    }
}

fn json(days: &[Day]) -> Value {
    json!({ "cameras": days.iter().map(Day::json).collect::<Vec<_>>() })
}

const fn unix(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `2026-11-26T01:54:00.123Z`.
fn instant(unix_ms: u64) -> String {
    let instant = jiff::Timestamp::from_millisecond(unix_ms.cast_signed()).unwrap_or_default();
    instant.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// With two digits behind the point they make up 100, and what is not nothing is not 0.
fn percent<const N: usize>(parts: [u64; N]) -> [String; N] {
    let all = parts.iter().map(|&part| u128::from(part)).sum::<u128>().max(1);
    let mut hundredths = parts.map(|part| ((u128::from(part) * 10_000 / all) as u64).max(u64::from(part > 0)));
    let largest = (0..N).max_by_key(|&place| parts[place]).unwrap_or_default();
    let others: u64 = (0..N).filter(|&place| place != largest).map(|place| hundredths[place]).sum();
    hundredths[largest] = if parts[largest] > 0 { 10_000 - others } else { 0 };
    hundredths.map(|share| format!("{}.{:02} %", share / 100, share % 100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use segments::Reason;
    use segments::ledger::{Closed, Line, Reading, What};

    /// 2026-11-26 07:24:00 in Kolkata.
    const START: u64 = 1_795_658_040_000;

    fn day(open: bool) -> Day {
        let clock = |at| Reading { unix: START + at, set: true, slept: 0 };
        let line = |at, what| Line { at, what };
        let segment = |sequence, from, ms| {
            let (run, unix) = ("0000000a".to_owned(), START + from);
            line(from + ms, What::Closed(Closed { run, sequence, from, ms, frames: 300, unix, reason: Reason::Length }))
        };
        let mut lines = vec![
            line(0, What::Begun { run: "0000000a".into(), kernel: "k".into(), clock: clock(0) }),
            segment(1, 0, 3_600_000),
            line(3_602_000, What::Away { since: 3_600_000, cause: "unreachable".into() }),
            line(3_850_000, What::Back),
            line(4_000_000, What::Frozen { since: 3_950_000 }),
            line(4_100_000, What::Thawed),
            segment(2, 3_850_000, 1_000_000),
        ];
        lines.extend(open.then(|| line(4_860_000, What::Alive { clock: clock(4_860_000), open: Some(4_850_000) })));
        let (from, to) = (START - 60_000, START + 4_860_000);
        Day { camera: "cam1".into(), from, to, account: account(&lines, from, to) }
    }

    #[test]
    fn a_day_is_written_as_people_say_it() {
        assert_eq!(said("yesterday"), Ok(Said::Ago(1)));
        assert_eq!(said("2026-11-25"), Ok(Said::On(Date::constant(2026, 11, 25))));
        assert!(said("monday").unwrap_err().contains("write today, yesterday or one as in 2026-11-25"));
        let zone = Zone::named("UTC").unwrap();
        let starts = [Some(Said::Ago(1)), None].map(|day| when(day, &zone).unwrap().0);
        assert_eq!(starts[0] + 86_400_000, starts[1]);
    }

    #[test]
    fn a_day_is_told_with_its_gaps_and_sums() {
        let zone = Zone::named("Asia/Kolkata").unwrap();
        let expected = "\
cam1, 2026-11-26 07:23:00 to 2026-11-26 08:45:00
from      to        length      not recorded because
07:23:00  07:24:00  1 min 0 s   unknown: there is no ledger of that time
08:24:00  08:28:10  4 min 10 s  the camera could not be reached
from 08:29:50 to 08:32:20 the picture was frozen; it is recorded
recorded     93.71 %  1 h 16 min
explained    5.08 %   4 min 10 s
unexplained  0.00 %   0.0 s
unknown      1.21 %   1 min 0 s
the ledger in RAM begins at 07:24:00; what was before stands in the hourly lists in the bucket
";
        assert_eq!(people(&[day(true)], &zone), expected);
        let text = people(&[day(false)], &zone);
        assert!(text.contains("08:44:50  08:45:00  10.0 s      unexplained\n"), "{text}");
        assert!(text.contains("unexplained  0.20 %   10.0 s\n"), "{text}");
    }

    #[test]
    fn for_programs_a_day_has_instants_and_words() {
        let json = json(&[day(true)]);
        let day = &json["cameras"][0];
        assert_eq!(day["gaps"][1]["from"], "2026-11-26T02:54:00.000Z");
        assert_eq!((&day["gaps"][1]["reason"], &day["gaps"][1]["ms"]), (&json!("unreachable"), &json!(250_000)));
        assert_eq!((&day["recorded-ms"], &day["unexplained-ms"]), (&json!(4_610_000), &json!(0)));
        assert_eq!((&day["explained-ms"], &day["unknown-ms"]), (&json!(250_000), &json!(60_000)));
        assert_eq!(day["frozen"][0]["ms"], 150_000);
        assert_eq!(day["ledger-begins"], "2026-11-26T01:54:00.000Z");
    }

    #[test]
    fn a_little_is_not_nothing_and_all_is_a_hundred() {
        assert_eq!(percent([99_999_999, 0, 1]), ["99.99 %", "0.00 %", "0.01 %"]);
        assert_eq!(percent([1, 2, 3]), ["16.66 %", "33.33 %", "50.01 %"]);
        assert_eq!(percent([1, 86_400_000, 1]), ["0.01 %", "99.98 %", "0.01 %"]);
        assert_eq!(percent([0, 5, 0]), ["0.00 %", "100.00 %", "0.00 %"]);
        assert_eq!(percent([0; 3]), ["0.00 %", "0.00 %", "0.00 %"]);
    }

    #[test]
    fn a_day_is_as_long_as_it_is_and_none_lies_ahead() {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let (from, to) = zone.day(Date::constant(2026, 10, 25)).unwrap();
        assert_eq!(to - from, 25 * 3_600_000);
        let ahead = zone.now().date().saturating_add(Span::new().days(2));
        assert!(when(Some(Said::On(ahead)), &zone).unwrap_err().to_string().contains("has not begun yet"));
        let (from, to) = when(None, &zone).unwrap();
        assert!(from < to && to - from <= 25 * 3_600_000);
        assert!(Zone::named("Nowhere/City").unwrap_err().contains("is no time zone"));
    }

    #[test]
    fn who_has_no_ledger_is_told_who_has() {
        let dir = tempfile::tempdir().unwrap();
        let told = |configured: &[&str], name: &str| {
            let configured: Vec<String> = configured.iter().map(|&name| name.into()).collect();
            names(dir.path(), &configured, name)
        };
        let why = told(&[], ALL).unwrap_err().to_string();
        assert!(why.contains("has no ledger: has camera run"), "{why}");
        let line = Line { at: 1, what: What::Stopped };
        ledger::Pen::open(dir.path(), "cam1", 0).unwrap().write(&line).unwrap();
        assert_eq!(told(&[], ALL).unwrap(), ["cam1"]);
        assert_eq!(told(&[], "cam1").unwrap(), ["cam1"]);
        assert_eq!(told(&["cam2", "cam1"], ALL).unwrap(), ["cam1", "cam2"], "one that should have one is not left out");
        assert_eq!(told(&["cam2"], "cam2").unwrap(), ["cam2"]);
        let why = told(&[], "cam2").unwrap_err().to_string();
        assert!(why.ends_with("has no ledger of cam2; it has those of cam1"), "{why}");
    }
}
