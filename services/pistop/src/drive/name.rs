//! Which service a name means: a folder with a `run` in the service directory, or a unit of systemd.

use crate::service::place;
use crate::service::template::is_name;
use runner::exit::Failure;
use runner::supervise::Supervise;
use std::path::{Path, PathBuf};

/// The kinds of units; any other ending belongs to the name, as in `rsync.875`.
const KINDS: [&str; 9] = ["service", "socket", "timer", "mount", "automount", "target", "path", "swap", "slice"];

/// A service directory.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where it is.
    pub path: PathBuf,
    /// What supervise keeps of it.
    pub supervise: Supervise,
}

impl Directory {
    /// The service of that name, if there is one. A path such as `/service/fserver` names itself, as for svc.
    ///
    /// # Errors
    /// It can be no name.
    pub fn find(services: &Path, name: &str) -> Result<Option<Directory>, Failure> {
        let (services, name) = match name.strip_suffix('/').unwrap_or(name).rsplit_once('/') {
            Some((folder, name)) if folder.starts_with('/') || folder.is_empty() => (Path::new(folder), name),
            _ => (services, name),
        };
        if !is_name(name) {
            return Err(Failure::Permanent(format!(
                "`{name}` can be no service; write a name as in fserver, or its full path"
            )));
        }
        let path = services.join(name);
        if !path.join("run").is_file() {
            return Ok(None);
        }
        Ok(Some(Directory { supervise: place::supervise(services, name, ""), path }))
    }
}

/// A unit with its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitName(pub String);

impl UnitName {
    /// `mpd` is `mpd.service`, `mpd.socket` stays what it is.
    ///
    /// # Errors
    /// It is a path.
    pub fn of(name: &str) -> Result<UnitName, Failure> {
        if name.contains('/') {
            return Err(Failure::Permanent(format!("{name} is no service directory: it has no file `run`")));
        }
        let has_kind = name.rsplit_once('.').is_some_and(|(_, kind)| KINDS.contains(&kind));
        Ok(UnitName(if has_kind { name.into() } else { format!("{name}.service") }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_has_a_kind() {
        for (name, unit) in [("mpd", "mpd.service"), ("mpd.socket", "mpd.socket"), ("rsync.875", "rsync.875.service")] {
            assert_eq!(UnitName::of(name).unwrap().0, unit);
        }
        assert!(UnitName::of("/etc/mpd").is_err());
    }

    #[test]
    fn a_folder_with_run_is_a_service_by_its_name_and_by_its_path() {
        let services = tempfile::tempdir().unwrap();
        let find = |name: &str| Directory::find(services.path(), name);
        std::fs::create_dir(services.path().join("lamp")).unwrap();
        assert!(find("lamp").unwrap().is_none());
        std::fs::write(services.path().join("lamp/run"), "").unwrap();
        assert_eq!(find("lamp").unwrap().unwrap().path, services.path().join("lamp"));
        let path = format!("{}/lamp/", services.path().display());
        assert_eq!(Directory::find(Path::new("/nowhere"), &path).unwrap().unwrap().path, services.path().join("lamp"));
        for name in ["", "..", "a/b/..", "--all"] {
            assert!(find(name).is_err(), "{name}");
        }
    }
}
