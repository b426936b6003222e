//! Commands and replies: what travels comes back the same, and what is none names itself and the remedy.

use super::*;
use proptest::prelude::*;
use protocol::Epoch;

const NOW: u64 = 1_795_292_100_123;

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn id() -> EventId {
    EventId { node: host("kitchen"), epoch: Epoch(17), sequence: 3 }
}

fn map(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn request() -> Request {
    let arguments = map(r#"{"package":"pistop"}"#);
    Request { verb: "version".into(), deadline_ms: NOW + 29_500, from: host("kitchen"), arguments }
}

fn reply() -> Reply {
    let data = map(r#"{"version":"0.1.0"}"#);
    Reply { to: id(), outcome: Outcome::Done, remarks: String::new(), data }
}

#[test]
fn bodies_are_written_as_the_contract_says() {
    let body = String::from_utf8(request().encode(NOW).unwrap()).unwrap();
    let expected = r#"{"at":1795292100123,"request":"version","deadline":1795292129623,"from":"kitchen","#;
    assert_eq!(body, format!(r#"{expected}"arguments":{{"package":"pistop"}}}}"#));
    assert_eq!(Request::decode(body.as_bytes()), Ok(request()));
    let body = String::from_utf8(reply().encode(NOW)).unwrap();
    let expected = r#"{"at":1795292100123,"reply":"kitchen-17-3","outcome":"done","remarks":"","#;
    assert_eq!(body, format!(r#"{expected}"data":{{"version":"0.1.0"}}}}"#));
    assert_eq!(Reply::decode(body.as_bytes()), Ok(reply()));
}

#[test]
fn events_go_to_whom_they_are_for_and_not_beyond_the_deadline() {
    let event = request().event(id(), &host("attic"), NOW).unwrap();
    assert_eq!((event.topic.as_str(), event.ttl, event.class), ("attic/req/version", Some(30), CLASS));
    assert_eq!(Request::of(&event), Ok((host("attic"), request())));
    let late = Request { deadline_ms: NOW - 1, ..request() };
    assert_eq!(late.event(id(), &host("attic"), NOW).unwrap().ttl, Some(0));
    let event = reply().event(id(), &request(), NOW);
    assert_eq!((event.topic.as_str(), event.class), ("kitchen/res/version", CLASS));
    assert_eq!(Reply::of(&event), Ok(reply()));
}

#[test]
fn a_body_under_the_topic_of_something_else_is_no_command() {
    let event =
        |topic: &str, body: Vec<u8>| Event { id: id(), class: CLASS, topic: topic.into(), ttl: None, body: Body(body) };
    let body = request().encode(NOW).unwrap();
    for topic in ["attic/req/restart", "attic/res/version", "attic/evt/host/version", "attic/req/a b"] {
        assert_eq!(Request::of(&event(topic, body.clone())), Err(BadCommand::Topic(topic.into())));
    }
    assert!(Reply::of(&event("attic/req/version", reply().encode(NOW))).is_err());
    assert!(matches!(Request::of(&event("attic/req/version", reply().encode(NOW))), Err(BadCommand::Body(_))));
}

#[test]
fn a_request_is_over_when_its_deadline_has_come_by_a_clock_that_is_set() {
    let request = request();
    assert!(!request.is_over(request.deadline_ms - 1) && request.is_over(request.deadline_ms));
    let never_set = Request { deadline_ms: 1000, ..request };
    assert!(!never_set.is_over(60_000), "a machine that thinks it is 1970 cannot know");
}

#[test]
fn what_is_wrong_with_a_command_is_named() {
    let why = |body: &str| Request::decode(body.as_bytes()).unwrap_err().to_string();
    assert!(why("").contains("no command or reply") && why(&"{\"at\":[".repeat(3000)).contains("no command"));
    assert!(why(r#"{"at":1,"deadline":2,"from":"kitchen"}"#).contains("missing field `request`"));
    assert!(why(r#"{"at":1,"request":"a/b","deadline":2,"from":"kitchen"}"#).contains("`a/b` is no name on the bus"));
    assert!(why(r#"{"at":1,"request":"x","deadline":2,"from":"kit chen"}"#).contains("no host name"));
    assert!(why(r#"{"at":1,"request":"x","deadline":2,"from":"k","arguments":[]}"#).contains("expected a map"));
    let plain = Request::decode(br#"{"at":1,"request":"x","deadline":2,"from":"k"}"#).unwrap();
    assert!(plain.arguments.is_empty());
    let long = Request { arguments: Map::from_iter([("a".into(), "x".repeat(MAX_BODY).into())]), ..request() };
    assert!(long.encode(NOW).unwrap_err().to_string().contains("too long"));
    let bad = Request { verb: "a b".into(), ..request() };
    assert!(bad.event(id(), &host("attic"), NOW).is_err());
}

#[test]
fn an_answer_comes_even_if_its_data_is_too_long() {
    let data = Map::from_iter([("list".into(), "\u{1}".repeat(MAX_BODY).into())]);
    let long = Reply { data, remarks: "é\u{1}".repeat(9000), ..reply() };
    let body = long.encode(NOW);
    assert!(body.len() <= MAX_BODY);
    let read = Reply::decode(&body).unwrap();
    assert!(read.data.is_empty() && read.remarks.contains("left out") && read.outcome == Outcome::Done);
}

#[test]
fn a_refusal_names_the_remedy() {
    let (here, from) = (host("attic"), host("kitchen"));
    let known = vec!["ping".into(), "version".into()];
    let unknown = Refusal::Unknown { verb: "versoin".into(), here: here.clone(), known };
    let reply = unknown.reply(id());
    assert_eq!((reply.outcome, &reply.to), (Outcome::Refused, &id()));
    assert_eq!(reply.remarks, "nobody on attic does `versoin`; known are ping, version; did you mean `version`?");
    let late = Refusal::Over { verb: "restart".into(), late_ms: 1500 };
    assert_eq!(late.outcome(), Outcome::Expired);
    assert!(late.to_string().contains("1.5 s after its deadline") && late.to_string().contains("clocks"));
    let away = Refusal::Away { verb: "snapshot".into(), here: here.clone() }.to_string();
    assert!(away.contains("not running; start it"), "{away}");
    let not_allowed = Refusal::NotAllowed { verb: "restart".into(), here, from }.to_string();
    assert!(not_allowed.contains("kitchen may not ask attic") && not_allowed.contains("role"), "{not_allowed}");
}

proptest! {
    #[test]
    fn any_body_is_a_command_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Request::decode(&body), Reply::decode(&body));
    }

    #[test]
    fn a_command_survives_the_trip(at in any::<u64>(), deadline_ms in any::<u64>(), verb in "[a-z][a-z-]{0,20}", key in ".{0,9}", value in ".{0,99}") {
        let arguments = Map::from_iter([(key, value.into())]);
        let request = Request { verb, deadline_ms, from: host("kitchen"), arguments };
        prop_assert_eq!(Request::decode(&request.encode(at).unwrap()), Ok(request));
    }
}
