//! A service directory of the real daemontools, in which `pistop` makes services from the templates of the source tree.

use super::control::Said;
use super::process::Process;
use super::{World, executable, programs, read};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The programs that run scripts call by name.
const PROGRAMS: [&str; 3] = ["fserver", "fclient", "pistop"];

/// A service directory, the templates for it, and folders for logs and for what is saved.
#[derive(Debug)]
pub struct Services {
    world: World,
    directory: PathBuf,
    svscan: Option<Process>,
}

impl Services {
    /// An empty one that nobody watches yet.
    pub fn new(world: &World) -> Self {
        for folder in ["services", "templates", "units"] {
            fs::create_dir_all(world.path(folder)).expect("the scratch directory can be written");
        }
        for (name, folder) in templates() {
            symlink(folder, world.path("templates").join(name)).expect("the scratch directory can be written");
        }
        for program in PROGRAMS {
            let place = world.path("bin").join(program);
            // A world has a stand-in for pistop; here it is the real one.
            let _ = fs::remove_file(&place);
            symlink(programs::find(program), place).expect("the scratch directory can be written");
        }
        Self { world: world.clone(), directory: world.path("services"), svscan: None }
    }

    /// The same, watched by the real svscan from now on.
    #[must_use]
    pub fn watched(mut self) -> Self {
        let mut command = self.world.command("svscan");
        self.svscan = Some(Process::start(&self.world, command.arg(&self.directory), &self.world.path("svscan")));
        let comm = |pid: nix::unistd::Pid| read(Path::new(&format!("/proc/{pid}/comm")));
        let svscan = self.svscan.as_ref().expect("it was just started");
        let works_there =
            || fs::read_link(format!("/proc/{}/cwd", svscan.pid())).is_ok_and(|cwd| cwd == self.directory);
        self.world
            .until("svscan works in its directory", || comm(svscan.pid()).trim_end() == "svscan" && works_there());
        self
    }

    /// The directory itself.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path in one service.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The text of a file in it.
    pub fn text(&self, path: &str) -> String {
        read(&self.path(path))
    }

    /// Puts a template of one's own beside the shipped ones.
    pub fn template(&self, name: &str, files: &[(&str, &str)]) {
        for (path, text) in files {
            let path = self.world.path("templates").join(name).join(path);
            if text.starts_with("#!") {
                executable(&path, text);
            } else {
                fs::create_dir_all(path.parent().unwrap_or(&path)).expect("the scratch directory can be written");
                fs::write(&path, text).expect("the scratch directory can be written");
            }
        }
    }

    /// A command line of `pistop` in this world.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = self.world.command(programs::find("pistop"));
        command.args(words).env("PISTOP_TEMPLATES", self.world.path("templates")).env("TZ", "Europe/Berlin");
        command
    }

    /// Runs `pistop` with these words to its end, within this service directory.
    #[track_caller]
    pub fn pistop(&self, words: &[&str]) -> Said {
        let directory = self.directory.display().to_string();
        self.run(&mut self.command(&[words, &["--servicedir", &directory]].concat()))
    }

    /// Runs a command line to its end.
    #[track_caller]
    pub fn run(&self, command: &mut Command) -> Said {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let path = self.world.path(&format!("said/pistop-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
        let mut process = Process::start(&self.world, command, &path);
        let status = process.wait_exit();
        Said { status, output: process.output(), error: process.log() }
    }

    /// `pistop service add` with logs inside of this world; gives what it printed.
    #[track_caller]
    pub fn add(&self, name: &str, flags: &[&str]) -> String {
        let said = self.try_add(name, flags);
        assert!(said.status.success(), "{said:?}");
        said.output
    }

    /// The same where it may fail.
    #[track_caller]
    pub fn try_add(&self, name: &str, flags: &[&str]) -> Said {
        let logs = self.world.path("logs/x").with_file_name("").display().to_string();
        self.pistop(&[&["service", "add", name, "--logdir", &logs], flags].concat())
    }

    /// `pistop service del`, with what it saves inside of this world.
    #[track_caller]
    pub fn del(&self, name: &str, flags: &[&str]) -> Said {
        let keep = self.world.path("kept").display().to_string();
        self.pistop(&[&["service", "del", name, "--keepdir", &keep], flags].concat())
    }

    /// Runs a tool of daemontools on one service, as in `tool("svc", &["-d"], "fserver")`, and gives what it printed.
    #[track_caller]
    pub fn tool(&self, tool: &str, words: &[&str], name: &str) -> String {
        let output = self.world.command(tool).args(words).arg(self.path(name)).output();
        let output =
            output.unwrap_or_else(|why| panic!("{tool} cannot be run ({why}); install the package daemontools"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What `svstat` says of a service, after its name.
    #[track_caller]
    pub fn svstat(&self, name: &str) -> String {
        let said = self.tool("svstat", &[], name);
        said.split_once(": ").map(|(_, state)| state.trim_end().to_owned()).unwrap_or(said)
    }

    /// Waits until svstat says that.
    #[track_caller]
    pub fn until_svstat(&self, name: &str, text: &str) {
        self.world.until(&format!("svstat says of {name}: {text}"), || self.svstat(name).contains(text));
    }

    /// What multilog has kept of a service.
    pub fn log(&self, name: &str) -> String {
        self.text(&format!("{name}/log/main/current"))
    }

    /// Waits until that holds a text.
    #[track_caller]
    pub fn until_log(&self, name: &str, text: &str) {
        self.world.until(&format!("the log of {name} holds `{text}`"), || self.log(name).contains(text));
    }

    /// Every file below the directory, by its path, with its inode and its bytes; what supervise keeps is left out.
    pub fn tree(&self) -> Vec<(String, u64, Vec<u8>)> {
        let mut files = Vec::new();
        walk(&self.directory, &mut files);
        files.sort();
        files
    }
}

/// Every folder `service/` of the source tree, by the name of its program.
fn templates() -> Vec<(String, PathBuf)> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folders = [root.to_path_buf(), root.join("services")];
    let programs = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("the source tree is there").flatten());
    let named =
        programs.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path().join("service"))));
    named.filter(|(_, folder)| folder.join("run").is_file()).collect()
}

fn walk(folder: &Path, files: &mut Vec<(String, u64, Vec<u8>)>) {
    use std::os::unix::fs::MetadataExt;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(about) = path.symlink_metadata() else { continue };
        if entry.file_name() == "supervise" {
            continue;
        }
        if about.is_dir() {
            walk(&path, files);
        } else {
            files.push((path.display().to_string(), about.ino(), fs::read(&path).unwrap_or_default()));
        }
    }
}
