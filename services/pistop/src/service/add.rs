//! `pistop service add`: looks at the place, makes the plan, tells it or does it.

use super::content::{Content, Found, Kind};
use super::decide::{Files, Known, Written};
use super::flags::AddFlags;
use super::manifest::Manifest;
use super::place::{self, Supervisor};
use super::plan::{LogFolder, Order, Plan, Wish};
use super::{alone_in, perform, refused};
use crate::drive::systemd::{Systemd, Unit};
use nix::unistd::{Uid, User};
use runner::exit::Failure;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a mere hint waits for systemd.
const ANSWER: Duration = Duration::from_secs(5);
/// Where logs are kept, by tradition.
const LOGS: &str = "/var/log/svc";
/// Users that various set-ups of daemontools have for multilog. Debian's own has none, then it is root.
const LOG_USERS: [&str; 3] = ["daemonlog", "multilog", "qmaill"];

/// Adds the service, or brings it up to date.
pub async fn run(flags: &AddFlags) -> Result<(), Failure> {
    let directory = flags.place.directory();
    let scanned = place::is_scanned(&directory);
    let wish = wish(flags, place::choose(flags.supervisor, scanned, place::systemd_runs()))?;
    let _alone = if flags.dry_run { None } else { Some(alone_in(&directory)?) };
    let plan = look(&wish)?;
    let goes_on = !plan.fresh || runs_already(&plan).await;
    if flags.dry_run {
        plan.lines().iter().for_each(|line| println!("would {line}"));
        conclude(&plan, scanned, goes_on).await;
        return Ok(());
    }
    let systemd = match plan.orders.is_empty() {
        true => None,
        false => Some(Systemd::here(flags.deadline).await?.ok_or_else(no_systemd)?),
    };
    perform::files(&plan)?;
    if let Some(systemd) = &systemd {
        perform::orders(&plan, systemd).await?;
    }
    conclude(&plan, scanned, goes_on).await;
    Ok(())
}

fn no_systemd() -> Failure {
    Failure::Permanent("systemd does not run on this machine; give --supervisor daemontools".into())
}

fn wish(flags: &AddFlags, supervisor: Supervisor) -> Result<Wish, Failure> {
    let template = flags.from.templates().read(&flags.name)?;
    let logs = flags.logdir.clone().unwrap_or_else(|| LOGS.into()).join(&flags.name);
    let logs = std::path::absolute(&logs).unwrap_or(logs);
    let text = logs.to_str().map(String::from);
    let text = text.ok_or_else(|| Failure::Permanent("--logdir: write a path in UTF-8".into()))?;
    Ok(Wish {
        service: flags.place.directory().join(&flags.name),
        supervisor,
        logs: Written { content: Content { text, kind: Kind::Link }, by_flag: flags.logdir.is_some() },
        unit: flags.unitdir.join(format!("{}.service", flags.name)),
        flags: flags.settings.files()?,
        template,
    })
}

/// Reads what is there and decides.
fn look(wish: &Wish) -> Result<Plan, Failure> {
    let before = Manifest::read(&wish.service)?;
    let fresh = wish.service.symlink_metadata().is_err();
    one_supervisor(wish, before.as_ref())?;
    let files = wish.files()?;
    let known = before.iter().flat_map(|before| before.files.keys()).chain(files.keys()).map(String::as_str);
    let paths: Vec<String> = known.chain(Known::asides()).map(String::from).collect();
    let found = found(&wish.service, paths)?;
    let mut plan = Plan::make(wish, files, before, found, fresh);
    plan.logs = plan.log_folder().filter(|path| !path.is_dir()).map(|path| LogFolder { path, owner: log_user() });
    Ok(plan)
}

fn found(service: &Path, paths: Vec<String>) -> Result<Files<Found>, Failure> {
    let look = |path: String| {
        let whole = service.join(&path);
        let found = Found::at(&whole).map_err(|why| refused(&whole, &why))?;
        Ok(found.map(|found| (path, found)))
    };
    paths.into_iter().filter_map(|path| look(path).transpose()).collect()
}

/// A service that both ran would run twice.
fn one_supervisor(wish: &Wish, before: Option<&Manifest>) -> Result<(), Failure> {
    let runs = wish.service.join("run").symlink_metadata().is_ok();
    let now = match before {
        Some(before) => before.supervisor,
        None if runs => Supervisor::Daemontools,
        None => return Ok(()),
    };
    if now == wish.supervisor {
        return Ok(());
    }
    let (name, place) = (&wish.template.name, wish.service.display());
    let remedy = format!("give --supervisor {now}, or take it away first by `pistop service del {name}`");
    Err(Failure::Permanent(format!("{name} is already a service of {now}, in {place}; {remedy}")))
}

fn log_user() -> Option<String> {
    let known = |name: &&str| User::from_name(name).is_ok_and(|user| user.is_some());
    LOG_USERS.into_iter().find(known).filter(|_| Uid::effective().is_root()).map(String::from)
}

/// What people should know beyond the plan.
async fn conclude(plan: &Plan, scanned: bool, goes_on: bool) {
    let place = plan.service.display();
    let folder = plan.service.parent().map(PathBuf::from).unwrap_or_default();
    match plan.manifest.supervisor {
        _ if plan.is_nothing() => println!("{place} is unchanged"),
        Supervisor::Daemontools if !scanned => {
            println!("no svscan watches {}; the service starts when one does", folder.display());
        }
        _ if goes_on => println!("what runs goes on as it is until `pistop restart {}`", plan.name()),
        _ => {}
    }
    if plan.manifest.supervisor == Supervisor::Daemontools && has_rival(&plan.unit).await {
        let unit = &plan.unit;
        println!(
            "systemd runs {unit} as well, so there would be two: `pistop disable {unit}` and `pistop stop {unit}`"
        );
    }
}

/// A package may have brought a unit of that name, and systemd may have started it: to start it changes nothing then.
async fn runs_already(plan: &Plan) -> bool {
    plan.orders.contains(&Order::Start) && seen(&plan.unit).await.is_some_and(|seen| seen.is_up())
}

/// The same, where daemontools shall run it.
async fn has_rival(unit: &str) -> bool {
    seen(unit).await.is_some_and(|seen| seen.is_up() || seen.is_enabled())
}

async fn seen(unit: &str) -> Option<Unit> {
    Systemd::here(ANSWER).await.ok()??.unit(unit).await.ok()?
}
