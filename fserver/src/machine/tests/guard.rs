//! Who may stay in a closed house, and what becomes of those who may not.

use super::*;
use crate::machine::strangers::AGAIN_AFTER;
use bus::secure::{Authorized, PublicKey, Refusal, SecretKey};
use protocol::fact::Fact;

pub(super) fn a_key() -> PublicKey {
    SecretKey::generate().unwrap().public()
}

/// The list with these machines and their roles.
pub(super) fn list(lines: &[(&str, PublicKey, &str)]) -> Arc<Authorized> {
    let text: String = lines.iter().map(|(name, key, roles)| format!("{name} {key} {roles}\n")).collect();
    let (list, complaints) = Authorized::parse("list", &text);
    assert_eq!(complaints, []);
    Arc::new(list)
}

impl Scene {
    /// A house in which the kitchen is paired.
    pub(super) fn closed(change: impl FnOnce(&mut Rules)) -> (Self, PublicKey) {
        let (mut scene, key) = (Scene::new(), a_key());
        change(&mut scene.house.rules);
        scene.feed(Input::Listed(list(&[("kitchen", key, "follow publish:camera")]), true));
        (scene, key)
    }

    fn begins(&mut self, name: &str, address: &str) -> PeerId {
        let peer = self.arrives(address);
        self.says(peer, &format!("wait pistop/2 {name}"));
        peer
    }

    /// A machine that has proved its key.
    fn proves(&mut self, name: &str, key: PublicKey, address: &str) -> PeerId {
        let peer = self.begins(name, address);
        self.sends(peer, Message::Handshake(vec![1]));
        self.feed(Input::Shaken(peer, Shaken::Answer(vec![2])));
        self.sends(peer, Message::Handshake(vec![3]));
        let paired = self.house.guard.list.peer(&key).cloned().unwrap();
        self.feed(Input::Shaken(peer, Shaken::Known(paired)));
        self.hello(peer, name);
        peer
    }

    fn hello(&mut self, peer: PeerId, name: &str) {
        let capabilities = vec!["bus".into()];
        let (name, program) = (host(name), "fclient test".into());
        self.sends(peer, Message::Hello(Hello { version: 2, name, identity: Identity(1), program, capabilities }));
    }

    /// What was said of strangers at that address.
    fn told(&self, of: &str) -> Vec<String> {
        let what = |action: &Action| match action {
            Action::Tell(_, Fact::StrangerRefused { address, what }) if address == of => Some(what.clone()),
            _ => None,
        };
        self.done.iter().filter_map(what).collect()
    }

    fn roles(&self, of: PeerId) -> Option<String> {
        self.done.iter().rev().find_map(|action| match action {
            Action::BusUp(peer, _, roles, _) if *peer == of => Some(roles.to_string()),
            Action::BusDown(peer) if *peer == of => Some("none".into()),
            _ => None,
        })
    }

    fn was_reset(&self, peer: PeerId) -> bool {
        self.did(|action| *action == Action::Reset(peer))
    }

    fn refused(&self, peer: PeerId) -> Option<String> {
        self.messages(peer).into_iter().find_map(|message| match message {
            Message::Refused(why) => Some(why),
            _ => None,
        })
    }
}

#[test]
fn a_new_client_that_is_not_paired_is_refused_with_the_remedy_and_told_of_once() {
    let (mut scene, _) = Scene::closed(|_| {});
    for _ in 0..3 {
        let bath = scene.begins("bath", "10.0.0.66");
        scene.hello(bath, "bath");
        let why = scene.refused(bath).unwrap();
        assert!(why.contains("closed") && why.contains("pistop pair --server attic"), "{why}");
        assert!(scene.did(|action| *action == Action::TurnAway(bath)) && scene.roles(bath).is_none());
    }
    assert_eq!(scene.told("10.0.0.66"), ["came as bath and is not paired; it is refused"]);
    scene.passes(AGAIN_AFTER);
    assert_eq!(scene.told("10.0.0.66")[1..], ["came without being paired 2 times more, and was refused each time"]);
}

#[test]
fn a_paired_machine_hears_nothing_but_the_handshake_until_it_has_proved_itself() {
    let (mut scene, key) = Scene::closed(|_| {});
    let kitchen = scene.begins("kitchen", "10.0.0.7");
    scene.sends(kitchen, Message::Handshake(vec![1]));
    scene.feed(Input::Shaken(kitchen, Shaken::Answer(vec![2])));
    scene.asks_to_shut_down();
    scene.passes(Duration::from_secs(3));
    let hello = scene.messages(kitchen)[0].clone();
    assert_eq!(scene.messages(kitchen)[1..], [Message::Handshake(vec![2])], "no beat and no shutdown");
    scene.sends(kitchen, Message::Handshake(vec![3]));
    let paired = scene.house.guard.list.peer(&key).cloned().unwrap();
    scene.feed(Input::Shaken(kitchen, Shaken::Known(paired)));
    assert_eq!(scene.messages(kitchen)[2..], [hello]);
    scene.hello(kitchen, "kitchen");
    assert!(prepared(scene.messages(kitchen).last().unwrap()).is_none(), "it came too late for a committed one");
    assert_eq!(scene.roles(kitchen).unwrap(), "follow publish:camera");
}

#[test]
fn a_silent_handshake_expires() {
    let (mut scene, _) = Scene::closed(|_| {});
    let kitchen = scene.begins("kitchen", "10.0.0.7");
    scene.sends(kitchen, Message::Handshake(vec![1]));
    for _ in 0..8 {
        scene.passes(Duration::from_secs(2));
        scene.feed(Input::Heard(kitchen, Heard::Unknown(99)));
    }
    assert!(scene.was_reset(kitchen) && scene.house.peers.is_empty(), "whatever it says meanwhile");
    assert_eq!(scene.told("10.0.0.7"), ["did not say who it is in time; it is refused"]);
}

#[test]
fn an_old_client_is_reset_and_never_told_the_end() {
    let (mut scene, _) = Scene::closed(|_| {});
    let old = scene.old();
    assert!(scene.was_reset(old));
    let silent = scene.arrives("10.0.3.1");
    scene.asks_to_shut_down();
    assert_eq!(scene.lines(silent), "Connection from 10.0.3.1\n", "whoever says nothing is told nothing");
    scene.feed(Input::HooksEnded(Vec::new()));
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: Afterwards::Stays, evidence: Vec::new() });
    let exit = scene.done.iter().position(|action| *action == Action::Exit).unwrap();
    let reset = scene.done.iter().position(|action| *action == Action::Reset(silent)).unwrap();
    assert!(reset < exit, "a clean end of file would be taken for a shutdown");
}

#[test]
fn old_clients_are_let_in_where_the_owner_says_so() {
    let at = |text: &str| vec![text.parse().unwrap()];
    for (old_peers, allowed) in [
        (OldPeers::Any, true),
        (OldPeers::From(at("10.0.2.0/24")), true),
        (OldPeers::From(at("10.9.0.0/16")), false),
        (OldPeers::Off, false),
        (OldPeers::WhileOpen, false),
    ] {
        let (mut scene, _) = Scene::closed(|rules| rules.old_peers = old_peers.clone());
        let old = scene.old();
        scene.asks_to_shut_down();
        assert_eq!(scene.lines(old).ends_with("shutdown\n"), allowed, "{old_peers:?}");
        assert_eq!(scene.was_reset(old), !allowed);
    }
    let mut scene = Scene::new();
    scene.house.rules.old_peers = OldPeers::Off;
    let old = scene.old();
    assert!(scene.was_reset(old), "in an open house as well");
    let kitchen = scene.client("kitchen");
    scene.asks_to_shut_down();
    assert!(scene.messages(kitchen).iter().any(|message| prepared(message).is_some()), "new ones are welcome there");
}

#[test]
fn an_unpaired_client_may_be_let_in_for_presence_alone() {
    let from = || vec!["10.0.0.0/24".parse().unwrap()];
    let (mut scene, key) = Scene::closed(|rules| rules.presence_only_from = from());
    let bath = scene.begins("bath", "10.0.0.66");
    scene.hello(bath, "bath");
    assert!(scene.refused(bath).is_none() && scene.roles(bath).is_none(), "no bus");
    let liar = scene.begins("kitchen", "10.0.0.67");
    scene.hello(liar, "kitchen");
    assert!(scene.refused(liar).unwrap().contains("the name kitchen is that of a paired machine"));
    let kitchen = scene.proves("kitchen", key, "10.0.0.7");
    assert!(scene.house.hosts[&host("kitchen")] == kitchen);
    scene.asks_to_shut_down();
    assert!(scene.messages(bath).iter().any(|message| prepared(message).is_some()));
}

#[test]
fn nobody_shuts_a_closed_house_down_in_the_clear() {
    let listed = "10.0.0.9";
    for old_peers in [OldPeers::Any, OldPeers::WhileOpen] {
        let (mut scene, _) = Scene::closed(|rules| rules.old_peers = old_peers);
        let peer = scene.arrives(listed);
        scene.says(peer, "shutdown");
        assert!(!scene.ran_hooks() && scene.house.shutdown.is_none(), "though it is in SHUTDOWN_FROM");
        assert!(scene.told(listed)[0].starts_with("asked for a shutdown in the clear"));
    }
}

#[test]
fn who_is_paired_no_longer_is_told_so_and_new_roles_hold_at_once() {
    let (mut scene, key) = Scene::closed(|_| {});
    let kitchen = scene.proves("kitchen", key, "10.0.0.7");
    scene.feed(Input::Listed(list(&[("kitchen", key, "follow")]), true));
    assert_eq!(scene.roles(kitchen).unwrap(), "follow");
    assert!(!scene.did(|action| *action == Action::BusDown(kitchen)), "it would not know that it has to ask again");
    let before = scene.done.len();
    scene.feed(Input::Listed(list(&[("kitchen", key, "follow")]), true));
    assert_eq!(scene.done.len(), before, "the same list changes nothing");
    scene.feed(Input::Listed(list(&[("pantry", key, "follow")]), true));
    assert!(scene.refused(kitchen).unwrap().contains("kitchen is paired no longer"));
    assert!(scene.did(|action| *action == Action::TurnAway(kitchen)) && scene.roles(kitchen).unwrap() == "none");
}

#[test]
fn when_the_house_is_closed_those_who_are_not_paired_go_and_when_it_is_opened_they_may_stay() {
    let mut scene = Scene::new();
    scene.house.rules.most_peers = 9;
    let (bath, old, silent) = (scene.begins("bath", "10.0.0.66"), scene.old(), scene.arrives("10.0.3.1"));
    scene.hello(bath, "bath");
    assert_eq!(scene.roles(bath).unwrap(), "follow publish:* command:*");
    scene.feed(Input::Listed(list(&[("kitchen", a_key(), "follow")]), true));
    assert!(scene.refused(bath).is_some() && scene.was_reset(old) && !scene.was_reset(silent));
    assert!(scene.noted("the house is closed: only the 1 paired"));
    scene.feed(Input::Listed(list(&[]), false));
    scene.passes(Duration::from_secs(60));
    assert!(!scene.was_reset(silent) && scene.noted("the house is open"));
    let bath = scene.begins("bath", "10.0.0.66");
    scene.hello(bath, "bath");
    assert!(scene.refused(bath).is_none());
}

#[test]
fn a_crowd_that_says_nothing_takes_no_slot_from_the_paired() {
    let (mut scene, key) = Scene::closed(|rules| (rules.most_peers, rules.most_per_address) = (256, 1000));
    let crowd: Vec<PeerId> = (0..2000).map(|_| scene.arrives("10.0.0.66")).collect();
    assert!(scene.house.peers.len() <= 64 && scene.was_reset(crowd[0]) && !scene.was_reset(crowd[1999]));
    assert_eq!(scene.told("10.0.0.66").len(), 1, "and no log is filled");
    scene.proves("kitchen", key, "10.0.0.7");
    assert!(scene.house.hosts.contains_key(&host("kitchen")));
}

#[test]
fn handshakes_of_one_address_have_a_pace() {
    let (mut scene, key) = Scene::closed(|rules| (rules.most_peers, rules.most_per_address) = (4000, 4000));
    let shakes = |scene: &mut Scene| {
        let peer = scene.begins("bath", "10.0.0.66");
        scene.sends(peer, Message::Handshake(vec![1]));
        scene.did(|action| matches!(action, Action::Shake(id, ..) if *id == peer))
    };
    let shaken = (0..200).filter(|_| shakes(&mut scene)).count();
    assert_eq!(shaken, 32);
    assert!(scene.told("10.0.0.66").iter().any(|what| what.contains("too many handshakes")));
    scene.proves("kitchen", key, "10.0.0.7");
    scene.passes(Duration::from_secs(1));
    assert_eq!((0..200).filter(|_| shakes(&mut scene)).count(), 4, "and recover");
}

#[test]
fn a_key_that_is_not_paired_is_named_and_a_forged_handshake_is_told() {
    let (mut scene, _) = Scene::closed(|_| {});
    let peer = scene.begins("kitchen", "10.0.0.66");
    scene.sends(peer, Message::Handshake(vec![1]));
    let key = a_key();
    scene.feed(Input::Shaken(peer, Shaken::Denied(Refusal::Unknown { name: host("kitchen"), key })));
    assert!(scene.refused(peer).unwrap().contains("not authorized here"));
    assert!(scene.told("10.0.0.66")[0].contains(&key.to_string()));
    let peer = scene.begins("kitchen", "10.0.0.67");
    scene.sends(peer, Message::Handshake(vec![1]));
    let forged = bus::secure::handshake::BadStep::Forged;
    scene.feed(Input::Shaken(peer, Shaken::Denied(forged.into())));
    assert!(scene.told("10.0.0.67")[0].contains("changed or repeated"));
}

#[test]
fn a_plain_word_in_the_middle_of_a_handshake_ends_it() {
    let (mut scene, key) = Scene::closed(|_| {});
    let peer = scene.begins("kitchen", "10.0.0.7");
    scene.sends(peer, Message::Handshake(vec![1]));
    scene.hello(peer, "kitchen");
    assert!(scene.refused(peer).unwrap().contains("in the middle of a handshake"));
    let kitchen = scene.proves("kitchen", key, "10.0.0.7");
    scene.sends(kitchen, Message::Handshake(vec![1]));
    assert!(scene.was_reset(kitchen), "and one on a link that is sealed");
}

#[test]
fn who_was_here_for_presence_alone_begins_anew_when_the_house_is_opened() {
    let (mut scene, _) = Scene::closed(|rules| rules.presence_only_from = vec!["10.0.0.0/24".parse().unwrap()]);
    let bath = scene.begins("bath", "10.0.0.66");
    scene.hello(bath, "bath");
    scene.sends(bath, Message::Follow(vec!["#".into()]));
    scene.feed(Input::Listed(list(&[]), false));
    assert!(scene.was_reset(bath) && scene.roles(bath).is_none(), "what it asked for was heard by nobody");
    let bath = scene.begins("bath", "10.0.0.66");
    scene.hello(bath, "bath");
    assert!(scene.roles(bath).is_some());
    scene.feed(Input::Listed(list(&[]), false));
    assert!(!scene.was_reset(bath), "once is enough");
}

#[test]
fn the_bus_is_told_where_a_machine_is_that_proves_nothing() {
    let strangers = |scene: &Scene| -> Vec<Option<IpAddr>> {
        let stranger = |action: &Action| if let Action::BusUp(.., stranger) = action { Some(*stranger) } else { None };
        scene.done.iter().filter_map(stranger).collect()
    };
    let mut open = Scene::new();
    let bath = open.begins("bath", "10.0.0.66");
    open.hello(bath, "bath");
    assert_eq!(strangers(&open), ["10.0.0.66".parse().ok()]);
    let (mut closed, key) = Scene::closed(|_| {});
    closed.proves("kitchen", key, "10.0.0.7");
    assert_eq!(strangers(&closed), [None]);
}
