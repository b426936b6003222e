//! The variables directory is read as the real `envdir` of daemontools reads it: both see the same thousands of random
//! directories, and what `env` prints under the one is what the other returns. A failure names its seed.
#![cfg(test)]

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

const DIRECTORIES: u64 = 3000;

/// Already in the environment, so that a file can take it away.
const BEFORE: [(&str, &str); 3] = [("A", "before"), ("KEEP", "before"), ("é", "before")];

/// Bytes at which the rules turn, among others; now and then a value that is longer than any buffer of the old tools.
fn content(chance: &mut Rng) -> Vec<u8> {
    const TURNS: &[u8] = b"\n\n\0\r\t  =ab\xff";
    let length = [0, 0, 1, 2, 3, 8, 40, 300][chance.usize(..8)];
    let long = if chance.u8(..64) == 0 { chance.usize(..100_000) } else { 0 };
    let bytes = (0..length).map(|_| *chance.choice(TURNS).expect("there are some"));
    std::iter::repeat_n(b'x', long).chain(bytes).collect()
}

/// Names that mean something to somebody, and any others.
fn name(chance: &mut Rng) -> Vec<u8> {
    const KNOWN: [&str; 11] = ["A", "B", "C D", "é", "E=F", "G=", ".hidden", ".", "lower", "a.b", "trailing "];
    const BYTES: &[u8] = b"AZaz09_.= -\t\n\x01\xfe\xff";
    match chance.u8(..3) {
        0 => (0..chance.usize(1..12)).map(|_| *chance.choice(BYTES).expect("there are some")).collect(),
        _ => chance.choice(KNOWN).expect("there are some").as_bytes().to_vec(),
    }
}

/// Two names may set the same variable, and which one wins depends on the order in which the directory is read.
fn sets(name: &[u8]) -> Vec<u8> {
    let end = name.iter().skip(1).position(|&byte| byte == b'=').map_or(name.len(), |at| at + 1);
    name[..end].to_vec()
}

fn fill(dir: &Path, chance: &mut Rng) {
    let mut taken = BTreeSet::new();
    for _ in 0..chance.usize(..10) {
        let name = name(chance);
        // A name that begins with = stands for a variable without a name, for which nobody can ask.
        if ![&b"."[..], b".."].contains(&&name[..]) && !name.starts_with(b"=") && taken.insert(sets(&name)) {
            fs::write(dir.join(OsStr::from_bytes(&name)), content(chance)).unwrap();
        }
    }
}

/// The assignments, as a program gets them.
fn real(dir: &Path) -> BTreeSet<Vec<u8>> {
    let mut command = Command::new("envdir");
    command.arg(dir).args(["/usr/bin/env", "-0"]).env_clear().env("PATH", "/usr/bin:/bin").envs(BEFORE);
    let output = command.output().expect("envdir is there; install the package daemontools");
    assert!(output.status.success(), "{output:?}");
    let all = output.stdout.split(|&b| b == 0).filter(|entry| !entry.is_empty() && !entry.starts_with(b"PATH="));
    all.map(<[u8]>::to_vec).collect()
}

fn ours(dir: &Path) -> BTreeSet<Vec<u8>> {
    let mut all: BTreeMap<OsString, OsString> = BEFORE.map(|(name, value)| (name.into(), value.into())).into();
    for (name, value) in runner::envdir::read(dir).unwrap() {
        match value {
            Some(value) => all.insert(name, value),
            None => all.remove(&name),
        };
    }
    all.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
}

#[test]
fn random_directories_mean_what_envdir_takes_them_to_mean() {
    for seed in 0..DIRECTORIES {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), &mut Rng::with_seed(seed));
        assert_eq!(ours(dir.path()), real(dir.path()), "seed {seed}");
    }
}

#[test]
fn a_directory_inside_stops_both() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("SUB")).unwrap();
    let status = Command::new("envdir").arg(dir.path()).arg("/bin/true").status().unwrap();
    assert_eq!(status.code(), Some(111));
    assert!(runner::envdir::read(dir.path()).is_err());
}

#[test]
fn names_are_bytes_to_both() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(OsStr::from_bytes(b"\xfe")), "x\n").unwrap();
    assert_eq!(ours(dir.path()), real(dir.path()));
}
