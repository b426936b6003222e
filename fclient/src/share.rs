//! `fclient mount` and `fclient unmount`: the shared directory, by the settings that the daemon and its hooks have. How
//! it is done without hanging is in the crate `mounts`.

use crate::config::{MountFlags, Options, UnmountFlags, layers};
use mounts::deadline::{attempt, whole};
use mounts::policy::Policy;
use mounts::unmount::Job;
use mounts::way::Wish;
use protocol::hook::{VARIABLE_DEADLINE, VARIABLE_HOST};
use runner::exit::Failure;
use runner::settings::{BadConfig, Settings};
use std::path::PathBuf;
use std::time::Duration;

/// Mounts it, if it is not.
///
/// # Errors
/// It is not mounted; temporary if it may be the next time.
pub fn mount(options: &Options, flags: &MountFlags) -> Result<(), Failure> {
    let settings = settings(options)?;
    let Some(target) = target(flags.dir.as_ref(), &settings) else { return nothing() };
    let wish = wish(target, &settings, std::env::var(VARIABLE_HOST).ok())?;
    match flags.dry_run {
        true => mounts::mount::plan(&wish).map(|(wish, plan)| println!("{}: would {plan}", wish.target.display())),
        false => mounts::mount::mount(&wish, attempt(flags.deadline, hook().as_deref()))
            .map(|sentence| println!("{sentence}")),
    }
}

/// What `mount` would do with the shared directory, if there is one.
///
/// # Errors
/// It could do nothing.
pub fn planned(settings: &Settings) -> Result<Option<String>, Failure> {
    let Some(target) = target(None, settings) else { return Ok(None) };
    let (wish, plan) = mounts::mount::plan(&wish(target, settings, None)?)?;
    Ok(Some(format!("{}: would {plan}", wish.target.display())))
}

/// Unmounts it, if it is mounted.
///
/// # Errors
/// It is still mounted; temporary if it may go the next time.
pub fn unmount(options: &Options, flags: &UnmountFlags) -> Result<(), Failure> {
    let settings = settings(options)?;
    let Some(target) = target(flags.dir.as_ref(), &settings) else { return nothing() };
    let job = Job { target, policy: policy(flags.lazily, &settings), time: time(flags.deadline), sync: false };
    match flags.dry_run {
        true => mounts::unmount::plan(&job).map(|lines| lines.iter().for_each(|line| println!("{line}"))),
        false => mounts::unmount::unmount(&job, |line| println!("{line}")).map(|sentence| println!("{sentence}")),
    }
}

fn settings(options: &Options) -> Result<Settings, BadConfig> {
    layers(options, std::env::vars_os().collect())
}

fn target(flag: Option<&PathBuf>, settings: &Settings) -> Option<PathBuf> {
    flag.cloned().or_else(|| settings.path("mdrive"))
}

/// A client without a shared directory is a client all the same.
fn nothing() -> Result<(), Failure> {
    println!("MDRIVE is not set and no directory is named: there is nothing to do");
    Ok(())
}

fn time(flag: Option<Duration>) -> Duration {
    whole(flag, hook().as_deref())
}

/// The seconds that the hook has which runs us, if one does.
fn hook() -> Option<String> {
    std::env::var(VARIABLE_DEADLINE).ok()
}

/// Under tcpclient only the hooks know the server's address.
fn wish(target: PathBuf, settings: &Settings, followed: Option<String>) -> Result<Wish, BadConfig> {
    let text = |key| settings.text(key).map(|text| text.trim().to_owned());
    Ok(Wish {
        target,
        host: text("host").or(followed).filter(|host| !host.is_empty()),
        port: port(settings)?,
        source: text("mdrive-source"),
        options: text("mount-options").unwrap_or_default(),
    })
}

fn port(settings: &Settings) -> Result<Option<u16>, BadConfig> {
    match settings.text("nfs-port") {
        None | Some("off") => Ok(None),
        Some(_) => settings.number("nfs-port").map(Some),
    }
}

fn policy(lazily: bool, settings: &Settings) -> Policy {
    match (lazily, settings.is_on("force-umount")) {
        (true, _) => Policy::Lazy,
        (false, true) => Policy::Forcing,
        (false, false) => Policy::Patient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        layers(&Options::default(), environment).unwrap()
    }

    fn wish_of(environment: &[(&str, &str)], followed: Option<&str>) -> Result<Wish, BadConfig> {
        wish("/m".into(), &settings(environment), followed.map(str::to_owned))
    }

    #[test]
    fn the_wish_is_what_the_settings_say() {
        let set = [("HOST", "attic"), ("MDRIVE_SOURCE", "/MDrive"), ("MOUNT_OPTIONS", "ro"), ("NFS_PORT", "2050")];
        let expected = Wish {
            target: "/m".into(),
            host: Some("attic".into()),
            port: Some(2050),
            source: Some("/MDrive".into()),
            options: "ro".into(),
        };
        assert_eq!(wish_of(&set, Some("other")).unwrap(), expected);
        let bare = wish_of(&[], Some("attic")).unwrap();
        assert_eq!((bare.host.as_deref(), bare.port, bare.source), (Some("attic"), Some(2049), None));
        assert_eq!(wish_of(&[("NFS_PORT", "off")], None).unwrap().port, None);
        assert!(wish_of(&[("NFS_PORT", "many")], None).is_err());
    }

    #[test]
    fn how_rough_it_gets_is_the_owners_word_and_the_servers_fate() {
        let set = settings(&[("FORCE_UMOUNT", "1")]);
        assert_eq!(policy(false, &settings(&[])), Policy::Patient);
        assert_eq!(policy(false, &set), Policy::Forcing);
        assert_eq!([policy(true, &set), policy(true, &settings(&[]))], [Policy::Lazy; 2]);
    }

    #[test]
    fn the_named_directory_goes_before_that_of_the_settings() {
        let set = settings(&[("MDRIVE", "/MDrive")]);
        assert_eq!(target(Some(&"/other".into()), &set), Some("/other".into()));
        assert_eq!(target(None, &set), Some("/MDrive".into()));
        assert_eq!(target(None, &settings(&[])), None);
    }
}
