//! The file itself. People edit it, and so does pairing: comments and order stay, and a change by hand is noticed.

use super::{Authorized, Complaint, Peer, words};
use crate::secure::disk::{self, Fault};
use nix::fcntl::{Flock, FlockArg};
use protocol::HostName;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The usual name of the file.
pub const NAME: &str = "authorized_peers";

/// The mode of a new file: all may read public keys, only the owner changes them.
const MODE: u32 = 0o644;

/// What tells two contents apart without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The place of the list, and which content of it was read last.
#[derive(Debug)]
pub struct AuthorizedFile {
    place: PathBuf,
    read: Option<Stamp>,
    polled: Option<Stamp>,
}

impl AuthorizedFile {
    /// The list at this place, which need not be there yet.
    pub fn at(place: impl Into<PathBuf>) -> AuthorizedFile {
        AuthorizedFile { place: place.into(), read: None, polled: None }
    }

    /// Reads all of it. No file is an empty list.
    ///
    /// # Errors
    /// It cannot be read, or others than its owner may change it. Whoever has a list from before keeps that one.
    pub fn load(&mut self) -> Result<(Authorized, Vec<Complaint>), Fault> {
        let opened = disk::open(&self.place).inspect_err(|_| self.read = self.polled)?;
        self.read = opened.as_ref().map(|(_, metadata)| Stamp::of(metadata));
        self.polled = self.read;
        let text = self.text(opened)?;
        Ok(Authorized::parse(&self.place.display().to_string(), &text))
    }

    /// Whether to load again; cheap enough to ask once a second. A change counts when the file was the same at two
    /// calls, so that an editor that writes in place is not read half-way.
    pub fn changed(&mut self) -> bool {
        let now = fs::metadata(&self.place).ok().map(|metadata| Stamp::of(&metadata));
        let settled = now == self.polled;
        self.polled = now;
        settled && now != self.read
    }

    /// Adds a peer as the last line; when it returns, it is on the disk. A peer that is there with this name and key
    /// gets these roles.
    ///
    /// # Errors
    /// The name or the key stands there beside another, or the disk refused.
    pub fn add(&self, peer: &Peer) -> Result<(), Fault> {
        self.edit(|place, text| {
            let (listed, _) = Authorized::parse("", text);
            let taken = |why: String| Fault::new(place, format!("{why}; take that line away first"));
            for other in listed.peers().filter(|other| (&other.name, other.key) != (&peer.name, peer.key)) {
                if other.name == peer.name {
                    return Err(taken(format!(
                        "{} is there with another key, {}",
                        other.name,
                        other.key.fingerprint()
                    )));
                }
                if other.key == peer.key {
                    return Err(taken(format!("the key of {} is there as that of {}", peer.name, other.name)));
                }
            }
            Ok(Some(format!("{}{peer}\n", without(text, &peer.name).0)))
        })
        .map(|_| ())
    }

    /// Takes all lines of that name away, and says whether there was one.
    ///
    /// # Errors
    /// The disk refused, and the list is as it was.
    pub fn remove(&self, name: &HostName) -> Result<bool, Fault> {
        self.edit(|_, text| Ok(Some(without(text, name)).filter(|(_, gone)| *gone).map(|(rest, _)| rest)))
    }

    /// Puts in place what `change` makes of the text, and says whether it made anything. One process at a time.
    fn edit(&self, change: impl FnOnce(&Path, &str) -> Result<Option<String>, Fault>) -> Result<bool, Fault> {
        let place = fs::canonicalize(&self.place).unwrap_or_else(|_| self.place.clone());
        let _lock = lock(&place)?;
        let opened = disk::open(&place)?;
        let mode = opened.as_ref().map_or(MODE, |(_, metadata)| metadata.mode() & 0o777);
        let text = self.text(opened)?;
        let Some(changed) = change(&place, &text)? else { return Ok(false) };
        disk::replace(&place, changed.as_bytes(), mode).map(|()| true)
    }

    fn text(&self, opened: Option<(File, Metadata)>) -> Result<String, Fault> {
        let Some((file, metadata)) = opened else { return Ok(String::new()) };
        if metadata.mode() & 0o022 != 0 {
            return Err(Fault::new(
                &self.place,
                "may be changed by others than its owner; look at each line, then `chmod go-w` it",
            ));
        }
        disk::text(&self.place, file)
    }
}

/// A lock on the directory: it leaves no file behind, and goes with the process.
fn lock(place: &Path) -> Result<Flock<File>, Fault> {
    let directory =
        File::open(place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    let directory = directory.map_err(|why| Fault::io(place, &why))?;
    Flock::lock(directory, FlockArg::LockExclusive).map_err(|(_, why)| Fault::io(place, &why.into()))
}

/// The text without the lines of that name, each with its end, and whether there was one.
fn without(text: &str, name: &HostName) -> (String, bool) {
    let is_its = |line: &&str| words(line).and_then(|words| HostName::parse(words[0]).ok()).as_ref() == Some(name);
    let kept: String = text.lines().filter(|line| !is_its(line)).map(|line| format!("{line}\n")).collect();
    (kept, text.lines().any(|line| is_its(&line)))
}
