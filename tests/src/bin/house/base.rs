//! The base system that all machines share: Debian 12 by debootstrap, with the packages named in `tests/house/packages`.
//! It is made once and kept outside of the tree, under a name that is a hash of its recipe; a finished one is never written to.

use crate::shell;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// The recipe: what goes into it, and from where.
const PACKAGES: &str = include_str!("../../../house/packages");
/// What is done to it after that; part of the hash as well.
const FINISH: &str = include_str!("../../../house/finish");
const SUITE: &str = "bookworm";

/// A finished base system.
pub struct Base {
    /// Its root directory.
    pub root: PathBuf,
}

impl Base {
    /// The cached one, or a new one.
    ///
    /// # Errors
    /// debootstrap failed; its words are in the message.
    pub fn find() -> io::Result<Self> {
        let mirror = mirror()?;
        let root = cache()?.join(format!("{:016x}", recipe(&mirror))).join("root");
        if !root.is_dir() {
            build(&mirror, &root)?;
        }
        Ok(Self { root })
    }

    /// The only file of this name in `/boot`, whatever its version.
    ///
    /// # Errors
    /// There is none.
    pub fn boot(&self, prefix: &str) -> io::Result<PathBuf> {
        let found = fs::read_dir(self.root.join("boot"))?.filter_map(Result::ok).map(|entry| entry.path());
        let of_name = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
        found.filter(of_name).max().ok_or_else(|| io::Error::other(format!("there is no {prefix}* in the base system")))
    }
}

fn recipe(mirror: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (PACKAGES, FINISH, SUITE, mirror).hash(&mut hasher);
    hasher.finish()
}

fn cache() -> io::Result<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache
        .map(|cache| cache.join("pistop/house"))
        .ok_or_else(|| io::Error::other("HOME is not set, where is the cache?"))
}

/// Built under another name and renamed at the end, so one that is there is complete.
fn build(mirror: &str, root: &Path) -> io::Result<()> {
    let partial = root.with_file_name("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    println!("house: no base system yet, making one in {}", root.display());
    let began = Instant::now();
    let include = PACKAGES.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join(",");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg("--variant=minbase").arg(format!("--include={include}")).arg(SUITE).arg(&partial).arg(mirror);
    shell::run(&mut debootstrap)?;
    shell::run(Command::new("chroot").arg(&partial).args(["/bin/sh", "-euc", FINISH]))?;
    fs::rename(&partial, root)?;
    println!("house: the base system took {:.0} s; the next run finds it", began.elapsed().as_secs_f64());
    Ok(())
}

/// Where this machine itself gets its Debian from: the first source of apt that has the main suites.
fn mirror() -> io::Result<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d")?.filter_map(Result::ok).map(|entry| entry.path()));
    files.sort();
    let mirrors = files.iter().filter_map(|path| source(&fs::read_to_string(path).ok()?));
    mirrors.into_iter().next().ok_or_else(|| io::Error::other("no Debian mirror in the sources of apt on this machine"))
}

/// The address in `URIs: ADDRESS` (deb822) or `deb [options] ADDRESS suite` that has `/debian` at its end.
fn source(text: &str) -> Option<String> {
    let lines = text.lines().filter(|line| line.starts_with("URIs:") || line.starts_with("deb "));
    let mut addresses = lines.flat_map(str::split_whitespace).filter(|word| word.contains("://"));
    addresses.find(|address| address.trim_end_matches('/').ends_with("/debian")).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_both_kinds_of_sources() {
        let found = |text| source(text);
        let debian = Some("http://mirror.example/debian".to_owned());
        assert_eq!(found("Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n"), debian);
        assert_eq!(found("deb [signed-by=/k] http://mirror.example/debian bookworm main\n"), debian);
        assert_eq!(found("# deb http://mirror.example/debian bookworm main\n"), None);
        assert_eq!(found("URIs: http://mirror.example/debian-security\n"), None);
        assert_eq!(found("deb https://elsewhere.example/apt things main\n"), None);
    }
}
