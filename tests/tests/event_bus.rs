//! Events between real programs: from a program of one machine to hooks, programs and people of others, whatever was
//! away or killed meanwhile.
#![allow(clippy::unwrap_used, missing_docs)]

use bus::client::{Bus, Item, Subscription, ask};
use nix::sys::signal::Signal;
use protocol::Event;
use protocol::door::{Ask, From, Subscribe, Tell};
use protocol::fact::Fact;
use tests::World;
use tests::world::PATIENCE;
use tests::world::place::Place;
use tokio::runtime::Runtime;
use tokio::time::timeout;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn bus(runtime: &Runtime, place: &Place) -> Bus {
    let _guard = runtime.enter();
    Bus::open(place.path("bus.sock"), "test 1")
}

fn motion(camera: &str) -> Fact {
    Fact::Motion { camera: camera.into(), percent: 4.5 }
}

fn subscribe(bus: &Bus, name: Option<&str>, filter: &str, from: From) -> Subscription {
    bus.subscribe(Subscribe { name: name.map(str::to_owned), filters: vec![filter.into()], from })
}

async fn event(subscription: &mut Subscription) -> (u64, Event) {
    let next = async {
        loop {
            if let Item::Event(number, event) = subscription.next().await {
                return (number, *event);
            }
        }
    };
    timeout(PATIENCE, next).await.expect("an event comes")
}

/// Whether the server knows that a machine wants to hear a fact.
fn follows(runtime: &Runtime, server: &Place, host: &str, fact: &str) -> bool {
    let door = server.path("bus.sock");
    let Ok(Tell::Queue(queue)) = runtime.block_on(ask(&door, "test 1", Ask::Queue)) else { return false };
    let follower = queue.into_iter().find(|waiting| waiting.consumer == format!("link:{host}"));
    follower.is_some_and(|follower| follower.wants.iter().any(|filter| filter.ends_with(fact)))
}

fn body(event: &Event) -> serde_json::Value {
    serde_json::from_slice(&event.body.0).unwrap()
}

#[test]
fn an_event_of_one_machine_runs_a_hook_on_another() {
    let (world, runtime) = (World::new(), runtime());
    let attic = world.server("attic").start();
    let hook = "event $PISTOP_NODE $PISTOP_FAMILY $FACT_CAMERA $FACT_PERCENT";
    let hall = world.client("hall").of(&attic).hook("motion/50-ring-bell", hook).start();
    let yard = world.client("yard").of(&attic).start();
    attic.until_peers(2, "new");
    let cameras = bus(&runtime, yard.place());
    // The hall has asked for it once its wishes are in the server's books.
    world.until("the server knows what the hall wants", || follows(&runtime, attic.place(), "hall", "motion"));
    runtime.block_on(cameras.publish(&motion("cam1"))).unwrap();
    hall.until_event("motion/50-ring-bell");
    world.until("it knows what happened", || hall.has("yard camera cam1 4.5"));
}

#[test]
fn a_machine_that_was_away_is_told_what_it_missed() {
    let (world, runtime) = (World::new(), runtime());
    let attic = world.server("attic").start();
    let mut hall = world.client("hall").of(&attic).hook("segment-closed/50-keep-file", "event $FACT_FILE").start();
    let mut yard = world.client("yard").of(&attic).start();
    attic.until_peers(2, "new");
    world.until("the server knows what the hall wants", || follows(&runtime, attic.place(), "hall", "segment-closed"));
    hall.stop(Signal::SIGKILL);
    let cameras = bus(&runtime, yard.place());
    let closed = |file: &str| {
        let (camera, file) = ("cam1".into(), file.into());
        Fact::SegmentClosed { camera, file, bytes: 1, duration_ms: 20_000, motion: false }
    };
    runtime.block_on(async {
        for number in 0..20 {
            cameras.publish(&closed(&format!("file-{number}"))).await.unwrap();
        }
    });
    // The outbox of the yard outlives it, too.
    yard.restart(Signal::SIGKILL);
    hall.start_again();
    for number in 0..20 {
        world.until("each file is told", || hall.has(&format!("file-{number}")));
    }
    assert_eq!(hall.count("segment-closed/50-keep-file"), 20, "each once");
}

#[test]
fn everybody_can_see_who_is_here_and_who_is_not() {
    let (world, runtime) = (World::new(), runtime());
    let attic = world.server("attic").start();
    let mut kitchen = world.client("kitchen").of(&attic).start();
    attic.until_peers(1, "new");
    let bus = bus(&runtime, attic.place());
    runtime.block_on(async {
        let mut states = subscribe(&bus, None, "+/state", From::States);
        let mut seen = Vec::new();
        while !seen.iter().any(|line| line == "kitchen/state online") {
            let (_, event) = event(&mut states).await;
            seen.push(format!("{} {}", event.topic, body(&event)["state"].as_str().unwrap()));
        }
        assert!(seen.contains(&"attic/state online".into()), "{seen:?}");
        kitchen.stop(Signal::SIGTERM);
        let (_, event) = event(&mut states).await;
        assert_eq!((event.topic.as_str(), body(&event)["state"].as_str()), ("kitchen/state", Some("offline")));
    });
}

#[test]
fn a_subscriber_goes_on_where_it_was_when_the_server_is_killed() {
    let (world, runtime) = (World::new(), runtime());
    let mut attic = world.server("attic").start();
    let bus = bus(&runtime, attic.place());
    let heard = runtime.block_on(async {
        let mut motions = subscribe(&bus, Some("gallery"), "attic/evt/camera/#", From::Next);
        timeout(PATIENCE, motions.live()).await.unwrap();
        let mut heard = Vec::new();
        for round in 0..3 {
            for number in 0..50 {
                bus.publish(&motion(&format!("{round}-{number}"))).await.unwrap();
            }
            for _ in 0..25 {
                let (number, event) = event(&mut motions).await;
                heard.push(body(&event)["camera"].as_str().unwrap().to_owned());
                motions.done(number);
            }
            attic.stop(Signal::SIGKILL);
            attic.start_again();
        }
        while heard.len() < 150 {
            let (number, event) = event(&mut motions).await;
            heard.push(body(&event)["camera"].as_str().unwrap().to_owned());
            motions.done(number);
        }
        heard
    });
    let expected: Vec<String> = (0..3).flat_map(|round| (0..50).map(move |n| format!("{round}-{n}"))).collect();
    assert_eq!(heard, expected, "each once and in order");
}
