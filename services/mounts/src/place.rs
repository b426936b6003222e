//! Where a name leads that is a symbolic link: the table of mounts knows real paths only. A link is looked at by an
//! errand, and never one that lies where nobody may answer.

use crate::child::End;
use crate::errand::Errand;
use crate::table::{self, Mount, lexical};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A look at a few links on our own disk takes no longer.
const LOOK: Duration = Duration::from_secs(2);
/// More links in a row than this lead in a circle; the kernel's own limit is the same.
const MOST_LINKS: usize = 40;

/// The path under which the table knows this directory; the path itself if it cannot be found out.
#[must_use]
pub fn real(path: &Path, mounts: &[Mount], limit: Duration) -> PathBuf {
    let path = lexical(path);
    if table::topmost(mounts, &path).is_some() || !answers(mounts, &path) {
        return path;
    }
    match Errand::Follow(path.clone()).run(limit.min(LOOK)) {
        End::Done(real) if real.starts_with('/') => real.into(),
        _ => path,
    }
}

/// Whether a look at this path waits for nobody else: it lies on a disk of our own.
fn answers(mounts: &[Mount], path: &Path) -> bool {
    table::covering(mounts, path).is_none_or(|mount| !mount.can_be_cut_off() && !mount.is_trigger())
}

/// Follows the links of a path up to the first mount. Only for the errand: it looks at the path.
///
/// # Errors
/// A directory above is not there, or the links lead in a circle.
pub fn follow(path: &Path) -> io::Result<PathBuf> {
    let mounts = table::read()?;
    let mut path = lexical(path);
    for _ in 0..MOST_LINKS {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
        let parent = parent.canonicalize()?;
        path = parent.join(name);
        if table::topmost(&mounts, &path).is_some() || !answers(&mounts, &path) {
            return Ok(path);
        }
        let Ok(link) = std::fs::read_link(&path) else { return Ok(path) };
        path = lexical(&parent.join(link));
    }
    Err(nix::errno::Errno::ELOOP.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_to_what_they_mean() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().canonicalize().unwrap().join(name);
        std::fs::create_dir_all(at("real/share")).unwrap();
        symlink("real", at("above")).unwrap();
        symlink("above/share", at("link")).unwrap();
        symlink(at("link"), at("second")).unwrap();
        symlink("circle", at("circle")).unwrap();
        for name in ["link", "second", "above/share", "real/./share/"] {
            assert_eq!(follow(&at(name)).unwrap(), at("real/share"), "{name}");
        }
        assert_eq!(follow(&at("above/not yet")).unwrap(), at("real/not yet"));
        assert!(follow(&at("circle")).is_err() && follow(&at("none/x")).is_err());
        assert_eq!(follow(Path::new("/")).unwrap(), Path::new("/"));
    }

    #[test]
    fn nobody_looks_where_a_server_would_have_to_answer() {
        let mounts = table::parse(
            b"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / /net rw - autofs auto rw\n3 1 0:3 / /far rw - nfs4 a:/ rw\n",
        );
        let answers = ["/home/x", "/net/x", "/far/x"].map(|path| answers(&mounts, Path::new(path)));
        assert_eq!(answers, [true, false, false]);
    }
}
