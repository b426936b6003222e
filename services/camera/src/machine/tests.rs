//! A camera on a stage: pictures at a steady rate, silence, losses; time is told and never waited for.

use super::*;

const RULES: Rules = Rules { segment: Duration::from_secs(20), motion_percent: Some(2.0) };

/// A camera that sends pictures at a steady rate.
struct Stage {
    machine: Machine,
    fps: f64,
    sent: u32,
    now: Duration,
    /// When segments began and ended, and why.
    cuts: Vec<(f64, Reason)>,
    said: Vec<Fact>,
    marks: usize,
    keys: usize,
}

impl Stage {
    fn new(fps: f64) -> Stage {
        let machine = Machine::new("cam1", RULES, "x264", false);
        Stage { machine, fps, sent: 0, now: Duration::ZERO, cuts: vec![], said: vec![], marks: 0, keys: 0 }
    }

    fn tell(&mut self, input: Input) -> Vec<Action> {
        let actions = self.machine.handle(input, self.now);
        for action in &actions {
            match action {
                Action::Begin(reason) | Action::Close(reason) => self.cuts.push((self.now.as_secs_f64(), *reason)),
                Action::Say(fact) => self.said.push(fact.clone()),
                Action::Mark => self.marks += 1,
                Action::Key => self.keys += 1,
                Action::Encode | Action::Preset => {}
            }
        }
        actions
    }

    fn picture(&mut self, moved: Option<f32>, frozen: Option<Duration>) -> Vec<Action> {
        let interval = Duration::from_secs_f64(1.0 / self.fps);
        self.now += interval;
        self.sent += 1;
        self.tell(Input::Picture(Picture { taken: self.now, interval, size: (640, 480), moved, frozen }))
    }

    fn run(&mut self, seconds: f64, moved: f32) -> &mut Stage {
        for n in 0..(seconds * self.fps).round() as u32 {
            self.picture(n.is_multiple_of(3).then_some(moved), None);
        }
        self
    }

    /// Nothing comes for a while; the deadlines are kept.
    fn wait(&mut self, seconds: f64) -> &mut Stage {
        let end = self.now + Duration::from_secs_f64(seconds);
        while let Some(at) = self.machine.deadline().filter(|&at| at <= end) {
            self.now = at;
            self.tell(Input::Tick);
        }
        self.now = end;
        self
    }

    fn lengths(&self) -> Vec<f64> {
        self.cuts.windows(2).map(|pair| ((pair[1].0 - pair[0].0) * 1000.0).round() / 1000.0).collect()
    }
}

fn state(online: bool, recording: bool) -> Fact {
    Fact::Camera { camera: "cam1".into(), online, recording, encoder: "x264".into() }
}

#[test]
fn when_the_server_goes_the_next_picture_begins_another_segment_and_recording_goes_on() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Leaving);
    stage.tell(Input::Online);
    stage.run(7.0, 0.0);
    assert_eq!(stage.cuts.len(), 1, "what has not begun is not ended: {:?}", stage.cuts);
    stage.tell(Input::Leaving);
    let marks = stage.marks;
    stage.run(30.0, 0.0);
    let reasons: Vec<Reason> = stage.cuts.iter().map(|cut| cut.1).collect();
    assert_eq!(reasons, [Reason::Lost, Reason::Stopped, Reason::Length]);
    assert!((stage.cuts[1].0 - stage.cuts[0].0 - 7.0).abs() < 0.001, "with the next picture: {:?}", stage.cuts);
    assert_eq!(stage.marks, marks, "that is no evidence");
}

#[test]
fn a_segment_that_is_too_large_ends_with_the_next_picture_as_if_it_were_long_enough() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Large);
    stage.tell(Input::Online);
    stage.run(7.0, 0.0);
    stage.tell(Input::Large);
    stage.tell(Input::Large);
    stage.run(8.0, 0.0);
    let reasons: Vec<Reason> = stage.cuts.iter().map(|cut| cut.1).collect();
    assert_eq!((reasons, stage.lengths()), (vec![Reason::Lost, Reason::Length], vec![7.0]));
}

#[test]
fn another_encoder_is_told_once_something_was() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Encoder("v4l2h264enc"));
    assert_eq!(stage.said, []);
    stage.tell(Input::Online);
    stage.tell(Input::Encoder("x264"));
    assert_eq!(stage.said[2], state(true, true));
    assert!(matches!(&stage.said[1], Fact::Camera { encoder, .. } if encoder == "v4l2h264enc"), "{:?}", stage.said);
}

#[test]
fn segments_have_the_length_that_is_asked_for_at_any_rate() {
    for fps in [15.0, 4.0, 1.0, 25.0, 14.3] {
        let mut stage = Stage::new(fps);
        stage.tell(Input::Online);
        stage.run(101.0, 0.0);
        let lengths = stage.lengths();
        assert!(lengths.len() >= 4, "{fps}: {lengths:?}");
        assert!(lengths.iter().all(|length| (length - 20.0).abs() <= 0.5 / fps + 0.001), "{fps}: {lengths:?}");
    }
    let mut stage = Stage::new(15.0);
    stage.run(61.0, 0.0);
    assert_eq!(stage.lengths(), [20.0, 20.0, 20.0]);
    assert_eq!(stage.keys, 21 + 1, "one each three seconds, and seven begin with a segment");
}

#[test]
fn a_new_length_acts_on_the_open_segment() {
    let mut stage = Stage::new(15.0);
    stage.run(5.0, 0.0);
    stage.tell(Input::Rules(Rules { segment: Duration::from_secs(10), ..RULES }));
    stage.run(20.0, 0.0);
    assert_eq!(stage.lengths(), [10.0, 10.0]);
}

#[test]
fn silence_closes_the_segment_within_a_second_and_marks_it() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Online);
    stage.run(5.0, 0.0).wait(10.0);
    assert_eq!(stage.cuts[1].1, Reason::Lost);
    assert!(stage.cuts[1].0 - 5.0 < 1.0 && stage.marks == 1, "{:?}", stage.cuts);
    stage.run(1.0, 0.0);
    assert_eq!(stage.cuts.len(), 3, "what follows is another one");
}

#[test]
fn a_short_blip_is_not_told_and_a_long_one_is_once() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Online);
    assert_eq!(stage.said.len(), 2);
    stage.run(5.0, 0.0);
    stage.tell(Input::Lost("has ended the stream".into()));
    assert_eq!(stage.cuts.last().unwrap().1, Reason::Lost, "closed at once");
    stage.wait(2.0).tell(Input::Online);
    assert_eq!(stage.said.len(), 2, "{:?}", stage.said);
    stage.tell(Input::Lost("stalled".into()));
    stage.wait(1.0).tell(Input::Lost("refuses".into()));
    stage.wait(60.0);
    let told = Fact::CameraOffline { camera: "cam1".into(), why: "refuses".into() };
    assert_eq!(stage.said[2..], [told, state(false, false)]);
    stage.tell(Input::Lost("silent".into()));
    stage.wait(60.0);
    assert_eq!(stage.said.len(), 4);
    stage.tell(Input::Online);
    assert_eq!(stage.said[4], Fact::CameraOnline { camera: "cam1".into() });
}

#[test]
fn a_camera_that_never_was_there_is_told_too() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Lost("refuses".into()));
    stage.wait(10.0);
    assert!(matches!(&stage.said[..], [Fact::CameraOffline { .. }, Fact::Camera { .. }]), "{:?}", stage.said);
}

#[test]
fn what_moves_leaves_at_once() {
    let mut stage = Stage::new(15.0);
    stage.run(8.0, 0.0);
    assert_eq!(stage.marks, 0);
    stage.run(60.0, 12.0).run(40.0, 0.0);
    let motion = Fact::Motion { camera: "cam1".into(), percent: 12.0 };
    assert_eq!(stage.said, [motion], "told once");
    let lengths = stage.lengths();
    assert!((10.0..10.5).contains(&lengths[0]), "two seconds of it: {lengths:?}");
    assert!(lengths[1..6].iter().all(|&length| length == 5.0), "{lengths:?}");
    assert!(lengths[8..].iter().all(|&length| length == 20.0), "not for ever: {lengths:?}");
    assert_eq!(stage.cuts[1].1, Reason::Motion);
    let marks = stage.marks;
    stage.run(20.0, 0.0);
    assert_eq!(stage.marks, marks, "nothing moves any more");
}

#[test]
fn a_flash_is_no_motion_and_neither_is_anything_if_nobody_asks() {
    let mut stage = Stage::new(15.0);
    stage.run(5.0, 0.0);
    stage.picture(Some(90.0), None);
    stage.run(5.0, 0.0);
    stage.tell(Input::Rules(Rules { motion_percent: None, ..RULES }));
    stage.run(5.0, 90.0);
    assert_eq!((stage.said.len(), stage.marks), (0, 0));
}

#[test]
fn another_size_is_another_segment() {
    let mut stage = Stage::new(15.0);
    stage.run(5.0, 0.0);
    let interval = Duration::from_secs_f64(1.0 / 15.0);
    stage.now += interval;
    let small = Picture { taken: stage.now, interval, size: (320, 240), moved: None, frozen: None };
    let actions = stage.tell(Input::Picture(small));
    assert_eq!(actions, [Action::Key, Action::Begin(Reason::Size), Action::Encode]);
}

#[test]
fn a_frozen_picture_is_a_lost_camera_that_goes_on_being_recorded() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Online);
    stage.run(1.0, 0.0);
    stage.picture(None, Some(Duration::from_secs(11)));
    stage.picture(None, Some(Duration::from_secs(11)));
    assert!(matches!(&stage.said[2], Fact::CameraOffline { why, .. } if why.contains("for 11 s")), "{:?}", stage.said);
    assert_eq!(stage.said.len(), 4);
    stage.picture(None, None);
    assert_eq!(stage.said[5], state(true, true));
    assert_eq!(stage.cuts.len(), 1);
}

#[test]
fn a_frozen_camera_that_is_asked_anew_is_back_when_its_picture_moves() {
    let mut stage = Stage::new(15.0);
    stage.tell(Input::Online);
    stage.run(1.0, 0.0);
    stage.picture(None, Some(Duration::from_secs(11)));
    stage.said.clear();
    stage.tell(Input::Lost("has sent the same picture for 60 s and is asked anew".into()));
    stage.tell(Input::Online);
    stage.picture(None, Some(Duration::from_secs(61)));
    assert!(
        matches!(&stage.said[0], Fact::CameraOffline { why, .. } if why.contains("is asked anew")),
        "{:?}",
        stage.said
    );
    assert_eq!(stage.said[1..], [state(false, false), state(false, true)], "it is not online");
    stage.picture(None, None);
    assert_eq!(stage.said[3..], [Fact::CameraOnline { camera: "cam1".into() }, state(true, true)]);
}

#[test]
fn the_tail_is_closed_at_the_end() {
    let mut stage = Stage::new(15.0);
    stage.run(1.0, 0.0);
    let actions = stage.tell(Input::Stop);
    assert_eq!(actions[0], Action::Close(Reason::Stopped));
    assert!(!stage.tell(Input::Stop).contains(&Action::Close(Reason::Stopped)), "there is none any more");
}

#[test]
fn a_camera_that_was_given_up_is_online_when_a_picture_was_encoded_and_not_before() {
    let mut stage = Stage::new(15.0);
    stage.machine = Machine::new("cam1", RULES, "x264", true);
    stage.tell(Input::Online);
    stage.run(2.0, 0.0);
    stage.tell(Input::Lost("has ended the stream".into()));
    stage.wait(10.0);
    assert!(stage.said.is_empty() && stage.machine.is_given_up(), "it was said already: {:?}", stage.said);
    stage.tell(Input::Coded);
    assert_eq!(stage.said, [Fact::CameraOnline { camera: "cam1".into() }, state(true, true)]);
    stage.tell(Input::Coded);
    assert_eq!(stage.said.len(), 2);
}
