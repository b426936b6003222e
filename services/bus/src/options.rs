//! The settings that fserver and fclient share about the bus, each with its default and its meaning, and what follows
//! from them.

use crate::agent::hooks::HookPlan;
use crate::agent::{Settings as Agent, machine};
use crate::journal::{Bounds, Place};
use crate::mqtt;
use protocol::name::Identity;
use protocol::{Epoch, Filter, HostName};
use runner::settings::{BadConfig, Setting, Settings};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where events are kept.
pub const JOURNAL: Setting = Setting {
    key: "journal",
    default: "disk",
    help: "where events are kept: disk, ram (until power is lost), the path of a directory, or off",
};
/// Where programs come in.
pub const DOOR: Setting =
    Setting { key: "door", default: crate::client::DOOR, help: "the local socket of the event bus for programs" };
/// Who may.
pub const DOOR_GROUP: Setting =
    Setting { key: "door-group", default: "pistop", help: "the group whose members may use it, beside root" };
/// What else to listen to.
pub const FOLLOW: Setting = Setting {
    key: "follow",
    default: "",
    help: "topics of other machines to keep here beside what hooks and programs want, separated by blanks",
};

/// For whom a server does not wait any more.
pub const FORGET_AFTER: Setting = Setting {
    key: "forget-after",
    default: "90",
    help: "days without a link after which nothing waits for a machine any more; off for never",
};

/// Where a journal in RAM is: it outlives the process and not the power.
const RAM: &str = "/run/pistop/ram";

/// Who the agent works for.
#[derive(Debug)]
pub struct Host<'a> {
    /// This machine's name.
    pub node: HostName,
    /// The program with its version.
    pub program: &'a str,
    /// Its run; `None` if it does not count its runs.
    pub epoch: Option<Epoch>,
    /// Its state directory.
    pub state_dir: &'a Path,
    /// It is the server.
    pub server: bool,
    /// Its identity, if there may be an uplink to a broker.
    pub identity: Option<Identity>,
    /// Directories of hooks.
    pub hooks: Vec<PathBuf>,
    /// The time of each attempt of each.
    pub hook_timeout: Duration,
}

/// What the agent has to know; `None` if it is switched off.
///
/// # Errors
/// A setting that cannot be used.
pub fn plan(settings: &Settings, host: Host<'_>) -> Result<Option<Agent>, BadConfig> {
    let Host { node, program, epoch, state_dir, server, identity, hooks, hook_timeout } = host;
    let spare = Path::new(RAM).join(state_dir.strip_prefix("/").unwrap_or(state_dir)).join("journal");
    let (path, ram) = match settings.text(JOURNAL.key) {
        None | Some("off") => return Ok(None),
        Some("disk") => (state_dir.join("journal"), false),
        Some("ram") => (spare.clone(), true),
        Some(path) if path.starts_with('/') => (PathBuf::from(path), false),
        Some(text) => {
            return Err(settings.bad(JOURNAL.key, format!("`{text}` is neither disk, ram, off nor a path from / on")));
        }
    };
    let door = settings.path(DOOR.key).ok_or_else(|| settings.bad(DOOR.key, "a path is needed".into()))?;
    Ok(Some(Agent {
        node,
        program: program.into(),
        epoch: epoch.unwrap_or_else(|| Epoch(crate::fresh_epoch())),
        hooks: Some(HookPlan {
            directories: hooks,
            environment: environment(settings),
            timeout: hook_timeout,
            state: Some(path.join("hooks")),
        }),
        uplink: identity.map(|identity| mqtt::Config::plan(settings, identity)).transpose()?.flatten(),
        place: Place::Directory(path),
        ram,
        spare: (!ram).then_some(spare),
        bounds: if ram { Bounds::in_memory() } else { Bounds::default() },
        door,
        group: settings.text(DOOR_GROUP.key).map(str::to_owned),
        follow: if server { Vec::new() } else { follow(settings)? },
        forget_after: if server { forget_after(settings)? } else { None },
        strangers_per_address: u32::MAX,
        state_dir: Some(state_dir.into()),
        server,
    }))
}

/// All settings, but how a machine is powered off: that is for the hooks of `power-off` only.
fn environment(settings: &Settings) -> Vec<(OsString, OsString)> {
    let mut all = settings.environment();
    all.retain(|(name, _)| name != "POWER_OFF_COMMAND");
    all
}

fn forget_after(settings: &Settings) -> Result<Option<Duration>, BadConfig> {
    let text = settings.text(FORGET_AFTER.key).unwrap_or(FORGET_AFTER.default);
    let days = text.trim().parse().ok().filter(|days: &f64| *days > 0.0);
    match days.and_then(|days| Duration::try_from_secs_f64(days * 86_400.0).ok()) {
        _ if text == "off" => Ok(None),
        Some(after) => Ok(Some(after)),
        None => {
            Err(settings.bad(FORGET_AFTER.key, format!("`{text}` is no number of days; give one, as in 90, or off")))
        }
    }
}

fn follow(settings: &Settings) -> Result<Vec<Filter>, BadConfig> {
    let texts: Vec<String> =
        settings.text(FOLLOW.key).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    machine::filters(&texts).map_err(|why| settings.bad(FOLLOW.key, why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner::settings::Sources;

    const ALL: &[Setting] = &[JOURNAL, DOOR, DOOR_GROUP, FOLLOW, FORGET_AFTER];

    fn planned(environment: &[(&str, &str)]) -> Result<Option<Agent>, BadConfig> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let sources = Sources { config: None, variables: None, environment, flags: Vec::new() };
        let (node, state_dir) = (HostName::parse("attic").unwrap(), Path::new("/var/lib/pistop/fserver"));
        let (program, epoch, hooks, hook_timeout) = ("fserver 1", None, Vec::new(), Duration::from_secs(60));
        let host = Host { node, program, epoch, state_dir, server: false, identity: None, hooks, hook_timeout };
        plan(&Settings::load(ALL, sources)?, host)
    }

    #[test]
    fn events_are_kept_on_the_disk_in_ram_or_not_at_all() {
        let place = |text: &str| planned(&[("JOURNAL", text)]).unwrap().map(|agent| (agent.place, agent.ram));
        let at = |path: &str, ram| Some((Place::Directory(path.into()), ram));
        assert_eq!(place("disk"), at("/var/lib/pistop/fserver/journal", false));
        assert_eq!(place("ram"), at("/run/pistop/ram/var/lib/pistop/fserver/journal", true));
        assert_eq!(place("/mnt/usb/events"), at("/mnt/usb/events", false));
        assert_eq!(place("off"), None);
        assert!(planned(&[("JOURNAL", "tape")]).unwrap_err().to_string().contains("`tape` is neither disk, ram"));
    }

    #[test]
    fn a_server_forgets_after_so_many_days_or_never() {
        let after = |text: &str| {
            let environment = vec![("FORGET_AFTER".into(), text.into())];
            let sources = Sources { config: None, variables: None, environment, flags: Vec::new() };
            forget_after(&Settings::load(ALL, sources).unwrap()).map_err(|why| why.to_string())
        };
        assert_eq!(after("90"), Ok(Some(Duration::from_secs(90 * 86_400))));
        assert_eq!((after("0.5"), after("off")), (Ok(Some(Duration::from_secs(43_200))), Ok(None)));
        for bad in ["never", "0", "-1", "inf"] {
            assert!(after(bad).unwrap_err().contains("is no number of days"), "{bad}");
        }
        assert_eq!(planned(&[]).unwrap().unwrap().forget_after, None, "a client waits for its server for ever");
    }

    #[test]
    fn a_pattern_that_is_none_is_told_at_the_start() {
        assert_eq!(planned(&[("FOLLOW", "+/evt/# attic/state")]).unwrap().unwrap().follow.len(), 2);
        assert!(planned(&[("FOLLOW", "a#")]).unwrap_err().to_string().contains("`a#` is no pattern"));
    }
}
