//! What the Debian packages hold, laid out as `make deb` does it: each hook, template, unit and man page of the tree is in
//! exactly one package, and the words in which the packages speak of each other agree.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::world::programs;

const PACKAGES: [&str; 5] = ["fserver", "fclient", "pistop-camera", "pistop-upload", "pistop-common"];

/// Those with a service of their own: its program, its package and its folder.
const SERVICES: [(&str, &str, &str); 4] = [
    ("fserver", "fserver", "fserver"),
    ("fclient", "fclient", "fclient"),
    ("camera", "pistop-camera", "services/camera"),
    ("upload", "pistop-upload", "services/upload"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Path on the machine, to mode and package; panics if two packages have the same file.
type Layout = BTreeMap<String, (u32, &'static str)>;

fn lay_out() -> Layout {
    let stage = tempfile::tempdir().unwrap();
    let binaries = programs::find("fserver").parent().unwrap().to_owned();
    let done = Command::new(root().join("tests/packages/stage")).arg(binaries).arg(stage.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut layout = Layout::new();
    for package in PACKAGES {
        for (path, mode) in files(&stage.path().join(package)) {
            let twice = layout.insert(path.clone(), (mode, package));
            assert_eq!(twice, None, "{path} is in {package}, too");
        }
    }
    layout
}

/// Regular files below a folder, by their paths in it, with their modes.
fn files(folder: &Path) -> Vec<(String, u32)> {
    let found = Command::new("find").arg(folder).args(["-type", "f", "-printf", "%m %P\\n"]).output().unwrap();
    let lines = String::from_utf8(found.stdout).unwrap();
    let file = |line: &str| {
        let (mode, path) = line.split_once(' ').unwrap();
        (path.to_owned(), u32::from_str_radix(mode, 8).unwrap())
    };
    lines.lines().map(file).collect()
}

fn folders(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn every_hook_is_in_the_package_of_its_side() {
    let layout = lay_out();
    for event in folders(&root().join("hooks")) {
        let server = ["clients-released", "going-down"].contains(&name(&event));
        let owner = if server { "fserver" } else { "fclient" };
        for (hook, _) in files(&event) {
            let path = format!("usr/share/pistop/hooks/{}/{hook}", name(&event));
            assert_eq!(layout.get(&path), Some(&(0o755, owner)), "{path}");
        }
    }
}

#[test]
fn every_template_unit_and_man_page_is_packaged() {
    let layout = lay_out();
    let programs = folders(&root()).into_iter().chain(folders(&root().join("services")));
    let mut templates = 0;
    for program in programs {
        for (file, mode) in files(&program.join("service")) {
            let path = format!("usr/share/pistop/services/{}/{file}", name(&program));
            let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
            assert_eq!(layout.get(&path).map(|(mode, _)| *mode), Some(mode), "{path}");
            templates += 1;
        }
        for (file, _) in files(&program.join("systemd")) {
            assert!(layout.keys().any(|path| path.ends_with(&format!("/{file}"))), "{}/systemd/{file}", name(&program));
        }
        for entry in fs::read_dir(&program).unwrap().map(|entry| entry.unwrap().path()) {
            let section =
                entry.extension().filter(|section| section.len() == 1).map(|section| section.display().to_string());
            let Some(section) = section.filter(|section| section.bytes().all(|byte| byte.is_ascii_digit())) else {
                continue;
            };
            let path = format!("usr/share/man/man{section}/{}.gz", name(&entry));
            assert!(layout.contains_key(&path), "{path}");
        }
    }
    assert!(templates >= 6, "{templates} files of templates");
    for (program, package, _) in SERVICES {
        for path in [
            format!("usr/lib/systemd/system/{program}.service"),
            format!("etc/pistop/{program}.toml"),
            format!("usr/share/man/man8/{program}.8.gz"),
            format!("usr/share/pistop/services/{program}/{program}.service"),
        ] {
            assert_eq!(layout.get(&path), Some(&(0o644, package)), "{path}");
        }
        assert_eq!(layout[&format!("usr/share/pistop/services/{program}/run")], (0o755, package));
    }
    assert_eq!(layout["etc/pistop/cameras/cam1"], (0o640, "pistop-camera"), "an address may hold a password");
}

#[test]
fn every_program_has_its_completions_in_three_shells() {
    let layout = lay_out();
    let services = SERVICES.map(|(program, package, _)| (program, package));
    for (program, package) in services.into_iter().chain([("pistop", "pistop-common")]) {
        assert_eq!(layout[&format!("usr/bin/{program}")], (0o755, package));
        for path in [
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/zsh/vendor-completions/_{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
        ] {
            assert_eq!(layout.get(&path), Some(&(0o644, package)), "{path}");
        }
    }
}

fn manifest(path: &str) -> String {
    fs::read_to_string(root().join(path).join("Cargo.toml")).unwrap()
}

#[test]
fn the_packages_of_one_version_go_together() {
    let version = env!("CARGO_PKG_VERSION");
    for (_, _, folder) in SERVICES {
        let depends = format!("$auto, pistop-common (= {version}-1)");
        let manifest = manifest(folder);
        let line = manifest.lines().find(|line| line.starts_with("depends = "));
        assert!(line.is_some_and(|line| line.contains(&depends)), "{folder}/Cargo.toml should say {depends}");
    }
}

/// Stopped before unpacking and started again behind, fserver would announce a shutdown to the whole house.
#[test]
fn an_update_restarts_a_service_and_never_stops_it() {
    for (program, _, folder) in SERVICES {
        let manifest = manifest(folder);
        let unit = manifest.lines().find(|line| line.contains(&format!("unit-name = \"{program}\""))).unwrap();
        assert!(unit.contains("restart-after-upgrade = true") && unit.contains("stop-on-upgrade = false"), "{unit}");
    }
}

#[test]
fn the_changelog_takes_the_form_of_debian() {
    let words = ["VERSION=1.2.3", "REVISION=1", "MAINTAINER=A B <a@b>", "DATE=Thu, 01 Jan 2026 00:00:00 +0000"];
    let mut awk = Command::new("awk");
    for word in words {
        awk.args(["-v", word]);
    }
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("CHANGELOG.md");
    let long = "word ".repeat(40);
    fs::write(&log, format!("# Changelog\n\n## Unreleased\n\n- One\n  goes on.\n- {long}\n\n## 1.2.2\n\n- Old.\n"))
        .unwrap();
    let output = awk.arg("-f").arg(root().join("tests/packages/changelog")).arg(log).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("pistop-rs (1.2.3-1) unstable; urgency=medium\n\n  * One goes on.\n  * word "), "{text}");
    assert!(text.contains("\n -- A B <a@b>  Thu, 01 Jan 2026 00:00:00 +0000\n\npistop-rs (1.2.2-1) "), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}
