//! What lies in a camera's folder. Reading changes nothing; what vanishes while it is read was deleted by somebody who may.

use crate::{Label, Name, is_camera_name};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// No label is longer; whoever puts a larger file there is not to fill our memory.
pub const MAX_LABEL: u64 = 64 * 1024;

/// A finished segment with its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its name.
    pub name: Name,
    /// The `.ts`.
    pub path: PathBuf,
    /// Its label.
    pub label: Label,
    /// Its size as the file system knows it.
    pub bytes: u64,
}

/// A file without a label that can be read: open, or left behind by a recorder that died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// Its name.
    pub name: Name,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// When it was last written to.
    pub modified: SystemTime,
}

/// What lies in a camera's folder, each kind sorted by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Contents {
    /// Finished segments.
    pub closed: Vec<Found>,
    /// `.ts.part`: the segment that is recorded, or an orphan if its run has ended.
    pub parts: Vec<Bare>,
    /// `.ts` without a label, or with one that cannot be read.
    pub unlabelled: Vec<Bare>,
    /// Labels whose segment is gone.
    pub stray_labels: Vec<PathBuf>,
    /// Whatever else is there, by its name.
    pub foreign: Vec<String>,
}

impl Contents {
    /// Bytes of all segments, finished or not.
    pub fn bytes(&self) -> u64 {
        let bare = self.parts.iter().chain(&self.unlabelled).map(|bare| bare.bytes);
        self.closed.iter().map(|found| found.bytes).chain(bare).sum()
    }
}

/// The cameras that have a folder in `ram_dir`, with it, sorted by name. Folders that no camera could be called after are
/// left out.
///
/// # Errors
/// `ram_dir` cannot be read; one that is not there holds no cameras.
pub fn cameras(ram_dir: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut all = BTreeMap::new();
    for entry in entries(ram_dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_camera_name(&name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.insert(name, entry.path());
        }
    }
    Ok(all)
}

/// Reads a camera's folder.
///
/// # Errors
/// It cannot be read; one that is not there is empty.
pub fn read(folder: &Path) -> io::Result<Contents> {
    let mut contents = Contents::default();
    let mut labels = BTreeSet::new();
    let mut segments = BTreeMap::new();
    for entry in entries(folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        match kind(&file) {
            Some((name, Kind::Segment)) => drop(segments.insert(name, bare(folder, name, &file))),
            Some((name, Kind::Part)) => contents.parts.extend(bare(folder, name, &file)),
            Some((name, Kind::Label)) => drop(labels.insert(name)),
            None => contents.foreign.push(file),
        }
    }
    let parts: BTreeSet<Name> = contents.parts.iter().map(|part| part.name).collect();
    // A part with its label is being closed right now, or was when the recorder died: the label is its own.
    let strays = labels.iter().filter(|name| !segments.contains_key(*name) && !parts.contains(*name));
    contents.stray_labels = strays.map(|name| folder.join(name.label())).collect();
    for bare in segments.into_values().flatten() {
        match label_of(folder, &bare.name) {
            Some(label) => contents.closed.push(Found { name: bare.name, path: bare.path, label, bytes: bare.bytes }),
            None => contents.unlabelled.push(bare),
        }
    }
    contents.parts.sort_by_key(|part| part.name);
    contents.foreign.sort();
    Ok(contents)
}

/// Recordings in a camera's folder that are none of ours by their names, sorted.
///
/// # Errors
/// It cannot be read; one that is not there has none.
pub fn foreign_recordings(folder: &Path) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in entries(folder)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        let recording = Path::new(&file).extension().is_some_and(|kind| kind == "ts" || kind == "mp4");
        all.extend(Some(file).filter(|file| recording && kind(file).is_none()));
    }
    all.sort();
    Ok(all)
}

/// Bytes of what a recorder of this kind wrote to a camera's folder: segments, finished or not, and their labels.
///
/// # Errors
/// It cannot be read; one that is not there has none.
pub fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in entries(folder)? {
        let entry = entry?;
        if kind(&entry.file_name().to_string_lossy()).is_some() {
            bytes += entry.metadata().map_or(0, |about| about.len());
        }
    }
    Ok(bytes)
}

/// The label of a segment, if there is one that can be read.
pub fn label_of(folder: &Path, name: &Name) -> Option<Label> {
    let file = fs::File::open(folder.join(name.label())).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_LABEL).read_to_end(&mut bytes).ok()?;
    Label::decode(&bytes).ok()
}

enum Kind {
    Segment,
    Part,
    Label,
}

fn kind(file: &str) -> Option<(Name, Kind)> {
    let suffixes = [(".ts.part", Kind::Part), (".ts", Kind::Segment), (".json", Kind::Label)];
    let (stem, kind) = suffixes.into_iter().find_map(|(suffix, kind)| Some((file.strip_suffix(suffix)?, kind)))?;
    Some((Name::parse(stem)?, kind))
}

/// Only plain files: a link could lead anywhere.
fn bare(folder: &Path, name: Name, file: &str) -> Option<Bare> {
    let path = folder.join(file);
    let about = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some(Bare { name, bytes: about.len(), modified: about.modified().unwrap_or(SystemTime::UNIX_EPOCH), path })
}

fn entries(folder: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    match fs::read_dir(folder) {
        Ok(entries) => Ok(Some(entries).into_iter().flatten()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None.into_iter().flatten()),
        Err(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::label::tests::label;

    fn put(folder: &Path, file: &str, content: &[u8]) {
        fs::write(folder.join(file), content).unwrap();
    }

    #[test]
    fn each_kind_of_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        let [closed, open, closing, bare, torn, stray] = [1, 2, 3, 4, 5, 6].map(|n| Name::new(n * 1000, 7, n));
        let text = |name: &Name| label(name, false).encode().unwrap();
        put(folder, &closed.segment(), b"hello");
        put(folder, &closed.label(), &text(&closed));
        put(folder, &open.part(), b"he");
        put(folder, &closing.part(), b"hel");
        put(folder, &closing.label(), &text(&closing));
        put(folder, &bare.segment(), b"h");
        put(folder, &torn.segment(), b"h");
        put(folder, &torn.label(), b"{\"camera\":");
        put(folder, &stray.label(), &text(&stray));
        put(folder, "seg-00000.ts", b"of the old recorder");
        std::os::unix::fs::symlink("/etc/passwd", folder.join(Name::new(9, 9, 9).segment())).unwrap();
        let contents = read(folder).unwrap();
        let names = |all: &[Bare]| all.iter().map(|bare| bare.name).collect::<Vec<_>>();
        assert_eq!(contents.closed.iter().map(|found| (found.name, found.bytes)).collect::<Vec<_>>(), [(closed, 5)]);
        assert_eq!(names(&contents.parts), [open, closing]);
        assert_eq!(names(&contents.unlabelled), [bare, torn]);
        assert_eq!(contents.stray_labels, [folder.join(stray.label())]);
        assert_eq!(contents.foreign, ["seg-00000.ts"]);
        assert_eq!(contents.bytes(), 5 + 2 + 3 + 1 + 1);
    }

    #[test]
    fn recordings_of_others_take_nothing_from_the_budget_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        let (name, other) = (Name::new(1000, 7, 1), Name::new(2000, 7, 2));
        for file in [name.segment(), name.label(), other.part()] {
            put(dir.path(), &file, b"hello");
        }
        for file in ["home-cam-1-00042.ts", "old.mp4", ".20261126.json.new"] {
            put(dir.path(), file, &[0; 10_000]);
        }
        assert_eq!(size(dir.path()).unwrap(), 15);
        assert_eq!(size(&dir.path().join("none")).unwrap(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join("cam1")).unwrap(), Contents::default());
        assert!(cameras(&dir.path().join("ram")).unwrap().is_empty());
        put(dir.path(), "file", b"");
        assert!(read(&dir.path().join("file")).is_err());
    }

    #[test]
    fn cameras_are_folders_with_a_possible_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cam2", "cam1", "lost+found", ".manifest"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        put(dir.path(), "cam3", b"");
        assert_eq!(cameras(dir.path()).unwrap().into_keys().collect::<Vec<_>>(), ["cam1", "cam2"]);
    }
}
