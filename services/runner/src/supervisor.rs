//! What SIGTERM means: the signal is the same when the machine goes down, when somebody stops this program, and when a
//! supervisor stops it only to start it again. In the first two cases clients are told that the server goes, in the
//! last one that it returns; wrong in one direction powers a house off, wrong in the other makes it wait in vain.
//!
//! [`decide`] is pure; [`meaning_of_term`] gathers the facts within [`LONGEST`]. Each verdict lists what it rests on.
//! Sources: what supervise of daemontools 0.76 writes to its status file; systemctl(1) for `is-system-running` and `list-jobs`.

mod daemontools;
mod systemd;

pub use crate::supervise::Want;
pub use systemd::{Job, System, Unit};

use std::time::Duration;

/// No verdict takes longer, not even where systemctl hangs; it is asked twice.
pub const LONGEST: Duration = Duration::from_secs(9);

/// What the signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// This program goes and does not return by itself.
    Shutdown,
    /// Its supervisor starts it again at once.
    Restart,
    /// Its machine starts again.
    Reboot,
}

impl Meaning {
    fn of_word(word: &str) -> Option<Meaning> {
        match word {
            "shutdown" => Some(Meaning::Shutdown),
            "restart" => Some(Meaning::Restart),
            "reboot" => Some(Meaning::Reboot),
            _ => None,
        }
    }
}

/// A meaning and what it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The meaning.
    pub meaning: Meaning,
    /// Plain sentences, the decisive one last.
    pub evidence: Vec<String>,
}

/// What could be found out. A fact that is missing is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The setting `on-term` (ON_TERM), as the owner wrote it.
    pub on_term: Option<String>,
    /// What systemd does with the machine.
    pub system: Option<System>,
    /// The unit of systemd that this process belongs to.
    pub unit: Option<Unit>,
    /// What daemontools' supervise, our parent, wants of us.
    pub supervise: Option<Want>,
    /// What could not be found out and why.
    pub gaps: Vec<String>,
}

/// What the signal means. The owner's word goes first, then a machine or a unit that is being stopped, then what
/// supervise wants, then a unit that is being restarted; without a supervisor nobody would start us again. What could not be
/// found out powers nobody off.
pub fn decide(facts: &Facts) -> Verdict {
    let mut evidence = facts.gaps.clone();
    let meaning = RULES.iter().find_map(|rule| rule(facts, &mut evidence));
    let meaning = meaning.unwrap_or_else(|| match facts.gaps.is_empty() {
        true => {
            evidence.push("no supervisor is known that would start this program again".into());
            Meaning::Shutdown
        }
        // Everybody lets go, and nobody powers off in vain.
        false => {
            evidence.push("so it may be a restart".into());
            Meaning::Reboot
        }
    });
    Verdict { meaning, evidence }
}

/// Looks at its facts, says what it saw, and has a meaning or leaves it to the next one.
type Rule = fn(&Facts, &mut Vec<String>) -> Option<Meaning>;

const RULES: [Rule; 5] = [on_term, system_stopping, unit_stopping, supervise, unit_otherwise];

fn on_term(facts: &Facts, evidence: &mut Vec<String>) -> Option<Meaning> {
    let word = facts.on_term.as_deref()?;
    let meaning = Meaning::of_word(word);
    evidence.push(match meaning {
        Some(_) => format!("ON_TERM is `{word}`"),
        None => format!("ON_TERM is `{word}`, which is ignored; set it to shutdown, restart or reboot"),
    });
    meaning
}

fn system_stopping(facts: &Facts, evidence: &mut Vec<String>) -> Option<Meaning> {
    let System { state, starts_again } = facts.system.as_ref()?;
    evidence.push(format!("systemd says that the system is {state}"));
    if let Some(target) = starts_again {
        evidence.push(format!("systemd has a start job for {target}"));
        return Some(Meaning::Reboot);
    }
    (state == "stopping").then_some(Meaning::Shutdown)
}

/// A unit with a stop job goes for good, even if supervise runs inside it and does not know.
fn unit_stopping(facts: &Facts, evidence: &mut Vec<String>) -> Option<Meaning> {
    let unit = facts.unit.as_ref().filter(|unit| unit.job == Job::Stop)?;
    evidence.push(format!("systemd has a stop job for {}", unit.name));
    Some(Meaning::Shutdown)
}

fn supervise(facts: &Facts, evidence: &mut Vec<String>) -> Option<Meaning> {
    let (meaning, sentence) = match facts.supervise? {
        Want::Up => (Meaning::Restart, "supervise wants this service up"),
        Want::Down => (Meaning::Shutdown, "supervise wants this service down"),
        Want::Once => (Meaning::Shutdown, "supervise was told to run this service once"),
    };
    evidence.push(sentence.into());
    Some(meaning)
}

fn unit_otherwise(facts: &Facts, evidence: &mut Vec<String>) -> Option<Meaning> {
    let unit = facts.unit.as_ref()?;
    let (meaning, job) = match unit.job {
        Job::Restart => (Meaning::Restart, "a restart job"),
        Job::Stop => (Meaning::Shutdown, "a stop job"),
        Job::None => (Meaning::Shutdown, "no job"),
    };
    evidence.push(format!("systemd has {job} for {}", unit.name));
    Some(meaning)
}

/// What a SIGTERM that has just come means. `on_term` is the owner's setting, `systemctl` the command to ask systemd
/// with. Takes at most [`LONGEST`], and up to 0.3 s in the usual case of a restart under supervise.
pub async fn meaning_of_term(on_term: Option<&str>, systemctl: &str) -> Verdict {
    let facts = match on_term.and_then(Meaning::of_word) {
        Some(_) => Facts::default(),
        None => gather(systemctl).await,
    };
    decide(&Facts { on_term: on_term.map(String::from), ..facts })
}

/// Whether systemd is ending the whole machine; no if it does not say so. Takes at most [`LONGEST`].
pub async fn machine_goes(systemctl: &str) -> bool {
    let system = systemd::Systemd::of_this_machine(systemctl).system().await;
    system.ok().flatten().is_some_and(|system| system.state == "stopping")
}

async fn gather(systemctl: &str) -> Facts {
    let systemd = systemd::Systemd::of_this_machine(systemctl);
    let (want, system, unit) = tokio::join!(daemontools::want(), systemd.system(), systemd.unit());
    let mut gaps = Vec::new();
    Facts {
        system: or_gap(system, &mut gaps),
        unit: or_gap(unit, &mut gaps),
        supervise: or_gap(want, &mut gaps),
        gaps,
        on_term: None,
    }
}

fn or_gap<T>(found: Result<Option<T>, String>, gaps: &mut Vec<String>) -> Option<T> {
    found.unwrap_or_else(|gap| {
        gaps.push(gap);
        None
    })
}

#[cfg(test)]
mod tests;
