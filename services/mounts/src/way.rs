//! How a directory is to be mounted: it is already, by the automounter that watches it, by its line in `/etc/fstab`, or
//! by NFS as the settings say. Pure; in this order, as the machine's own set-up knows more than we do.

use crate::fstab;
use crate::nfs::{self, Share};
use crate::table::{self, Mount};
use runner::exit::Failure;
use std::fmt;
use std::path::{Path, PathBuf};

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Where.
    pub target: PathBuf,
    /// The server that is followed, if it is known.
    pub host: Option<String>,
    /// The port that has to answer first; `None` if nobody is to be asked.
    pub port: Option<u16>,
    /// What, if the owner says so: `server:/path` or `/path`.
    pub source: Option<String>,
    /// Options for NFS, if it is mounted by that.
    pub options: String,
}

/// How it is to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// It is mounted; this is what lies there.
    Nothing(String),
    /// Whoever goes into it makes this automounter mount it.
    Trigger(String),
    /// `mount` knows it.
    Fstab,
    /// By ourselves.
    Nfs(Share),
}

/// How, and who has to answer first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How.
    pub way: Way,
    /// Host and port.
    pub first: Option<(String, u16)>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((host, port)) = &self.first {
            write!(f, "if {host} answers at port {port}, ")?;
        }
        match &self.way {
            Way::Nothing(what) => write!(f, "do nothing, {what} is mounted there"),
            Way::Trigger(source) => write!(f, "go into it, so that the automounter ({source}) mounts it"),
            Way::Fstab => write!(f, "mount it by its line in /etc/fstab"),
            Way::Nfs(share) => write!(f, "mount {} by NFS version 4", share.at(&share.host)),
        }
    }
}

/// How this directory is to be mounted, seeing this table and this `/etc/fstab`.
///
/// # Errors
/// Nobody says what belongs there, or the owner's word cannot be understood.
pub fn choose(wish: &Wish, mounts: &[Mount], fstab: &[u8]) -> Result<Plan, Failure> {
    if let Some(mount) = table::standing(mounts, &wish.target) {
        let what = format!("{} ({})", mount.source.display(), mount.kind);
        return Ok(Plan { way: Way::Nothing(what), first: None });
    }
    if let Some(trigger) = table::covering(mounts, &wish.target).filter(|mount| mount.is_trigger()) {
        let way = Way::Trigger(trigger.source.display().to_string());
        return Ok(Plan { way, first: wish.host.clone().zip(wish.port) });
    }
    if let Some(line) = fstab::find(fstab, &wish.target) {
        return Ok(Plan { way: Way::Fstab, first: server_of(&line, wish) });
    }
    let source = wish.source.as_deref().ok_or_else(|| unknown(&wish.target))?;
    let share = Share::parse(source, wish.host.as_deref()).ok_or_else(|| not_understood(source))?;
    // Its addresses are needed in any case, so it is asked in any case.
    let first = Some((share.host.clone(), wish.port.unwrap_or(nfs::PORT)));
    Ok(Plan { way: Way::Nfs(share), first })
}

fn server_of(line: &fstab::Line, wish: &Wish) -> Option<(String, u16)> {
    let share = Share::parse(line.source.to_str()?, None).filter(|_| line.kind == "nfs" || line.kind == "nfs4")?;
    let port = line.option("port").and_then(|port| port.parse().ok());
    Some((share.host, wish.port.map(|usual| port.unwrap_or(usual))?))
}

/// The automounter may only be about to start.
fn unknown(target: &Path) -> Failure {
    let remedy = "no automounter watches it and /etc/fstab has no line for it; set MDRIVE_SOURCE to SERVER:/PATH";
    Failure::Temporary(format!("nobody says what belongs on {}: {remedy}", target.display()))
}

fn not_understood(source: &str) -> Failure {
    let remedy = "write SERVER:/PATH, as in attic:/MDrive, or /PATH and set HOST";
    Failure::Permanent(format!("MDRIVE_SOURCE `{source}` names no directory of a server; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::parse;

    const TABLE: &[u8] = b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /auto rw - autofs /etc/autofs.mounts rw\n\
        3 2 0:3 / /auto/there rw - nfs4 attic:/x rw\n4 1 0:4 / /direct rw - autofs systemd-1 rw\n\
        5 4 0:5 / /direct rw - ext4 /dev/sda1 rw\n6 1 0:6 / /waits rw - autofs systemd-1 rw\n";
    const FSTAB: &[u8] =
        b"attic:/m /m nfs4 noauto 0 0\nattic:/p /p nfs noauto,port=2050 0 0\n/dev/sda1 /d ext4 noauto 0 0\n";

    fn wish(target: &str) -> Wish {
        let host = Some("musicpi".to_owned());
        Wish { target: target.into(), host, port: Some(2049), source: None, options: String::new() }
    }

    fn plan(wish: &Wish) -> Result<Plan, Failure> {
        choose(wish, &parse(TABLE), FSTAB)
    }

    fn first(host: &str, port: u16) -> Option<(String, u16)> {
        Some((host.to_owned(), port))
    }

    #[test]
    fn what_is_mounted_stays_and_a_trigger_is_not_mounted() {
        for target in ["/auto/there", "/direct"] {
            assert!(matches!(plan(&wish(target)).unwrap().way, Way::Nothing(_)), "{target}");
        }
        for (target, source) in [("/auto/else", "/etc/autofs.mounts"), ("/waits", "systemd-1")] {
            let expected = Plan { way: Way::Trigger(source.into()), first: first("musicpi", 2049) };
            assert_eq!(plan(&wish(target)).unwrap(), expected);
        }
        assert_eq!(plan(&Wish { port: None, ..wish("/waits") }).unwrap().first, None);
        assert_eq!(plan(&Wish { host: None, ..wish("/waits") }).unwrap().first, None);
    }

    #[test]
    fn a_line_in_fstab_names_the_server_that_must_answer() {
        assert_eq!(plan(&wish("/m")).unwrap(), Plan { way: Way::Fstab, first: first("attic", 2049) });
        assert_eq!(plan(&wish("/p")).unwrap().first, first("attic", 2050));
        assert_eq!(plan(&wish("/d")).unwrap(), Plan { way: Way::Fstab, first: None });
    }

    #[test]
    fn the_settings_come_last() {
        let own = |source: &str| Wish { source: Some(source.into()), ..wish("/new") };
        let share = Share { host: "musicpi".into(), path: "/MDrive".into() };
        assert_eq!(plan(&own("/MDrive")).unwrap(), Plan { way: Way::Nfs(share), first: first("musicpi", 2049) });
        assert_eq!(plan(&Wish { port: None, ..own("/MDrive") }).unwrap().first, first("musicpi", 2049));
        assert!(matches!(plan(&own("nonsense")), Err(Failure::Permanent(_))));
        assert!(matches!(plan(&wish("/new")), Err(Failure::Temporary(_))));
    }
}
