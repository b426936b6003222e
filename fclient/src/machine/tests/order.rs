//! What overtakes what.

use super::*;

#[test]
fn a_start_that_is_overtaken_is_cancelled_and_then_let_go_of() {
    let mut client = Client::new(STAY);
    client.links(RUN_1).beat().prepare(Cause::Shutdown);
    assert_eq!(client.rows(), ["server-up", "cancel"]);
    client.prepare(Cause::Shutdown);
    assert_eq!(client.rows(), [""; 0], "it is cancelled once");
    client.row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    assert_eq!(client.stages(), [(Stage::Received, 0), (Stage::Received, 0)]);
}

#[test]
fn start_stop_start_collapses() {
    let mut client = Client::new(OFF);
    client.links(RUN_1).beat().prepare(Cause::Shutdown).hears(Message::Cancel(FIRST)).row_ends();
    assert_eq!(client.rows(), ["server-up", "cancel", "server-up"], "the cancelled start is done again, nothing else");
    client.row_ends();
    assert_eq!(client.rows(), [""; 0]);
}

#[test]
fn letting_go_is_never_cut_short_by_a_server_that_returns() {
    let mut client = Client::new(OFF);
    client.up().link_ends(Input::Closed).link_is(true).links(RUN_2).beat();
    assert_eq!(client.rows(), ["server-lost lost"]);
    client.row_ends();
    assert_eq!(client.rows(), ["server-up"]);
}

#[test]
fn a_server_that_returns_while_hooks_let_go_is_no_reason_to_power_off() {
    let mut client = Client::new(OFF);
    client
        .up()
        .prepare(Cause::Shutdown)
        .hears(Message::Commit(FIRST))
        .link_ends(Input::Closed)
        .links(RUN_2)
        .beat()
        .row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown", "server-up"]);
}

#[test]
fn up_and_lost_while_hooks_let_go_leave_no_trace() {
    let mut client = Client::new(STAY);
    client.up_old().link_ends(Input::Closed);
    client.tell(Input::Connected).passes(0.4).link_ends(Input::Broken("reset".into())).link_is(true).row_ends();
    assert_eq!(client.rows(), ["server-stopping closed"]);
}

#[test]
fn a_cancelled_shutdown_is_taken_up_again_after_its_hooks() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hears(Message::Cancel(FIRST));
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    client.done.clear();
    client.hook("server-stopping/50-unmount-share", HookResult::Done).row_ends();
    assert_eq!(client.rows(), ["server-up"]);
    assert_eq!(client.stages(), [], "nobody waits for these reports any more");
}

#[test]
fn a_second_shutdown_runs_the_hooks_again_under_its_own_id() {
    let second = ShutdownId { number: 2, ..FIRST };
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hears(Message::Cancel(FIRST)).prepare_as(second, Cause::Shutdown, false);
    client.row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown", "server-stopping shutdown"]);
    client.row_ends().hears(Message::Commit(FIRST));
    assert_eq!(client.rows(), [""; 0], "that commit is an old one");
    client.hears(Message::Commit(second));
    assert_eq!(client.rows(), ["power-off shutdown"]);
}

#[test]
fn reconnecting_to_the_same_server_runs_nothing() {
    let mut client = Client::new(OFF);
    client.up().tell(Input::Slept(secs(60.0))).links(RUN_1).beat().passes(1.0).beat();
    assert_eq!(client.rows(), [""; 0]);
}

#[test]
fn a_new_server_that_answers_late_is_not_taken_for_two() {
    let mut client = Client::new(OFF);
    client.up_old().hears_line(ServerLine::Hello { server: attic(), epoch: RUN_1 }).beat();
    assert_eq!(client.rows(), [""; 0]);
}

#[test]
fn an_old_server_that_says_shutdown_twice_is_noticed_when_it_is_back() {
    let mut client = Client::new(STAY);
    client.up_old().hears_line(ServerLine::Shutdown).row_ends();
    client.tell(Input::Connected).hears_line(ServerLine::Shutdown).link_ends(Input::Closed).row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown", "server-stopping shutdown"]);
    client.tell(Input::Connected).passes(0.4);
    assert_eq!(client.rows(), ["server-up"]);
}

#[test]
fn a_shutdown_that_was_acted_on_does_not_power_off_again_though_the_server_seemed_to_be_back() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends().hears(Message::Commit(FIRST)).row_ends().link_ends(Input::Closed);
    client.rows();
    client.links(RUN_1).beat().prepare(Cause::Shutdown).hears(Message::Commit(FIRST));
    client.row_ends().row_ends();
    assert_eq!(client.rows(), ["server-up", "cancel", "server-stopping shutdown"]);
    assert!(client.decisions().contains(&"staying on"));
}

#[test]
fn having_let_go_of_one_end_says_nothing_about_a_newer_one() {
    let mut client = Client::new(OFF);
    client.up_old().hears_line(ServerLine::Shutdown).row_ends();
    client.hears_line(ServerLine::Hello { server: attic(), epoch: RUN_1 }).prepare(Cause::Shutdown);
    client.row_ends().row_ends().hears(Message::Commit(FIRST));
    assert_eq!(client.rows().last().unwrap(), "power-off shutdown");
    let phase = client.machine.presence.phase();
    assert!(matches!(phase, presence::Phase::Stopping { committed: true, .. }), "{phase:?}");
}

#[test]
fn a_deadline_that_passes_while_the_own_link_is_down_powers_nothing_off() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends().passes(31.0).link_is(false).passes(1.5).link_is(false);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    assert_eq!(client.decisions(), ["server stopping", "own fault, nobody is accused"]);
    client.passes(1.0).link_is(true).links(RUN_1).beat();
    assert_eq!(client.rows(), ["server-up"]);
}

#[test]
fn an_overdue_commit_comes_with_the_deadline() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).row_ends().passes(29.0);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    client.passes(2.0).link_is(true);
    assert_eq!(client.rows(), ["power-off shutdown"]);
}

#[test]
fn a_hook_that_fails_or_is_tried_for_ever_is_told_in_the_house() {
    let told = |client: &mut Client| {
        let fact = |action| match action {
            Action::Tell(Fact::HookFailed { hook, about, result }) => Some(format!("{hook} of {about}: {result}")),
            _ => None,
        };
        std::mem::take(&mut client.done).into_iter().filter_map(fact).collect::<Vec<_>>()
    };
    let mut client = Client::new(STAY);
    client.links(RUN_1).beat();
    for attempt in 1..=9 {
        client.tell(Input::HookBegan("server-up/20-mount-share".into(), attempt));
    }
    let tried = "server-up/20-mount-share of server-up: asks to be tried again; this is attempt 4, and it goes on";
    assert_eq!(told(&mut client), [tried]);
    client.hook("server-up/20-mount-share", HookResult::Done);
    client.hook("server-up/40-start-player", HookResult::Failed(100));
    client.hook("server-up/50-x", HookResult::Cancelled).row_ends();
    assert_eq!(told(&mut client), ["server-up/40-start-player of server-up: failed, exit 100"]);
    client.prepare_as(FIRST, Cause::Shutdown, true).hook("server-stopping/30-stop-player", HookResult::Failed(1));
    assert!(told(&mut client).is_empty(), "a drill is no failure");
}
