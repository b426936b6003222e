//! Real clients, real hooks: a server that goes, in each of its ways. What powers off is `touch`.

#![allow(clippy::unwrap_used)] // a test may unwrap

mod common;

use common::{Client, FIRST, Home, PATIENCE, RUN, Server, text, until};
use nix::sys::signal::Signal;
use protocol::message::Stage;
use protocol::{Cause, Message};
use std::time::Instant;

#[test]
fn a_new_server_is_followed_from_its_coming_to_the_power_off() {
    let (home, server) = (Home::new(), Server::new());
    let mut client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept_new(RUN);
    home.wait_for_diary(&["server-up/20-mount-share"]);
    home.wait_for_journal(r#""complete": true"#);

    peer.prepare(Cause::Shutdown, false);
    let stages = peer.stages(Stage::Unmounted);
    let player = "server-stopping/10-stop-player".to_owned();
    let share = "server-stopping/50-unmount-share".to_owned();
    assert_eq!(stages, [(Stage::Received, vec![]), (Stage::Stopped, vec![player]), (Stage::Unmounted, vec![share])]);
    assert!(!home.is_off(), "the server has not committed yet");

    peer.send(&Message::Commit(FIRST));
    assert_eq!(peer.stages(Stage::Bye), [(Stage::Bye, vec!["power-off/90-power-off".to_owned()])]);
    assert!(home.is_off());
    home.wait_for_journal(r#""done": true"#);
    let expected = ["server-up/20-mount-share", "server-stopping/10-stop-player shutdown"];
    let then = ["server-stopping/50-unmount-share shutdown", "power-off/90-power-off shutdown"];
    assert_eq!(home.diary(), [expected, then].concat());

    client.signal(Signal::SIGTERM);
    assert!(client.end().success());
}

#[test]
fn a_crash_in_the_middle_is_taken_up_where_it_was_and_nothing_runs_twice() {
    let (home, server) = (Home::new(), Server::new());
    let gate = home.path("gate");
    let hang = format!("[ -e {0} ] || {{ touch {0}; exec sleep 100; }}", gate.display());
    home.hook("server-stopping/50-unmount-share", &hang);
    let client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    peer.prepare(Cause::Shutdown, false);
    until("the second hook begins", || gate.exists());
    home.wait_for_journal(r#""begun": "server-stopping/50-unmount-share""#);
    client.crash();

    let mut client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept();
    peer.greet(RUN);
    peer.prepare(Cause::Shutdown, false);
    peer.stages(Stage::Unmounted);
    peer.send(&Message::Commit(FIRST));
    peer.stages(Stage::Bye);
    assert!(home.is_off());
    let ran = [
        "server-up/20-mount-share",
        "server-stopping/10-stop-player shutdown",
        "server-stopping/50-unmount-share shutdown",
        "server-stopping/50-unmount-share shutdown",
        "power-off/90-power-off shutdown",
    ];
    assert_eq!(home.diary(), ran);
    assert!(home.read_log().contains("server-stopping/50-unmount-share had begun and not ended; it runs again"));
    client.signal(Signal::SIGKILL);
    client.end();

    let _third = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept();
    peer.greet(RUN);
    peer.prepare(Cause::Shutdown, false);
    assert_eq!(peer.stages(Stage::Bye), [(Stage::Bye, vec![])]);
    assert_eq!(home.diary().len(), ran.len(), "it has powered off once, and does not do so again");
}

#[test]
fn an_old_server_that_says_shutdown_and_closes_is_let_go_of_and_followed_down() {
    let (home, server) = (Home::new(), Server::new());
    let mut client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept();
    home.wait_for_diary(&["server-up/20-mount-share"]);
    peer.write(b"Connection from 127.0.0.1\nshutdown\n");
    peer.hear_end();
    assert!(home.is_off(), "the link ends when all is done");
    assert_eq!(home.diary().last().unwrap(), "power-off/90-power-off shutdown");
    drop(peer);
    client.signal(Signal::SIGTERM);
    assert!(client.end().success());
}

#[test]
fn an_old_server_that_merely_closes_has_gone_too() {
    let (home, server) = (Home::new(), Server::new());
    let _client = Client::start(&mut server.client(&home));
    let peer = server.accept();
    home.wait_for_diary(&["server-up/20-mount-share"]);
    drop(peer);
    let stopped = ["server-stopping/10-stop-player closed", "server-stopping/50-unmount-share closed"];
    home.wait_for_diary(&[&["server-up/20-mount-share"], &stopped[..]].concat());
    home.wait_for_journal(r#""phase": "down""#);
    assert!(!home.is_off(), "POWER_OFF is not set");
}

/// Defect 2: a reset ended the old client without its stop hook.
#[test]
fn defect_02_a_reset_lets_go_and_does_not_power_off() {
    let (home, server) = (Home::new(), Server::new());
    let _client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let peer = server.accept();
    home.wait_for_diary(&["server-up/20-mount-share"]);
    peer.reset();
    home.wait_for_diary(&["server-up/20-mount-share", "server-lost/50-unmount-lazily lost"]);
    home.wait_for_journal(r#""cause": "lost""#);
    let mut peer = server.accept_new(RUN);
    home.wait_for_diary(&[
        "server-up/20-mount-share",
        "server-lost/50-unmount-lazily lost",
        "server-up/20-mount-share",
    ]);
    let lost =
        peer.message(|m| if let Message::Decision(d) = m { (d.what == "server lost").then_some(d) } else { None });
    assert!(
        lost.evidence.iter().any(|fact| fact.contains("reset")) && lost.evidence.iter().any(|fact| fact.contains("lo"))
    );
    assert!(!home.is_off());
}

/// Defect 14: the old client did not listen while its start hook ran.
#[test]
fn defect_14_a_start_that_hangs_is_overtaken_by_the_stop() {
    let (home, server) = (Home::new(), Server::new());
    home.hook("server-up/20-mount-share", "exec sleep 100");
    let _client = Client::start(&mut server.client(&home));
    let mut peer = server.accept_new(RUN);
    home.wait_for_diary(&["server-up/20-mount-share"]);
    let began = Instant::now();
    peer.prepare(Cause::Shutdown, false);
    peer.stages(Stage::Unmounted);
    assert!(began.elapsed() < PATIENCE / 3, "{:?}", began.elapsed());
    assert_eq!(home.diary().len(), 3);
}

#[test]
fn a_failed_hook_is_reported_and_not_as_unmounted() {
    let (home, server) = (Home::new(), Server::new());
    home.hook("server-stopping/50-unmount-share", "exit 100");
    let _client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    peer.prepare(Cause::Shutdown, false);
    let failed = peer.message(|m| match m {
        Message::Progress(progress) => progress.outcomes.into_iter().find(|outcome| outcome.hook.contains("unmount")),
        _ => None,
    });
    assert_eq!(failed.result.to_string(), "failed, exit 100");
    peer.send(&Message::Commit(FIRST));
    assert_eq!(peer.stages(Stage::Bye).last().unwrap().0, Stage::Bye);
    assert!(home.is_off());
}

#[test]
fn a_drill_runs_harmless_commands_and_changes_nothing() {
    let (home, server) = (Home::new(), Server::new());
    let _client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    let before = home.journal();
    peer.prepare(Cause::Shutdown, true);
    let stages: Vec<_> = peer.stages(Stage::Bye).into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, [Stage::Received, Stage::Stopped, Stage::Unmounted, Stage::Bye]);
    assert_eq!((home.diary(), home.journal()), (vec!["server-up/20-mount-share".into()], before));
    assert!(!home.is_off());
}

#[test]
fn hooks_know_the_facts_and_only_the_power_off_hooks_know_how() {
    let (home, server) = (Home::new(), Server::new());
    let facts = home.path("facts");
    let tell = format!(
        "{{ cat; echo \"$PISTOP_SERVER $PISTOP_HOST $PISTOP_ID $PISTOP_REASON $PISTOP_ATTEMPT [$POWER_OFF$POWER_OFF_COMMAND] $MDRIVE $PWD\"; }} >{}",
        facts.display()
    );
    home.hook("server-stopping/50-unmount-share", &tell);
    let _client = Client::start(server.client(&home).env("POWER_OFF", "1").env("MDRIVE", "/mnt/x"));
    let mut peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    peer.prepare(Cause::Shutdown, false);
    peer.stages(Stage::Unmounted);
    let written = text(&facts);
    let (json, line) = written.trim_end().split_once('\n').unwrap();
    assert_eq!(line, "attic 127.0.0.1 100-1 night 1 [1] /mnt/x /");
    let expected = r#"{"event":"server-stopping","cause":"shutdown","server":"attic","host":"127.0.0.1","id":"100-1","reason":"night","hook-timeout":60.0,"drill":false}"#;
    assert_eq!(json, expected);
}
