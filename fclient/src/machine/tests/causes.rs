//! Each cause, with what runs and who powers off: the table of `protocol::cause`.

use super::*;

#[test]
fn a_shutdown_lets_go_and_then_powers_off() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    client.hook("server-stopping/50-unmount-share", HookResult::Done).row_ends();
    assert_eq!(client.rows(), [""; 0], "the server has not committed yet");
    client.hears(Message::Commit(FIRST));
    assert_eq!(client.rows(), ["power-off shutdown"]);
    assert!(client.decisions().contains(&"powering off"));
    client.row_ends();
    assert_eq!(client.stages().last(), Some(&(Stage::Bye, 0)));
}

#[test]
fn a_shutdown_without_the_owners_leave_lets_go_and_stays_on() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown).row_ends().hears(Message::Commit(FIRST));
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    assert!(client.decisions().contains(&"staying on"));
    assert_eq!(client.stages().last(), Some(&(Stage::Bye, 0)));
}

#[test]
fn a_restart_runs_nothing_if_the_server_is_back_in_time() {
    let mut client = Client::new(OFF_ON_LOST);
    client.up().prepare(Cause::Restart).link_ends(Input::Closed).passes(20.0).links(RUN_2).beat();
    assert_eq!(client.rows(), [""; 0]);
    assert_eq!(client.stages(), [(Stage::Received, 0)]);
}

#[test]
fn a_restart_that_takes_too_long_is_a_loss_that_never_powers_off() {
    let mut client = Client::new(OFF_ON_LOST);
    client.up().prepare(Cause::Restart).link_ends(Input::Closed).passes(31.0).link_is(true);
    assert_eq!(client.rows(), ["server-lost restart"]);
    client.row_ends();
    assert_eq!(client.rows(), [""; 0]);
}

#[test]
fn an_old_server_that_closes_cleanly_has_gone() {
    let mut client = Client::new(OFF);
    client.up_old().link_ends(Input::Closed);
    assert_eq!(client.rows(), ["server-stopping closed"]);
    assert!(client.did(&Action::Retry(Pause::Rest)));
    client.row_ends();
    assert_eq!(client.rows(), ["power-off closed"]);
}

#[test]
fn an_old_server_that_says_shutdown_sees_the_link_end_when_all_is_done() {
    let mut client = Client::new(OFF);
    client.up_old().hears_line(ServerLine::Shutdown);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    client.row_ends();
    assert_eq!(client.rows(), ["power-off shutdown"]);
    assert!(!client.did(&Action::HangUp), "something still runs");
    client.row_ends();
    assert!(client.did(&Action::HangUp) && client.did(&Action::Retry(Pause::Rest)));
    assert_eq!(client.machine.deadline(), None, "the old link must not be taken for a new server");
}

#[test]
fn a_crash_of_the_server_is_a_loss() {
    for (how, policy, power) in [(Input::Closed, OFF, false), (Input::Broken("reset".into()), OFF_ON_LOST, true)] {
        let mut client = Client::new(policy);
        client.up().link_ends(how).link_is(true);
        assert_eq!(client.rows(), ["server-lost lost"]);
        assert!(client.decisions().contains(&"server lost"));
        client.row_ends();
        assert_eq!(client.rows(), if power { vec!["power-off lost"] } else { vec![] });
    }
}

#[test]
fn silence_is_a_loss_after_the_lease_and_the_link_is_made_anew() {
    let mut client = Client::new(OFF);
    client.up().passes(5.0);
    assert!(client.did(&Action::Probe) && client.did(&Action::CheckLink));
    client.link_is(true);
    assert_eq!(client.rows(), ["server-lost lost"]);
    assert!(client.did(&Action::Drop) && client.did(&Action::Retry(Pause::Soon)));
}

#[test]
fn own_fault_runs_nothing() {
    let mut client = Client::new(OFF_ON_LOST);
    client.up().link_ends(Input::Broken("timed out".into())).link_is(false).passes(60.0);
    client.tell(Input::Slept(secs(3600.0))).passes(1.0);
    assert_eq!(client.rows(), [""; 0]);
    client.links(RUN_1).beat();
    assert_eq!(client.rows(), [""; 0], "the same run of the server is back");
}

#[test]
fn a_server_that_came_back_as_another_run_unannounced_is_taken_up_again() {
    let mut client = Client::new(OFF);
    client.up().link_ends(Input::Broken("timed out".into())).link_is(false).links(RUN_2).beat();
    assert_eq!(client.rows(), ["server-up"]);
}

#[test]
fn a_loss_with_nothing_taken_up_needs_no_hooks_and_is_told() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown);
    client.hears(Message::Cancel(FIRST)).link_ends(Input::Broken("reset".into())).link_is(true);
    client.row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    let told = |action: &Action| matches!(action, Action::Note(_, text) if text.contains("nothing had been taken up"));
    assert!(client.done.iter().any(told) && client.decisions().contains(&"server lost"));
}

#[test]
fn a_shutdown_that_is_the_first_thing_heard_runs_its_hooks_too() {
    let mut client = Client::new(STAY);
    client.links(RUN_1).prepare(Cause::Shutdown);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
}
