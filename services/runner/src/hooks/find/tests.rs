//! Each test is a machine with two folders of hooks and a home, and what is found there.

use super::*;
use HookEvent::{ClientsReleased, PowerOff, ServerLost, ServerStopping, ServerUp};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// A machine with `system/` and `own/` folders of hooks and a home.
struct Machine(TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn path(&self, place: &str) -> PathBuf {
        self.0.path().join(place)
    }

    fn file(self, place: &str) -> Machine {
        let path = self.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn without_run_bit(self, place: &str) -> Machine {
        let machine = self.file(place);
        fs::set_permissions(machine.path(place), fs::Permissions::from_mode(0o644)).unwrap();
        machine
    }

    fn link(self, place: &str, to: &str) -> Machine {
        let path = self.path(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
        self
    }

    fn hooks(&self, event: HookEvent) -> Vec<Hook> {
        find(event, &[self.path("system"), self.path("own")], Some(&self.path("home"))).unwrap()
    }

    /// The programs in their order, as places.
    fn order(&self, event: HookEvent) -> Vec<String> {
        let place = |hook: Hook| hook.program.strip_prefix(self.0.path()).unwrap().display().to_string();
        self.hooks(event).into_iter().map(place).collect()
    }

    fn only_fault(&self) -> String {
        let hooks = self.hooks(ServerUp);
        assert_eq!(hooks.len(), 1, "{hooks:?}");
        hooks[0].fault.clone().unwrap()
    }
}

#[test]
fn all_directories_are_merged_in_the_order_of_the_names() {
    let machine = Machine::new()
        .file("own/server-up/10-start-network")
        .file("system/server-up/20-mount-share")
        .file("own/server-up/30-play-music.sh")
        .file("system/server-lost/20-mount-share");
    let expected =
        ["own/server-up/10-start-network", "system/server-up/20-mount-share", "own/server-up/30-play-music.sh"];
    assert_eq!(machine.order(ServerUp), expected);
    assert_eq!(machine.hooks(ServerUp)[1].name, "server-up/20-mount-share");
    assert_eq!(machine.hooks(ServerUp)[1].fault, None);
    assert_eq!(machine.order(PowerOff), [""; 0], "a missing folder is fine");
}

#[test]
fn a_later_directory_replaces_and_switches_off() {
    let machine = Machine::new()
        .file("system/server-up/10-start-network")
        .file("own/server-up/10-start-network")
        .file("system/server-up/20-mount-share")
        .link("own/server-up/20-mount-share", "/dev/null");
    assert_eq!(machine.order(ServerUp), ["own/server-up/10-start-network"]);
}

#[test]
fn what_editors_and_packages_leave_behind_is_no_hook() {
    let machine = Machine::new()
        .file("own/server-up/.20-mount-share.swp")
        .file("own/server-up/20-mount-share~")
        .file("own/server-up/20-mount-share.dpkg-old")
        .file("own/server-up/README.md");
    assert_eq!(machine.order(ServerUp), [""; 0]);
}

#[test]
fn a_slip_is_kept_with_its_remedy() {
    let fault = Machine::new().without_run_bit("own/server-up/20-mount-share").only_fault();
    assert!(fault.contains("run `chmod +x /") && fault.contains("own/server-up/20-mount-share`"), "{fault}");

    for name in
        ["mount-share", "2-mount-share", "020-mount-share", "20_mount_share", "20-mount", "20-Mount-x", "20-a-b c"]
    {
        let fault = Machine::new().file(&format!("own/server-up/{name}")).only_fault();
        assert!(fault.contains("name must be NN-verb-object") && fault.contains(name), "{fault}");
    }

    let fault = Machine::new().link("own/server-up/20-mount-share", "/nowhere").only_fault();
    assert!(fault.contains("mend or remove"), "{fault}");
    let fault = Machine::new().file("own/server-up/20-mount-share/inner").only_fault();
    assert!(fault.contains("is no file; move"), "{fault}");
}

#[test]
fn a_folder_that_cannot_be_read_is_an_error_with_its_path() {
    let machine = Machine::new().file("own/server-up");
    let why = find(ServerUp, &[machine.path("own")], None).unwrap_err().to_string();
    assert!(why.contains("own/server-up: cannot be read"), "{why}");
}

#[test]
fn an_old_start_script_replaces_all_hooks() {
    let machine = Machine::new()
        .file("home/.pistop/pistopstart")
        .file("home/.pistop/pre_mount")
        .file("own/server-up/10-start-network")
        .file("own/power-off/90-power-off");
    for (event, word) in [(ServerUp, "start"), (ServerStopping, "stop"), (ServerLost, "stop")] {
        let expected = Hook {
            name: format!("{event}/pistopstart"),
            program: machine.path("home/.pistop/pistopstart"),
            arguments: vec![word.into()],
            directory: Some(machine.path("home/.pistop")),
            legacy_socket: true,
            fault: None,
        };
        assert_eq!(machine.hooks(event), [expected]);
    }
    assert_eq!(machine.order(PowerOff), ["own/power-off/90-power-off"], "an event it does not know");
    let machine = machine.file("own/motion/50-ring-bell");
    assert_eq!(machine.order(HookEvent::Fact("motion")), ["own/motion/50-ring-bell"], "nor does it know facts");

    let machine = Machine::new().without_run_bit("home/.pistop/pistopstart").file("own/server-up/10-start-network");
    assert_eq!(machine.order(ServerUp), ["own/server-up/10-start-network"]);
}

#[test]
fn old_mount_scripts_stand_around_the_hook_that_mounts() {
    let scripts = || {
        let machine = Machine::new().file("home/.pistop/pre_mount").file("home/.pistop/post_mount");
        machine.file("home/.pistop/pre_unmount").file("home/.pistop/post_unmount")
    };
    let machine = scripts()
        .file("own/server-up/10-start-network")
        .file("own/server-up/30-mount-share")
        .file("own/server-up/40-mount-other")
        .file("own/server-lost/10-stop-music")
        .file("own/server-lost/60-play-sound");
    let (pre, post) = ("home/.pistop/pre_mount", "home/.pistop/post_mount");
    let up = "own/server-up";
    let expected = [
        &format!("{up}/10-start-network"),
        pre,
        &format!("{up}/30-mount-share"),
        post,
        &format!("{up}/40-mount-other"),
    ];
    assert_eq!(machine.order(ServerUp), expected);
    let expected = ["own/server-lost/10-stop-music", "home/.pistop/pre_unmount", "home/.pistop/post_unmount"];
    assert_eq!(machine.order(ServerLost)[..3], expected, "where such a hook would stand");
    let hook = &machine.hooks(ServerStopping)[0];
    assert_eq!(
        (hook.name.as_str(), &hook.directory),
        ("server-stopping/pre_unmount", &Some(machine.path("home/.pistop")))
    );
    assert_eq!(machine.order(ClientsReleased), [""; 0]);
}
