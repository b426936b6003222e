//! The example files are loaded by the programs that they are for, from Debian's packages: nothing is in them that Samba,
//! the NFS tools, autofs, systemd or our own programs do not know. Each runs on a copy whose paths lie in a scratch
//! directory, in namespaces of its own where it would otherwise touch the machine. mpd has `example_players.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

use runner::settings::{Setting, Settings, Sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tests::World;
use tests::world::programs;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn example(path: &str) -> PathBuf {
    root().join("example_config").join(path)
}

/// The text of an example with other paths, each of which must be in it.
fn moved(path: &str, places: &[(&str, &str)]) -> String {
    let text = fs::read_to_string(example(path)).unwrap();
    places.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{path} has no {from} any more");
        text.replace(from, to)
    })
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A shell text in mount and network namespaces of its own, with the scratch directory as `$1`.
fn apart(world: &World, text: &str) -> Output {
    let mut unshare = world.command("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--mount", "--net", "--propagation", "private", "sh", "-c", text, "sh"]);
    unshare.arg(world.path("").as_os_str()).output().unwrap()
}

#[test]
fn samba_knows_every_parameter() {
    let world = World::new();
    let music = world.path("Music");
    fs::create_dir(&music).unwrap();
    let config = world.path("smb.conf");
    fs::write(&config, moved("server/etc/samba/smb.conf", &[("/MDrive/Music", music.to_str().unwrap())])).unwrap();
    let output = world.command("testparm").args(["--suppress-prompt", config.to_str().unwrap()]).output().unwrap();
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("Unknown") && !told.contains("Ignoring") && !told.contains("WARNING"), "{told}");
    assert!(told.contains("[Music]") && told.contains(&format!("path = {}", music.display())), "{told}");
}

/// exportfs works without a server in the kernel: it reads the file and writes down what mountd would answer.
#[test]
fn the_nfs_tools_export_the_disk_as_the_root_of_one_tree() {
    let world = World::new();
    fs::create_dir(world.path("MDrive")).unwrap();
    let disk = world.path("MDrive").display().to_string();
    fs::write(world.path("exports"), moved("server/etc/exports", &[("\n/MDrive ", &format!("\n{disk} "))])).unwrap();
    let text = "mount -t tmpfs state /var/lib/nfs && mount --bind \"$1/exports\" /etc/exports &&
        exportfs -ra && cat /var/lib/nfs/etab";
    let output = apart(&world, text);
    let told = told(&output);
    assert!(output.status.success(), "{told}");
    let export = told.lines().find(|line| line.starts_with(&disk)).unwrap_or_else(|| panic!("not exported: {told}"));
    for option in ["192.168.2.0/24(rw,sync,", ",root_squash,", ",no_subtree_check,", ",fsid=0,", ",mountpoint,"] {
        assert!(export.contains(option), "{option} is not in {export}");
    }
}

/// What systemd makes of a line, as names of files below the folder of units, and the text of the mount unit.
fn generated(world: &World, side: &str, mount: &str) -> (Vec<String>, String) {
    let folder = world.path(&format!("{side}-units"));
    fs::create_dir(&folder).unwrap();
    let output = world
        .command("/usr/lib/systemd/system-generators/systemd-fstab-generator")
        .args([&folder, &world.path("early"), &world.path("late")])
        .env("SYSTEMD_FSTAB", example(&format!("{side}/etc/fstab")))
        .env("SYSTEMD_LOG_TARGET", "console")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let found = world.command("find").arg(&folder).args(["-name", "*.mount", "-printf", "%P\n"]).output().unwrap();
    (told(&found).lines().map(String::from).collect(), fs::read_to_string(folder.join(mount)).unwrap())
}

#[test]
fn systemd_mounts_the_disk_at_boot_and_leaves_the_share_to_fclient() {
    let world = World::new();
    let (mut server, disk) = generated(&world, "server", "MDrive.mount");
    server.sort();
    assert_eq!(server, ["MDrive.mount", "local-fs.target.wants/MDrive.mount"], "wanted, but not required");
    assert!(disk.contains("\nWhere=/MDrive\nType=ext4\n"), "{disk}");
    let (client, share) = generated(&world, "client", "var-lib-mpd-MDrive.mount");
    assert_eq!(client, ["var-lib-mpd-MDrive.mount"], "nothing mounts it by itself");
    assert!(share.contains("\nWhat=musicpi:/\n"), "{share}");
}

#[test]
fn mount_reads_the_lines_for_fstab() {
    let world = World::new();
    fs::create_dir(world.path("disk")).unwrap();
    let disk = world.path("disk").display().to_string();
    let missing = "unreachable on boot required source: UUID=";
    for (side, place) in [("server", "/MDrive"), ("client", "/var/lib/mpd/MDrive")] {
        let table = world.path(side);
        fs::write(&table, moved(&format!("{side}/etc/fstab"), &[(&format!(" {place} "), &format!(" {disk} "))]))
            .unwrap();
        let output = world.command("findmnt").args(["--verify", "--verbose", "--tab-file"]).arg(&table).output();
        let told = told(&output.unwrap());
        assert!(told.contains(&disk) && !told.contains("parse error:"), "{told}");
        let faults = told.lines().filter(|line| line.contains("[E]") || line.contains("[W]"));
        let faults: Vec<_> = faults.filter(|line| !line.contains(missing)).collect();
        assert!(faults.is_empty(), "{side}: {faults:?}");
    }
}

/// A real automount, with a directory in the server's place. Needs root: the kernel lets no user namespace mount autofs.
#[test]
fn autofs_mounts_the_share_on_first_look_and_hides_nothing_beside_it() {
    if !nix::unistd::geteuid().is_root() {
        return eprintln!("not tested: automount needs root");
    }
    let world = World::new();
    let scratch = world.path("").display().to_string();
    let scratch = scratch.trim_end_matches('/');
    for folder in ["disk", "mpd/MDrive"] {
        fs::create_dir_all(world.path(folder)).unwrap();
    }
    fs::write(world.path("disk/song"), "").unwrap();
    fs::write(world.path("mpd/state"), "").unwrap();
    let map = moved(
        "client/etc/autofs.mounts",
        &[
            ("\n/var/lib/mpd/", &format!("\n{scratch}/mpd/")),
            (" -fstype=nfs4,vers=4.2,soft,timeo=100,retrans=2,noatime ", " -fstype=bind "),
            (" musicpi:/", &format!(" :{scratch}/disk")),
        ],
    );
    fs::write(world.path("map"), map).unwrap();
    let master = moved("client/etc/auto.master.d/mpd.autofs", &[("/etc/autofs.mounts", &format!("{scratch}/map"))]);
    fs::write(world.path("master"), master).unwrap();
    let output = apart(
        &world,
        "automount --foreground --verbose --pid-file \"$1/pid\" \"$1/master\" 2>&1 &
        tries=400
        while ! grep -q \"/mpd/MDrive autofs .*timeout=60\" /proc/self/mounts && kill -0 $! && [ $tries -gt 0 ]; do
            sleep 0.05
            tries=$((tries - 1))
        done
        echo \"saw $(timeout 10 ls \"$1/mpd/MDrive\") and $(ls \"$1/mpd\" | tr '\\n' ' ')\"
        kill $!; wait $!",
    );
    assert!(told(&output).contains("\nsaw song and MDrive state \n"), "{}", told(&output));
}

/// All units that we ship and the drop-ins of the examples, as systemd reads them: it is silent about what it knows.
#[test]
fn systemd_knows_every_line_of_the_units() {
    let world = World::new();
    let folder = world.path("units");
    fs::create_dir(&folder).unwrap();
    let mut names = Vec::new();
    for place in ["fserver/service", "fclient/service", "services/*/service", "services/*/systemd"] {
        for unit in files(&root(), &format!("{place}/*.service")) {
            let name = unit.file_name().unwrap().to_str().unwrap().to_owned();
            fs::write(folder.join(&name), with_our_programs(&fs::read_to_string(&unit).unwrap())).unwrap();
            names.push(name);
        }
    }
    for side in ["server", "client"] {
        let unit = format!("mpd-of-{side}.service");
        fs::write(folder.join(&unit), "[Service]\nExecStart=/bin/true\n").unwrap();
        let drop_in = folder.join(format!("{unit}.d/pistop.conf"));
        fs::create_dir(drop_in.parent().unwrap()).unwrap();
        fs::copy(example(&format!("{side}/etc/systemd/system/mpd.service.d/pistop.conf")), drop_in).unwrap();
        names.push(unit);
    }
    assert!(names.len() >= 4, "{names:?}");
    let mut verify = world.command("systemd-analyze");
    verify.args(["verify", "--man=no"]).args(&names).env("SYSTEMD_UNIT_PATH", format!("{}:", folder.display()));
    let output = verify.output().unwrap();
    let ours = |line: &&str| line.contains(folder.to_str().unwrap()) || names.iter().any(|name| line.contains(name));
    let told = told(&output);
    let faults: Vec<_> = told.lines().filter(ours).collect();
    assert!(output.status.success() && faults.is_empty(), "{told}");
}

/// Otherwise systemd gives up after five starts in ten seconds, and a trouble that passes would be one that stays.
#[test]
fn a_unit_that_fails_is_started_again_and_again() {
    for place in ["fserver/service", "fclient/service", "services/*/service"] {
        for unit in files(&root(), &format!("{place}/*.service")) {
            let text = fs::read_to_string(&unit).unwrap();
            let pause = text.lines().find_map(|line| line.strip_prefix("RestartSec=")).expect("it is started again");
            let never_too_often = 5 * pause.parse::<u32>().unwrap() > 10;
            assert!(never_too_often || text.contains("\nStartLimitIntervalSec=0\n"), "{}", unit.display());
            assert!(text.contains("\nKillMode=process\n"), "{} leaves its children alone", unit.display());
        }
    }
}

/// A unit whose programs are those beside this test, and whose scripts are those of the tree: nothing is installed here.
fn with_our_programs(unit: &str) -> String {
    let lines = unit.lines().map(|line| match line.split_once("=/usr/") {
        Some((key, command)) if key.starts_with("Exec") => {
            let (path, rest) = command.split_once(' ').unwrap_or((command, ""));
            format!("{key}={} {rest}\n", in_the_tree(path).display())
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

/// Where that lies which the packages put below /usr.
fn in_the_tree(path: &str) -> PathBuf {
    match path.strip_prefix("share/pistop/services/").and_then(|path| path.split_once('/')) {
        Some((service, file)) => root().join("services").join(service).join("service").join(file),
        None => programs::find(path.rsplit('/').next().unwrap()),
    }
}

/// Beside the list of what it wrote and the link to this machine's logs.
#[test]
fn the_service_directories_are_what_pistop_makes() {
    for (side, folder, flags) in [
        ("server", "fserver", &["--mdrive", "/MDrive"][..]),
        ("client", "fclient", &["--host", "musicpi", "--mdrive", "/var/lib/mpd/MDrive"]),
        ("client", "services/camera", &["--set", "CAMERAS=cam1"]),
        ("client", "services/upload", &["--set", "BUCKET=recordings-of-our-house"]),
    ] {
        let program = folder.rsplit('/').next().unwrap();
        let world = World::new();
        let (made, templates) = (world.path("services"), world.path("templates"));
        fs::create_dir(&made).unwrap();
        fs::create_dir(&templates).unwrap();
        std::os::unix::fs::symlink(root().join(folder).join("service"), templates.join(program)).unwrap();
        let mut add = world.command(programs::find("pistop"));
        add.args(["service", "add", program, "--supervisor", "daemontools", "--servicedir"]).arg(&made);
        add.arg("--templates").arg(&templates).arg("--logdir").arg(world.path("log")).args(flags);
        let output = add.output().unwrap();
        assert!(output.status.success(), "{}", told(&output));
        let (made, shown) = (made.join(program), example(side).join("service").join(program));
        let names = |folder: &Path| -> Vec<PathBuf> {
            let names = files(folder, ".").into_iter().map(|file| file.strip_prefix(folder).unwrap().to_owned());
            names.filter(|name| name != Path::new(".pistop-manifest")).collect()
        };
        assert_eq!(names(&made), names(&shown), "{program}");
        for name in names(&made) {
            let same = fs::read(made.join(&name)).unwrap() == fs::read(shown.join(&name)).unwrap();
            assert!(same, "example_config/{side}/service/{program}/{} is not what pistop writes", name.display());
        }
    }
}

#[test]
fn the_programs_take_the_variables_of_their_service_directory() {
    let world = World::new();
    let variables = example("client/service/fclient/variables");
    let mut check = world.command(programs::find("fclient"));
    check.arg("check").arg("--variables").arg(variables);
    // Where there is neither a line in /etc/fstab nor a hook installed.
    let output = check.env("MDRIVE_SOURCE", "musicpi:/MDrive").env("HOOKS", root().join("hooks")).output().unwrap();
    let told = told(&output);
    assert!(output.status.success() && told.contains("follows musicpi port 5555"), "{told}");
    assert!(told.contains("mdrive = /var/lib/mpd/MDrive (variables)"), "{told}");
    assert!(told.contains("never powers this machine off"), "{told}");
    let variables = Some(example("server/service/fserver/variables"));
    let config = fserver::config::Config::load(&fserver::config::Options { variables, ..Default::default() }).unwrap();
    assert_eq!(config.settings.text("mdrive"), Some("/MDrive"));
    let camera_dir = Some(example("client/etc/pistop/cameras"));
    let variables = Some(example("client/service/camera/variables"));
    let options = camera::config::Options { variables, camera_dir, ..Default::default() };
    let config = camera::config::Config::from_environment(&options, Vec::new()).unwrap();
    assert_eq!((config.cameras.len(), config.unusable.len()), (1, 0));
    assert_eq!(config.cameras[0].url.host(), "192.168.1.33");
    let variables = Some(example("client/service/upload/variables"));
    let config = upload::config::Config::load(&upload::config::Options { variables, ..Default::default() }).unwrap();
    assert_eq!(config.way.place.region, "ca-east-006");
}

/// What a file says of these settings behind its head: `# meaning`, `key = value`, and nothing else.
fn shown(settings: &[Setting], line: impl Fn(&Setting) -> String) -> String {
    settings.iter().map(|setting| format!("\n# {}\n{}\n", setting.help, line(setting))).collect()
}

#[test]
fn each_settings_file_shows_every_key_with_its_meaning_and_its_default() {
    for (path, settings) in [
        ("server/etc/pistop/fserver.toml", fserver::config::SETTINGS),
        ("client/etc/pistop/fclient.toml", fclient::config::SETTINGS),
        ("client/etc/pistop/camera.toml", camera::config::SETTINGS),
        ("client/etc/pistop/upload.toml", upload::config::SETTINGS),
    ] {
        let text = fs::read_to_string(example(path)).unwrap();
        let (_, body) = text.split_once("\n\n").unwrap();
        let expected = shown(settings, |setting| format!("{} = \"{}\"", setting.key, setting.default));
        for (line, expected) in body.lines().zip(expected.trim().lines()) {
            assert_eq!(line, expected, "{path}");
        }
        assert_eq!(body.lines().count(), expected.trim().lines().count(), "{path}");
        Settings::load(settings, Sources { config: Some(example(path)), ..Sources::default() }).unwrap();
    }
}

/// A camera without an address would be none, so that stands there as it is in the meaning.
#[test]
fn the_settings_of_a_camera_show_every_variable_with_its_default() {
    let text = fs::read_to_string(example("client/etc/pistop/cameras/cam1")).unwrap();
    let (_, body) = text.split_once("\n\n").unwrap();
    let expected = shown(camera::config::CAMERA, |setting| {
        let value = setting
            .help
            .split_once("as in ")
            .filter(|_| setting.key == "url")
            .map_or(setting.default, |(_, value)| value);
        format!("{}={value}", setting.variable())
    });
    assert_eq!(body.trim(), expected.trim());
}

#[test]
fn the_readme_leads_to_every_file() {
    let readme = fs::read_to_string(example("README.md")).unwrap();
    let listed = |path: &Path| readme.contains(&format!("`{}`", path.display()));
    for side in ["server", "client"] {
        for file in files(&example(side), ".") {
            let path = file.strip_prefix(example(side)).unwrap();
            let said = path.ancestors().any(listed);
            assert!(said, "example_config/README.md does not say what {side}/{} is for", path.display());
        }
    }
}

/// The regular files below `folder` that a shell's pattern names.
fn files(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let text = format!("find {pattern} -type f 2>/dev/null | LC_ALL=C sort");
    let output = Command::new("sh").args(["-c", &text]).current_dir(folder).output().unwrap();
    told(&output).lines().map(|path| folder.join(path.trim_start_matches("./"))).collect()
}
