//! A disk for tests: it fills up, refuses to sync and then forgets what it could not write, is slow, and loses power.

use super::{Medium, Store};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, RwLock};

/// What the disk is like.
#[derive(Debug, Default)]
pub(crate) struct Mood {
    /// Bytes of all files together; 0 for any.
    pub(crate) room: AtomicU64,
    pub(crate) syncs_fail: AtomicBool,
    pub(crate) syncs: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// No byte from here on can be read, in any file; 0 for none.
    pub(crate) unreadable: AtomicU64,
    /// Whoever holds it for writing holds up all syncs.
    pub(crate) gate: RwLock<()>,
    used: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct Worn {
    pub(crate) mood: Arc<Mood>,
    names: Mutex<[BTreeMap<String, Arc<WornFile>>; 2]>,
}

#[derive(Debug, Default)]
pub(crate) struct WornFile {
    mood: Arc<Mood>,
    content: Mutex<Content>,
}

#[derive(Debug, Default)]
struct Content {
    seen: Vec<u8>,
    kept: Vec<u8>,
    /// What a sync would write: an offset and bytes, or an end.
    dirty: Vec<(usize, Option<Vec<u8>>)>,
}

fn apply(to: &mut Vec<u8>, (at, bytes): &(usize, Option<Vec<u8>>)) {
    let end = at + bytes.as_ref().map_or(0, Vec::len);
    match bytes {
        None => to.resize(*at, 0),
        Some(bytes) => {
            to.resize(to.len().max(end), 0);
            to[*at..end].copy_from_slice(bytes);
        }
    }
}

impl Worn {
    /// The power goes. Of what was not synced some is there and some not, as `chance` has it.
    pub(crate) fn power_cut(&self, mut chance: impl FnMut(usize) -> usize) {
        let mut names = self.names.lock().unwrap();
        let survivor = chance(2);
        names[1 - survivor] = names[survivor].clone();
        for file in names[0].values() {
            let mut content = file.content.lock().unwrap();
            let (whole, torn) = (chance(content.dirty.len() + 1), chance(100));
            let dirty = std::mem::take(&mut content.dirty);
            dirty[..whole].iter().for_each(|change| apply(&mut content.kept, change));
            if let Some((at, Some(bytes))) = dirty.get(whole) {
                let length = bytes.len() * torn / 100;
                apply(&mut content.kept, &(*at, Some(bytes[..length].to_vec())));
            }
            content.seen = content.kept.clone();
        }
        self.mood.used.store(names[0].values().map(|file| file.len()).sum(), SeqCst);
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.names.lock().unwrap()[0][name].content.lock().unwrap().seen.clone()
    }

    pub(crate) fn put(&self, name: &str, bytes: &[u8]) {
        let file = WornFile::on(&self.mood);
        *file.content.lock().unwrap() = Content { seen: bytes.to_vec(), kept: bytes.to_vec(), dirty: Vec::new() };
        self.names.lock().unwrap().iter_mut().for_each(|names| drop(names.insert(name.into(), file.clone())));
    }

    pub(crate) fn used(&self) -> u64 {
        self.mood.used.load(SeqCst)
    }
}

impl WornFile {
    fn on(mood: &Arc<Mood>) -> Arc<WornFile> {
        Arc::new(WornFile { mood: mood.clone(), content: Mutex::default() })
    }

    fn len(&self) -> u64 {
        self.content.lock().unwrap().seen.len() as u64
    }

    fn change(&self, change: (usize, Option<Vec<u8>>)) {
        let mut content = self.content.lock().unwrap();
        let before = content.seen.len() as u64;
        apply(&mut content.seen, &change);
        self.mood.used.fetch_add((content.seen.len() as u64).wrapping_sub(before), SeqCst);
        content.dirty.push(change);
    }
}

impl Store for Worn {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("worn").join(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.names.lock().unwrap()[0].keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        let file = WornFile::on(&self.mood);
        let old = self.names.lock().unwrap()[0].insert(name.into(), file.clone());
        self.mood.used.fetch_sub(old.map_or(0, |old| old.len()), SeqCst);
        Ok(file)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        Ok(self.names.lock().unwrap()[0].get(name).cloned().ok_or(io::ErrorKind::NotFound)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut names = self.names.lock().unwrap();
        let file = names[0].remove(from).ok_or(io::ErrorKind::NotFound)?;
        let old = names[0].insert(to.into(), file);
        self.mood.used.fetch_sub(old.map_or(0, |old| old.len()), SeqCst);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let old = self.names.lock().unwrap()[0].remove(name).ok_or(io::ErrorKind::NotFound)?;
        self.mood.used.fetch_sub(old.len(), SeqCst);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.mood.syncs_fail.load(SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let mut names = self.names.lock().unwrap();
        names[1] = names[0].clone();
        Ok(())
    }
}

impl Medium for WornFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = offset as usize;
        let more = (offset + bytes.len() as u64).saturating_sub(self.len());
        let (room, used) = (self.mood.room.load(SeqCst), self.mood.used.load(SeqCst));
        if room > 0 && more > 0 && used + more > room {
            let part = bytes.len().saturating_sub((used + more - room) as usize);
            self.change((at, Some(bytes[..part].to_vec())));
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.change((at, Some(bytes.to_vec())));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.len())
    }

    fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        self.mood.reads.fetch_add(1, SeqCst);
        let unreadable = self.mood.unreadable.load(SeqCst);
        if unreadable > 0 && offset + most as u64 > unreadable && offset < self.len() {
            return Err(io::Error::from_raw_os_error(5));
        }
        let content = self.content.lock().unwrap();
        let start = (offset as usize).min(content.seen.len());
        Ok(content.seen[start..content.seen.len().min(start.saturating_add(most))].to_vec())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.change((length as usize, None));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let _gate = self.mood.gate.read().unwrap();
        self.mood.syncs.fetch_add(1, SeqCst);
        let mut content = self.content.lock().unwrap();
        let dirty = std::mem::take(&mut content.dirty);
        if self.mood.syncs_fail.load(SeqCst) {
            return Err(io::Error::from_raw_os_error(5));
        }
        dirty.iter().for_each(|change| apply(&mut content.kept, change));
        Ok(())
    }
}
