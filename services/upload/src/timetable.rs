//! How fast it may go, and when: `600 22:00-06:00=0`. The first word holds unless a window does, the first window that fits counts. A
//! rate is in KiB/s for all cameras together; `0` is no limit, `stop` sends nothing.

use std::fmt;

const DAY: u32 = 24 * 60;

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// Nothing is sent.
    Stop,
    /// So many bytes a second.
    Limit(u64),
    /// As fast as it goes.
    Free,
}

impl Rate {
    fn parse(word: &str) -> Result<Rate, String> {
        match word {
            "stop" => Ok(Rate::Stop),
            "0" => Ok(Rate::Free),
            // A petabyte a second is beyond all lines and far from all overflows.
            number => match number.parse::<u64>() {
                Ok(kib @ 1..1_000_000_000_000) => Ok(Rate::Limit(kib * 1024)),
                _ => Err(format!("`{word}` is no rate; write KiB/s as in 600, 0 for no limit, or stop")),
            },
        }
    }
}

/// Rates over a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timetable {
    otherwise: Rate,
    windows: Vec<Window>,
}

/// Minutes of the day; `to` is not in it, and may be before `from`, over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from: u32,
    to: u32,
    rate: Rate,
}

impl Timetable {
    /// From the words of the setting.
    ///
    /// # Errors
    /// The word that is wrong, with the remedy.
    pub fn parse(text: &str) -> Result<Timetable, String> {
        let mut words = text.split_whitespace();
        let first = words.next().ok_or("is empty; write KiB/s as in 600")?;
        let windows = words.map(Window::parse).collect::<Result<_, _>>()?;
        Ok(Timetable { otherwise: Rate::parse(first)?, windows })
    }

    /// What holds in a minute of the day, 0 to 1439.
    pub fn at(&self, minute: u32) -> Rate {
        let found = self.windows.iter().find(|window| window.holds(minute % DAY));
        found.map_or(self.otherwise, |window| window.rate)
    }
}

impl Window {
    fn parse(word: &str) -> Result<Window, String> {
        let why = || format!("`{word}` is no window; write it as in 22:00-06:00=0");
        let (times, rate) = word.split_once('=').ok_or_else(why)?;
        let (from, to) = times.split_once('-').ok_or_else(why)?;
        let window =
            Window { from: minute(from).ok_or_else(why)?, to: minute(to).ok_or_else(why)?, rate: Rate::parse(rate)? };
        if window.from == window.to % DAY {
            return Err(format!("`{word}` is no time at all; for all day write the rate alone"));
        }
        Ok(window)
    }

    const fn holds(&self, minute: u32) -> bool {
        if self.from < self.to {
            self.from <= minute && minute < self.to
        } else {
            self.from <= minute || minute < self.to
        }
    }
}

/// `06:30`; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let two =
        |text: &str| (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?;
    let (hours, minutes): (u32, u32) = (two(hours)?, two(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rate::Stop => f.write_str("nothing is sent"),
            Rate::Free => f.write_str("no limit"),
            Rate::Limit(bytes) => write!(f, "{} KiB/s", bytes / 1024),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_window_that_fits_counts() {
        let table = Timetable::parse("300 22:00-06:00=0 05:00-08:00=stop 12:00-24:00=50").unwrap();
        let at = |hours: u32, minutes: u32| table.at(hours * 60 + minutes);
        assert_eq!([at(21, 59), at(12, 0)], [Rate::Limit(50 * 1024); 2]);
        assert_eq!([at(22, 0), at(23, 59), at(0, 0), at(5, 59)], [Rate::Free; 4]);
        assert_eq!([at(6, 0), at(7, 59)], [Rate::Stop; 2]);
        assert_eq!([at(8, 0), at(11, 59)], [Rate::Limit(300 * 1024); 2]);
        assert_eq!(table.at(DAY + 60), Rate::Free, "days repeat");
    }

    #[test]
    fn what_is_no_rate_is_told_with_the_remedy() {
        for (text, word) in [
            ("", "is empty"),
            ("fast", "KiB/s"),
            ("-3", "KiB/s"),
            ("99999999999999999999", "KiB/s"),
            ("300 night=0", "22:00-06:00=0"),
            ("300 22:00-06:00", "22:00-06:00=0"),
            ("300 22:60-06:00=0", "22:00-06:00=0"),
            ("300 24:01-06:00=0", "22:00-06:00=0"),
            ("300 +1:00-06:00=0", "22:00-06:00=0"),
            ("300 06:00-06:00=0", "no time at all"),
            ("300 00:00-24:00=0", "no time at all"),
        ] {
            let why = Timetable::parse(text).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
    }
}
