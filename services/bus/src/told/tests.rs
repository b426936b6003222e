//! Facts as bodies of events and back, as topics, as variables of hooks, and out of words.

use super::*;
use proptest::prelude::*;
use protocol::Epoch;
use protocol::event::{Class, Keep};
use protocol::fact::{Condition, Plain};

const NOW: Duration = Duration::from_millis(1_795_292_100_123);

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn motion() -> Fact {
    Fact::Motion { camera: "cam1".into(), percent: 12.5 }
}

fn backup(source: &str) -> Fact {
    Fact::LastBackup { source: source.into(), completed: 7, verified: true }
}

fn topic(fact: &Fact) -> String {
    topic_of(&host("attic"), fact).to_string()
}

/// A fact with every text, number and flag as given.
fn filled(name: &'static str, text: &str, number: Value, flag: bool) -> Fact {
    let value = |plain| match plain {
        Plain::Flag => flag.into(),
        Plain::Number | Plain::Whole => number.clone(),
        Plain::Text => text.into(),
        Plain::Word(words) => words[0].into(),
    };
    let fields = shape(name).unwrap().fields.iter().map(|field| (field.name.to_owned(), value(field.plain)));
    Fact::deserialize(Value::Object(fields.chain([("fact".to_owned(), name.into())]).collect())).unwrap()
}

#[test]
fn a_body_is_written_as_the_contract_says() {
    let body = |now, fact| String::from_utf8(encode(&Told::new(now, fact))).unwrap();
    assert_eq!(body(NOW, motion()), r#"{"at":1795292100123,"fact":"motion","camera":"cam1","percent":12.5}"#);
    let early = Duration::from_secs(60);
    assert_eq!(body(early, motion()), r#"{"at":60000,"clock":"unset","fact":"motion","camera":"cam1","percent":12.5}"#);
    let set = Duration::from_secs(CLOCK_IS_SET);
    assert!(Told::new(set - Duration::from_millis(1), motion()).clock_unset && !Told::new(set, motion()).clock_unset);
}

#[test]
fn what_is_no_fact_is_named_with_the_remedy() {
    let why = |body: &str| decode(body.as_bytes()).unwrap_err().to_string();
    assert!(why("[]").contains("no JSON object") && why("{").contains("no JSON object"));
    assert!(why(&"[".repeat(10_000)).contains("no JSON object"), "deep nesting is an error, no overflow");
    assert!(why(&format!("{{\"a\":{}", "[".repeat(10_000))).contains("recursion limit"));
    assert!(why(&"x".repeat(MAX_BODY + 1)).contains("32769 bytes is too long"));
    assert_eq!(why("{}"), "the body has no `fact`; give the name of one");
    assert_eq!(why(r#"{"fact":"motion"}"#), "the body has no `at`; give milliseconds since 1970");
    let unknown = "`moton` is no fact that this version knows; the nearest is `motion`";
    assert_eq!(why(r#"{"at":1,"fact":"moton"}"#), unknown);
    assert!(why(r#"{"at":1,"fact":"motion","camera":"c"}"#).contains("missing field `percent`"));
    assert!(why(r#"{"at":1,"fact":"motion","camera":"c","percent":"x"}"#).contains("invalid type"));
    assert!(why(&format!(r#"{{"at":1,"fact":"{}\u001b"}}"#, "é".repeat(400))).is_ascii());
}

#[test]
fn what_a_newer_version_adds_is_passed_over() {
    let body = br#"{"at":1795292100123,"fact":"motion","zone":[1],"camera":"cam1","percent":12.5,"where":"gate"}"#;
    assert_eq!(decode(body), Ok(Told::new(NOW, motion())));
}

#[test]
fn the_worst_fact_fits_into_a_body_and_is_read_again() {
    for text in ["x", "\u{1}", "é", "\u{1f600}", "\"\\"] {
        for shape in shapes() {
            let told = Told::new(NOW, filled(shape.rule.name, &text.repeat(40_000), 7.into(), true));
            let body = encode(&told);
            assert!(body.len() <= MAX_BODY, "{}: {} bytes", shape.rule.name, body.len());
            assert_eq!(decode(&body).unwrap().fact.rule(), shape.rule);
        }
    }
    let none = Fact::Motion { camera: "c".into(), percent: f64::NAN };
    assert_eq!(decode(&encode(&Told::new(NOW, none))).unwrap().fact, Fact::Motion { camera: "c".into(), percent: 0.0 });
}

#[test]
fn a_topic_says_what_the_rule_says() {
    let state = Fact::MachineState { state: Condition::Online, boot: 1, program: "p".into(), cause: String::new() };
    assert_eq!(topic(&state), "attic/state");
    assert_eq!(topic(&motion()), "attic/evt/camera/motion");
    assert_eq!(topic(&backup("music")), "attic/st/backup/last-backup/music");
    assert_eq!(topic(&Fact::UploadQueue { files: 1, bytes: 1, oldest: 1 }), "attic/st/upload/upload-queue");
}

#[test]
fn an_item_that_is_no_word_is_made_one_and_stays_itself() {
    assert_eq!(topic(&backup("/home/music")), "attic/st/backup/last-backup/_home_music-50e37490");
    let odd =
        ["/home/music", "/home music", "home/music", "", ".", "..", ".hidden", "#", "+", "ü", "\0", &"x".repeat(65)];
    let topics: std::collections::BTreeSet<String> = odd.iter().map(|item| topic(&backup(item))).collect();
    assert_eq!(topics.len(), odd.len());
    for topic in topics {
        assert_eq!(Topic::parse(&topic).unwrap().to_string(), topic);
    }
}

#[test]
fn every_fact_is_found_by_its_pattern_and_its_name() {
    for shape in shapes() {
        let fact = filled(shape.rule.name, "/x y", 7.into(), false);
        let topic = topic_of(&host("attic"), &fact);
        assert!(filter_of(&shape.rule).matches(&topic.to_string()), "{topic}");
        assert_eq!((name_of(&topic), topic.family()), (Some(shape.rule.name), Some(shape.rule.family)));
        let others = shapes().iter().filter(|other| other.rule != shape.rule);
        assert!(others.into_iter().all(|other| !filter_of(&other.rule).matches(&topic.to_string())), "{topic}");
    }
    assert_eq!(name_of(&Topic::parse("attic/req/version").unwrap()), None);
}

#[test]
fn an_event_has_the_envelope_that_the_rule_says() {
    let id = EventId { node: host("attic"), epoch: Epoch(17), sequence: 3 };
    let event = event_of(id.clone(), &Told::new(NOW, motion()));
    assert_eq!((&event.id, event.topic.as_str(), event.ttl), (&id, "attic/evt/camera/motion", Some(3600)));
    assert_eq!(event.class, Class { keep: Keep::DropOldest, durable: false });
    let about = event_about(id, &host("kitchen"), &Told::new(NOW, backup("music")));
    assert_eq!(
        (about.topic.as_str(), about.class.keep),
        ("kitchen/st/backup/last-backup/music", Keep::LatestPerSubject)
    );
}

proptest! {
    #[test]
    fn what_is_told_is_understood(at in any::<u64>(), clock_unset in any::<bool>(), text in ".{0,40}", number in any::<u64>(), flag in any::<bool>()) {
        for shape in shapes() {
            // A number with a fraction keeps about 15 digits of a whole one.
            let number = if shape.fields.iter().any(|f| f.plain == Plain::Number) { number >> 16 } else { number };
            let told = Told { at, clock_unset, fact: filled(shape.rule.name, &text, number.into(), flag) };
            prop_assert_eq!(decode(&encode(&told)), Ok(told));
        }
    }

    #[test]
    fn any_body_is_harmless(body in proptest::collection::vec(any::<u8>(), 0..200), json in "\\{(\"[a-z\\\\]{1,3}\":[\\[{\"0-9.a-z\\]}]{0,6},?){0,4}\\}") {
        for body in [&body[..], json.as_bytes()] {
            let _ = decode(body);
            for (name, value) in variables(body) {
                prop_assert!(name.starts_with("FACT_") && value.len() <= MAX_VALUE && !value.contains(char::is_control));
            }
        }
    }
}
