//! NFS version 4 by mount(2) alone, without `mount.nfs`: what the kernel has to be told (nfs(5)), and what its answers
//! mean. Pure.

use nix::errno::Errno;
use runner::exit::Failure;
use std::net::Ipv6Addr;
use std::path::Path;
use sys_mount::MountFlags;

/// The port of NFS version 4.
pub const PORT: u16 = 2049;
/// Newest first; a server or kernel that lacks one says so at once.
const VERSIONS: [&str; 3] = ["4.2", "4.1", "4.0"];
/// A program that waits for a dead server gets an error after about half a minute and does not wait for ever: 5 s, 10 s
/// and 15 s. The owner's options come after these and win.
const PATIENCE: [&str; 3] = ["soft", "timeo=50", "retrans=2"];

/// A directory of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Its name or address.
    pub host: String,
    /// The directory, from its root of exports.
    pub path: String,
}

impl Share {
    /// `server:/path`, `[fd00::10]:/path`, or `/path` on the server that is followed anyway.
    #[must_use]
    pub fn parse(source: &str, host: Option<&str>) -> Option<Share> {
        let (host, path) = match source.split_once(":/") {
            Some((host, path)) => (Some(host), format!("/{path}")),
            None => (host, source.to_owned()),
        };
        let host = host?.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
        (path.starts_with('/') && !host.is_empty()).then_some(Share { host, path })
    }

    /// As the kernel and `mount` read it: an IPv6 address stands in brackets.
    #[must_use]
    pub fn at(&self, host: &str) -> String {
        let bracketed = host.split('%').next().is_some_and(|bare| bare.parse::<Ipv6Addr>().is_ok());
        if bracketed { format!("[{host}]:{}", self.path) } else { format!("{host}:{}", self.path) }
    }
}

/// The addresses of both ends, as a knock at the server's port found them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The server's.
    pub server: String,
    /// Ours towards it.
    pub client: String,
}

impl Ends {
    /// As [`crate::errand::Errand::Knock`] says them.
    #[must_use]
    pub fn parse(words: &str) -> Option<Ends> {
        let (server, client) = words.split_once(' ')?;
        Some(Ends { server: server.to_owned(), client: client.to_owned() })
    }
}

/// The owner's options: what the kernel takes as flags, and what is for NFS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The flags.
    pub flags: MountFlags,
    /// The rest, in their order.
    pub words: Vec<String>,
}

/// What mount(2) takes as a flag.
const FLAGS: [(&str, MountFlags); 9] = [
    ("ro", MountFlags::RDONLY),
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
    ("noatime", MountFlags::NOATIME),
    ("nodiratime", MountFlags::NODIRATIME),
    ("relatime", MountFlags::RELATIME),
    ("strictatime", MountFlags::STRICTATIME),
    ("sync", MountFlags::SYNCHRONOUS),
];
/// What is so anyway, or is meant for `mount`, `mount.nfs` and systemd; the kernel would refuse it.
const FOR_OTHERS: [&str; 16] = [
    "", "defaults", "rw", "suid", "dev", "exec", "atime", "diratime", "async", "auto", "noauto", "user", "users",
    "_netdev", "nofail", "fg",
];
const PREFIXES_FOR_OTHERS: [&str; 4] = ["x-", "X-", "comment=", "retry="];

impl Options {
    /// As in `/etc/fstab`, separated by commas.
    #[must_use]
    pub fn parse(text: &str) -> Options {
        let mut options = Options { flags: MountFlags::empty(), words: Vec::new() };
        for word in text.split(',').map(str::trim) {
            match FLAGS.iter().find(|(name, _)| *name == word) {
                Some((_, flag)) => options.flags |= *flag,
                None if for_others(word) => (),
                None => options.words.push(word.to_owned()),
            }
        }
        options
    }

    /// Which versions are tried: the owner's, or ours from the newest on.
    #[must_use]
    pub fn versions(&self) -> Vec<Option<&'static str>> {
        let named = |word: &String| ["vers=", "nfsvers=", "minorversion="].iter().any(|name| word.starts_with(name));
        match self.words.iter().any(named) {
            true => vec![None],
            false => VERSIONS.map(Some).to_vec(),
        }
    }

    /// What the kernel is told beside the source.
    #[must_use]
    pub fn data(&self, version: Option<&str>, ends: &Ends, port: u16) -> String {
        let version = version.map(|version| format!("vers={version}"));
        let ends = [format!("addr={}", ends.server), format!("clientaddr={}", ends.client)];
        let words: Vec<String> = version.into_iter().chain(ends).chain(self.common(port)).collect();
        words.join(",")
    }

    /// What `mount.nfs` is told; addresses and version it finds by itself.
    #[must_use]
    pub fn for_helper(&self, port: u16) -> String {
        let flags = FLAGS.iter().filter(|(_, flag)| self.flags.contains(*flag)).map(|(name, _)| (*name).to_owned());
        flags.chain(self.common(port)).collect::<Vec<_>>().join(",")
    }

    fn common(&self, port: u16) -> impl Iterator<Item = String> {
        let port = (port != PORT).then(|| format!("port={port}"));
        port.into_iter().chain(PATIENCE.map(str::to_owned)).chain(self.words.iter().cloned())
    }
}

fn for_others(word: &str) -> bool {
    FOR_OTHERS.contains(&word) || PREFIXES_FOR_OTHERS.iter().any(|prefix| word.starts_with(prefix))
}

/// What follows from the kernel's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Another version may be known on both sides.
    OlderVersion,
    /// This kernel has no NFS; `mount.nfs` may load it.
    Helper,
    /// It is over.
    Over(Failure),
}

/// What follows from the kernel's error number; `last` if no older version is left.
#[must_use]
pub fn after(errno: Errno, last: bool, source: &str, target: &Path) -> Next {
    match errno {
        Errno::EPROTONOSUPPORT | Errno::EINVAL if !last => Next::OlderVersion,
        Errno::ENODEV => Next::Helper,
        other => Next::Over(refusal(other, source, target)),
    }
}

/// The refusal in words. What the owner of the server or the network may mend while we wait is temporary.
fn refusal(errno: Errno, source: &str, target: &Path) -> Failure {
    let at = format!("{source} cannot be mounted on {}: {}", target.display(), errno.desc());
    match errno {
        Errno::EPERM => Failure::Permanent(format!("{at}; root is needed, and an export that allows this machine")),
        Errno::EINVAL => Failure::Permanent(format!("{at}; look at MOUNT_OPTIONS, and at the last lines of `dmesg`")),
        Errno::EPROTONOSUPPORT => Failure::Permanent(format!("{at}; the server has no NFS version 4")),
        Errno::ENOTDIR => Failure::Permanent(format!("{at}; both have to be directories")),
        Errno::EACCES => Failure::Temporary(format!("{at}; look at /etc/exports on the server")),
        Errno::ENOENT => Failure::Temporary(format!("{at}; does the server export this directory?")),
        _ => Failure::Temporary(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> Ends {
        Ends::parse("10.77.0.1 10.77.0.2").unwrap()
    }

    #[test]
    fn a_share_is_written_in_four_ways() {
        let cases = [
            ("attic:/MDrive", "attic", "/MDrive"),
            ("[fd00::10]:/a b", "fd00::10", "/a b"),
            ("fd00::10:/", "fd00::10", "/"),
            ("/MDrive", "musicpi", "/MDrive"),
        ];
        for (source, host, path) in cases {
            let share = Share::parse(source, Some("musicpi")).unwrap();
            assert_eq!((share.host.as_str(), share.path.as_str()), (host, path));
        }
        assert_eq!(Share::parse("/MDrive", None), None);
        for wrong in ["attic", "attic:MDrive", ":/x", ""] {
            assert_eq!(Share::parse(wrong, Some("musicpi")), None, "{wrong}");
        }
    }

    #[test]
    fn the_source_has_the_address_in_brackets_if_it_needs_them() {
        let share = Share { host: "attic".into(), path: "/m".into() };
        let sources = ["attic", "10.0.0.1", "fd00::1", "fe80::1%2"].map(|host| share.at(host));
        assert_eq!(sources, ["attic:/m", "10.0.0.1:/m", "[fd00::1]:/m", "[fe80::1%2]:/m"]);
    }

    #[test]
    fn the_kernel_is_told_what_it_needs() {
        let data = Options::parse("").data(Some("4.2"), &ends(), PORT);
        assert_eq!(data, "vers=4.2,addr=10.77.0.1,clientaddr=10.77.0.2,soft,timeo=50,retrans=2");
        let own = Options::parse("hard,timeo=600").data(Some("4.1"), &ends(), 2050);
        assert!(
            own.ends_with(",port=2050,soft,timeo=50,retrans=2,hard,timeo=600"),
            "the owner's words are last: {own}"
        );
    }

    #[test]
    fn options_are_sorted_into_flags_words_and_what_is_for_others() {
        let text = "defaults,ro,noatime,_netdev,x-systemd.automount,retry=1,rsize=32768,noauto, nosuid,";
        let options = Options::parse(text);
        assert_eq!(options.flags, MountFlags::RDONLY | MountFlags::NOATIME | MountFlags::NOSUID);
        assert_eq!(options.words, ["rsize=32768"]);
        assert_eq!(options.for_helper(PORT), "ro,nosuid,noatime,soft,timeo=50,retrans=2,rsize=32768");
    }

    #[test]
    fn the_owner_may_name_the_version() {
        assert_eq!(Options::parse("soft").versions(), [Some("4.2"), Some("4.1"), Some("4.0")]);
        for named in ["vers=4.1", "nfsvers=4", "minorversion=1"] {
            let options = Options::parse(named);
            assert_eq!(options.versions(), [None]);
            assert!(options.data(None, &ends(), PORT).starts_with("addr="), "{named}");
        }
    }

    #[test]
    fn each_refusal_leads_somewhere() {
        let after = |errno, last| after(errno, last, "10.0.0.1:/m", Path::new("/m"));
        for errno in [Errno::EPROTONOSUPPORT, Errno::EINVAL] {
            assert_eq!(after(errno, false), Next::OlderVersion);
            assert!(matches!(after(errno, true), Next::Over(Failure::Permanent(_))));
        }
        assert_eq!(after(Errno::ENODEV, true), Next::Helper);
        assert!(matches!(after(Errno::ECONNREFUSED, true), Next::Over(Failure::Temporary(_))));
        let Next::Over(Failure::Permanent(why)) = after(Errno::EPERM, false) else { panic!() };
        assert!(why.contains("root is needed"), "{why}");
    }
}
