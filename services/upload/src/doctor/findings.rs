//! What follows from what was seen, and how it is said. Pure.

use super::{HIDDEN_DAYS, KEPT_DAYS, PROBE};
use crate::trouble::{Place, Trouble};
use serde_json::{Value, json};

/// Storage refuses requests that are signed a quarter of an hour too early or too late; a minute off is a broken clock all the same.
const CLOCK_OFF_S: i64 = 60;

/// What was seen. What could not be tried is `None`.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where.
    pub place: Place,
    /// Segments that wait.
    pub segments: Result<Option<u64>, String>,
    /// The file with the key.
    pub key: Result<(), String>,
    /// Writing an object.
    pub write: Option<Result<(), Trouble>>,
    /// The bucket keeps versions: what is deleted by name, or written anew, is only hidden.
    pub versions: bool,
    /// Deleting it.
    pub delete: Option<Result<Deletion, Trouble>>,
    /// Setting the rule, if that was asked for.
    pub set_rules: Option<Result<(), Trouble>>,
    /// The rules that hold for the whole bucket.
    pub rules: Option<Result<Vec<Expiry>, Trouble>>,
    /// Seconds that our clock is ahead of the server's.
    pub ahead_s: Option<i64>,
}

/// How much of what is there the key may take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// All of it.
    Deletes,
    /// Its name: a reader of the bucket sees nothing any more, and the versions stay.
    Hides,
    /// Nothing.
    Refused,
}

/// What a life-cycle rule does, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// After its upload an object goes, or is hidden where versions are kept.
    pub hidden_after: Option<i32>,
    /// After it was hidden it is deleted.
    pub deleted_after: Option<i32>,
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// It keeps uploads from working; otherwise it is only worth knowing.
    pub is_problem: bool,
    /// What is the matter, and the remedy.
    pub what: String,
}

/// What follows from what was seen.
pub fn of(seen: &Seen) -> Vec<Finding> {
    let problem = |what: String| Some(Finding { is_problem: true, what });
    let note = |what: String| Some(Finding { is_problem: false, what });
    let (bucket, credentials) = (&seen.place.bucket, &seen.place.credentials);
    let segments = match &seen.segments {
        Err(why) => problem(format!("{why}; is camera running, is RAM_DIR the same there, and may this user read it?")),
        Ok(None) => note(
            "there are no recordings yet; their folder comes with camera, and RAM_DIR has to be the same there".into(),
        ),
        Ok(Some(_)) => None,
    };
    let key = seen.key.as_ref().err().cloned().and_then(problem);
    let write = match &seen.write {
        Some(Err(trouble)) => problem(format!("writing to bucket `{bucket}` fails: {}", trouble.why())),
        _ => None,
    };
    let delete = seen.delete.as_ref().and_then(|delete| deletion(delete, credentials)).and_then(note);
    let set_rules = match &seen.set_rules {
        Some(Err(trouble)) => problem(format!(
            "the life-cycle rule is not set: {}; set it in the web interface, or with a key that may",
            trouble.why()
        )),
        _ => None,
    };
    let rules = match &seen.rules {
        Some(Err(Trouble::Setup { .. })) => note(
            "the key may not read the life-cycle rules, which is as it should be; look in the web interface \
             whether everything goes after 3 days"
                .into(),
        ),
        Some(Err(trouble)) => note(format!(
            "the life-cycle rules are not known: {}; see that everything goes after 3 days",
            trouble.why()
        )),
        Some(Ok(rules)) => kept(rules, seen.versions).and_then(problem),
        None => None,
    };
    let clock = match seen.ahead_s {
        Some(ahead) if ahead.abs() >= CLOCK_OFF_S => problem(format!(
            "our clock is {} s {} the server's; have a time server set it (timedatectl set-ntp true)",
            ahead.abs(),
            if ahead > 0 { "ahead of" } else { "behind" }
        )),
        _ => None,
    };
    [segments, key, write, clock, delete, set_rules, rules].into_iter().flatten().collect()
}

/// What whoever takes this machine can do to what was recorded.
fn deletion(seen: &Result<Deletion, Trouble>, credentials: &str) -> Option<String> {
    match seen {
        Ok(Deletion::Refused) => None,
        Ok(Deletion::Deletes) => Some(format!(
            "the key in {credentials} may delete, so whoever takes this machine can erase what was recorded; \
             make one that may only write (writeFiles at Backblaze)"
        )),
        Ok(Deletion::Hides) => Some(format!(
            "the key in {credentials} cannot delete what was recorded, and can hide it by name, as every key that may write can at \
             Backblaze; whoever takes this machine may do that, so fetch the versions of hidden files before the life-cycle \
             rule deletes them a day later, or turn Object Lock on"
        )),
        Err(trouble) => Some(format!("whether the key may delete is not known: {}", trouble.why())),
    }
}

/// What is wrong with how long things are kept.
fn kept(rules: &[Expiry], versions: bool) -> Option<String> {
    let remedy = "upload doctor --set-lifecycle, or the web interface, has everything deleted after 3 days";
    let old = rules.iter().filter_map(|rule| rule.deleted_after).min();
    match rules.iter().filter_map(|rule| rule.hidden_after).min() {
        None => Some(format!("nothing is ever deleted from the bucket, which costs more each day; {remedy}")),
        Some(days) if days != KEPT_DAYS => {
            Some(format!("recordings go after {days} days and not after {KEPT_DAYS}; {remedy}"))
        }
        Some(_) if versions && old.is_none() => Some(format!(
            "what goes is only hidden, and its versions are kept for ever, which costs more each day; {remedy}"
        )),
        Some(_) if versions && old > Some(HIDDEN_DAYS) => Some(format!(
            "what goes is hidden, and its versions are kept for {} days more and not for {HIDDEN_DAYS}; {remedy}",
            old.unwrap_or_default()
        )),
        Some(_) => None,
    }
}

/// For people: a line for everything that was looked at, then a line for each finding.
pub fn people(seen: &Seen, findings: &[Finding]) -> String {
    let untried = || "not tried".to_owned();
    let segments = match &seen.segments {
        Err(_) => "cannot be read".into(),
        Ok(count) => format!("{} wait", count.unwrap_or(0)),
    };
    let write = seen.write.as_ref().map_or_else(untried, |write| match write {
        Ok(()) => format!("works, with checksum ({PROBE})"),
        Err(_) => "does not work".into(),
    });
    let delete = seen.delete.as_ref().map_or_else(untried, |delete| match delete {
        Ok(Deletion::Deletes) => "works".into(),
        Ok(Deletion::Hides) => "is refused, as it should be; hiding by name works".into(),
        Ok(Deletion::Refused) => "is refused, as it should be".into(),
        Err(_) => "not known".into(),
    });
    let rules = seen.rules.as_ref().map_or_else(untried, |rules| match rules {
        Ok(rules) => match rules.iter().filter_map(|rule| rule.hidden_after).min() {
            Some(days) => format!("recordings go after {days} days"),
            None => "nothing goes".into(),
        },
        Err(_) => "not known".into(),
    });
    let clock = seen.ahead_s.map_or_else(|| "not compared".into(), |ahead| format!("{ahead:+} s to the server's"));
    let Place { bucket, endpoint, region, credentials } = &seen.place;
    let key = if seen.key.is_ok() { "can be read, by nobody else" } else { "cannot be used" };
    let rows = [
        ("storage", format!("bucket {bucket} at {endpoint}, region {region}")),
        ("key", format!("{credentials} {key}")),
        ("segments", segments),
        ("writing", write),
        ("deleting", delete),
        ("rules", rules),
        ("clock", clock),
    ];
    let rows = rows.map(|(name, words)| format!("{name:<9} {words}\n")).concat();
    let line = |finding: &Finding| {
        let kind = if finding.is_problem { "problem" } else { "note" };
        format!("{kind}: {}\n", finding.what)
    };
    rows + &findings.iter().map(line).collect::<String>()
}

/// The same as one object.
pub fn json(seen: &Seen, findings: &[Finding]) -> Value {
    let finding = |finding: &Finding| json!({"problem": finding.is_problem, "what": finding.what});
    let rule = |rule: &Expiry| json!({"hidden-after": rule.hidden_after, "deleted-after": rule.deleted_after});
    let rules = seen.rules.as_ref().and_then(|rules| rules.as_ref().ok());
    let deletion = seen.delete.as_ref().and_then(|delete| delete.as_ref().ok());
    json!({
        "bucket": seen.place.bucket,
        "endpoint": seen.place.endpoint,
        "region": seen.place.region,
        "segments": seen.segments.as_ref().ok().copied().flatten(),
        "may-write": seen.write.as_ref().map(Result::is_ok),
        "versions": seen.versions,
        "may-delete": deletion.map(|deletion| *deletion == Deletion::Deletes),
        "may-hide": deletion.map(|deletion| *deletion != Deletion::Refused),
        "rules": rules.map(|rules| rules.iter().map(rule).collect::<Vec<_>>()),
        "clock-ahead-s": seen.ahead_s,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Seen {
        Seen {
            place: Place {
                endpoint: "https://s3.example".into(),
                region: "r".into(),
                bucket: "b".into(),
                credentials: "/key".into(),
            },
            segments: Ok(Some(2)),
            key: Ok(()),
            write: Some(Ok(())),
            versions: true,
            delete: Some(Ok(Deletion::Refused)),
            set_rules: None,
            rules: Some(Ok(vec![Expiry { hidden_after: Some(3), deleted_after: Some(1) }])),
            ahead_s: Some(1),
        }
    }

    fn found(seen: &Seen, word: &str) -> bool {
        let findings = of(seen);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(findings[0].what.contains(word), "{findings:?}");
        findings[0].is_problem
    }

    #[test]
    fn what_is_as_it_should_be_is_said_in_seven_lines() {
        let seen = healthy();
        assert_eq!(of(&seen), []);
        let text = people(&seen, &[]);
        assert_eq!(text.lines().count(), 7, "{text}");
        for words in
            ["deleting  is refused, as it should be", "rules     recordings go after 3 days", "writing   works"]
        {
            assert!(text.contains(words), "{text}");
        }
    }

    #[test]
    fn each_problem_has_its_remedy() {
        let setup = || Trouble::Setup { cause: "bucket", why: "there is no bucket `b`; create it".into() };
        assert!(found(&Seen { write: Some(Err(setup())), delete: None, rules: None, ..healthy() }, "create it"));
        assert!(found(&Seen { segments: Err("/ram: no".into()), ..healthy() }, "is camera running"));
        let early = of(&Seen { segments: Ok(None), ..healthy() });
        assert!(early.len() == 1 && !early[0].is_problem && early[0].what.contains("no recordings yet"), "{early:?}");
        assert!(found(&Seen { rules: Some(Ok(vec![])), ..healthy() }, "--set-lifecycle"));
        let weeks = Expiry { hidden_after: Some(14), deleted_after: None };
        assert!(found(&Seen { rules: Some(Ok(vec![weeks])), ..healthy() }, "after 14 days and not after 3"));
        assert!(found(&Seen { ahead_s: Some(-90), ..healthy() }, "90 s behind"));
        assert!(found(&Seen { set_rules: Some(Err(setup())), ..healthy() }, "with a key that may"));
        let key = Err("/key: others may read it; chmod 600 it".into());
        let nothing = Seen { key, write: None, delete: None, rules: None, ahead_s: None, ..healthy() };
        assert!(found(&nothing, "chmod 600"));
    }

    #[test]
    fn what_is_only_worth_knowing_is_no_problem() {
        assert!(!found(&Seen { delete: Some(Ok(Deletion::Deletes)), ..healthy() }, "may only write"));
        let refused = Trouble::Setup { cause: "rights", why: "no".into() };
        assert!(!found(&Seen { rules: Some(Err(refused)), ..healthy() }, "as it should be"));
        let json = json(&healthy(), &[]);
        assert_eq!((&json["may-delete"], &json["may-write"]), (&false.into(), &true.into()));
    }

    #[test]
    fn a_key_that_can_hide_by_name_is_not_said_to_be_harmless() {
        let seen = Seen { delete: Some(Ok(Deletion::Hides)), ..healthy() };
        assert!(!found(&seen, "can hide it by name"));
        assert!(people(&seen, &[]).contains("hiding by name works"));
        let json = json(&seen, &[]);
        assert_eq!((&json["may-delete"], &json["may-hide"]), (&false.into(), &true.into()));
    }

    #[test]
    fn versions_that_nobody_deletes_are_a_problem_where_there_are_any() {
        let kept = |deleted_after| Some(Ok(vec![Expiry { hidden_after: Some(3), deleted_after }]));
        assert!(found(&Seen { rules: kept(None), ..healthy() }, "kept for ever"));
        assert!(found(&Seen { rules: kept(Some(30)), ..healthy() }, "for 30 days more and not for 1"));
        assert_eq!(of(&Seen { rules: kept(None), versions: false, ..healthy() }), []);
    }
}
