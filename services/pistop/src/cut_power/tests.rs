//! Each reason against it, alone; and what is done if there is none.

use super::*;

fn order() -> Order {
    Order { hub: "2".into(), ports: String::new(), times: 1, disk: None, uhubctl: "uhubctl".into() }
}

/// A disk with one partition, which nothing uses; the root file system is on a card.
fn found() -> Found {
    let devices = [("sda".to_owned(), (8, 0)), ("sda1".to_owned(), (8, 1))].into();
    Found {
        hub: true,
        devices,
        mounts: table::parse(b"22 1 179:2 / / rw - ext4 /dev/mmcblk0p2 rw\n"),
        ..Found::default()
    }
}

fn mounted(line: &str) -> Found {
    Found { mounts: table::parse(line.as_bytes()), ..found() }
}

#[track_caller]
fn refused(order: &Order, found: &Found, expected: &str) {
    let failure = plan(order, found).unwrap_err();
    assert!(matches!(&failure, Failure::Permanent(why) if why.contains(expected)), "{failure}");
}

#[test]
fn what_nobody_uses_is_written_out_switched_off_and_looked_at() {
    let lines = |order: &Order| plan(order, &found()).unwrap().iter().map(Step::to_string).collect::<Vec<_>>();
    let flush = [
        "write everything to the disks",
        "write out what is kept for /dev/sda1",
        "write out what is kept for /dev/sda",
    ];
    let all = lines(&order());
    assert_eq!(all[..3], flush);
    assert_eq!(all[3..], ["switch off: uhubctl -a 0 -l 2", "look whether it is off: uhubctl -l 2"]);
    let ganged = Order { ports: "1,2".into(), times: 2, ..order() };
    let switch = "switch off: uhubctl -a 0 -l 2 -p 1,2";
    let wait = "wait for the hub, which switches its ports together";
    assert_eq!(lines(&ganged)[3..], [switch, wait, switch, "look whether it is off: uhubctl -l 2 -p 1,2"]);
}

#[test]
fn a_mount_keeps_the_power_on_whatever_it_is_called() {
    refused(&order(), &mounted("30 22 8:1 / /MDrive rw - ext4 /dev/disk/by-label/x rw\n"), "/MDrive is mounted");
    refused(&order(), &mounted("30 22 0:44 /@ /MDrive rw - btrfs /dev/sda1 rw\n"), "/MDrive is mounted");
}

#[test]
fn swap_layers_networks_and_detached_file_systems_keep_it_on() {
    let swap = Found { swaps: vec!["/var/swap".into(), "/dev/sda1".into()], ..found() };
    refused(&order(), &swap, "keeps its power: /dev/sda1 is swap; run swapoff first");
    let holder = Found { holders: [("dm-0".to_owned(), "sda1".to_owned())].into(), ..found() };
    refused(&order(), &holder, "dm-0 is made of sda1; close it first");
    refused(&order(), &Found { networks: vec!["eth0".into()], ..found() }, "the network interface eth0 hangs on it");
    let detached = Found { alive: vec![("sda1".into(), "ext4".into())], ..found() };
    refused(&order(), &detached, "the ext4 of sda1 is detached but still in use");
}

#[test]
fn the_disk_that_was_named_must_be_that_of_the_hub_and_unmounted() {
    let named = |disk: &str| Order { disk: Some(disk.into()), ..order() };
    assert!(plan(&named("/MDrive"), &found()).is_ok() && plan(&named("/dev/sda1"), &found()).is_ok());
    refused(&named("/dev/sdb"), &found(), "/dev/sdb does not hang on it; is that the right hub?");
    refused(&named("/MDrive/"), &mounted("30 22 0:50 / /MDrive rw - fuseblk x rw\n"), "/MDrive/ is mounted");
}

#[test]
fn all_reasons_are_told_at_once() {
    let found = Found { networks: vec!["eth0".into()], swaps: vec!["/dev/sda".into()], ..found() };
    refused(&order(), &found, "the network interface eth0 hangs on it; /dev/sda is swap");
}

#[test]
fn a_hub_that_is_not_there_may_come_back() {
    let failure = plan(&order(), &Found::default()).unwrap_err();
    assert!(matches!(&failure, Failure::Temporary(why) if why.contains("there is no hub 2")), "{failure}");
}

#[test]
fn a_hub_is_written_as_uhubctl_does() {
    for (hub, good) in
        [("2", true), ("1-1", true), ("1-1.4", true), ("", false), ("1-", false), ("../x", false), ("-1", false)]
    {
        assert_eq!(is_location(hub), good, "{hub}");
    }
}

#[test]
fn ports_that_still_have_power_are_named() {
    let shown = "Current status for hub 2 [1d6b:0003, USB 3.00, 4 ports, ppps]\n  Port 1: 0080 off\n  Port 2: 02a0 power 5gbps Rx.Detect\n";
    assert_eq!(ports_with_power(shown), Some(vec!["2"]));
    assert_eq!(ports_with_power("  Port 1: 0000 off\n"), Some(vec![]));
    assert_eq!(ports_with_power("No compatible devices detected!\n"), None);
}
