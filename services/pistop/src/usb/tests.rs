//! Trees as a Pi 4 and a Pi 3 have them, with just the links and files that are looked at.

use super::*;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

const PI_4_CONTROLLER: &str = "devices/platform/pcie/0000:01:00.0";
const PI_3_CONTROLLER: &str = "devices/platform/soc/3f980000.usb";

struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        let tree = Tree(tempfile::tempdir().unwrap());
        tree.file("proc/self/mountinfo", "22 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n");
        tree
    }

    /// Two buses; a disk on the USB 3 side, the hub of the board on the other one.
    fn pi_4() -> Self {
        let tree = Tree::new();
        for usb in ["usb1", "usb1/1-1", "usb2", "usb2/2-1"] {
            tree.usb(&format!("{PI_4_CONTROLLER}/{usb}"));
        }
        tree.file(&format!("sys/{PI_4_CONTROLLER}/usb1/1-1/idVendor"), "2109\n");
        tree.file(&format!("sys/{PI_4_CONTROLLER}/usb1/1-1/idProduct"), "3431\n");
        let disk = format!("{PI_4_CONTROLLER}/usb2/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0/block/sda");
        tree.block(&disk, "8:0");
        tree.block(&format!("{disk}/sda1"), "8:1");
        tree.block("devices/platform/mmc/block/mmcblk0/mmcblk0p2", "179:2");
        tree.network("devices/platform/scb/genet/net/eth0");
        tree
    }

    /// One bus; network and disk on the hub of the board.
    fn pi_3() -> Self {
        let tree = Tree::new();
        for usb in ["usb1", "usb1/1-1", "usb1/1-1/1-1.1", "usb1/1-1/1-1.4", "usb1/1-1/1-1.4/1-1.4.2"] {
            tree.usb(&format!("{PI_3_CONTROLLER}/{usb}"));
        }
        tree.block(&format!("{PI_3_CONTROLLER}/usb1/1-1/1-1.4/1-1.4.2/1-1.4.2:1.0/host0/block/sda"), "8:0");
        tree.network(&format!("{PI_3_CONTROLLER}/usb1/1-1/1-1.1/1-1.1:1.0/net/eth0"));
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn link(&self, name: &str, to: &str) {
        symlink(self.path(&format!("sys/{to}")), self.path(&format!("sys/{name}"))).unwrap();
    }

    fn usb(&self, device: &str) {
        self.file(&format!("sys/{device}/bDeviceClass"), "09\n");
        self.link(&format!("bus/usb/devices/{}", last(device)), device);
    }

    fn block(&self, device: &str, number: &str) {
        self.file(&format!("sys/{device}/dev"), &format!("{number}\n"));
        self.link(&format!("class/block/{}", last(device)), device);
    }

    /// `.../1-1.1:1.0/net/eth0`, whose `device` leads two folders up.
    fn network(&self, interface: &str) {
        fs::create_dir_all(self.path(&format!("sys/{interface}"))).unwrap();
        self.link(&format!("{interface}/device"), interface.rsplit_once("/net/").unwrap().0);
        self.link(&format!("class/net/{}", last(interface)), interface);
    }

    fn look(&self, hub: &str) -> Found {
        Kernel { sysfs: self.path("sys"), proc: self.path("proc") }.look(hub).unwrap()
    }
}

fn last(path: &str) -> &str {
    path.rsplit_once('/').unwrap().1
}

fn names_of(found: &Found) -> Vec<&str> {
    found.devices.keys().map(String::as_str).collect()
}

#[test]
fn a_disk_and_its_partitions_hang_on_the_root_hub() {
    let found = Tree::pi_4().look("2");
    assert!(found.hub && found.networks.is_empty() && found.holders.is_empty());
    assert_eq!(found.devices, [("sda".to_owned(), (8, 0)), ("sda1".to_owned(), (8, 1))].into());
    assert_eq!(found.mounts.len(), 1);
}

/// Its ports are wired to both hubs: the power of a USB 3 disk hangs on the USB 2 hub too.
#[test]
fn the_hub_inside_of_a_pi_4_reaches_everything_at_its_controller() {
    assert_eq!(names_of(&Tree::pi_4().look("1-1")), ["sda", "sda1"]);
}

#[test]
fn a_hub_that_is_not_there_reaches_nothing() {
    for hub in ["3", "1-1.4", "2-2"] {
        assert!(!Tree::pi_4().look(hub).hub, "{hub}");
    }
}

#[test]
fn the_network_of_a_pi_3_hangs_on_the_hub_of_the_board_and_not_on_one_behind_it() {
    let tree = Tree::pi_3();
    assert_eq!(tree.look("1-1").networks, ["eth0"]);
    assert_eq!(tree.look("1").networks, ["eth0"]);
    let behind = tree.look("1-1.4");
    assert!(behind.networks.is_empty());
    assert_eq!(names_of(&behind), ["sda"]);
}

#[test]
fn a_hub_of_usb_3_is_also_one_of_usb_2_on_the_sister_bus() {
    let tree = Tree::new();
    for usb in ["usb1", "usb1/1-2", "usb2", "usb2/2-2"] {
        tree.usb(&format!("{PI_4_CONTROLLER}/{usb}"));
    }
    tree.block(&format!("{PI_4_CONTROLLER}/usb1/1-2/1-2.1/host0/block/sdb"), "8:16");
    assert_eq!(names_of(&tree.look("2-2")), ["sdb"]);
}

#[test]
fn what_is_made_of_a_disk_is_found_to_any_depth() {
    let tree = Tree::pi_4();
    for (name, of) in [("dm-0", "md0"), ("md0", "sda1")] {
        tree.block(&format!("devices/virtual/block/{name}"), "253:0");
        tree.link(&format!("devices/virtual/block/{name}/slaves/{of}"), &format!("class/block/{of}"));
    }
    tree.block("devices/virtual/block/loop0", "7:0");
    tree.file("sys/devices/virtual/block/loop0/loop/backing_file", "/dev/sda\n");
    tree.block("devices/virtual/block/loop1", "7:1");
    tree.file("sys/devices/virtual/block/loop1/loop/backing_file", "/home/image\n");
    let holders = tree.look("2").holders;
    let expected = [("dm-0", "md0"), ("loop0", "sda"), ("md0", "sda1")];
    assert_eq!(holders, expected.map(|(who, whose)| (who.to_owned(), whose.to_owned())).into());
}

#[test]
fn a_file_system_that_lives_is_found_though_it_is_mounted_nowhere() {
    let tree = Tree::pi_4();
    fs::create_dir_all(tree.path("sys/fs/ext4/sda1")).unwrap();
    fs::create_dir_all(tree.path("sys/fs/ext4/mmcblk0p2")).unwrap();
    fs::create_dir_all(tree.path("sys/fs/btrfs/0-1-2/devices/sda")).unwrap();
    let expected = [("sda1", "ext4"), ("sda", "btrfs")].map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(tree.look("2").alive, expected);
}

#[test]
fn swaps_are_the_first_column() {
    let table = "Filename\t\tType\tSize\n/dev/sda2   partition\t1\t0\t-2\n/var/swap file\t1\t0\t-3\n";
    assert_eq!(swaps(table), ["/dev/sda2", "/var/swap"].map(PathBuf::from));
}
