//! Agents, their programs, and links between them.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use bus::agent::hooks::HookPlan;
use bus::agent::{Agent, Order, Out, Settings};
use bus::client::{Item, ask};
use bus::command::Outcome;
use bus::secure::Roles;
use common::{Machine, PATIENCE, event, host, link, settings, wanted};
use protocol::Message;
use protocol::door::{Ask, From, Tell, Waiting};
use protocol::event::{Class, Keep};
use protocol::fact::Fact;
use protocol::frame::{self, Frame};
use serde_json::Map;
use tokio::time::timeout;

fn motion(camera: &str) -> Fact {
    Fact::Motion { camera: camera.into(), percent: 5.0 }
}

#[tokio::test]
async fn a_program_hears_what_another_says() {
    let attic = Machine::start("attic", true);
    let bus = attic.bus();
    let mut cameras = bus.subscribe(wanted(None, &["+/evt/camera/#"], From::Next));
    cameras.live().await;
    let id = bus.publish(&motion("cam1")).await.unwrap();
    let (_, heard) = event(&mut cameras).await;
    assert_eq!((heard.id, heard.topic.as_str()), (id, "attic/evt/camera/motion"));
}

#[tokio::test]
async fn a_program_may_start_before_its_agent_and_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let bus = bus::client::Bus::open(folder.path().join("bus.sock"), "early 1");
    let mut all = bus.subscribe(wanted(Some("all"), &["#"], From::Oldest));
    let early = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(&motion("early")).await }
    });
    let mut attic = Machine::again("attic", true, folder, &[]);
    early.await.unwrap().unwrap();
    let (number, heard) = event(&mut all).await;
    assert!(heard.body.0.windows(5).any(|part| part == b"early"));
    all.done(number);
    attic.agent.stop().await;
    let late = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(&motion("late")).await }
    });
    let Machine { folder, .. } = attic;
    attic = Machine::again("attic", true, folder, &[]);
    late.await.unwrap().unwrap();
    let (_, heard) = event(&mut all).await;
    assert!(heard.body.0.windows(4).any(|part| part == b"late"), "{heard:?}");
    drop(attic);
}

#[tokio::test]
async fn what_a_named_subscriber_has_not_finished_comes_again() {
    let attic = Machine::start("attic", true);
    let bus = attic.bus();
    let mut gallery = bus.subscribe(wanted(Some("gallery"), &["#"], From::Next));
    gallery.live().await;
    for camera in ["one", "two", "three"] {
        bus.publish(&motion(camera)).await.unwrap();
    }
    let first = event(&mut gallery).await;
    let second = event(&mut gallery).await;
    gallery.done(second.0);
    // The end of the connection must not overtake the acknowledgement.
    gallery.again(first.0);
    assert_eq!(event(&mut gallery).await.1.id.sequence, 3);
    assert_eq!(event(&mut gallery).await.1.id, first.1.id);
    drop(gallery);
    let mut again = bus.subscribe(wanted(Some("gallery"), &["#"], From::Next));
    assert_eq!([event(&mut again).await.1.id.sequence, event(&mut again).await.1.id.sequence], [1, 3]);
}

#[tokio::test]
async fn a_latecomer_is_told_how_things_are() {
    let attic = Machine::start("attic", true);
    let bus = attic.bus();
    for online in [true, false] {
        let (camera, encoder) = ("cam1".into(), "x264".into());
        bus.publish(&Fact::Camera { camera, online, recording: true, encoder }).await.unwrap();
        bus.publish(&motion("cam1")).await.unwrap();
    }
    let mut all = bus.subscribe(wanted(None, &["+/+/camera/#"], From::States));
    let (_, state) = event(&mut all).await;
    assert_eq!(state.topic, "attic/st/camera/camera/cam1");
    assert!(String::from_utf8_lossy(&state.body.0).contains("\"online\":false"));
    assert_eq!(timeout(PATIENCE, all.next()).await.unwrap(), Item::Live);
}

#[tokio::test]
async fn what_one_machine_says_is_heard_on_another_whether_it_was_there_or_not() {
    let mut attic = Machine::start("attic", true);
    let mut kitchen = Machine::start("kitchen", false);
    let mut hall = Machine::start("hall", false);
    let (one, two) = (kitchen.bus(), hall.bus());
    // Said before any link is there.
    one.publish(&motion("before")).await.unwrap();
    let mut cameras = two.subscribe(wanted(Some("gallery"), &["kitchen/evt/camera/#"], From::Next));
    cameras.live().await;
    tokio::join!(async {
        tokio::select! {
            () = link(&mut attic, &mut kitchen, 1) => {}
            () = async {
                one.publish(&motion("between")).await.unwrap();
            } => {}
        }
    });
    // The kitchen's link is cut here; the hall's comes up now.
    let three = attic.bus();
    let mut there = three.subscribe(wanted(None, &["kitchen/#"], From::Oldest));
    let at_server = async {
        tokio::select! {
            () = link(&mut attic, &mut kitchen, 2) => unreachable!(),
            heard = async { (event(&mut there).await.1, event(&mut there).await.1) } => heard,
        }
    };
    let (first, second) = at_server.await;
    assert_eq!([first.id.sequence, second.id.sequence], [1, 2], "each once, in order");
    tokio::select! {
        () = link(&mut attic, &mut hall, 3) => unreachable!(),
        heard = async {
            three.publish(&motion("attic")).await.unwrap();
            // What was said before the hall was ever here is not its business; how things are is, and what comes.
            let asked = two.request(&host("attic"), "version", Map::new(), PATIENCE).await.unwrap();
            assert_eq!((asked.outcome, asked.remarks.as_str()), (Outcome::Done, "attic 1"));
        } => heard,
    }
}

#[tokio::test]
async fn a_command_is_done_where_it_is_served_and_refused_where_it_is_not() {
    let mut attic = Machine::start("attic", true);
    let mut kitchen = Machine::start("kitchen", false);
    let (server, client) = (attic.bus(), kitchen.bus());
    let mut updates = client.serve("update");
    let serving = async {
        loop {
            let asked = updates.next().await;
            let remarks = format!("{} is up to date", asked.request.arguments["package"]);
            updates.answer(asked, Outcome::Done, remarks, Map::new()).await.unwrap();
        }
    };
    let asking = async {
        let arguments = Map::from_iter([("package".to_owned(), "mpd".into())]);
        let done = server.request(&host("kitchen"), "update", arguments, PATIENCE).await.unwrap();
        assert_eq!((done.outcome, done.remarks.as_str()), (Outcome::Done, "\"mpd\" is up to date"));
        let refused = server.request(&host("kitchen"), "dance", Map::new(), PATIENCE).await.unwrap();
        assert_eq!(refused.outcome, Outcome::Refused);
        assert!(refused.remarks.contains("ping, version, update"), "{}", refused.remarks);
    };
    timeout(PATIENCE, async {
        tokio::select! {
            () = link(&mut attic, &mut kitchen, 1) => unreachable!(),
            () = serving => unreachable!(),
            () = asking => {}
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_machine_that_comes_back_asks_at_once_for_what_its_hooks_want() {
    let attic = Machine::start("attic", true);
    let hooks = tempfile::tempdir().unwrap();
    std::fs::create_dir(hooks.path().join("motion")).unwrap();
    let plan = HookPlan { directories: vec![hooks.path().into()], ..HookPlan::default() };
    let folder = tempfile::tempdir().unwrap();
    let (agent, outs) = Agent::start(Settings { hooks: Some(plan), ..settings("hall", &folder, false) }).unwrap();
    let mut hall = Machine { agent, outs, node: host("hall"), folder };
    hall.agent.order(Order::LinkUp { link: 1, host: attic.node.clone(), roles: Roles::all(), stranger: None });
    let first = timeout(PATIENCE, hall.outs.recv()).await.unwrap().unwrap();
    let Out::Send(_, bytes) = first else { panic!("{first:?}") };
    let Ok(Some((Frame::Known(Message::Follow(filters)), _))) = frame::take(&bytes) else { panic!("no wishes") };
    assert!(filters.contains(&"+/evt/camera/motion".to_owned()), "{filters:?}");
    attic.agent.stop().await;
}

#[tokio::test]
async fn on_a_disk_that_cannot_be_used_events_are_kept_in_ram() {
    let (folder, spare) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("journal"), "a file where the directory should be").unwrap();
    let place = Some(spare.path().join("journal"));
    let started = Agent::start(Settings { spare: place, ..settings("attic", &folder, true) });
    let (agent, outs) = started.unwrap();
    let attic = Machine { agent, outs, node: host("attic"), folder };
    attic.bus().publish(&motion("cam1")).await.unwrap();
    let health = ask(&attic.door(), "test 1", Ask::Health).await.unwrap();
    assert!(matches!(&health, Tell::Health(health) if health.ram), "{health:?}");
}

#[tokio::test]
async fn many_states_of_a_house_come_in_frames_that_can_be_read() {
    let attic = Machine::start("attic", true);
    let bus = attic.bus();
    let topic = |number: usize| format!("attic/st/host/note/{number}");
    let class = Class { keep: Keep::LatestPerSubject, durable: false };
    for number in 0..100 {
        bus.say_text(topic(number), class, None, vec![b'.'; 20_000]).await.unwrap();
    }
    let mut states = bus.subscribe(wanted(None, &["+/st/#"], From::States));
    for number in 0..100 {
        assert_eq!(event(&mut states).await.1.topic, topic(number));
    }
}

#[tokio::test]
async fn a_program_that_outlives_a_journal_hears_what_the_next_one_keeps() {
    let mut attic = Machine::start("attic", true);
    let bus = attic.bus();
    let mut all = bus.subscribe(wanted(Some("all"), &["+/evt/camera/#"], From::Oldest));
    bus.publish(&motion("one")).await.unwrap();
    let (number, _) = event(&mut all).await;
    all.done(number);
    attic.agent.stop().await;
    let Machine { folder, .. } = attic;
    std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
    attic = Machine::again("attic", true, folder, &[]);
    for camera in ["two", "three"] {
        bus.publish(&motion(camera)).await.unwrap();
        let (number, heard) = event(&mut all).await;
        assert!(String::from_utf8_lossy(&heard.body.0).contains(camera), "{heard:?}");
        all.done(number);
    }
    drop(attic);
}

/// The batches that an agent sends over a link, until it has sent `count` events.
async fn batches(machine: &mut Machine, over: u64, count: usize) -> Vec<protocol::event::Batch> {
    let mut batches: Vec<protocol::event::Batch> = Vec::new();
    while batches.iter().map(|batch| batch.events.len()).sum::<usize>() < count {
        let out = timeout(PATIENCE, machine.outs.recv()).await.expect("more is sent").unwrap();
        let Out::Send(links, bytes) = out else { continue };
        let Ok(Some((Frame::Known(Message::Events(batch)), _))) = frame::take(&bytes) else { continue };
        assert_eq!(links, [over]);
        batches.push(batch);
    }
    batches
}

#[tokio::test]
async fn all_that_a_broken_link_had_on_the_way_comes_again_at_once() {
    let mut kitchen = Machine::start("kitchen", false);
    let bus = kitchen.bus();
    let topic = "kitchen/evt/host/notice".to_owned();
    let class = Class { keep: Keep::All, durable: false };
    for _ in 0..4 {
        bus.say_text(topic.clone(), class, None, vec![b'.'; 11_000]).await.unwrap();
    }
    for number in 1..=2 {
        kitchen.agent.order(Order::LinkUp { link: number, host: host("attic"), roles: Roles::all(), stranger: None });
        let sent = batches(&mut kitchen, number, 4).await;
        let sequences: Vec<u64> = sent.iter().flat_map(|batch| &batch.events).map(|event| event.id.sequence).collect();
        assert_eq!(sequences, [1, 2, 3, 4]);
        kitchen.agent.order(Order::LinkDown(number));
    }
}

#[tokio::test]
async fn a_link_of_a_machine_takes_the_place_of_its_older_one() {
    let mut kitchen = Machine::start("kitchen", false);
    let bus = kitchen.bus();
    for number in 1..=2 {
        kitchen.agent.order(Order::LinkUp { link: number, host: host("attic"), roles: Roles::all(), stranger: None });
    }
    while !matches!(timeout(PATIENCE, kitchen.outs.recv()).await.unwrap(), Some(Out::Send(links, _)) if links == [2]) {}
    for _ in 0..4 {
        bus.publish(&motion("cam1")).await.unwrap();
    }
    batches(&mut kitchen, 2, 4).await;
}

#[tokio::test]
async fn a_program_with_many_wishes_costs_its_machine_nothing() {
    let mut kitchen = Machine::start("kitchen", false);
    kitchen.agent.order(Order::LinkUp { link: 1, host: host("attic"), roles: Roles::all(), stranger: None });
    let bus = kitchen.bus();
    let long = "x".repeat(60);
    let filters: Vec<String> = (0..256).map(|n| format!("{long}/{long}/{long}/{long}/{long}/{n}")).collect();
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let (some, others) = filters.split_at(128);
    let mut greedy = [some, others].map(|filters| bus.subscribe(wanted(None, filters, From::Next)));
    for one in &mut greedy {
        one.live().await;
    }
    let mut last = Vec::new();
    while last != ["#"] {
        let Some(Out::Send(_, bytes)) = timeout(PATIENCE, kitchen.outs.recv()).await.expect("it follows all") else {
            continue;
        };
        let Ok(Some((Frame::Known(Message::Follow(asked)), _))) = frame::take(&bytes) else { panic!("no frame") };
        assert!(asked.len() <= bus::agent::machine::MOST_FILTERS);
        last = asked;
    }
}

#[tokio::test]
async fn who_asks_again_and_again_for_all_states_is_told_them_as_fast_as_it_reads() {
    let mut attic = Machine::start("attic", true);
    let bus = attic.bus();
    let class = Class { keep: Keep::LatestPerSubject, durable: false };
    for number in 0..20 {
        bus.say_text(format!("attic/st/host/note/{number}"), class, None, vec![b'.'; 11_000]).await.unwrap();
    }
    attic.agent.order(Order::LinkUp { link: 1, host: host("kitchen"), roles: Roles::all(), stranger: None });
    for round in 0..100 {
        let filters = if round % 2 == 0 { vec!["#".into()] } else { vec!["+/#".into()] };
        attic.agent.order(Order::Heard(1, Message::Follow(filters)));
    }
    bus.publish(&motion("last")).await.unwrap();
    let (mut told, mut over) = (0, false);
    while !over {
        let Some(Out::Send(_, bytes)) = timeout(PATIENCE, attic.outs.recv()).await.expect("more is sent") else {
            continue;
        };
        let Ok(Some((Frame::Known(Message::Events(batch)), _))) = frame::take(&bytes) else { continue };
        told += batch.events.len();
        over = batch.events.iter().any(|event| event.topic.ends_with("motion"));
        attic.agent.order(Order::Heard(1, Message::Kept(batch.through)));
    }
    assert!((20..=60).contains(&told), "{told}");
}

#[tokio::test]
async fn a_machine_whose_roles_change_goes_on_hearing_what_it_asked_for() {
    let mut attic = Machine::start("attic", true);
    let bus = attic.bus();
    let roles = |text: &[&str]| Roles::parse(text).unwrap();
    let up = |roles| Order::LinkUp { link: 1, host: host("kitchen"), roles, stranger: None };
    attic.agent.order(up(roles(&["follow", "publish:*"])));
    attic.agent.order(Order::Heard(1, Message::Follow(vec!["+/evt/camera/#".into()])));
    attic.agent.order(up(roles(&["follow"])));
    bus.publish(&motion("one")).await.unwrap();
    let sent = batches(&mut attic, 1, 1).await;
    attic.agent.order(up(roles(&["publish:*"])));
    attic.agent.order(Order::Heard(1, Message::Kept(sent[0].through)));
    bus.publish(&motion("two")).await.unwrap();
    bus.node().await;
    attic.agent.order(up(roles(&["follow"])));
    let sent = batches(&mut attic, 1, 1).await;
    assert_eq!((sent[0].through, sent[0].events[0].id.sequence), (2, 2), "the link goes on counting");
}

/// What waits at a machine, by consumer.
async fn queue(machine: &Machine) -> Vec<Waiting> {
    match ask(&machine.door(), "test 1", Ask::Queue).await.unwrap() {
        Tell::Queue(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_state_that_lies_behind_other_events_comes_in_its_turn_and_once() {
    let mut attic = Machine::start("attic", true);
    attic.agent.order(Order::LinkUp { link: 1, host: host("kitchen"), roles: Roles::all(), stranger: None });
    while !queue(&attic).await.iter().any(|one| one.consumer == "link:kitchen") {}
    let bus = attic.bus();
    bus.publish(&motion("cam1")).await.unwrap();
    let (camera, encoder) = ("cam1".into(), "x264".into());
    bus.publish(&Fact::Camera { camera, online: true, recording: true, encoder }).await.unwrap();
    bus.publish(&motion("cam1")).await.unwrap();
    attic.agent.order(Order::Heard(1, Message::Follow(vec!["+/evt/camera/#".into(), "+/st/camera/#".into()])));
    let sent = batches(&mut attic, 1, 3).await;
    let topics: Vec<&str> = sent.iter().flat_map(|batch| &batch.events).map(|event| event.topic.as_str()).collect();
    assert_eq!(topics, ["attic/evt/camera/motion", "attic/st/camera/camera/cam1", "attic/evt/camera/motion"]);
}

#[tokio::test]
async fn a_program_is_here_while_it_is_connected() {
    let attic = Machine::start("attic", true);
    let is_here = async || queue(&attic).await.iter().any(|one| one.consumer == "sub:gallery" && one.here);
    let mut gallery = attic.bus().subscribe(wanted(Some("gallery"), &["#"], From::Next));
    gallery.live().await;
    assert!(is_here().await);
    drop(gallery);
    let gone = async {
        while is_here().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("it is seen that the program has gone");
}

#[tokio::test]
async fn the_queue_of_a_large_house_is_told_whole() {
    let attic = Machine::start("attic", true);
    for number in 0..3000 {
        let roles = Roles::parse(&["follow"]).unwrap();
        attic.agent.order(Order::LinkUp { link: number, host: host(&format!("host{number}")), roles, stranger: None });
    }
    let links = async {
        while queue(&attic).await.iter().filter(|one| one.consumer.starts_with("link:host") && one.here).count() < 3000
        {
        }
    };
    timeout(PATIENCE, links).await.expect("all of them are told");
}
