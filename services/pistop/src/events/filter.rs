//! `--filter`: patterns of topics, and the short forms that people write instead. Pure.
//!
//! | written | patterns |
//! |---|---|
//! | `camera` | a family: `+/evt/camera/#`, `+/st/camera/#` |
//! | `motion`, `camera/motion` | a fact: `+/evt/camera/motion` |
//! | `kitchen:` | a machine: `kitchen/#` |
//! | `kitchen:camera`, `kitchen:motion` | the same of one machine |
//! | `+/req/#` | a pattern as MQTT has it |

use bus::told;
use protocol::event::Family;
use protocol::fact::{Rule, shapes};
use protocol::{Filter, HostName};
use runner::nearest;

/// What to ask the agent for: one match is enough.
///
/// # Errors
/// One of them means nothing that is known.
pub fn patterns(written: &[String]) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for text in written {
        all.extend(expand(text)?);
    }
    Ok(if all.is_empty() { vec!["#".into()] } else { all })
}

fn expand(text: &str) -> Result<Vec<String>, String> {
    if is_pattern(text) {
        return Filter::parse(text).map(|filter| vec![filter.to_string()]).map_err(|why| why.to_string());
    }
    match text.split_once(':') {
        None => Ok(of(text)?.iter().map(|rest| format!("+/{rest}")).collect()),
        Some((host, rest)) => {
            let host = HostName::parse(host).map_err(|why| why.to_string())?;
            let rests = if rest.is_empty() { vec!["#".into()] } else { of(rest)? };
            Ok(rests.iter().map(|rest| format!("{host}/{rest}")).collect())
        }
    }
}

/// A wildcard, or the second level of a topic.
fn is_pattern(text: &str) -> bool {
    let kinds = ["state", "evt", "st", "req", "res"];
    text.contains(['+', '#']) || text.split('/').nth(1).is_some_and(|level| kinds.contains(&level))
}

/// The patterns of a family or a fact, without the machine.
fn of(text: &str) -> Result<Vec<String>, String> {
    if let Some(family) = Family::parse(text) {
        let state = (family == Family::Presence).then(|| "state".to_owned());
        return Ok([format!("evt/{family}/#"), format!("st/{family}/#")].into_iter().chain(state).collect());
    }
    let means = |rule: &Rule| rule.name == text || format!("{}/{}", rule.family, rule.name) == text;
    let rule = shapes().iter().map(|shape| &shape.rule).find(|rule| means(rule)).ok_or_else(|| unknown(text))?;
    let pattern = told::filter_of(rule).to_string();
    Ok(vec![pattern.strip_prefix("+/").map(str::to_owned).unwrap_or(pattern)])
}

fn unknown(text: &str) -> String {
    let full = || shapes().iter().map(|shape| format!("{}/{}", shape.rule.family, shape.rule.name));
    let names = shapes().iter().map(|shape| shape.rule.name.to_owned()).chain(Family::ALL.map(|f| f.name().to_owned()));
    let known: Vec<String> = if text.contains('/') { full().collect() } else { names.collect() };
    let nearest = nearest(text, known.iter().map(String::as_str)).unwrap_or_default();
    let machine = HostName::parse(text).map_or_else(|_| "`kitchen:`".into(), |host| format!("`{host}:`"));
    format!(
        "`{text}` is no family and no fact, the nearest is `{nearest}`; a machine is written {machine}, and anything else \
         as a pattern of topics, as in +/evt/camera/#"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Vec<String>, String> {
        patterns(&[text.to_owned()])
    }

    #[test]
    fn short_forms_become_patterns() {
        for (text, expected) in [
            ("camera", &["+/evt/camera/#", "+/st/camera/#"][..]),
            ("presence", &["+/evt/presence/#", "+/st/presence/#", "+/state"]),
            ("motion", &["+/evt/camera/motion"]),
            ("camera/motion", &["+/evt/camera/motion"]),
            ("last-backup", &["+/st/backup/last-backup/#"]),
            ("machine-state", &["+/state"]),
            ("kitchen:", &["kitchen/#"]),
            ("kitchen:motion", &["kitchen/evt/camera/motion"]),
            ("kitchen:camera", &["kitchen/evt/camera/#", "kitchen/st/camera/#"]),
            ("+/req/#", &["+/req/#"]),
            ("camera/state", &["camera/state"]),
            ("attic/evt/garden/rain", &["attic/evt/garden/rain"]),
        ] {
            assert_eq!(said(text).unwrap(), expected, "{text}");
        }
        assert_eq!(patterns(&[]).unwrap(), ["#"]);
        assert_eq!(patterns(&["kitchen:".into(), "motion".into()]).unwrap(), ["kitchen/#", "+/evt/camera/motion"]);
    }

    #[test]
    fn every_fact_can_be_asked_for_by_its_name() {
        for shape in shapes() {
            let (name, patterns) = (shape.rule.name, said(shape.rule.name).unwrap());
            assert!(patterns.iter().all(|pattern| Filter::parse(pattern).is_ok()), "{name}: {patterns:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_told_with_the_nearest() {
        assert!(said("moton").unwrap_err().starts_with("`moton` is no family and no fact, the nearest is `motion`;"));
        assert!(
            said("camera/moton")
                .unwrap_err()
                .contains("the nearest is `camera/motion`; a machine is written `kitchen:`")
        );
        assert!(said("camra").unwrap_err().contains("the nearest is `camera`; a machine is written `camra:`"));
        assert!(said("kit chen:").unwrap_err().contains("`kit chen` is no host name"));
        assert!(said("a#b").unwrap_err().contains("no pattern of topics"));
        assert!(said("kitchen:moton").unwrap_err().contains("the nearest is `motion`"));
    }
}
