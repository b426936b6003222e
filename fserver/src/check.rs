//! `fserver check`: says what would be done, and lists everything that stands in its way. Changes nothing.

use crate::config::{Config, Options};
use bus::options::{DOOR_GROUP, JOURNAL};
use bus::secure::AuthorizedFile;
use nix::unistd::Group;
use protocol::hook::HookEvent;
use runner::check::{Findings, usual};
use runner::exit::Failure;
use runner::settings::Origin;

/// The events that a server knows.
const EVENTS: [HookEvent; 2] = [HookEvent::ClientsReleased, HookEvent::GoingDown];
/// What the setting `on-term` may say.
const ON_TERM: [&str; 3] = ["shutdown", "restart", "reboot"];

/// Prints what was found.
///
/// # Errors
/// There are problems.
pub fn run(options: &Options) -> Result<(), Failure> {
    let config = usual("fserver", options.config.as_ref(), options.variables.as_ref());
    look(&Options { config, ..options.clone() }).tell()
}

/// Looks at everything that can be looked at.
pub fn look(options: &Options) -> Findings {
    let mut found = Findings::default();
    match Config::load(options) {
        Ok(config) => {
            listens(&mut found, &config);
            house(&mut found, &config);
            on_term(&mut found, &config);
            group(&mut found, &config);
            found.state("identity and journal", &config.state_dir);
            found.hooks(&EVENTS, &config.hooks, None);
            found.origins(&config.settings);
        }
        Err(why) => found.problems.push(why.to_string()),
    }
    found
}

fn listens(found: &mut Findings, config: &Config) {
    let addresses: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let how = config.announce.map_or("and is not announced".into(), |group| format!("and is announced on {group}"));
    found.plan.push(format!("listens on {} as {}, {how}", addresses.join(" and "), config.name));
}

/// Whom it would let in. A list that somebody named and that is not there opens the house against his will.
fn house(found: &mut Findings, config: &Config) {
    let list = &config.authorized_peers;
    let is_named = config.settings.origin("authorized-peers") != Origin::Default;
    match AuthorizedFile::at(list).load() {
        Err(why) => found.problems.push(why.to_string()),
        Ok((peers, complaints)) => {
            let count = peers.peers().count();
            found.plan.push(match count + complaints.len() {
                0 => format!(
                    "open house: anybody on this network may follow and publish, as {} names nobody",
                    list.display()
                ),
                _ => format!("closed house: {} names the {count} machines that may come in", list.display()),
            });
            found.problems.extend(complaints.iter().map(ToString::to_string));
        }
    }
    if is_named && !list.exists() {
        let remedy = "correct AUTHORIZED_PEERS, or pair a machine with `pistop pair`";
        found.problems.push(format!("{} is not there, so the house is open; {remedy}", list.display()));
    }
}

fn on_term(found: &mut Findings, config: &Config) {
    let wrong = config.settings.text("on-term").filter(|word| !ON_TERM.contains(word));
    let why =
        |word| format!("`{word}` would be ignored; set it to {}, or leave it empty to find out", ON_TERM.join(", "));
    found.problems.extend(wrong.map(|word| config.settings.bad("on-term", why(word)).to_string()));
}

/// Programs of other users than root come to the bus through it.
fn group(found: &mut Findings, config: &Config) {
    let settings = &config.settings;
    let has_door = !matches!(settings.text(JOURNAL.key), None | Some("off"));
    let Some(name) = settings.text(DOOR_GROUP.key).filter(|_| has_door) else { return };
    if !matches!(Group::from_name(name), Ok(Some(_))) {
        let line = format!(
            "there is no group {name}, so only root may use the event bus; `addgroup --system {name}` makes it"
        );
        match settings.origin(DOOR_GROUP.key) {
            Origin::Default => found.plan.push(line),
            _ => found.problems.push(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn look_at(text: &str) -> (String, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let (config, state) = (folder.path().join("fserver.toml"), folder.path().join("state"));
        let hooks = folder.path().join("hooks");
        fs::create_dir_all(hooks.join("clients-released")).unwrap();
        let text = text.replace("HERE", &folder.path().display().to_string());
        fs::write(&config, format!("name = \"attic\"\nstate-dir = \"{}\"\n{text}\n", state.display())).unwrap();
        let found = look(&Options { config: Some(config), ..Options::default() });
        (found.plan.join("\n"), found.problems)
    }

    #[test]
    fn a_sound_set_up_has_no_problem_and_says_who_may_come_in() {
        let (plan, problems) = look_at("hooks = \"HERE/hooks\"\ndoor-group = \"\"\nauthorized-peers = \"HERE/list\"");
        assert!(problems.len() == 1 && problems[0].contains("so the house is open; correct AUTHORIZED_PEERS"));
        assert!(plan.contains("5555 as attic, and is announced on 239.255.55.55:5555"), "{plan}");
        assert!(plan.contains("open house: anybody on this network"), "{plan}");
        assert!(plan.contains("on going-down runs nothing"), "{plan}");
    }

    #[test]
    fn a_slip_is_named_before_the_night_in_which_it_matters() {
        let slips = "hooks = \"HERE/hoks\"\ndoor-group = \"pistopp\"\non-term = \"reset\"";
        let told = look_at(slips).1.join("\n");
        for part in ["no directory of hooks is there", "there is no group pistopp", "`reset` would be ignored"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(look_at("port = \"http\"").1[0].contains("`http` is no whole number from 0 to 65535"));
    }
}
