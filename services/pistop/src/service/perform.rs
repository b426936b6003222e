//! Does a plan. A new service directory is made under a name with a dot, which svscan passes over, and appears by one
//! rename; a file of an existing one is replaced by one rename. What was done is told.

use super::content::{Content, Kind};
use super::decide::Change;
use super::manifest;
use super::plan::{LogFolder, Order, Plan};
use super::refused;
use crate::drive::systemd::Systemd;
use nix::unistd::{Uid, User, chown};
use runner::exit::Failure;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Does everything on the disk, and tells it.
///
/// # Errors
/// The disk refused. A new directory is then not there at all.
pub fn files(plan: &Plan) -> Result<(), Failure> {
    if let Some(logs) = &plan.logs {
        log_folder(logs)?;
    }
    if plan.fresh {
        let aside = beside(&plan.service, "new");
        clear(&aside)?;
        let made = inside(plan, &aside).and_then(|()| rename(&aside, &plan.service));
        made.inspect_err(|_| drop(fs::remove_dir_all(&aside)))?;
    } else {
        inside(plan, &plan.service)?;
    }
    plan.changes.iter().filter(|change| change.is_outside()).try_for_each(|change| apply(Path::new("/"), change))?;
    plan.file_lines().iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Tells systemd; then the service counts as begun.
///
/// # Errors
/// systemd is not there, refuses or does not answer; the next `add` tells it again.
pub async fn orders(plan: &Plan, systemd: &Systemd) -> Result<(), Failure> {
    for order in &plan.orders {
        match order {
            Order::Reload => systemd.reload().await?,
            Order::Enable => systemd.enable(&plan.unit).await?,
            Order::Start => systemd.start(&plan.unit).await?,
        }
        println!("{}", order.sentence(&plan.unit));
    }
    note(&manifest::Manifest { begun: true, ..plan.manifest.clone() }, &plan.service)
}

fn inside(plan: &Plan, service: &Path) -> Result<(), Failure> {
    plan.changes.iter().filter(|change| !change.is_outside()).try_for_each(|change| apply(service, change))?;
    guard(&plan.manifest, service)?;
    if plan.note { note(&plan.manifest, service) } else { Ok(()) }
}

/// The manifest repeats what is in the files: where one of them is a secret, it is one too. [`put`] keeps its mode.
fn guard(manifest: &manifest::Manifest, service: &Path) -> Result<(), Failure> {
    let path = service.join(manifest::NAME);
    let closed = |file: &String| {
        let about = service.join(file).symlink_metadata();
        about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o004 == 0)
    };
    let is_secret = manifest.files.keys().any(closed) && path.exists();
    if !is_secret {
        return Ok(());
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(|why| refused(&path, &why))
}

fn note(manifest: &manifest::Manifest, service: &Path) -> Result<(), Failure> {
    put(&service.join(manifest::NAME), &Content::plain(manifest.text()))
}

fn apply(base: &Path, change: &Change) -> Result<(), Failure> {
    match change {
        Change::Write { path, content, .. } => put(&base.join(path), content),
        Change::Remove { path } => fs::remove_file(base.join(path)).map_err(|why| refused(&base.join(path), &why)),
        Change::Aside { path, to } => rename(&base.join(path), &free(&base.join(to))),
        Change::Keep { .. } => Ok(()),
    }
}

/// Nothing that was put aside an earlier time is written over.
fn free(path: &Path) -> PathBuf {
    let numbered = (2..).map(|number| PathBuf::from(format!("{}.{number}", path.display())));
    let mut all = std::iter::once(path.to_path_buf()).chain(numbered);
    all.find(|path| path.symlink_metadata().is_err()).expect("numbers do not end")
}

/// Puts a file in place, whole or not at all. Whoever may not read the old one may not read the new one either.
fn put(path: &Path, content: &Content) -> Result<(), Failure> {
    let aside = beside(path, "new");
    clear(&aside)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mode = mode(path, content.kind);
    let written = fs::create_dir_all(folder).and_then(|()| write(&aside, content, mode));
    written.and_then(|()| fs::rename(&aside, path)).map_err(|why| {
        let _ = fs::remove_file(&aside);
        refused(path, &why)
    })
}

fn mode(path: &Path, kind: Kind) -> u32 {
    let old =
        path.symlink_metadata().ok().filter(fs::Metadata::is_file).map(|about| about.permissions().mode() & 0o777);
    match kind {
        Kind::Program => 0o755,
        Kind::Plain | Kind::Link => old.map_or(0o644, |old| old & 0o666),
    }
}

fn write(path: &Path, Content { text, kind }: &Content, mode: u32) -> io::Result<()> {
    if *kind == Kind::Link {
        return symlink(text, path);
    }
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// `.NAME.what` in the same folder.
pub fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}

/// What a run that was cut short has left there.
fn clear(path: &Path) -> Result<(), Failure> {
    let removed = match path.symlink_metadata() {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(|why| refused(path, &why))
}

fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).map_err(|why| refused(to, &why))
}

fn log_folder(LogFolder { path, owner }: &LogFolder) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|why| refused(path, &why))?;
    let owner = owner.as_deref().and_then(|name| User::from_name(name).ok().flatten());
    let Some(owner) = owner.filter(|_| Uid::effective().is_root()) else { return Ok(()) };
    chown(path, Some(owner.uid), Some(owner.gid)).map_err(|why| refused(path, &why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_put_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("log/run");
        put(&run, &Content { text: "#!/bin/sh\n".into(), kind: Kind::Program }).unwrap();
        assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o755);
        put(&run, &Content::plain("x")).unwrap();
        assert_eq!(fs::read_to_string(&run).unwrap(), "x");
        assert_eq!(fs::metadata(&run).unwrap().permissions().mode() & 0o777, 0o644);
        fs::write(beside(&run, "new"), "of a run that was cut short").unwrap();
        put(&run, &Content { text: "/nowhere".into(), kind: Kind::Link }).unwrap();
        assert_eq!(fs::read_link(&run).unwrap(), Path::new("/nowhere"));
        assert_eq!(fs::read_dir(run.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("PASSWORD");
        let mode = || fs::metadata(&secret).unwrap().permissions().mode() & 0o777;
        put(&secret, &Content::plain("a")).unwrap();
        assert_eq!(mode(), 0o644);
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        put(&secret, &Content::plain("b")).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn what_was_put_aside_once_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.before-pistop");
        assert_eq!(free(&path), path);
        fs::write(&path, "").unwrap();
        assert_eq!(free(&path), dir.path().join("run.before-pistop.2"));
    }
}
