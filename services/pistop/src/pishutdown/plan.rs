//! What the arguments of shutdown(8) mean for the house. Both families are understood, systemd's and sysvinit's, with
//! their clusters (`-hP`), abbreviations (`--reb`) and options behind the time.
//!
//! What always holds: only what surely takes this machine down at once lets the house go. What is not understood is left to
//! shutdown itself, which will refuse it: nobody's music stops for a slip of the pen.

use std::ffi::OsString;
use std::fmt;

/// What is done before shutdown is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// Every client lets go.
    LetGo {
        /// This machine comes back, so nobody powers off.
        reboot: bool,
        /// The operator's words.
        reason: String,
    },
    /// A shutdown that goes on is taken back.
    Cancel,
    /// Nothing, and why.
    Nothing(&'static str),
}

impl fmt::Display for First {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            First::LetGo { reboot: false, .. } => f.write_str("everybody lets go, then this machine goes down"),
            First::LetGo { reboot: true, .. } => f.write_str("everybody is told, then this machine starts again"),
            First::Cancel => f.write_str("a shutdown that goes on is taken back"),
            First::Nothing(why) => write!(f, "nobody is told now: {why}"),
        }
    }
}

/// Reads the arguments, without the program's name.
pub fn plan(arguments: &[OsString]) -> First {
    let read = Read::all(arguments);
    let mut words = read.words.iter();
    match read {
        Read { unknown: true, .. } => First::Nothing("shutdown itself has to say whether it understands this"),
        Read { only_tells: true, .. } => First::Nothing("this only tells something"),
        Read { cancel: true, .. } => First::Cancel,
        Read { reboot, .. } => match words.next().map_or(Time::Later, |word| time(word)) {
            Time::Now => First::LetGo { reboot, reason: words.cloned().collect::<Vec<_>>().join(" ") },
            Time::Later => First::Nothing("it is for later; fserver hears of it when the time has come"),
            Time::None => First::Nothing("this is no time that shutdown knows"),
        },
    }
}

#[derive(Debug, Default)]
struct Read {
    reboot: bool,
    cancel: bool,
    only_tells: bool,
    unknown: bool,
    words: Vec<String>,
}

impl Read {
    fn all(arguments: &[OsString]) -> Read {
        let mut read = Read::default();
        let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned());
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix('-') {
                Some("-") => read.words.extend(arguments.by_ref()),
                Some("") | None => read.words.push(argument),
                Some(rest) => match rest.strip_prefix('-') {
                    Some(name) => read.long(name),
                    None => read.cluster(rest, || arguments.next()),
                },
            }
        }
        read
    }

    /// As getopt_long(3) has it, the beginning of a name is enough if it is the beginning of only one.
    fn long(&mut self, name: &str) {
        const NAMES: [(&str, char); 7] = [
            ("help", '?'),
            ("halt", 'H'),
            ("poweroff", 'P'),
            ("reboot", 'r'),
            ("kexec", 'K'),
            ("no-wall", 'f'),
            ("show", '?'),
        ];
        let mut meant = NAMES.iter().filter(|(whole, _)| whole.starts_with(name));
        match (meant.next(), meant.next()) {
            (Some((_, letter)), None) => self.letter(*letter),
            _ => self.unknown = true,
        }
    }

    fn cluster(&mut self, letters: &str, next: impl FnOnce() -> Option<String>) {
        let Some((before, seconds)) = letters.split_once('t') else {
            return letters.chars().for_each(|letter| self.letter(letter));
        };
        before.chars().for_each(|letter| self.letter(letter));
        self.unknown |= seconds.is_empty() && next().is_none();
    }

    /// The last one counts, as in shutdown.
    fn letter(&mut self, letter: char) {
        match letter {
            'h' | 'H' | 'P' => self.reboot = false,
            'r' | 'K' => self.reboot = true,
            'c' => self.cancel = true,
            'k' | '?' => self.only_tells = true,
            'a' | 'f' | 'F' => (),
            _ => self.unknown = true,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Now,
    Later,
    None,
}

fn time(word: &str) -> Time {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match (word, word.split_once(':')) {
        ("now", _) => Time::Now,
        (_, Some((hours, minutes))) => match (number(hours), number(minutes)) {
            (Some(0..24), Some(0..60)) => Time::Later,
            _ => Time::None,
        },
        _ => match number(word.strip_prefix('+').unwrap_or(word)) {
            Some(0) => Time::Now,
            Some(_) => Time::Later,
            None => Time::None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> First {
        plan(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    fn down(reason: &str) -> First {
        First::LetGo { reboot: false, reason: reason.into() }
    }

    fn again(reason: &str) -> First {
        First::LetGo { reboot: true, reason: reason.into() }
    }

    #[test]
    fn every_way_to_say_down_at_once_lets_the_house_go() {
        let lines = ["now", "-h now", "-P now", "-hP now", "-H +0", "--poweroff now", "--halt 0", "-h -t 5 now"];
        let more = ["-t5 now", "-ht 5 now", "-fFa now", "--no-wall now", "--pow now", "-r -h now", "now -h", "-- now"];
        for line in lines.into_iter().chain(more) {
            assert_eq!(of(line), down(""), "{line}");
        }
        assert_eq!(of("-h now good  night -f all"), down("good night all"));
        assert_eq!(of("-h now -- -r"), down("-r"));
    }

    #[test]
    fn every_way_to_say_reboot_at_once_tells_the_house_that_we_return() {
        for line in ["-r now", "--reboot now", "--reb +0", "-K now", "--kexec now", "-h -r now", "now -r"] {
            assert_eq!(of(line), again(""), "{line}");
        }
    }

    #[test]
    fn what_is_for_later_or_only_tells_lets_nobody_go() {
        for line in ["", "-h", "-r", "-h +5", "5", "23:15", "-r 0:00 upgrade", "-k now", "--show", "--help", "-h -t 9"]
        {
            assert!(matches!(of(line), First::Nothing(_)), "{line}");
        }
    }

    #[test]
    fn what_shutdown_will_refuse_lets_nobody_go() {
        let lines =
            ["-h noww", "-x now", "--powerdown now", "--h now", "24:00", "12:60", "+-5", "++5", ":", "-h now -t"];
        for line in lines {
            assert!(matches!(of(line), First::Nothing(_)), "{line}");
        }
    }

    #[test]
    fn a_cancellation_is_one_whatever_its_words_are() {
        for line in ["-c", "-c now", "-hc now", "-c never mind"] {
            assert_eq!(of(line), First::Cancel, "{line}");
        }
    }
}
