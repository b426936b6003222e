//! A drill goes through all stages and changes nothing.

use super::*;

fn drill(client: &mut Client) {
    client.prepare_as(FIRST, Cause::Shutdown, true);
}

#[test]
fn a_drill_reports_all_stages_and_presence_hears_nothing() {
    let mut client = Client::new(OFF);
    client.up();
    let journal = client.journal.clone();
    drill(&mut client);
    assert_eq!(client.rows(), ["server-stopping shutdown +drill"]);
    client.hook("server-stopping/50-unmount-share", HookResult::Done).row_ends();
    assert_eq!(client.rows(), ["power-off shutdown +drill"]);
    client.row_ends();
    let stages: Vec<_> = client.stages().into_iter().map(|(stage, _)| stage).collect();
    assert_eq!(stages, [Stage::Received, Stage::Stopped, Stage::Unmounted, Stage::Bye]);
    assert_eq!((&client.journal, client.machine.status()), (&journal, "the server is up"));
    drill(&mut client);
    assert_eq!(client.rows(), [""; 0]);
    assert_eq!(client.stages(), [(Stage::Bye, 0)]);
}

#[test]
fn a_machine_that_would_stay_on_does_so_in_a_drill() {
    let mut client = Client::new(STAY);
    client.up();
    drill(&mut client);
    client.row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown +drill"]);
}

#[test]
fn whatever_is_real_ends_a_drill() {
    let mut client = Client::new(OFF);
    client.up();
    drill(&mut client);
    client.prepare_as(ShutdownId { number: 2, ..FIRST }, Cause::Shutdown, false);
    assert_eq!(client.rows(), ["server-stopping shutdown +drill", "cancel"]);
    client.row_ends();
    assert_eq!(client.rows(), ["server-stopping shutdown"]);
}

#[test]
fn a_drill_is_cancelled_by_its_server_and_by_the_end_of_the_link() {
    for end in [Input::Heard(Heard::Message(Message::Cancel(FIRST))), Input::Closed] {
        let mut client = Client::new(OFF);
        client.up();
        drill(&mut client);
        client.tell(end).row_ends();
        assert_eq!(client.rows(), ["server-stopping shutdown +drill", "cancel"]);
    }
}

#[test]
fn a_busy_client_says_that_it_takes_no_part() {
    let mut client = Client::new(OFF);
    client.links(RUN_1).beat();
    drill(&mut client);
    assert_eq!(client.rows(), ["server-up"]);
    let said =
        |action: &Action| matches!(action, Action::Say(Message::Text(text)) if text.contains("hooks of server-up run"));
    assert!(client.done.iter().any(said));
    assert_eq!(client.stages(), []);
}
