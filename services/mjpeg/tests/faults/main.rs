//! The source against a camera with every fault that we know of: which pictures come, when the camera is lost and why, and that it never has two
//! connections.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod watched;

use esp32::Fault;
use mjpeg::cause::NoStream;
use mjpeg::{Cause, Config, Flaw, Happening, Size};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};
use watched::{Watched, number, numbers};

const VGA: Size = Size { width: 640, height: 480 };

#[tokio::test]
async fn pictures_in_order_with_the_cameras_time() {
    let mut watched = Watched::start(&[]);
    assert_eq!(watched.next().await, Happening::Online(VGA));
    let frames = watched.frames(20).await;
    assert_eq!(numbers(&frames), (0..20).collect::<Vec<_>>());
    let times = frames.windows(2).map(|two| two[1].camera_time.unwrap().checked_sub(two[0].camera_time.unwrap()));
    assert!(times.flatten().all(|gap| gap > Duration::from_millis(20)), "{frames:?}");
    assert!(frames.windows(2).all(|two| two[0].at < two[1].at && two[1].size == VGA));
}

/// All pictures come, each once, through one connection.
async fn harmless(oddities: &[Fault]) {
    for oddity in oddities {
        let mut watched = Watched::start(&[*oddity, Fault::Fps(30.0)]);
        let frames = watched.frames(7).await;
        assert_eq!(numbers(&frames), (0..7).collect::<Vec<_>>(), "{oddity}");
        let log = watched.camera.log();
        assert_eq!((log.connections.len(), watched.happenings.counts().flawed), (1, 0), "{oddity}");
    }
}

#[tokio::test]
async fn boundaries_of_all_kinds() {
    use Fault::{Bare, BlankLines, BoundaryAfter, ClosingBoundary, QuotedBoundary, WrongBoundary};
    harmless(&[QuotedBoundary, BoundaryAfter, ClosingBoundary, BlankLines, WrongBoundary, Bare]).await;
}

#[tokio::test]
async fn lengths_of_all_kinds() {
    harmless(&[Fault::NoLength, Fault::LongLength, Fault::ShortLength, Fault::Padded]).await;
}

#[tokio::test]
async fn wrappings_of_all_kinds() {
    harmless(&[Fault::LfOnly, Fault::Plain, Fault::SmallChunks, Fault::NoHead, Fault::TextType]).await;
}

/// A shower of bad pictures: none of them comes, all others do, the connection stays.
async fn shower(fault: Fault) {
    let mut watched = Watched::start(&[Fault::Fps(30.0)]);
    watched.frames(6).await;
    watched.camera.next(12, fault);
    let mut came = vec![5];
    while came.len() < 100 && came[came.len() - 1] as usize == 4 + came.len() {
        came.extend(numbers(&watched.frames(1).await));
    }
    came.extend(numbers(&watched.frames(6).await));
    let gaps: Vec<u32> = came.windows(2).map(|two| two[1] - two[0]).filter(|gap| *gap > 1).collect();
    assert_eq!(gaps, [13], "{fault}");
    let last = came[came.len() - 1];
    // The camera writes down what it sent a moment after that.
    while !watched.sent().contains(&last) {
        sleep(Duration::from_millis(10)).await;
    }
    let sent: Vec<u32> = watched.sent().into_iter().filter(|number| (5..=last).contains(number)).collect();
    assert_eq!(came, sent, "{fault}");
    let flawed = watched.happenings.counts().flawed;
    assert!((6..=24).contains(&flawed), "{fault}: {flawed}");
    assert_eq!(watched.camera.log().connections.len(), 1, "{fault}");
}

#[tokio::test]
async fn showers_of_broken_pictures() {
    for fault in [Fault::Garbage, Fault::Truncated, Fault::CutShort, Fault::BitFlipped] {
        shower(fault).await;
    }
}

#[tokio::test]
async fn showers_of_missing_pictures() {
    for fault in [Fault::HalfFrame, Fault::ZeroLength] {
        shower(fault).await;
    }
}

/// Loses the camera by a fault, and finds it again when that is over.
async fn lose(fault: Fault, within: Duration) -> Cause {
    let mut watched = Watched::impatient(&[]);
    watched.frames(12).await;
    let since = Instant::now();
    watched.camera.set(&[fault]);
    let (_, why, told) = watched.lost().await;
    assert!(told - since < within, "{fault}: {:?}", told - since);
    sleep(Duration::from_millis(400)).await;
    watched.camera.set(&[]);
    assert!(matches!(watched.next().await, Happening::Online(_)), "told of once: {fault}");
    watched.frames(3).await;
    let log = watched.camera.log();
    assert!(log.overlaps == 0 && log.connections.len() > 1, "{fault}: {} of {}", log.overlaps, log.connections.len());
    why
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_stall() {
    let why = lose(Fault::Stall, SECOND * 2).await;
    let Cause::Stalled(long) = why else { panic!("{why:?}") };
    assert!((SECOND..SECOND * 2).contains(&long), "{long:?}");
}

#[tokio::test]
async fn the_end_of_a_connection() {
    assert_eq!(lose(Fault::Close, SECOND).await, Cause::Closed);
    assert!(matches!(lose(Fault::Reset, SECOND).await, Cause::Cut { .. }));
}

#[tokio::test]
async fn broken_pictures_only() {
    assert_eq!(lose(Fault::CutShort, SECOND * 2).await, Cause::Broken { what: Flaw::Short.to_string() });
}

#[tokio::test]
async fn a_picture_of_a_gigabyte() {
    assert_eq!(lose(Fault::Huge, SECOND * 2).await, Cause::Broken { what: Flaw::TooBig.to_string() });
}

#[tokio::test]
async fn a_part_of_endless_headers() {
    assert_eq!(lose(Fault::EndlessPartHeaders, SECOND * 2).await, Cause::Broken { what: Flaw::NoPicture.to_string() });
}

#[tokio::test]
async fn a_camera_that_is_off() {
    let mut watched = Watched::start(&[]);
    watched.frames(12).await;
    watched.camera.set(&[Fault::Refuse]);
    let first = watched.lost().await.1;
    assert!(matches!(first, Cause::Closed | Cause::Cut { .. }), "{first:?}");
    assert_eq!(watched.lost().await.1, Cause::Refused);
    sleep(Duration::from_millis(500)).await;
    watched.camera.set(&[]);
    assert!(matches!(watched.next().await, Happening::Online(_)), "told of once");
}

/// As when a browser watches it: an ESP32 accepts and is silent.
#[tokio::test]
async fn a_camera_that_serves_another() {
    let mut watched = Watched::impatient(&[Fault::Silent]);
    assert_eq!(watched.lost().await.1, Cause::Silent);
    sleep(Duration::from_millis(2500)).await;
    watched.camera.set(&[]);
    assert!(matches!(watched.next().await, Happening::Online(_)), "told of once");
    assert_eq!(watched.camera.log().overlaps, 0);
}

/// It streams into the closed connection until a write fails, and serves nobody else before.
#[tokio::test]
async fn a_camera_that_does_not_notice() {
    let mut watched = Watched::impatient(&[Fault::Deaf]);
    watched.frames(12).await;
    watched.camera.set(&[Fault::Deaf, Fault::CutShort]);
    let (_, why, told) = watched.lost().await;
    watched.camera.set(&[Fault::Deaf]);
    assert!(matches!(why, Cause::Broken { .. }));
    watched.frames(1).await;
    let log = watched.camera.log();
    assert_eq!((log.overlaps, log.connections.len()), (0, 2));
    let closing = log.connections[1] - told;
    assert!(closing >= Duration::from_millis(300), "the end is waited for: {closing:?}");
}

#[tokio::test]
async fn answers_that_are_no_stream() {
    let elsewhere = NoStream::Elsewhere { status: 302, to: "/elsewhere".to_owned() };
    for (fault, why) in [
        (Fault::Html, NoStream::Page),
        (Fault::Single, NoStream::Snapshot),
        (Fault::Status(401), NoStream::Password(401)),
        (Fault::Status(404), NoStream::NotFound(404)),
        (Fault::Status(302), elsewhere),
        (Fault::Status(503), NoStream::Status(503)),
        (Fault::EndlessHeaders, NoStream::EndlessHeaders),
    ] {
        let mut watched = Watched::start(&[fault]);
        assert_eq!(watched.lost().await.1, Cause::NoStream(why), "{fault}");
    }
}

#[tokio::test]
async fn a_slow_camera_is_no_stalled_one() {
    let mut watched =
        Watched::with(&[Fault::Fps(2.5)], |config| Config { stall: Duration::from_millis(300), ..config });
    assert_eq!(numbers(&watched.frames(8).await), (0..8).collect::<Vec<_>>());
}

#[tokio::test]
async fn another_size() {
    let mut watched = Watched::start(&[]);
    let mut frames = watched.frames(3).await;
    watched.camera.set(&[Fault::Small]);
    while frames[frames.len() - 1].size == VGA {
        frames.extend(watched.frames(1).await);
    }
    let change = frames.len() - 1;
    assert_eq!(frames[change].size, Size { width: 320, height: 240 });
    assert_eq!(number(&frames[change]) - number(&frames[change - 1]), 2, "the first is not believed");
}

#[tokio::test]
async fn moving_and_frozen_pictures() {
    let mut watched =
        Watched::with(&[Fault::Fps(30.0)], |config| Config { frozen: Duration::from_millis(500), ..config });
    let frames = watched.frames(75).await;
    let moved = |frame: &mjpeg::Frame| frame.look.motion_percent.unwrap();
    assert!(
        frames[60..].iter().all(|frame| (0.5..10.0).contains(&moved(frame))),
        "{:?}",
        frames[60..].iter().map(moved).collect::<Vec<_>>()
    );
    assert!(frames.iter().all(|frame| frame.look.frozen.is_none()));
    watched.camera.set(&[Fault::Fps(30.0), Fault::Frozen]);
    let frames = watched.frames(30).await;
    assert!(frames[29].look.frozen.is_some_and(|long| long > Duration::from_millis(500)), "{:?}", frames[29].look);
    watched.camera.set(&[Fault::Fps(30.0)]);
    assert_eq!(watched.frames(5).await[4].look.frozen, None);
}

#[tokio::test]
async fn a_camera_that_stays_frozen_is_asked_anew_at_growing_pauses() {
    let (frozen, thaw) = (Duration::from_millis(300), Duration::from_secs(1));
    let mut watched = Watched::with(&[Fault::Frozen], |config| Config { frozen, thaw, ..config });
    let mut spans = Vec::new();
    for _ in 0..3 {
        let (frames, why, _) = watched.lost().await;
        let Cause::Frozen(span) = why else { panic!("{why:?}") };
        assert!(
            frames.iter().any(|frame| frame.look.frozen == Some(span)) && why.to_string().contains("is asked anew"),
            "{why}"
        );
        spans.push(span);
    }
    assert!(spans[0] >= thaw && spans[1] >= spans[0] * 2 && spans[2] >= spans[1] * 2, "{spans:?}");
    watched.camera.set(&[]);
    let mut moving = 0;
    while moving < 10 {
        match watched.next().await {
            Happening::Frame(frame) => moving = if frame.look.frozen.is_none() { moving + 1 } else { 0 },
            Happening::Online(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(watched.camera.log().overlaps, 0);
}

#[tokio::test]
async fn whoever_stops_listening_ends_the_connection() {
    let mut watched = Watched::start(&[]);
    watched.frames(3).await;
    drop(watched.happenings);
    timeout(SECOND, watched.source).await.expect("it ends").unwrap();
    sleep(Duration::from_millis(300)).await;
    let before = watched.camera.log();
    sleep(Duration::from_millis(300)).await;
    let after = watched.camera.log();
    assert_eq!((before.sent.len(), after.connections.len()), (after.sent.len(), 1));
}

#[tokio::test]
async fn a_name_that_is_none() {
    let (teller, mut happenings) = mjpeg::channel(1);
    let source = tokio::spawn(mjpeg::run(Config::new("http://no-such-camera.invalid/".parse().unwrap()), teller));
    let told = timeout(Duration::from_secs(10), happenings.next()).await.unwrap();
    let Some(Happening::Lost { why }) = told else { panic!("{told:?}") };
    assert!(matches!(why.word(), "unknown-name" | "unreachable"), "{why}");
    source.abort();
}
