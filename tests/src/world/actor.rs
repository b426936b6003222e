//! What all participants have in common: a place, a command line, and a process that can be started again.

use super::place::Place;
use super::process::Process;
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

/// A command line that can be run more than once.
#[derive(Clone, Debug)]
pub struct Launch {
    under: Vec<OsString>,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, String)>,
}

impl Launch {
    /// This program without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { under: Vec::new(), program: program.into(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// One more argument.
    pub fn argument(&mut self, argument: impl Into<OsString>) {
        self.arguments.push(argument.into());
    }

    /// A variable of the process's environment, above the variables directory.
    pub fn environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// A program that executes the rest of its command line, such as `ip netns exec x`; later ones go outside.
    pub fn under<W: AsRef<str>>(&mut self, words: &[W]) {
        self.under.splice(..0, words.iter().map(|word| word.as_ref().into()));
    }

    /// The same, but inside of what it runs under already.
    pub fn under_inside<W: AsRef<str>>(&mut self, words: &[W]) {
        self.under.extend(words.iter().map(|word| word.as_ref().into()));
    }

    /// Program and arguments as words, without what it runs under.
    pub fn words(&self) -> Vec<OsString> {
        std::iter::once(self.program.clone().into_os_string()).chain(self.arguments.iter().cloned()).collect()
    }

    /// The command in the environment of a place.
    pub fn command(&self, place: &Place) -> Command {
        let words: Vec<OsString> = self.under.iter().cloned().chain(self.words()).collect();
        let mut command = place.world().command(&words[0]);
        command.args(&words[1..]).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A participant that was started.
#[derive(Debug)]
pub struct Actor {
    place: Place,
    launch: Launch,
    process: Process,
}

impl Actor {
    /// Starts it.
    pub fn start(place: Place, launch: Launch) -> Self {
        let process = Process::start(place.world(), &mut launch.command(&place), &place.path(place.name()));
        Self { place, launch, process }
    }

    /// Starts it again with the same command line, in the same place. It must have ended.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.process.ended().is_some(), "{} still runs", self.place.name());
        self.process = Process::start(
            self.place.world(),
            &mut self.launch.command(&self.place),
            &self.place.path(self.place.name()),
        );
    }

    /// Ends it by this signal, and starts it again.
    #[track_caller]
    pub fn restart(&mut self, signal: Signal) -> ExitStatus {
        let status = self.process.stop(signal);
        self.start_again();
        status
    }

    /// Its folder.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its command line, which holds from the next start on.
    pub fn launch(&mut self) -> &mut Launch {
        &mut self.launch
    }

    /// Waits until its log holds this text.
    #[track_caller]
    pub fn until_log(&self, text: &str) {
        let what = format!("{} logs `{text}`", self.place.name());
        self.place.world().until(&what, || self.process.log().contains(text));
    }

    /// Waits until one event begins with these words.
    #[track_caller]
    pub fn until_event(&self, words: &str) {
        let what = format!("a hook of {} writes `{words}`", self.place.name());
        self.place.world().until(&what, || self.place.has(words));
    }

    /// What its hooks have written, a line each.
    pub fn events(&self) -> Vec<String> {
        self.place.events()
    }

    /// Whether one event begins with these words.
    pub fn has(&self, words: &str) -> bool {
        self.place.has(words)
    }

    /// How many events begin with these words.
    pub fn count(&self, words: &str) -> usize {
        self.place.count(words)
    }

    /// How often its machine would have been powered off.
    pub fn powered_off(&self) -> usize {
        self.place.powered_off()
    }
}

impl Deref for Actor {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Actor {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
