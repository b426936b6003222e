//! Performs a mount: asks whether the server answers, makes the directory, mounts, and looks into the table whether it
//! is so. Each step is a process that is killed when it hangs.

use crate::child::{self, End, Fault};
use crate::deadline::Deadline;
use crate::errand::Errand;
use crate::nfs::{self, Ends, Next, Options, Share};
use crate::place;
use crate::table::{self, Mount};
use crate::way::{Plan, Way, Wish, choose};
use nix::errno::Errno;
use runner::exit::Failure;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A server that is there answers long before; its name may have to be looked up, too.
const KNOCKING: Duration = Duration::from_secs(5);
/// Where `mount.nfs4` is if nfs-common is installed.
const HELPERS: [&str; 2] = ["/sbin/mount.nfs4", "/usr/sbin/mount.nfs4"];

/// What would be done.
///
/// # Errors
/// Nothing could be done.
pub fn plan(wish: &Wish) -> Result<(Wish, Plan), Failure> {
    let mounts = now()?;
    let target = place::real(absolute(&wish.target)?, &mounts, KNOCKING);
    let wish = Wish { target, ..wish.clone() };
    let plan = choose(&wish, &mounts, &fstab())?;
    Ok((wish, plan))
}

/// Mounts, and says in a sentence how it went.
///
/// # Errors
/// It is not mounted; temporary if it may be the next time.
pub fn mount(wish: &Wish, time: Duration) -> Result<String, Failure> {
    let deadline = Deadline::after(time);
    let (wish, plan) = plan(wish)?;
    let target = &wish.target;
    let ends = plan.first.as_ref().map(|(host, port)| knock(host, *port, deadline)).transpose()?;
    match &plan.way {
        Way::Nothing(what) => return Ok(format!("{} is mounted already: {what}", target.display())),
        Way::Trigger(source) => enter(target, source, deadline)?,
        Way::Fstab => by_fstab(target, deadline)?,
        Way::Nfs(share) => by_nfs(&wish, share, &ends.ok_or_else(|| no_ends(share))?, deadline)?,
    }
    verify(target, &now()?)
}

/// The table of mounts.
///
/// # Errors
/// There is no `/proc`.
pub fn now() -> Result<Vec<Mount>, Failure> {
    table::read().map_err(|why| Failure::Permanent(format!("/proc/self/mountinfo: {why}; mount /proc")))
}

/// A path that means the same for everybody.
///
/// # Errors
/// It does not begin with `/`.
pub fn absolute(path: &Path) -> Result<&Path, Failure> {
    let wrong = || Failure::Permanent(format!("`{}` is no absolute path; begin it with /", path.display()));
    path.is_absolute().then_some(path).ok_or_else(wrong)
}

/// The one that `mount` reads, too. Without one there are no lines.
fn fstab() -> Vec<u8> {
    let path = std::env::var_os("LIBMOUNT_FSTAB").map_or_else(|| PathBuf::from("/etc/fstab"), PathBuf::from);
    std::fs::read(path).unwrap_or_default()
}

fn knock(host: &str, port: u16, deadline: Deadline) -> Result<Ends, Failure> {
    let why = match Errand::Knock(host.to_owned(), port).run(deadline.at_most(KNOCKING)) {
        End::Done(words) => match Ends::parse(&words) {
            Some(ends) => return Ok(ends),
            None => words,
        },
        End::Failed(fault) => fault.said,
        End::Silent(_) => "no answer in time".into(),
    };
    let remedy = "is it up, and does it serve? Set NFS_PORT if it serves at another one";
    Err(Failure::Temporary(format!("{host} does not answer at port {port}: {why}; {remedy}")))
}

fn no_ends(share: &Share) -> Failure {
    Failure::Temporary(format!("the address of {} could not be found", share.host))
}

fn enter(target: &Path, source: &str, deadline: Deadline) -> Result<(), Failure> {
    let why = match Errand::Enter(target.to_owned()).run(deadline.left()) {
        End::Done(_) => return Ok(()),
        End::Failed(fault) => fault.said,
        End::Silent(_) => "it did not return in time".into(),
    };
    let remedy = "look into the log and the map of the automounter";
    Err(Failure::Temporary(format!("{source} did not mount {}: {why}; {remedy}", target.display())))
}

fn by_fstab(target: &Path, deadline: Deadline) -> Result<(), Failure> {
    make_directory(target, deadline)?;
    command(Command::new("mount").arg("--").arg(target), target, deadline)
}

fn command(command: &mut Command, target: &Path, deadline: Deadline) -> Result<(), Failure> {
    let why = match child::run(command, deadline.left()) {
        End::Done(_) => return Ok(()),
        End::Failed(Fault { code, said }) => format!("exit {code}, {said}"),
        End::Silent(said) => format!("it did not return in time and was ended; it had said `{said}`"),
    };
    Err(Failure::Temporary(format!("mount {}: {why}", target.display())))
}

fn make_directory(target: &Path, deadline: Deadline) -> Result<(), Failure> {
    let fault = match Errand::MakeDirectory(target.to_owned()).run(deadline.left()) {
        End::Done(_) => return Ok(()),
        End::Failed(fault) => fault,
        End::Silent(_) => Fault { code: Errno::ETIMEDOUT as i32, said: "it did not return in time".into() },
    };
    Err(no_directory(target, &fault))
}

fn no_directory(target: &Path, Fault { code, said }: &Fault) -> Failure {
    let why = format!("the directory {} cannot be made: {said}", target.display());
    match Errno::from_raw(*code) {
        Errno::EEXIST | Errno::ENOTDIR => Failure::Permanent(format!("{why}; a file has its place, move that away")),
        Errno::EROFS | Errno::EACCES | Errno::EPERM => Failure::Permanent(format!("{why}; make it as root")),
        Errno::ENOSPC | Errno::EDQUOT => Failure::Temporary(format!("{why}; make room on the disk")),
        _ => Failure::Temporary(why),
    }
}

fn by_nfs(wish: &Wish, share: &Share, ends: &Ends, deadline: Deadline) -> Result<(), Failure> {
    make_directory(&wish.target, deadline)?;
    let (options, port) = (Options::parse(&wish.options), wish.port.unwrap_or(nfs::PORT));
    let (source, versions) = (share.at(&ends.server), options.versions());
    for (index, version) in versions.iter().enumerate() {
        let data = options.data(*version, ends, port);
        let errand = Errand::MountNfs(source.clone().into(), wish.target.clone(), data, options.flags);
        let errno = match errand.run(deadline.left()) {
            End::Done(_) => return Ok(()),
            End::Failed(fault) => Errno::from_raw(fault.code),
            End::Silent(_) => Errno::ETIMEDOUT,
        };
        match nfs::after(errno, index + 1 == versions.len(), &source, &wish.target) {
            Next::OlderVersion => (),
            Next::Helper => return by_helper(&wish.target, share, &options.for_helper(port), deadline),
            Next::Over(failure) => return Err(failure),
        }
    }
    unreachable!("after the last version it is over")
}

fn by_helper(target: &Path, share: &Share, options: &str, deadline: Deadline) -> Result<(), Failure> {
    if !HELPERS.iter().any(|helper| Path::new(helper).exists()) {
        return Err(no_nfs());
    }
    let mut mount = Command::new("mount");
    mount.args(["-t", "nfs4", "-o", options, "--", &share.at(&share.host)]).arg(target);
    command(&mut mount, target, deadline).map_err(|failure| if knows_nfs() { failure } else { no_nfs() })
}

fn knows_nfs() -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.split_ascii_whitespace().any(|word| word == "nfs4")
}

fn no_nfs() -> Failure {
    let remedy = "run `modprobe nfs`; if that fails, install the package with this kernel's modules, and nfs-common";
    Failure::Permanent(format!("this kernel has no NFS: {remedy}"))
}

fn verify(target: &Path, mounts: &[Mount]) -> Result<String, Failure> {
    if let Some(mount) = table::standing(mounts, target) {
        return Ok(format!("{} is mounted: {} ({})", target.display(), mount.source.display(), mount.kind));
    }
    match table::covering(mounts, target).filter(|mount| !mount.is_trigger()) {
        Some(mount) if mount.target != Path::new("/") => Err(Failure::Permanent(format!(
            "{} is a directory inside of {}, which is mounted; set MDRIVE to that",
            target.display(),
            mount.target.display()
        ))),
        _ => Err(Failure::Temporary(format!("{} is still not mounted, though nobody complained", target.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::parse;

    #[test]
    fn only_the_table_says_that_it_is_mounted() {
        let mounts =
            parse(b"1 0 0:1 / / rw - ext4 d rw\n2 1 0:2 / /net rw - autofs a rw\n3 2 0:3 / /net/m rw - nfs4 s:/ rw\n");
        let verify = |path: &str| verify(Path::new(path), &mounts);
        assert_eq!(verify("/net/m").unwrap(), "/net/m is mounted: s:/ (nfs4)");
        assert!(matches!(verify("/net/m/sub"), Err(Failure::Permanent(why)) if why.contains("set MDRIVE")));
        assert!(matches!(verify("/net/x"), Err(Failure::Temporary(_))));
        assert!(matches!(verify("/else"), Err(Failure::Temporary(_))));
    }

    #[test]
    fn a_directory_that_cannot_be_is_named_with_the_remedy() {
        let failure = |errno: Errno| no_directory(Path::new("/m"), &std::io::Error::from(errno).into());
        assert!(matches!(failure(Errno::ENOSPC), Failure::Temporary(why) if why.contains("make room")));
        assert!(matches!(failure(Errno::EEXIST), Failure::Permanent(why) if why.contains("a file has its place")));
        assert!(matches!(failure(Errno::EROFS), Failure::Permanent(_)));
    }

    #[test]
    fn a_path_begins_at_the_root() {
        assert!(absolute(Path::new("/m")).is_ok());
        assert!(matches!(absolute(Path::new("m")), Err(Failure::Permanent(_))));
    }
}
