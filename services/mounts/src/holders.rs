//! Who keeps a mount busy, as far as `/proc` tells.
//!
//! What always holds: what lies behind a link in `/proc` is read and never followed, so no dead server is asked. What a
//! process has mapped may still wait for a lock that this process holds: the whole search is an errand, easy things
//! first, and what it had found when its time was over counts.

use crate::child::End;
use crate::errand::Errand;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A search takes no longer.
const SEARCH: Duration = Duration::from_secs(2);
/// More holders than this nobody reads.
const MOST_NAMED: usize = 5;

/// Who keeps it busy, in words for people.
#[must_use]
pub fn named(target: &Path, limit: Duration) -> String {
    let (End::Done(found) | End::Silent(found)) = Errand::FindHolders(target.into()).run(limit.min(SEARCH)) else {
        return "who holds it could not be found out".into();
    };
    sentence(&found.lines().collect::<Vec<_>>())
}

fn sentence(found: &[&str]) -> String {
    let more = match found.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    match found {
        [] => {
            "no process that we may see holds it; does one wait for its server, is it exported, or used as swap?".into()
        }
        found => format!("held by {}{more}", found[..found.len().min(MOST_NAMED)].join(", ")),
    }
}

/// Writes each holder as soon as it is found. Only for the errand: it may hang.
///
/// # Errors
/// There is no `/proc`, or nobody to tell.
pub fn tell(target: &Path, to: &mut impl Write) -> io::Result<()> {
    let mut told = BTreeSet::from([std::process::id()]);
    let processes: Vec<u32> = std::fs::read_dir("/proc")?.filter_map(|entry| process(&entry.ok()?.path())).collect();
    for reason in [by_link, by_map] {
        for &pid in &processes {
            if let Some(what) = reason(pid, target).filter(|_| told.insert(pid)) {
                writeln!(to, "{} (process {pid}, {what})", name(pid))?;
            }
        }
    }
    Ok(())
}

fn process(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

fn name(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_else(|_| "?".into());
    // A process may give itself any name.
    name.trim().chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn by_link(pid: u32, target: &Path) -> Option<String> {
    let links = [("cwd", "its working directory"), ("root", "its root"), ("exe", "its program")];
    let held = links.iter().find(|(link, _)| leads_into(Path::new(&format!("/proc/{pid}/{link}")), target).is_some());
    held.map(|(_, what)| (*what).to_owned()).or_else(|| open_file(pid, target))
}

fn open_file(pid: u32, target: &Path) -> Option<String> {
    let mut files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let held = files.find_map(|file| leads_into(&file.ok()?.path(), target))?;
    Some(format!("open: {}", held.display().to_string().escape_debug()))
}

fn leads_into(link: &Path, target: &Path) -> Option<PathBuf> {
    std::fs::read_link(link).ok().filter(|path| path.starts_with(target))
}

fn by_map(pid: u32, target: &Path) -> Option<String> {
    let maps = std::fs::read(format!("/proc/{pid}/maps")).ok()?;
    maps.split(|&byte| byte == b'\n').any(|line| maps_into(line, target)).then(|| "a mapped file".into())
}

/// `start-end rwxp offset device inode   /path`
fn maps_into(line: &[u8], target: &Path) -> bool {
    let path = line.iter().position(|&byte| byte == b'/').map(|start| &line[start..]);
    path.is_some_and(|path| Path::new(std::ffi::OsStr::from_bytes(path)).starts_with(target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_sentence_names_a_few() {
        assert!(sentence(&[]).starts_with("no process"));
        assert_eq!(sentence(&["a", "b"]), "held by a, b");
        assert_eq!(sentence(&["a"; 7]), "held by a, a, a, a, a, and 2 more");
    }

    #[test]
    fn working_directories_and_open_files_hold() {
        let scratch = tempfile::tempdir().unwrap();
        let target = scratch.path().canonicalize().unwrap();
        let file = std::fs::File::create(target.join("a b")).unwrap();
        let sleep = |command: &mut Command| command.arg("1000").spawn().unwrap();
        let mut inside = sleep(Command::new("sleep").current_dir(&target));
        let mut open = sleep(Command::new("sleep").stdin(Stdio::from(file)).current_dir("/"));
        let mut words = Vec::new();
        tell(&target, &mut words).unwrap();
        for child in [&mut inside, &mut open] {
            child.kill().and_then(|()| child.wait()).unwrap();
        }
        let words = String::from_utf8(words).unwrap();
        assert!(words.contains(&format!("sleep (process {}, its working directory)\n", inside.id())), "{words}");
        assert!(words.contains(&format!("sleep (process {}, open: {}/a b)\n", open.id(), target.display())), "{words}");
        assert_eq!(words.lines().count(), 2, "{words}");
    }

    #[test]
    fn a_map_is_read_to_its_path() {
        let line = b"7f00-7f01 r--p 00000000 00:21 77      /my share/lib.so";
        assert!(maps_into(line, Path::new("/my share")) && !maps_into(line, Path::new("/my")));
        assert!(!maps_into(b"7f00-7f01 rw-p 00000000 00:00 0 ", Path::new("/")));
    }
}
