//! The line of `/etc/fstab` (fstab(5)) for a directory. `mount` itself reads the file again and decides; we only need
//! to know that there is a line, and which server has to answer first.

use crate::table::{lexical, plain};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What is mounted.
    pub source: OsString,
    /// Where.
    pub target: PathBuf,
    /// The type.
    pub kind: String,
    /// The options, separated by commas.
    pub options: String,
}

impl Line {
    /// The value of an option, as in `port=2049`.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.split(',').find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
    }
}

/// The first line for a directory.
#[must_use]
pub fn find(text: &[u8], target: &Path) -> Option<Line> {
    let target = lexical(target);
    text.split(|&byte| byte == b'\n').filter_map(line).find(|line| line.target == target)
}

fn line(line: &[u8]) -> Option<Line> {
    let mut fields = line.split(|byte| b" \t\r".contains(byte)).filter(|field| !field.is_empty());
    let source = fields.next().filter(|field| !field.starts_with(b"#"))?;
    let (target, kind) = (fields.next()?, fields.next()?);
    let words = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    Some(Line {
        source: plain(source),
        target: lexical(Path::new(&plain(target))),
        kind: words(kind),
        options: fields.next().map(words).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_directory_is_found_however_it_is_written() {
        let text = b"# /my\\040share is ours\n\n  attic:/a\\040b\t/my\\040share/  nfs4\tnoauto,soft,port=2050 0 0\n\
            UUID=1 /other ext4\n/dev/sda1 none swap sw\nshort line\n";
        let line = find(text, Path::new("/my share")).unwrap();
        assert_eq!((line.source.to_str(), line.kind.as_str()), (Some("attic:/a b"), "nfs4"));
        assert_eq!((line.option("port"), line.option("por"), line.option("soft")), (Some("2050"), None, None));
        assert_eq!(find(text, Path::new("/other")).unwrap().options, "");
        assert_eq!(find(text, Path::new("/my")), None);
    }
}
