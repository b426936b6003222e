//! A segment appears whole: its label is there before it. Dying in between leaves a `.part` with or without a label, which
//! the recorder's next run finds.

use crate::put::{put, put_or_write_over};
use crate::{Held, Label, Name};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Ends a segment: its `.ts.part` becomes a `.ts` with a label.
///
/// # Errors
/// There is no `.ts.part`, or no room for the label; then the `.part` stands as it was.
pub fn close(folder: &Path, name: &Name, label: &Label) -> io::Result<PathBuf> {
    // Nobody reads its label before there is a `.ts`, and one that is nearly right was there since it was begun.
    put_or_write_over(&folder.join(name.label()), &aside(folder, name), &label.encode()?)?;
    let path = folder.join(name.segment());
    fs::rename(folder.join(name.part()), &path)?;
    Ok(path)
}

/// Gives a finished segment the start and the label that it should have had; says whether it did. One that somebody holds,
/// or that is gone, stays as it is.
///
/// # Errors
/// There is no room for the new label, or the folder cannot be written to.
pub fn rename(folder: &Path, old: &Name, label: &Label) -> io::Result<Option<Name>> {
    let Some(_held) = Held::take(&folder.join(old.segment()))? else { return Ok(None) };
    let new = old.starting(label.start_unix_ms);
    put(&folder.join(new.label()), &aside(folder, &new), &label.encode()?)?;
    if new != *old {
        fs::rename(folder.join(old.segment()), folder.join(new.segment()))?;
        fs::remove_file(folder.join(old.label()))?;
    }
    Ok(Some(new))
}

fn aside(folder: &Path, name: &Name) -> PathBuf {
    folder.join(format!(".{name}.json.new"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::tests::label;
    use crate::{Clock, read};
    use std::os::unix::fs::symlink;

    const NAME: Name = Name::new(1000, 1, 1);

    #[test]
    fn what_was_a_part_is_a_segment_with_a_label() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME.part()), b"hello").unwrap();
        let path = close(dir.path(), &NAME, &label(&NAME, true)).unwrap();
        assert_eq!(fs::read(path).unwrap(), b"hello");
        let contents = read(dir.path()).unwrap();
        assert!(contents.closed.len() == 1 && contents.closed[0].label.marked && contents.parts.is_empty());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_segment_is_closed_on_a_full_disk_if_it_has_a_label_already() {
        let dir = tempfile::tempdir().unwrap();
        let full = || symlink("/dev/full", aside(dir.path(), &NAME)).unwrap();
        fs::write(dir.path().join(NAME.part()), b"hello").unwrap();
        full();
        assert_eq!(close(dir.path(), &NAME, &label(&NAME, true)).unwrap_err().kind(), io::ErrorKind::StorageFull);
        fs::write(dir.path().join(NAME.label()), b"{}").unwrap();
        full();
        close(dir.path(), &NAME, &label(&NAME, true)).unwrap();
        assert_eq!(read(dir.path()).unwrap().closed[0].label, label(&NAME, true));
    }

    #[test]
    fn without_a_part_nothing_appears() {
        let dir = tempfile::tempdir().unwrap();
        assert!(close(dir.path(), &NAME, &label(&NAME, false)).is_err());
        assert!(read(dir.path()).unwrap().closed.is_empty());
        assert!(close(&dir.path().join("no"), &NAME, &label(&NAME, false)).is_err());
    }

    #[test]
    fn a_start_that_was_wrong_is_mended_unless_somebody_sends_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME.part()), b"hello").unwrap();
        let path = close(dir.path(), &NAME, &Label { clock: Clock::Unset, ..label(&NAME, false) }).unwrap();
        let better = label(&NAME.starting(1_795_658_040_123), false);
        let held = Held::take(&path).unwrap();
        assert_eq!(rename(dir.path(), &NAME, &better).unwrap(), None);
        drop(held);
        let new = rename(dir.path(), &NAME, &better).unwrap().unwrap();
        assert_eq!((new.boot(), new.sequence()), (1, 1));
        let contents = read(dir.path()).unwrap();
        assert_eq!(contents.closed.len(), 1);
        assert_eq!((contents.closed[0].name, contents.closed[0].label.clock), (new, Clock::Set));
        assert!(contents.stray_labels.is_empty());
        assert_eq!(rename(dir.path(), &NAME, &better).unwrap(), None, "it is gone");
        assert_eq!(rename(dir.path(), &new, &better).unwrap(), Some(new), "the same name is fine");
        assert_eq!(read(dir.path()).unwrap().closed.len(), 1);
    }
}
