//! A file of `NAME=VALUE` lines, as those in `/etc/default` that systemd and shells read. Lines that are empty or begin with `#` are
//! comments; a value may stand in quotes; ` #` behind a value without quotes begins a comment too, as in a shell. Whoever changes a value leaves
//! everything else as its owner wrote it.

use crate::settings::BadConfig;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The permissions of a file that was not there before: anybody may read it, as others in `/etc/default`.
const MODE: u32 = 0o644;

/// The variables in a file, in its order.
///
/// # Errors
/// It cannot be read, or a line is none of these; the message names the line.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, BadConfig> {
    let bad = |why| BadConfig { source: path.display().to_string(), key: String::new(), why };
    let text = fs::read_to_string(path).map_err(|why| bad(format!("cannot be read ({why}); make it readable text")))?;
    parse(&text).map_err(|line| bad(format!("line {line} is no NAME=VALUE; write it so, or put # before it")))
}

/// The variables in a text; the number of the first line that is none.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let assignments = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    assignments.map(|(number, line)| assignment(line).ok_or(number)).collect()
}

/// Gives a variable a value, which is one plain word. Each line that sets it already is changed, and otherwise one is added; all other lines,
/// comments and blanks stay, and so do owner and permissions. The file is replaced whole; one that is not there is made.
///
/// # Errors
/// The file cannot be written, or something in it is no assignment, for which its readers would refuse all of it.
pub fn set(path: &Path, name: &str, value: &str) -> Result<(), BadConfig> {
    let known = match path.exists() {
        true => read(path).and_then(|_| fs::read_to_string(path).map_err(|why| unwritten(path, &why)))?,
        false => String::new(),
    };
    replace(path, &with(&known, name, value)).map_err(|why| unwritten(path, &why))
}

fn unwritten(path: &Path, why: &io::Error) -> BadConfig {
    let why = format!("cannot be written ({why}); become root, or make room on its disk");
    BadConfig { source: path.display().to_string(), key: String::new(), why }
}

/// A text in which a variable has a value.
pub fn with(text: &str, name: &str, value: &str) -> String {
    let mut found = false;
    let changed = |line: &str| match around_value(line, name) {
        Some((before, behind)) => {
            found = true;
            format!("{before}{value}{behind}")
        }
        None => line.to_owned(),
    };
    let mut text: String = text.split_inclusive('\n').map(changed).collect();
    if !found {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        text.push_str(&format!("{end}{name}={value}\n"));
    }
    text
}

/// What stands before and behind the value in a line that sets this variable.
fn around_value<'a>(line: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let (key, rest) = line.split_once('=')?;
    let key = key.trim_start();
    if key.strip_prefix("export ").unwrap_or(key).trim() != name {
        return None;
    }
    let value = rest.trim_start_matches([' ', '\t']);
    let behind = &value[written(value.trim_end())..];
    // Nobody reads what stands behind a quote; without the quotes it would become part of the value.
    let is_comment = behind.starts_with([' ', '\t']) && behind.trim_start().starts_with('#');
    let behind = if is_comment { behind } else { &behind[behind.trim_end().len()..] };
    Some((&line[..line.len() - value.len()], behind))
}

/// How long the value is as it is written, with its quotes.
fn written(value: &str) -> usize {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside.len() + 2;
        }
    }
    comment(value).unwrap_or(value.len())
}

/// Where a comment begins behind a value without quotes, with the blank before it.
fn comment(value: &str) -> Option<usize> {
    let begins = |&(at, _): &(usize, char)| value[at..].trim_start().starts_with('#');
    value.char_indices().filter(|(_, c)| [' ', '\t'].contains(c)).find(begins).map(|(at, _)| at)
}

/// Puts a text in place of a file's content; a link stays one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let aside = PathBuf::from(format!("{}.new", path.display()));
    let written = fs::metadata(&path).ok();
    write_aside(&aside, text, written.as_ref())
        .and_then(|()| fs::rename(&aside, &path))
        .inspect_err(|_| drop(fs::remove_file(&aside)))
}

fn write_aside(aside: &Path, text: &str, like: Option<&Metadata>) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(MODE).open(aside)?;
    if let Some(like) = like {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
            chown(aside, Some(like.uid()), Some(like.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(like.mode() & 0o7777))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn assignment(line: &str) -> Option<(String, String)> {
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(letter)).then(|| (name.to_owned(), plain(value.trim())))
}

fn plain(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)) {
            return inside.to_owned();
        }
    }
    value[..comment(value).unwrap_or(value.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    #[test]
    fn comments_quotes_and_blanks_are_those_of_a_shell() {
        let text =
            "# per camera\n\nSEGMENT_SEC=20\n FPS = 15  # a second\nURL=\"http://cam/#a b\"\nexport X='y # z'\nE=\n";
        let expected = [("SEGMENT_SEC", "20"), ("FPS", "15"), ("URL", "http://cam/#a b"), ("X", "y # z"), ("E", "")];
        assert_eq!(pairs(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(pairs("A=http://cam/#x y")[0].1, "http://cam/#x y");
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        assert_eq!(parse("A=1\n\nsegment twenty\n"), Err(3));
        assert_eq!(parse("A B=1"), Err(1));
        assert_eq!(parse("=1"), Err(1));
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("seg-cam1"), "FPS\n").unwrap();
        let message = read(&dir.path().join("seg-cam1")).unwrap_err().to_string();
        assert!(message.contains("seg-cam1: line 1 is no NAME=VALUE"), "{message}");
    }

    #[test]
    fn a_value_is_changed_and_nothing_else() {
        let text = "# Per-camera overrides for seg-cam1\n\nFPS=15\n#SEGMENT_SEC=5\n export SEGMENT_SEC = \"20\"  # twenty\nBITRATE=1000";
        let expected = text.replace("\"20\"", "180");
        assert_eq!(with(text, "SEGMENT_SEC", "180"), expected);
        assert_eq!(with(&expected, "SEGMENT_SEC", "180"), expected, "nothing is left to be done");
        assert_eq!(with("A=1 # x\r\nA=2\r\n", "A", "3"), "A=3 # x\r\nA=3\r\n");
        assert_eq!(with("A=\n", "A", "3"), "A=3\n");
        assert_eq!(with("BA=1\nA B=1", "A", "3"), "BA=1\nA B=1\nA=3\n");
        assert_eq!(with("", "A", "3"), "A=3\n");
        for text in ["A=1", "A='x # y' z", "A=\"1\"#2", "A=x #y", "A = a b  # c", "A=#x", "A=x#y"] {
            assert_eq!(pairs(&with(text, "A", "3")), [("A".to_owned(), "3".to_owned())], "{text}");
        }
    }

    #[test]
    fn the_file_keeps_its_permissions_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("seg-cam1"), dir.path().join("link"));
        set(&file, "A", "1").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777 & !MODE, 0);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        set(&link, "A", "2").unwrap();
        assert_eq!((fs::read_to_string(&file).unwrap(), fs::read_link(&link).unwrap()), ("A=2\n".into(), file.clone()));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left beside it");
    }

    #[test]
    fn what_nobody_can_read_is_not_written_either() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("seg-cam1");
        fs::write(&file, "FPS\n").unwrap();
        assert!(set(&file, "A", "1").unwrap_err().to_string().contains("line 1 is no NAME=VALUE"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "FPS\n");
        let told = set(&dir.path().join("no/seg-cam1"), "A", "1").unwrap_err().to_string();
        assert!(told.contains("no/seg-cam1: cannot be written") && told.contains("become root"), "{told}");
    }
}
