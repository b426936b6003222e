//! `pistop logs NAME...`: what multilog has kept of services, with its stamps turned into local time; for units, journalctl.
//!
//! Older lines are taken from multilog's older files as far as they are needed. Followed, a file that multilog puts away
//! is read to its end before the next one is opened, so no line is lost.

use crate::drive::name::{Directory, UnitName};
use crate::drive::{Service, which};
use crate::local_time::Zone;
use crate::service::flags::Where;
use crate::words::out;
use clap::Args;
use runner::exit::Failure;
use runner::tai64n::Stamp;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// Between two looks while nothing comes.
const LOOK: Duration = Duration::from_millis(100);
/// How long it may take to find out which service it is.
const ANSWER: Duration = Duration::from_secs(10);

/// The flags of `logs`.
#[derive(Debug, Clone, Args)]
pub struct LogFlags {
    /// The services
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Where,
    /// Where logs are kept that are not in the service directory, in a folder of the service's name
    #[arg(long, value_name = "DIR", default_value = "/var/log/svc")]
    pub logdir: PathBuf,
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// So many of the last lines
    #[arg(short = 'n', long, value_name = "N", default_value = "50")]
    pub lines: usize,
}

/// Prints the logs, one service after the other; those of systemd together, at the end.
pub async fn run(flags: &LogFlags) -> Result<(), Failure> {
    let (mut folders, mut units) = (Vec::new(), Vec::new());
    for name in &flags.names {
        match which(name, &flags.place, ANSWER).await? {
            Service::Daemontools(directory) => folders.push((name, folder(&directory, flags))),
            Service::Systemd(_, unit, _) => units.push(unit),
        }
    }
    let folders = those_that_are_there(folders)?;
    if flags.follow && !folders.is_empty() && !units.is_empty() {
        let names = flags.names.join(", ");
        return Err(Failure::Permanent(format!("logs of both kinds cannot be followed at once; give one of {names}")));
    }
    if flags.follow && folders.len() > 1 {
        return follow_all(folders, flags);
    }
    for (name, folder) in &folders {
        if flags.names.len() > 1 {
            out(&format!("==> {name} <==\n"))?;
        }
        print(folder, flags)?;
    }
    if units.is_empty() { Ok(()) } else { Err(journal(&units, flags)) }
}

/// One that has logged nothing yet keeps nobody from reading the others.
fn those_that_are_there<T>(folders: Vec<(T, Result<PathBuf, Failure>)>) -> Result<Vec<(T, PathBuf)>, Failure> {
    let is_any = folders.iter().any(|(_, folder)| folder.is_ok());
    let mut there = Vec::new();
    for (name, folder) in folders {
        match folder {
            Ok(folder) => there.push((name, folder)),
            Err(why) if is_any => eprintln!("pistop: {why}"),
            Err(why) => return Err(why),
        }
    }
    Ok(there)
}

/// Their lines as they come; each begins with the program's name. It ends when one of them cannot be followed any longer.
fn follow_all<T>(folders: Vec<(T, PathBuf)>, flags: &LogFlags) -> Result<(), Failure> {
    let (end, ended) = mpsc::channel();
    for (_, folder) in folders {
        let (end, flags) = (end.clone(), flags.clone());
        // Whoever waits for an end has one already if nobody takes this one.
        std::thread::spawn(move || drop(end.send(print(&folder, &flags))));
    }
    ended.recv().unwrap_or(Ok(()))
}

/// Where multilog writes.
fn folder(service: &Directory, flags: &LogFlags) -> Result<PathBuf, Failure> {
    let name = service.path.file_name().unwrap_or_default();
    let all = [service.path.join("log/main"), flags.logdir.join(name)];
    all.iter().find(|folder| folder.join("current").is_file()).cloned().ok_or_else(|| {
        let [inside, outside] = all.map(|folder| folder.display().to_string());
        Failure::Permanent(format!("there is no log in {inside} or {outside}; say where with --logdir"))
    })
}

/// In our place comes journalctl, so this returns only if it cannot.
fn journal(units: &[UnitName], flags: &LogFlags) -> Failure {
    let mut command = Command::new("journalctl");
    command.args(units.iter().flat_map(|UnitName(unit)| ["--unit", unit]));
    command.args(["--lines", &flags.lines.to_string()]);
    if flags.follow {
        command.arg("--follow");
    }
    let why = command.exec();
    Failure::Temporary(format!("journalctl cannot be run: {why}; is systemd installed?"))
}

fn print(folder: &Path, flags: &LogFlags) -> Result<(), Failure> {
    let refused = |why: io::Error| refused(folder, &why);
    let zone = Zone::local();
    let mut current = Current::open(folder).map_err(refused)?;
    let mut text = before(folder, flags.lines).map_err(refused)?;
    current.read_to(&mut text).map_err(refused)?;
    let start = last_lines(&text, flags.lines);
    let open = tell(&zone, &text[start..])?;
    match flags.follow {
        true => follow(folder, &zone, current, open),
        false => tell_rest(&zone, &open),
    }
}

/// Prints what comes. `open` is the line that is still being written.
fn follow(folder: &Path, zone: &Zone, mut current: Current, mut open: Vec<u8>) -> Result<(), Failure> {
    let refused = |why: io::Error| refused(folder, &why);
    loop {
        let known = open.len();
        let put_away = current.is_put_away();
        current.read_to(&mut open).map_err(refused)?;
        if put_away {
            let next = Current::open(folder).map_err(refused)?;
            open.append(&mut between(folder, &current, &next).map_err(refused)?);
            current = next;
        } else if open.len() == known {
            std::thread::sleep(LOOK);
        }
        open = tell(zone, &open)?;
    }
}

fn refused(folder: &Path, why: &io::Error) -> Failure {
    match why.kind() {
        ErrorKind::PermissionDenied => Failure::Permanent(format!("{}: {why}; become root", folder.display())),
        _ => Failure::Temporary(format!("{}: {why}; see that multilog runs", folder.display())),
    }
}

/// The file that multilog writes to.
struct Current {
    path: PathBuf,
    file: File,
}

impl Current {
    /// multilog renames it and makes a new one, so for a moment there is none.
    fn open(folder: &Path) -> io::Result<Current> {
        let path = folder.join("current");
        for _ in 0..50 {
            match File::open(&path) {
                Err(why) if why.kind() == ErrorKind::NotFound => std::thread::sleep(LOOK),
                file => return file.map(|file| Current { path, file }),
            }
        }
        File::open(&path).map(|file| Current { path, file })
    }

    fn read_to(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        self.file.read_to_end(text).map(drop)
    }

    fn is_put_away(&self) -> bool {
        fs::metadata(&self.path).ok().map(|about| about.ino()) != self.number()
    }

    /// A file keeps its number when it gets another name.
    fn number(&self) -> Option<u64> {
        self.file.metadata().ok().map(|about| about.ino())
    }
}

/// What multilog wrote and put away after the one file and before the other: much may come between two looks.
fn between(folder: &Path, last: &Current, next: &Current) -> io::Result<Vec<u8>> {
    let number = |name: &String| fs::metadata(folder.join(name)).ok().map(|about| about.ino());
    let older = older(folder)?;
    let behind = older.iter().position(|name| number(name) == last.number()).map_or(older.len(), |at| at + 1);
    let names = older[behind..].iter().take_while(|name| number(name) != next.number());
    Ok(names.flat_map(|name| fs::read(folder.join(name)).unwrap_or_default()).collect())
}

/// The files that multilog has put away; their names are stamps, so they sort by age.
fn older(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut older: Vec<String> = names.filter(|name| name.starts_with('@')).collect();
    older.sort();
    Ok(older)
}

/// As much of the older files as holds so many lines.
fn before(folder: &Path, lines: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for name in older(folder)?.iter().rev() {
        if text.iter().filter(|&&byte| byte == b'\n').count() >= lines {
            break;
        }
        // multilog removes its oldest file whenever it likes.
        let mut earlier = fs::read(folder.join(name)).unwrap_or_default();
        earlier.append(&mut text);
        text = earlier;
    }
    Ok(text)
}

/// Where the last so many lines begin.
fn last_lines(text: &[u8], lines: usize) -> usize {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let starts = body.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    match lines {
        0 => text.len(),
        lines => starts.chain([0]).take(lines).last().unwrap_or(0),
    }
}

/// Prints whole lines and gives back the one that is still being written.
fn tell(zone: &Zone, text: &[u8]) -> Result<Vec<u8>, Failure> {
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let lines: String =
        String::from_utf8_lossy(&text[..end]).split_inclusive('\n').map(|line| local(zone, line)).collect();
    out(&lines)?;
    Ok(text[end..].to_vec())
}

fn tell_rest(zone: &Zone, text: &[u8]) -> Result<(), Failure> {
    match text {
        [] => Ok(()),
        text => out(&(local(zone, &String::from_utf8_lossy(text)) + "\n")),
    }
}

fn local(zone: &Zone, line: &str) -> String {
    match Stamp::split(line) {
        Some((stamp, rest)) => zone.show(stamp) + rest,
        None => line.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_counted_from_the_end() {
        let rest = |text: &'static str, lines| &text[last_lines(text.as_bytes(), lines)..];
        assert_eq!(rest("a\nb\nc\n", 2), "b\nc\n");
        assert_eq!(rest("a\nb\nc", 2), "b\nc");
        assert_eq!(rest("a\nb\n", 9), "a\nb\n");
        assert_eq!(rest("a\nb\n", 0), "");
        assert_eq!(rest("", 3), "");
    }

    #[test]
    fn one_that_has_logged_nothing_keeps_nobody_from_the_others() {
        let none = || Err(Failure::Permanent("there is no log".into()));
        let there = those_that_are_there(vec![("camera", Ok("log".into())), ("upload", none())]);
        assert_eq!(there.unwrap(), [("camera", "log".into())]);
        assert!(those_that_are_there(vec![("camera", none())]).is_err());
    }

    #[test]
    fn older_files_are_read_as_far_as_needed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("@4000000001.s", "1\n2\n"), ("@4000000002.s", "3\n4\n"), ("state", "x\n")] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(before(dir.path(), 2).unwrap(), b"3\n4\n");
        assert_eq!(before(dir.path(), 3).unwrap(), b"1\n2\n3\n4\n");
        assert_eq!(before(dir.path(), 0).unwrap(), b"");
    }
}
