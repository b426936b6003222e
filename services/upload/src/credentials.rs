//! The key: a file in the format of `~/.aws/credentials`, so that the one of an old set-up goes on as it is. Nobody but its owner may read it.
//! It is never taken from a flag or a variable, which `ps` and `/proc` would show, and never logged.

use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// No file of keys is longer.
const MAX_FILE: u64 = 64 * 1024;

/// Id and secret of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id, which is no secret.
    pub id: String,
    /// Its secret.
    pub secret: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ...)", self.id)
    }
}

/// Reads a profile of a file.
///
/// # Errors
/// It cannot be read, others may read it too, or it holds no such profile; with the remedy.
pub fn read(path: &Path, profile: &str) -> Result<Key, String> {
    let told = |why: String| format!("{}: {why}", path.display());
    let unread = |why: std::io::Error| told(format!("{why}; put the key there, as in man upload"));
    let file = fs::File::open(path).map_err(unread)?;
    let about = file.metadata().map_err(unread)?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(told(format!(
            "others may read it (mode {mode:o}); chmod 600 it, and make a new key if others did"
        )));
    }
    let own = nix::unistd::geteuid().as_raw();
    if about.uid() != own && about.uid() != 0 {
        return Err(told(format!("it belongs to user {}, who could put another key there; chown it", about.uid())));
    }
    let mut text = String::new();
    file.take(MAX_FILE).read_to_string(&mut text).map_err(unread)?;
    parse(&text, profile).map_err(told)
}

/// The key of a profile: the section of its name, or the lines before all sections if the profile is `default`.
fn parse(text: &str, profile: &str) -> Result<Key, String> {
    let mut section = "default";
    let (mut id, mut secret) = (None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.trim();
        } else if let Some((name, value)) =
            line.split_once('=').filter(|_| section == profile && !line.starts_with('#'))
        {
            match name.trim() {
                "aws_access_key_id" => id = Some(value.trim().to_owned()),
                "aws_secret_access_key" => secret = Some(value.trim().to_owned()),
                _ => {}
            }
        }
    }
    let lacks = |what: &str| format!("profile `{profile}` has no {what}; add the line `{what} = ...`, or set PROFILE");
    let some = |value: Option<String>, what: &str| value.filter(|value| !value.is_empty()).ok_or_else(|| lacks(what));
    Ok(Key { id: some(id, "aws_access_key_id")?, secret: some(secret, "aws_secret_access_key")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "# keys\n[default]\naws_access_key_id = A\naws_secret_access_key = s=1\n\n[b2]\n\
                       aws_access_key_id=B\n#aws_secret_access_key = no\n aws_secret_access_key =  s/2+ \nregion = x\n";

    #[test]
    fn a_file_of_the_old_uploader_is_understood() {
        let key = |id: &str, secret: &str| Ok(Key { id: id.into(), secret: secret.into() });
        assert_eq!(parse(OLD, "default"), key("A", "s=1"));
        assert_eq!(parse(OLD, "b2"), key("B", "s/2+"));
        assert_eq!(parse("aws_access_key_id=C\naws_secret_access_key=d", "default"), key("C", "d"));
        assert!(parse(OLD, "c3").unwrap_err().contains("profile `c3` has no aws_access_key_id"));
        assert!(parse("aws_access_key_id=C", "default").unwrap_err().contains("aws_secret_access_key = ..."));
        assert!(parse("aws_access_key_id=\naws_secret_access_key=d", "default").is_err());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(read(&path, "b2").unwrap_err().contains("put the key there"));
        fs::write(&path, OLD).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read(&path, "b2").unwrap_err().contains("others may read it (mode 640); chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(read(&path, "b2").unwrap().id, "B");
    }

    #[test]
    fn the_secret_is_in_no_debug_output() {
        let shown = format!("{:?}", parse(OLD, "b2").unwrap());
        assert!(shown.contains('B') && !shown.contains("s/2"), "{shown}");
    }
}
