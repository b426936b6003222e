//! The hooks that we ship, each run for real: mounts in a mount namespace of its own, of a tmpfs that a private fstab
//! names; the power-off command is one that only writes a line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

struct Sandbox {
    scratch: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self { scratch: tempfile::tempdir().expect("a scratch directory") };
        std::fs::create_dir(sandbox.share()).expect("it is empty");
        let fstab =
            format!("demo {} tmpfs noauto,size=64k 0 0\n", sandbox.share().display().to_string().replace(' ', "\\040"));
        std::fs::write(sandbox.path("fstab"), fstab).expect("it can be written");
        sandbox
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A name with a blank, as people give.
    fn share(&self) -> PathBuf {
        self.path("my share")
    }

    /// Runs a shell text in mount and user namespaces of its own, with these hooks' folder in `$HOOKS`.
    fn run(&self, text: &str, variables: &[(&str, &str)]) -> Output {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks");
        let root = nix::unistd::geteuid().is_root();
        let namespaces: &[&str] = if root { &["--mount"] } else { &["--mount", "--map-root-user"] };
        Command::new("unshare")
            .args(namespaces)
            .args(["--propagation", "private", "sh", "-c", text])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOOKS", hooks)
            .env("LIBMOUNT_FSTAB", self.path("fstab"))
            .env("MDRIVE", self.share())
            .envs(variables.iter().copied())
            .output()
            .expect("unshare is part of util-linux")
    }

    /// The exit codes that the text has printed, one a line.
    fn codes(&self, text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let output = self.run(text, variables);
        let told = String::from_utf8_lossy(&output.stdout);
        let codes = told.lines().filter_map(|line| line.strip_prefix("code ")).map(String::from);
        codes.collect()
    }
}

const MOUNTED: &str = "mounted() { findmnt -lno TARGET | grep -Fxq -- \"$MDRIVE\"; echo code $?; };";

#[test]
fn the_share_is_mounted_once_and_unmounted_once() {
    let text = format!(
        "{MOUNTED} up=$HOOKS/server-up/20-mount-share down=$HOOKS/server-stopping/50-unmount-share
        $up; echo code $?; mounted; $up; echo code $?; $down; echo code $?; mounted; $down; echo code $?"
    );
    assert_eq!(Sandbox::new().codes(&text, &[]), ["0", "0", "0", "0", "1", "0"]);
}

#[test]
fn a_share_may_be_written_with_more_slashes_than_it_needs() {
    let sandbox = Sandbox::new();
    let text = "$HOOKS/server-up/20-mount-share
        MDRIVE=$MDRIVE/./ $HOOKS/server-stopping/50-unmount-share; echo code $?
        findmnt -lno TARGET | grep -Fxq -- \"$MDRIVE\"; echo code $?";
    let codes = sandbox.codes(text, &[("LC_ALL", "C")]);
    assert_eq!(codes, ["0", "1"]);
}

#[test]
fn a_share_that_cannot_be_mounted_is_tried_again() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("fstab"), "").expect("it can be written");
    assert_eq!(sandbox.codes("$HOOKS/server-up/20-mount-share; echo code $?", &[]), ["111"]);
}

#[test]
fn a_busy_share_is_tried_again_or_detached_if_that_is_wanted() {
    let text = format!(
        "{MOUNTED} $HOOKS/server-up/20-mount-share; exec 9>\"$MDRIVE/open\"
        $HOOKS/server-stopping/50-unmount-share; echo code $?; mounted"
    );
    assert_eq!(Sandbox::new().codes(&text, &[]), ["111", "0"]);
    assert_eq!(Sandbox::new().codes(&text, &[("FORCE_UMOUNT", "1")]), ["0", "1"]);
}

#[test]
fn a_lost_share_is_detached_though_it_is_busy() {
    let text = format!(
        "{MOUNTED} $HOOKS/server-up/20-mount-share; exec 9>\"$MDRIVE/open\"
        $HOOKS/server-lost/50-unmount-lazily; echo code $?; mounted; $HOOKS/server-lost/50-unmount-lazily; echo code $?"
    );
    assert_eq!(Sandbox::new().codes(&text, &[]), ["0", "1", "0"]);
}

#[test]
fn without_a_share_there_is_nothing_to_do() {
    let text = "for hook in server-up/20-mount-share server-stopping/50-unmount-share server-lost/50-unmount-lazily
        do \"$HOOKS/$hook\"; echo code $?; done";
    assert_eq!(Sandbox::new().codes(text, &[("MDRIVE", "")]), ["0", "0", "0"]);
}

#[test]
fn the_power_off_is_the_command_of_the_settings_and_nothing_without_one() {
    let sandbox = Sandbox::new();
    let off = sandbox.path("off");
    let text = "$HOOKS/power-off/90-power-off; echo code $?";
    let command = format!("touch {}", off.display());
    assert_eq!(sandbox.codes(text, &[("POWER_OFF_COMMAND", &command)]), ["0"]);
    assert!(off.exists());
    assert_eq!(sandbox.codes(text, &[]), ["100"]);
}

#[test]
fn the_disks_are_synced() {
    assert_eq!(Sandbox::new().codes("$HOOKS/clients-released/50-sync-disks; echo code $?", &[]), ["0"]);
}
