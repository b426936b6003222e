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
    /// Reads at most so many bytes, fewer at the end.
    fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>>;
    /// Ends the file there.
    fn cut(&self, length: u64) -> io::Result<()>;
    /// Returns when its bytes are on the disk.
    fn sync(&self) -> io::Result<()>;
}

/// A block of a disk that cannot be read costs what stood in it, not the file.
const BLOCK: usize = 4096;

/// Reads from `offset` to the end; what the disk does not give any more is zeros.
pub(crate) fn read_all(medium: &dyn Medium, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    if let Ok(bytes) = medium.read_at(0, length) {
        return Ok(bytes);
    }
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let most = BLOCK.min(length - bytes.len());
        match medium.read_at(bytes.len() as u64, most) {
            Ok(block) if block.is_empty() => break,
            Ok(block) => bytes.extend(block),
            Err(_) => bytes.resize(bytes.len() + most, 0),
        }
    }
    Ok(bytes)
}
