//! What hangs on a USB hub and who uses it, as the kernel tells it in `/sys` and `/proc`. Nothing is opened that could wait
//! for a disk.
//!
//! What always holds: in doubt something counts as hanging on the hub. A root hub and the hub inside of a Pi 4 share
//! their power with everything at the same controller, and a hub of USB 3 is a second hub, of USB 2, on the sister bus.

use mounts::table::{self, Mount};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The hub soldered to the controller of a Pi 4, whose ports are also those of the root hub.
const PI_4: (&str, &str) = ("2109", "3431");
/// File systems that show in `/sys/fs` whether they live, even if they were detached from where they were mounted.
const SHOWN: [&str; 5] = ["ext4", "xfs", "f2fs", "btrfs", "jfs"];

/// Where the kernel tells it.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// `/sys`
    pub sysfs: PathBuf,
    /// `/proc`
    pub proc: PathBuf,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The hub is there.
    pub hub: bool,
    /// Block devices that lose their power, by name, as `sda1`, with major and minor number.
    pub devices: BTreeMap<String, (u32, u32)>,
    /// Block devices made of those: who, and of which.
    pub holders: BTreeMap<String, String>,
    /// File systems that live on any of them: device and type.
    pub alive: Vec<(String, String)>,
    /// Network interfaces that lose their power.
    pub networks: Vec<String>,
    /// All mounts.
    pub mounts: Vec<Mount>,
    /// All swap devices.
    pub swaps: Vec<PathBuf>,
}

impl Kernel {
    /// Looks for everything that hangs on this hub.
    ///
    /// # Errors
    /// The table of mounts cannot be read; without it nothing may be switched off.
    pub fn look(&self, hub: &str) -> io::Result<Found> {
        let reach = self.reach(hub);
        let devices = self.devices(&reach);
        let holders = self.holders(&devices);
        Ok(Found {
            hub: !reach.is_empty(),
            alive: self.alive(&devices, &holders),
            networks: self.networks(&reach),
            mounts: table::parse(&fs::read(self.proc.join("self/mountinfo"))?),
            swaps: swaps(&fs::read_to_string(self.proc.join("swaps")).unwrap_or_default()),
            devices,
            holders,
        })
    }

    fn usb(&self, name: &str) -> Option<PathBuf> {
        self.sysfs.join("bus/usb/devices").join(name).canonicalize().ok()
    }

    /// The folders of all devices that share their power with this hub; none if it is not there.
    fn reach(&self, hub: &str) -> Vec<PathBuf> {
        let (bus, ports) = hub.split_once('-').unwrap_or((hub, ""));
        let own = if ports.is_empty() { self.usb(&format!("usb{bus}")) } else { self.usb(hub) };
        let Some(own) = own else { return Vec::new() };
        let root = self.usb(&format!("usb{bus}")).unwrap_or_else(|| own.clone());
        let controller = root.parent().unwrap_or(&root).to_owned();
        if ports.is_empty() || is_pi_4(&own) {
            return vec![controller];
        }
        let sisters = buses(&controller).into_iter().filter(|sister| *sister != bus);
        let sisters = sisters.filter_map(|sister| self.usb(&format!("{sister}-{ports}"))).filter(|path| is_hub(path));
        std::iter::once(own).chain(sisters).collect()
    }

    fn class(&self, class: &str) -> Vec<(String, PathBuf)> {
        names(&self.sysfs.join("class").join(class))
    }

    fn devices(&self, reach: &[PathBuf]) -> BTreeMap<String, (u32, u32)> {
        let block = self.class("block").into_iter();
        let lost = block.filter(|(_, path)| within(path, reach));
        lost.map(|(name, path)| (name, number(&path).unwrap_or_default())).collect()
    }

    /// To any depth: what is made of a device that is made of one of ours.
    fn holders(&self, devices: &BTreeMap<String, (u32, u32)>) -> BTreeMap<String, String> {
        let block = self.class("block");
        let mut known: BTreeSet<String> = devices.keys().cloned().collect();
        let mut found = BTreeMap::new();
        loop {
            let made = block.iter().filter(|(name, _)| !known.contains(name));
            let made: Vec<_> = made.filter_map(|(name, path)| Some((name.clone(), made_of(path, &known)?))).collect();
            if made.is_empty() {
                return found;
            }
            known.extend(made.iter().map(|(name, _)| name.clone()));
            found.extend(made);
        }
    }

    fn alive(
        &self,
        devices: &BTreeMap<String, (u32, u32)>,
        holders: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        let ours = |name: &String| devices.contains_key(name) || holders.contains_key(name);
        let of_kind = |kind: &&str| {
            let folder = self.sysfs.join("fs").join(kind);
            let entries = names(&folder).into_iter();
            // That of btrfs is named by its number, and lists its devices in a folder.
            let all =
                entries.flat_map(|(name, path)| names(&path.join("devices")).into_iter().map(|(n, _)| n).chain([name]));
            all.filter(ours).map(|name| (name, (*kind).to_owned())).collect::<Vec<_>>()
        };
        SHOWN.iter().flat_map(of_kind).collect()
    }

    fn networks(&self, reach: &[PathBuf]) -> Vec<String> {
        let all = self.class("net").into_iter();
        let lost = all.filter(|(_, path)| path.join("device").canonicalize().is_ok_and(|path| within(&path, reach)));
        lost.map(|(name, _)| name).collect()
    }
}

/// The entries of a folder with what they lead to, in the order of their names; none if it is not there.
fn names(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let resolved = entries.filter_map(|entry| {
        Some((entry.file_name().into_string().ok()?, entry.path().canonicalize().unwrap_or_else(|_| entry.path())))
    });
    let mut all: Vec<_> = resolved.collect();
    all.sort();
    all
}

fn within(path: &Path, reach: &[PathBuf]) -> bool {
    reach.iter().any(|folder| path.starts_with(folder))
}

/// The numbers of the buses at a controller.
fn buses(controller: &Path) -> Vec<String> {
    names(controller).into_iter().filter_map(|(name, _)| name.strip_prefix("usb").map(String::from)).collect()
}

fn text(path: PathBuf) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn is_hub(device: &Path) -> bool {
    text(device.join("bDeviceClass")) == "09"
}

fn is_pi_4(hub: &Path) -> bool {
    (text(hub.join("idVendor")).as_str(), text(hub.join("idProduct")).as_str()) == PI_4
}

fn number(device: &Path) -> Option<(u32, u32)> {
    let text = text(device.join("dev"));
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The first of the known devices that a device is made of: as dm and md tell it, or as loop does.
fn made_of(device: &Path, known: &BTreeSet<String>) -> Option<String> {
    let slaves = names(&device.join("slaves")).into_iter().map(|(name, _)| name);
    let backing = text(device.join("loop/backing_file")).strip_prefix("/dev/").map(String::from);
    slaves.chain(backing).find(|name| known.contains(name))
}

/// The first column of `/proc/swaps`.
fn swaps(table: &str) -> Vec<PathBuf> {
    table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests;
