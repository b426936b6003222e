//! Which executables belong to an event: the files `NN-verb-object` of its folder in several directories, in the order
//! of their names. A file in a later directory takes the place of one with the same name; a link to `/dev/null` there
//! switches it off. A file that cannot be a hook is kept with its fault, so that a slip is seen and not skipped.

use super::{Hook, legacy};
use crate::settings::BadConfig;
use protocol::hook::HookEvent;
use protocol::name::printable;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The hooks of an event. `home` is where an old set-up has its `.pistop` folder: a `pistopstart` there replaces all
/// hooks, `pre_mount` and its three siblings run around them.
///
/// # Errors
/// A folder that is there cannot be read. A missing one is fine.
pub fn find(event: HookEvent, directories: &[PathBuf], home: Option<&Path>) -> Result<Vec<Hook>, BadConfig> {
    if let Some(script) = home.and_then(|home| legacy::start_script(event, home)) {
        return Ok(vec![script]);
    }
    let mut files = BTreeMap::new();
    for directory in directories {
        let folder = directory.join(event.name());
        files.extend(names(&folder)?.into_iter().map(|name| (name.clone(), folder.join(name))));
    }
    files.retain(|_, path| !is_switched_off(path));
    let hooks = files.into_iter().map(|(name, path)| hook(event, &name, path)).collect();
    Ok(match home {
        Some(home) => legacy::with_mount_scripts(event, home, hooks),
        None => hooks,
    })
}

pub(super) fn names(folder: &Path) -> Result<Vec<OsString>, BadConfig> {
    let entries = match fs::read_dir(folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.and_then(|entries| entries.map(|entry| entry.map(|e| e.file_name())).collect()),
    };
    let names: Vec<OsString> = entries.map_err(|why| BadConfig {
        source: folder.display().to_string(),
        key: String::new(),
        why: format!("cannot be read ({why}); make it a directory of hooks that this user can read"),
    })?;
    Ok(names.into_iter().filter(|name| !is_ignored(name.as_bytes())).collect())
}

fn is_ignored(name: &[u8]) -> bool {
    name.starts_with(b".")
        || name.starts_with(b"README")
        || name.ends_with(b"~")
        || name.windows(6).any(|part| part == b".dpkg-")
}

fn is_switched_off(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|to| to == Path::new("/dev/null"))
}

fn hook(event: HookEvent, name: &OsStr, path: PathBuf) -> Hook {
    // A hook may be run in another directory, so its path must not depend on ours.
    let program = std::path::absolute(&path).unwrap_or(path);
    Hook {
        name: format!("{event}/{}", printable(name.as_bytes())),
        fault: fault(name, &program),
        program,
        arguments: Vec::new(),
        directory: None,
        legacy_socket: false,
    }
}

fn fault(name: &OsStr, path: &Path) -> Option<String> {
    let shown = path.display();
    if name.to_str().and_then(verb).is_none() {
        return Some(format!("name must be NN-verb-object, as in 20-mount-share; rename {shown}"));
    }
    match fs::metadata(path) {
        Err(why) => Some(format!("cannot be read ({why}); mend or remove {shown}")),
        Ok(file) if !file.is_file() => Some(format!("is no file; move {shown} out of the hooks")),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => {
            Some(format!("has no run bit; run `chmod +x {shown}`, or remove it"))
        }
        Ok(_) => None,
    }
}

/// The verb in `NN-verb-object`, if the name has that form.
pub(super) fn verb(name: &str) -> Option<&str> {
    let (number, rest) = name.split_once('-')?;
    let (verb, object) = rest.split_once('-')?;
    let is_number = number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit());
    let is_verb = !verb.is_empty() && verb.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let is_object = !object.is_empty() && object.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (is_number && is_verb && is_object).then_some(verb)
}

#[cfg(test)]
mod tests;
