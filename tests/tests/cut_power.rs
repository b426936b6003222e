//! `pistop cut-power` on trees as a Pi has them, with programs that write down how they were called. Mounts are real
//! ones, in a mount namespace of their own.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tests::World;
use tests::world::{executable, programs, read};

const CONTROLLER: &str = "devices/platform/pcie/0000:01:00.0";
const OFF: &str = "  Port 1: 0080 off\n  Port 2: 0080 off\n";
/// A disk of a name that no machine has.
const DISK: &str = "pistopdisk";

struct Board {
    world: World,
}

impl Board {
    /// A Pi 4 with a disk at its USB 3 hub, and a hub that can be switched.
    fn new() -> Self {
        let board = Self { world: World::new() };
        fs::write(board.config(), "").unwrap();
        for name in ["sync", "blockdev", "uhubctl"] {
            board.program(name, "");
        }
        board.program("uhubctl", &format!("case $1 in -l) printf '{OFF}';; esac"));
        let usb = format!("{CONTROLLER}/usb2");
        let block = format!("{usb}/2-1/2-1:1.0/host0/target0:0:0/0:0:0:0/block/{DISK}");
        board.device("bus/usb/devices", &usb, "bDeviceClass", "09");
        board.device("class/block", &block, "dev", "8:0");
        board.device("class/block", &format!("{block}/{DISK}1"), "dev", "8:1");
        board
    }

    /// A folder of a device with one file in it, and a link to it from its class.
    fn device(&self, class: &str, folder: &str, file: &str, text: &str) {
        let folder = self.world.path(&format!("sys/{folder}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), format!("{text}\n")).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        symlink(&folder, self.world.path(&format!("sys/{class}/{name}"))).unwrap();
    }

    /// A stand-in that writes down its name and arguments, and then does this.
    fn program(&self, name: &str, text: &str) {
        let calls = self.world.path("calls");
        let script = format!("#!/bin/sh\necho {name} \"$@\" >> '{}'\n{text}\n", calls.display());
        executable(&self.world.path("bin").join(name), &script);
    }

    fn calls(&self) -> Vec<String> {
        read(&self.world.path("calls")).lines().map(String::from).collect()
    }

    /// In place of the one that this machine may have.
    fn config(&self) -> String {
        self.world.path("fserver.toml").display().to_string()
    }

    fn sysfs(&self) -> String {
        self.world.path("sys").display().to_string()
    }

    fn cut(&self, arguments: &[&str]) -> Output {
        let mut command = self.world.command(programs::find("pistop"));
        command
            .args(["cut-power", "--sysfs", &self.sysfs(), "--config", &self.config()])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// In a mount namespace, after this text.
    fn cut_after(&self, text: &str, arguments: &[&str]) -> Output {
        let root: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let text = format!("{text} && exec \"$@\"");
        let mut command = self.world.command("unshare");
        command.arg("--mount").args(root).args(["--propagation", "private", "sh", "-c", &text, "sh"]);
        command
            .arg(programs::find("pistop"))
            .args(["cut-power", "--sysfs", &self.sysfs()])
            .args(["--config", &self.config()])
            .args(arguments);
        command.output().unwrap()
    }
}

#[track_caller]
fn fails(output: &Output, code: i32, expected: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(error.contains(expected), "`{expected}` is not in: {error}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_disk_that_nobody_uses_is_written_out_switched_off_and_looked_at() {
    let board = Board::new();
    let output = board.cut(&["--hub", "2"]);
    assert!(output.status.success() && said(&output).ends_with("hub 2 is off\n"), "{output:?}");
    let flush = |name: &str| format!("blockdev --flushbufs /dev/{name}");
    let expected =
        ["sync".into(), flush("pistopdisk1"), flush(DISK), "uhubctl -a 0 -l 2".into(), "uhubctl -l 2".to_owned()];
    assert_eq!(board.calls(), expected);
}

#[test]
fn a_hub_that_gangs_its_ports_is_called_twice() {
    let board = Board::new();
    fs::write(board.config(), "usb-hub = 2\nusb-ports = \"1-2\"\nusb-ganged = true\nmaxdaemons = 7\n").unwrap();
    let output = board.cut(&[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(board.calls()[3..], ["uhubctl -a 0 -l 2 -p 1-2", "uhubctl -a 0 -l 2 -p 1-2", "uhubctl -l 2 -p 1-2"]);
}

#[test]
fn a_dry_run_says_everything_and_does_nothing() {
    let board = Board::new();
    let output = board.cut(&["--hub", "2", "--ganged", "--dry-run"]);
    assert!(output.status.success() && board.calls().is_empty(), "{output:?} {:?}", board.calls());
    assert_eq!(said(&output).matches("switch off: uhubctl -a 0 -l 2\n").count(), 2);
}

#[test]
fn without_a_hub_there_is_nothing_to_do() {
    let board = Board::new();
    let output = board.cut(&[]);
    assert!(output.status.success() && said(&output).contains("no hub is set"), "{output:?}");
    assert!(board.calls().is_empty());
}

/// A real mount: its number becomes that of the partition.
#[test]
fn a_file_system_of_the_disk_that_is_mounted_keeps_the_power_on() {
    let board = Board::new();
    let place = board.world.path("My Drive");
    fs::create_dir(&place).unwrap();
    let partition = format!("{}/class/block/{DISK}1/dev", board.sysfs());
    let mount =
        format!("mount -t tmpfs none '{0}' && findmnt --kernel -no MAJ:MIN '{0}' > '{partition}'", place.display());
    fails(&board.cut_after(&mount, &["--hub", "2"]), 100, &format!("{} is mounted; unmount it first", place.display()));
    assert!(board.calls().is_empty());
    let gone = format!("{mount} && umount '{}'", place.display());
    assert!(board.cut_after(&gone, &["--hub", "2"]).status.success());
    assert_eq!(board.calls().len(), 5);
}

#[test]
fn the_disk_itself_may_be_named_and_must_not_be_mounted() {
    let board = Board::new();
    let place = board.world.path("MDrive");
    fs::create_dir(&place).unwrap();
    let mount = format!("export MDRIVE='{0}/' USB_HUB=2; mount -t tmpfs none '{0}'", place.display());
    fails(&board.cut_after(&mount, &[]), 100, "/MDrive/ is mounted; unmount it first");
    fails(&board.cut(&["--hub", "2", "--disk", "/dev/null"]), 100, "/dev/null does not hang on it");
    assert!(board.calls().is_empty());
}

#[test]
fn the_network_at_the_same_hub_keeps_the_power_on() {
    let board = Board::new();
    let adapter = format!("{CONTROLLER}/usb2/2-2/2-2:1.0");
    board.device("class/net", &format!("{adapter}/net/eth1"), "operstate", "up");
    symlink(board.world.path(&format!("sys/{adapter}")), board.world.path(&format!("sys/{adapter}/net/eth1/device")))
        .unwrap();
    fails(&board.cut(&["--hub", "2"]), 100, "hub 2 keeps its power: the network interface eth1 hangs on it");
    assert!(board.calls().is_empty());
}

#[test]
fn a_hub_that_is_not_there_is_named() {
    let board = Board::new();
    fails(&board.cut(&["--hub", "1-1"]), 111, "there is no hub 1-1; `uhubctl` lists those that can be switched");
    fails(&board.cut(&["--hub", "../.."]), 100, "`../..` is no hub; write it as uhubctl shows it");
    assert!(board.calls().is_empty());
}

#[test]
fn uhubctl_that_is_not_there_fails_or_does_nothing_is_told() {
    let board = Board::new();
    fails(
        &board.cut(&["--hub", "2", "--uhubctl", "/nowhere/uhubctl"]),
        100,
        "/nowhere/uhubctl cannot be started: No such file or directory (os error 2); install",
    );
    board.program("uhubctl", "echo 'No compatible devices detected!'; exit 1");
    fails(&board.cut(&["--hub", "2"]), 111, "could not switch hub 2 off: No compatible devices detected!");
    board.program("uhubctl", "echo '  Port 1: 0503 power highspeed enable connect'");
    fails(&board.cut(&["--hub", "2"]), 111, "hub 2 still has power at port 1; if the hub switches its ports together");
}

/// A disk that is still written to must not lose its power, and the machine must not wait for it for ever.
#[test]
fn uhubctl_that_hangs_is_ended() {
    let board = Board::new();
    board.program("uhubctl", "exec sleep 600");
    let began = Instant::now();
    fails(&board.cut(&["--hub", "2"]), 111, "uhubctl could not switch hub 2 off: not done after 10 s");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    board
        .world
        .until("nothing is left of it", || board.world.processes().iter().all(|line| !line.contains("sleep 600")));
}

/// The unit as it is shipped, but for the place of the program, is what systemd takes.
#[test]
fn the_unit_is_good_and_does_not_run_at_a_restart() {
    let world = World::new();
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/pistop/systemd/usb3-poweroff.service");
    let text = fs::read_to_string(unit).unwrap();
    assert!(text.contains("ExecStart=/usr/bin/pistop cut-power\n") && text.contains("\nAfter=umount.target\n"));
    assert!(text.contains("WantedBy=halt.target poweroff.target\n") && !text.contains("reboot.target"));
    let here = world.path("usb3-poweroff.service");
    let pistop = programs::find("pistop");
    fs::write(&here, text.replace("/usr/bin/pistop", pistop.to_str().unwrap())).unwrap();
    let mut command = Command::new("systemd-analyze");
    let output = command.args(["verify", "--man=no"]).arg(&here).env("SYSTEMD_LOG_LEVEL", "warning").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = told.lines().filter(|line| line.contains("usb3-poweroff")).collect();
    assert!(output.status.success() && ours.is_empty(), "{told}");
}
