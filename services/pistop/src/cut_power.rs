//! `pistop cut-power`: takes the power from the disks of a USB hub, since many a board leaves it on when it is off.
//!
//! What always holds: a plan is made first, printed, and then performed. It is refused as long as anything uses a disk of that
//! hub, or the network hangs on it. Each command has a deadline, so the power-off of the machine is never held up.

use crate::config::CutPowerFlags;
use crate::usb::{Found, Kernel};
use crate::words::say;
use mounts::child::{self, End};
use mounts::table;
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const CONFIG: &str = "/etc/pistop/fserver.toml";
/// How long writing out may take; a disk that spins up takes ten seconds.
const FLUSH: Duration = Duration::from_secs(20);
/// How long switching may take.
const SWITCH: Duration = Duration::from_secs(10);
/// Between two calls for a hub that switches its ports together: it has to see the first one through.
const PAUSE: Duration = Duration::from_secs(1);

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// The settings, which are fserver's.
pub const SETTINGS: &[Setting] = &[
    setting("usb-hub", "", "the hub as uhubctl names it; without it there is nothing to switch"),
    setting("usb-ports", "", "only these ports of it"),
    setting("usb-ganged", "", "if not empty, the hub switches its ports together only"),
    setting("uhubctl", "uhubctl", "the program that switches"),
    setting("mdrive", "", "the directory of the disk"),
];

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The hub.
    pub hub: String,
    /// Its ports; all if it is empty.
    pub ports: String,
    /// How often to switch.
    pub times: u32,
    /// The disk's directory or device.
    pub disk: Option<PathBuf>,
    /// The program that switches.
    pub uhubctl: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// What is in memory goes to all disks.
    Sync,
    /// What is in memory goes to this one.
    Flush(String),
    /// The power goes off.
    Switch(Vec<String>),
    /// The hub has time to do so.
    Wait,
    /// Is it off?
    Verify(Vec<String>),
}

/// Looks, plans, and performs.
///
/// # Errors
/// Something uses the disk, the hub or uhubctl is not there, or the power did not go off.
pub fn run(flags: &CutPowerFlags, variables: Option<PathBuf>) -> Result<(), Failure> {
    let Some(order) = order(flags, variables)? else {
        say("no hub is set, so there is nothing to switch off; set USB_HUB");
        return Ok(());
    };
    let kernel = Kernel { sysfs: flags.sysfs.clone(), proc: flags.proc.clone() };
    let found = kernel.look(&order.hub).map_err(|why| {
        Failure::Permanent(format!("{}: {why}; nothing is switched off without it", flags.proc.display()))
    })?;
    let steps = plan(&order, &found)?;
    steps.iter().for_each(|step| say(&step.to_string()));
    if flags.dry_run { Ok(()) } else { perform(&order, &steps) }
}

fn order(flags: &CutPowerFlags, variables: Option<PathBuf>) -> Result<Option<Order>, Failure> {
    let usual = || Path::new(CONFIG).exists().then(|| CONFIG.into());
    let given =
        [("usb-hub", &flags.hub), ("usb-ports", &flags.ports), ("mdrive", &flags.disk), ("uhubctl", &flags.uhubctl)];
    let flag = |(key, value): (&'static str, &Option<String>)| Some((key, value.clone()?));
    let sources = Sources {
        config: flags.config.clone().or_else(usual),
        variables,
        environment: std::env::vars_os().collect(),
        flags: given.into_iter().filter_map(flag).collect(),
    };
    let settings = Settings::load_shared(SETTINGS, sources)?;
    let Some(hub) = settings.text("usb-hub") else { return Ok(None) };
    if !is_location(hub) {
        let why = format!("`{hub}` is no hub; write it as uhubctl shows it, as in 2, 1-1 or 1-1.4");
        return Err(settings.bad("usb-hub", why).into());
    }
    Ok(Some(Order {
        hub: hub.into(),
        ports: settings.text("usb-ports").unwrap_or_default().into(),
        times: if flags.ganged || settings.is_on("usb-ganged") { 2 } else { 1 },
        disk: settings.path("mdrive"),
        uhubctl: settings.text("uhubctl").unwrap_or("uhubctl").into(),
    }))
}

/// `BUS`, `BUS-PORT`, `BUS-PORT.PORT`: it becomes part of a path.
fn is_location(hub: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (bus, ports) = hub.split_once('-').unwrap_or((hub, "1"));
    number(bus) && ports.split('.').all(number)
}

/// What is to be done, or every reason why not.
///
/// # Errors
/// The hub is not there (which may change), or something stands against it (which will not, by trying again).
pub fn plan(order: &Order, found: &Found) -> Result<Vec<Step>, Failure> {
    if !found.hub {
        let why = format!("there is no hub {}; `{}` lists those that can be switched", order.hub, order.uhubctl);
        return Err(Failure::Temporary(why));
    }
    let reasons = reasons(order, found);
    if !reasons.is_empty() {
        return Err(Failure::Permanent(format!("hub {} keeps its power: {}", order.hub, reasons.join("; "))));
    }
    // Partitions come behind their disk by name, and are written out before it.
    let flushes = found.devices.keys().rev().map(|name| Step::Flush(format!("/dev/{name}")));
    let mut steps: Vec<Step> = std::iter::once(Step::Sync).chain(flushes).collect();
    let place = || ["-l", &order.hub].map(String::from).into_iter().chain(ports(order));
    for time in 1..=order.times {
        steps.extend((time > 1).then_some(Step::Wait));
        steps.push(Step::Switch(["-a", "0"].map(String::from).into_iter().chain(place()).collect()));
    }
    steps.push(Step::Verify(place().collect()));
    Ok(steps)
}

fn ports(order: &Order) -> Vec<String> {
    let all = order.ports.is_empty();
    if all { Vec::new() } else { vec!["-p".into(), order.ports.clone()] }
}

/// Everything that stands against it, in words with the remedy.
fn reasons(order: &Order, found: &Found) -> Vec<String> {
    let mut reasons: Vec<String> =
        found.networks.iter().map(|name| format!("the network interface {name} hangs on it")).collect();
    let on_hub = found.mounts.iter().filter(|mount| uses(found, mount));
    reasons.extend(on_hub.map(|mount| format!("{} is mounted; unmount it first", mount.target.display())));
    let swaps = found.swaps.iter().filter(|swap| named(found, swap));
    reasons.extend(swaps.map(|swap| format!("{} is swap; run swapoff first", swap.display())));
    reasons.extend(found.holders.iter().map(|(who, whose)| format!("{who} is made of {whose}; close it first")));
    if reasons.is_empty() {
        let alive = found.alive.iter();
        reasons.extend(
            alive.map(|(name, kind)| format!("the {kind} of {name} is detached but still in use; end what uses it")),
        );
    }
    reasons.extend(order.disk.as_ref().and_then(|disk| wrong_disk(disk, found)).filter(|_| reasons.is_empty()));
    reasons
}

/// By number, or where a file system has a number of its own, by the name of what is mounted.
fn uses(found: &Found, mount: &table::Mount) -> bool {
    found.devices.values().any(|&number| number == mount.device) || named(found, Path::new(&mount.source))
}

fn named(found: &Found, path: &Path) -> bool {
    let is_ours = |path: &Path| {
        path.parent() == Some(Path::new("/dev"))
            && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| is_lost(found, name))
    };
    is_ours(path) || path.starts_with("/dev") && path.canonicalize().is_ok_and(|path| is_ours(&path))
}

fn is_lost(found: &Found, name: &str) -> bool {
    found.devices.contains_key(name) || found.holders.contains_key(name)
}

/// The disk was named, and is mounted or not where it was said to be.
fn wrong_disk(disk: &Path, found: &Found) -> Option<String> {
    if disk.starts_with("/dev") {
        let elsewhere = !named(found, disk);
        return elsewhere.then(|| format!("{} does not hang on it; is that the right hub?", disk.display()));
    }
    let mounted = table::topmost(&found.mounts, disk);
    mounted.map(|_| format!("{} is mounted; unmount it first", disk.display()))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Sync => f.write_str("write everything to the disks"),
            Step::Flush(device) => write!(f, "write out what is kept for {device}"),
            Step::Switch(words) => write!(f, "switch off: uhubctl {}", words.join(" ")),
            Step::Wait => f.write_str("wait for the hub, which switches its ports together"),
            Step::Verify(words) => write!(f, "look whether it is off: uhubctl {}", words.join(" ")),
        }
    }
}

fn perform(order: &Order, steps: &[Step]) -> Result<(), Failure> {
    steps.iter().try_for_each(|step| match step {
        Step::Sync => flushed("sync", &[]),
        Step::Flush(device) => flushed("blockdev", &["--flushbufs", device]),
        Step::Switch(words) => switched(order, words),
        Step::Wait => {
            sleep(PAUSE);
            Ok(())
        }
        Step::Verify(words) => verify(order, words),
    })
}

/// A disk that cannot be written to is none the worse without power; one that is still being written to is.
fn flushed(program: &str, words: &[&str]) -> Result<(), Failure> {
    let what = format!("{program} {}", words.join(" "));
    let what = what.trim();
    match child::run(Command::new(program).args(words), FLUSH) {
        End::Done(_) => return Ok(()),
        End::Failed(fault) => say(&format!("{what} failed: {}; going on", fault.said)),
        End::Silent(_) => {
            let why = format!("not done after {} s; the power stays on, since the disk still writes", FLUSH.as_secs());
            return Err(Failure::Temporary(format!("{what}: {why}")));
        }
    }
    Ok(())
}

fn switched(order: &Order, words: &[String]) -> Result<(), Failure> {
    let failed = |said: &str| Failure::Temporary(format!("uhubctl could not switch hub {} off: {said}", order.hub));
    match uhubctl(order, words)? {
        End::Done(_) => Ok(()),
        End::Failed(fault) => Err(failed(&fault.said)),
        End::Silent(_) => Err(failed(&format!("not done after {} s", SWITCH.as_secs()))),
    }
}

fn uhubctl(order: &Order, words: &[String]) -> Result<End, Failure> {
    match child::run(Command::new(&order.uhubctl).args(words), SWITCH) {
        End::Failed(fault) if fault.said.contains("cannot be started") => {
            let remedy = "install the package uhubctl, or set UHUBCTL to its path";
            Err(Failure::Permanent(format!("{}; {remedy}", fault.said)))
        }
        end => Ok(end),
    }
}

/// Where uhubctl shows ports at all.
fn verify(order: &Order, words: &[String]) -> Result<(), Failure> {
    let said = match uhubctl(order, words)? {
        End::Done(said) | End::Silent(said) => said,
        End::Failed(fault) => fault.said,
    };
    match ports_with_power(&said) {
        None => say(&format!("hub {} does not tell whether its ports have power", order.hub)),
        Some(on) if on.is_empty() => say(&format!("hub {} is off", order.hub)),
        Some(on) => {
            let remedy = "if the hub switches its ports together, set USB_GANGED";
            let why = format!("hub {} still has power at port {}; {remedy}", order.hub, on.join(", "));
            return Err(Failure::Temporary(why));
        }
    }
    Ok(())
}

/// From lines such as `  Port 2: 0503 power highspeed enable connect`; `None` if there is no such line.
fn ports_with_power(shown: &str) -> Option<Vec<&str>> {
    let ports: Vec<(&str, &str)> =
        shown.lines().filter_map(|line| line.trim_start().strip_prefix("Port ")?.split_once(':')).collect();
    let on = ports.iter().filter(|(_, state)| state.split_whitespace().any(|word| word == "power"));
    (!ports.is_empty()).then(|| on.map(|(number, _)| *number).collect())
}

#[cfg(test)]
mod tests;
