//! Each fuzz target's check, over its seeds (`tests/fuzz/seeds`) and over the golden files, cut short at every byte: what
//! the fuzzer once found stays found without it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../../tests/fuzz/checks.rs"]
mod checks;

use std::path::PathBuf;

type Check = fn(&[u8]);

const CHECKS: [(&str, Check); 6] = [
    ("lines", checks::lines),
    ("frames", checks::frames),
    ("datagrams", checks::datagrams),
    ("server_session", checks::server_session),
    ("client_session", checks::client_session),
    ("control", checks::control),
];

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests")
}

fn files(folder: PathBuf) -> Vec<Vec<u8>> {
    let entries = folder.read_dir().unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}

/// The whole, and every beginning of it.
fn check_all(check: Check, bytes: &[u8]) {
    (0..=bytes.len()).for_each(|end| check(&bytes[..end]));
}

#[test]
fn seeds() {
    for (name, check) in CHECKS {
        let seeds = files(tests().join("fuzz/seeds").join(name));
        assert!(!seeds.is_empty(), "no seeds for {name}");
        seeds.iter().for_each(|seed| check_all(check, seed));
    }
}

#[test]
fn golden_files() {
    for bytes in ["line", "datagram"].into_iter().flat_map(|kind| files(tests().join("golden").join(kind))) {
        CHECKS.iter().for_each(|(_, check)| check_all(*check, &bytes));
    }
}

/// A target without a check here, or a check without a target, would be forgotten.
#[test]
fn every_target_has_its_check_and_its_seeds() {
    let mut targets: Vec<String> =
        tests().join("fuzz/fuzz_targets").read_dir().unwrap().map(|entry| stem(entry.unwrap())).collect();
    // Those of the cameras are replayed by `mjpeg`.
    targets.retain(|name| !name.starts_with("mjpeg_"));
    let mut checks: Vec<String> = CHECKS.iter().map(|(name, _)| (*name).into()).collect();
    targets.sort();
    checks.sort();
    assert_eq!(targets, checks);
}

fn stem(entry: std::fs::DirEntry) -> String {
    entry.path().file_stem().unwrap().to_str().unwrap().into()
}
