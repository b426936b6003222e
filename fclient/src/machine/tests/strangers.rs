//! Something else answers where the server should.

use super::*;

const BANNERS: [&str; 2] = ["SSH-2.0-OpenSSH_9.2p1 Debian-2", "OK MPD 0.23.5"];

fn notes(client: &Client) -> Vec<&str> {
    let warned = |action| match action {
        &Action::Note(Level::Warn, ref text) => Some(text.as_str()),
        _ => None,
    };
    client.done.iter().filter_map(warned).collect()
}

fn says(client: &mut Client, text: &str) {
    client.hears_line(ServerLine::Text(text.into()));
}

#[test]
fn another_daemon_is_no_server_and_is_named_once() {
    for banner in BANNERS {
        let mut client = Client::new(OFF_ON_LOST);
        for _ in 0..3 {
            client.tell(Input::Connected).passes(0.05);
            says(&mut client, banner);
            assert!(client.did(&Action::HangUp) && client.did(&Action::Retry(Pause::Soon)));
            client.passes(5.0);
        }
        let note = format!("attic:5555 is no pistop server, it says `{banner}`; check HOST and PORT");
        assert_eq!(notes(&client), [note]);
        assert_eq!((client.rows(), client.machine.status()), (vec![], "looking for the server"));
    }
}

#[test]
fn a_long_banner_is_cut() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected);
    says(&mut client, &"x".repeat(200));
    assert!(notes(&client)[0].contains(&format!("`{}`", "x".repeat(80))), "{:?}", client.done);
}

/// The server has gone, and something else has its port: no clean end of that powers anything off.
#[test]
fn another_daemon_in_place_of_a_server_is_not_a_closed_link() {
    let mut client = Client::new(OFF);
    client.up_old().tell(Input::Broken("reset".into())).tell(Input::Connected);
    says(&mut client, BANNERS[0]);
    client.tell(Input::Closed).link_is(true).row_ends();
    assert_eq!(client.rows(), ["server-lost lost"]);
}

#[test]
fn a_banner_that_comes_late_is_not_a_closed_link_either() {
    let mut client = Client::new(OFF);
    client.up_old();
    says(&mut client, BANNERS[0]);
    client.passes(60.0).tell(Input::Closed).link_is(true).row_ends();
    assert_eq!(client.rows(), ["server-lost lost"]);
}

#[test]
fn what_another_daemon_says_after_its_banner_is_not_heard() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected);
    says(&mut client, BANNERS[1]);
    client.hears_line(ServerLine::Shutdown).passes(100.0);
    assert_eq!(client.rows(), [""; 0]);
}

#[test]
fn what_servers_say_is_taken_as_before() {
    let mut client = Client::new(OFF);
    client.tell(Input::Connected);
    says(&mut client, "refused: `kit/chen` is no host name");
    client.hears_line(ServerLine::Greeting("10.0.0.2".into()));
    says(&mut client, "welcome");
    assert!(!client.did(&Action::HangUp) && notes(&client).is_empty(), "{:?}", client.done);
}
