//! A real file system that is full: nothing is acknowledged that is not kept, and it goes on when there is room.
#![allow(clippy::unwrap_used, missing_docs)]

use bus::journal::{Bounds, Class, Clock, Failure, Journal, Keep, Key, Place, Position, Record, Start, wait};
use protocol::{Epoch, HostName};
use std::path::{Path, PathBuf};
use std::process::Command;

const CHILD: &str = "MOUNT_OF_THE_CHILD";

fn append(journal: &Journal, sequence: u64) -> Result<(), Failure> {
    let key = Key { node: HostName::parse("attic").unwrap(), epoch: Epoch(1), sequence };
    let class = Class { keep: Keep::All, durable: true };
    let record = Record { key, class, subject: "a".into(), expires: None, body: vec![1; 1000] };
    wait(journal.append(record)).map(drop)
}

fn all(journal: &Journal) -> Vec<u64> {
    let batch = journal.read(Position::START, &|_| true, 1 << 26).unwrap();
    batch.entries.iter().map(|entry| entry.record.key.sequence).collect()
}

fn open(directory: &Path) -> Journal {
    let (journal, damage) =
        Journal::open(Place::Directory(directory.into()), Bounds::default(), Clock::system()).unwrap();
    assert_eq!(damage, []);
    journal
}

/// Not a test of its own: runs where a small file system was mounted for it alone.
#[test]
fn child() {
    let Some(mount) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    std::fs::write(mount.join("ballast"), vec![0; 1 << 20]).unwrap();
    let directory = mount.join("journal");
    let mut journal = open(&directory);
    journal.register("hooks", Start::Earliest).unwrap();
    wait(journal.settle()).unwrap();
    let mut kept = Vec::new();
    let why = loop {
        match append(&journal, kept.len() as u64 + 1) {
            Ok(()) => kept.push(kept.len() as u64 + 1),
            Err(why) => break why,
        }
    };
    assert!(why.is_temporary() && why.to_string().contains("No space left on device"), "{why}");
    assert!(why.to_string().contains("make room"), "{why}");
    assert!(kept.len() > 100);
    assert_eq!(all(&journal), kept);
    drop(journal);
    journal = open(&directory);
    assert_eq!(all(&journal), kept, "opened on a disk that is still full");
    assert!(append(&journal, 100_000).is_err());
    std::fs::remove_file(mount.join("ballast")).unwrap();
    append(&journal, 100_001).unwrap();
    drop(journal);
    kept.push(100_001);
    assert_eq!(all(&open(&directory)), kept);
    std::fs::write(mount.join("done"), "").unwrap();
    println!("kept {}", kept.len());
}

#[test]
fn a_full_disk_loses_nothing_and_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let mount = scratch.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    let script = "mount -t tmpfs -o size=2m tmpfs \"$MOUNT_OF_THE_CHILD\" && exec \"$@\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private"]);
    if !nix::unistd::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["sh", "-c", script, "sh"]).arg(std::env::current_exe().unwrap());
    let output = unshare.args(["--exact", "child", "--nocapture"]).env(CHILD, &mount).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("kept "), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
