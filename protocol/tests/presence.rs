//! Stories of presence: given a pair, something happens to the server, the network or the client, time passes, and the
//! client saw these changes. Tests named `defect_NN` hold what the old program's defect of that number
//! (ARCHITECTURE.md) did wrong.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod pair;

use pair::{Pair, Wire};
use protocol::Cause;
use protocol::message::{Message, Prepare};
use protocol::name::{Epoch, ShutdownId};
use protocol::presence::{Input, Phase};
use std::time::Duration;

/// A pair that has been up for long enough to know the rhythm.
fn settled(mut pair: Pair) -> Pair {
    pair.run(20.0);
    assert_eq!(pair.saw(), ["up"]);
    pair
}

fn new() -> Pair {
    settled(Pair::with_new_server(7))
}

fn old() -> Pair {
    settled(Pair::with_old_server())
}

// ---- arrival ----

#[test]
fn a_new_server_is_up_with_its_first_beat() {
    let mut pair = Pair::with_new_server(7);
    pair.run(0.1);
    assert_eq!(pair.saw(), ["up"]);
    assert_eq!(pair.presence.phase(), Phase::Up { epoch: Some(Epoch(7)), hold: None });
    assert_eq!(pair.presence.server().unwrap().as_str(), "attic");
}

#[test]
fn an_old_server_is_up_once_it_has_been_silent() {
    let mut pair = Pair::with_old_server();
    pair.run(0.25);
    assert_eq!(pair.saw(), [""; 0]);
    pair.run(0.25);
    assert_eq!(pair.saw(), ["up"]);
    pair.run(3600.0);
    assert_eq!(pair.saw(), [""; 0], "an old server's silence means nothing");
}

#[test]
fn quiet_hours_are_quiet() {
    let mut pair = new();
    pair.run(3600.0);
    assert_eq!((pair.saw(), pair.probes, pair.dials), (vec![], 0, 1));
}

// ---- a server that goes ----

#[test]
fn a_new_server_shuts_down_in_two_phases() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.run(5.0);
    assert_eq!(pair.saw(), ["stopping"]);
    assert!(!pair.powers_off(), "not before the commit");
    pair.server_says(&Message::Commit(id));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["committed"]);
    assert!(pair.powers_off());
    pair.input(Input::LetGo);
    pair.server_closes();
    pair.run(60.0);
    assert_eq!((pair.saw(), pair.presence.phase()), (vec![], Phase::Down { cause: Cause::Shutdown, id: Some(id) }));
}

/// The usual order: the server commits because everybody has let go.
#[test]
fn who_has_let_go_before_the_commit_still_hears_it() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.run(2.0);
    pair.input(Input::LetGo);
    assert!(!pair.powers_off(), "the server may still cancel");
    pair.server_says(&Message::Commit(id));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["stopping", "committed"]);
    assert!(pair.powers_off());
    assert_eq!(pair.presence.phase(), Phase::Down { cause: Cause::Shutdown, id: Some(id) });
}

#[test]
fn a_server_that_crashes_in_its_shutdown_has_committed_to_it_when_its_deadline_has_passed() {
    for end in [Wire::Fin, Wire::Reset] {
        let mut pair = new();
        pair.server_announces(Cause::Shutdown, 30.0);
        pair.server_sends(end);
        pair.power_cut();
        pair.run(25.0);
        assert_eq!(pair.saw(), ["stopping"]);
        pair.run(10.0);
        assert_eq!(pair.saw(), ["committed"]);
    }
}

/// Its own deadline is the same, so it knows better: for instance that its machine only starts again.
#[test]
fn a_deadline_that_passes_while_the_server_is_heard_is_no_commit() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 5.0);
    pair.run(60.0);
    assert_eq!(pair.saw(), ["stopping"]);
    pair.server_says(&Message::Commit(id));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["committed"]);
}

#[test]
fn a_server_heard_past_the_deadline_and_then_no_more_has_committed() {
    let mut pair = new();
    pair.server_announces(Cause::Shutdown, 5.0);
    pair.run(20.0);
    pair.power_cut();
    pair.run(20.0);
    assert_eq!(pair.saw(), ["stopping", "committed"]);
}

/// In place of the commit comes the promise to be back.
#[test]
fn a_machine_that_starts_again_powers_nobody_off_and_is_taken_up_anew() {
    for let_go in [true, false] {
        let mut pair = new();
        let id = pair.server_announces(Cause::Shutdown, 30.0);
        pair.run(2.0);
        if let_go {
            pair.input(Input::LetGo);
        }
        let within = Duration::from_secs(300);
        let prepare = Prepare { id, cause: Cause::Restart, within, reason: String::new(), drill: false };
        pair.server_says(&Message::Prepare(prepare));
        pair.run(1.0);
        assert!(!pair.powers_off());
        assert_eq!(pair.presence.phase(), Phase::Down { cause: Cause::Restart, id: Some(id) });
        pair.server_closes();
        pair.run(120.0);
        assert!(!pair.powers_off());
        pair.saw();
        pair.server_starts(Some(8));
        pair.run(20.0);
        assert_eq!(pair.saw(), ["up"]);
    }
}

#[test]
fn a_deadline_that_passes_in_silence_is_a_commit() {
    let mut pair = new();
    pair.server_announces(Cause::Shutdown, 30.0);
    pair.run(0.5);
    pair.power_cut();
    pair.run(29.0);
    assert_eq!(pair.saw(), ["stopping"]);
    pair.run(1.0);
    assert_eq!(pair.saw(), ["committed"]);
}

/// It could not have heard a cancel, so it asks the server first, for the time of a lease.
#[test]
fn a_deadline_that_passes_while_the_client_is_unplugged_commits_to_nothing() {
    for cancels in [true, false] {
        let mut pair = new();
        let id = pair.server_announces(Cause::Shutdown, 10.0);
        pair.run(1.0);
        pair.own_link(false);
        pair.run(60.0);
        assert_eq!(pair.saw(), ["stopping", "self"]);
        if cancels {
            pair.server_cancels(id)
        } else {
            pair.power_cut()
        }
        pair.own_link(true);
        pair.run(3.0);
        assert_eq!(pair.saw(), if cancels { ["self", "up"].as_slice() } else { &["self"] });
        pair.run(3.0);
        assert_eq!(pair.saw(), if cancels { [].as_slice() } else { &["committed"] });
    }
}

#[test]
fn a_deadline_slept_or_stalled_through_is_a_commit_only_after_a_lease() {
    for (stalled, cancels) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut pair = new();
        let id = pair.server_announces(Cause::Shutdown, 10.0);
        pair.run(1.0);
        pair.cut(true);
        if cancels {
            pair.server_cancels(id)
        } else {
            pair.power_cut()
        }
        if stalled {
            pair.stall(60.0)
        } else {
            pair.suspend(60.0)
        }
        pair.run(2.0);
        assert_eq!(pair.saw(), ["stopping", "self"], "stalled: {stalled}");
        pair.cut(false);
        pair.run(4.0);
        assert_eq!(pair.saw(), [if cancels { "up" } else { "committed" }], "stalled: {stalled}");
    }
}

#[test]
fn a_cancel_before_the_commit_brings_the_client_back() {
    for lets_go in [false, true] {
        let mut pair = new();
        let id = pair.server_announces(Cause::Shutdown, 30.0);
        pair.run(2.0);
        if lets_go {
            pair.input(Input::LetGo);
        }
        pair.server_cancels(id);
        pair.run(60.0);
        assert_eq!(pair.saw(), ["stopping", "up"]);
        assert!(!pair.powers_off());
    }
}

#[test]
fn a_cancel_after_the_commit_is_too_late() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.server_says(&Message::Commit(id));
    pair.run(0.1);
    assert_eq!(pair.saw(), ["stopping", "committed"]);
    pair.input(Input::Cancel(id));
    pair.input(Input::LetGo);
    pair.input(Input::Cancel(id));
    assert_eq!(pair.saw(), [""; 0]);
}

/// The way back is open while the server has not closed it: a loose cable is none of its words.
#[test]
fn a_link_that_ends_in_the_first_phase_commits_to_nothing() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.server_sends(Wire::Reset);
    pair.run(2.0);
    assert_eq!(pair.saw(), ["stopping"]);
    pair.server_cancels(id);
    pair.run(2.0);
    assert_eq!(pair.saw(), ["up"]);
}

#[test]
fn a_cancel_missed_for_want_of_a_link_is_seen_on_the_next_one() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.run(1.0);
    pair.cut(true);
    pair.server_cancels(id);
    pair.run(10.0);
    pair.cut(false);
    pair.run(3.0);
    assert_eq!(pair.saw(), ["stopping", "up"]);
}

#[test]
fn a_new_server_that_crashes_is_lost_and_not_closed() {
    for end in [Wire::Fin, Wire::Reset] {
        let mut pair = new();
        pair.server_sends(end);
        pair.power_cut();
        pair.run(0.2);
        assert_eq!(pair.saw(), ["lost"]);
        assert!(!pair.powers_off());
    }
}

/// It came, was taken for an old one since its hello was late, said hello, and crashed before its first beat.
#[test]
fn a_slow_new_server_that_crashes_is_not_closed_either() {
    let mut pair = Pair::with_old_server();
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up"]);
    pair.server_sends(Wire::Bytes(b"pistop/2 attic 7\n".to_vec()));
    pair.server_closes();
    pair.run(1.0);
    assert_eq!(pair.saw(), ["lost"]);
    assert!(!pair.powers_off());
}

#[test]
fn an_old_server_says_shutdown() {
    let mut pair = old();
    pair.server_sends(Wire::Bytes(b"shutdown\n".to_vec()));
    pair.server_closes();
    pair.run(60.0);
    assert_eq!(pair.saw(), ["committed"]);
    assert!(pair.powers_off());
    pair.input(Input::LetGo);
    pair.server_starts(None);
    pair.run(2.0);
    assert_eq!(pair.saw(), ["up"]);
}

#[test]
fn an_old_server_closes_without_a_word() {
    let mut pair = old();
    pair.server_closes();
    pair.run(60.0);
    assert_eq!(pair.saw(), ["closed"]);
    assert!(pair.powers_off(), "as pistop does");
}

#[test]
fn defect_01_greeting_and_shutdown_glued_in_one_read_are_a_shutdown() {
    let mut pair = old();
    pair.old_server_stops();
    pair.run(1.0);
    assert_eq!(pair.saw(), ["committed"]);
}

#[test]
fn defect_01_greeting_and_shutdown_cut_anywhere_are_a_shutdown() {
    let said = b"Connection from 10.0.0.2\nshutdown\n";
    for cut in 0..=said.len() {
        let mut pair = old();
        pair.server_sends(Wire::Bytes(said[..cut].to_vec()));
        pair.run(0.5);
        pair.server_sends(Wire::Bytes(said[cut..].to_vec()));
        pair.server_closes();
        pair.run(1.0);
        assert_eq!(pair.saw(), ["committed"], "cut after {cut} bytes");
    }
}

#[test]
fn defect_02_a_reset_of_an_old_server_is_lost_and_not_closed() {
    let mut pair = old();
    pair.server_resets();
    pair.run(0.2);
    assert_eq!(pair.saw(), ["lost"]);
    assert!(!pair.powers_off());
}

#[test]
fn defect_03_a_silent_death_is_noticed_and_healed() {
    let mut pair = new();
    pair.power_cut();
    pair.run(4.1);
    assert!(pair.evidence().contains("probes unanswered"), "{}", pair.evidence());
    assert_eq!(pair.saw(), ["lost"]);
    assert!(pair.probes >= 5, "{} probes", pair.probes);
    pair.run(600.0);
    pair.server_starts(Some(8));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up"]);
}

/// The server's power was cut right after its shutdown, so its link never ended: no dead socket is kept for ever.
#[test]
fn defect_03_a_link_that_died_after_the_shutdown_is_replaced() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.server_says(&Message::Commit(id));
    pair.run(0.5);
    pair.input(Input::LetGo);
    pair.power_cut();
    pair.run(600.0);
    assert_eq!(pair.saw(), ["stopping", "committed"]);
    pair.server_starts(Some(8));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up"]);
}

// ---- a server that returns ----

#[test]
fn an_announced_restart_is_held() {
    let mut pair = new();
    pair.server_announces(Cause::Restart, 30.0);
    pair.server_closes();
    pair.run(20.0);
    assert_eq!(pair.saw(), ["restarting"]);
    pair.server_starts(Some(8));
    pair.run(60.0);
    assert_eq!(pair.saw(), ["up"]);
    assert_eq!(pair.presence.phase(), Phase::Up { epoch: Some(Epoch(8)), hold: None });
}

#[test]
fn an_announced_restart_whose_link_dies_in_silence_is_held_and_found_back() {
    let mut pair = new();
    pair.server_announces(Cause::Restart, 60.0);
    pair.run(0.1);
    pair.power_cut();
    pair.run(30.0);
    pair.server_starts(Some(8));
    pair.run(60.0);
    assert_eq!(pair.saw(), ["restarting", "up"]);
}

#[test]
fn a_restart_that_is_overdue_never_powers_off() {
    let mut pair = new();
    pair.server_announces(Cause::Restart, 30.0);
    pair.server_closes();
    pair.run(29.5);
    assert_eq!(pair.saw(), ["restarting"]);
    pair.run(1.0);
    assert_eq!(pair.saw(), ["overdue"]);
    assert!(!pair.powers_off());
}

#[test]
fn a_restart_that_does_not_happen_is_over_in_its_time() {
    let mut pair = new();
    pair.server_announces(Cause::Restart, 30.0);
    pair.run(60.0);
    assert_eq!(pair.saw(), ["restarting", "up"]);
}

#[test]
fn a_restart_may_be_cancelled() {
    let mut pair = new();
    let id = pair.server_announces(Cause::Restart, 30.0);
    pair.run(1.0);
    pair.server_cancels(id);
    pair.run(60.0);
    assert_eq!(pair.saw(), ["restarting", "up"]);
}

/// It comes in the second between the announcement and the end: not up, so nothing is lost either.
#[test]
fn who_comes_to_a_server_about_to_restart_waits_for_its_return() {
    let mut pair = Pair::with_new_server(7);
    pair.server_announces(Cause::Restart, 30.0);
    pair.run(0.9);
    pair.server_closes();
    pair.run(10.0);
    assert_eq!(pair.saw(), [""; 0]);
    pair.server_starts(Some(8));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up"]);
}

#[test]
fn who_was_down_when_a_restart_was_cancelled_comes_up() {
    let mut pair = new();
    pair.power_cut();
    pair.run(10.0);
    pair.server_starts(Some(8));
    let id = pair.server_announces(Cause::Restart, 30.0);
    pair.run(2.0);
    assert_eq!(pair.saw(), ["lost"]);
    pair.server_cancels(id);
    pair.run(2.0);
    assert_eq!(pair.saw(), ["up"]);
}

#[test]
fn a_server_that_is_back_as_another_run_before_anybody_was_accused_says_so_once() {
    let mut pair = new();
    pair.cut(true);
    pair.run(1.0);
    pair.power_cut();
    pair.server_starts(Some(8));
    pair.cut(false);
    pair.input(Input::Connected);
    pair.input(Input::Hello { server: protocol::HostName::parse("attic").unwrap(), epoch: Epoch(8) });
    pair.input(Input::Beat);
    assert_eq!(pair.saw(), ["up"]);
}

#[test]
fn a_reconnect_in_time_says_nothing() {
    let mut pair = new();
    pair.input(Input::Broken("connection reset by peer".into()));
    pair.input(Input::Connected);
    pair.input(Input::Hello { server: protocol::HostName::parse("attic").unwrap(), epoch: Epoch(7) });
    pair.run(0.01);
    pair.input(Input::Beat);
    pair.run(30.0);
    assert_eq!(pair.saw(), [""; 0]);
}

// ---- announcements that are late, stale or repeated ----

fn stale(cause: Cause) -> Prepare {
    let id = ShutdownId { epoch: Epoch(6), number: 1 };
    Prepare { id, cause, within: Duration::from_secs(30), reason: String::new(), drill: false }
}

#[test]
fn a_stale_announcement_of_an_earlier_run_is_ignored() {
    for cause in [Cause::Shutdown, Cause::Restart] {
        let mut pair = new();
        pair.server_says(&Message::Prepare(stale(cause)));
        pair.server_says(&Message::Commit(stale(cause).id));
        pair.run(60.0);
        assert_eq!(pair.saw(), [""; 0], "{cause}");
    }
}

#[test]
fn a_stale_cancel_or_commit_changes_nothing() {
    let mut pair = new();
    pair.server_announces(Cause::Shutdown, 30.0);
    pair.server_says(&Message::Cancel(stale(Cause::Shutdown).id));
    pair.server_says(&Message::Commit(stale(Cause::Shutdown).id));
    pair.run(5.0);
    assert_eq!(pair.saw(), ["stopping"]);
    let mut pair = new();
    pair.server_announces(Cause::Restart, 30.0);
    pair.server_says(&Message::Cancel(stale(Cause::Restart).id));
    pair.run(5.0);
    assert_eq!(pair.saw(), ["restarting"]);
}

#[test]
fn hearing_it_twice_is_hearing_it_once() {
    for (cause, word) in [(Cause::Shutdown, "stopping"), (Cause::Restart, "restarting")] {
        let mut pair = new();
        pair.server_announces(cause, 30.0);
        pair.server_announces(cause, 30.0);
        pair.run(5.0);
        assert_eq!(pair.saw(), [word]);
    }
}

#[test]
fn a_fresh_link_to_a_server_in_shutdown_hears_of_it_and_its_beats_do_not_bring_it_up() {
    let mut pair = Pair::with_new_server(7);
    let id = pair.server_announces(Cause::Shutdown, 30.0);
    pair.run(10.0);
    assert_eq!(pair.saw(), ["stopping"]);
    pair.server_sends(Wire::Reset);
    pair.run(10.0);
    assert_eq!(pair.saw(), [""; 0]);
    pair.power_cut();
    pair.run(20.0);
    assert_eq!(pair.saw(), ["committed"]);
    pair.input(Input::LetGo);
    pair.run(10.0);
    assert_eq!((pair.saw(), pair.presence.phase()), (vec![], Phase::Down { cause: Cause::Shutdown, id: Some(id) }));
}

// ---- the client's own fault ----

#[test]
fn an_unplugged_client_accuses_nobody_and_recovers() {
    let mut pair = new();
    pair.own_link(false);
    pair.run(600.0);
    assert_eq!(pair.saw(), ["self"]);
    pair.own_link(true);
    pair.run(60.0);
    assert_eq!(pair.saw(), ["self"]);
    assert!(pair.presence.server().is_some(), "it has a link again");
}

/// It looks as soon as it suspects; at the end of the lease the cable may be back, and the silence not yet over.
#[test]
fn a_client_knows_soon_that_it_was_unplugged() {
    let mut pair = new();
    pair.own_link(false);
    pair.run(3.0);
    assert_eq!(pair.saw(), ["self"]);
}

#[test]
fn a_server_that_died_while_the_client_was_unplugged_is_lost_afterwards() {
    let mut pair = new();
    pair.own_link(false);
    pair.run(60.0);
    pair.power_cut();
    pair.own_link(true);
    pair.run(10.0);
    assert_eq!(pair.saw(), ["self", "self", "lost"]);
}

#[test]
fn a_link_that_breaks_while_the_client_is_unplugged_is_nobodys_fault() {
    for mut pair in [new(), old()] {
        pair.own_link(false);
        pair.input(Input::Broken("no route to host".into()));
        pair.run(60.0);
        assert_eq!(pair.saw(), ["self"]);
    }
}

#[test]
fn an_unplugged_client_does_not_hold_a_restart_against_the_server() {
    let mut pair = new();
    pair.server_announces(Cause::Restart, 10.0);
    pair.server_closes();
    pair.run(1.0);
    pair.server_starts(Some(8));
    pair.own_link(false);
    pair.run(60.0);
    pair.own_link(true);
    pair.run(10.0);
    assert_eq!(pair.saw(), ["restarting", "self", "self", "up"]);
}

#[test]
fn a_client_that_slept_accuses_nobody() {
    let mut pair = new();
    pair.suspend(3600.0);
    pair.run(60.0);
    assert_eq!(pair.saw(), ["self"]);
    pair.power_cut();
    pair.suspend(3600.0);
    assert_eq!(pair.saw(), ["self"]);
    pair.run(10.0);
    assert_eq!(pair.saw(), ["lost"], "a server that is really gone is missed soon after");
}

#[test]
fn a_client_that_stalled_accuses_nobody() {
    for span in [1.0, 2.5, 3.5, 4.5, 30.0, 3600.0] {
        let mut pair = new();
        pair.stall(span);
        pair.run(60.0);
        assert!(pair.saw().iter().all(|&word| word == "self"), "after {span} s");
    }
}

#[test]
fn a_client_that_slept_or_stalled_through_a_restart_finds_the_server_back() {
    for stalled in [false, true] {
        let mut pair = new();
        pair.server_announces(Cause::Restart, 10.0);
        pair.server_closes();
        pair.run(1.0);
        pair.server_starts(Some(8));
        pair.own_link(false);
        pair.run(0.5);
        if stalled {
            pair.stall(60.0)
        } else {
            pair.suspend(60.0)
        }
        pair.run(3.0);
        pair.own_link(true);
        pair.run(10.0);
        assert_eq!(pair.saw(), ["restarting", "self", "up"], "stalled: {stalled}");
    }
}

#[test]
fn a_stall_of_an_unplugged_client_is_survived() {
    let mut pair = new();
    pair.own_link(false);
    pair.run(10.0);
    pair.stall(30.0);
    pair.run(10.0);
    pair.own_link(true);
    pair.run(10.0);
    assert_eq!(pair.saw(), ["self", "self"]);
}

/// Whoever was stalled has not read yet what a new server said, so its silence does not make it an old one.
#[test]
fn a_stall_while_connecting_does_not_make_a_new_server_an_old_one() {
    let mut pair = Pair::with_new_server(7);
    pair.run(0.0);
    pair.stall(10.0);
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up"]);
}

// ---- a server that lives though its link is silent ----

#[test]
fn a_server_that_answers_probes_is_not_lost_and_gets_a_fresh_link() {
    let mut pair = new();
    let beat = pair.now;
    while pair.now.since(beat) < Duration::from_secs(30) {
        pair.input(Input::Connected);
        pair.input(Input::Hello { server: protocol::HostName::parse("attic").unwrap(), epoch: Epoch(7) });
        pair.run(2.5);
        pair.input(Input::Here(Epoch(7)));
    }
    assert_eq!(pair.saw(), [""; 0]);
}

/// The server's machine lost power and came back within the lease: the link is dead, the server is not.
#[test]
fn a_probe_answered_by_a_later_run_leads_to_a_fresh_link() {
    let mut pair = new();
    pair.power_cut();
    pair.run(1.0);
    pair.server_starts(Some(8));
    pair.run(30.0);
    assert_eq!(pair.saw(), ["up"]);
    assert_eq!(pair.presence.phase(), Phase::Up { epoch: Some(Epoch(8)), hold: None });
}

#[test]
fn a_probe_answered_by_an_earlier_run_saves_nobody() {
    let mut pair = new();
    pair.power_cut();
    for _ in 0..10 {
        pair.run(0.5);
        pair.input(Input::Here(Epoch(6)));
    }
    assert_eq!(pair.saw(), ["lost"]);
}

#[test]
fn a_link_that_never_was_cannot_close() {
    let mut pair = old();
    pair.suspend(60.0);
    assert_eq!(pair.saw(), ["self"]);
    pair.power_cut();
    pair.input(Input::Closed);
    pair.input(Input::Closed);
    pair.run(1.0);
    assert!(!pair.powers_off(), "{:?}", pair.presence.phase());
}

/// A server closes a link that it has not heard for its own lease; an access point resets one. The server still answers.
#[test]
fn a_link_that_ends_though_the_server_lives_accuses_nobody() {
    for end in [Input::Closed, Input::Broken("connection reset by peer".into())] {
        let mut pair = new();
        pair.input(end);
        pair.run(60.0);
        assert_eq!(pair.saw(), [""; 0]);
    }
}

// ---- old or new ----

/// What a server said comes before its end, so whoever has greeted is no old server even if its hello never came.
#[test]
fn a_server_that_greeted_and_crashed_before_its_hello_is_not_closed() {
    let mut pair = Pair::with_old_server();
    pair.run(1.0);
    pair.server_sends(Wire::Bytes(b"Connection from 10.0.0.2\n".to_vec()));
    pair.server_closes();
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up", "lost"]);
    assert!(!pair.powers_off());
}

#[test]
fn a_greeted_link_that_dies_before_the_hello_is_replaced() {
    let mut pair = Pair::with_old_server();
    pair.run(0.1);
    pair.server_sends(Wire::Bytes(b"Connection from 10.0.0.2\n".to_vec()));
    pair.run(0.1);
    pair.power_cut();
    pair.run(10.0);
    pair.server_starts(Some(8));
    pair.run(1.0);
    assert_eq!(pair.saw(), ["up"], "and never up as an old one");
}

#[test]
fn a_server_that_spoke_frames_must_be_silent_on_two_links_to_be_an_old_one() {
    let mut pair = new();
    pair.power_cut();
    pair.run(10.0);
    assert_eq!(pair.saw(), ["lost"]);
    pair.server_starts(None);
    pair.run(7.0);
    assert_eq!(pair.saw(), [""; 0]);
    pair.run(3.0);
    assert_eq!(pair.saw(), ["up"]);
    pair.server_closes();
    pair.run(1.0);
    assert_eq!(pair.saw(), ["lost"], "a clean end without a word powers nothing off once frames were spoken");
}

#[test]
fn a_restarted_server_that_answers_a_probe_is_not_overdue() {
    let mut pair = new();
    pair.server_announces(Cause::Restart, 10.0);
    pair.server_closes();
    pair.run(10.05);
    pair.input(Input::Here(Epoch(8)));
    pair.run(2.0);
    pair.server_starts(Some(8));
    pair.run(5.0);
    assert_eq!(pair.saw(), ["restarting", "up"]);
}
