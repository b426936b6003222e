//! The RAM that recordings may take. It is a budget in bytes, below the size of the tmpfs: when it is used up the least valuable segments
//! go, each with a fact, and recording goes on. A tmpfs of its own is mounted if there is none.
//!
//! What always holds: no segment goes before its room is needed, and none for what is not ours; open segments, which cannot go, take a
//! quarter of the budget at most.

use crate::house::House;
use crate::ledger::Ledgers;
use crate::wall::Wall;
use nix::sys::statfs::{Statfs, TMPFS_MAGIC, statfs};
use nix::unistd::{Group, Uid, chown};
use protocol::fact::Fact;
use runner::exit::Failure;
use segments::ledger::{Closed, What};
use segments::{Found, Held, evict};
use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Taken where recordings lie on a disk, and nobody said how much they may take.
const ON_DISK: u64 = 1 << 30;
/// Least room to make when there is none: not for each picture anew.
pub const ROOM: u64 = 256 * 1024;
/// All open segments together take the budget divided by this at most; those that are closed can make room for them.
const OPEN_SHARE: u64 = 4;
/// Its members may look at recordings.
const GROUP: &str = bus::options::DOOR_GROUP.default;
/// Marks the folder as ours.
const LOCK: &str = ".recorder";

/// The folder of all recordings; clones are the same one.
#[derive(Debug, Clone)]
pub struct Ram {
    dir: PathBuf,
    cap: u64,
    share: u64,
    /// So many writers have no room.
    full: Arc<AtomicUsize>,
    house: House,
    ledgers: Ledgers,
    _lock: Arc<File>,
}

impl Ram {
    /// Makes the folder, mounts a tmpfs of the size `mount` there if nothing is mounted there, and takes hold of it.
    ///
    /// # Errors
    /// It cannot be made or mounted, or another recorder has it.
    pub fn prepare(
        dir: &Path,
        cap: Option<u64>,
        mount: Option<&str>,
        cameras: usize,
        house: House,
        wall: Arc<Wall>,
    ) -> Result<Ram, Failure> {
        let bad = |why: io::Error| {
            let remedy = "set RAM_DIR to a folder that this user may write to";
            Failure::Permanent(format!("{}: {why}; {remedy}", dir.display()))
        };
        let is_ours = !dir.exists();
        fs::create_dir_all(dir).map_err(bad)?;
        if let Some(size) = mount.filter(|_| !is_mount(dir)) {
            mount_if_possible(dir, size)?;
        }
        if is_ours {
            keep_from_others(dir).map_err(bad)?;
        }
        let lock = lock(dir).map_err(bad)?.ok_or_else(|| {
            Failure::Temporary(format!(
                "{}: another recorder writes here; stop it, or set another RAM_DIR",
                dir.display()
            ))
        })?;
        let cap = budget(dir, used(dir), cap).map_err(bad)?;
        let share = (cap / (OPEN_SHARE * cameras.max(1) as u64)).max(ROOM);
        let (full, ledgers) = (Arc::default(), Ledgers::new(dir, wall));
        Ok(Ram { dir: dir.into(), cap, share, full, house, ledgers, _lock: Arc::new(lock) })
    }

    /// Where a camera's recordings are.
    pub fn folder(&self, camera: &str) -> PathBuf {
        self.dir.join(camera)
    }

    /// The folder of all.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is written down about the cameras.
    pub const fn ledgers(&self) -> &Ledgers {
        &self.ledgers
    }

    /// Bytes that recordings may take.
    pub const fn cap(&self) -> u64 {
        self.cap
    }

    /// Bytes that one open segment may take.
    pub const fn share(&self) -> u64 {
        self.share
    }

    /// Somebody has no room, as long as he keeps this.
    pub fn full(&self) -> Full {
        self.full.fetch_add(1, Ordering::Relaxed);
        Full(self.full.clone())
    }

    /// Whether anybody has none.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) > 0
    }

    /// Whether the file system has room, whoever made it.
    pub fn has_room(&self) -> bool {
        statfs(&self.dir).is_ok_and(|fs| fs.blocks_available() * unit(&fs) >= ROOM)
    }

    /// Bytes that they take.
    pub fn used(&self) -> u64 {
        used(&self.dir)
    }

    /// Lets go of what is too much.
    pub fn keep_within(&self) {
        let over = self.used().saturating_sub(self.cap);
        if over > 0 {
            self.evict(over, "recordings take as much RAM as they may (RAM_BYTES)");
        }
    }

    /// The file system is full: lets go of at least so many bytes, if there are so many.
    pub fn make_room(&self, bytes: u64) -> bool {
        self.evict(bytes, "the RAM disk is full") > 0
    }

    fn evict(&self, bytes: u64, why: &str) -> u64 {
        let folders = segments::cameras(&self.dir).unwrap_or_default();
        let all: Vec<_> =
            folders.values().flat_map(|folder| segments::read(folder).unwrap_or_default().closed).collect();
        let mut freed = 0;
        for found in evict::order(&all) {
            if freed >= bytes {
                break;
            }
            // One that is being sent right now is gone soon anyway.
            match Held::take(&found.path).and_then(|held| held.map(|held| self.delete(held, found)).transpose()) {
                Ok(Some(())) => {
                    freed += found.bytes;
                    let (camera, file) = (found.label.camera.clone(), found.path.display().to_string());
                    tracing::warn!("{file} had to go: {why}");
                    self.house.say(Fact::SegmentEvicted { camera, file, why: why.into() });
                }
                Ok(None) => {}
                Err(why) => tracing::error!("{} cannot be deleted: {why}", found.path.display()),
            }
        }
        freed
    }

    /// Written down first: a segment that goes unsaid would count as recorded.
    fn delete(&self, held: Held, found: &Found) -> io::Result<()> {
        let (run, sequence) = (found.label.boot.clone(), found.label.sequence);
        self.ledgers.note(&found.label.camera, What::Evicted { run, sequence });
        held.delete().inspect_err(|_| {
            self.ledgers.note(&found.label.camera, What::Closed(Closed::of(&found.label)));
        })
    }
}

/// Somebody has no room. It ends when it is dropped.
#[derive(Debug)]
pub struct Full(Arc<AtomicUsize>);

impl Drop for Full {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether that is why it failed.
pub fn is_full(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn unit(fs: &Statfs) -> u64 {
    u64::try_from(fs.block_size()).unwrap_or(4096)
}

/// Whether something of its own is mounted there.
fn is_mount(dir: &Path) -> bool {
    let device = |path: &Path| path.metadata().map(|meta| meta.dev()).ok();
    dir.parent().is_some_and(|parent| device(parent) != device(dir))
}

fn holds_recordings(dir: &Path) -> bool {
    let folders = segments::cameras(dir).unwrap_or_default();
    let is_some =
        |entry: io::Result<fs::DirEntry>| entry.and_then(|entry| entry.metadata()).is_ok_and(|about| about.len() > 0);
    folders.values().any(|folder| fs::read_dir(folder).is_ok_and(|mut entries| entries.any(is_some)))
}

fn is_tmpfs(dir: &Path) -> bool {
    statfs(dir).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC)
}

/// Nothing is hidden by it, and whoever may not mount goes on with the RAM that there is.
fn mount_if_possible(dir: &Path, size: &str) -> Result<(), Failure> {
    let place = dir.display();
    if holds_recordings(dir) {
        tracing::info!("{place}: recordings lie there, so no tmpfs is mounted over them");
        return Ok(());
    }
    match mount_tmpfs(dir, size).and_then(|()| keep_from_others(dir)) {
        Ok(()) => tracing::info!("a tmpfs of {size} is mounted at {place}"),
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied && is_tmpfs(dir) => {
            tracing::warn!("no tmpfs of {size} can be mounted at {place}: {why}; what is free there has to do");
        }
        Err(why) => {
            return Err(Failure::Permanent(format!(
                "no tmpfs can be mounted at {place}: {why}; run this as root, or put \
                 `tmpfs {place} tmpfs size={size},noatime 0 0` into /etc/fstab; to record to what is there, \
                 set RAM_MOUNT=off"
            )));
        }
    }
    Ok(())
}

/// What somebody's cameras see is not for every user of the machine: for root, and for the group that may use the event bus.
fn keep_from_others(dir: &Path) -> io::Result<()> {
    fs::set_permissions(dir, Permissions::from_mode(0o750))?;
    match Group::from_name(GROUP) {
        // Who is not root cannot give it away.
        Ok(Some(group)) if Uid::effective().is_root() => Ok(chown(dir, None, Some(group.gid))?),
        _ => Ok(()),
    }
}

fn mount_tmpfs(dir: &Path, size: &str) -> io::Result<()> {
    let flags = sys_mount::MountFlags::NOATIME | sys_mount::MountFlags::NOSUID | sys_mount::MountFlags::NODEV;
    let data = format!("size={size},mode=0750");
    sys_mount::Mount::builder().fstype("tmpfs").flags(flags).data(&data).mount("tmpfs", dir).map(drop)
}

fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).append(true).open(dir.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(why)) => Err(why),
    }
}

fn used(dir: &Path) -> u64 {
    let folders = segments::cameras(dir).unwrap_or_default();
    folders.values().map(|folder| segments::folder::size(folder).unwrap_or_default()).sum()
}

/// What recordings may take: what the owner said, if that is there; nine tenths of a tmpfs of our own; half of what is free in one that
/// others use too, such as `/run`, since a system whose `/run` is full does not work. What recordings take already counts as free: else it would be less
/// after each start.
fn budget(dir: &Path, used: u64, wanted: Option<u64>) -> io::Result<u64> {
    let fs = statfs(dir)?;
    let unit = unit(&fs);
    let (size, free) = (fs.blocks() * unit, fs.blocks_available() * unit + used);
    let share = match (is_tmpfs(dir), is_mount(dir)) {
        (true, true) => size / 10 * 9,
        (true, false) => free / 2,
        (false, _) => {
            tracing::warn!(
                "{} is no RAM: recordings wear a disk; leave RAM_MOUNT at its default, or set another RAM_DIR",
                dir.display()
            );
            ON_DISK.min(free / 2)
        }
    };
    if let Some(wanted) = wanted.filter(|&wanted| wanted > size) {
        tracing::warn!("RAM_BYTES={wanted} is more than there is at {} ({size}); {share} are used", dir.display());
        return Ok(share);
    }
    Ok(wanted.unwrap_or(share))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use bus::client::Bus;
    use segments::{Clock, Label, Name, Reason};

    /// A folder with so many bytes for recordings; the bus leads nowhere.
    pub(crate) fn ram(dir: &Path, cap: u64, cameras: usize) -> Ram {
        let (house, wall) = (House::open(Bus::open(dir.join("none"), "test 1")), Wall::start(dir.join("clock")));
        Ram::prepare(&dir.join("ram"), Some(cap), None, cameras, house, Arc::new(wall)).unwrap()
    }

    #[tokio::test]
    async fn recordings_are_not_for_every_user_and_a_folder_of_the_owners_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mode = || fs::metadata(dir.path().join("ram")).unwrap().permissions().mode() & 0o777;
        drop(ram(dir.path(), 1_000_000, 1));
        assert_eq!(mode(), 0o750);
        fs::set_permissions(dir.path().join("ram"), Permissions::from_mode(0o755)).unwrap();
        drop(ram(dir.path(), 1_000_000, 1));
        assert_eq!(mode(), 0o755);
    }

    fn close(folder: &Path, sequence: u64, bytes: usize) {
        let name = Name::new(sequence * 1000, 9, sequence);
        let text = format!(
            r#"{{"camera":"cam1","start_unix_ms":{0}000,"duration_ms":20000,"frames":300,"bytes":{bytes},"width":640,"height":480,
            "clock":"set","reason":"length","marked":true,"motion_percent":0.5,"md5":"","dropped_frames":0,
            "boot":"00000009","sequence":{0},"monotonic_ms":{0}}}"#,
            sequence
        );
        let label = Label::decode(text.as_bytes()).unwrap();
        assert_eq!((label.clock, label.reason), (Clock::Set, Reason::Length));
        fs::write(folder.join(name.part()), vec![0; bytes]).unwrap();
        segments::close(folder, &name, &label).unwrap();
    }

    fn left(folder: &Path) -> Vec<u64> {
        segments::read(folder).unwrap().closed.iter().map(|found| found.name.sequence()).collect()
    }

    #[tokio::test]
    async fn evidence_does_not_go_for_recordings_of_others_nor_before_its_room_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let ram = ram(dir.path(), 4_000_000, 2);
        let folder = ram.folder("cam1");
        fs::create_dir_all(&folder).unwrap();
        (1..=3).for_each(|sequence| close(&folder, sequence, 1_000_000));
        fs::write(folder.join("home-cam-1-00042.ts"), vec![0; 9_000_000]).unwrap();
        ram.keep_within();
        assert_eq!(left(&folder), [1, 2, 3], "there is room for what is ours");
        close(&folder, 4, 1_000_000);
        ram.keep_within();
        assert_eq!(left(&folder), [2, 3, 4]);
        assert!(folder.join("home-cam-1-00042.ts").exists());
    }

    #[tokio::test]
    async fn open_segments_take_a_quarter_of_the_budget_together() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ram(dir.path(), 8_000_000, 2).share(), 1_000_000);
        assert_eq!(ram(&dir.path().join("other"), 1_000_000, 8).share(), ROOM, "or what is worth a file");
    }

    #[tokio::test]
    async fn who_has_no_room_is_counted_until_he_has_some() {
        let dir = tempfile::tempdir().unwrap();
        let ram = ram(dir.path(), 1_000_000, 1);
        let (one, other) = (ram.full(), ram.clone().full());
        drop(one);
        assert!(ram.is_full());
        drop(other);
        assert!(!ram.is_full() && ram.has_room());
    }
}
