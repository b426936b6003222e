//! The verbs of `pistop` for the event bus, on a server and on a client, with real processes.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use tests::World;
use tests::world::actor::Actor;
use tests::world::control::Said;
use tests::world::mosquitto::Mosquitto;
use tests::world::place::Place;
use tests::world::process::Process;
use tests::world::programs;
use tests::world::server::Server;

/// `pistop` on this machine, which finds the sockets of the program there by its variables.
fn command(place: &Place, words: &[&str]) -> Command {
    let mut command = place.world().command(programs::find("pistop"));
    command.arg("--variables").arg(place.variables()).args(words).env("TZ", "UTC");
    // The real machine's clock is no business of a test.
    command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere");
    command
}

#[track_caller]
fn pistop(place: &Place, words: &[&str]) -> Said {
    let output = command(place, words).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { status: output.status, output: text(output.stdout), error: text(output.stderr) }
}

/// What was printed, of a command that went well.
#[track_caller]
fn said(place: &Place, words: &[&str]) -> String {
    let said = pistop(place, words);
    assert_eq!(said.status.code(), Some(0), "{words:?}: {}{}", said.output, said.error);
    said.output
}

#[track_caller]
fn refused(place: &Place, words: &[&str], code: i32) -> String {
    let said = pistop(place, words);
    assert_eq!(said.status.code(), Some(code), "{words:?}: {}{}", said.output, said.error);
    said.error
}

#[track_caller]
fn json(place: &Place, words: &[&str]) -> Vec<Value> {
    said(place, words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn until_online(world: &World, server: &Server, hosts: &[&str]) {
    let line = |host: &&str| format!("\"topic\":\"{host}/state\"");
    world.until("the server says that everybody is there", || {
        let said = pistop(server.place(), &["events", "--json", "--filter", "presence"]).output;
        hosts.iter().all(|host| said.lines().any(|l| l.contains(&line(host)) && l.contains("\"state\":\"online\"")))
    });
}

fn house(world: &World) -> (Server, Actor) {
    let attic = world.server("attic").start();
    let kitchen = world.client("kitchen").of(&attic).start();
    until_online(world, &attic, &["attic", "kitchen"]);
    (attic, kitchen)
}

#[test]
fn what_is_published_on_one_machine_is_listed_on_the_server() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let words = ["publish", "display/notice", "summary=Dinner", "text=The soup is ready"];
    let id = said(kitchen.place(), &words).trim().to_owned();
    assert!(id.starts_with("kitchen-"), "{id}");
    let list = ["events", "--json", "--filter", "kitchen:notice"];
    world.until("the server has it", || !pistop(attic.place(), &list).output.is_empty());
    let events = json(attic.place(), &list);
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["id"], &events[0]["topic"]), (&id.into(), &"kitchen/evt/display/notice".into()));
    assert_eq!((&events[0]["fact"], &events[0]["text"]), (&"notice".into(), &"The soup is ready".into()));
    let line = said(attic.place(), &["events", "--filter", "notice"]);
    assert!(
        line.contains("  kitchen    display/notice          summary=Dinner text=\"The soup is ready\"\n"),
        "{line}"
    );
    let state = said(attic.place(), &["events", "--filter", "presence"]);
    assert!(state.contains("kitchen  = presence/machine-state  state=online"), "{state}");
}

#[test]
fn a_list_begins_when_and_with_what_it_is_told_to() {
    let world = World::new();
    let attic = world.server("attic").start();
    said(attic.place(), &["publish", "camera/motion", "camera=cam1", "percent=1"]);
    said(attic.place(), &["publish", "camera/camera-offline", "camera=cam1", "why=no power"]);
    let count = |words: &[&str]| json(attic.place(), &[&["events", "--json"], words].concat()).len();
    assert_eq!(count(&["--filter", "camera", "--since", "10m"]), 2);
    assert_eq!(count(&["--filter", "motion", "--since", "yesterday"]), 1);
    assert_eq!(count(&["--filter", "+/evt/camera/#", "--since", "2000-01-01"]), 2);
    assert_eq!(count(&["--filter", "attic:motion", "--filter", "camera/camera-offline"]), 2);
    assert_eq!(count(&["--filter", "camera", "--since", "2100-01-01T00:00:00Z"]), 0);
    let nothing = pistop(attic.place(), &["events", "--filter", "backup"]);
    assert!(nothing.status.success() && nothing.error.contains("nothing of that kind is kept on attic"), "{nothing:?}");
    assert!(refused(attic.place(), &["events", "--filter", "moton"], 100).contains("the nearest is `motion`"));
    assert!(refused(attic.place(), &["events", "--since", "noon"], 100).contains("`noon` is no time; write 10m"));
}

#[test]
fn a_follower_hears_each_event_once_though_the_agent_is_killed_meanwhile() {
    let world = World::new();
    let mut attic = world.server("attic").start();
    let publish = |attic: &Server, camera: &str| {
        said(attic.place(), &["publish", "camera/motion", &format!("camera={camera}"), "percent=1"])
    };
    publish(&attic, "one");
    let words = ["events", "--follow", "--json", "--filter", "motion"];
    let follower = Process::start(&world, &mut command(attic.place(), &words), &world.path("follower"));
    let heard =
        || -> Vec<Value> { follower.output().lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    world.until("it lists what there is", || heard().len() == 1);
    publish(&attic, "two");
    world.until("it goes on with what comes", || heard().len() == 2);
    attic.stop(nix::sys::signal::Signal::SIGKILL);
    attic.start_again();
    publish(&attic, "three");
    world.until("it hears the next agent", || heard().last().unwrap()["camera"] == "three");
    let cameras: Vec<String> = heard().iter().filter_map(|event| Some(event["camera"].as_str()?.to_owned())).collect();
    assert_eq!(cameras, ["one", "two", "three"]);
    assert!(heard().iter().any(|event| event["restarted"] == true), "{:?}", heard());
}

#[test]
fn a_reader_that_has_had_enough_ends_the_list_quietly() {
    let world = World::new();
    let attic = world.server("attic").start();
    said(attic.place(), &["publish", "camera/motion", "camera=cam1", "percent=1"]);
    let mut follower = command(attic.place(), &["events", "--follow", "--json"]);
    let mut child = follower.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"id\":\"attic-"), "{line}");
    world.until("it ends, though nothing more comes", || child.try_wait().unwrap().is_some());
    let mut error = String::new();
    child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    assert_eq!((child.wait().unwrap().code(), error.as_str()), (Some(0), ""));
}

#[test]
fn what_cannot_be_published_is_told_with_the_remedy() {
    let world = World::new();
    let attic = world.server("attic").start();
    let why = |words: &[&str], code| refused(attic.place(), &[&["publish"], words].concat(), code);
    assert!(why(&["camera/moton"], 100).contains("did you mean `camera/motion`?"));
    assert!(why(&["camera/motion", "camera=1"], 100).contains("it wants camera (text), percent (a number)"));
    assert!(why(&["camera/motion", "camera"], 100).contains("write KEY=VALUE"));
    let nobody = world.client("nobody");
    let said = refused(nobody.place(), &["publish", "camera/motion", "camera=1", "percent=1", "--wait", "0.1"], 111);
    assert!(said.contains("is fserver or fclient running? set DOOR or --door"), "{said}");
    assert!(
        self::said(nobody.place(), &["publish"]).contains("camera/motion                camera=TEXT percent=NUMBER")
    );
}

#[test]
fn a_publisher_waits_for_an_agent_that_is_about_to_start() {
    let world = World::new();
    let plan = world.server("attic");
    let words = ["publish", "camera/motion", "camera=cam1", "percent=1", "--wait", "20"];
    let mut early = Process::start(&world, &mut command(plan.place(), &words), &world.path("early"));
    let attic = plan.start();
    assert!(early.wait_exit().success(), "{}", early.log());
    assert_eq!(json(attic.place(), &["events", "--json", "--filter", "motion"])[0]["id"], early.output().trim());
}

#[test]
fn a_command_goes_both_ways_and_its_end_is_the_exit_code() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let version = said(attic.place(), &["request", "kitchen", "version"]);
    assert!(version.starts_with("kitchen: done: fclient "), "{version}");
    let version = &json(kitchen.place(), &["request", "attic", "version", "--json"])[0];
    assert_eq!((&version["host"], &version["outcome"]), (&"attic".into(), &"done".into()));
    let why = refused(attic.place(), &["request", "kitchen", "dance", "n:=1"], 100);
    assert!(why.contains("kitchen: refused:") && why.contains("ping, version"), "{why}");
    let why = refused(attic.place(), &["request", "nowhere", "ping", "--within", "0.3"], 111);
    assert!(why.contains("nowhere: expired:") && why.contains("`pistop request all ping`"), "{why}");
    for place in [attic.place(), kitchen.place()] {
        let table = said(place, &["request", "all", "version"]);
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
        assert_eq!(rows, [["host", "outcome"], ["attic", "done"], ["kitchen", "done"]], "{table}");
    }
    let list = said(attic.place(), &["events", "--filter", "+/req/#", "--filter", "+/res/#"]);
    let words = list.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("attic > asks kitchen: dance n=1"), "{list}");
    assert!(words.contains("kitchen < answers attic: version done: fclient "), "{list}");
}

#[test]
fn the_queue_shows_who_is_away_and_what_waits_for_him() {
    let world = World::new();
    let (attic, mut kitchen) = house(&world);
    let queue = || json(attic.place(), &["queue", "--json"]).remove(0);
    let of = |queue: &Value| queue.as_array().unwrap().iter().find(|one| one["consumer"] == "link:kitchen").cloned();
    assert_eq!(of(&queue()).unwrap()["here"], true);
    kitchen.stop(nix::sys::signal::Signal::SIGKILL);
    world.until("it is seen that the kitchen is away", || of(&queue()).unwrap()["here"] == false);
    let table = said(attic.place(), &["queue"]);
    let line = table.lines().find(|line| line.starts_with("link:kitchen")).unwrap();
    assert!(table.starts_with("consumer") && line.ends_with("no"), "{table}");
}

#[test]
fn the_doctor_knows_the_broker_and_its_version() {
    let world = World::new();
    let mut broker = Mosquitto::start(&world, "broker", "");
    let attic = world.server("attic").variable("MQTT", &format!("mqtt://{}", broker.address())).start();
    let look = || -> Value { serde_json::from_str(&pistop(attic.place(), &["doctor", "--json"]).output).unwrap() };
    let told = |seen: &Value| seen["uplink"]["detail"].as_str().unwrap_or_default().starts_with("mosquitto version ");
    world.until("the version is known", || told(&look()));
    let [address, state] = serde_json::from_value::<[String; 2]>(look()["health"]["broker"].clone()).unwrap();
    assert_eq!(address, format!("mqtt://{}", broker.address()));
    assert!(state.starts_with("connected since 20") && state.contains(": mosquitto version "), "{state}");
    let people = pistop(attic.place(), &["doctor"]).output;
    assert!(people.contains(" is reached: mosquitto version "), "{people}");
    broker.stop(nix::sys::signal::Signal::SIGKILL);
    let state = || look()["health"]["broker"][1].as_str().unwrap().to_owned();
    world.until("its end is seen", || state().starts_with("not connected since 20"));
    assert!(state().contains(": "), "{}", state());
}

#[test]
fn the_doctor_finds_what_was_made_wrong() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    // How fast the disk of a test is, and a command on it, is not the point.
    let is_slow = |finding: &Value| {
        let what = finding["what"].as_str().unwrap();
        what.contains("and every event waits for it") || what.starts_with("a command to ")
    };
    let look = |place: &Place| -> (Value, Vec<Value>) {
        let said = pistop(place, &["doctor", "--json"]);
        let mut seen: Value = serde_json::from_str(&said.output).unwrap_or_else(|why| panic!("{why}: {said:?}"));
        let Value::Array(findings) = seen["findings"].take() else { panic!("{seen}") };
        let problems = findings.iter().filter(|finding| finding["problem"] == true).count();
        assert_eq!(said.status.code(), Some(if problems > 0 { 100 } else { 0 }), "{said:?}");
        (seen, findings.into_iter().filter(|finding| !is_slow(finding)).collect())
    };
    for place in [attic.place(), kitchen.place()] {
        let (seen, findings) = look(place);
        assert_eq!(findings, Vec::<Value>::new());
        let pinged: Vec<&Value> = seen["pings"].as_array().unwrap().iter().map(|ping| &ping["host"]).collect();
        assert_eq!(pinged, ["attic", "kitchen"]);
        assert!(seen["health"]["sync_us"].as_u64().unwrap() > 0, "{seen}");
        assert!(seen["room"].as_u64().unwrap() > seen["health"]["bytes"].as_u64().unwrap(), "{seen}");
    }
    let socket = attic.place().path("bus.sock");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
    said(attic.place(), &["publish", "host/hook-failed", "hook=motion/50-x", "about=attic-1-1", "result=exit 1"]);
    let (_, findings) = look(attic.place());
    let whats: Vec<&str> = findings.iter().map(|finding| finding["what"].as_str().unwrap()).collect();
    assert_eq!(whats.len(), 2, "{findings:?}");
    assert!(whats[0].contains("everybody on this machine may come in"), "{whats:?}");
    assert!(whats[1].starts_with("hook-failed on attic, once in the last day: hook=motion/50-x"), "{whats:?}");
    let people = pistop(attic.place(), &["doctor"]);
    for words in [
        "bus      fserver ",
        "journal  ",
        " MiB, dropped so far: nothing",
        "pings    2 of 2 machines answer",
        "problem: hook-failed on attic",
    ] {
        assert!(people.output.contains(words), "{words} is not in {}", people.output);
    }
    assert!(people.error.contains("problems, each with its remedy above"), "{}", people.error);
}
