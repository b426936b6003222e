//! Who holds a segment. The uploader holds what it sends, and whoever deletes or renames one holds it meanwhile, by flock(2) on
//! the `.ts`: the lock goes with the process, however that ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A segment that nobody else may delete or rename. It ends when it is dropped.
#[derive(Debug)]
pub struct Held {
    file: File,
    path: PathBuf,
}

impl Held {
    /// Takes hold of a `.ts`; `None` if somebody else has it, or it is gone.
    ///
    /// # Errors
    /// It cannot be opened or locked.
    pub fn take(path: &Path) -> io::Result<Option<Held>> {
        let file = match File::open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(why)) => return Err(why),
        }
        // Between open and lock it may have been deleted or renamed by whoever held it.
        let here = fs::symlink_metadata(path).ok();
        let own = file.metadata()?;
        let same = here.is_some_and(|here| (here.dev(), here.ino()) == (own.dev(), own.ino()));
        Ok(same.then(|| Held { file, path: path.to_owned() }))
    }

    /// Whether somebody has it, as far as this user may look. Who wants it in this very moment finds it held, and tries again later.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The open file.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// Deletes the segment, and then its label.
    ///
    /// # Errors
    /// The segment is still there. A label that stays behind is a stray one and harmless.
    pub fn delete(self) -> io::Result<()> {
        fs::remove_file(&self.path)?;
        let _ = fs::remove_file(self.path.with_extension("json"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.ts");
        assert!(Held::take(&path).unwrap().is_none(), "it is not there");
        fs::write(&path, "x").unwrap();
        fs::write(dir.path().join("a.json"), "{}").unwrap();
        let held = Held::take(&path).unwrap().unwrap();
        assert!(Held::take(&path).unwrap().is_none() && Held::is_held(&path));
        drop(held);
        assert!(!Held::is_held(&path) && !Held::is_held(&dir.path().join("none")));
        Held::take(&path).unwrap().unwrap().delete().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_label_has_the_name_of_its_segment() {
        let name = crate::Name::new(5, 6, 7);
        assert_eq!(Path::new(&name.segment()).with_extension("json"), Path::new(&name.label()));
    }
}
