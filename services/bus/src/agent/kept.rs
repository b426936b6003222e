//! Small files beside the journal. One is replaced whole or not at all.

use crate::journal::Place;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// So much of a file is read; sixteen thousand names with a number each take less.
const MOST: u64 = 2 * 1024 * 1024;

/// Where a file of this name is, unless the journal is in memory.
pub(super) fn beside(place: &Place, name: &str) -> Option<PathBuf> {
    match place {
        Place::Directory(path) => Some(path.join(name)),
        Place::Memory => None,
    }
}

/// The text of a file; nothing if it is not there.
///
/// # Errors
/// It cannot be read, or is no text of ours.
pub(super) fn read(place: &Path) -> io::Result<Option<String>> {
    match fs::metadata(place) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Ok(file) if file.len() > MOST => Err(io::ErrorKind::FileTooLarge.into()),
        _ => fs::read_to_string(place).map(Some),
    }
}

/// Puts a text in its place.
///
/// # Errors
/// The disk refused, or it is more than would be read again; then the file is as it was.
pub(super) fn write(place: &Path, text: &str) -> io::Result<()> {
    put(place, text, true)
}

/// The same without waiting for the disk: what outlives this program, and not always the power.
///
/// # Errors
/// As above.
pub(super) fn jot(place: &Path, text: &str) -> io::Result<()> {
    put(place, text, false)
}

fn put(place: &Path, text: &str, durable: bool) -> io::Result<()> {
    if text.len() as u64 > MOST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let aside = place.with_extension("new");
    let mut file = File::create(&aside)?;
    file.write_all(text.as_bytes())?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&aside, place)
}
