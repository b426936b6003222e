//! Somebody ends this client on its own machine.

use super::*;

const SHUTDOWN: Input = Input::Leave(Leave::Shutdown);
const RESTART: Input = Input::Leave(Leave::Restart);

fn exits(client: &Client) -> bool {
    client.did(&Action::Exit(Exit::Done))
}

#[test]
fn a_local_stop_lets_go_and_never_powers_off() {
    let mut client = Client::new(OFF_ON_LOST);
    client.up().tell(SHUTDOWN);
    assert_eq!(client.rows(), ["server-stopping local"]);
    assert!(!exits(&client));
    client.row_ends();
    assert_eq!(client.rows(), [""; 0]);
    assert!(exits(&client));
    assert_eq!(client.journal, Some(Intent::Down { cause: Cause::Local, id: None }));
}

#[test]
fn a_local_stop_with_nothing_up_ends_at_once() {
    let mut client = Client::new(OFF);
    client.tell(SHUTDOWN);
    assert!(exits(&client) && client.rows().is_empty());
    let mut client = Client::new(OFF);
    client.up_old().link_ends(Input::Closed).row_ends().row_ends().tell(SHUTDOWN);
    assert!(exits(&client));
}

#[test]
fn a_local_stop_cancels_a_start() {
    let mut client = Client::new(OFF);
    client.links(RUN_1).beat().tell(SHUTDOWN);
    assert_eq!(client.rows(), ["server-up", "cancel"]);
    client.row_ends();
    assert_eq!(client.rows(), ["server-stopping local"]);
}

#[test]
fn a_local_stop_in_the_middle_of_a_shutdown_lets_its_hooks_finish_and_stays_on() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).tell(SHUTDOWN).hears(Message::Commit(FIRST));
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    client.row_ends();
    assert_eq!(client.rows(), [""; 0]);
    assert!(exits(&client));
    let stages: Vec<_> = client.stages().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, [Stage::Received, Stage::Stopped, Stage::Unmounted, Stage::Bye], "the server need not wait");

    let mut next = client.restarted();
    next.links(RUN_1).prepare(Cause::Shutdown).hears(Message::Commit(FIRST));
    assert_eq!(next.rows(), [""; 0], "nor does the next run of the client take part in that shutdown");
}

#[test]
fn a_local_stop_between_the_hooks_and_the_commit_stays_on() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends().tell(SHUTDOWN);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    assert!(exits(&client));
}

#[test]
fn a_shutdown_in_the_middle_of_a_local_stop_need_not_wait_for_it() {
    let mut client = Client::new(OFF);
    client.up().tell(SHUTDOWN).prepare(Cause::Shutdown);
    assert_eq!(client.rows(), ["server-stopping local"]);
    client.row_ends();
    let stages: Vec<_> = client.stages().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, [Stage::Received, Stage::Stopped, Stage::Unmounted, Stage::Bye]);
    assert_eq!(client.rows(), [""; 0]);
}

#[test]
fn once_the_power_off_hooks_run_they_are_let_finish() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends().hears(Message::Commit(FIRST));
    client.tell(SHUTDOWN);
    assert!(!exits(&client));
    client.row_ends();
    assert!(exits(&client));
    assert_eq!(client.rows(), ["server-stopping shutdown", "power-off shutdown"]);
}

#[test]
fn a_restart_of_the_client_touches_nothing() {
    let mut client = Client::new(OFF);
    client.up().tell(RESTART);
    assert!(exits(&client) && client.rows().is_empty());
    let mut next = client.restarted();
    next.links(RUN_1).beat();
    assert_eq!(next.rows(), [""; 0], "the server is still there");
}

#[test]
fn a_restart_of_the_client_leaves_its_hooks_to_the_next_run() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hook("server-stopping/10-stop-player", HookResult::Done);
    client.tell(Input::HookBegan("server-stopping/50-unmount-share".into(), 1)).tell(RESTART);
    assert_eq!(client.rows(), ["server-stopping shutdown", "cancel"]);
    client.hook("server-stopping/50-unmount-share", HookResult::Cancelled).row_ends();
    assert!(exits(&client));
    assert!(client.stages().iter().all(|(stage, _)| *stage < Stage::Unmounted), "what was cancelled is not done");
    let mut next = client.restarted();
    assert_eq!(next.rows(), ["server-stopping shutdown -server-stopping/10-stop-player"]);
    let again =
        |action: &Action| matches!(action, Action::Note(_, text) if text.contains("50-unmount-share had begun"));
    assert!(next.done.iter().any(again));
}

#[test]
fn the_first_word_counts() {
    let mut client = Client::new(OFF);
    client.up().tell(SHUTDOWN).tell(RESTART);
    assert_eq!(client.rows(), ["server-stopping local"]);
    assert!(!exits(&client));
}
