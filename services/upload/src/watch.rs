//! Looking at the directory of segments, and hearing from the kernel when to look.

use crate::ledger;
use crate::machine::{Id, Item};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use segments::{Clock, Found, Label, Name};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Notify;

/// All segments that lie there, and what is known of them.
#[derive(Debug, Default)]
pub struct Sight {
    /// What can be sent.
    pub items: Vec<Item>,
    /// Their labels.
    pub labels: BTreeMap<Id, Label>,
    /// Folders of cameras.
    pub folders: Vec<PathBuf>,
    /// Folders that could not be read, and why.
    pub unread: Vec<String>,
}

/// Looks at all cameras. Labels of deleted segments are swept away.
///
/// # Errors
/// The directory cannot be read.
pub fn look(ram_dir: &Path) -> io::Result<Sight> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut sight = Sight::default();
    for (camera, folder) in segments::cameras(ram_dir)? {
        match segments::read(&folder) {
            Ok(contents) => {
                for found in contents.closed {
                    let item = item(&camera, &found, now);
                    sight.labels.insert(item.id.clone(), found.label);
                    sight.items.push(item);
                }
                for stray in contents.stray_labels {
                    sweep(&stray, now);
                }
            }
            Err(why) => sight.unread.push(format!("{}: {why}", folder.display())),
        }
        sight.folders.push(folder);
    }
    Ok(sight)
}

fn item(camera: &str, found: &Found, now: Duration) -> Item {
    let end = Duration::from_millis(found.label.end_unix_ms());
    Item {
        id: ledger::id_of(camera, &found.name),
        path: found.path.clone(),
        start_unix_ms: found.label.start_unix_ms,
        bytes: found.bytes,
        marked: found.label.marked,
        clock_set: found.label.clock == Clock::Set,
        waited: if found.label.clock == Clock::Set { now.saturating_sub(end) } else { Duration::ZERO },
    }
}

/// A label is without its segment for a moment, while the segment is closed or renamed; one that stays so is a remnant.
fn sweep(label: &Path, now: Duration) {
    const REMNANT: Duration = Duration::from_secs(60);
    let modified = label.metadata().and_then(|about| about.modified()).ok();
    let age = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| now.saturating_sub(at));
    if age.is_some_and(|age| age > REMNANT) && std::fs::remove_file(label).is_ok() {
        tracing::debug!("{} had no segment any more", label.display());
    }
}

/// Hears when a segment appears. A thread listens to the kernel, until the program ends.
#[derive(Debug)]
pub struct Watch {
    inotify: Arc<Inotify>,
    heard: Arc<Notify>,
}

impl Watch {
    /// Begins to listen, to nothing yet.
    ///
    /// # Errors
    /// The kernel has no more of these.
    pub fn new() -> io::Result<Watch> {
        let inotify = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC)?);
        let heard = Arc::new(Notify::new());
        let (listens, tell) = (inotify.clone(), heard.clone());
        std::thread::Builder::new().name("watch".into()).spawn(move || {
            loop {
                match listens.read_events() {
                    Ok(events) if !events.iter().any(is_news) => {}
                    Ok(_) | Err(Errno::EINTR) => tell.notify_one(),
                    Err(why) => return tracing::warn!("inotify: {why}; the directory is looked at from time to time"),
                }
            }
        })?;
        Ok(Watch { inotify, heard })
    }

    /// Listens to these folders, too. Saying it again changes nothing; a folder that is not there is looked at later.
    pub fn add<'a>(&self, ram_dir: &Path, folders: impl IntoIterator<Item = &'a PathBuf>) {
        let flags = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        let _ = self.inotify.add_watch(ram_dir, AddWatchFlags::IN_CREATE | flags);
        for folder in folders {
            let _ = self.inotify.add_watch(folder, flags);
        }
    }

    /// Returns when a segment or a camera appeared since the last time.
    pub async fn changed(&self) {
        self.heard.notified().await;
    }
}

/// What else a recorder writes there, such as its status each few seconds, is not worth a look.
fn is_news(event: &InotifyEvent) -> bool {
    // The label alone when its clock was mended.
    let is_segment = |name: &OsString| {
        let name = name.to_string_lossy();
        name.strip_suffix(".ts").or_else(|| name.strip_suffix(".json")).and_then(Name::parse).is_some()
    };
    event.mask.contains(AddWatchFlags::IN_ISDIR) || event.name.as_ref().is_none_or(is_segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::label;

    #[tokio::test]
    async fn a_segment_that_appears_is_heard_and_seen() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cam1");
        let watch = Watch::new().unwrap();
        watch.add(dir.path(), []);
        std::fs::create_dir(&folder).unwrap();
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("a camera is heard");
        watch.add(dir.path(), &look(dir.path()).unwrap().folders);
        let label = label(3, 1_795_658_040_000, 20_000);
        let name = label.name().unwrap();
        std::fs::write(folder.join(name.part()), b"hello").unwrap();
        segments::close(&folder, &name, &label).unwrap();
        tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("a segment is heard");
        let sight = look(dir.path()).unwrap();
        assert_eq!(sight.items.len(), 1);
        let item = &sight.items[0];
        assert_eq!((item.bytes, item.marked, item.id.sequence), (5, false, 3));
        assert_eq!(sight.labels[&item.id], label);
    }

    #[test]
    fn a_status_that_is_written_anew_is_no_news() {
        let dir = tempfile::tempdir().unwrap();
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).unwrap();
        inotify.add_watch(dir.path(), AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO).unwrap();
        let news = || inotify.read_events().unwrap().iter().filter(|event| is_news(event)).count();
        std::fs::write(dir.path().join(".status"), "{}").unwrap();
        std::fs::rename(dir.path().join(".status"), dir.path().join("status.json")).unwrap();
        assert_eq!(news(), 0);
        let name = Name::new(1000, 1, 1);
        std::fs::write(dir.path().join(name.part()), "x").unwrap();
        std::fs::rename(dir.path().join(name.part()), dir.path().join(name.segment())).unwrap();
        std::fs::create_dir(dir.path().join("cam1")).unwrap();
        assert_eq!(news(), 2, "a segment and a camera are");
    }

    #[test]
    fn a_label_alone_is_swept_away_when_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        std::fs::write(&path, "{}").unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        sweep(&path, now);
        assert!(path.exists());
        sweep(&path, now + Duration::from_secs(61));
        assert!(!path.exists());
    }
}
