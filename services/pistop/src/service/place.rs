//! Where services are and who runs them: the service directory, whether an svscan watches it, and the folder of one
//! service in it. [`choose`] is pure.

use clap::ValueEnum;
use runner::supervise::Supervise;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// The tradition of daemontools, and the way of Debian.
const DIRECTORIES: [&str; 2] = ["/service", "/etc/service"];
/// Where indimail's svscan may keep the folders of its supervises.
const INDIMAIL: &str = "/run/svscan";

/// Who runs a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Supervisor {
    /// svscan and supervise.
    Daemontools,
    /// systemd.
    Systemd,
}

impl fmt::Display for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Supervisor::Daemontools => "daemontools",
            Supervisor::Systemd => "systemd",
        })
    }
}

/// What `--supervisor` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Asked {
    /// svscan and supervise
    Daemontools,
    /// systemd
    Systemd,
    /// daemontools if an svscan watches the service directory, or else systemd if it runs this machine, or else daemontools
    Auto,
}

/// Who shall run a new service.
pub fn choose(asked: Asked, svscan: bool, systemd: bool) -> Supervisor {
    match (asked, svscan, systemd) {
        (Asked::Daemontools, ..) | (Asked::Auto, true, _) | (Asked::Auto, _, false) => Supervisor::Daemontools,
        (Asked::Systemd, ..) | (Asked::Auto, false, true) => Supervisor::Systemd,
    }
}

/// `/service` if it is there, or else `/etc/service`.
pub fn directory() -> PathBuf {
    let [tradition, debian] = DIRECTORIES.map(PathBuf::from);
    if tradition.is_dir() { tradition } else { debian }
}

/// Whether an svscan watches this directory: it works in the directory that it was given.
pub fn is_scanned(directory: &Path) -> bool {
    let Ok(whole) = fs::canonicalize(directory) else { return false };
    let works_there = |process: &Path| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == whole);
    let is_svscan =
        |process: &Path| fs::read_to_string(process.join("comm")).is_ok_and(|comm| comm.trim_end() == "svscan");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes.filter(|process| is_svscan(process)).any(|process| works_there(&process))
}

/// Whether systemd is this machine's init (sd_booted(3)).
pub fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// The folder of the supervise of a service or of its log (`part` is empty or `log`). indimail's svscan may keep it
/// elsewhere, and then only for the machine's own service directory.
pub fn supervise(directory: &Path, name: &str, part: &str) -> Supervise {
    let own = DIRECTORIES.iter().any(|own| directory == Path::new(own));
    usual_or(own.then(|| Path::new(INDIMAIL)), &directory.join(name).join(part), name, part)
}

fn usual_or(elsewhere: Option<&Path>, usual: &Path, name: &str, part: &str) -> Supervise {
    let moved =
        elsewhere.map(|elsewhere| elsewhere.join(name).join(part)).filter(|moved| moved.join("supervise").is_dir());
    match moved {
        Some(moved) if !usual.join("supervise").exists() => Supervise::of(&moved),
        _ => Supervise::of(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_svscan_goes_before_systemd_and_a_flag_before_both() {
        let all = [(true, true), (true, false), (false, true), (false, false)];
        let auto = all.map(|(svscan, systemd)| choose(Asked::Auto, svscan, systemd).to_string());
        assert_eq!(auto, ["daemontools", "daemontools", "systemd", "daemontools"]);
        for (svscan, systemd) in all {
            assert_eq!(choose(Asked::Systemd, svscan, systemd), Supervisor::Systemd);
            assert_eq!(choose(Asked::Daemontools, svscan, systemd), Supervisor::Daemontools);
        }
    }

    #[test]
    fn indimails_supervise_is_found_where_there_is_no_usual_one() {
        let dir = tempfile::tempdir().unwrap();
        let (usual, run) = (dir.path().join("service/lamp/log"), dir.path().join("svscan"));
        let found = |elsewhere| usual_or(elsewhere, &usual, "lamp", "log").path().to_path_buf();
        assert_eq!(found(Some(&run)), usual.join("supervise"));
        fs::create_dir_all(run.join("lamp/log/supervise")).unwrap();
        assert_eq!(found(Some(&run)), run.join("lamp/log/supervise"));
        assert_eq!(found(None), usual.join("supervise"), "a directory of somebody's own");
        fs::create_dir_all(usual.join("supervise")).unwrap();
        assert_eq!(found(Some(&run)), usual.join("supervise"));
    }

    #[test]
    fn nobody_watches_a_directory_of_our_own() {
        assert!(!is_scanned(tempfile::tempdir().unwrap().path()));
        assert!(!is_scanned(Path::new("/nowhere")));
    }
}
