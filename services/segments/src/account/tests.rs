//! Made-up ledgers, and random ones: each moment has one word.

use super::*;
use crate::ledger::Reading;
use proptest::prelude::*;

/// 2026-11-26 01:54:00 UTC, when the monotonic clock says 0.
const DAY: u64 = 1_795_658_040_000;

fn at(at: u64, what: What) -> Line {
    Line { at, what }
}

fn clock(unix: u64) -> Reading {
    Reading { unix, set: true, slept: 0 }
}

fn begun(at: u64, run: &str) -> Line {
    Line { at, what: What::Begun { run: run.into(), kernel: "k".into(), clock: clock(DAY + at) } }
}

fn alive(at: u64, open: Option<u64>) -> Line {
    Line { at, what: What::Alive { clock: clock(DAY + at), open } }
}

/// A segment with 15 pictures a second.
fn segment(run: &str, sequence: u64, from: u64, ms: u64) -> Line {
    let closed = Closed {
        run: run.into(),
        sequence,
        from,
        ms,
        frames: ms * 15 / 1000,
        unix: DAY + from,
        reason: crate::Reason::Length,
    };
    at(from + ms, What::Closed(closed))
}

fn away(when: u64, since: u64, cause: &str) -> Line {
    at(when, What::Away { since, cause: cause.into() })
}

/// From and to in milliseconds behind [`DAY`], and the word of the reason.
fn told(lines: &[Line], from: u64, to: u64) -> Vec<(u64, u64, String)> {
    let piece = |piece: Piece| {
        let word = piece.gap().map_or("recorded", Reason::word).to_owned();
        (piece.from - DAY, piece.to - DAY, word)
    };
    account(lines, DAY + from, DAY + to).pieces.into_iter().map(piece).collect()
}

fn expect(lines: &[Line], from: u64, to: u64, expected: &[(u64, u64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|&(from, to, word)| (from, to, word.to_owned())).collect();
    assert_eq!(told(lines, from, to), expected);
}

#[test]
fn segments_that_follow_each_other_are_one_and_the_open_one_goes_on() {
    let lines =
        [begun(1000, "a"), segment("a", 1, 1300, 20_000), segment("a", 2, 21_366, 20_000), alive(50_000, Some(41_400))];
    let expected = [(0, 1000, "unknown"), (1000, 1300, "starting"), (1300, 52_000, "recorded")];
    expect(&lines, 0, 52_000, &expected);
}

#[test]
fn an_outage_has_its_causes_and_begins_with_the_last_picture() {
    let lines = [
        begun(0, "a"),
        segment("a", 1, 0, 10_000),
        away(12_000, 10_000, "stalled"),
        away(15_000, 12_500, "unreachable"),
        at(40_000, What::Back),
        segment("a", 2, 40_000, 5_000),
        at(46_400, What::Silent { since: 45_000, cause: "stalled".into() }),
        segment("a", 3, 46_400, 5_000),
    ];
    let expected = [
        (0, 10_000, "recorded"),
        (10_000, 15_000, "stalled"),
        (15_000, 40_000, "unreachable"),
        (40_000, 45_000, "recorded"),
        (45_000, 46_400, "stalled"),
        (46_400, 51_400, "recorded"),
    ];
    expect(&lines, 0, 51_400, &expected);
}

#[test]
fn clocks_that_were_read_a_little_apart_leave_no_moment_unexplained() {
    let apart = What::Begun { run: "a".into(), kernel: "k".into(), clock: clock(DAY + 1000 - 40) };
    let lines = [at(1000, apart), segment("a", 1, 1000, 8_000), alive(10_000, Some(9_000))];
    expect(&lines, 5_000, 12_000, &[(5_000, 12_000, "recorded")]);
}

#[test]
fn who_was_killed_is_missed_from_his_last_sign_of_life_on() {
    let first = [begun(0, "a"), segment("a", 1, 0, 20_000)];
    let again = [
        at(24_000, What::Died { clock: Some(clock(DAY + 24_000)) }),
        segment("a", 2, 20_000, 3_800),
        begun(60_000, "b"),
        segment("b", 1, 60_200, 20_000),
        at(80_300, What::Stopped),
    ];
    let lines = [&first[..], &again[..]].concat();
    let expected = [
        (0, 23_800, "recorded"),
        (23_800, 60_000, "killed"),
        (60_000, 60_200, "starting"),
        (60_200, 80_200, "recorded"),
        (80_200, 99_000, "stopped"),
    ];
    expect(&lines, 0, 99_000, &expected);
    let lives = [&first[..], &[alive(24_000, Some(20_000))]].concat();
    expect(&lives, 0, 34_000, &[(0, 34_000, "recorded")]);
    expect(&lives, 0, 34_001, &[(0, 24_000, "recorded"), (24_000, 34_001, "killed")]);
}

#[test]
fn what_nobody_can_explain_is_unexplained() {
    let lines =
        [begun(0, "a"), segment("a", 1, 0, 20_000), segment("a", 3, 30_000, 20_000), alive(50_000, Some(50_000))];
    let expected = [(0, 20_000, "recorded"), (20_000, 30_000, "unexplained"), (30_000, 50_000, "recorded")];
    expect(&lines, 0, 50_000, &expected);
    assert_eq!(account(&lines, DAY, DAY + 50_000).sums(), [40_000, 0, 10_000, 0]);
    let slow = [begun(0, "a"), alive(60_000, None)];
    let expected = [(0, 15_000, "starting"), (15_000, 60_000, "unexplained")];
    expect(&slow, 0, 60_000, &expected);
    let gone = [begun(0, "a"), segment("a", 1, 0, 20_000)];
    expect(&gone, 0, 90_000, &[(0, 20_000, "recorded"), (20_000, 90_000, "unexplained")]);
}

#[test]
fn what_was_given_up_is_a_gap_and_what_was_not_after_all_is_none() {
    let id = |sequence| ("a".to_owned(), sequence);
    let evicted = |(run, sequence)| at(70_000, What::Evicted { run, sequence });
    let vanished = |(run, sequence)| at(0, What::Vanished { run, sequence });
    let mut lines: Vec<Line> = [vanished(id(1)), vanished(id(2)), begun(0, "a")].into();
    lines.extend((1..=4).map(|n| segment("a", n, (n - 1) * 10_000, 10_000)));
    lines.extend([evicted(id(2)), evicted(id(3)), segment("a", 3, 20_000, 10_000)]);
    let expected = [(0, 10_000, "vanished"), (10_000, 20_000, "evicted"), (20_000, 40_000, "recorded")];
    expect(&lines, 0, 40_000, &expected);
}

#[test]
fn what_was_given_up_after_it_was_sent_is_no_loss_and_what_was_cleaned_did_not_vanish() {
    let (run, told) = (|| "a".to_owned(), |what| at(0, what));
    // The uploader finds both gone, and tells it before or after `clean` does.
    let mut lines: Vec<Line> = (1..=3).map(|sequence| told(What::Vanished { run: run(), sequence })).collect();
    lines.push(told(What::Cleaned { run: run(), sequence: 1 }));
    lines.extend([2, 4].map(|sequence| told(What::Sent { run: run(), sequence })));
    lines.push(begun(0, "a"));
    lines.extend((1..=4).map(|n| segment("a", n, (n - 1) * 10_000, 10_000)));
    lines.push(at(70_000, What::Evicted { run: run(), sequence: 4 }));
    let expected = [
        (0, 10_000, "cleaned"),
        (10_000, 20_000, "recorded"),
        (20_000, 30_000, "vanished"),
        (30_000, 40_000, "recorded"),
    ];
    expect(&lines, 0, 40_000, &expected);
}

#[test]
fn of_the_time_before_the_ledger_nothing_is_known_and_that_is_no_explanation() {
    let lines = [begun(10_000, "a"), at(10_000, What::Stopped)];
    assert_eq!(account(&lines, DAY, DAY + 15_000).sums(), [0, 5_000, 0, 10_000]);
    assert_eq!(account(&[], DAY, DAY + 15_000).sums(), [0, 0, 0, 15_000]);
    let shortened = [begun(0, "a"), at(2_000, What::Shortened), at(9_000, What::Back)];
    assert_eq!(account(&shortened, DAY, DAY + 2_000).sums(), [0, 0, 0, 2_000]);
}

#[test]
fn the_clock_is_believed_when_it_is_set_and_a_jump_is_no_loss() {
    let unset = |at| Line {
        at,
        what: What::Begun { run: "a".into(), kernel: "k".into(), clock: Reading { unix: 5_000, set: false, slept: 0 } },
    };
    let set = |at, unix| Line { at, what: What::Clock { clock: clock(unix) } };
    let mended = [unset(1000), segment("a", 1, 1000, 20_000), set(15_000, DAY + 15_000), alive(21_000, Some(21_000))];
    expect(&mended, 0, 21_000, &[(0, 1000, "unknown"), (1000, 21_000, "recorded")]);
    let jumped = |unix: u64| {
        let alive = at(21_000, What::Alive { clock: clock(unix + 11_000), open: Some(21_000) });
        [begun(1000, "a"), segment("a", 1, 1000, 20_000), set(10_000, unix), alive]
    };
    let expected = [(1000, 10_000, "recorded"), (10_000, 70_000, "clock-set"), (70_000, 80_000, "recorded")];
    expect(&jumped(DAY + 70_000), 1000, 80_000, &expected);
    expect(&jumped(DAY + 5_000), 1000, 16_000, &[(1000, 16_000, "recorded")]);
    let slept = Reading { unix: DAY + 70_000, set: true, slept: 60_000 };
    let nap = [begun(1000, "a"), segment("a", 1, 1000, 20_000), at(10_000, What::Clock { clock: slept })];
    expect(
        &nap,
        9_000,
        71_000,
        &[(9_000, 10_000, "recorded"), (10_000, 70_000, "slept"), (70_000, 71_000, "recorded")],
    );
}

#[test]
fn another_kernel_has_another_clock() {
    let other =
        Line { at: 50, what: What::Begun { run: "b".into(), kernel: "other".into(), clock: clock(DAY + 100_000) } };
    let lines = [
        begun(900_000, "a"),
        at(900_000, What::Back),
        segment("a", 1, 900_000, 10_000),
        at(910_500, What::Died { clock: None }),
        other,
        segment("b", 1, 50, 10_000),
    ];
    let expected = [(900_000, 910_000, "recorded"), (910_000, 911_000, "killed")];
    expect(&lines[..4], 900_000, 911_000, &expected);
    let expected = [(99_000, 100_000, "unknown"), (100_000, 110_000, "recorded")];
    expect(&lines[4..], 99_000, 110_000, &expected);
    let mut lines = lines;
    for line in &mut lines[4..5] {
        line.what = What::Begun { run: "b".into(), kernel: "other".into(), clock: clock(DAY + 1_000_000) };
    }
    let expected = [
        (900_000, 910_000, "recorded"),
        (910_000, 910_500, "killed"),
        (910_500, 1_000_000, "machine-off"),
        (1_000_000, 1_010_000, "recorded"),
    ];
    expect(&lines, 900_000, 1_010_000, &expected);
}

#[test]
fn what_happens_meanwhile_is_told() {
    let lines = [
        begun(0, "a"),
        segment("a", 1, 0, 10_000),
        at(10_000, What::Full),
        at(14_000, What::Roomy),
        segment("a", 2, 14_000, 10_000),
        at(30_000, What::Stalled { since: 24_000 }),
        at(31_000, What::Frozen { since: 30_000 }),
        segment("a", 3, 30_000, 10_000),
        at(38_000, What::Thawed),
        at(43_000, What::Repaired),
        segment("a", 4, 44_000, 6_000),
        at(50_100, What::GaveUp { why: "GStreamer".into() }),
    ];
    let expected = [
        (0, 10_000, "recorded"),
        (10_000, 14_000, "full"),
        (14_000, 24_000, "recorded"),
        (24_000, 30_000, "busy"),
        (30_000, 40_000, "recorded"),
        (40_000, 44_000, "repaired"),
        (44_000, 50_000, "recorded"),
        (50_000, 60_000, "gave-up"),
    ];
    expect(&lines, 0, 60_000, &expected);
    assert_eq!(account(&lines, DAY, DAY + 60_000).frozen, [(DAY + 30_000, DAY + 38_000)]);
}

#[test]
fn a_hole_within_a_segment_is_a_gap_and_a_short_pause_is_none() {
    let lines = [
        begun(1, "a"),
        at(1, What::Back),
        at(5_700, What::Silent { since: 5_000, cause: "stalled".into() }),
        at(15_000, What::Stalled { since: 8_000 }),
        segment("a", 1, 1, 20_000),
    ];
    expect(&lines, 1, 20_001, &[(1, 8_000, "recorded"), (8_000, 15_000, "busy"), (15_000, 20_001, "recorded")]);
}

#[test]
fn before_the_ledger_nothing_is_claimed_and_labels_alone_tell_something() {
    expect(&[], 0, 10, &[(0, 10, "unknown")]);
    let shortened = [begun(0, "a"), away(500, 400, "silent"), at(2_000, What::Shortened), at(9_000, What::Back)];
    expect(&shortened, 0, 9_000, &[(0, 2_000, "forgotten"), (2_000, 9_000, "silent")]);
    let account = account(&shortened, DAY, DAY + 1);
    assert_eq!(account.begins, Some((DAY + 2_000, true)));
    let mut labels = [segment("a", 1, 0, 10_000), segment("a", 2, 20_000, 10_000), segment("b", 3, 50_000, 10_000)];
    for (line, reason) in labels.iter_mut().zip([crate::Reason::Lost, crate::Reason::Adopted]) {
        let What::Closed(closed) = &mut line.what else { unreachable!() };
        closed.reason = reason;
    }
    let expected =
        [(0, 10_000, "recorded"), (10_000, 20_000, "lost"), (20_000, 30_000, "recorded"), (30_000, 50_000, "killed")];
    assert_eq!(told(&labels, 0, 50_000), expected.map(|(from, to, word)| (from, to, word.to_owned())));
}

fn moment() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..200_000_u64, 1 => any::<u64>()]
}

fn reading() -> impl Strategy<Value = Reading> {
    let unix = prop_oneof![4 => DAY..DAY + 400_000, 1 => any::<u64>()];
    (unix, any::<bool>(), moment()).prop_map(|(unix, set, slept)| Reading { unix, set, slept })
}

fn closed() -> impl Strategy<Value = Closed> {
    let unix = prop_oneof![DAY..DAY + 400_000, any::<u64>()];
    (0..3_u8, 0..9_u64, moment(), moment(), 0..400_u64, unix).prop_map(|(run, sequence, from, ms, frames, unix)| {
        Closed { run: run.to_string(), sequence, from, ms: ms / 4, frames, unix, reason: crate::Reason::Lost }
    })
}

fn what() -> impl Strategy<Value = What> {
    let cause = || Just("silent".to_owned());
    let id = || (0..3_u8, 0..9_u64);
    prop_oneof![
        Just(What::Shortened),
        (0..3_u8, 0..2_u8, reading()).prop_map(|(run, kernel, clock)| What::Begun {
            run: run.to_string(),
            kernel: kernel.to_string(),
            clock
        }),
        reading().prop_map(|clock| What::Clock { clock }),
        closed().prop_map(What::Closed),
        closed().prop_map(What::Closed),
        id().prop_map(|(run, sequence)| What::Evicted { run: run.to_string(), sequence }),
        id().prop_map(|(run, sequence)| What::Vanished { run: run.to_string(), sequence }),
        id().prop_map(|(run, sequence)| What::Cleaned { run: run.to_string(), sequence }),
        id().prop_map(|(run, sequence)| What::Sent { run: run.to_string(), sequence }),
        (moment(), cause()).prop_map(|(since, cause)| What::Away { since, cause }),
        Just(What::Back),
        (moment(), cause()).prop_map(|(since, cause)| What::Silent { since, cause }),
        moment().prop_map(|since| What::Stalled { since }),
        moment().prop_map(|since| What::Frozen { since }),
        prop_oneof![Just(What::Thawed), Just(What::Full), Just(What::Roomy), Just(What::Repaired)],
        Just(What::Stopped),
        Just(What::GaveUp { why: "x".into() }),
        prop::option::of(reading()).prop_map(|clock| What::Died { clock }),
        reading().prop_map(|clock| What::Unusable { clock, why: "x".into() }),
        (reading(), prop::option::of(moment())).prop_map(|(clock, open)| What::Alive { clock, open }),
    ]
}

proptest! {
    /// Whatever stands in a ledger: each moment is in one piece and only one, and the sums are all of the time.
    #[test]
    fn the_cover_has_no_hole_and_no_overlap(
        lines in prop::collection::vec((moment(), what()), 0..60),
        from in DAY..DAY + 300_000,
        length in 0..500_000_u64,
    ) {
        let lines: Vec<Line> = lines.into_iter().map(|(at, what)| Line { at, what }).collect();
        let account = account(&lines, from, from + length);
        let pieces = &account.pieces;
        prop_assert_eq!(pieces.first().map_or(from, |first| first.from), from);
        prop_assert_eq!(pieces.last().map_or(from, |last| last.to), from + length);
        prop_assert!(pieces.windows(2).all(|pair| pair[0].to == pair[1].from && pair[0].state != pair[1].state));
        prop_assert!(pieces.iter().all(|piece| piece.from < piece.to));
        prop_assert_eq!(account.sums().iter().sum::<u64>(), length);
        prop_assert!(account.frozen.iter().all(|&(begin, end)| from <= begin && begin < end && end <= from + length));
    }

    /// What was recorded and not given up is recorded in the account, to the millisecond, whatever else happened.
    #[test]
    fn no_recorded_moment_is_a_gap(segments in prop::collection::vec((0..900_u64, 1..60_u64), 1..30), others in prop::collection::vec((0..1_000_000_u64, 0..4_u8), 0..20)) {
        let mut lines = vec![begun(0, "a")];
        for (n, (from, length)) in segments.iter().enumerate() {
            lines.push(segment("a", n as u64, from * 1000 + 1, length * 1000));
        }
        lines.extend(others.iter().map(|&(when, kind)| match kind {
            0 => away(when, when.saturating_sub(2000), "silent"),
            1 => at(when, What::Back),
            2 => at(when, What::Stopped),
            _ => at(when, What::Died { clock: None }),
        }));
        let account = account(&lines, DAY, DAY + 2_000_000);
        for (from, length) in segments {
            let (from, to) = (DAY + from * 1000 + 1, DAY + from * 1000 + 1 + length * 1000);
            let around = account.pieces.iter().find(|piece| piece.from <= from && to <= piece.to);
            prop_assert!(around.is_some_and(|piece| piece.state == State::Recorded), "{} {}: {:?}", from, to, account.pieces);
        }
    }
}
