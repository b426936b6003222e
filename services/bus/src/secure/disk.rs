//! Small files that decide who is trusted: read whole and bounded, replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The largest file read, in bytes: ten thousand peers.
pub const MAX_FILE: u64 = 1024 * 1024;

/// What is the matter with a file, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", place.display())]
pub struct Fault {
    /// The file.
    pub place: PathBuf,
    /// What is the matter, and the remedy.
    pub why: String,
}

impl Fault {
    pub(super) fn new(place: &Path, why: impl Into<String>) -> Fault {
        Fault { place: place.into(), why: why.into() }
    }

    pub(super) fn io(place: &Path, why: &io::Error) -> Fault {
        Fault::new(place, format!("{why}; look after that disk, or make it a file that this user may use"))
    }
}

/// An open file and its metadata, or `None` if there is none.
pub fn open(place: &Path) -> Result<Option<(File, fs::Metadata)>, Fault> {
    let opened = File::open(place).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    match opened {
        Ok((_, metadata)) if !metadata.is_file() => Err(Fault::new(place, "is no file; move it away")),
        Ok(opened) => Ok(Some(opened)),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(Fault::io(place, &why)),
    }
}

/// The text of a file.
pub fn text(place: &Path, file: File) -> Result<String, Fault> {
    let mut text = String::new();
    match file.take(MAX_FILE + 1).read_to_string(&mut text) {
        Err(why) if why.kind() == io::ErrorKind::InvalidData => Err(Fault::new(place, "holds bytes that are no text")),
        Err(why) => Err(Fault::io(place, &why)),
        Ok(_) if text.len() as u64 > MAX_FILE => {
            Err(Fault::new(place, format!("is over {MAX_FILE} bytes; shorten it")))
        }
        Ok(_) => Ok(text),
    }
}

/// Tells the files aside of one process apart.
static ASIDE: AtomicU64 = AtomicU64::new(0);

/// A file beside `place` with this content and mode, on the disk, but under another name.
fn aside(place: &Path, bytes: &[u8], mode: u32) -> io::Result<PathBuf> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let number = ASIDE.fetch_add(1, Ordering::Relaxed);
    let aside = place.with_file_name(format!(".{name}.{}-{number}.new", std::process::id()));
    if let Err(why) = fs::remove_file(&aside)
        && why.kind() != io::ErrorKind::NotFound
    {
        return Err(why);
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(aside)
}

fn sync_directory(place: &Path) -> io::Result<()> {
    File::open(place.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Puts `bytes` in place of a file's content; when it returns, they are on the disk. The file stays its owner's.
pub fn replace(place: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let replaced = aside(place, bytes, mode).and_then(|aside| {
        if let Ok(old) = fs::metadata(place) {
            // Refused to all but root, whose edits are the ones that would take the file from its owner.
            let _ = chown(&aside, Some(old.uid()), Some(old.gid()));
        }
        fs::rename(&aside, place).inspect_err(|_| drop_file(&aside))
    });
    replaced.and_then(|()| sync_directory(place)).map_err(|why| Fault::io(place, &why))
}

/// Makes a file that is not there yet, whole; `false` if another was faster, whose file stands.
pub fn create(place: &Path, bytes: &[u8], mode: u32) -> Result<bool, Fault> {
    let linked = aside(place, bytes, mode).and_then(|aside| {
        let linked = fs::hard_link(&aside, place);
        drop_file(&aside);
        linked
    });
    match linked.and_then(|()| sync_directory(place)) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(why) => Err(Fault::io(place, &why)),
    }
}

/// What is left over would only be untidy.
fn drop_file(place: &Path) {
    let _ = fs::remove_file(place);
}
