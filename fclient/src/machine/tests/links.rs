//! The link itself: the offer, texts, decisions, refusals, and the one link of tcpclient.

use super::*;

fn once(policy: PowerPolicy) -> Client {
    Client::from_journal(Rules { once: true, ..rules(policy) }, None)
}

fn said(client: &Client, text: &str) -> bool {
    client.did(&Action::SayLine(ClientLine::Text(text.into()))) || client.did(&Action::Say(Message::Text(text.into())))
}

#[test]
fn the_first_words_are_the_offer_and_each_beat_is_answered() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected);
    assert_eq!(client.done, [Action::SayLine(ClientLine::Hello(HostName::parse("kitchen").unwrap()))]);
    client.hears_line(ServerLine::Hello { server: attic(), epoch: RUN_1 });
    assert!(client.did(&Action::Say(Message::Hello(rules(OFF).hello))));
    client.beat();
    assert!(client.did(&Action::Say(Message::Echo { number: 1 })));
}

#[test]
fn words_of_old_scripts_reach_a_new_server_in_frames() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected).tell(Input::HookSaid("Initialized kitchen".into())).passes(0.2);
    assert!(!said(&client, "Initialized kitchen"), "it would be taken for a frame");
    client.hears_line(ServerLine::Hello { server: attic(), epoch: RUN_1 });
    assert!(client.did(&Action::Say(Message::Text("Initialized kitchen".into()))));
}

#[test]
fn words_of_old_scripts_reach_an_old_server_in_lines() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected).tell(Input::HookSaid("Initialized kitchen".into())).passes(1.9);
    assert!(!said(&client, "Initialized kitchen"));
    client.passes(0.2);
    assert!(client.did(&Action::SayLine(ClientLine::Text("Initialized kitchen".into()))));
}

#[test]
fn no_script_can_make_a_server_power_off() {
    let mut client = Client::new(OFF);
    client.up_old().passes(3.0);
    client.done.clear();
    for text in ["shutdown", "shutdown now", "quit", "wait", "waiting"] {
        client.tell(Input::HookSaid(text.into()));
    }
    assert!(client.done.iter().all(|action| matches!(action, Action::Note(Level::Warn, _))), "{:?}", client.done);
}

/// An old server reads 256 bytes at a time, of lines that may come glued, and takes each block for a command.
#[test]
fn no_line_for_an_old_server_holds_a_command_at_any_place() {
    let mut client = Client::new(OFF);
    client.up_old().passes(3.0);
    client.done.clear();
    let long = format!("{}shutdown", "x".repeat(192));
    for text in ["please shutdown, quit or wait; shutdownshutdown", long.as_str()] {
        client.tell(Input::HookSaid(text.into()));
    }
    assert!(said(&client, "please shut-down, qu-it or wa-it; shut-downshut-down"), "{:?}", client.done);
    assert!(said(&client, &format!("{}shut-dow", "x".repeat(192))), "{:?}", client.done);
}

#[test]
fn words_for_a_new_server_stay_as_they_are() {
    let mut client = Client::new(OFF);
    client.up().tell(Input::HookSaid("please wait".into()));
    assert!(client.did(&Action::Say(Message::Text("please wait".into()))));
}

#[test]
fn the_last_decisions_are_kept_for_a_server_that_asks_why() {
    let mut client = Client::new(OFF);
    client.up();
    for _ in 0..20 {
        client.tell(Input::Slept(secs(60.0))).passes(1.0);
    }
    client.done.clear();
    client.links(RUN_1);
    let told = client.done.iter().filter(|action| matches!(action, Action::Say(Message::Decision(_)))).count();
    assert_eq!(told, post::MOST_DECISIONS);
    let oldest =
        client.done.iter().find_map(|a| if let Action::Say(Message::Decision(d)) = a { Some(d.ago) } else { None });
    assert!(oldest > Some(secs(3.0)), "{oldest:?}");
}

#[test]
fn a_refusal_is_told_and_waited_out_and_accuses_nobody() {
    let mut client = Client::new(OFF_ON_LOST);
    client.up().hears(Message::Refused("two machines are called kitchen; rename one".into()));
    let told = |action: &Action| matches!(action, Action::Note(Level::Error, text) if text.contains("rename one"));
    assert!(client.done.iter().any(told));
    assert!(client.did(&Action::HangUp) && client.did(&Action::Retry(Pause::Refused)));
    client.passes(3.0);
    for _ in 0..40 {
        client.tell(Input::Here(RUN_1)).passes(1.0);
    }
    assert_eq!(client.rows(), [""; 0], "it answers probes, so it lives");
}

#[test]
fn a_server_of_another_version_is_named() {
    let mut client = Client::new(OFF);
    let hello = Hello { version: 9, program: "fserver 9.0".into(), ..rules(OFF).hello };
    client.links(RUN_1).hears(Message::Hello(hello));
    let told = |action: &Action| matches!(action, Action::Note(Level::Error, text) if text.contains("version 9"));
    assert!(client.done.iter().any(told) && client.did(&Action::Retry(Pause::Refused)));
}

#[test]
fn what_is_newer_than_this_client_is_skipped() {
    let mut client = Client::new(OFF);
    client.up().tell(Input::Heard(Heard::Unknown(77)));
    assert!(matches!(client.done[..], [Action::Note(Level::Debug, _)]));
}

#[test]
fn under_tcpclient_the_end_of_the_link_is_the_end() {
    let mut client = once(STAY);
    client.up().prepare(Cause::Shutdown).row_ends().hears(Message::Commit(FIRST));
    assert!(client.did(&Action::Exit(Exit::Done)));
    let mut client = once(STAY);
    client.up_old().link_ends(Input::Closed);
    assert!(!client.did(&Action::Exit(Exit::Done)), "its hooks come first");
    client.row_ends();
    assert!(client.did(&Action::Exit(Exit::Done)));
    let mut client = once(STAY);
    client.up().link_ends(Input::Broken("reset".into())).link_is(true).row_ends();
    assert!(client.did(&Action::Exit(Exit::Again)));
    assert!(!client.done.iter().any(|action| matches!(action, Action::Retry(_))));
}

#[test]
fn under_tcpclient_a_restart_of_the_server_is_met_by_the_next_run() {
    let mut client = once(OFF);
    client.up().prepare(Cause::Restart).link_ends(Input::Closed);
    assert!(client.did(&Action::Exit(Exit::Again)));
    let mut next = client.restarted();
    next.links(RUN_2).beat();
    assert_eq!(next.rows(), [""; 0]);
}

#[test]
fn under_tcpclient_the_link_survives_a_sleep() {
    for new in [true, false] {
        let mut client = once(OFF_ON_LOST);
        if new {
            client.up()
        } else {
            client.up_old()
        };
        client.tell(Input::Slept(secs(3600.0)));
        for _ in 0..20 {
            client.passes(1.0);
            if new {
                client.beat();
            }
        }
        assert_eq!(client.rows(), [""; 0]);
        assert!(!client.did(&Action::Drop));
    }
}

#[test]
fn under_tcpclient_an_earlier_end_does_not_end_the_next_run() {
    let mut client = once(STAY);
    client.up_old().link_ends(Input::Closed).row_ends();
    let mut next = client.restarted();
    next.tell(Input::Connected).passes(0.4);
    assert_eq!(next.rows(), ["server-up"]);
    assert!(!next.did(&Action::Exit(Exit::Done)));
}

#[test]
fn a_server_that_proved_itself_is_spoken_to_in_frames_at_once() {
    let mut client = Client::new(OFF);
    client.tell(Input::Proven { server: attic(), epoch: RUN_1 });
    assert_eq!(client.done, [Action::Say(Message::Hello(rules(OFF).hello))], "the lines are over");
    client.passes(1.0);
    assert!(!matches!(client.machine.presence.phase(), presence::Phase::Up { .. }), "silent, it is no old server");
    client.beat();
    assert!(matches!(client.machine.presence.phase(), presence::Phase::Up { epoch: Some(RUN_1), .. }));
}

#[test]
fn when_this_machine_is_paired_its_link_is_made_anew_and_nobody_is_accused() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected).hears_line(ServerLine::Hello { server: attic(), epoch: RUN_1 });
    client.beat();
    client.done.clear();
    client.tell(Input::Paired);
    assert!(client.did(&Action::HangUp) && client.did(&Action::Retry(Pause::Soon)));
    client.tell(Input::Proven { server: attic(), epoch: RUN_1 });
    client.beat();
    client.passes(1.0);
    assert!(!client.done.iter().any(|action| matches!(action, Action::Decided(..))), "{:?}", client.done);
}
