//! What is mounted where, as `/proc/self/mountinfo` tells it (proc(5)). Reading it touches no file system, so it
//! answers at once even if every server is dead.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its id, and that of the mount that it lies on.
    pub id: u32,
    /// The mount that it lies on.
    pub parent: u32,
    /// Major and minor number of what stat(2) calls the device.
    pub device: (u32, u32),
    /// Which part of the file system is seen here; `/` for all of it.
    pub root: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// The type, as in `ext4`, `nfs4`, `autofs`.
    pub kind: String,
    /// What is mounted, as in `/dev/sda1` or `musicpi:/MDrive`.
    pub source: OsString,
}

/// All mounts of this process's namespace, in the order of their making.
///
/// # Errors
/// `/proc` is not there.
pub fn read() -> io::Result<Vec<Mount>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// The topmost mount on exactly this path: the one that a process sees there.
#[must_use]
pub fn topmost<'a>(mounts: &'a [Mount], target: &Path) -> Option<&'a Mount> {
    let target = lexical(target);
    mounts.iter().rev().find(|mount| mount.target == target)
}

/// What lies on exactly this path, the trigger of an automounter not counted: until it is triggered nothing is there.
#[must_use]
pub fn standing<'a>(mounts: &'a [Mount], target: &Path) -> Option<&'a Mount> {
    topmost(mounts, target).filter(|mount| !mount.is_trigger())
}

/// The mount in which this path lies: the last one on the longest way to it.
#[must_use]
pub fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let holding = mounts.iter().filter(|mount| mount.holds(path));
    holding.max_by_key(|mount| mount.target.components().count())
}

/// The path as the table writes it: without doubled and trailing slashes and without `.`; links are not followed, since
/// that would mean to look.
#[must_use]
pub fn lexical(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Lines that are not understood are left out.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').filter_map(line).collect()
}

fn line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
    let device = str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let device = (device.0.parse().ok()?, device.1.parse().ok()?);
    let (root, target) = (plain(fields.next()?), plain(fields.next()?));
    let mut last = fields.skip_while(|&field| field != b"-").skip(1);
    let kind = String::from_utf8(plain(last.next()?).into_vec()).ok()?;
    let source = plain(last.next()?);
    Some(Mount { id, parent, device, root: root.into(), target: target.into(), kind, source })
}

fn number(field: &[u8]) -> Option<u32> {
    str::from_utf8(field).ok()?.parse().ok()
}

/// The kernel writes blank, tab, line feed and backslash as `\040`, `\011`, `\012` and `\134`.
pub(crate) fn plain(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).filter(|_| *first == b'\\').and_then(octal);
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(bytes)
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok()
}

impl Mount {
    /// Whether a path lies in the tree below this mount's place, the place itself included.
    #[must_use]
    pub fn holds(&self, path: &Path) -> bool {
        lexical(path).starts_with(&self.target)
    }

    /// Whether it is only the trigger of an automounter, of autofs or of systemd.
    #[must_use]
    pub fn is_trigger(&self) -> bool {
        self.kind == "autofs"
    }

    /// Whether whoever serves it may be cut off by MNT_FORCE: whatever comes over the network, and a file system that a
    /// process serves. On a disk that flag means nothing, and a disk that is served by a process (`fuseblk`) would be
    /// left half-written.
    #[must_use]
    pub fn can_be_cut_off(&self) -> bool {
        self.is_remote() || self.kind == "fuse" || self.kind.starts_with("fuse.")
    }

    /// Whether what is mounted comes over the network and so may stop answering.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self.kind.as_str(), "nfs" | "nfs4" | "cifs" | "smb3" | "9p" | "fuse.sshfs" | "ceph")
            || self.source.as_bytes().starts_with(b"//")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        40 22 0:33 / /var/lib/mpd rw shared:9 master:2 - autofs /etc/autofs.mounts rw,fd=6\n\
        41 40 0:40 / /var/lib/mpd/My\\040Drive\\134 rw - nfs4 musicpi:/My\\040Drive rw,addr=10.0.0.1\n\
        42 41 8:17 /sub /var/lib/mpd/My\\040Drive\\134 ro - ext4 /dev/sdb1 ro\n\
        nonsense\n";

    #[test]
    fn the_topmost_mount_of_a_path_is_the_one_that_counts() {
        let mounts = parse(TABLE);
        assert_eq!(mounts.len(), 4);
        let seen = topmost(&mounts, Path::new("/var//lib/mpd/./My Drive\\/")).unwrap();
        assert_eq!((seen.id, seen.parent, seen.device, seen.kind.as_str()), (42, 41, (8, 17), "ext4"));
        assert_eq!(topmost(&mounts, Path::new("/var/lib")), None);
    }

    #[test]
    fn blanks_and_backslashes_come_out_as_they_are_named() {
        let mounts = parse(TABLE);
        assert_eq!(mounts[2].target, Path::new("/var/lib/mpd/My Drive\\"));
        assert_eq!(mounts[2].source, "musicpi:/My Drive");
        assert!(mounts[2].is_remote() && !mounts[0].is_remote());
    }

    #[test]
    fn a_trigger_is_no_mount_and_the_longest_way_counts() {
        let mounts = parse(TABLE);
        assert_eq!(standing(&mounts, Path::new("/var/lib/mpd")), None);
        assert_eq!(standing(&mounts, Path::new("/var/lib/mpd/My Drive\\")).unwrap().id, 42);
        let ids = ["/var/lib/mpd/x", "/var/lib/mpd/My Drive\\/a", "/var/lib/mpdx", "/"];
        let ids = ids.map(|path| covering(&mounts, Path::new(path)).unwrap().id);
        assert_eq!(ids, [40, 42, 22, 22]);
    }

    #[test]
    fn what_may_be_cut_off_is_no_disk() {
        let cut_off = |kind: &str| {
            let line = format!("1 0 0:1 / /m rw - {kind} source rw\n");
            parse(line.as_bytes())[0].can_be_cut_off()
        };
        assert_eq!(["nfs4", "cifs", "fuse", "fuse.bindfs"].map(cut_off), [true; 4]);
        assert_eq!(["ext4", "tmpfs", "fuseblk", "autofs"].map(cut_off), [false; 4]);
    }

    #[test]
    fn our_own_table_has_a_root() {
        assert!(topmost(&read().unwrap(), Path::new("/")).is_some());
    }
}
