//! A directory with one variable a file, as daemontools' `envdir` 0.76 reads it: the `variables/` of a service.
//!
//! The first line counts, without blanks and tabs at its end; a NUL stands for a newline; an empty file takes the
//! variable away. What `envdir` would set, we set: a test runs both over random directories. Unlike `envdir`, no
//! file makes us wait or grow: FIFOs are not waited for, and a line is bounded by what `execve` takes.

use crate::settings::BadConfig;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The longest first line, in bytes: Linux refuses to start a program with a longer one (`MAX_ARG_STRLEN`).
pub const MAX_VALUE: usize = 128 * 1024;

/// The variables in `dir`, by file name. `None` means: take this variable away.
pub fn read(dir: &Path) -> Result<Vec<(OsString, Option<OsString>)>, BadConfig> {
    let mut names = names(dir).map_err(|why| bad_directory(dir, &why))?;
    names.sort();
    names.into_iter().map(|name| variable(dir, name)).collect()
}

fn names(dir: &Path) -> io::Result<Vec<OsString>> {
    let names = fs::read_dir(dir)?.map(|entry| entry.map(|e| e.file_name()));
    names.filter(|name| !matches!(name, Ok(name) if name.as_bytes().starts_with(b"."))).collect()
}

fn bad_directory(dir: &Path, why: &io::Error) -> BadConfig {
    let why = format!("cannot be read ({why}); make it a readable directory with one file for each variable");
    BadConfig { source: dir.display().to_string(), key: String::new(), why }
}

fn variable(dir: &Path, name: OsString) -> Result<(OsString, Option<OsString>), BadConfig> {
    let bytes = beginning(&dir.join(&name)).map_err(|why| BadConfig {
        source: dir.join(&name).display().to_string(),
        key: name.display().to_string(),
        why: remedy(&why),
    })?;
    Ok(split_name(&name, bytes))
}

/// The first line with its newline, or everything if there is none; `None` from a file without a byte.
fn beginning(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_VALUE as u64 + 1).read_to_end(&mut bytes)?;
    let line = bytes.iter().position(|&b| b == b'\n').unwrap_or(bytes.len());
    if line > MAX_VALUE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok((!bytes.is_empty()).then(|| value(&bytes[..line])))
}

fn value(line: &[u8]) -> Vec<u8> {
    let end = line.iter().rposition(|b| !b" \t".contains(b)).map_or(0, |last| last + 1);
    line[..end].iter().map(|&b| if b == 0 { b'\n' } else { b }).collect()
}

fn remedy(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::IsADirectory => "is a directory; move it out, only files belong here".into(),
        io::ErrorKind::NotFound => "is a link that leads nowhere; remove it or mend it".into(),
        io::ErrorKind::FileTooLarge => format!("is over {MAX_VALUE} bytes in its first line; shorten it"),
        _ => format!("cannot be read ({why}); make it a file that this user can read, or remove it"),
    }
}

/// `envdir` joins name and value by `=` and splits at the first one again, so a file `K=V` sets `K`.
fn split_name(name: &OsStr, value: Option<Vec<u8>>) -> (OsString, Option<OsString>) {
    let bytes = name.as_bytes();
    let joined = match (bytes.contains(&b'='), value) {
        (false, value) => return (name.to_owned(), value.map(OsString::from_vec)),
        (true, None) => bytes.to_vec(),
        (true, Some(value)) => [bytes, b"=", &value].concat(),
    };
    // As everywhere on Unix, a `=` at the very start belongs to the name.
    let split = joined[1..].iter().position(|&b| b == b'=').map_or(joined.len(), |at| at + 1);
    let value = joined.get(split + 1..).map(|value| OsString::from_vec(value.to_vec()));
    (OsString::from_vec(joined[..split].to_vec()), value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    fn one(bytes: &[u8]) -> Option<OsString> {
        read(directory(&[("X", bytes)]).path()).unwrap().remove(0).1
    }

    #[test]
    fn the_first_line_counts_without_its_trailing_blanks() {
        assert_eq!(one(b"192.168.1.9 \t \nrest\n"), Some("192.168.1.9".into()));
        assert_eq!(one(b" two  words"), Some(" two  words".into()));
        assert_eq!(one(b"dos\r\n"), Some("dos\r".into()));
        assert_eq!(one(b"a\0b\n"), Some("a\nb".into()));
    }

    #[test]
    fn an_empty_file_unsets_and_an_empty_line_sets_to_nothing() {
        assert_eq!(one(b""), None);
        assert_eq!(one(b"\n"), Some("".into()));
        assert_eq!(one(b" \t"), Some("".into()));
    }

    #[test]
    fn a_file_whose_name_holds_an_equals_sign_sets_what_stands_before_it() {
        let dir = directory(&[("A=x", b"y"), ("B=z", b""), (".hidden", b"h")]);
        let expected = [("A", Some("x=y")), ("B", Some("z"))].map(|(k, v)| (k.into(), v.map(OsString::from)));
        assert_eq!(read(dir.path()).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_a_variable_is_named_with_its_remedy() {
        let dir = directory(&[]);
        fs::create_dir(dir.path().join("old")).unwrap();
        let message = read(dir.path()).unwrap_err().to_string();
        assert!(message.contains("/old: is a directory; move it out"), "{message}");

        let dir = directory(&[("LONG", &[b'x'; MAX_VALUE + 1])]);
        assert!(read(dir.path()).unwrap_err().why.contains("shorten it"));
        let dir = directory(&[("FITS", &[b'x'; MAX_VALUE])]);
        assert_eq!(read(dir.path()).unwrap()[0].1.as_ref().unwrap().len(), MAX_VALUE);

        let dir = directory(&[]);
        symlink("/nowhere", dir.path().join("GONE")).unwrap();
        assert!(read(dir.path()).unwrap_err().why.contains("leads nowhere"));
        let message = read(&dir.path().join("missing")).unwrap_err().to_string();
        assert!(message.contains("/missing: cannot be read"), "{message}");
    }

    #[test]
    fn a_fifo_is_not_waited_for() {
        let dir = directory(&[]);
        nix::unistd::mkfifo(&dir.path().join("F"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [("F".into(), None)]);
    }
}
