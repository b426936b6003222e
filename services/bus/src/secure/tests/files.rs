//! The three files.

use super::*;
use crate::secure::{keyfile, pin};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

fn mode(place: &Path) -> u32 {
    fs::metadata(place).unwrap().permissions().mode() & 0o777
}

fn chmod(place: &Path, mode: u32) {
    fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_key_is_made_once_for_its_owner_alone() {
    let state = tempfile::tempdir().unwrap();
    let file = KeyFile::within(state.path());
    assert!(file.load().unwrap().is_none());
    let made = file.load_or_make().unwrap().public();
    assert_eq!(mode(&state.path().join(keyfile::NAME)), 0o600);
    assert_eq!(file.load_or_make().unwrap().public(), made);
    assert_eq!(file.load().unwrap().unwrap().public(), made);
    assert_eq!(names(state.path()), ["key"], "and nothing is left beside it");
}

#[test]
fn two_that_make_a_key_at_once_get_the_same() {
    let state = tempfile::tempdir().unwrap();
    let made: std::collections::HashSet<PublicKey> = std::thread::scope(|scope| {
        let make = || KeyFile::within(state.path()).load_or_make().unwrap().public();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.len(), 1);
    assert_eq!(names(state.path()), ["key"]);
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_remedy() {
    let state = tempfile::tempdir().unwrap();
    let file = KeyFile::within(state.path());
    file.load_or_make().unwrap();
    for open in [0o640, 0o604, 0o666, 0o610] {
        chmod(&state.path().join("key"), open);
        let fault = file.load_or_make().unwrap_err().to_string();
        assert!(fault.contains(&format!("mode {open:03o}")) && fault.contains("`chmod 600`"), "{fault}");
    }
    chmod(&state.path().join("key"), 0o400);
    file.load_or_make().unwrap();
}

#[test]
fn a_damaged_key_is_refused_and_stays_as_it_is() {
    let state = tempfile::tempdir().unwrap();
    let place = state.path().join("key");
    let secret = SecretKey::generate().unwrap();
    let bare = secret.reveal().to_string();
    for text in ["", "pistop-secret-key", "pistop-secret-key 123", &bare, "\u{fffd}", &format!("x {bare}")] {
        fs::write(&place, text).unwrap();
        chmod(&place, 0o600);
        let fault = KeyFile::within(state.path()).load_or_make().unwrap_err().to_string();
        assert!(fault.contains("pair again") && !fault.contains(&bare), "{fault}");
        assert_eq!(fs::read_to_string(&place).unwrap(), *text);
    }
    fs::write(&place, [0xff, 0xfe]).unwrap();
    KeyFile::within(state.path()).load().unwrap_err();
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    KeyFile::within(state.path()).load_or_make().unwrap_err();
}

#[test]
fn a_key_that_cannot_be_kept_is_not_made() {
    let state = tempfile::tempdir().unwrap();
    let fault = KeyFile::within(&state.path().join("missing")).load_or_make().unwrap_err();
    assert!(fault.place.ends_with("missing/key"));
}

struct List {
    directory: tempfile::TempDir,
    file: AuthorizedFile,
}

impl List {
    fn new(text: &str) -> List {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("authorized_peers");
        fs::write(&place, text).unwrap();
        chmod(&place, 0o644);
        List { file: AuthorizedFile::at(&place), directory }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.directory.path().join("authorized_peers")).unwrap()
    }

    fn edit(&self, text: &str) {
        fs::write(self.directory.path().join("authorized_peers"), text).unwrap();
    }
}

fn peer(name: &str, roles: &str) -> Peer {
    let key = SecretKey::generate().unwrap().public();
    Peer { name: host(name), key, roles: Roles::parse(&[roles]).unwrap() }
}

#[test]
fn a_peer_is_added_and_taken_away_and_all_else_stays() {
    let old = peer("cellar", "follow");
    let text = format!("# the house\n\n{old} # by the door\nbroken line\n");
    let mut list = List::new(&text);
    chmod(&list.directory.path().join("authorized_peers"), 0o640);
    let new = peer("kitchen", "publish:camera");
    list.file.add(&new).unwrap();
    assert_eq!(list.text(), format!("{text}{new}\n"));
    assert_eq!(mode(&list.directory.path().join("authorized_peers")), 0o640);
    let (authorized, _) = list.file.load().unwrap();
    assert_eq!(authorized.peer(&new.key), Some(&Arc::new(new.clone())));
    assert!(list.file.remove(&new.name).unwrap());
    assert_eq!(list.text(), text);
    assert!(!list.file.remove(&new.name).unwrap());
    assert_eq!(names(list.directory.path()), ["authorized_peers"], "and nothing is left beside it");
}

#[test]
fn the_first_peer_makes_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = AuthorizedFile::at(directory.path().join("authorized_peers"));
    assert_eq!(file.load().unwrap(), (Authorized::default(), Vec::new()));
    assert!(!file.remove(&host("kitchen")).unwrap());
    let new = peer("kitchen", "follow");
    file.add(&new).unwrap();
    assert_eq!(file.load().unwrap().0.peer(&new.key), Some(&Arc::new(new.clone())));
    assert_eq!(mode(&directory.path().join("authorized_peers")), 0o644);
}

#[test]
fn a_last_line_without_its_end_stays_a_line() {
    let (old, new) = (peer("cellar", "follow"), peer("kitchen", "follow"));
    let list = List::new(&old.to_string());
    list.file.add(&new).unwrap();
    assert_eq!(list.text(), format!("{old}\n{new}\n"));
}

#[test]
fn a_peer_that_is_there_gets_its_new_roles() {
    let mut kitchen = peer("kitchen", "follow");
    let list = List::new(&format!("{kitchen}\n"));
    kitchen.roles = Roles::all();
    list.file.add(&kitchen).unwrap();
    assert_eq!(list.text(), format!("{kitchen}\n"));
}

#[test]
fn nobody_takes_the_name_or_the_key_of_another() {
    let kitchen = peer("kitchen", "follow");
    let list = List::new(&format!("{kitchen}\n"));
    let fault = list.file.add(&peer("kitchen", "shutdown")).unwrap_err().to_string();
    assert!(fault.contains("kitchen is there with another key") && fault.contains("take that line away"), "{fault}");
    let fault = list.file.add(&Peer { name: host("cellar"), ..kitchen.clone() }).unwrap_err().to_string();
    assert!(fault.contains("there as that of kitchen"), "{fault}");
    assert_eq!(list.text(), format!("{kitchen}\n"));
}

#[test]
fn all_lines_of_a_name_are_taken_away_bad_ones_too() {
    let (one, other) = (peer("kitchen", "follow"), peer("cellar", "follow"));
    let list = List::new(&format!("{one}\n{other}\n# kitchen was here\nKITCHEN nonsense\n"));
    assert!(list.file.remove(&host("kitchen")).unwrap());
    assert_eq!(list.text(), format!("{other}\n# kitchen was here\n"));
}

#[test]
fn a_list_that_others_may_change_is_refused() {
    let mut list = List::new("");
    for open in [0o664, 0o646] {
        chmod(&list.directory.path().join("authorized_peers"), open);
        let fault = list.file.load().unwrap_err().to_string();
        assert!(fault.contains("chmod go-w"), "{fault}");
        list.file.add(&peer("kitchen", "follow")).unwrap_err();
    }
    assert_eq!(list.text(), "");
}

#[test]
fn a_change_by_hand_is_noticed_once_it_has_settled() {
    let (one, other) = (peer("kitchen", "follow"), peer("cellar", "follow"));
    let mut list = List::new(&format!("{one}\n{other}\n"));
    list.file.load().unwrap();
    assert!(!list.file.changed() && !list.file.changed());
    list.edit(&format!("{one}\n"));
    assert!(!list.file.changed(), "an editor may be at work");
    list.edit("");
    assert!(!list.file.changed(), "it is");
    assert!(list.file.changed() && list.file.changed(), "until it is loaded");
    assert_eq!(list.file.load().unwrap().0, Authorized::default());
    assert!(!list.file.changed());
    fs::remove_file(list.directory.path().join("authorized_peers")).unwrap();
    assert!(!list.file.changed());
    assert!(list.file.changed());
    list.file.load().unwrap();
    assert!(!list.file.changed());
}

/// A replacement of the same length within the same tick of the clock has another inode.
#[test]
fn a_replacement_of_the_same_length_is_noticed() {
    let kitchen = peer("kitchen", "follow");
    let mut list = List::new(&format!("{kitchen}\n"));
    list.file.load().unwrap();
    list.file.remove(&host("kitchen")).unwrap();
    list.file.add(&Peer { key: SecretKey::generate().unwrap().public(), ..kitchen }).unwrap();
    list.file.changed();
    assert!(list.file.changed());
}

#[test]
fn two_processes_that_add_at_once_lose_nothing() {
    let mut list = List::new("");
    let peers: Vec<Peer> = (0..8).map(|n| peer(&format!("host{n}"), "follow")).collect();
    let place = list.directory.path().join("authorized_peers");
    std::thread::scope(|scope| {
        for peer in &peers {
            let place = &place;
            scope.spawn(move || AuthorizedFile::at(place).add(peer).unwrap());
        }
    });
    assert_eq!(list.file.load().unwrap().0.peers().count(), 8);
}

#[test]
fn a_link_to_the_list_stays_a_link() {
    let list = List::new("# kept elsewhere\n");
    let other = tempfile::tempdir().unwrap();
    let link = other.path().join("authorized_peers");
    std::os::unix::fs::symlink(list.directory.path().join("authorized_peers"), &link).unwrap();
    let new = peer("kitchen", "follow");
    AuthorizedFile::at(&link).add(&new).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(list.text(), format!("# kept elsewhere\n{new}\n"));
}

#[test]
fn a_client_that_was_paired_never_talks_plain() {
    let state = tempfile::tempdir().unwrap();
    let unpaired = Trust::load(state.path()).unwrap();
    assert!(unpaired.may_talk_plain() && unpaired.pinned().is_none());
    let server = PinnedServer { name: host("attic"), key: SecretKey::generate().unwrap().public() };
    server.store(state.path()).unwrap();
    let trust = Trust::load(state.path()).unwrap();
    assert!(!trust.may_talk_plain());
    assert_eq!(trust.pinned(), Some(&server));
    assert_eq!(mode(&state.path().join(pin::NAME)), 0o600);
    PinnedServer::forget(state.path()).unwrap();
    PinnedServer::forget(state.path()).unwrap();
    assert_eq!(Trust::load(state.path()).unwrap(), Trust::Unpaired);
}

#[test]
fn a_damaged_pin_is_no_leave_to_talk_plain() {
    let state = tempfile::tempdir().unwrap();
    for text in ["", "attic", "attic xyz", "a/b xyz", "attic xyz and more"] {
        fs::write(state.path().join(pin::NAME), text).unwrap();
        let fault = Trust::load(state.path()).unwrap_err().to_string();
        assert!(fault.contains("pair again"), "{fault}");
    }
}
