//! `pistop start|stop|restart|enable|disable|status|logs NAME`: drives a service by the files of daemontools, or by the
//! D-Bus of systemd, whichever runs it. Everything ends within its deadline, whoever hangs.
//!
//! | module | what it does |
//! |---|---|
//! | [`name`] | which service a name means |
//! | [`daemontools`] | supervise and the file `down` |
//! | [`systemd`] | systemd's manager over D-Bus |
//! | [`state`] | how a service is, as svstat says it, and as JSON |

pub mod daemontools;
pub mod name;
pub mod state;
pub mod systemd;

use crate::service::flags::Where;
use clap::Args;
use name::{Directory, UnitName};
use runner::exit::Failure;
use serde_json::json;
use state::State;
use std::future::Future;
use std::time::Duration;
use systemd::Systemd;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it, and wait until it runs.
    Start,
    /// Stop it, and wait until it is down.
    Stop,
    /// End it and start it again, so that it knows that it returns.
    Restart,
    /// Start it by itself when the machine comes up.
    Enable,
    /// Leave it down when the machine comes up.
    Disable,
}

impl Verb {
    /// What was not done if it failed.
    pub fn past(self) -> &'static str {
        match self {
            Verb::Start => "started",
            Verb::Stop => "stopped",
            Verb::Restart => "restarted",
            Verb::Enable => "enabled",
            Verb::Disable => "disabled",
        }
    }
}

/// The flags of all these verbs.
#[derive(Debug, Clone, Args)]
pub struct DriveFlags {
    /// The services: names in the service directory, or units of systemd, as in mpd or mpd.socket
    #[arg(required = true, value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub how: How,
}

/// Where to look and how long to wait.
#[derive(Debug, Clone, Args)]
pub struct How {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub place: Where,
    /// Seconds to wait for all of them together
    #[arg(long, value_name = "S", value_parser = crate::config::seconds, default_value = "60")]
    pub deadline: Duration,
    /// What exists nowhere is no failure
    #[arg(long)]
    pub if_present: bool,
}

/// One service, found.
#[derive(Debug)]
pub enum Service {
    /// In a service directory.
    Daemontools(Directory),
    /// A unit, with what systemd says of it.
    Systemd(Box<Systemd>, UnitName, systemd::Unit),
}

/// Does it to each of them; the first failure is told at the end, and the others are done nevertheless.
pub async fn run(verb: Verb, flags: &DriveFlags) -> Result<(), Failure> {
    let end = tokio::time::Instant::now() + flags.how.deadline;
    let mut result = Ok(());
    for name in &flags.names {
        let left = end.saturating_duration_since(tokio::time::Instant::now());
        let done = within(left, || format!("{name} was not {}", verb.past()), one(verb, name, &flags.how, left)).await;
        result = first(result, done);
    }
    result
}

/// The first failure is the one that the exit code tells; later ones are told here.
fn first(result: Result<(), Failure>, next: Result<(), Failure>) -> Result<(), Failure> {
    match (result, next) {
        (Err(first), Err(next)) => {
            eprintln!("pistop: {next}");
            Err(first)
        }
        (result, next) => result.and(next),
    }
}

/// An answer within a span, or a failure that may pass.
pub async fn within<T>(
    span: Duration,
    what: impl FnOnce() -> String,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(span, answer).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Temporary(format!("no answer in {:.0} s: {}", span.as_secs_f64(), what()))),
    }
}

async fn one(verb: Verb, name: &str, how: &How, left: Duration) -> Result<(), Failure> {
    let Some(service) = find(name, how, left).await? else { return absent(name, how.if_present) };
    match &service {
        Service::Daemontools(directory) => daemontools::run(verb, directory, left).await?,
        Service::Systemd(systemd, unit, seen) => systemd.run(verb, unit, seen, how.if_present).await?,
    }
    if let Some(after) = find(name, how, left).await? {
        println!("{}", state(&after)?.line());
    }
    Ok(())
}

/// A name in the service directory goes before a unit.
async fn find(name: &str, how: &How, left: Duration) -> Result<Option<Service>, Failure> {
    if let Some(directory) = Directory::find(&how.place.directory(), name)? {
        return Ok(Some(Service::Daemontools(directory)));
    }
    let unit = UnitName::of(name)?;
    let Some(systemd) = Systemd::here(left).await? else { return Ok(None) };
    let seen = systemd.unit(&unit.0).await?;
    Ok(seen.map(|seen| Service::Systemd(Box::new(systemd), unit, seen)))
}

fn absent(name: &str, fine: bool) -> Result<(), Failure> {
    let sentence = format!("{name}: there is no such service here");
    if fine {
        println!("{sentence}");
        return Ok(());
    }
    Err(Failure::Permanent(format!("{sentence}; `pistop service list` shows what there is")))
}

fn state(service: &Service) -> Result<State, Failure> {
    match service {
        Service::Daemontools(directory) => State::of_directory(directory),
        Service::Systemd(_, name, unit) => Ok(State::of_unit(&name.0, unit)),
    }
}

/// How each of them is, one line or one JSON object each.
pub async fn status(flags: &DriveFlags, as_json: bool) -> Result<(), Failure> {
    let (mut result, mut all) = (Ok(()), Vec::new());
    for name in &flags.names {
        let left = flags.how.deadline;
        let found = within(left, || format!("{name} could not be looked at"), find(name, &flags.how, left)).await;
        match found.and_then(|found| found.as_ref().map(state).transpose()) {
            Ok(Some(state)) if as_json => all.push(state.json()),
            Ok(Some(state)) => println!("{}", state.line()),
            Ok(None) => result = first(result, absent(name, flags.how.if_present)),
            Err(why) => result = first(result, Err(why)),
        }
    }
    if as_json {
        println!("{}", json!(all));
    }
    result
}

/// Which service a name means, for `logs`.
pub async fn which(name: &str, place: &Where, left: Duration) -> Result<Service, Failure> {
    let how = How { place: place.clone(), deadline: left, if_present: false };
    let found = within(left, || format!("{name} could not be looked at"), find(name, &how, left)).await?;
    found.ok_or_else(|| absent(name, false).expect_err("absence is a failure unless it is fine"))
}
