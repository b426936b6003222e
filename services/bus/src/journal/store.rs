//! The few things that the journal wants of a disk. So the same journal runs on a directory, in memory, and in tests on
//! disks that fill up, refuse and forget.

mod disk;
mod ram;
#[cfg(test)]
pub(crate) mod worn;

pub(crate) use disk::Disk;
pub(crate) use ram::Ram;

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Files in one directory.
pub(crate) trait Store: Debug + Send + Sync {
    /// Where a file is, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// All names.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Begins a file, empty, whether there was one or not.
    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>>;
    /// A file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>>;
    /// Takes the place of what has the name `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a file away.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when all names are on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// One file.
pub(crate) trait Medium: Debug + Send + Sync {
    /// Writes all of `bytes`, or says that it could not; then some of them may stand there.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Its length.
    fn length(&self) -> io::Result<u64>;
    /// Reads at most so many bytes, fewer at the end.
    fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>>;
    /// Ends the file there.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Returns when its bytes are on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// The name of a file that is being written.
pub(crate) const ASIDE: &str = "new";

/// Puts a file in place of what has that name: whole and on the disk before it gets the name. The name is on the disk
/// after the next [`Store::sync`].
pub(crate) fn place(store: &dyn Store, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn Medium>> {
    let written = write_aside(store, bytes).and_then(|medium| store.rename(ASIDE, name).map(|()| medium));
    if written.is_err() {
        // It would only take room; the next one begins it anew.
        let _ = store.remove(ASIDE);
    }
    written
}

fn write_aside(store: &dyn Store, bytes: &[u8]) -> io::Result<Arc<dyn Medium>> {
    let medium = store.create(ASIDE)?;
    medium.write_at(0, bytes)?;
    medium.sync()?;
    Ok(medium)
}

/// A block of a disk that cannot be read costs what stood in it, not the file.
const BLOCK: usize = 4096;

/// What was read, with zeros for what the disk does not give any more.
pub(crate) struct Read {
    pub(crate) bytes: Vec<u8>,
    /// Whether the disk gave all of it.
    pub(crate) whole: bool,
}

/// Reads so many bytes, or to the end, past blocks that cannot be read.
///
/// # Errors
/// The disk gave nothing at all.
pub(crate) fn read(medium: &dyn Medium, offset: u64, most: u64) -> io::Result<Read> {
    let most = usize::try_from(most).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let why = match medium.read_at(offset, most) {
        Ok(bytes) => return Ok(Read { bytes, whole: true }),
        Err(why) => why,
    };
    let (mut bytes, mut given) = (Vec::new(), false);
    while bytes.len() < most {
        let size = BLOCK.min(most - bytes.len());
        match medium.read_at(offset + bytes.len() as u64, size) {
            Ok(block) if block.is_empty() => break,
            Ok(block) => {
                given = true;
                bytes.extend(block);
            }
            Err(_) => bytes.resize(bytes.len() + size, 0),
        }
    }
    if given { Ok(Read { bytes, whole: false }) } else { Err(why) }
}
