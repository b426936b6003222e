//! Files in memory, for machines whose disk is not to be written to. They last until the process ends.

use super::{Medium, Store};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A directory of them.
#[derive(Debug, Default)]
pub(crate) struct Ram(Mutex<BTreeMap<String, Arc<RamFile>>>);

/// One of them.
#[derive(Debug, Default)]
pub(crate) struct RamFile(Mutex<Vec<u8>>);

/// Holds no invariant over a panic that could be broken, so a poisoned lock is as good as any.
fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for Ram {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("memory").join(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(locked(&self.0).keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        let file = Arc::new(RamFile::default());
        locked(&self.0).insert(name.into(), file.clone());
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        let file = locked(&self.0).get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = locked(&self.0);
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.into(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        locked(&self.0).remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for RamFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = locked(&self.0);
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if file.len() < start + bytes.len() {
            file.resize(start + bytes.len(), 0);
        }
        file[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(locked(&self.0).len() as u64)
    }

    fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let file = locked(&self.0);
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.len());
        Ok(file[start..file.len().min(start.saturating_add(most))].to_vec())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        locked(&self.0).truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
