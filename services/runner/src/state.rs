//! What a program keeps over its own end and over a power cut: a directory of small files that one process at a time
//! owns. A file is replaced whole or not at all (written aside, synced, renamed, directory synced).
//!
//! A disk that is full or read-only, as worn-out SD cards become, keeps nobody from running: what has to be kept is
//! then kept in RAM, and that is said.

use crate::exit::Failure;
use crate::{clock, settings::BadConfig};
use nix::fcntl::{Flock, FlockArg};
use protocol::name::{Epoch, Identity};
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest file kept, in bytes: far above what any program of ours writes, far below what a small machine has.
pub const MAX_FILE: usize = 1024 * 1024;

/// Where state goes that the disk does not take, until the machine is switched off.
const RAM: &str = "/run/pistop/state";

const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const EPOCH: &str = "epoch";

/// A directory that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateDir {
    /// Makes the directory if need be, for this user alone, and takes its lock.
    ///
    /// If the disk is full or read-only, a directory in RAM takes its place.
    ///
    /// # Errors
    /// [`Failure::Permanent`] if another process holds it or this user may not use it, [`Failure::Temporary`] if the
    /// disk refused for another reason.
    pub fn open(path: &Path) -> Result<StateDir, Failure> {
        let why = match Self::take(path) {
            Ok(directory) => return directory,
            Err(why) if !is_worn_out(&why) => return Err(refused(path, &why)),
            Err(why) => why,
        };
        let ram = Path::new(RAM).join(path.strip_prefix("/").unwrap_or(path));
        tracing::error!("{}: {why}; what has to be kept is kept in {}, in RAM", path.display(), ram.display());
        Self::take(&ram).map_err(|why| refused(&ram, &why))?
    }

    fn take(path: &Path) -> io::Result<Result<StateDir, Failure>> {
        create(path)?;
        let lock = lock(path)?;
        Ok(lock.map(|lock| StateDir { path: path.into(), _lock: lock }))
    }

    /// The number of this machine: random, made at the first call, the same ever after.
    pub fn identity(&self) -> Result<Identity, Failure> {
        if let Some(kept) = self.text(IDENTITY)? {
            match u64::from_str_radix(kept.trim(), 16) {
                Ok(number) => return Ok(Identity(number)),
                Err(_) => tracing::warn!("{} holds no hex number; making a new one", self.at(IDENTITY).display()),
            }
        }
        let fresh = random();
        self.put(IDENTITY, format!("{fresh:016x}\n").as_bytes());
        Ok(Identity(fresh))
    }

    /// The number of a new run of the server: greater than all before it, whatever the machine's clock says.
    pub fn next_epoch(&self) -> Result<Epoch, Failure> {
        let kept = self.text(EPOCH)?.map(|text| text.trim().parse::<u64>());
        if matches!(kept, Some(Err(_))) {
            tracing::warn!("{} holds no number; going on from the time of day", self.at(EPOCH).display());
        }
        let next = kept.and_then(Result::ok).map_or(0, |last| last.saturating_add(1)).max(clock::unix_now().as_secs());
        self.put(EPOCH, format!("{next}\n").as_bytes());
        Ok(Epoch(next))
    }

    /// The content of a file, or `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read, is over [`MAX_FILE`], or `name` is no plain file name.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.file(name)?) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
        fits(&bytes).map(|()| Some(bytes))
    }

    /// Puts `bytes` in place of a file's content; when it returns, they are on the disk.
    ///
    /// # Errors
    /// The disk refused and the old content stands, `bytes` are over [`MAX_FILE`], or `name` is no plain file name.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fits(bytes)?;
        let (place, aside) = (self.file(name)?, self.path.join(format!(".{name}.new")));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(aside, place)?;
        self.sync()
    }

    /// Takes a file away, for good when it returns; one that is not there is fine.
    ///
    /// # Errors
    /// The disk refused, or `name` is no plain file name.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name)?) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.and_then(|()| self.sync()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn file(&self, name: &str) -> io::Result<PathBuf> {
        let plain = !name.is_empty() && name != LOCK && !name.starts_with('.') && !name.contains('/');
        let why = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no name for a file of state"));
        plain.then(|| self.at(name)).ok_or_else(why)
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let bytes = self.read(name).map_err(|why| refused(&self.at(name), &why))?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// A disk that refuses is told and keeps nobody from running.
    fn put(&self, name: &str, bytes: &[u8]) {
        if let Err(why) = self.replace(name, bytes) {
            tracing::error!("{}: {why}; the next run will not know it", self.at(name).display());
        }
    }
}

fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)
}

fn lock(path: &Path) -> io::Result<Result<Flock<File>, Failure>> {
    let place = path.join(LOCK);
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&place)?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(file, _)| held(path, file));
    Ok(lock.inspect(|lock| {
        // Only for people: the lock itself is what counts, and it goes with the process.
        let mut file: &File = lock;
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    }))
}

fn is_worn_out(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem)
}

fn held(path: &Path, mut file: File) -> Failure {
    let mut holder = String::new();
    let _ = file.read_to_string(&mut holder);
    let holder = holder.trim().parse::<u32>().map_or("another process".into(), |pid| format!("process {pid}"));
    let why = format!("is in use by {holder}; end that one first, or give this one a state directory of its own");
    Failure::Permanent(format!("{}: {why}", path.display()))
}

fn refused(path: &Path, why: &io::Error) -> Failure {
    use io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    let (source, key) = (path.display().to_string(), String::new());
    match why.kind() {
        PermissionDenied | NotADirectory | AlreadyExists | ReadOnlyFilesystem => {
            let why = format!("cannot be used ({why}); make it a directory that this user may write to");
            Failure::Config(BadConfig { source, key, why })
        }
        _ => Failure::Temporary(format!("{source}: {why}; is the disk full or broken?")),
    }
}

fn fits(bytes: &[u8]) -> io::Result<()> {
    if bytes.len() <= MAX_FILE {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {MAX_FILE} bytes of state in one file")))
}

/// A number from the operating system's generator, by way of the standard library's hash keys: machines of one image
/// that boot in the same instant must not get the same one.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("var/pistop");
        (dir, path)
    }

    #[test]
    fn one_process_at_a_time() {
        let (_dir, path) = scratch();
        let first = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let failure = StateDir::open(&path).unwrap_err();
        let expected = format!("{}: is in use by process {}; end that one", path.display(), std::process::id());
        assert!(matches!(&failure, Failure::Permanent(why) if why.starts_with(&expected)), "{failure}");
        drop(first);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn the_identity_stays_and_is_each_machines_own() {
        let ((_dir, path), (_other, elsewhere)) = (scratch(), scratch());
        let identity = StateDir::open(&path).unwrap().identity().unwrap();
        assert_eq!(StateDir::open(&path).unwrap().identity().unwrap(), identity);
        assert_ne!(StateDir::open(&elsewhere).unwrap().identity().unwrap(), identity);
        fs::write(path.join("identity"), "").unwrap();
        let mended = StateDir::open(&path).unwrap().identity().unwrap();
        assert_eq!(StateDir::open(&path).unwrap().identity().unwrap(), mended);
    }

    #[test]
    fn an_epoch_is_greater_than_all_before_it_even_if_the_clock_goes_back() {
        let (_dir, path) = scratch();
        let state = StateDir::open(&path).unwrap();
        let first = state.next_epoch().unwrap();
        assert!(first.0 >= 1_700_000_000);
        assert!(state.next_epoch().unwrap() > first);
        state.replace("epoch", b"99999999999\n").unwrap();
        assert_eq!(state.next_epoch().unwrap(), Epoch(100_000_000_000));
        state.replace("epoch", b"\0\0").unwrap();
        assert!(state.next_epoch().unwrap() >= first);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let (_dir, path) = scratch();
        let state = StateDir::open(&path).unwrap();
        assert_eq!(state.read("intent").unwrap(), None);
        state.replace("intent", b"a long first text").unwrap();
        state.replace("intent", b"short").unwrap();
        assert_eq!(state.read("intent").unwrap().as_deref(), Some(&b"short"[..]));
        let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["intent", "lock"], "and nothing is left beside it");
        state.remove("intent").unwrap();
        state.remove("intent").unwrap();
        assert_eq!(state.read("intent").unwrap(), None);
    }

    #[test]
    fn a_replacement_that_fails_leaves_the_old_content() {
        let (_dir, path) = scratch();
        let state = StateDir::open(&path).unwrap();
        state.replace("intent", b"old").unwrap();
        fs::create_dir(path.join(".intent.new")).unwrap();
        state.replace("intent", b"new").unwrap_err();
        state.replace("intent", &vec![0; MAX_FILE + 1]).unwrap_err();
        assert_eq!(state.read("intent").unwrap().as_deref(), Some(&b"old"[..]));
    }

    #[test]
    fn names_stay_inside() {
        let (_dir, path) = scratch();
        let state = StateDir::open(&path).unwrap();
        for name in ["", "lock", "../x", "a/b", ".", ".."] {
            assert_eq!(state.read(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
            assert_eq!(state.replace(name, b"").unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn a_place_that_cannot_be_is_named_with_the_remedy() {
        let (dir, _) = scratch();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let failure = StateDir::open(&file.join("state")).unwrap_err();
        assert!(
            matches!(failure, Failure::Config(_)) && failure.to_string().contains("make it a directory"),
            "{failure}"
        );
        assert!(StateDir::open(&file).is_err());
    }
}
