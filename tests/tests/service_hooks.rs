//! The shipped hooks that start, stop, copy, play and tell, each run for real. In place of `pistop` stands a script that writes
//! down how it was called; displays, desktops and rsync are real ones.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tests::World;
use tests::world::{executable, programs, read};

struct Stage {
    world: World,
    variables: Vec<(String, String)>,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { world: World::new(), variables: Vec::new() };
        stage.pistop("");
        let pid = stage.path("run/backup.pid").display().to_string();
        stage.with("BACKUP_PID", &pid).with("PISTOP_SERVER", "attic")
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    /// What happens when services are started and stopped; what is shown is shown by the real one.
    fn pistop(&self, text: &str) {
        let (calls, real) = (self.path("calls"), programs::find("pistop"));
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> '{}'\ncase $1 in display|notify|cut-power) exec '{}' \"$@\";; esac\n{text}\n",
            calls.display(),
            real.display()
        );
        executable(&self.path("bin/pistop"), &script);
    }

    /// How services were started and stopped.
    fn calls(&self) -> Vec<String> {
        read(&self.path("calls")).lines().map(String::from).collect()
    }

    fn command(&self, hook: &str) -> Command {
        let mut command = self.world.command(Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks").join(hook));
        command.envs(self.variables.iter().cloned()).stdin(Stdio::null());
        command
    }

    fn run(&self, hook: &str) -> Output {
        self.command(hook).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, hook: &str, code: i32) -> String {
        let output = self.run(hook);
        assert_eq!(output.status.code(), Some(code), "{hook}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }

    /// In a mount namespace, after this text. `$HOOKS` is the hooks' folder.
    fn ends_after(&self, text: &str, hook: &str, code: i32) -> String {
        let root: &[&str] = if nix::unistd::geteuid().is_root() { &[] } else { &["--map-root-user"] };
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks");
        let mut command = self.world.command("unshare");
        command.arg("--mount").args(root).args(["--propagation", "private", "sh", "-c"]);
        command.arg(format!("{text} && exec '{}/{hook}'", hooks.display())).envs(self.variables.iter().cloned());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{hook}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// Deaf, with a child that holds none of our descriptors.
const HANGS: &str = "trap '' TERM; sleep 600 >/dev/null 2>&1 & while :; do wait; done";

#[test]
fn the_player_and_the_sound_are_started_if_they_are_there() {
    let stage = Stage::new().with("MPD", "music player");
    stage.ends("server-up/30-start-mpd", 0);
    stage.ends("server-up/75-load-sound", 0);
    let expected =
        ["start --if-present --deadline 30 -- music player", "start --if-present --deadline 15 -- sound.service"];
    assert_eq!(stage.calls(), expected);
    stage.pistop("exit 111");
    stage.ends("server-up/30-start-mpd", 111);
    let stage = stage.with("PISTOP_ATTEMPT", "5");
    stage.ends("server-up/30-start-mpd", 100);
    stage.with("MPD", "").ends("server-up/30-start-mpd", 0);
}

#[test]
fn every_camera_is_started_and_stopped_even_if_one_fails() {
    let stage = Stage::new().with("CAMERAS", "door  g*rden");
    stage.pistop("[ \"$6\" != door ] && [ \"$5\" != door ]");
    stage.ends("server-up/25-start-cameras", 1);
    assert_eq!(stage.calls(), ["start --deadline 15 -- door", "start --deadline 15 -- g*rden"]);
    let stage = stage.with("PISTOP_DEADLINE", "30");
    stage.ends("server-stopping/20-stop-cameras", 100);
    let calls = stage.calls();
    assert!(calls[2].starts_with("stop --if-present --deadline ") && calls[2].ends_with(" -- door"), "{calls:?}");
    assert!(calls[3].ends_with(" -- g*rden"), "{calls:?}");
    let none = Stage::new();
    for hook in ["server-up/25-start-cameras", "server-stopping/20-stop-cameras", "server-stopping/70-finish-uploads"] {
        none.ends(hook, 0);
    }
    assert!(none.calls().is_empty());
}

/// A machine that goes off with its recordings in RAM, and nobody was told to wait for their upload.
#[test]
fn uploads_that_nobody_waits_for_are_told_of() {
    let stage = Stage::new().with("POWER_OFF", "1");
    assert!(stage.ends("server-stopping/70-finish-uploads", 100).contains("set uploads = \"upload\""));
    stage.pistop("exit 100");
    stage.ends("server-stopping/70-finish-uploads", 0);
}

/// What is uploaded until then is all that is saved.
#[test]
fn uploads_are_started_first_and_have_all_the_time_that_is_left() {
    let stage = Stage::new().with("CAMERAS", "door").with("UPLOADS", "up*").with("PISTOP_DEADLINE", "30");
    stage.ends("server-up/25-start-cameras", 0);
    assert_eq!(stage.calls(), ["start --deadline 15 -- up*", "start --deadline 15 -- door"]);
    stage.ends("server-stopping/70-finish-uploads", 0);
    let calls = stage.calls();
    let left: Vec<u32> = calls[2].split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(calls[2].ends_with(" -- up*") && (20..30).contains(&left[0]), "{calls:?}");
    stage.pistop("exit 111");
    assert!(stage.ends("server-stopping/70-finish-uploads", 100).contains("up* is not through"));
}

#[test]
fn the_player_is_stopped_after_its_socket() {
    for hook in ["server-stopping/30-stop-mpd", "server-lost/60-stop-mpd", "going-down/20-stop-mpd"] {
        let stage = Stage::new().with("MPD", "mpd.service").with("PISTOP_DEADLINE", "30");
        stage.ends_after(machine(&stage, None), hook, 0);
        let calls = stage.calls();
        let stop = "stop --if-present --deadline ";
        assert!(calls[0].starts_with(stop) && calls[0].ends_with(" -- mpd.socket"), "{hook}: {calls:?}");
        assert!(calls[1].starts_with(stop) && calls[1].ends_with(" -- mpd.service"), "{hook}: {calls:?}");
        stage.pistop("exit 111");
        stage.ends_after(machine(&stage, None), hook, 100);
    }
}

#[test]
fn the_automounter_goes_with_the_server_if_it_is_named() {
    let all =
        ["server-up/10-start-automounter", "server-stopping/60-stop-automounter", "server-lost/70-stop-automounter"];
    let stage = Stage::new().with("AUTOMOUNTER", "autofs");
    all.iter().for_each(|hook| drop(stage.ends(hook, 0)));
    let stop = "stop --if-present --deadline 10 -- autofs";
    assert_eq!(stage.calls(), ["start --deadline 15 -- autofs", stop, stop]);
    stage.pistop("exit 111");
    for hook in all {
        stage.ends(hook, 100);
    }
    let unnamed = Stage::new();
    all.iter().for_each(|hook| drop(unnamed.ends(hook, 0)));
    assert!(unnamed.calls().is_empty());
}

/// A supervisor that hangs costs a third of the time and not all of it.
#[test]
fn what_hangs_while_it_is_stopped_leaves_time_to_unmount() {
    for hook in ["server-stopping/20-stop-cameras", "server-stopping/30-stop-mpd"] {
        let stage = Stage::new().with("MPD", "mpd").with("CAMERAS", "door garden").with("PISTOP_DEADLINE", "24");
        stage.pistop(HANGS);
        let began = Instant::now();
        stage.ends(hook, 100);
        assert!(began.elapsed() < Duration::from_secs(20), "{hook}: {:?}", began.elapsed());
        assert_eq!(stage.calls().len(), 2, "{hook}");
    }
}

/// A machine without systemd, or one with it on which systemctl says that fserver is in this state.
fn machine(stage: &Stage, state: Option<&str>) -> &'static str {
    let Some(state) = state else { return "mount -t tmpfs none /run" };
    executable(
        &stage.path("bin/systemctl"),
        &format!("#!/bin/sh\n[ \"$*\" = 'show -P ActiveState fserver.service' ] && echo {state}\n"),
    );
    "mount -t tmpfs none /run && mkdir -p /run/systemd/system"
}

#[test]
fn sharing_ends_service_by_service() {
    let hook = "going-down/10-stop-sharing";
    for state in [None, Some("active")] {
        let stage = Stage::new().with("SHARING", "smbd nfs-server");
        stage.pistop("[ \"$6\" != smbd ]");
        let said = stage.ends_after(machine(&stage, state), hook, 100);
        let calls = stage.calls();
        assert_eq!(calls.len(), 2, "{calls:?}");
        for (call, name) in calls.iter().zip(["smbd", "nfs-server"]) {
            assert!(
                call.starts_with("stop --if-present --deadline ") && call.ends_with(&format!(" -- {name}")),
                "{call}"
            );
        }
        assert!(said.contains("smbd is not stopped") && !said.contains("nfs"), "{said}");
    }
}

/// systemd stops what fserver speaks for only after fserver, so waiting for it would be waiting for ourselves.
#[test]
fn while_systemd_stops_fserver_itself_the_others_are_only_told() {
    let stage = Stage::new().with("SHARING", "smbd nfs-server");
    stage.pistop(HANGS);
    let began = Instant::now();
    let said = stage.ends_after(machine(&stage, Some("deactivating")), "going-down/10-stop-sharing", 0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(said.contains("nfs-server is stopped by systemd when fserver has ended"), "{said}");
    assert_eq!(stage.calls(), ["smbd", "nfs-server"].map(|name| format!("stop --if-present --deadline 1 -- {name}")));
}

#[test]
fn a_supervisor_that_hangs_leaves_time_to_write_out_the_disk() {
    let stage = Stage::new().with("SHARING", "smbd nmbd nfs-server");
    stage.pistop(HANGS);
    let began = Instant::now();
    stage.ends_after(machine(&stage, None), "going-down/10-stop-sharing", 100);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

fn backup_of(stage: Stage) -> Stage {
    let source = stage.path("source/etc");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("hosts"), "attic").unwrap();
    fs::create_dir_all(stage.path("disk/backup")).unwrap();
    let (source, destination) = (source.display().to_string(), stage.path("disk").display().to_string());
    stage.with("BACKUP", &format!("{source}/ /nowhere/at/all")).with("DEST", &destination)
}

fn copy(stage: &Stage) -> PathBuf {
    let node = nix::unistd::gethostname().unwrap().into_string().unwrap();
    stage.path("disk/backup").join(node).join(stage.path("source/etc").strip_prefix("/").unwrap())
}

fn over(stage: &Stage) {
    let file = stage.path("run/backup.log");
    stage.world.until("the backup is over", || {
        read(&file).contains("all: rsync ended with ") && !stage.path("run/backup.pid").exists()
    });
}

#[test]
fn a_backup_copies_each_directory_to_its_place() {
    let stage = backup_of(Stage::new());
    stage.ends("server-up/60-run-backup", 0);
    over(&stage);
    assert_eq!(read(&copy(&stage).join("hosts")), "attic");
    let log = read(&stage.path("run/backup.log"));
    assert!(
        log.contains("source/etc: rsync ended with 0") && log.contains("/nowhere/at/all: rsync ended with 23"),
        "{log}"
    );
    fs::write(copy(&stage).join("old"), "").unwrap();
    stage.ends("server-up/60-run-backup", 0);
    stage.world.until("what is gone is gone in the copy too", || !copy(&stage).join("old").exists());
    over(&stage);
    fs::remove_file(stage.path("source/etc/hosts")).unwrap();
    stage.ends("server-up/60-run-backup", 0);
    over(&stage);
    assert_eq!(read(&copy(&stage).join("hosts")), "attic", "a directory that was emptied does not empty its copy");
}

#[test]
fn a_backup_needs_its_disk() {
    let stage = backup_of(Stage::new());
    let disk = stage.path("disk").display().to_string();
    let stage = stage.with("MDRIVE", &format!("{disk}/"));
    let said = stage.ends("server-up/60-run-backup", 100);
    assert!(said.contains(&format!("{disk} is on {disk}, which is not mounted")), "{said}");
    assert!(!stage.path("run").join("backup.pid").exists() && !copy(&stage).exists());
    let mount = format!("mount -t tmpfs none '{disk}' && mkdir '{disk}/backup'");
    stage.ends_after(&mount, "server-up/60-run-backup", 0);
    over(&stage);
    assert!(read(&stage.path("run/backup.log")).contains("etc: rsync ended with 0"));
    assert!(!copy(&stage).exists(), "it went to the disk and not to the place below it");
    let nothing = Stage::new().with("DEST", "/x");
    nothing.ends("server-up/60-run-backup", 0);
    assert!(!nothing.path("run/backup.log").exists());
}

#[test]
fn a_backup_without_a_place_for_it_is_told_in_its_log() {
    let stage = backup_of(Stage::new());
    fs::remove_dir(stage.path("disk/backup")).unwrap();
    stage.ends("server-up/60-run-backup", 0);
    let log = stage.path("run/backup.log");
    stage.world.until("it is told", || read(&log).contains("disk/backup is not there; make it once"));
}

/// It holds nobody up, is not begun twice, and is ended with all that belongs to it, however deaf that is.
#[test]
fn a_backup_that_lasts_runs_alone_and_is_ended() {
    for hook in ["server-stopping/40-stop-backup", "server-lost/70-stop-backup"] {
        let stage = backup_of(Stage::new());
        executable(
            &stage.path("bin/rsync"),
            &format!("#!/bin/sh\necho \"$@\" >> '{}'\n{HANGS}\n", stage.path("rsync").display()),
        );
        let began = Instant::now();
        stage.ends("server-up/60-run-backup", 0);
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        stage.world.until("it runs", || !read(&stage.path("rsync")).is_empty());
        let said = stage.ends("server-up/60-run-backup", 0);
        assert!(said.contains("the backup runs already"), "{said}");
        let said = stage.ends(hook, 0);
        assert!(said.contains("the backup is not finished, and ended"), "{said}");
        let alive = |name: &str| stage.world.processes().iter().any(|words| words.contains(name));
        stage.world.until("nothing is left of it", || !alive("60-run-backup") && !alive("sleep 600"));
        assert_eq!(read(&stage.path("rsync")).lines().count(), 1);
        assert!(!stage.path("run/backup.pid").exists());
        assert_eq!(stage.ends(hook, 0), "", "there is nothing left to end");
    }
}

/// The number of a process may have gone to another one, and a file may hold anything.
#[test]
fn a_stranger_with_the_number_of_the_backup_is_left_alone() {
    let stage = Stage::new();
    let mut stranger = stage.world.command("sleep").arg("600").process_group(0).spawn().unwrap();
    let pid = stranger.id().to_string();
    for text in [format!("{pid} 7"), pid.clone(), format!("{pid} "), "-1 1".into(), "1 x; y".into(), String::new()] {
        fs::write(stage.path("run/backup.pid"), format!("{text}\n")).unwrap();
        stage.ends("server-stopping/40-stop-backup", 0);
        assert!(stranger.try_wait().unwrap().is_none(), "{text}");
        assert!(!stage.path("run/backup.pid").exists(), "{text}");
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn the_boot_sound_plays_in_the_background_if_there_is_one() {
    let stage = Stage::new();
    let drive = stage.path("My Drive");
    let stage = stage.with("MDRIVE", drive.to_str().unwrap());
    stage.ends("server-up/70-play-boot-sound", 0);
    let looks = || stage.world.processes().iter().any(|words| words.contains("boot"));
    stage.world.until("there is none, and nothing goes on", || !looks());
    let played = stage.path("played");
    executable(
        &drive.join("bin/boot_sound"),
        &format!("#!/bin/sh\necho played >> '{}'\nsleep 600\n", played.display()),
    );
    let began = Instant::now();
    stage.ends("server-up/70-play-boot-sound", 0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    stage.world.until("it plays", || read(&played) == "played\n");
    Stage::new().ends("server-up/70-play-boot-sound", 0);
}

/// What a display and a desktop see in an evening.
#[test]
fn display_and_desktop_are_told() {
    let stage = Stage::new();
    let (display, desktop) = (stage.path("lcd"), stage.path("desktop"));
    let stage = stage.with("LCD_FIFO", display.to_str().unwrap()).with("NOTIFY_FIFO", desktop.to_str().unwrap());
    for fifo in [&display, &desktop] {
        nix::unistd::mkfifo(fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    // Read and written by the same one, so that it neither waits nor ends.
    let open = |path: &Path| fs::File::options().read(true).write(true).open(path).unwrap();
    let mut fifos = [open(&display), open(&desktop)];
    let node = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let mut shows = |stage: &Stage, hook: &str, line: &str, summary: &str| {
        stage.ends(hook, 0);
        let [shown, noticed] = &mut fifos;
        let (shown, noticed) = (what_is_there(shown), what_is_there(noticed));
        assert!(shown.ends_with(&format!("{line}\n")), "{hook}: {shown}");
        assert!(noticed.starts_with(&format!("summary:{summary}\nbody:")), "{hook}: {noticed}");
    };
    shows(&stage, "server-up/90-tell-display", &format!("3 0 0:{node} On"), "attic is up");
    let stage = stage.with("PISTOP_CAUSE", "shutdown").with("PISTOP_REASON", "good  night");
    shows(&stage, "server-stopping/10-tell-display", &format!("3 0 0:{node} Music Off"), "attic stops: good  night");
    shows(&stage, "power-off/10-tell-display", &format!("3 0 0:{node} Off"), &format!("{node} is off"));
    let stage = stage.with("PISTOP_CAUSE", "lost");
    shows(&stage, "server-lost/90-tell-display", &format!("3 0 0:{node} Music Off"), "attic is gone without a word");
    let stage = stage.with("PISTOP_CAUSE", "local");
    shows(&stage, "server-stopping/10-tell-display", &format!("3 0 0:{node} Music Off"), &format!("{node} stops"));
    assert!(display.metadata().unwrap().file_type().is_fifo());
}

fn what_is_there(fifo: &mut fs::File) -> String {
    use std::io::Read;
    let mut buffer = [0; 4096];
    let length = fifo.read(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[test]
fn a_display_that_nobody_reads_holds_no_hook_up() {
    let stage = Stage::new();
    let fifo = stage.path("lcd");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let stage = stage.with("LCD_FIFO", fifo.to_str().unwrap()).with("NOTIFY_HOST", "192.0.2.1");
    let began = Instant::now();
    let said = stage.ends("server-stopping/10-tell-display", 0);
    assert!(said.contains("is skipped: nobody reads it") && began.elapsed() < Duration::from_secs(10), "{said}");
}

/// With systemd its unit does it, later.
#[test]
fn usb_power_is_cut_here_only_without_systemd() {
    let hook = "going-down/90-cut-usb-power";
    Stage::new().ends(hook, 0);
    let stage = Stage::new().with("USB_HUB", "99");
    let with = "mount -t tmpfs none /run && mkdir -p /run/systemd/system";
    let systemctl = |ends: &str| executable(&stage.path("bin/systemctl"), &format!("#!/bin/sh\n{ends}\n"));
    for ends in ["[ \"$*\" = '--quiet is-enabled usb3-poweroff.service' ]", "exec sleep 60"] {
        systemctl(ends);
        let said = stage.ends_after(with, hook, 0);
        assert!(said.contains("usb3-poweroff.service does it at the end") && stage.calls().is_empty(), "{said}");
    }
    systemctl("exit 1");
    let said = stage.ends_after(with, hook, 100);
    assert!(said.contains("systemctl enable usb3-poweroff.service") && stage.calls().is_empty(), "{said}");
    stage.ends_after("mount -t tmpfs none /run", hook, 100);
    assert_eq!(stage.calls(), ["cut-power"]);
    let reboot = stage.with("PISTOP_CAUSE", "restart");
    let said = reboot.ends_after("mount -t tmpfs none /run", hook, 0);
    assert!(said.contains("keeps the power") && reboot.calls().len() == 1, "{said}");
}
