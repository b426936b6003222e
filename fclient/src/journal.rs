//! The intent journal on the disk: one file in the state directory, replaced whole and synced.
//!
//! A journal that cannot be read is put aside and told once; one of another boot means nothing any more. A disk that
//! refuses is told and does not stop the client: presence works with everything else dead.

use crate::intent::{Entry, Intent, VERSION};
use runner::exit::Failure;
use runner::state::StateDir;
use std::fs;
use std::path::{Path, PathBuf};

/// The file's name in the state directory.
pub const FILE: &str = "intent";
/// Where one goes that cannot be read.
pub const BAD_FILE: &str = "intent.bad";

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Which boot of this machine it is; without `/proc` nobody can know, and no journal is trusted.
pub fn boot_id() -> String {
    fs::read_to_string(BOOT_ID).map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The journal.
#[derive(Debug)]
pub struct Journal {
    directory: StateDir,
    path: PathBuf,
    boot: String,
}

impl Journal {
    /// Takes the state directory for this process.
    ///
    /// # Errors
    /// It belongs to another process, or cannot be used.
    pub fn open(path: &Path, boot: String) -> Result<Self, Failure> {
        Ok(Self { directory: StateDir::open(path)?, path: path.into(), boot })
    }

    /// The state directory.
    pub fn directory(&self) -> &StateDir {
        &self.directory
    }

    /// What an earlier run in this boot left off with.
    pub fn load(&self) -> Option<Intent> {
        let bytes = match self.directory.read(FILE) {
            Ok(bytes) => bytes?,
            Err(why) => return self.put_aside(&why.to_string()),
        };
        match serde_json::from_slice::<Entry>(&bytes) {
            Err(why) => self.put_aside(&why.to_string()),
            Ok(entry) if entry.version != VERSION => self.put_aside(&format!("its version is {}", entry.version)),
            Ok(entry) if entry.boot != self.boot || self.boot.is_empty() => {
                tracing::info!("the machine was booted since the journal was written; it is forgotten");
                None
            }
            Ok(entry) => Some(entry.intent),
        }
    }

    fn put_aside(&self, why: &str) -> Option<Intent> {
        let (from, to) = (self.path.join(FILE), self.path.join(BAD_FILE));
        let aside = match fs::rename(&from, &to) {
            Ok(()) => format!("it is kept as {}", to.display()),
            Err(why) => format!("it cannot be put aside: {why}"),
        };
        tracing::warn!("{}: no journal of this version ({why}); {aside}, and this client begins anew", from.display());
        None
    }

    /// Puts an intent on the disk, or takes it away; when it returns, that is done.
    pub fn record(&self, intent: Option<Intent>) {
        let done = match intent {
            Some(intent) => self.directory.replace(FILE, &self.encode(intent)),
            None => self.directory.remove(FILE),
        };
        if let Err(why) = done {
            let path = self.path.join(FILE);
            tracing::error!("{}: {why}; after a crash this client would not know what it did", path.display());
        }
    }

    fn encode(&self, intent: Intent) -> Vec<u8> {
        let entry = Entry { version: VERSION, boot: self.boot.clone(), intent };
        let mut bytes = serde_json::to_vec_pretty(&entry).expect("an entry holds no map and no failing type");
        bytes.push(b'\n');
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Cause;

    const DOWN: Intent = Intent::Down { cause: Cause::Closed, id: None };

    fn journal(path: &Path, boot: &str) -> Journal {
        Journal::open(path, boot.into()).unwrap()
    }

    #[test]
    fn what_was_recorded_is_there_in_this_boot_and_in_no_other() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), "one").record(Some(DOWN));
        assert_eq!(journal(dir.path(), "one").load(), Some(DOWN));
        assert_eq!(journal(dir.path(), "two").load(), None);
        assert_eq!(journal(dir.path(), "").load(), None);
        journal(dir.path(), "one").record(None);
        assert_eq!(journal(dir.path(), "one").load(), None);
    }

    #[test]
    fn what_cannot_be_read_is_put_aside() {
        for bad in ["", "{", r#"{"version":9,"boot":"one","intent":{"phase":"down","cause":"closed","id":null}}"#] {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join(FILE), bad).unwrap();
            assert_eq!(journal(dir.path(), "one").load(), None);
            assert_eq!(fs::read_to_string(dir.path().join(BAD_FILE)).unwrap(), bad);
            assert!(!dir.path().join(FILE).exists());
        }
    }
}
