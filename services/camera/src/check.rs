//! `camera check`: what would be recorded and how, what each camera answers, and everything that stands in the way, with the remedy.
//! Nothing is changed. A camera that is being recorded is not asked: an ESP32 serves one.

use crate::config::{self, Camera, Config, Options};
use crate::pipeline::{self, encoder};
use mjpeg::{Happening, Happenings};
use nix::time::{ClockId, clock_gettime};
use runner::check::{Findings, usual};
use runner::exit::Failure;
use segments::Status;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// A camera that does not answer within this time does not answer.
const PATIENCE: Duration = Duration::from_secs(6);
/// From its first picture on its pictures are counted for so long.
const COUNTED: Duration = Duration::from_secs(2);

/// Says it on standard output.
///
/// # Errors
/// Something stands in the way.
pub async fn run(options: &Options) -> Result<(), Failure> {
    let config = usual("camera", options.config.as_ref(), options.variables.as_ref());
    let config = Config::load(&Options { config, ..options.clone() })?;
    pipeline::init()?;
    let (_, why) = encoder::choose(config.encoder);
    let mut found = Findings::default();
    found.plan.extend([why, format!("recordings are kept in {}", config.ram_dir.display())]);
    found.plan.extend(config.cameras.iter().map(plan));
    found.plan.extend(config::shared_streams(&config.cameras));
    found.problems.extend(config.unusable.iter().map(|(name, bad)| format!("{name}: is not recorded: {bad}")));
    for answer in answers(&config).await {
        match answer {
            Ok(line) => found.plan.push(line),
            Err(problem) => found.problems.push(problem),
        }
    }
    found.tell()
}

fn plan(camera: &Camera) -> String {
    let recording = &camera.recording;
    format!(
        "{}: {} at {} pictures a second at most and {} kbit/s, in segments of {} s{}",
        camera.name,
        camera.url,
        recording.fps,
        recording.bitrate,
        recording.segment.as_secs_f64(),
        if recording.on { "" } else { ", but RECORD or its switch says no" }
    )
}

/// What each camera says when it is asked, all of them at the same time, in their order.
async fn answers(config: &Config) -> Vec<Result<String, String>> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or_default();
    let recorder = Status::read(&config.ram_dir, now).ok().flatten();
    let mut asked = JoinSet::new();
    for (place, camera) in config.cameras.iter().cloned().enumerate() {
        let recorded = recorder.as_ref().and_then(|status| status.camera(&camera.name)).cloned();
        asked.spawn(async move {
            match recorded {
                Some(status) if status.online => (place, Ok(format!("{}: is being recorded", camera.name))),
                Some(status) if status.recorded => (place, Err(format!("{}: {}", camera.name, status.why))),
                _ => (place, ask(&camera).await),
            }
        });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(place, _)| *place);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Its connection ends when nobody listens any more, which is waited for: the next client would be refused.
async fn ask(camera: &Camera) -> Result<String, String> {
    let (teller, happenings) = mjpeg::channel(4);
    let config = mjpeg::Config::new(camera.url.clone());
    let close = config.close;
    let source = tokio::spawn(mjpeg::run(config, teller));
    let answer = timeout(PATIENCE, first(happenings)).await;
    let _ = timeout(2 * close, source).await;
    match answer.unwrap_or_else(|_| Err("does not answer in time; is it switched on, and is URL right?".into())) {
        Ok(answer) => Ok(format!("{}: {answer}", camera.name)),
        Err(why) => Err(format!("{}: {why}", camera.name)),
    }
}

async fn first(mut happenings: Happenings) -> Result<String, String> {
    let size = loop {
        match happenings.next().await {
            Some(Happening::Online(size)) => break size,
            Some(Happening::Lost { why }) => return Err(why.to_string()),
            Some(Happening::Frame(_)) => {}
            None => return Err("was not asked".into()),
        }
    };
    let (until, mut count) = (Instant::now() + COUNTED, 0);
    while let Ok(Some(happening)) = timeout_at(until, happenings.next()).await {
        match happening {
            Happening::Frame(_) => count += 1,
            Happening::Lost { why } => return Err(why.to_string()),
            Happening::Online(_) => {}
        }
    }
    Ok(format!("answers with pictures of {size}, {:.1} a second", f64::from(count) / COUNTED.as_secs_f64()))
}
