//! One step that may hang, done by this same program as a process of its own: `fclient errand unmount /MDrive plain`.
//! No command for people: whoever runs it says what is to be done, and nothing is asked twice.
//!
//! What always holds: an errand changes at most one thing, says in words what it found, and exits with the kernel's error
//! number, so that whoever sent it can decide. If its sender dies, it dies, too.

use crate::child::{End, Fault, run};
use crate::holders;
use crate::place;
use crate::policy::How;
use nix::errno::Errno;
use nix::mount::MntFlags;
use nix::sys::signal::Signal;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use sys_mount::{MountFlags, UnmountFlags};

/// The first argument of a program that is run for an errand.
const WORD: &str = "errand";
/// How long one address of a server may take to answer.
pub const ANSWER: Duration = Duration::from_secs(2);
/// An exit code that is no error number: the errand was not understood.
const NOT_UNDERSTOOD: i32 = 200;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Find the server's address and knock at a port; says the address that answered and our own towards it.
    Knock(String, u16),
    /// Make a directory, with all above it.
    MakeDirectory(PathBuf),
    /// Go into a directory, which is what an automounter waits for.
    Enter(PathBuf),
    /// Find where a name leads, without going into a mount.
    Follow(PathBuf),
    /// Mount by NFS, version 4: source, directory, data, flags.
    MountNfs(OsString, PathBuf, String, MountFlags),
    /// Write what is in memory to the disk that lies there.
    Sync(PathBuf),
    /// Unmount.
    Unmount(PathBuf, How),
    /// Find who keeps a mount busy; one a line.
    FindHolders(PathBuf),
}

impl Errand {
    /// Sends this program on the errand, for at most so long.
    #[must_use]
    pub fn run(&self, limit: Duration) -> End {
        // A program that was replaced by a newer one while it runs is still there under this name.
        let program = std::env::current_exe().ok().filter(|path| !path.as_os_str().as_bytes().ends_with(b" (deleted)"));
        let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        run(Command::new(program).arg(WORD).args(self.words()), limit)
    }

    fn words(&self) -> Vec<OsString> {
        match self {
            Errand::Knock(host, port) => vec!["knock".into(), host.into(), port.to_string().into()],
            Errand::MakeDirectory(path) => vec!["make-directory".into(), path.into()],
            Errand::Enter(path) => vec!["enter".into(), path.into()],
            Errand::Follow(path) => vec!["follow".into(), path.into()],
            Errand::MountNfs(source, target, data, flags) => {
                let flags = flags.bits().to_string();
                vec!["mount-nfs".into(), source.clone(), target.into(), data.into(), flags.into()]
            }
            Errand::Sync(path) => vec!["sync".into(), path.into()],
            Errand::Unmount(path, how) => vec!["unmount".into(), path.into(), how.word().into()],
            Errand::FindHolders(path) => vec!["find-holders".into(), path.into()],
        }
    }

    fn parse(words: &[OsString]) -> Option<Errand> {
        let (name, rest) = words.split_first()?;
        let text = |word: &OsString| word.to_str().map(str::to_owned);
        Some(match (name.to_str()?, rest) {
            ("knock", [host, port]) => Errand::Knock(text(host)?, text(port)?.parse().ok()?),
            ("make-directory", [path]) => Errand::MakeDirectory(path.into()),
            ("enter", [path]) => Errand::Enter(path.into()),
            ("follow", [path]) => Errand::Follow(path.into()),
            ("mount-nfs", [source, target, data, flags]) => {
                let flags = MountFlags::from_bits_retain(text(flags)?.parse().ok()?);
                Errand::MountNfs(source.clone(), target.into(), text(data)?, flags)
            }
            ("sync", [path]) => Errand::Sync(path.into()),
            ("unmount", [path, how]) => Errand::Unmount(path.into(), How::of_word(how.to_str()?)?),
            ("find-holders", [path]) => Errand::FindHolders(path.into()),
            _ => return None,
        })
    }

    fn perform(&self) -> Result<String, Fault> {
        match self {
            Errand::Knock(host, port) => knock(host, *port),
            Errand::MakeDirectory(path) => Ok(make_directory(path)?),
            Errand::Enter(path) => Ok(File::open(path.join(".")).map(drop).map(nothing)?),
            Errand::Follow(path) => Ok(place::follow(path)?.display().to_string()),
            Errand::MountNfs(source, target, data, flags) => Ok(mount_nfs(source, target, data, *flags)?),
            Errand::Sync(path) => Ok(nix::unistd::syncfs(File::open(path)?).map(nothing).map_err(io::Error::from)?),
            Errand::Unmount(path, how) => Ok(sys_mount::unmount(path, flags(*how)).map(nothing)?),
            Errand::FindHolders(path) => Ok(holders::tell(path, &mut io::stdout()).map(nothing)?),
        }
    }
}

/// The first line of a program that uses this crate: if it was started for an errand, it does that and ends here.
pub fn obey() {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if words.first().is_some_and(|word| word == WORD) {
        std::process::exit(obeyed(&words[1..]));
    }
}

fn obeyed(words: &[OsString]) -> i32 {
    // Without it an errand that hangs outlives a sender who was killed, and may mount later what nobody wants any more.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    let Some(errand) = Errand::parse(words) else { return NOT_UNDERSTOOD };
    let (code, words) = match errand.perform() {
        Ok(words) => (0, words),
        Err(Fault { code, said }) => (code, said),
    };
    // With nobody to hear it, the exit code still speaks.
    let _ = writeln!(io::stdout(), "{words}");
    code
}

fn nothing((): ()) -> String {
    String::new()
}

fn knock(host: &str, port: u16) -> Result<String, Fault> {
    let unknown = |why: io::Error| Fault { code: Errno::EHOSTUNREACH as i32, said: format!("its address: {why}") };
    let mut fault = Fault { code: Errno::EHOSTUNREACH as i32, said: "it has no address".into() };
    for address in (host, port).to_socket_addrs().map_err(unknown)? {
        match TcpStream::connect_timeout(&address, ANSWER) {
            Ok(stream) => return Ok(format!("{} {}", bare(address), bare(stream.local_addr()?))),
            Err(why) if why.kind() == io::ErrorKind::TimedOut => fault = io::Error::from(Errno::ETIMEDOUT).into(),
            Err(why) => fault = why.into(),
        }
    }
    Err(fault)
}

/// The address as the kernel's NFS reads it: a link-local one with its interface.
fn bare(address: SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        other => other.ip().to_string(),
    }
}

fn make_directory(path: &Path) -> io::Result<String> {
    DirBuilder::new().recursive(true).mode(0o755).create(path).map(nothing)
}

fn mount_nfs(source: &OsStr, target: &Path, data: &str, flags: MountFlags) -> io::Result<String> {
    let mount = sys_mount::Mount::builder().fstype("nfs4").flags(flags).data(data).mount(source, target);
    mount.map(|_| String::new())
}

/// `UnmountFlags::NOFOLLOW` of sys-mount is open(2)'s O_NOFOLLOW, which umount2(2) refuses; the number of
/// UMOUNT_NOFOLLOW is another one.
fn flags(how: How) -> UnmountFlags {
    UnmountFlags::from_bits_retain(MntFlags::UMOUNT_NOFOLLOW.bits())
        | match how {
            How::Plain => UnmountFlags::empty(),
            How::Force => UnmountFlags::FORCE,
            How::Detach => UnmountFlags::DETACH,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn what_is_said_is_what_is_understood() {
        let path = || PathBuf::from(OsString::from_vec(b"/my share\xff\n".to_vec()));
        let flags = MountFlags::RDONLY | MountFlags::NOSUID;
        let errands = [
            Errand::Knock("attic".into(), 2049),
            Errand::MakeDirectory(path()),
            Errand::Enter(path()),
            Errand::Follow(path()),
            Errand::MountNfs("10.0.0.1:/a b".into(), path(), "vers=4.2,soft".into(), flags),
            Errand::Sync(path()),
            Errand::Unmount(path(), How::Plain),
            Errand::Unmount(path(), How::Force),
            Errand::Unmount(path(), How::Detach),
            Errand::FindHolders(path()),
        ];
        for errand in errands {
            assert_eq!(Errand::parse(&errand.words()).as_ref(), Some(&errand));
        }
        assert_eq!(Errand::parse(&["unmount".into(), "/x".into(), "gently".into()]), None);
        assert_eq!(Errand::parse(&[]), None);
    }

    #[test]
    fn a_knock_finds_both_ends() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(knock("127.0.0.1", port).unwrap(), "127.0.0.1 127.0.0.1");
        drop(listener);
        assert_eq!(knock("127.0.0.1", port).unwrap_err().code, Errno::ECONNREFUSED as i32);
        let link_local = "[fe80::1%7]:2049".parse::<SocketAddr>().unwrap();
        assert_eq!(bare(link_local), "fe80::1%7");
    }

    #[test]
    fn a_directory_is_made_and_a_file_is_none() {
        let scratch = tempfile::tempdir().unwrap();
        let (inner, file) = (scratch.path().join("a/b"), scratch.path().join("file"));
        make_directory(&inner).unwrap();
        make_directory(&inner).unwrap();
        std::fs::write(&file, "").unwrap();
        let codes = [file.clone(), file.join("x")].map(|path| make_directory(&path).unwrap_err().raw_os_error());
        assert!(codes.iter().all(|code| [Some(17), Some(20)].contains(code)), "{codes:?}");
    }
}
