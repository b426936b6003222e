//! What a file of a service is: its bytes, and whether it is a plain file, a program or a link. A service directory is
//! compared file by file in these terms.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The largest file that is compared or saved; a service directory holds settings and short programs.
const LARGEST: u64 = 1024 * 1024;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Read by others.
    Plain,
    /// Has its run bit.
    Program,
    /// A symbolic link; its text is where it leads.
    Link,
}

/// What we write: always text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The file's text, or where the link leads.
    pub text: String,
    /// Its kind.
    pub kind: Kind,
}

impl Content {
    /// A plain file.
    pub fn plain(text: impl Into<String>) -> Content {
        Content { text: text.into(), kind: Kind::Plain }
    }
}

/// What is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A file or link.
    File(Vec<u8>, Kind),
    /// A directory, a FIFO, or a file too large to be one of ours.
    Other,
}

impl Found {
    /// Whether it is this, byte by byte.
    pub fn is(&self, content: &Content) -> bool {
        matches!(self, Found::File(bytes, kind) if bytes == content.text.as_bytes() && *kind == content.kind)
    }

    /// What stands at a path, or `None`.
    pub fn at(path: &Path) -> io::Result<Option<Found>> {
        let about = match fs::symlink_metadata(path) {
            Err(why) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&why.kind()) => {
                return Ok(None);
            }
            about => about?,
        };
        if about.is_symlink() {
            let target = fs::read_link(path)?;
            return Ok(Some(Found::File(target.as_os_str().as_bytes().to_vec(), Kind::Link)));
        }
        if !about.is_file() || about.len() > LARGEST {
            return Ok(Some(Found::Other));
        }
        let kind = if about.permissions().mode() & 0o111 == 0 { Kind::Plain } else { Kind::Program };
        Ok(Some(Found::File(fs::read(path)?, kind)))
    }
}
