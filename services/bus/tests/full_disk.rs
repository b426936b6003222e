//! A real file system that is full: nothing is acknowledged that is not kept, and it goes on when there is room.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use bus::agent::{Agent, Order, Out, Settings};
use bus::client::{Bus, ask};
use bus::journal::{Bounds, Class, Clock, Failure, Journal, Keep, Key, Place, Position, Record, Start, wait};
use bus::secure::Roles;
use common::{Machine, PATIENCE, event, host, settings, wanted};
use protocol::door::{Ask, From};
use protocol::fact::Fact;
use protocol::frame::{self, Frame};
use protocol::{Epoch, HostName, Message};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::timeout;

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

/// Not a test of its own either: an agent whose disk is full, and a program that comes then.
#[test]
fn agent_child() {
    let Some(mount) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let folder = tempfile::tempdir_in(&mount).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let attic = Machine::again("attic", true, folder, &[]);
        let mut all = attic.bus().subscribe(wanted(None, &["#"], From::Next));
        all.live().await;
        let ballast = mount.join("ballast");
        while std::fs::write(&ballast, vec![0; 4 << 20]).is_ok() {}
        let mut gallery = attic.bus().subscribe(wanted(Some("gallery"), &["#"], From::Next));
        tokio::select! {
            item = gallery.next() => panic!("{item:?} on a full disk"),
            () = tokio::time::sleep(Duration::from_millis(1500)) => {}
        }
        std::fs::remove_file(ballast).unwrap();
        timeout(PATIENCE, gallery.live()).await.expect("it goes on when there is room");
        attic.bus().publish(&Fact::CameraOnline { camera: "cam1".into() }).await.unwrap();
        assert_eq!(event(&mut gallery).await.1.topic, "attic/evt/camera/camera-online");
        attic.agent.stop().await;
    });
    println!("went on");
}

/// Nor is this: a machine that got another name, and whose disk is full.
#[test]
fn renamed_child() {
    let Some(mount) = std::env::var_os(CHILD).map(PathBuf::from) else { return };
    let (folder, ballast) = (tempfile::tempdir().unwrap(), mount.join("ballast"));
    let door = folder.path().join("bus.sock");
    let named = |name| Settings { place: Place::Directory(mount.join("journal")), ..settings(name, &folder, false) };
    let motion = Fact::Motion { camera: "cam1".into(), percent: 5.0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (agent, _outs) = Agent::start(named("kitchen")).unwrap();
        Bus::open(&door, "test 1").publish(&motion).await.unwrap();
        agent.stop().await;
        while std::fs::write(&ballast, vec![0; 4 << 20]).is_ok() {}
        let (agent, mut outs) = Agent::start(named("pantry")).unwrap();
        let asked = async { while ask(&door, "test 1", Ask::Room).await.is_err() {} };
        timeout(PATIENCE, asked).await.expect("whoever asks what is the matter is answered");
        std::fs::remove_file(ballast).unwrap();
        agent.order(Order::LinkUp { link: 1, host: host("attic"), roles: Roles::all(), stranger: None });
        let sent = async {
            while let Some(out) = outs.recv().await {
                let Out::Send(_, bytes) = out else { continue };
                if let Ok(Some((Frame::Known(Message::Events(batch)), _))) = frame::take(&bytes) {
                    return batch.events;
                }
            }
            Vec::new()
        };
        let sent = timeout(PATIENCE, sent).await.expect("it goes on when there is room");
        assert_eq!(sent[0].topic, "pantry/evt/camera/motion");
        agent.stop().await;
    });
    println!("said again");
}

#[test]
fn a_machine_with_another_name_and_a_full_disk_answers_its_programs() {
    on_a_small_disk("renamed_child", "said again");
}

#[test]
fn a_subscription_that_comes_to_a_full_disk_waits_and_goes_on() {
    on_a_small_disk("agent_child", "went on");
}

#[test]
fn a_full_disk_loses_nothing_and_is_told() {
    on_a_small_disk("child", "kept ");
}

fn on_a_small_disk(child: &str, words: &str) {
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
    let output = unshare.args(["--exact", child, "--nocapture"]).env(CHILD, &mount).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(words), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
