//! Starts and stops cameras: performs what [`super::plan`] decides, and says what came of it.

use super::plan::{self, Needed, Seen, Step};
use super::{Aim, Cameras, view};
use crate::drive::{self, DriveFlags, How, Verb};
use crate::words::say;
use runner::envfile;
use runner::exit::Failure;
use segments::{Status, places};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at what the recorder says.
const LOOK: Duration = Duration::from_millis(100);
/// A camera that is turned to answers within this time, or not so soon.
const ANSWER: Duration = Duration::from_secs(5);

/// Does these one after the other.
///
/// # Errors
/// One of them cannot be done, or was not in time; the text names the remedy.
pub async fn run(cameras: &Cameras, verbs: &[Verb], aim: &Aim) -> Result<(), Failure> {
    let end = Instant::now() + aim.deadline;
    let targets = aim.names.iter().map(|word| cameras.target(word)).collect::<Result<Vec<_>, _>>()?;
    // What is said once and for all needs no word about how it is until then.
    let for_good = verbs.len() > 1;
    for &verb in verbs {
        let seen = Seen { cameras: &cameras.names, runs: cameras.status()?.is_some() };
        let steps = plan::plan(verb, &targets, seen).map_err(Failure::Permanent)?;
        for step in &steps {
            perform(cameras, step, Manner { runs: seen.runs, for_good, end }).await?;
        }
        if verb == Verb::Stop && !for_good {
            steps.iter().for_each(tell_how_long);
        }
    }
    Ok(())
}

/// How a step is done.
#[derive(Clone, Copy)]
struct Manner {
    /// The recorder runs.
    runs: bool,
    /// For now and for later.
    for_good: bool,
    end: Instant,
}

async fn perform(cameras: &Cameras, step: &Step, manner: Manner) -> Result<(), Failure> {
    let end = manner.end;
    match step {
        Step::Switch(names, on) => names.iter().try_for_each(|name| switch(cameras, name, *on)),
        Step::Await(names, on) => taken_over(cameras, names, *on, end).await,
        Step::Keep(names, on) => names.iter().try_for_each(|name| keep(cameras, name, *on, manner)),
        Step::Drive(verb, service, needed) => {
            let deadline = end.saturating_duration_since(Instant::now());
            let how = How { place: cameras.place.clone(), deadline, if_present: *needed == Needed::No };
            drive::run(*verb, &DriveFlags { names: vec![(*service).into()], how }).await
        }
    }
}

/// A switch is only needed where the settings say something else.
fn switch(cameras: &Cameras, name: &str, on: bool) -> Result<(), Failure> {
    let to = Some(on).filter(|_| cameras.told(name).map(|told| told.record).ok() != Some(on));
    cameras.places.switch(name, to).map_err(|why| unwritten(&cameras.places.switch_dir, &why))?;
    Ok(())
}

fn tell_how_long(step: &Step) {
    if let Step::Switch(names, false) = step {
        let names = names.join(" ");
        say(&format!("{names}: not recorded until `pistop cam start {names}`, or until this machine starts again"));
    }
}

/// What is recorded now stays so.
fn keep(cameras: &Cameras, name: &str, on: bool, Manner { runs, for_good, .. }: Manner) -> Result<(), Failure> {
    let now = cameras.places.switched(name).map_or_else(|| cameras.told(name).map(|told| told.record), Ok)?;
    let set = |to| cameras.places.switch(name, to).map_err(|why| unwritten(&cameras.places.switch_dir, &why));
    if runs {
        set(Some(now))?;
    }
    let file = cameras.places.defaults(name);
    envfile::set(&file, &places::RECORD.variable(), if on { "yes" } else { "no" })?;
    if now == on {
        set(None)?;
    }
    say(&format!("Updated {} -> {}={}", file.display(), places::RECORD.variable(), if on { "yes" } else { "no" }));
    if runs && now != on && !for_good {
        let (so, verb) = if now { ("goes on being recorded", "stop") } else { ("is not recorded yet", "start") };
        say(&format!("{name}: {so} until this machine starts again; `pistop cam {verb} {name}` changes that now"));
    }
    Ok(())
}

fn unwritten(place: &Path, why: &io::Error) -> Failure {
    Failure::Permanent(format!("{}: {why}; become root", place.display()))
}

async fn taken_over(cameras: &Cameras, names: &[String], on: bool, end: Instant) -> Result<(), Failure> {
    let turned = |status: &Status, name: &String| status.camera(name).is_none_or(|camera| camera.recorded == on);
    let status = until(cameras, end, |status| names.iter().all(|name| turned(status, name))).await?;
    if let Some(name) = names.iter().find(|name| status.camera(name).is_none()) {
        return Err(Failure::Permanent(format!(
            "{name}: the recorder does not know it; see `camera check`, and then `pistop cam restart camera`"
        )));
    }
    let answered = |status: &Status, name: &String| status.camera(name).is_some_and(|camera| camera.online || !on);
    let soon = end.min(Instant::now() + ANSWER);
    let status = match until(cameras, soon, |status| names.iter().all(|name| answered(status, name))).await {
        Ok(status) => status,
        Err(_) => cameras.running()?,
    };
    for camera in names.iter().filter_map(|name| status.camera(name)) {
        say(&if on { view::sentence(camera) } else { format!("{}: its last segment is closed", camera.camera) });
    }
    Ok(())
}

/// What the recorder says, as soon as it is so.
///
/// # Errors
/// It is not so in time, or no recorder runs.
pub async fn until(cameras: &Cameras, end: Instant, is_so: impl Fn(&Status) -> bool) -> Result<Status, Failure> {
    loop {
        let status = cameras.status()?;
        if let Some(status) = status.as_ref().filter(|status| is_so(status)) {
            return Ok(status.clone());
        }
        if Instant::now() >= end {
            return Err(Failure::Temporary(match status {
                Some(_) => "the recorder has not taken it over in time; `pistop cam logs all` may say why".into(),
                None => cameras.does_not_run(),
            }));
        }
        sleep(LOOK).await;
    }
}
