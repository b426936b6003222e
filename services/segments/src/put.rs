//! A file changes whole: the new one is written aside and takes the place of the old one.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Puts `content` there by way of `aside`. Where there is no room, nothing of it stays.
///
/// # Errors
/// There is no room, or the folder cannot be written to.
pub fn put(path: &Path, aside: &Path, content: &[u8]) -> io::Result<()> {
    let put = fs::write(aside, content).and_then(|()| fs::rename(aside, path));
    put.inspect_err(|_| drop(fs::remove_file(aside)))
}

/// The same for a file whose readers bear with half of one. On a full disk it is written over the old one, whose room is its own.
///
/// # Errors
/// There is no room, and no old one; or the folder cannot be written to.
pub fn put_or_write_over(path: &Path, aside: &Path, content: &[u8]) -> io::Result<()> {
    match put(path, aside, content) {
        Err(why) if why.kind() == io::ErrorKind::StorageFull => write_over(path, content).map_err(|_| why),
        put => put,
    }
}

fn write_over(path: &Path, content: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(content, 0)?;
    file.set_len(content.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn on_a_full_disk_what_was_there_makes_room_for_what_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("label"), dir.path().join("aside"));
        let full = || symlink("/dev/full", &aside).unwrap();
        full();
        let why = put_or_write_over(&path, &aside, b"new").unwrap_err();
        assert_eq!((why.kind(), fs::read_dir(&dir).unwrap().count()), (io::ErrorKind::StorageFull, 0));
        for before in ["something longer", ""] {
            fs::write(&path, before).unwrap();
            full();
            assert!(put(&path, &aside, b"new").is_err() && fs::read(&path).unwrap() == before.as_bytes());
            full();
            put_or_write_over(&path, &aside, b"new").unwrap();
            assert_eq!((fs::read(&path).unwrap(), aside.is_symlink()), (b"new".to_vec(), false));
        }
    }
}
