//! What is left of a machine that never comes back, that has another name, or whose journal is elsewhere; and how the
//! house is told of what is lost.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use bus::agent::{Agent, Order, Out, Settings};
use bus::client::{Subscription, ask};
use bus::journal::{Bound, Bounds, Place};
use bus::secure::Roles;
use common::{Machine, PATIENCE, event, host, link, settings, wanted};
use protocol::Message;
use protocol::door::{Ask, From, Tell, Waiting};
use protocol::event::{Batch, Class, Keep};
use protocol::fact::Fact;
use protocol::frame::{self, Frame};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

fn motion(camera: &str) -> Fact {
    Fact::Motion { camera: camera.into(), percent: 5.0 }
}

fn start(settings: Settings, folder: TempDir) -> Machine {
    let node = settings.node.clone();
    let (agent, outs) = Agent::start(settings).unwrap();
    Machine { agent, outs, node, folder }
}

async fn queue(door: &Path) -> Vec<Waiting> {
    match ask(door, "test 1", Ask::Queue).await.unwrap() {
        Tell::Queue(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

async fn waits_for(machine: &Machine, consumer: &str) -> bool {
    queue(&machine.door()).await.iter().any(|one| one.consumer == consumer)
}

/// Who missed how many, as it is said next.
async fn missed(heard: &mut Subscription) -> (String, u64) {
    let body: Value = serde_json::from_slice(&event(heard).await.1.body.0).unwrap();
    (body["consumer"].as_str().unwrap().into(), body["count"].as_u64().unwrap())
}

/// A machine was here and has gone, and something is said that it would hear.
async fn gone(attic: &Machine, name: &str) -> Subscription {
    attic.agent.order(Order::LinkUp { link: 1, host: host(name), roles: Roles::all(), stranger: None });
    attic.agent.order(Order::LinkDown(1));
    let mut heard = attic.bus().subscribe(wanted(None, &["+/evt/host/events-missed"], From::Next));
    heard.live().await;
    attic.bus().publish(&motion("cam1")).await.unwrap();
    heard
}

#[tokio::test]
async fn a_machine_that_never_returns_is_given_up_and_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let forget_after = Some(Duration::from_secs(2));
    let attic = start(Settings { forget_after, ..settings("attic", &folder, true) }, folder);
    attic.agent.order(Order::LinkUp { link: 2, host: host("hall"), roles: Roles::all(), stranger: None });
    let mut heard = gone(&attic, "kitchen").await;
    assert!(waits_for(&attic, "link:kitchen").await);
    assert_eq!(missed(&mut heard).await, ("kitchen".into(), 1));
    assert!(!waits_for(&attic, "link:kitchen").await && waits_for(&attic, "link:hall").await);
}

#[tokio::test]
async fn a_machine_that_is_paired_no_longer_is_not_waited_for() {
    let attic = Machine::start("attic", true);
    let mut heard = gone(&attic, "kitchen").await;
    attic.agent.order(Order::Forget(host("kitchen")));
    assert_eq!(missed(&mut heard).await, ("kitchen".into(), 1));
    assert!(!waits_for(&attic, "link:kitchen").await);
}

#[tokio::test]
async fn what_a_machine_had_not_sent_when_it_was_renamed_is_sent_under_its_new_name() {
    let mut attic = Machine::start("attic", true);
    let mut heard = attic.bus().subscribe(wanted(None, &["+/evt/camera/#"], From::Next));
    heard.live().await;
    let mut kitchen = Machine::start("kitchen", false);
    let door = kitchen.door();
    let first = kitchen.bus().publish(&motion("sent")).await.unwrap();
    tokio::select! {
        () = link(&mut attic, &mut kitchen, 1) => {}
        (_, sent) = event(&mut heard) => assert_eq!(sent.id, first),
    }
    // The server's word that it has it is still to come.
    tokio::select! {
        () = link(&mut attic, &mut kitchen, 2) => {}
        () = async { while queue(&door).await.iter().any(|one| one.consumer == "link:server" && one.events > 0) {} } => {}
    }
    attic.agent.order(Order::LinkDown(2));
    kitchen.agent.order(Order::LinkDown(2));
    let second = kitchen.bus().publish(&motion("unsent")).await.unwrap();
    kitchen.agent.stop().await;
    let mut pantry = Machine::again("pantry", false, kitchen.folder, &[]);
    let third = pantry.bus().publish(&motion("new")).await.unwrap();
    let both = async {
        for (camera, id) in [("unsent", &second), ("new", &third)] {
            let (_, event) = event(&mut heard).await;
            assert_eq!((event.id.node.as_str(), event.topic.as_str()), ("pantry", "pantry/evt/camera/motion"));
            assert_eq!((event.id.epoch, event.id.sequence), (id.epoch, id.sequence));
            assert!(String::from_utf8_lossy(&event.body.0).contains(camera), "{event:?}");
        }
    };
    tokio::select! {
        () = link(&mut attic, &mut pantry, 3) => {}
        () = both => {}
    }
}

#[tokio::test]
async fn what_an_earlier_place_of_the_journal_holds_is_said_until_it_is_gone() {
    let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [first, second] = ["first", "second"].map(|name| state.path().join(name));
    let at = |place: &Path| Settings {
        place: Place::Directory(place.into()),
        state_dir: Some(state.path().into()),
        ..settings("kitchen", &folder, false)
    };
    let door = folder.path().join("bus.sock");
    let findings = async |count: usize, places: usize| {
        let found = async {
            loop {
                let Tell::Health(health) = ask(&door, "test 1", Ask::Health).await.unwrap() else { panic!() };
                let known = std::fs::read_to_string(state.path().join("journals")).unwrap_or_default();
                if health.findings.len() == count && known.lines().count() == places {
                    return health.findings;
                }
            }
        };
        timeout(PATIENCE, found).await.expect("it is found in time")
    };
    let (agent, _outs) = Agent::start(at(&first)).unwrap();
    assert_eq!(findings(0, 1).await, Vec::<String>::new());
    bus::client::Bus::open(&door, "test 1").publish(&motion("cam1")).await.unwrap();
    agent.stop().await;
    for _ in 0..2 {
        let (agent, _outs) = Agent::start(at(&second)).unwrap();
        let expected = format!("1 events that were not delivered are in {}", first.display());
        let found = findings(1, 2).await.remove(0);
        assert!(found.starts_with(&expected) && found.contains("; set JOURNAL to that place until"), "{found}");
        agent.stop().await;
    }
    let away = state.path().join("away");
    std::fs::rename(&first, &away).unwrap();
    for places in [2, 1] {
        let (agent, _outs) = Agent::start(at(&second)).unwrap();
        findings(0, places).await;
        agent.stop().await;
        // What is away is remembered, and forgotten when it is there and empty.
        let _ = std::fs::create_dir(&first);
    }
}

/// The next batch over this link.
async fn batch(machine: &mut Machine, over: u64) -> Batch {
    loop {
        let out = timeout(PATIENCE, machine.outs.recv()).await.expect("more is sent").unwrap();
        let Out::Send(links, bytes) = out else { continue };
        if let Ok(Some((Frame::Known(Message::Events(batch)), _))) = frame::take(&bytes)
            && links == [over]
        {
            return batch;
        }
    }
}

#[tokio::test]
async fn a_machine_that_is_renamed_before_it_ever_had_a_link_sends_all() {
    let kitchen = Machine::start("kitchen", false);
    let id = kitchen.bus().publish(&motion("cam1")).await.unwrap();
    kitchen.agent.stop().await;
    let mut pantry = Machine::again("pantry", false, kitchen.folder, &[]);
    pantry.agent.order(Order::LinkUp { link: 1, host: host("attic"), roles: Roles::all(), stranger: None });
    let sent = batch(&mut pantry, 1).await.events.remove(0).id;
    assert_eq!((sent.node, sent.epoch, sent.sequence), (host("pantry"), id.epoch, id.sequence));
}

#[tokio::test]
async fn what_was_on_its_way_when_a_machine_was_renamed_is_not_sent_under_its_old_name_again() {
    let mut kitchen = Machine::start("kitchen", false);
    kitchen.bus().publish(&motion("cam1")).await.unwrap();
    let up = || Order::LinkUp { link: 1, host: host("attic"), roles: Roles::all(), stranger: None };
    kitchen.agent.order(up());
    assert_eq!(batch(&mut kitchen, 1).await.events.len(), 1);
    kitchen.agent.stop().await;
    let mut pantry = Machine::again("pantry", false, kitchen.folder, &[]);
    pantry.bus().publish(&motion("cam2")).await.unwrap();
    pantry.agent.order(up());
    let mut sent = Vec::new();
    while !sent.iter().any(|event: &protocol::Event| String::from_utf8_lossy(&event.body.0).contains("cam2")) {
        sent.extend(batch(&mut pantry, 1).await.events);
    }
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|event| event.id.node == host("pantry")), "{sent:?}");
}

#[tokio::test]
async fn what_a_peer_missed_is_told_it_though_the_link_breaks_before_it_hears() {
    let folder = tempfile::tempdir().unwrap();
    let drop_oldest = Bound { bytes: 64 * 1024, ..Bounds::in_memory().drop_oldest };
    let bounds = Bounds { drop_oldest, segment: 16 * 1024, ..Bounds::in_memory() };
    let mut kitchen = start(Settings { bounds, ..settings("kitchen", &folder, false) }, folder);
    let up = |link| Order::LinkUp { link, host: host("attic"), roles: Roles::all(), stranger: None };
    kitchen.agent.order(up(1));
    kitchen.agent.order(Order::LinkDown(1));
    let class = Class { keep: Keep::DropOldest, durable: true };
    for _ in 0..100 {
        let topic = "kitchen/evt/display/notice".to_owned();
        kitchen.bus().say_text(topic, class, None, vec![b'.'; 4000]).await.unwrap();
    }
    kitchen.agent.order(up(2));
    let lost = batch(&mut kitchen, 2).await.lost;
    assert!(lost > 50, "{lost}");
    kitchen.agent.order(Order::LinkDown(2));
    kitchen.agent.order(up(3));
    let again = batch(&mut kitchen, 3).await;
    assert_eq!(again.lost, lost);
    kitchen.agent.order(Order::Heard(3, Message::Kept(again.through)));
    kitchen.agent.order(Order::LinkDown(3));
    kitchen.agent.order(up(4));
    assert_eq!(batch(&mut kitchen, 4).await.lost, 0);
}

#[tokio::test]
async fn a_peer_that_says_with_each_batch_that_something_is_lost_fills_no_journal() {
    let mut attic = Machine::start("attic", true);
    attic.agent.order(Order::LinkUp { link: 1, host: host("kitchen"), roles: Roles::all(), stranger: None });
    for through in 1..=1000 {
        attic.agent.order(Order::Heard(1, Message::Events(Batch { through, events: Vec::new(), lost: 3 })));
    }
    loop {
        let out = timeout(PATIENCE, attic.outs.recv()).await.expect("all are taken").unwrap();
        let Out::Send(_, bytes) = out else { continue };
        if let Ok(Some((Frame::Known(Message::Kept(1000)), _))) = frame::take(&bytes) {
            break;
        }
    }
    attic.agent.stop().await;
    let Machine { folder, .. } = attic;
    let again = Machine::again("attic", true, folder, &[]);
    let mut heard = again.bus().subscribe(wanted(None, &["+/evt/host/events-missed"], From::Oldest));
    let told = [missed(&mut heard).await, missed(&mut heard).await];
    assert_eq!(told, [("attic".to_owned(), 3), ("attic".to_owned(), 3 * 999)], "the rest is told at the end");
}

#[tokio::test]
async fn one_address_names_only_so_many_machines_and_those_that_are_known_are_not_affected() {
    let folder = tempfile::tempdir().unwrap();
    let attic = start(Settings { strangers_per_address: 3, ..settings("attic", &folder, true) }, folder);
    let mut told = attic.bus().subscribe(wanted(None, &["+/evt/host/stranger-refused"], From::Next));
    told.live().await;
    let comes = |link: u64, name: &str, from: &str| {
        let stranger = from.parse().ok();
        attic.agent.order(Order::LinkUp { link, host: host(name), roles: Roles::open_house(), stranger });
        attic.agent.order(Order::LinkDown(link));
    };
    for number in 0..9 {
        comes(number + 1, &format!("host{number}"), "10.0.0.66");
    }
    comes(20, "host1", "10.0.0.66");
    comes(21, "kitchen", "10.0.0.7");
    let (_, refused) = event(&mut told).await;
    let text = String::from_utf8_lossy(&refused.body.0).into_owned();
    assert!(
        text.contains("10.0.0.66") && text.contains("host3 among them") && text.contains("MAX_PER_ADDRESS"),
        "{text}"
    );
    let mut known: Vec<String> = queue(&attic.door()).await.into_iter().map(|one| one.consumer).collect();
    known.retain(|name| name.starts_with("link:"));
    assert_eq!(known, ["link:host0", "link:host1", "link:host2", "link:kitchen"]);
}
