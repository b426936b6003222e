//! Names: `20261126T015400.123Z-0a1b2c3d.000042`, with `.ts`, `.ts.part` or `.json` behind it. The first part is the start in UTC, the
//! second one the recorder's run, the third counts up within the run. The last two alone make a name unique.

use jiff::Timestamp;
use std::fmt;

/// The last millisecond of the year 9998: beyond 9999 a name would have another form, and calendars end within it.
pub const LAST_START_MS: u64 = 253_370_764_799_999;

/// The name of a segment, without what stands behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    start_unix_ms: u64,
    boot: u32,
    sequence: u64,
}

impl Name {
    /// A start beyond [`LAST_START_MS`] becomes that.
    pub const fn new(start_unix_ms: u64, boot: u32, sequence: u64) -> Name {
        let start_unix_ms = if start_unix_ms > LAST_START_MS { LAST_START_MS } else { start_unix_ms };
        Name { start_unix_ms, boot, sequence }
    }

    /// When it begins, in milliseconds since 1970.
    pub const fn start_unix_ms(&self) -> u64 {
        self.start_unix_ms
    }

    /// The recorder's run.
    pub const fn boot(&self) -> u32 {
        self.boot
    }

    /// Its place in the run.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The same segment with another start.
    pub const fn starting(&self, start_unix_ms: u64) -> Name {
        Name::new(start_unix_ms, self.boot, self.sequence)
    }

    /// Only what [`fmt::Display`] writes; anything else is not ours.
    pub fn parse(text: &str) -> Option<Name> {
        let (start, rest) = text.split_once('-')?;
        let (boot, sequence) = rest.split_once('.')?;
        let (day, time) = start.split_once('T')?;
        let part = |text: &str, from: usize, to: usize| text.get(from..to)?.parse::<u16>().ok();
        let short = |text: &str, from: usize| i8::try_from(part(text, from, from + 2)?).ok();
        let date = jiff::civil::Date::new(part(day, 0, 4)?.try_into().ok()?, short(day, 4)?, short(day, 6)?).ok()?;
        let time = jiff::civil::Time::new(
            short(time, 0)?,
            short(time, 2)?,
            short(time, 4)?,
            i32::from(part(time, 7, 10)?) * 1_000_000,
        );
        let start = date.to_datetime(time.ok()?).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        let start_unix_ms = u64::try_from(start.timestamp().as_millisecond()).ok()?;
        let name = Name::new(start_unix_ms, u32::from_str_radix(boot, 16).ok()?, sequence.parse().ok()?);
        // Whatever else would be read as the same name, such as a sign or an upper case, is another name.
        (name.to_string() == text).then_some(name)
    }

    /// What a finished segment is called.
    pub fn segment(&self) -> String {
        format!("{self}.ts")
    }

    /// What it is called while it is written.
    pub fn part(&self) -> String {
        format!("{self}.ts.part")
    }

    /// What its label is called.
    pub fn label(&self) -> String {
        format!("{self}.json")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = Timestamp::from_millisecond(self.start_unix_ms.cast_signed()).expect("it lies before 9999");
        let start = start.strftime("%Y%m%dT%H%M%S");
        write!(f, "{start}.{:03}Z-{:08x}.{:06}", self.start_unix_ms % 1000, self.boot, self.sequence)
    }
}

/// Whether a camera may be called so: its name is that of a folder, a level of a topic and the beginning of a key.
pub fn is_camera_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_start_its_run_and_its_place() {
        let name = Name::new(1_795_658_040_123, 0x0a1b_2c3d, 42);
        assert_eq!(name.to_string(), "20261126T015400.123Z-0a1b2c3d.000042");
        assert_eq!(name.segment(), "20261126T015400.123Z-0a1b2c3d.000042.ts");
        assert_eq!(name.part(), "20261126T015400.123Z-0a1b2c3d.000042.ts.part");
        assert_eq!(Name::parse(&name.to_string()), Some(name));
    }

    #[test]
    fn every_name_is_read_back() {
        for start in [0, 1, 999, 951_782_399_999, 951_782_400_000, LAST_START_MS, u64::MAX] {
            for sequence in [0, 999_999, 1_000_000, u64::MAX] {
                let name = Name::new(start, u32::MAX, sequence);
                assert_eq!(Name::parse(&name.to_string()), Some(name), "{name}");
            }
        }
    }

    #[test]
    fn names_sort_by_start() {
        let (early, late) = (Name::new(999, 9, 9), Name::new(1000, 1, 1));
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn what_looks_alike_is_no_name() {
        let good = "20261126T015400.123Z-0a1b2c3d.000042";
        assert!(Name::parse(good).is_some());
        let bad = [
            "",
            "seg-00000",
            "20261126T015400.123Z-0A1B2C3D.000042",
            "20261126T015400.123Z-0a1b2c3d.42",
            "20261126T015400.123Z-0a1b2c3d.+00042",
            "20261326T015400.123Z-0a1b2c3d.000042",
            "20261126T015460.123Z-0a1b2c3d.000042",
            "20261126T015400.123-0a1b2c3d.000042",
            "20261126T015400.123Z-0a1b2c3d.000042.ts",
            "2026112\u{e9}T015400.123Z-0a1b2c3d.000042",
            "19690101T000000.000Z-0a1b2c3d.000042",
        ];
        for text in bad {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_camera_is_called_like_a_folder() {
        assert!(is_camera_name("cam1") && is_camera_name("front_door-2"));
        for name in ["", "a/b", "..", ".hidden", "cam 1", "cam\n", &"x".repeat(65)] {
            assert!(!is_camera_name(name), "{name}");
        }
    }
}
