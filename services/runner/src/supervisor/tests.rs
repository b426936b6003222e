//! The table of facts and meanings. What the real supervise does is in `tests/supervise.rs`.

use super::*;

fn unit(job: Job) -> Option<Unit> {
    Some(Unit { name: "fserver.service".into(), job })
}

fn system(state: &str) -> Option<System> {
    Some(System { state: state.into(), starts_again: None })
}

/// What is known -> what the signal means, and the sentence that decided.
#[test]
fn the_table_of_facts_and_meanings() {
    use Meaning::{Reboot, Restart, Shutdown};
    let nothing = Facts::default;
    let table = [
        (nothing(), Shutdown, "no supervisor"),
        (Facts { on_term: Some("restart".into()), ..nothing() }, Restart, "ON_TERM is `restart`"),
        (
            Facts { on_term: Some("shutdown".into()), supervise: Some(Want::Up), ..nothing() },
            Shutdown,
            "ON_TERM is `shutdown`",
        ),
        (Facts { on_term: Some("restart".into()), system: system("stopping"), ..nothing() }, Restart, "ON_TERM"),
        (Facts { supervise: Some(Want::Up), ..nothing() }, Restart, "supervise wants this service up"),
        (Facts { supervise: Some(Want::Down), ..nothing() }, Shutdown, "supervise wants this service down"),
        (Facts { supervise: Some(Want::Once), ..nothing() }, Shutdown, "run this service once"),
        (Facts { supervise: Some(Want::Up), system: system("stopping"), ..nothing() }, Shutdown, "is stopping"),
        (
            Facts {
                system: Some(System { state: "stopping".into(), starts_again: Some("reboot.target") }),
                ..nothing()
            },
            Reboot,
            "a start job for reboot.target",
        ),
        (Facts { supervise: Some(Want::Up), system: system("degraded"), ..nothing() }, Restart, "service up"),
        (Facts { supervise: Some(Want::Up), unit: unit(Job::Stop), ..nothing() }, Shutdown, "a stop job"),
        (Facts { supervise: Some(Want::Up), unit: unit(Job::None), ..nothing() }, Restart, "service up"),
        (Facts { supervise: Some(Want::Down), unit: unit(Job::Restart), ..nothing() }, Shutdown, "service down"),
        (Facts { unit: unit(Job::Restart), ..nothing() }, Restart, "a restart job for fserver.service"),
        (Facts { unit: unit(Job::Restart), system: system("stopping"), ..nothing() }, Shutdown, "is stopping"),
        (Facts { unit: unit(Job::Stop), ..nothing() }, Shutdown, "a stop job for fserver.service"),
        (Facts { unit: unit(Job::None), ..nothing() }, Shutdown, "no job for fserver.service"),
    ];
    for (facts, meaning, decisive) in table {
        let verdict = decide(&facts);
        assert_eq!(verdict.meaning, meaning, "{facts:?}");
        assert!(verdict.evidence.last().unwrap().contains(decisive), "{verdict:?}");
    }
}

#[test]
fn a_word_that_is_none_is_ignored_and_said_so() {
    let facts = Facts { on_term: Some("sleep".into()), supervise: Some(Want::Up), ..Facts::default() };
    let verdict = decide(&facts);
    assert_eq!(verdict.meaning, Meaning::Restart);
    assert!(
        verdict.evidence[0].contains("`sleep`, which is ignored; set it to shutdown, restart or reboot"),
        "{verdict:?}"
    );
}

#[test]
fn what_could_not_be_found_out_is_told() {
    let facts = Facts { gaps: vec!["systemctl gave no answer".into()], ..Facts::default() };
    let verdict = decide(&facts);
    assert_eq!(verdict.evidence, ["systemctl gave no answer", "so it may be a restart"]);
    assert_eq!(verdict.meaning, Meaning::Reboot, "nobody is powered off in vain");
}

#[tokio::test]
async fn the_owners_word_needs_no_facts() {
    let verdict = meaning_of_term(Some("restart"), "/nowhere/systemctl").await;
    assert_eq!(verdict, Verdict { meaning: Meaning::Restart, evidence: vec!["ON_TERM is `restart`".into()] });
}

#[tokio::test]
async fn a_machine_whose_end_nobody_confirms_does_not_go() {
    assert!(!machine_goes("/nowhere/systemctl").await);
    assert!(!machine_goes("/bin/true").await);
}
