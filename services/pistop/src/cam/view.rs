//! `pistop cam status`: how the services and the cameras are, and what waits to be uploaded.

use super::target::{RECORDER, UPLOADER};
use super::{Cameras, Look};
use crate::drive::{self, DriveFlags, How};
use crate::local_time::Zone;
use crate::words::{out, size, span};
use runner::exit::Failure;
use segments::{Clock, Held, Label, Status, evict, status};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;

/// So long the services may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What of a camera waits to be uploaded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Queue {
    /// Segments.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are evidence.
    pub marked: usize,
    /// Those that are on their way.
    pub held: usize,
    /// When the first one began that goes last, in milliseconds since 1970.
    pub oldest_unix_ms: Option<u64>,
}

impl Queue {
    /// That of a camera.
    ///
    /// # Errors
    /// Its folder cannot be read.
    pub fn of(cameras: &Cameras, name: &str) -> Result<Queue, Failure> {
        let all = cameras.contents(name)?.closed;
        Ok(Queue {
            segments: all.len(),
            bytes: all.iter().map(|found| found.bytes).sum(),
            marked: all.iter().filter(|found| found.label.marked).count(),
            held: all.iter().filter(|found| Held::is_held(&found.path)).count(),
            oldest_unix_ms: evict::order(&all).iter().map(|found| found.label.start_unix_ms).min(),
        })
    }
}

/// Prints it.
///
/// # Errors
/// No such camera, or something cannot be read.
pub async fn run(cameras: &Cameras, look: &Look) -> Result<(), Failure> {
    let names = cameras.meant(&look.names)?;
    let status = cameras.status()?;
    let queues = names.iter().map(|name| Ok((name, Queue::of(cameras, name)?))).collect::<Result<Vec<_>, Failure>>()?;
    if look.json {
        let all: Vec<_> = queues
            .iter()
            .map(|(name, queue)| {
                json!({"camera": name, "status": status.as_ref().and_then(|status| status.camera(name)), "queue": queue})
            })
            .collect();
        let recorder = status.as_ref().map(|status| Status { cameras: Vec::new(), ..status.clone() });
        return out(&format!("{}\n", json!({"recorder": recorder, "cameras": all})));
    }
    services(cameras).await;
    let zone = Zone::local();
    let lines = queues.iter().flat_map(|(name, queue)| {
        let switch = cameras.places.switched(name);
        about(name, status.as_ref(), switch, queue, &zone)
    });
    out(&(house(cameras, status.as_ref()) + &lines.map(|line| line + "\n").collect::<String>()))
}

/// Whether they run at all, in the words of svstat. Where nobody answers, that is said, and the rest is shown.
async fn services(cameras: &Cameras) {
    let how = How { place: cameras.place.clone(), deadline: ANSWER, if_present: true };
    let names = [RECORDER, UPLOADER].map(String::from).to_vec();
    if let Err(why) = drive::status(&DriveFlags { names, how }, false).await {
        eprintln!("pistop: {why}");
    }
}

/// About the recorder.
pub fn house(cameras: &Cameras, status: Option<&Status>) -> String {
    let Some(status) = status else { return format!("{}\n", cameras.does_not_run()) };
    let clock = match status.clock {
        Clock::Set => "set",
        Clock::Unset => "not set yet, so names are mended later",
    };
    let (used, cap) = (size(status.ram_bytes), size(status.ram_cap));
    format!("recordings in {}: {used} of {cap}; the clock is {clock}\n", cameras.ram_dir.display())
}

/// About one camera: how it is, its last segment, what waits.
pub fn about(name: &str, status: Option<&Status>, switch: Option<bool>, queue: &Queue, zone: &Zone) -> Vec<String> {
    let camera = status.and_then(|status| status.camera(name));
    let first = match (camera, status) {
        (Some(camera), _) if !camera.recorded => unrecorded(camera, switch),
        (Some(camera), _) => sentence(camera),
        (None, Some(_)) => format!("{name}: the recorder does not know it; see `camera check`"),
        (None, None) => format!("{name}: not recorded, no recorder runs"),
    };
    let last = camera
        .and_then(|camera| camera.last_segment.as_ref())
        .map(|label| format!("  last segment: {}", segment(label, zone)));
    std::iter::once(first).chain(last).chain([format!("  {}", waiting(queue, zone))]).collect()
}

/// Who wants it so.
fn unrecorded(camera: &status::Camera, switch: Option<bool>) -> String {
    let (name, since) = (&camera.camera, span(Duration::from_secs(camera.for_sec)));
    match switch {
        Some(false) => format!(
            "{name}: not recorded for {since}: stopped until `pistop cam start {name}`, or until this machine starts again"
        ),
        _ => format!("{name}: not recorded for {since}: RECORD=no; `pistop cam enable {name} --now` changes that"),
    }
}

/// How it is.
pub fn sentence(camera: &status::Camera) -> String {
    let status::Camera { camera: name, why, encoder, bitrate, segment_sec, .. } = camera;
    let since = span(Duration::from_secs(camera.for_sec));
    let how = format!("{bitrate} kbit/s by {encoder} in segments of {segment_sec} s");
    if !camera.online {
        return format!("{name}: offline for {since}: {why}");
    }
    let fps = camera.fps.map_or_else(|| "pictures".into(), |fps| format!("{fps} pictures a second"));
    format!("{name}: online for {since}: {fps}, {how}; {}", lost(camera))
}

fn lost(camera: &status::Camera) -> String {
    let status::Camera { frames, dropped_frames, flawed_frames, .. } = camera;
    format!("{frames} came, {dropped_frames} were left out, {flawed_frames} were broken")
}

/// One segment in a few words.
fn segment(label: &Label, zone: &Zone) -> String {
    let length = label.duration_ms as f64 / 1000.0;
    let evidence = if label.marked { ", evidence" } else { "" };
    let (start, bytes) = (zone.seconds(Duration::from_millis(label.start_unix_ms)), size(label.bytes));
    format!("{start}, {length:.1} s, {bytes}, {} pictures{evidence}", label.frames)
}

fn waiting(queue: &Queue, zone: &Zone) -> String {
    let Some(oldest) = queue.oldest_unix_ms else { return "nothing waits to be uploaded".into() };
    let Queue { segments, marked, held, .. } = queue;
    let oldest = zone.seconds(Duration::from_millis(oldest));
    format!(
        "to be uploaded: {segments} segments, {}, since {oldest}; {marked} evidence, {held} on their way",
        size(queue.bytes)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera() -> status::Camera {
        status::Camera {
            camera: "cam1".into(),
            recorded: true,
            online: true,
            why: String::new(),
            for_sec: 7500,
            encoder: "x264enc".into(),
            frames: 100,
            dropped_frames: 1,
            flawed_frames: 2,
            fps: Some(15.02),
            bitrate: 1000,
            segment_sec: 20.0,
            last_segment: None,
        }
    }

    #[test]
    fn a_camera_is_a_sentence() {
        let online = "cam1: online for 2 h 5 min: 15.02 pictures a second, 1000 kbit/s by x264enc in segments of 20 s; 100 came, 1 were left out, 2 were broken";
        assert_eq!(sentence(&camera()), online);
        let offline = status::Camera { online: false, why: "refuses connections".into(), ..camera() };
        assert_eq!(sentence(&offline), "cam1: offline for 2 h 5 min: refuses connections");
        let off = status::Camera { recorded: false, ..offline };
        assert_eq!(
            unrecorded(&off, None),
            "cam1: not recorded for 2 h 5 min: RECORD=no; `pistop cam enable cam1 --now` changes that"
        );
        assert!(unrecorded(&off, Some(false)).contains("stopped until `pistop cam start cam1`, or until this machine"));
    }

    #[test]
    fn what_waits_is_told_with_its_age() {
        let zone = Zone::utc();
        assert_eq!(waiting(&Queue::default(), &zone), "nothing waits to be uploaded");
        let queue =
            Queue { segments: 3, bytes: 5_242_880, marked: 1, held: 2, oldest_unix_ms: Some(1_795_658_040_123) };
        let told = "to be uploaded: 3 segments, 5.0 MiB, since 2026-11-26 01:54:00; 1 evidence, 2 on their way";
        assert_eq!(waiting(&queue, &zone), told);
        let lines = about("cam1", None, None, &queue, &zone);
        assert_eq!(lines, ["cam1: not recorded, no recorder runs".to_owned(), format!("  {told}")]);
    }
}
