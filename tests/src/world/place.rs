//! The folder of one participant: its variables, hooks, home, state, log and events.

use super::{World, executable, read};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of one participant.
#[derive(Clone, Debug)]
pub struct Place {
    world: World,
    name: String,
    directory: PathBuf,
}

impl Place {
    /// Makes the folder, with a home, an empty folder of variables and one of hooks.
    pub fn new(world: &World, name: &str) -> Self {
        let directory = world.path(name);
        let place = Self { world: world.clone(), name: name.into(), directory };
        for folder in [place.variables(), place.hooks(), place.home()] {
            fs::create_dir_all(folder).expect("the scratch directory can be written");
        }
        executable(&place.power_off_command(), &format!("#!/bin/sh\necho off >> '{}'\n", place.power_file().display()));
        place
    }

    /// Where it is.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// How this participant is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory of variables.
    pub fn variables(&self) -> PathBuf {
        self.path("variables")
    }

    /// The directory of hooks.
    pub fn hooks(&self) -> PathBuf {
        self.path("hooks")
    }

    /// The home directory, where an old set-up has its `.pistop`.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The program that stands for the real power-off.
    pub fn power_off_command(&self) -> PathBuf {
        self.path("power-off-command")
    }

    fn power_file(&self) -> PathBuf {
        self.path("powered-off")
    }

    /// How often this machine would have been powered off.
    pub fn powered_off(&self) -> usize {
        read(&self.power_file()).lines().count()
    }

    /// Sets a variable, as one file.
    pub fn set(&self, name: &str, value: &str) {
        fs::write(self.variables().join(name), format!("{value}\n")).expect("the scratch directory can be written");
    }

    /// Puts a hook there, a short shell text, as in `hook("server-up/20-mount-share", "exit 100")`. Before the text it
    /// writes its name and the cause to the file of events; within the text, `event words` writes more.
    pub fn hook(&self, name: &str, text: &str) {
        self.script(&self.hooks().join(name), &format!("{name}${{PISTOP_CAUSE:+ $PISTOP_CAUSE}}"), text);
    }

    /// Puts an old script into `$HOME/.pistop`, for instance `pistopstart`; its event is the name and the argument.
    pub fn old_script(&self, name: &str, text: &str) {
        self.script(&self.home().join(".pistop").join(name), &format!("{name}${{1:+ $1}}"), text);
    }

    fn script(&self, path: &Path, event: &str, text: &str) {
        let events = self.events_file();
        let prelude = format!("#!/bin/sh\nevent() {{ echo \"$*\" >> '{}'; }}\nevent \"{event}\"\n", events.display());
        executable(path, &format!("{prelude}{text}\n"));
    }

    /// Where hooks write what happens.
    pub fn events_file(&self) -> PathBuf {
        self.path("events")
    }

    /// What hooks have written, a line each.
    pub fn events(&self) -> Vec<String> {
        read(&self.events_file()).lines().map(String::from).collect()
    }

    /// Whether one event begins with these words.
    pub fn has(&self, words: &str) -> bool {
        self.count(words) > 0
    }

    /// How many events begin with these words.
    pub fn count(&self, words: &str) -> usize {
        self.events().iter().filter(|event| event.starts_with(words)).count()
    }
}
