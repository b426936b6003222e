//! The rate that holds, and how it is shared, second by second without a clock.

use super::Class::{Backlog, Marked, Newest};
use super::*;

const KIB: u64 = 1024;

/// Streams that always have more to send, served for a while; what each of them got.
struct Line {
    shaper: Shaper,
    now: Instant,
    streams: Vec<(&'static str, Class)>,
    got: Vec<u64>,
}

impl Line {
    fn new(rate: Rate, weights: &[(&str, u32)], streams: &[(&'static str, Class)]) -> Line {
        let weights = weights.iter().map(|&(camera, weight)| (camera.to_owned(), weight)).collect();
        let mut line = Line {
            shaper: Shaper::new(rate, weights, Instant::default()),
            now: Instant::default(),
            streams: streams.to_vec(),
            got: vec![0; streams.len()],
        };
        (0..streams.len()).for_each(|stream| line.ask(stream));
        line
    }

    fn ask(&mut self, stream: usize) {
        let (camera, class) = self.streams[stream];
        let (id, bytes) = (stream as u64, self.shaper.piece());
        self.shaper.want(Want { id, stream: id, camera: camera.into(), class, bytes });
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.shaper.deadline().filter(|&at| at <= end) {
            // Timers are late by up to a millisecond.
            self.now = at.max(self.now) + Duration::from_micros(fastrand::u64(0..1000));
            let piece = self.shaper.piece();
            for id in self.shaper.grant(self.now) {
                self.got[id as usize] += piece;
                self.ask(id as usize);
            }
        }
        self.now = self.now.max(end);
    }
}

fn near(value: u64, wanted: u64, percent: u64) -> bool {
    value.abs_diff(wanted) * 100 <= wanted * percent
}

#[test]
fn the_rate_holds_however_many_send() {
    for kib in [20, 300, 5000] {
        for streams in [1, 2, 5] {
            let mut line = Line::new(Rate::Limit(kib * KIB), &[], &vec![("cam1", Backlog); streams]);
            line.run(Duration::from_secs(30));
            let all: u64 = line.got.iter().sum();
            assert!(near(all, 30 * kib * KIB, 3), "{kib} KiB/s, {streams} streams: {all}");
        }
    }
}

#[test]
fn cameras_share_by_weight_and_not_by_the_number_of_their_streams() {
    let streams = [("cam1", Backlog), ("cam2", Backlog), ("cam2", Backlog)];
    let mut line = Line::new(Rate::Limit(300 * KIB), &[("cam1", 3)], &streams);
    line.run(Duration::from_secs(60));
    assert!(near(line.got[0], 3 * (line.got[1] + line.got[2]), 5), "{:?}", line.got);
}

#[test]
fn what_is_urgent_takes_all_and_leaves_what_it_does_not_use() {
    let mut line = Line::new(Rate::Limit(300 * KIB), &[], &[("cam1", Backlog), ("cam1", Newest)]);
    line.run(Duration::from_secs(10));
    assert_eq!(line.got[0], 0);
    line.shaper.forget(1);
    line.run(Duration::from_secs(10));
    assert!(near(line.got[0], line.got[1], 5), "{:?}", line.got);
}

#[test]
fn evidence_is_before_the_newest_and_of_one_camera_what_began_first() {
    let streams = [("cam1", Newest), ("cam1", Marked), ("cam1", Marked), ("cam2", Marked)];
    let mut line = Line::new(Rate::Limit(300 * KIB), &[], &streams);
    line.run(Duration::from_secs(10));
    assert!(line.got[0] == 0 && line.got[2] == 0, "{:?}", line.got);
    assert!(near(line.got[1], line.got[3], 5), "{:?}", line.got);
}

#[test]
fn idle_time_is_not_saved_up() {
    let mut line = Line::new(Rate::Limit(300 * KIB), &[], &[("cam1", Backlog)]);
    line.shaper.forget(0);
    line.run(Duration::from_secs(3600));
    line.ask(0);
    let before = line.got[0];
    line.run(Duration::from_secs(1));
    let burst = line.got[0] - before;
    assert!(burst <= 300 * KIB * 5 / 4 + 2 * line.shaper.piece(), "{burst}");
}

#[test]
fn a_camera_that_was_away_has_no_credit() {
    let mut line = Line::new(Rate::Limit(300 * KIB), &[], &[("cam1", Backlog), ("cam2", Backlog)]);
    line.shaper.forget(1);
    line.run(Duration::from_secs(60));
    line.ask(1);
    let before = line.got.clone();
    line.run(Duration::from_secs(10));
    let (first, second) = (line.got[0] - before[0], line.got[1] - before[1]);
    assert!(near(first, second, 10), "{first} and {second}");
}

#[test]
fn a_stop_sends_nothing_and_no_limit_sends_at_once() {
    let mut line = Line::new(Rate::Stop, &[], &[("cam1", Newest)]);
    assert_eq!(line.shaper.deadline(), None);
    line.run(Duration::from_secs(60));
    assert!(line.shaper.grant(line.now).is_empty());
    line.shaper.set_rate(Rate::Free, line.now);
    assert!(line.shaper.deadline().is_some_and(|at| at <= line.now));
    assert_eq!(line.shaper.grant(line.now), [0]);
    line.ask(0);
    line.shaper.set_rate(Rate::Limit(KIB), line.now);
    assert!(line.shaper.grant(line.now).is_empty(), "nothing was saved up");
    assert!(line.shaper.grant(line.now + Duration::from_secs(1)) == [0]);
}
