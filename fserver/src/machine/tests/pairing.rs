//! A code that is asked for here and typed there.

use super::guard::{a_key, list};
use super::*;
use bus::secure::{Failure, PublicKey};
use protocol::control::PairRequest;
use protocol::fact::Fact;

/// The first byte of a handshake for pairing.
const PAIRING: u8 = 2;

impl Scene {
    fn asks_to_pair(&mut self, name: Option<&str>) -> ControlId {
        let roles = "follow publish:*".into();
        let request = PairRequest { roles, name: name.map(host), lasts: Duration::from_secs(600) };
        self.asks(Request::Pair(request));
        ControlId(self.next)
    }

    fn tries(&mut self, name: &str) -> PeerId {
        let peer = self.arrives("10.0.0.66");
        self.says(peer, &format!("wait pistop/2 {name}"));
        self.sends(peer, Message::Handshake(vec![PAIRING]));
        peer
    }

    fn joins(&mut self, name: &str, key: PublicKey) -> PeerId {
        let peer = self.tries(name);
        self.feed(Input::Shaken(peer, Shaken::Answer(vec![PAIRING])));
        self.sends(peer, Message::Handshake(vec![PAIRING]));
        self.feed(Input::Shaken(peer, Shaken::Joined(key)));
        peer
    }

    fn ended_with(&self, asker: ControlId) -> Option<String> {
        self.replies(0, asker).into_iter().find_map(|reply| match reply {
            Reply::Refused(why) => Some(why),
            _ => None,
        })
    }
}

#[test]
fn a_machine_that_joins_is_written_down_and_then_told_so() {
    let mut scene = Scene::new();
    let (asker, key) = (scene.asks_to_pair(None), a_key());
    let until = scene.now + Duration::from_secs(600);
    assert!(scene.did(|action| *action == Action::Offer(asker, until)));
    let kitchen = scene.joins("kitchen", key);
    let enrolled = |action: &Action| matches!(action, Action::Enroll(_, paired) if paired.key == key);
    assert!(scene.did(enrolled) && !scene.did(|action| *action == Action::TurnAway(kitchen)), "the disk comes first");
    scene.feed(Input::Enrolled(kitchen, vec![PAIRING, 9], Ok(())));
    assert_eq!(scene.messages(kitchen).last(), Some(&Message::Handshake(vec![PAIRING, 9])));
    assert!(scene.did(|action| *action == Action::TurnAway(kitchen)));
    let replies = scene.replies(0, asker);
    assert!(matches!(&replies[0], Reply::Paired(joined) if joined[0].name == host("kitchen")), "{replies:?}");
    assert!(matches!(replies[1], Reply::Done { .. }));
    assert!(scene.did(|action| matches!(action, Action::Tell(_, Fact::PeerPaired { peer, .. }) if peer == "kitchen")));
    assert!(scene.did(|action| *action == Action::Withdraw), "the code is for one machine");
}

#[test]
fn a_disk_that_refuses_is_told_to_both() {
    let mut scene = Scene::new();
    let asker = scene.asks_to_pair(None);
    let kitchen = scene.joins("kitchen", a_key());
    scene.feed(Input::Enrolled(kitchen, vec![PAIRING], Err("the disk is full".into())));
    assert_eq!(scene.ended_with(asker).unwrap(), "the disk is full");
}

#[test]
fn without_a_code_in_force_nobody_joins() {
    let mut scene = Scene::new();
    let peer = scene.tries("kitchen");
    let refused = |peer| move |message: &Message| matches!(message, Message::Refused(why) if why.contains(peer));
    assert!(scene.messages(peer).iter().any(refused("run `pistop pair` on this server first")));
    assert!(!scene.did(|action| matches!(action, Action::Shake(..))), "no key is touched");
    scene.asks_to_pair(Some("kitchen"));
    let peer = scene.tries("bath");
    assert!(scene.messages(peer).iter().any(refused("only a machine named kitchen")));
}

#[test]
fn wrong_codes_are_told_to_the_one_who_waits_until_the_code_is_void() {
    let mut scene = Scene::new();
    let asker = scene.asks_to_pair(None);
    let peer = scene.tries("kitchen");
    scene.feed(Input::Shaken(peer, Shaken::NotJoined(Failure::WrongCode { left: 4 })));
    let replies = scene.replies(0, asker);
    assert!(
        matches!(&replies[0], Reply::PairingFailed(why) if why.starts_with("kitchen at 10.0.0.66: the code is not"))
    );
    let peer = scene.tries("kitchen");
    scene.feed(Input::Shaken(peer, Shaken::NotJoined(Failure::Void)));
    assert!(scene.ended_with(asker).unwrap().contains("void after too many wrong tries"));
    assert!(scene.did(|action| *action == Action::Withdraw));
}

#[test]
fn a_code_ends_with_its_time_with_its_reader_and_with_the_next_one() {
    let mut scene = Scene::new();
    let first = scene.asks_to_pair(None);
    let second = scene.asks_to_pair(None);
    assert!(scene.ended_with(first).unwrap().contains("another `pistop pair`"));
    scene.passes(Duration::from_secs(599));
    assert!(scene.ended_with(second).is_none());
    scene.passes(Duration::from_secs(1));
    assert!(scene.ended_with(second).unwrap().contains("run `pistop pair` again"));
    let third = scene.asks_to_pair(None);
    let before = scene.done.len();
    scene.feed(Input::AskerGone(third));
    assert!(scene.done[before..].contains(&Action::Withdraw));
    let late = scene.tries("kitchen");
    assert!(scene.messages(late).iter().any(|message| matches!(message, Message::Refused(_))));
}

#[test]
fn roles_that_are_none_are_told_at_once() {
    let mut scene = Scene::new();
    let request = PairRequest { roles: "admin".into(), name: None, lasts: Duration::from_secs(9) };
    let replies = scene.asks(Request::Pair(request));
    assert!(matches!(&replies[..], [Reply::Refused(why)] if why.contains("`admin` is no role")), "{replies:?}");
}

#[test]
fn who_is_paired_is_listed_by_name() {
    let mut scene = Scene::new();
    scene.feed(Input::Listed(list(&[("kitchen", a_key(), "follow"), ("bath", a_key(), "follow shutdown")]), true));
    let replies = scene.asks(Request::Paired);
    let Reply::Paired(all) = &replies[0] else { panic!("{replies:?}") };
    assert_eq!(all.iter().map(|paired| paired.name.as_str()).collect::<Vec<_>>(), ["bath", "kitchen"]);
    assert!(!all[0].here && all[0].seen.is_none() && all[0].roles == "follow shutdown");
    let asker = ControlId(99);
    scene.feed(Input::Asked(asker, Request::Unpair(host("bath"))));
    assert!(scene.did(|action| *action == Action::Strike(asker, host("bath"))));
    scene.feed(Input::Struck(asker, host("bath"), Ok(false)));
    assert!(scene.ended_with(asker).unwrap().contains("bath is not paired"));
    assert!(!scene.did(|action| matches!(action, Action::BusForget(_))));
    scene.feed(Input::Struck(ControlId(100), host("bath"), Ok(true)));
    assert!(scene.did(|action| *action == Action::BusForget(host("bath"))));
}
