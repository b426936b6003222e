//! `fclient check`: says what would be done, and lists everything that stands in its way. Changes nothing.

use crate::config::{Config, Options, layers};
use crate::share;
use protocol::hook::HookEvent;
use runner::check::{Findings, usual};
use runner::exit::Failure;
use runner::settings::Settings;
use std::path::Path;

/// The events that a client knows.
const EVENTS: [HookEvent; 4] =
    [HookEvent::ServerUp, HookEvent::ServerStopping, HookEvent::ServerLost, HookEvent::PowerOff];

/// Where it shows that this machine uploads recordings.
const UPLOADERS: [&str; 3] = ["/etc/pistop/upload.toml", "/service/upload", "/etc/service/upload"];

/// Prints what was found.
///
/// # Errors
/// There are problems.
pub fn run(options: &Options) -> Result<(), Failure> {
    let config = usual("fclient", options.config.as_ref(), options.variables.as_ref());
    look(&Options { config, ..options.clone() }).tell()
}

/// Looks at everything that can be looked at.
pub fn look(options: &Options) -> Findings {
    let mut found = Findings::default();
    match layers(options, std::env::vars_os().collect()) {
        Ok(settings) => {
            match Config::check(options, settings.clone()) {
                Err(bad) => found.problems.extend(bad.iter().map(ToString::to_string)),
                Ok(config) => usable(&mut found, &config),
            }
            found.origins(&settings);
        }
        Err(why) => found.problems.push(why.to_string()),
    }
    found
}

fn usable(found: &mut Findings, config: &Config) {
    server(found, config);
    power(found, config);
    share(found, &config.settings);
    found.state("identity and journal", &config.state_dir);
    let home = config.settings.path("home");
    found.hooks(&EVENTS, &config.hooks, home.as_deref());
    power_off_without_hooks(found, config);
    let here = UPLOADERS.iter().find(|path| Path::new(path).exists());
    found.problems.extend(here.and_then(|here| unsaved(config, here)));
}

fn server(found: &mut Findings, config: &Config) {
    let Config { host, port, name, .. } = config;
    let how = match (config.ucspi, config.announce) {
        (true, _) => "over the link that tcpclient makes".into(),
        (false, Some(group)) => format!("and listens for announcements on {group}"),
        (false, None) => "and hears no announcements".into(),
    };
    found.plan.push(format!("follows {host} port {port} as {name}, {how}"));
}

fn power(found: &mut Findings, config: &Config) {
    let from = |key| config.settings.origin(key);
    let command = config.settings.text("power-off-command").unwrap_or("nothing");
    let what = match (config.policy.power_off, config.policy.power_off_on_lost) {
        (true, true) => format!("powers this machine off when its server shuts down or is lost, with `{command}`"),
        (true, false) => format!("powers this machine off when its server shuts down, with `{command}`"),
        (false, true) => format!("powers this machine off when its server is lost, with `{command}`"),
        (false, false) => "never powers this machine off".into(),
    };
    let origins = format!(
        "power-off from {}, power-off-on-lost from {}, power-off-command from {}",
        from("power-off"),
        from("power-off-on-lost"),
        from("power-off-command")
    );
    found.plan.push(format!("{what} ({origins})"));
}

/// Whether the server answers is left to the hook: it may be off.
fn share(found: &mut Findings, settings: &Settings) {
    match share::planned(settings) {
        Ok(plan) => found.plan.extend(plan),
        Err(why) => found.problems.push(format!("the shared directory: {why}")),
    }
}

fn power_off_without_hooks(found: &mut Findings, config: &Config) {
    let wanted = config.policy.power_off || config.policy.power_off_on_lost;
    let none = !found.plan.iter().any(|line| line.starts_with("on power-off runs /"));
    if wanted && none {
        let why = "POWER_OFF is set, but no hook would do it; install power-off/90-power-off in one of";
        found.problems.push(format!("{why} {}", config.settings.text("hooks").unwrap_or_default()));
    }
}

/// Recordings are in RAM. If nobody waits for their upload, they go with the machine.
fn unsaved(config: &Config, here: &str) -> Option<String> {
    let goes_off = config.policy.power_off || config.policy.power_off_on_lost;
    (goes_off && !config.settings.is_set("uploads")).then(|| {
        let what = "this machine powers off with its server and does not wait until recordings are uploaded";
        format!("{what}, as {here} says it does; set cameras = \"camera\" and uploads = \"upload\", the names of those services")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_goes_off_before_its_recordings_are_uploaded_is_named() {
        let config = |set: &[(&str, &str)]| {
            let environment = [("HOST", "attic")].iter().chain(set).map(|(name, value)| (name.into(), value.into()));
            Config::check(&Options::default(), layers(&Options::default(), environment.collect()).unwrap()).unwrap()
        };
        let unsaved = |set: &[(&str, &str)]| unsaved(&config(set), "/service/upload");
        assert!(unsaved(&[("POWER_OFF", "1")]).unwrap().contains("set cameras = \"camera\" and uploads"));
        assert_eq!([unsaved(&[]), unsaved(&[("POWER_OFF", "1"), ("UPLOADS", "upload")])], [None, None]);
    }

    #[test]
    fn no_means_no() {
        let policy = |value: &str| {
            let environment = vec![("HOST".into(), "attic".into()), ("POWER_OFF".into(), value.into())];
            Config::check(&Options::default(), layers(&Options::default(), environment).unwrap()).unwrap().policy
        };
        let on = ["1", "yes", "y", "please"].map(|value| policy(value).power_off);
        let off = ["", "0", "no", "Off", "false "].map(|value| policy(value).power_off);
        assert_eq!((on, off), ([true; 4], [false; 5]));
    }
}
