//! `fclient check`: what would be done, and everything that stands in its way.

#![allow(clippy::unwrap_used)] // a test may unwrap

mod common;

use common::Home;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

fn check(command: &mut Command) -> (Option<i32>, String) {
    let output = command.arg("check").stdout(Stdio::piped()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_sound_set_up_is_told_and_nothing_is_changed() {
    let home = Home::new();
    let (code, said) = check(home.command().args(["--server", "attic"]).env("POWER_OFF", "1"));
    assert_eq!(code, Some(0), "{said}{}", home.read_log());
    for line in [
        "follows attic port 5555 as kitchen",
        "powers this machine off when its server shuts down, with `touch",
        "power-off from environment, power-off-on-lost from default",
        "server-stopping/50-unmount-share",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!home.path("state").exists());
}

#[test]
fn every_problem_is_listed_with_its_remedy() {
    let home = Home::new();
    fs::set_permissions(home.path("hooks/server-up/20-mount-share"), Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(home.path("hooks/power-off/90-power-off")).unwrap();
    home.script("hooks/server-lost/unmount", "");
    fs::write(home.path("file"), "").unwrap();
    let (code, said) = check(
        home.command().args(["--server", "attic"]).env("POWER_OFF", "1").env("STATE_DIR", home.path("file/state")),
    );
    assert_eq!(code, Some(100));
    for problem in ["has no run bit; run `chmod +x", "rename", "install power-off/90-power-off", "set STATE_DIR to one"]
    {
        assert!(said.contains(problem), "{problem}: {said}");
    }
    assert_eq!(said.matches("problem:").count(), 4, "{said}");
}

#[test]
fn wrong_settings_are_named_all_at_once() {
    let home = Home::new();
    let (code, said) = check(home.command().env("PORT", "many").env("TIMEOUT", "soon"));
    assert_eq!(code, Some(100));
    for word in ["HOST", "PORT", "TIMEOUT"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    let home = Home::new();
    fs::write(home.path("fclient.toml"), "host = \"attic\"\npower-of = \"1\"\n").unwrap();
    let (code, said) = check(home.command().arg("--config").arg(home.path("fclient.toml")));
    assert_eq!(code, Some(100));
    assert!(said.contains("power-of") && said.contains("power-off"), "{said}");
}

#[test]
fn an_unreadable_variables_directory_is_named() {
    let home = Home::new();
    let (code, said) = check(home.command().args(["--server", "attic", "--variables", "/nowhere/variables"]));
    assert_eq!(code, Some(100));
    assert!(said.contains("/nowhere/variables: cannot be read"), "{said}");
}
