//! What a broker does not take: now, at no try, or at all, so that it ends each connection.

use super::*;

#[test]
fn what_the_broker_cannot_take_now_is_sent_again_later() {
    let mut play = Play::up(true, &[]);
    let mark = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
    assert_eq!(play.hear(Input::Answered(mark, Verdict::Later)), []);
    assert!(!play.machine.wants_records());
    play.pass(5);
    assert_eq!(topics(&play.hear(Input::Tick))[0], "fs/v1/kitchen/evt/camera/motion");
}

#[test]
fn what_the_broker_cannot_take_now_keeps_its_order() {
    let mut play = Play::up(true, &[]);
    let sent: Vec<Mark> =
        (5..8).flat_map(|at| marks(&play.record(at, &format!("kitchen/evt/camera/{at}"), "{}"))).collect();
    for mark in [sent[2], sent[0], sent[1]] {
        play.hear(Input::Answered(mark, Verdict::Later));
    }
    play.pass(5);
    let again = play.hear(Input::Tick);
    assert_eq!(topics(&again)[..3], [5, 6, 7].map(|at| format!("fs/v1/kitchen/evt/camera/{at}")));
}

#[test]
fn what_the_broker_takes_at_no_try_is_given_up_and_what_is_behind_it_goes_on() {
    let mut play = Play::up(true, &[]);
    let mut mark = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
    for _ in 1..12 {
        assert_eq!(play.hear(Input::Answered(mark, Verdict::Unclear("odd".into()))), []);
        play.pass(5);
        mark = marks(&play.hear(Input::Tick))[0];
    }
    let actions = play.hear(Input::Answered(mark, Verdict::Unclear("odd".into())));
    assert_eq!((refusal(&actions), actions.contains(&Action::Settle(Position(5)))), ("odd, 12 times in a row", true));
    assert!(play.machine.wants_records());
}

#[test]
fn an_event_that_ends_each_connection_is_set_aside_and_the_rest_goes_on_in_order() {
    for trouble in [Trouble::Closed, Trouble::Other("the broker ended the connection".into())] {
        let mut play = Play::up(true, &[]);
        let poison = |play: &mut Play| play.record(6, "kitchen/evt/camera/poison", "{}");
        let first = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
        assert_eq!(marks(&poison(&mut play)).len(), 1);
        play.hear(Input::Down(trouble.clone()));
        // The broker had the first one, and its answer was lost.
        play.connect(true, &[]);
        let again = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
        assert!(again > first && !play.machine.wants_records(), "one after the other");
        assert_eq!(play.hear(Input::Answered(again, Verdict::Taken)), [Action::Settle(Position(5))]);
        for _ in 0..3 {
            assert_eq!(topics(&poison(&mut play)), ["fs/v1/kitchen/evt/camera/poison"]);
            let told = play.hear(Input::Down(trouble.clone()));
            assert!(!format!("{told:?}").contains("client id"), "nobody else uses it");
            play.connect(true, &[]);
        }
        let actions = poison(&mut play);
        assert!(actions.contains(&Action::Settle(Position(6))) && marks(&actions).is_empty());
        assert!(refusal(&actions).contains("set aside, as 1 in all are"), "{actions:?}");
        assert!(play.machine.wants_records());
        let sent: Vec<Action> =
            (7..9).flat_map(|at| play.record(at, &format!("kitchen/evt/camera/{at}"), "{}")).collect();
        assert_eq!(topics(&sent), ["fs/v1/kitchen/evt/camera/7", "fs/v1/kitchen/evt/camera/8"]);
    }
}

#[test]
fn an_event_during_which_a_connection_breaks_by_chance_is_sent_again() {
    let mut play = Play::up(true, &[]);
    for _ in 0..9 {
        let mark = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
        play.hear(down("it has fallen silent"));
        play.connect(true, &[]);
        let again = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
        assert!(again > mark);
        play.hear(Input::Answered(again, Verdict::Taken));
    }
}

#[test]
fn what_is_too_large_for_the_broker_does_not_end_the_connection() {
    let mut play = Play::new();
    play.wait();
    play.hear(Input::Up(Greeting { resumed: true, largest: Some(2000), keeps: false }));
    let actions = play.hear(Input::States(Vec::new()));
    play.answer_all(&actions);
    let actions = play.record(5, "kitchen/evt/camera/motion", &format!("{{\"a\":\"{}\"}}", "x".repeat(3000)));
    assert!(refusal(&actions).contains("larger ones") && actions.contains(&Action::Settle(Position(5))));
    let actions = play.record(6, "kitchen/state", "{}");
    assert!(!publications(&actions)[0].keep, "a broker that keeps nothing is not asked to");
}
