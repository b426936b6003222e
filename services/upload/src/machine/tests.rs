//! What is sent next, what waits, and what pauses everything, told by a clock of the test's own.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Instant {
    Instant::at(Duration::from_secs(seconds))
}

fn item(camera: &str, start: u64, marked: bool) -> Item {
    Item {
        id: Id { camera: camera.into(), boot: 1, sequence: start },
        path: format!("/ram/{camera}/{start}.ts").into(),
        start_unix_ms: start * 1000,
        bytes: 100,
        marked,
        clock_set: true,
        waited: Duration::ZERO,
    }
}

fn machine(ways: usize) -> Machine {
    Machine::new(Rules {
        ways,
        retry_first: SECOND,
        retry_last: 60 * SECOND,
        probe: 300 * SECOND,
        ram_dir: "/ram".into(),
        seed: 1,
    })
}

/// What is sent, as camera and start, with a star if it is urgent.
fn sent(actions: &[Action]) -> Vec<String> {
    let one = |action: &Action| match action {
        Action::Send { item, class, .. } => {
            let star = if *class > Class::Backlog { "*" } else { "" };
            Some(format!("{} {}{star}", item.id.camera, item.id.sequence))
        }
        _ => None,
    };
    actions.iter().filter_map(one).collect()
}

fn ids(actions: &[Action]) -> Vec<Id> {
    let one = |action: &Action| match action {
        Action::Send { item, .. } => Some(item.id.clone()),
        _ => None,
    };
    actions.iter().filter_map(one).collect()
}

fn failures(actions: &[Action]) -> Vec<(String, bool)> {
    let one = |action: &Action| match action {
        Action::Tell(Fact::UploadFailed { why, paused, .. }) => Some((why.clone(), *paused)),
        _ => None,
    };
    actions.iter().filter_map(one).collect()
}

fn done(id: &Id) -> Input {
    Input::Ended(id.clone(), Outcome::Done { key: format!("key {}", id.sequence), bytes: 100 })
}

fn failed(id: &Id, trouble: Trouble) -> Input {
    Input::Ended(id.clone(), Outcome::Failed(trouble))
}

fn busy(wait: Option<Duration>) -> Trouble {
    Trouble::Server { why: "busy".into(), wait, in_doubt: false }
}

#[test]
fn marked_first_then_the_newest_of_each_camera_then_the_backlog_newest_first() {
    let mut machine = machine(1);
    let all = [("cam1", 1, false), ("cam1", 2, true), ("cam1", 3, false), ("cam1", 4, false), ("cam2", 2, false)];
    let all = all.map(|(camera, start, marked)| item(camera, start, marked));
    let mut actions = machine.handle(Input::Seen(all.to_vec()), at(1));
    let mut order = Vec::new();
    while let Some(id) = ids(&actions).first() {
        order.extend(sent(&actions));
        actions = machine.handle(done(id), at(2));
    }
    assert_eq!(order, ["cam1 2*", "cam1 4*", "cam2 2*", "cam1 3", "cam1 1"]);
}

#[test]
fn the_backlog_leaves_a_way_free_for_what_is_new() {
    let mut machine = machine(3);
    let mut all: Vec<Item> = (1..=4).map(|start| item("cam1", start, false)).collect();
    let actions = machine.handle(Input::Seen(all.clone()), at(1));
    assert_eq!(sent(&actions), ["cam1 4*", "cam1 3"], "one of the backlog, and one way is free");
    all.push(item("cam1", 5, false));
    assert_eq!(sent(&machine.handle(Input::Seen(all.clone()), at(2))), ["cam1 5*"]);
    all.push(item("cam1", 6, true));
    assert_eq!(sent(&machine.handle(Input::Seen(all), at(3))), [""; 0], "all ways are taken");
    let actions = machine.handle(done(&item("cam1", 5, false).id), at(4));
    assert_eq!(sent(&actions), ["cam1 6*"]);
}

#[test]
fn a_busy_server_is_tried_with_one_at_growing_pauses_and_not_before_it_said() {
    let mut machine = machine(3);
    let all: Vec<Item> = ["cam1", "cam2"].map(|camera| item(camera, 1, false)).to_vec();
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    assert_eq!(first.len(), 2);
    machine.handle(failed(&first[0], busy(None)), at(2));
    let actions = machine.handle(failed(&first[1], busy(Some(20 * SECOND))), at(2));
    assert!(failures(&actions).is_empty(), "that was one failure");
    assert_eq!(machine.deadline().map(|at| at.since_start().as_secs()), Some(22));
    assert_eq!(sent(&machine.handle(Input::Tick, at(21))).len(), 0);
    let trial = ids(&machine.handle(Input::Tick, at(22)));
    assert_eq!(trial.len(), 1, "one at a time");
    machine.handle(failed(&trial[0], busy(None)), at(30));
    assert_eq!(ids(&machine.handle(Input::Tick, at(30))).len(), 0);
    assert!(machine.until >= at(31) && machine.until <= at(32), "{:?}", machine.until);
    let trial = ids(&machine.handle(Input::Tick, at(32)));
    let told = failures(&machine.handle(failed(&trial[0], busy(None)), at(40)));
    assert!(told.len() == 1 && !told[0].1 && told[0].0.contains("is the line up?"), "{told:?}");
    let trial = ids(&machine.handle(Input::Tick, at(50)));
    assert!(failures(&machine.handle(failed(&trial[0], busy(None)), at(51))).is_empty(), "it was told");
    let trial = ids(&machine.handle(Input::Tick, at(120)));
    let actions = machine.handle(done(&trial[0]), at(121));
    assert!(actions.contains(&Action::Recovered("uploads work again".into())), "{actions:?}");
    assert_eq!(sent(&actions).len(), 1);
}

#[test]
fn what_the_owner_has_to_mend_pauses_and_is_told_once() {
    let mut machine = machine(3);
    let all: Vec<Item> = (1..=5).map(|start| item("cam1", start, true)).collect();
    let first = ids(&machine.handle(Input::Seen(all.clone()), at(1)));
    assert_eq!(first.len(), 3);
    let setup = || Trouble::Setup { cause: "c", why: "the cap is reached; raise it".into() };
    let told = failures(&machine.handle(failed(&first[0], setup()), at(2)));
    assert_eq!(told, [("the cap is reached; raise it".to_owned(), true)]);
    for id in &first[1..] {
        assert!(failures(&machine.handle(failed(id, setup()), at(3))).is_empty());
    }
    assert_eq!(sent(&machine.handle(Input::Tick, at(302))).len(), 0);
    let actions = machine.handle(Input::Tick, at(303));
    assert!(matches!(actions[0], Action::Send { renewed: true, .. }) && ids(&actions).len() == 1, "{actions:?}");
    let actions = machine.handle(failed(&ids(&actions)[0], setup()), at(304));
    assert!(failures(&actions).is_empty() && ids(&actions).is_empty());
    let actions = machine.handle(Input::Hurry, at(305));
    assert_eq!(ids(&actions).len(), 1, "whoever mended it need not wait");
    let actions = machine.handle(done(&ids(&actions)[0]), at(306));
    assert!(actions.contains(&Action::Recovered("uploads work again".into())));
    assert_eq!(ids(&actions).len(), 3);
}

#[test]
fn what_was_sent_before_something_was_mended_does_not_count() {
    let mut machine = machine(1);
    let all: Vec<Item> = (1..=2).map(|start| item("cam1", start, true)).collect();
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    machine.handle(Input::Hurry, at(2));
    let actions = machine.handle(failed(&first[0], Trouble::Setup { cause: "c", why: "wrong key".into() }), at(3));
    assert!(failures(&actions).is_empty() && ids(&actions) == first, "{actions:?}");
    let actions = machine.handle(failed(&first[0], Trouble::Setup { cause: "c", why: "wrong key".into() }), at(4));
    assert!(failures(&actions).len() == 1 && ids(&actions).is_empty(), "{actions:?}");
}

#[test]
fn what_is_the_matter_with_one_holds_up_no_other() {
    let mut machine = machine(1);
    let all = vec![item("cam1", 1, false), item("cam1", 2, true)];
    let marked = ids(&machine.handle(Input::Seen(all), at(1)));
    let broken = || Trouble::Object { why: "the ETag differs".into() };
    let actions = machine.handle(failed(&marked[0], broken()), at(2));
    assert_eq!(sent(&actions), ["cam1 1"]);
    machine.handle(done(&ids(&actions)[0]), at(2));
    let mut told = Vec::new();
    for minute in 1..10 {
        let actions = machine.handle(Input::Tick, at(60 * minute));
        if let Some(id) = ids(&actions).first() {
            told.extend(failures(&machine.handle(failed(id, broken()), at(60 * minute + 1))));
        }
    }
    assert!(told.len() == 1 && told[0].0.contains("the ETag differs; it stays here"), "{told:?}");
    assert_eq!(machine.waiting(), (1, 100));
}

/// Why something failed, and whether only the owner can mend it.
type Told = (String, bool);

/// Sends what is to be sent, each of which fails, until then; what was told, and when what was sent.
fn fail_all(machine: &mut Machine, mut now: Instant, until: Instant) -> (Vec<Told>, Vec<(Instant, Id)>) {
    let (mut told, mut tries) = (Vec::new(), Vec::new());
    let mut actions = machine.handle(Input::Tick, now);
    while now < until {
        actions = match ids(&actions).pop() {
            Some(id) => {
                tries.push((now, id.clone()));
                let why = format!("400 on {}", id.sequence);
                machine.handle(failed(&id, Trouble::Object { why }), now)
            }
            None => {
                now = machine.deadline().expect("it is tried again").max(now);
                machine.handle(Input::Tick, now)
            }
        };
        told.extend(failures(&actions));
    }
    (told, tries)
}

#[test]
fn an_answer_that_nobody_knows_to_each_segment_slows_everything_down_and_is_told_once() {
    let mut machine = machine(1);
    let all: Vec<Item> = (1..=100).map(|start| item("cam1", start, false)).collect();
    machine.halted = true;
    machine.handle(Input::Seen(all), at(1));
    machine.halted = false;
    let (told, tries) = fail_all(&mut machine, at(1), at(3600));
    assert!(told.len() == 1 && told[0].0.contains("3 segments in a row"), "{told:?}");
    assert!(tries.len() < 150, "one a minute at most, in the end: {}", tries.len());
    let distinct: BTreeSet<&Id> = tries.iter().map(|(_, id)| id).collect();
    assert!(distinct.len() + 3 >= tries.len().min(100), "what was not tried yet comes first: {}", distinct.len());
}

#[test]
fn a_few_that_fail_each_time_keep_no_other_from_being_sent() {
    let mut machine = machine(1);
    let mut all: Vec<Item> = (1..=4).map(|start| item("cam1", start, true)).collect();
    all.push(item("cam1", 5, false));
    let bad = |id: &Id| id.sequence < 5;
    let (mut now, mut actions) = (at(1), machine.handle(Input::Seen(all), at(1)));
    while let Some(id) = ids(&actions).pop().filter(bad) {
        actions = machine.handle(failed(&id, Trouble::Object { why: "400".into() }), now);
        while ids(&actions).is_empty() {
            now = machine.deadline().unwrap().max(now);
            actions = machine.handle(Input::Tick, now);
        }
    }
    assert_eq!(ids(&actions)[0].sequence, 5);
    assert!(now < at(60), "{now:?}");
}

#[test]
fn when_the_server_asked_not_to_be_asked_a_success_of_another_segment_does_not_lift_that() {
    let mut machine = machine(3);
    let all: Vec<Item> = (1..=3).map(|start| item("cam1", start, true)).collect();
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    machine.handle(failed(&first[0], busy(Some(20 * SECOND))), at(2));
    assert_eq!(sent(&machine.handle(done(&first[1]), at(3))), [""; 0]);
    assert_eq!(sent(&machine.handle(Input::Tick, at(21))), [""; 0]);
    assert_eq!(machine.deadline(), Some(at(22)));
    assert_eq!(sent(&machine.handle(Input::Tick, at(22))).len(), 1);
}

#[test]
fn what_the_owner_has_to_mend_is_told_once_a_cause_though_the_words_name_each_segment() {
    let mut machine = machine(3);
    let all: Vec<Item> = (1..=3).map(|start| item("cam1", start, true)).collect();
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    let denied = |id: &Id| Trouble::Setup { cause: "rights", why: format!("not authorized on {}", id.sequence) };
    let told: Vec<_> = first.iter().flat_map(|id| failures(&machine.handle(failed(id, denied(id)), at(2)))).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

/// As with a key that is for the recordings of another camera.
#[test]
fn what_is_refused_while_others_come_through_pauses_nothing_for_long() {
    let mut machine = machine(1);
    let mut all = vec![item("cam2", 1, true)];
    all.extend((1..=20).map(|start| item("cam1", start, false)));
    let (mut now, mut told, mut finished) = (at(1), Vec::new(), 0);
    let mut actions = machine.handle(Input::Seen(all), now);
    while finished < 20 {
        let Some(id) = ids(&actions).pop() else {
            now = machine.deadline().unwrap().max(now);
            actions = machine.handle(Input::Tick, now);
            continue;
        };
        let denied = Trouble::Setup { cause: "rights", why: "not for cam2".into() };
        finished += usize::from(id.camera == "cam1");
        actions = machine.handle(if id.camera == "cam1" { done(&id) } else { failed(&id, denied) }, now);
        told.extend(failures(&actions));
    }
    assert!(now < at(700) && told.len() <= 2, "{now:?} {told:?}");
}

#[test]
fn a_machine_that_goes_without_its_server_having_said_so_sends_what_it_can() {
    let mut machine = machine(1);
    machine.handle(Input::Seen(vec![item("cam1", 1, false)]), at(1));
    machine.handle(Input::Stop(20 * SECOND), at(2));
    assert!(machine.handle(Input::Going(60 * SECOND), at(3)).contains(&Action::Lift(true)));
    assert_eq!(machine.end(), Some(at(58)));
    let mut announced = self::machine(1);
    announced.handle(Input::Leaving(30 * SECOND), at(3));
    assert_eq!(announced.handle(Input::Going(60 * SECOND), at(4)), []);
    assert_eq!(announced.leaving, Some(at(28)), "what was announced says it better");
}

#[test]
fn a_stop_of_the_timetable_is_no_fault_and_sends_nothing() {
    let mut machine = machine(2);
    machine.handle(Input::Halt(true), at(1));
    let all = [1, 2].map(|start| item("cam1", start, true)).to_vec();
    assert_eq!(sent(&machine.handle(Input::Seen(all), at(2))), [""; 0]);
    assert!(machine.deadline().is_none_or(|next| next > at(2)) && !machine.is_calm());
    assert_eq!(sent(&machine.handle(Input::Tick, at(3600))), [""; 0]);
    let first = ids(&machine.handle(Input::Halt(false), at(3601)));
    assert_eq!(first.len(), 2);
    machine.handle(Input::Halt(true), at(3602));
    for id in &first {
        let actions = machine.handle(Input::Ended(id.clone(), Outcome::Halted), at(3602));
        assert!(ids(&actions).is_empty() && failures(&actions).is_empty(), "{actions:?}");
    }
    assert_eq!(ids(&machine.handle(Input::Halt(false), at(3700))), first, "as if nothing had been");
    let mut machine = self::machine(1);
    machine.handle(Input::Halt(true), at(1));
    machine.handle(Input::Seen(vec![item("cam1", 1, false)]), at(1));
    let actions = machine.handle(Input::Stop(10 * SECOND), at(2));
    assert!(actions.contains(&Action::End { files: 1, bytes: 100 }), "there is nothing to wait for: {actions:?}");
}

#[test]
fn when_the_server_goes_no_limit_holds() {
    let mut machine = machine(1);
    machine.handle(Input::Halt(true), at(1));
    machine.handle(Input::Seen(vec![item("cam1", 1, false), item("cam1", 2, false)]), at(1));
    let actions = machine.handle(Input::Leaving(30 * SECOND), at(2));
    assert!(actions.contains(&Action::Lift(true)) && ids(&actions).len() == 1, "{actions:?}");
    let actions = machine.handle(Input::Stop(10 * SECOND), at(3));
    assert!(!actions.iter().any(|action| matches!(action, Action::End { .. })), "{actions:?}");
    let mut other = self::machine(1);
    other.handle(Input::Leaving(30 * SECOND), at(2));
    assert_eq!(other.handle(Input::Staying, at(3)), [Action::Lift(false)]);
    other.handle(Input::Leaving(30 * SECOND), at(4));
    assert!(other.handle(Input::Tick, at(40)).contains(&Action::Lift(false)), "nobody went");
}

#[test]
fn when_the_server_goes_the_backlog_takes_nothing_from_what_is_urgent() {
    let mut machine = machine(3);
    machine.handle(Input::Leaving(60 * SECOND), at(1));
    let all = vec![item("cam1", 1, false), item("cam1", 2, true), item("cam1", 3, false)];
    assert_eq!(sent(&machine.handle(Input::Seen(all), at(2))), ["cam1 2*", "cam1 3*"]);
    assert_eq!(sent(&machine.handle(done(&item("cam1", 2, true).id), at(3))), [""; 0]);
    assert_eq!(sent(&machine.handle(done(&item("cam1", 3, false).id), at(4))), ["cam1 1"]);
}

#[test]
fn a_clock_that_was_ahead_for_a_while_makes_nothing_the_newest_for_ever() {
    let mut machine = machine(2);
    let ahead = Item { start_unix_ms: 1 << 42, ..item("cam1", 1, false) };
    let first = ids(&machine.handle(Input::Seen(vec![ahead]), at(1)));
    machine.handle(done(&first[0]), at(2));
    assert_eq!(sent(&machine.handle(Input::Seen(vec![item("cam1", 2, false)]), at(3))), ["cam1 2*"]);
}

#[test]
fn a_clock_that_is_not_set_is_waited_for_and_not_for_ever() {
    let mut machine = machine(3);
    let unset = Item { clock_set: false, ..item("cam1", 1, false) };
    assert!(ids(&machine.handle(Input::Seen(vec![unset.clone()]), at(1))).is_empty());
    let actions = machine.handle(Input::Seen(vec![Item { start_unix_ms: 9, clock_set: true, ..unset.clone() }]), at(2));
    assert!(matches!(&actions[0], Action::Send { item, .. } if item.start_unix_ms == 9), "{actions:?}");
    let other = Item { id: Id { sequence: 7, ..unset.id.clone() }, ..unset.clone() };
    machine.handle(done(&unset.id), at(2));
    assert_eq!(sent(&machine.handle(Input::Seen(vec![other]), at(3))), [""; 0]);
    assert_eq!(sent(&machine.handle(Input::Tick, at(13))), ["cam1 7*"]);
}

#[test]
fn what_vanishes_is_told_and_what_is_under_way_is_not() {
    let mut machine = machine(1);
    let all = vec![item("cam1", 1, false), item("cam1", 2, false)];
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    let actions = machine.handle(Input::Seen(vec![]), at(2));
    assert_eq!(actions, [Action::Vanished(item("cam1", 1, false))]);
    assert!(ids(&machine.handle(Input::Ended(first[0].clone(), Outcome::Gone), at(3))).is_empty());
    assert_eq!(machine.waiting(), (0, 0));
}

#[test]
fn the_queue_is_told_when_it_changes_and_not_all_the_time() {
    let mut machine = machine(1);
    let queue = |actions: Vec<Action>| {
        actions.into_iter().find_map(|action| match action {
            Action::Tell(Fact::UploadQueue { files, bytes, oldest }) => Some((files, bytes, oldest)),
            _ => None,
        })
    };
    let old = Item { waited: 100 * SECOND, ..item("cam1", 1, false) };
    assert_eq!(queue(machine.handle(Input::Seen(vec![old.clone()]), at(1))), Some((1, 100, 100)));
    assert_eq!(queue(machine.handle(Input::Tick, at(20))), None);
    assert_eq!(
        queue(machine.handle(Input::Seen(vec![old.clone(), item("cam1", 2, false)]), at(21))),
        Some((2, 200, 120))
    );
    assert_eq!(queue(machine.handle(done(&old.id), at(22))), None, "too soon");
    assert!(machine.deadline() <= Some(at(31)));
    assert_eq!(queue(machine.handle(Input::Tick, at(31))), Some((1, 100, 10)));
}

#[test]
fn a_storage_that_keeps_something_else_pauses_everything() {
    let mut machine = machine(1);
    let all = [1, 2].map(|start| item("cam1", start, false)).to_vec();
    let wrong = |n: usize| Trouble::Wrong { why: format!("another checksum {n}") };
    let mut now = at(1);
    let mut actions = machine.handle(Input::Seen(all), now);
    let (mut tries, mut told) = (Vec::new(), Vec::new());
    while tries.len() < 6 {
        actions = match ids(&actions).pop() {
            Some(id) => {
                tries.push(now);
                machine.handle(failed(&id, wrong(tries.len())), now)
            }
            None => {
                now = machine.deadline().unwrap().max(now);
                machine.handle(Input::Tick, now)
            }
        };
        told.extend(failures(&actions));
    }
    let pauses: Vec<u64> = tries.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert!(pauses[..2].iter().all(|pause| *pause < 10) && pauses[2..] == [300; 3], "{pauses:?}");
    assert!(told.len() == 1 && told[0].1 && told[0].0.contains("SSE-KMS"), "once: {told:?}");
    actions = machine.handle(Input::Tick, now + 300 * SECOND);
    let id = ids(&actions).pop().unwrap();
    assert!(machine.handle(done(&id), now).contains(&Action::Recovered("uploads work again".into())));
}

#[test]
fn at_the_end_what_fits_goes_and_the_rest_is_told() {
    let end = |actions: &[Action]| actions.contains(&Action::End { files: 1, bytes: 100 });
    let mut machine = machine(1);
    let all = vec![item("cam1", 1, false), item("cam1", 2, false)];
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    assert!(!end(&machine.handle(Input::Stop(10 * SECOND), at(2))));
    let actions = machine.handle(done(&first[0]), at(5));
    assert_eq!(sent(&actions), ["cam1 1"]);
    let actions = machine.handle(Input::Tick, at(12));
    assert!(end(&actions) && failures(&actions)[0].0.contains("1 segments of 100 bytes"), "{actions:?}");
    assert!(!end(&machine.handle(Input::Tick, at(13))), "once");
}

#[test]
fn the_end_does_not_wait_in_vain() {
    let mut empty = machine(1);
    assert!(empty.handle(Input::Stop(10 * SECOND), at(1)).contains(&Action::End { files: 0, bytes: 0 }));
    for trouble in [Trouble::Setup { cause: "c", why: "no bucket".into() }, busy(Some(100 * SECOND))] {
        let mut machine = machine(1);
        let first = ids(&machine.handle(Input::Seen(vec![item("cam1", 1, false)]), at(1)));
        machine.handle(failed(&first[0], trouble), at(2));
        assert!(machine.handle(Input::Stop(10 * SECOND), at(3)).contains(&Action::End { files: 1, bytes: 100 }));
    }
}

/// Queue as numbers, as it was told last.
fn queue_told(actions: &[Action]) -> Option<(u64, u64)> {
    let one = |action: &Action| match action {
        Action::Tell(Fact::UploadQueue { files, bytes, .. }) => Some((*files, *bytes)),
        _ => None,
    };
    actions.iter().rev().find_map(one)
}

#[test]
fn when_the_server_goes_everything_is_tried_at_once_and_what_is_left_is_told_in_time() {
    let mut machine = machine(1);
    let all = vec![item("cam1", 1, false), item("cam1", 2, false), item("cam1", 3, true)];
    let first = ids(&machine.handle(Input::Seen(all), at(1)));
    machine.handle(failed(&first[0], busy(Some(600 * SECOND))), at(2));
    let actions = machine.handle(Input::Leaving(30 * SECOND), at(3));
    assert_eq!(sent(&actions), ["cam1 3*"], "though it should have waited");
    let id = ids(&actions)[0].clone();
    assert_eq!(sent(&machine.handle(done(&id), at(20))), ["cam1 2"]);
    assert_eq!(machine.deadline(), Some(at(28)), "five seconds before the deadline");
    assert_eq!(sent(&machine.handle(done(&item("cam1", 2, false).id), at(22))), ["cam1 1"]);
    let actions = machine.handle(Input::Tick, at(28));
    let told = failures(&actions);
    assert!(told.len() == 1 && told[0].0.contains("the server goes, and 1 segments of 100 bytes"), "{told:?}");
    assert_eq!(queue_told(&actions), Some((1, 100)), "in numbers, too, though that was told a moment ago");
    assert!(failures(&machine.handle(Input::Tick, at(29))).is_empty(), "once");
}

#[test]
fn an_announced_deadline_says_better_than_a_setting_when_the_end_is() {
    for stop_first in [true, false] {
        let mut machine = machine(1);
        machine.handle(Input::Seen(vec![item("cam1", 1, false)]), at(1));
        let both = [Input::Stop(20 * SECOND), Input::Leaving(60 * SECOND)];
        let order = if stop_first { [0, 1] } else { [1, 0] };
        order.iter().for_each(|&n| drop(machine.handle(both[n].clone(), at(2))));
        assert_eq!(machine.end(), Some(at(57)));
        let actions = machine.handle(Input::Tick, at(57));
        assert!(actions.contains(&Action::End { files: 1, bytes: 100 }), "{actions:?}");
        assert_eq!(failures(&actions).len(), 1, "{actions:?}");
    }
    let mut machine = machine(1);
    machine.handle(Input::Seen(vec![item("cam1", 1, false)]), at(1));
    machine.handle(Input::Leaving(6 * SECOND), at(2));
    assert_eq!(machine.leaving, Some(at(6)), "of a short time a third");
    machine.handle(Input::Staying, at(3));
    machine.handle(Input::Stop(20 * SECOND), at(4));
    assert_eq!(machine.end(), Some(at(24)));
}

/// Whatever happens: the loop never wakes up in vain, no more is under way than there are ways, and in the end all is done.
#[test]
fn at_random_it_neither_spins_nor_forgets() {
    for seed in 0..300 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let ways = chance.usize(1..4);
        let mut machine = machine(ways);
        let mut now = at(1);
        let mut here: Vec<Item> = Vec::new();
        let mut under_way: Vec<Id> = Vec::new();
        for step in 0..200 {
            let input = match chance.u8(0..8) {
                0 | 1 if step < 150 => {
                    let clock_set = chance.u8(0..5) > 0;
                    here.push(Item { clock_set, ..item("cam1", step + 1, chance.bool()) });
                    Input::Seen(here.clone())
                }
                2 | 3 if !under_way.is_empty() => {
                    let id = under_way.swap_remove(chance.usize(0..under_way.len()));
                    let outcome = match chance.u8(0..7) {
                        5 => Outcome::Halted,
                        6 => Outcome::Failed(Trouble::Wrong { why: "wrong".into() }),
                        0 => Outcome::Failed(busy(Some(Duration::from_secs(chance.u64(0..9))))),
                        1 => Outcome::Failed(Trouble::Object { why: "odd".into() }),
                        2 => Outcome::Failed(Trouble::Setup { cause: "c", why: "cap".into() }),
                        _ => {
                            here.retain(|item| item.id != id);
                            Outcome::Done { key: "k".into(), bytes: 1 }
                        }
                    };
                    Input::Ended(id, outcome)
                }
                7 => Input::Halt(chance.bool()),
                6 => Input::Leaving(Duration::from_secs(chance.u64(0..20))),
                _ => {
                    now = machine.deadline().unwrap_or(now).max(now);
                    Input::Tick
                }
            };
            under_way.extend(ids(&machine.handle(input, now)));
            assert!(under_way.len() <= ways, "seed {seed}");
            assert!(machine.deadline().is_none_or(|at| at > now), "seed {seed} spins at step {step}");
        }
        under_way.extend(ids(&machine.handle(Input::Halt(false), now)));
        for _ in 0..2000 {
            let input = match under_way.pop() {
                Some(id) => done(&id),
                None => Input::Tick,
            };
            now = if input == Input::Tick { machine.deadline().unwrap_or(now).max(now) } else { now };
            under_way.extend(ids(&machine.handle(input, now)));
        }
        assert_eq!(machine.waiting(), (0, 0), "seed {seed}");
    }
}
