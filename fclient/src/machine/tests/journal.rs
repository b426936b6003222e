//! The client is ended and started again at every point: nothing runs twice, nothing is forgotten.

use super::*;

#[test]
fn a_server_that_is_still_there_is_no_news() {
    let mut client = Client::new(OFF);
    client.up();
    let mut next = client.restarted();
    next.links(RUN_1).beat().passes(1.0).beat();
    assert_eq!(next.rows(), [""; 0]);
    assert_eq!(next.journal, client.journal);
}

#[test]
fn a_server_that_vanished_meanwhile_is_noticed() {
    let mut client = Client::new(OFF);
    client.up();
    let mut next = client.restarted();
    next.passes(6.0).link_is(true);
    assert_eq!(next.rows(), ["server-lost lost"]);
}

#[test]
fn another_run_of_the_server_is_taken_up() {
    let mut client = Client::new(OFF);
    client.up();
    let mut next = client.restarted();
    next.links(RUN_2).beat();
    assert_eq!(next.rows(), ["server-up"]);
}

#[test]
fn an_old_server_that_is_still_there_is_no_news() {
    let mut client = Client::new(OFF);
    client.up_old();
    let mut next = client.restarted();
    next.tell(Input::Connected).passes(5.0);
    assert_eq!(next.rows(), [""; 0]);
    next.link_ends(Input::Closed);
    assert_eq!(next.rows(), ["server-stopping closed"]);
}

#[test]
fn a_start_that_was_not_finished_is_done_again_once_the_server_is_seen() {
    let mut client = Client::new(OFF);
    client.links(RUN_1).beat();
    let mut next = client.restarted();
    next.tell(Input::Slept(secs(60.0)));
    assert_eq!(next.rows(), [""; 0]);
    next.links(RUN_1).beat();
    assert_eq!(next.rows(), ["server-up"]);
}

#[test]
fn an_announced_restart_is_remembered() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Restart);
    let mut next = client.restarted();
    next.passes(20.0).links(RUN_2).beat();
    assert_eq!(next.rows(), [""; 0]);
    let mut next = client.restarted();
    next.passes(31.0).link_is(true);
    assert_eq!(next.rows(), ["server-lost restart"]);
}

#[test]
fn a_shutdown_goes_on_where_it_was() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hook("server-stopping/10-stop-player", HookResult::Done);
    client.tell(Input::HookBegan("server-stopping/50-unmount-share".into(), 1));
    let mut next = client.restarted();
    assert_eq!(next.rows(), ["server-stopping shutdown -server-stopping/10-stop-player"]);
    let again = |action: &Action| matches!(action, Action::Note(_, text) if text.contains("50-unmount-share") && text.contains("runs again"));
    assert!(next.done.iter().any(again));
    next.links(RUN_1).prepare(Cause::Shutdown);
    assert_eq!(next.stages(), [(Stage::Received, 1)], "what the first run told is not known, so it is told again");
    next.hook("server-stopping/50-unmount-share", HookResult::Done).row_ends().hears(Message::Commit(FIRST));
    assert_eq!(next.rows(), ["power-off shutdown"]);
}

#[test]
fn a_commit_is_remembered() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hears(Message::Commit(FIRST));
    let mut next = client.restarted();
    next.row_ends();
    assert_eq!(next.rows(), ["server-stopping shutdown", "power-off shutdown"]);
}

#[test]
fn without_a_commit_the_deadline_counts_if_the_server_is_heard_again() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends();
    let mut next = client.restarted();
    next.row_ends().links(RUN_1).prepare(Cause::Shutdown).link_ends(Input::Broken("reset".into())).passes(28.0);
    assert_eq!(next.rows(), ["server-stopping shutdown"]);
    next.passes(3.0).link_is(true);
    assert_eq!(next.rows(), ["power-off shutdown"]);
}

#[test]
fn without_a_commit_a_server_out_of_reach_powers_nothing_off() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends();
    let mut next = client.restarted();
    next.passes(31.0).link_is(true);
    let mut third = next.restarted();
    assert_eq!(third.rows(), ["server-stopping shutdown"], "its hooks had not ended");
    third.row_ends().passes(31.0).link_is(true);
    assert_eq!((third.rows(), third.decisions().last()), (vec![], Some(&"staying on")));
    third.links(RUN_2).beat();
    assert_eq!(third.rows(), ["server-up"]);
}

/// The deadline had passed while no client ran: the server may have cancelled, and says so within a lease.
#[test]
fn a_client_that_starts_after_the_deadline_asks_the_server_first() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown);
    let mut next = Client::from_journal(Rules { booted: secs(1100.0), ..rules(OFF) }, client.journal.clone());
    next.tell(Input::Tick).row_ends().passes(11.0).links(RUN_1).beat();
    assert_eq!(next.rows(), ["server-stopping shutdown", "server-up"]);
}

/// A client that was ended while its hooks of `power-off` ran.
fn powering_off() -> Client {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends().hears(Message::Commit(FIRST));
    assert_eq!(client.rows(), ["server-stopping shutdown", "power-off shutdown"]);
    client.restarted()
}

#[test]
fn powering_off_is_finished_but_not_done_twice() {
    let mut next = powering_off();
    next.passes(11.9);
    assert_eq!(next.rows(), [""; 0], "the server may be back");
    next.passes(0.2);
    assert_eq!(next.rows(), ["power-off shutdown"], "its hooks had not ended");
    next.row_ends().passes(30.0);
    let mut third = next.restarted();
    third.links(RUN_1).prepare(Cause::Shutdown).hears(Message::Commit(FIRST)).passes(100.0);
    assert_eq!(third.rows(), [""; 0], "its hooks had ended");
    assert_eq!(third.stages(), [(Stage::Bye, 0)]);
}

#[test]
fn powering_off_is_dropped_if_the_server_is_back() {
    let dropped = |action: &Action| matches!(action, Action::Note(Level::Warn, text) if text.contains("is dropped"));
    let mut next = powering_off();
    next.passes(5.0).links(RUN_1).beat();
    assert_eq!(next.rows(), ["server-up"]);
    assert!(next.done.iter().any(dropped));
    let mut next = powering_off();
    next.passes(11.9).links(RUN_2).passes(0.9);
    assert_eq!(next.rows(), [""; 0], "a later run, which has not beaten yet");
    assert!(next.done.iter().any(dropped));
    next.beat();
    assert_eq!(next.rows(), ["server-up"]);
}

#[test]
fn powering_off_goes_on_if_the_server_is_still_going() {
    let mut next = powering_off();
    next.links(RUN_1).prepare(Cause::Shutdown).beat().hears(Message::Commit(FIRST)).passes(3.0).beat().passes(9.5);
    assert_eq!(next.rows(), ["power-off shutdown"]);
}

#[test]
fn a_finished_shutdown_is_not_run_again() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown).row_ends().hears(Message::Commit(FIRST));
    let mut next = client.restarted();
    next.links(RUN_1).prepare(Cause::Shutdown);
    assert_eq!(next.rows(), [""; 0]);
    next.link_ends(Input::Closed).links(RUN_2).beat();
    assert_eq!(next.rows(), ["server-up"]);
}

#[test]
fn an_overtaken_row_is_finished_and_nothing_follows_from_it() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hears(Message::Commit(FIRST)).link_ends(Input::Closed).links(RUN_2).beat();
    let mut next = client.restarted();
    assert_eq!(next.rows(), ["server-stopping shutdown"]);
    next.row_ends().passes(100.0);
    assert_eq!(next.rows(), [""; 0], "the server had come back: no power-off");
    next.links(RUN_2).beat();
    assert_eq!(next.rows(), ["server-up"]);
}

#[test]
fn a_loss_is_let_go_of_but_its_power_off_is_not_carried_over() {
    let mut client = Client::new(OFF_ON_LOST);
    client.up().link_ends(Input::Closed).link_is(true).hook("server-lost/50-unmount-share", HookResult::Done);
    let mut next = client.restarted();
    assert_eq!(next.rows(), ["server-lost lost -server-lost/50-unmount-share"]);
    next.row_ends();
    assert_eq!(next.rows(), [""; 0]);
}
