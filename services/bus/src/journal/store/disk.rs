//! A directory on a disk that belongs to this process as long as it is open.

use super::{Medium, Store};
use crate::journal::failure::Failure;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOCK: &str = "lock";

/// The directory, with its lock.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Disk {
    /// Makes the directory if need be, for this user alone, and takes its lock.
    pub(crate) fn take(path: &Path) -> Result<Disk, Failure> {
        create(path).map_err(|why| refused(path, why))?;
        let lock = lock(path)?;
        Ok(Disk { path: path.into(), _lock: lock })
    }

    fn file(&self, options: &mut OpenOptions, name: &str) -> io::Result<Arc<dyn Medium>> {
        Ok(Arc::new(options.read(true).write(true).mode(0o600).open(self.path(name))?))
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

fn lock(path: &Path) -> Result<Flock<File>, Failure> {
    let options = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
    let file = options.open(path.join(LOCK)).map_err(|why| refused(path, why))?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(file, _)| held(path, file))?;
    // Only for people: the lock itself is what counts, and it goes with the process.
    let mut file: &File = &lock;
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(lock)
}

fn held(path: &Path, file: File) -> Failure {
    let mut holder = String::new();
    let _ = file.take(32).read_to_string(&mut holder);
    let holder = holder.trim().parse::<u32>().map_or("another process".into(), |pid| format!("process {pid}"));
    Failure::InUse { place: path.into(), holder }
}

fn refused(path: &Path, why: io::Error) -> Failure {
    use io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    match why.kind() {
        PermissionDenied | NotADirectory | AlreadyExists | ReadOnlyFilesystem => {
            Failure::Unusable { place: path.into(), why: Arc::new(why) }
        }
        _ => Failure::disk(path.display().to_string(), why),
    }
}

impl Store for Disk {
    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        self.file(File::options().create(true).truncate(true), name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn Medium>> {
        self.file(&mut File::options(), name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Medium for File {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let mut length = 0;
        while length < most {
            match FileExt::read_at(self, &mut bytes[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
