//! What `fclient check`, `fserver check` and `camera check` find: what would be done, and everything that stands in its way. Changes nothing.

use crate::exit::Failure;
use crate::hooks::{self, Hook};
use crate::settings::{BadConfig, Settings};
use protocol::hook::HookEvent;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the settings of a program are, for whoever looks at them and named no place: those that its systemd unit has.
pub fn usual(program: &str, config: Option<&PathBuf>, variables: Option<&PathBuf>) -> Option<PathBuf> {
    let unit = || Some(PathBuf::from(format!("/etc/pistop/{program}.toml"))).filter(|path| path.exists());
    config.cloned().or_else(|| if variables.is_none() { unit() } else { None })
}

/// How a program ends that has told so many problems, each with its remedy.
///
/// # Errors
/// There are some.
pub fn verdict(problems: usize) -> Result<(), Failure> {
    match problems {
        0 => Ok(()),
        1 => Err(Failure::Permanent("1 problem, with its remedy above".into())),
        n => Err(Failure::Permanent(format!("{n} problems, each with its remedy above"))),
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What would be done, line by line.
    pub plan: Vec<String>,
    /// What has to be mended, with the remedy.
    pub problems: Vec<String>,
}

impl Findings {
    /// Prints it.
    ///
    /// # Errors
    /// There are problems.
    pub fn tell(self) -> Result<(), Failure> {
        let problems = self.problems.iter().map(|problem| format!("problem: {problem}"));
        for line in self.plan.iter().cloned().chain(problems) {
            // With standard output closed there is nobody to tell.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        verdict(self.problems.len())
    }

    /// Making the directory is left to the first start; whether that can work shows on what is there already.
    pub fn state(&mut self, what: &str, path: &Path) {
        self.plan.push(format!("keeps {what} in {}", path.display()));
        let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let writable = nix::unistd::access(there, nix::unistd::AccessFlags::W_OK).is_ok();
        if !there.is_dir() || !writable {
            let why = "cannot be written to; make it a directory of this user, or set STATE_DIR to one";
            self.problems.push(format!("{}: {why}", there.display()));
        }
    }

    /// The hooks of these events, and those of facts.
    pub fn hooks(&mut self, events: &[HookEvent], directories: &[PathBuf], home: Option<&Path>) {
        for &event in events {
            if self.row(event, hooks::find(event, directories, home)) == 0 {
                self.plan.push(format!("on {event} runs nothing"));
            }
        }
        let folders = hooks::folders(directories);
        for event in folders.facts.into_iter().map(HookEvent::Fact) {
            self.row(event, hooks::find(event, directories, None));
        }
        self.problems.extend(folders.slips);
        self.problems.dedup();
        let missing = directories.iter().filter_map(|path| fs::read_dir(path).err().map(|why| (path.display(), why)));
        let missing: Vec<String> = missing.map(|(path, why)| format!("hooks in {path}: none ({why})")).collect();
        if missing.len() == directories.len() {
            self.problems.push("no directory of hooks is there, so nothing would be done; set HOOKS to one".into());
        }
        self.plan.extend(missing);
    }

    /// How many there are.
    fn row(&mut self, event: HookEvent, hooks: Result<Vec<Hook>, BadConfig>) -> usize {
        let hooks = hooks.unwrap_or_else(|why| {
            self.problems.push(why.to_string());
            Vec::new()
        });
        for hook in &hooks {
            self.plan.push(format!("on {event} runs {}", hook.program.display()));
            self.problems.extend(hook.fault.iter().map(|why| format!("{}: {why}", hook.name)));
        }
        hooks.len()
    }

    /// Every setting that has a value, and where it is from.
    pub fn origins(&mut self, settings: &Settings) {
        for setting in settings.known().iter().filter(|setting| settings.is_set(setting.key)) {
            let (value, origin) = (settings.text(setting.key).unwrap_or_default(), settings.origin(setting.key));
            self.plan.push(format!("{} = {value} ({origin})", setting.key));
        }
    }
}
