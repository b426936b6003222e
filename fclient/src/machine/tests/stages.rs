//! What the server is told while it waits.

use super::*;

#[test]
fn the_stages_follow_the_hooks() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown);
    assert_eq!(client.stages(), [(Stage::Received, 0)]);
    client.hook("server-stopping/10-stop-player", HookResult::Done);
    assert_eq!(client.stages(), []);
    client.tell(Input::HookBegan("server-stopping/50-unmount-share".into(), 1));
    assert_eq!(client.stages(), [(Stage::Stopped, 1)]);
    client.hook("server-stopping/50-unmount-share", HookResult::Done).row_ends();
    assert_eq!(client.stages(), [(Stage::Unmounted, 1)]);
    client.hears(Message::Commit(FIRST));
    assert_eq!(client.stages(), [(Stage::Bye, 0)]);
}

#[test]
fn without_an_unmount_hook_all_is_stopped_at_the_end() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown).hook("server-stopping/10-stop-player", HookResult::Done).row_ends();
    assert_eq!(client.stages(), [(Stage::Received, 0), (Stage::Stopped, 1), (Stage::Unmounted, 0)]);
}

#[test]
fn a_failed_hook_is_never_reported_as_unmounted() {
    let mut client = Client::new(OFF);
    client.up().prepare(Cause::Shutdown).hook("server-stopping/50-unmount-share", HookResult::TimedOut).row_ends();
    assert_eq!(client.stages(), [(Stage::Received, 0), (Stage::Stopped, 0), (Stage::Stopped, 1)]);
    client.rows();
    client.hears(Message::Commit(FIRST));
    assert_eq!(client.rows(), ["power-off shutdown"], "after the commit it goes all the same");
}

#[test]
fn hearing_it_again_tells_the_stage_again_and_runs_nothing() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown).hook("server-stopping/50-unmount-share", HookResult::Done).row_ends();
    client.stages();
    client.link_ends(Input::Broken("reset".into())).links(RUN_1).prepare(Cause::Shutdown);
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
    assert_eq!(client.stages(), [(Stage::Unmounted, 0)], "a link that ends commits to nothing");
}

#[test]
fn what_was_reached_without_a_link_is_told_on_the_next_one() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown).link_ends(Input::Broken("reset".into()));
    client.stages();
    client.hook("server-stopping/50-unmount-share", HookResult::Done);
    assert_eq!(client.stages(), []);
    client.links(RUN_1).prepare(Cause::Shutdown);
    assert_eq!(client.stages(), [(Stage::Stopped, 1)]);
}

#[test]
fn the_hooks_know_what_the_server_said() {
    let mut client = Client::new(STAY);
    client.up().prepare(Cause::Shutdown);
    let run = client.done.iter().find_map(|a| if let Action::Run(run) = a { Some(run.clone()) } else { None }).unwrap();
    assert_eq!((run.server, run.id, run.reason.as_str()), (Some(attic()), Some(FIRST), "night"));
    assert_eq!(run.until, Some(client.now + secs(30.0)));
}
