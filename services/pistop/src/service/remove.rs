//! `pistop service del`: stops a service, saves what somebody had edited in it, and takes it away. Its logs stay.
//!
//! The directory first gets a name with a dot, so that svscan does not start again what is being stopped; if that takes
//! too long, the next `del` goes on from there. Nothing is removed before it is down, and before edits are saved.

use super::content::Found;
use super::flags::DelFlags;
use super::manifest::{self, Manifest};
use super::perform::beside;
use super::place::{self, Supervisor};
use super::template::is_name;
use super::{alone_in, refused};
use crate::drive::systemd::Systemd;
use crate::local_time::Zone;
use runner::clock;
use runner::exit::Failure;
use runner::supervise::{Order, Supervise};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks whether supervise has ended.
const LOOK: Duration = Duration::from_millis(25);

/// What is to be done.
#[derive(Debug)]
pub struct Removal {
    name: String,
    service: PathBuf,
    /// The name with a dot.
    aside: PathBuf,
    /// It has that name already, from an earlier `del`.
    resumed: bool,
    /// The service directory is a link; what it leads to is not ours to remove.
    link: Option<PathBuf>,
    supervisor: Supervisor,
    /// Edited or added files by their path inside.
    saved: Vec<PathBuf>,
    /// Where they are saved.
    keep: PathBuf,
    /// Units that we wrote, and whether somebody edited them.
    units: Vec<(PathBuf, bool)>,
}

/// Takes it away.
pub async fn run(flags: &DelFlags) -> Result<(), Failure> {
    let directory = flags.place.directory();
    // Before the plan: what is planned while another one removes may by then be a new service of the same name.
    let _alone = if flags.dry_run || !directory.is_dir() { None } else { Some(alone_in(&directory)?) };
    let removal = plan(&directory, flags)?;
    if flags.dry_run {
        removal.lines().iter().for_each(|line| println!("would {line}"));
        return Ok(());
    }
    removal.stop(&directory, flags.deadline).await?;
    removal.save()?;
    removal.remove()?;
    if removal.supervisor == Supervisor::Systemd
        && let Some(systemd) = Systemd::here(flags.deadline).await?
    {
        systemd.reload().await?;
    }
    removal.lines().iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn plan(directory: &Path, flags: &DelFlags) -> Result<Removal, Failure> {
    let name = &flags.name;
    let service = directory.join(name);
    let aside = beside(&service, "del");
    let there = |path: &Path| path.symlink_metadata().is_ok();
    let resumed = !there(&service) && there(&aside);
    if !is_name(name) || !(resumed || there(&service)) {
        let why =
            format!("there is no service {name} in {}; `pistop service list` shows what there is", directory.display());
        return Err(Failure::Permanent(why));
    }
    if there(&service) && there(&aside) {
        let why = format!("{} is left over from an earlier time; look at it and remove it first", aside.display());
        return Err(Failure::Permanent(why));
    }
    let now = if resumed { &aside } else { &service };
    let manifest = Manifest::read(now)?;
    let link = fs::read_link(now).ok();
    let saved =
        if link.is_some() { Vec::new() } else { edited(now, manifest.as_ref()).map_err(|why| refused(now, &why))? };
    let units = manifest.iter().flat_map(Manifest::units).filter(|unit| there(unit));
    let was_edited = |unit: &PathBuf| {
        let ours = manifest.as_ref().and_then(|manifest| manifest.files.get(&*unit.to_string_lossy()));
        !matches!((Found::at(unit), ours), (Ok(Some(found)), Some(ours)) if found.is(&ours.content))
    };
    let units = units.map(|unit| (unit.clone(), was_edited(&unit))).collect();
    let supervisor = manifest.as_ref().map_or(Supervisor::Daemontools, |manifest| manifest.supervisor);
    let keep = flags.keepdir.join(format!("{name}-{}", Zone::local().compact(clock::unix_now())));
    Ok(Removal { name: name.clone(), service, aside, resumed, link, supervisor, saved, keep, units })
}

/// The files that are not as we wrote them.
fn edited(service: &Path, manifest: Option<&Manifest>) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    walk(service, Path::new(""), &mut files)?;
    let ours = |path: &Path| manifest.and_then(|manifest| manifest.files.get(path.to_str()?));
    let as_written = |path: &Path, found: &Found| ours(path).is_some_and(|ours| found.is(&ours.content));
    let known = [manifest::NAME, super::plan::LOG].map(Path::new);
    files.retain(|(path, found)| !known.contains(&path.as_path()) && !as_written(path, found));
    let mut edited: Vec<PathBuf> = files.into_iter().map(|(path, _)| path).collect();
    edited.sort();
    Ok(edited)
}

/// Every file and link, but for what supervise keeps.
fn walk(folder: &Path, inside: &Path, files: &mut Vec<(PathBuf, Found)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = inside.join(entry.file_name());
        match Found::at(&entry.path())? {
            _ if entry.file_name() == "supervise" => {}
            Some(Found::Other) if entry.file_type()?.is_dir() => walk(&entry.path(), &path, files)?,
            Some(found) => files.push((path, found)),
            None => {}
        }
    }
    Ok(())
}

impl Removal {
    /// Each step in one line.
    fn lines(&self) -> Vec<String> {
        let stop = match self.supervisor {
            Supervisor::Daemontools => format!("stop {} and its log", self.name),
            Supervisor::Systemd => format!("stop and disable {}.service", self.name),
        };
        let edited = self.units.iter().filter(|(_, edited)| *edited).map(|(unit, _)| unit);
        let keep = self.keep.display();
        let saved = self.saved.iter().chain(edited);
        let saved = saved.map(|path| format!("save {}, which pistop did not write so, in {keep}", path.display()));
        let units = self.units.iter().map(|(unit, _)| format!("remove {}", unit.display()));
        let last = match &self.link {
            Some(target) => format!("remove the link {}; {} stays as it is", self.service.display(), target.display()),
            None => format!("remove {}", self.service.display()),
        };
        std::iter::once(stop).chain(saved).chain(units).chain([last]).collect()
    }

    async fn stop(&self, directory: &Path, deadline: Duration) -> Result<(), Failure> {
        match self.supervisor {
            Supervisor::Daemontools => self.stop_supervise(directory, deadline).await,
            Supervisor::Systemd => self.stop_unit(deadline).await,
        }
    }

    /// The service first: its last words still go to the log.
    async fn stop_supervise(&self, directory: &Path, deadline: Duration) -> Result<(), Failure> {
        let end = Instant::now() + deadline;
        let moved = |part: &str| place::supervise(directory, &self.name, part);
        let elsewhere = [moved(""), moved("log")]
            .map(|supervise| (!supervise.path().starts_with(&self.service)).then_some(supervise));
        if !self.resumed {
            fs::rename(&self.service, &self.aside).map_err(|why| refused(&self.aside, &why))?;
        }
        let usual = [self.aside.clone(), self.aside.join("log")].map(|service| Supervise::of(&service));
        for (supervise, elsewhere) in usual.into_iter().zip(elsewhere) {
            self.end(&elsewhere.unwrap_or(supervise), end).await?;
        }
        Ok(())
    }

    async fn end(&self, supervise: &Supervise, end: Instant) -> Result<(), Failure> {
        let refused = |why: io::Error| refused(supervise.path(), &why);
        supervise.tell(&[Order::Down, Order::Exit]).map_err(refused)?;
        while supervise.runs().map_err(refused)? {
            if Instant::now() >= end {
                let pid = supervise.status().ok().and_then(|status| status.pid);
                let who = pid.map_or_else(|| "supervise itself".into(), |pid| format!("process {pid}"));
                let rest = format!("it is now in {}; nothing was removed", self.aside.display());
                return Err(Failure::Temporary(format!("{} does not end ({who}); {rest}; try again", self.name)));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn stop_unit(&self, deadline: Duration) -> Result<(), Failure> {
        let unit = format!("{}.service", self.name);
        let Some(systemd) = Systemd::here(deadline).await? else { return Ok(()) };
        let Some(seen) = systemd.unit(&unit).await? else { return Ok(()) };
        if seen.is_up() || seen.wants_up() {
            systemd.stop(&unit).await?;
        }
        systemd.disable(&unit).await
    }

    /// Where the service is by now.
    fn place(&self) -> &Path {
        if self.aside.symlink_metadata().is_ok() { &self.aside } else { &self.service }
    }

    fn save(&self) -> Result<(), Failure> {
        for path in &self.saved {
            copy(&self.place().join(path), &self.keep.join(path))?;
        }
        for (unit, _) in self.units.iter().filter(|(_, edited)| *edited) {
            copy(unit, &self.keep.join(unit.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }

    fn remove(&self) -> Result<(), Failure> {
        for (unit, _) in &self.units {
            fs::remove_file(unit).map_err(|why| refused(unit, &why))?;
        }
        let place = self.place();
        let removed = if self.link.is_some() { fs::remove_file(place) } else { fs::remove_dir_all(place) };
        removed.map_err(|why| refused(place, &why))
    }
}

/// A copy with its mode; a FIFO or a socket has nothing to save.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let about = from.symlink_metadata().map_err(|why| refused(from, &why))?;
    let folder = to.parent().unwrap_or(Path::new("/"));
    let done = fs::create_dir_all(folder).and_then(|()| match () {
        () if about.is_symlink() => fs::read_link(from).and_then(|target| symlink(target, to)),
        () if about.is_file() => fs::copy(from, to).map(drop),
        () => Ok(()),
    });
    done.map_err(|why| refused(to, &why))
}
