//! The time line: what we do and what the machines say on their serial consoles, stamped by one clock, that of this machine.
//! All of it goes to a file; what tells the story is printed as it happens.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Who speaks when it is this program.
pub const HOUSE: &str = "house";
/// How often somebody who waits looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Programs whose lines tell the story.
const TELLING: [&str; 7] = ["fserver", "fclient", "pistop", "pishutdown", "poweroff", "reboot", "mounts"];
/// What systemd does with these tells the story too.
const UNITS: [&str; 7] = [
    "fserver.service",
    "fclient.service",
    "mpd.service",
    "nfs-server.service",
    "usb3-poweroff",
    "poweroff.target",
    "finished",
];
/// Said again and again, or by the hook of the house.
const QUIET: [&str; 3] = ["is not reached yet", "-music: volume", "binfmt_misc"];
/// What it says of them, of all that it says.
const DEEDS: [&str; 6] = ["Starting", "Started", "Stopping", "Stopped", "Reached", "Startup"];

/// Something that was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Since the beginning.
    pub at: Duration,
    /// Where.
    pub who: String,
    /// What.
    pub what: String,
    /// Whether it tells the story.
    telling: bool,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.3} s  {:8} {}", self.at.as_secs_f64(), self.who, self.what)
    }
}

struct Line {
    seen: Vec<Seen>,
    file: File,
}

/// The time line; clones are the same one.
#[derive(Clone)]
pub struct Watch {
    began: Instant,
    line: Arc<Mutex<Line>>,
}

impl Watch {
    /// Begins one, kept in this file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let line = Line { seen: Vec::new(), file: File::create(path)? };
        Ok(Self { began: Instant::now(), line: Arc::new(Mutex::new(line)) })
    }

    /// Now, on its clock.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A line of our own, and its time.
    pub fn tell(&self, what: &str) -> Duration {
        self.note(HOUSE, what.into(), true)
    }

    /// Listens to a machine's console until that ends, which is when its power is off.
    pub fn listen(&self, who: &str, console: impl Read + Send + 'static) {
        let (watch, who) = (self.clone(), who.to_owned());
        thread::spawn(move || {
            let mut console = BufReader::new(console);
            let mut bytes = Vec::new();
            while console.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
                let what = plain(&String::from_utf8_lossy(&bytes));
                if !what.is_empty() {
                    let telling = tells(&what);
                    watch.note(&who, what, telling);
                }
                bytes.clear();
            }
            watch.note(&who, POWER_IS_OFF.into(), true);
        });
    }

    /// When this was first said by a machine, since then.
    pub fn first(&self, from: Duration, who: &str, what: &str) -> Option<Duration> {
        self.all(from, who, what).first().map(|seen| seen.at)
    }

    /// When this was last said by a machine, since then.
    pub fn last(&self, from: Duration, who: &str, what: &str) -> Option<Duration> {
        self.all(from, who, what).last().map(|seen| seen.at)
    }

    /// All lines of a machine, since then, with this in them.
    pub fn all(&self, from: Duration, who: &str, what: &str) -> Vec<Seen> {
        let line = self.line();
        let since = line.seen.partition_point(|seen| seen.at < from);
        let wanted = |seen: &&Seen| seen.who == who && seen.what.contains(what);
        line.seen[since..].iter().filter(wanted).cloned().collect()
    }

    /// Waits for it; when it was.
    pub fn sees(&self, from: Duration, who: &str, what: &str, patience: Duration) -> Option<Duration> {
        let seen = until(patience, || self.first(from, who, what));
        if seen.is_none() {
            self.tell(&format!("{who} does not show `{what}` within {} s", patience.as_secs()));
        }
        seen
    }

    /// All lines that tell the story.
    pub fn story(&self) -> String {
        self.line().seen.iter().filter(|seen| seen.telling).map(|seen| format!("{seen}\n")).collect()
    }

    fn note(&self, who: &str, what: String, telling: bool) -> Duration {
        let mut line = self.line();
        let at = self.now();
        let seen = Seen { at, who: who.into(), what, telling };
        // The story goes on without its file.
        let _ = writeln!(line.file, "{seen}");
        if telling {
            println!("{seen}");
        }
        line.seen.push(seen);
        at
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a console's end is written as.
pub const POWER_IS_OFF: &str = "POWER IS OFF";

/// Looks again and again until there is something, or patience ends.
pub fn until<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        match look() {
            Some(found) => return Some(found),
            None if Instant::now() > end => return None,
            None => thread::sleep(LOOK_EVERY),
        }
    }
}

/// `[   18.568028] systemd[1]: Started` as `systemd: Started`; the guests' own clocks and process numbers are left out.
fn plain(line: &str) -> String {
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let line = line.trim();
    let said = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, said)| said);
    match said.split_once("]: ") {
        Some((head, said)) => {
            let program = head.split('[').next().unwrap_or(head);
            // A unit's name is enough.
            let said = if program == "systemd" { said.split(" - ").next().unwrap_or(said) } else { said };
            format!("{program}: {said}")
        }
        None => said.to_owned(),
    }
}

fn tells(what: &str) -> bool {
    if QUIET.iter().any(|words| what.contains(words)) {
        return false;
    }
    let (program, said) = what.split_once(": ").unwrap_or(("", what));
    match program {
        "systemd" => DEEDS.iter().any(|deed| said.starts_with(deed)) && UNITS.iter().any(|unit| said.contains(unit)),
        _ => TELLING.contains(&program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_line_loses_the_guests_clock_and_process_number() {
        assert_eq!(
            plain("[   18.568028] systemd[1]: Started fserver.service.\r\n"),
            "systemd: Started fserver.service."
        );
        assert_eq!(
            plain("[    1.0] systemd[1]: Stopped mpd.service - Music Player Daemon."),
            "systemd: Stopped mpd.service"
        );
        assert_eq!(plain("mounts: umount nfs4 musicpi:/ /share\r"), "mounts: umount nfs4 musicpi:/ /share");
        assert_eq!(plain("\u{1b}[31m"), "[31m");
        assert_eq!(plain("\r\n"), "");
    }

    #[test]
    fn what_tells_the_story_is_ours_or_about_ours() {
        assert!(tells("fclient: server up: run 3 of the server beats"));
        assert!(tells("systemd: Stopping nfs-server.service"));
        assert!(!tells("systemd: Reached target timers.target"));
        assert!(!tells("fclient: the server is not reached yet: no answer in 2.0 s"));
    }

    #[test]
    fn what_was_seen_is_found_by_moment_machine_and_words() {
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        let watch = Watch::begin(file.path()).expect("it can be written");
        let first = watch.note("attic", "fclient: server up".into(), false);
        let later = watch.note("attic", "fclient: server up".into(), false);
        assert_eq!(watch.first(Duration::ZERO, "attic", "server up"), Some(first));
        assert_eq!(watch.last(Duration::ZERO, "attic", "server up"), Some(later));
        assert_eq!(watch.first(later + Duration::from_nanos(1), "attic", "server up"), None);
        assert_eq!(watch.first(Duration::ZERO, "kitchen", "server up"), None);
    }
}
