//! `STATE_DIR/key`: the secret key of this machine, made at its first start and the same ever after.

use super::disk::{self, Fault};
use super::key::SecretKey;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The name of the file in the state directory.
pub const NAME: &str = "key";

/// What stands before the key in the file, so that nobody takes it for the public one.
const LABEL: &str = "pistop-secret-key";

/// The place of a machine's secret key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// The one in this state directory.
    pub fn within(state: &Path) -> KeyFile {
        KeyFile(state.join(NAME))
    }

    /// The key that is kept, or a new one that is kept from now on. Two that do this at once get the same key.
    ///
    /// # Errors
    /// The file is there and cannot be used, or there is none and the disk does not take one. A key that cannot be
    /// kept is not made: every pairing would end with this run.
    pub fn load_or_make(&self) -> Result<SecretKey, Fault> {
        if let Some(key) = self.load()? {
            return Ok(key);
        }
        let fresh = SecretKey::generate().map_err(|why| self.fault(format!("{why}; no key can be made")))?;
        let text = Zeroizing::new(format!("{LABEL} {}\n", *fresh.reveal()));
        match disk::create(&self.0, text.as_bytes(), 0o600)? {
            true => Ok(fresh),
            false => self.load()?.ok_or_else(|| self.fault("went away while it was read; start again".into())),
        }
    }

    /// The key that is kept, if there is one.
    ///
    /// # Errors
    /// The file cannot be used: others may read it, or it holds no key.
    pub fn load(&self) -> Result<Option<SecretKey>, Fault> {
        let Some((file, metadata)) = disk::open(&self.0)? else { return Ok(None) };
        match metadata.mode() & 0o077 {
            0 => self.parse(file).map(Some),
            _ => {
                let remedy = "if nobody has read it, `chmod 600` it; otherwise delete it and pair again";
                Err(self.fault(format!("may be read by others (mode {:03o}); {remedy}", metadata.mode() & 0o777)))
            }
        }
    }

    fn parse(&self, file: File) -> Result<SecretKey, Fault> {
        let text = Zeroizing::new(disk::text(&self.0, file)?);
        let words: Vec<&str> = text.split_whitespace().collect();
        let remedy = "restore it from a backup, or delete it and pair again";
        match words[..] {
            [LABEL, key] => SecretKey::from_text(key).map_err(|_| self.fault(format!("holds a damaged key; {remedy}"))),
            _ => Err(self.fault(format!("holds no key; {remedy}"))),
        }
    }

    fn fault(&self, why: String) -> Fault {
        Fault::new(&self.0, why)
    }
}
