//! The variables directory is read as the real `envdir` of daemontools reads it: both see the same few hundred random
//! directories, and what `env` prints under the one is what the other returns.
#![cfg(test)]

use fastrand::Rng;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::Command;

const DIRECTORIES: u64 = 300;

/// Already in the environment, so that a file can take it away.
const BEFORE: [(&str, &str); 3] = [("A", "before"), ("KEEP", "before"), ("é", "before")];

/// Bytes at which the rules turn, among others.
fn content(chance: &mut Rng) -> Vec<u8> {
    const TURNS: &[u8] = b"\n\n\0\r\t  =ab\xff";
    let length = [0, 1, 2, 3, 8, 300][chance.usize(..6)];
    (0..length).map(|_| *chance.choice(TURNS).expect("there are some")).collect()
}

fn fill(dir: &Path, chance: &mut Rng) {
    for name in ["A", "B", "C D", "é", "E=F", "G=", ".hidden", "lower"] {
        if chance.bool() {
            fs::write(dir.join(name), content(chance)).unwrap();
        }
    }
}

fn real(dir: &Path) -> BTreeMap<OsString, OsString> {
    let mut command = Command::new("envdir");
    command.arg(dir).args(["/usr/bin/env", "-0"]).env_clear().env("PATH", "/usr/bin:/bin").envs(BEFORE);
    let output = command.output().expect("envdir is there; install the package daemontools");
    assert!(output.status.success(), "{output:?}");
    let mut all: BTreeMap<_, _> = output.stdout.split(|&b| b == 0).filter(|e| !e.is_empty()).map(entry).collect();
    all.remove(OsStr::new("PATH"));
    all
}

fn entry(bytes: &[u8]) -> (OsString, OsString) {
    let split = bytes.iter().position(|&b| b == b'=').expect("env prints assignments");
    (OsString::from_vec(bytes[..split].into()), OsString::from_vec(bytes[split + 1..].into()))
}

fn ours(dir: &Path) -> BTreeMap<OsString, OsString> {
    let mut all: BTreeMap<OsString, OsString> = BEFORE.map(|(name, value)| (name.into(), value.into())).into();
    for (name, value) in runner::envdir::read(dir).unwrap() {
        match value {
            Some(value) => all.insert(name, value),
            None => all.remove(&name),
        };
    }
    all
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
