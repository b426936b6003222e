//! `fclient check`: says what would be done, and lists everything that stands in its way. Changes nothing.

use crate::config::{Config, Options, SETTINGS, layers};
use crate::row::hooks_of;
use protocol::hook::HookEvent;
use runner::exit::Failure;
use runner::settings::Settings;
use std::fs;
use std::path::Path;

/// The events that a client knows.
const EVENTS: [HookEvent; 4] =
    [HookEvent::ServerUp, HookEvent::ServerStopping, HookEvent::ServerLost, HookEvent::PowerOff];

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What would be done, line by line.
    pub plan: Vec<String>,
    /// What has to be mended, with the remedy.
    pub problems: Vec<String>,
}

/// Prints what was found.
///
/// # Errors
/// There are problems.
pub fn run(options: &Options) -> Result<(), Failure> {
    let found = look(options);
    let problems = found.problems.iter().map(|problem| format!("problem: {problem}"));
    for line in found.plan.iter().cloned().chain(problems) {
        println!("{line}");
    }
    match found.problems.len() {
        0 => Ok(()),
        1 => Err(Failure::Permanent("1 problem, with its remedy above".into())),
        n => Err(Failure::Permanent(format!("{n} problems, each with its remedy above"))),
    }
}

/// Looks at everything that can be looked at.
pub fn look(options: &Options) -> Findings {
    let mut found = Findings::default();
    match layers(options, std::env::vars_os().collect()) {
        Ok(settings) => found.settings(options, settings),
        Err(why) => found.problems.push(why.to_string()),
    }
    found
}

impl Findings {
    fn settings(&mut self, options: &Options, settings: Settings) {
        match Config::check(options, settings.clone()) {
            Err(bad) => self.problems.extend(bad.iter().map(ToString::to_string)),
            Ok(config) => {
                self.server(&config);
                self.power(&config);
                self.state(&config.state_dir);
                EVENTS.iter().for_each(|&event| self.hooks(&config, event));
            }
        }
        self.origins(&settings);
    }

    fn server(&mut self, config: &Config) {
        let Config { host, port, name, .. } = config;
        let how = match (config.ucspi, config.announce) {
            (true, _) => "over the link that tcpclient makes".into(),
            (false, Some(group)) => format!("and listens for announcements on {group}"),
            (false, None) => "and hears no announcements".into(),
        };
        self.plan.push(format!("follows {host} port {port} as {name}, {how}"));
    }

    fn power(&mut self, config: &Config) {
        let from = |key| config.settings.origin(key);
        let command = config.settings.text("power-off-command").unwrap_or("nothing");
        let when = match (config.policy.power_off, config.policy.power_off_on_lost) {
            (true, true) => "when its server shuts down or is lost",
            (true, false) => "when its server shuts down",
            (false, true) => "when its server is lost",
            (false, false) => "never",
        };
        let origins = format!(
            "power-off from {}, power-off-on-lost from {}, power-off-command from {}",
            from("power-off"),
            from("power-off-on-lost"),
            from("power-off-command")
        );
        self.plan.push(format!("powers this machine off {when}, with `{command}` ({origins})"));
    }

    /// Making the directory is left to the first start; whether that can work shows on what is there already.
    fn state(&mut self, path: &Path) {
        self.plan.push(format!("keeps identity and journal in {}", path.display()));
        let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let writable = nix::unistd::access(there, nix::unistd::AccessFlags::W_OK).is_ok();
        if !there.is_dir() || !writable {
            let why = "cannot be written to; make it a directory of this user, or set STATE_DIR to one";
            self.problems.push(format!("{}: {why}", there.display()));
        }
    }

    fn hooks(&mut self, config: &Config, event: HookEvent) {
        let hooks = match hooks_of(config, event) {
            Ok(hooks) => hooks,
            Err(why) => return self.problems.push(why.to_string()),
        };
        if hooks.is_empty() {
            self.plan.push(format!("on {event} runs nothing"));
        }
        for hook in hooks {
            self.plan.push(format!("on {event} runs {}", hook.program.display()));
            self.problems.extend(hook.fault.map(|why| format!("{}: {why}", hook.name)));
        }
        if event == HookEvent::PowerOff {
            self.power_off_without_hooks(config);
        }
    }

    fn power_off_without_hooks(&mut self, config: &Config) {
        let wanted = config.policy.power_off || config.policy.power_off_on_lost;
        let none = !self.plan.iter().any(|line| line.starts_with("on power-off runs /"));
        if wanted && none {
            let why = "POWER_OFF is set, but no hook would do it; install power-off/90-power-off in one of";
            self.problems.push(format!("{why} {}", config.settings.text("hooks").unwrap_or_default()));
        }
    }

    fn origins(&mut self, settings: &Settings) {
        for setting in SETTINGS.iter().filter(|setting| settings.is_set(setting.key)) {
            let (value, origin) = (settings.text(setting.key).unwrap_or_default(), settings.origin(setting.key));
            self.plan.push(format!("{} = {value} ({origin})", setting.key));
        }
        for directory in settings.text("hooks").unwrap_or_default().split(':') {
            if let Err(why) = fs::read_dir(directory) {
                self.plan.push(format!("hooks in {directory}: none ({why})"));
            }
        }
    }
}
