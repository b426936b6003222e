//! An uplink, a broker and a house that are what the test says.

mod given_up;

use super::*;
use crate::journal::{Entry, Position, Record};
use protocol::HostName;
use protocol::event::{Class, EventId, Keep};
use serde_json::Value;
use std::sync::Arc;

const START: u64 = 1_800_000_000;

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

/// An uplink and the time that it sees.
struct Play {
    machine: Machine,
    at: Duration,
}

impl Play {
    fn new() -> Play {
        let prefix = |text| Prefix::parse(text).unwrap();
        let (node, program) = (host("attic"), "fserver 0.1.0".to_owned());
        let house = House::new(prefix("fs/v1"), prefix("homeassistant"), node.clone(), program.clone());
        let (broker, client_id) = ("mqtt://hub:1883".into(), "fs-1-fserver".into());
        let host = Host { node, epoch: Epoch(7), program, broker, client_id };
        let backoff = Backoff::seeded(Duration::from_secs(1), Duration::from_secs(60), 1);
        Play { machine: Machine::new(host, prefix("fs/v1"), Some(house), Epoch(99), backoff), at: Duration::ZERO }
    }

    /// Connected, with all that is said at once said and answered.
    fn up(resumed: bool, states: &[(&str, &str)]) -> Play {
        let mut play = Play::new();
        play.connect(resumed, states);
        play
    }

    fn connect(&mut self, resumed: bool, states: &[(&str, &str)]) -> Vec<Action> {
        self.wait();
        let mut actions = self.hear(Input::Up(Greeting { resumed, largest: None, keeps: true }));
        actions.extend(self.hear(Input::Subscribed(Vec::new())));
        let states = states.iter().zip(1..).map(|((topic, body), at)| entry(at, topic, body)).collect();
        actions.extend(self.hear(Input::States(states)));
        actions.extend(self.answer_all(&actions.clone()));
        actions
    }

    fn hear(&mut self, input: Input) -> Vec<Action> {
        let now = Now { instant: Instant::at(self.at), unix: Duration::from_secs(START) + self.at };
        self.machine.handle(input, now)
    }

    fn pass(&mut self, seconds: u64) {
        self.at += Duration::from_secs(seconds);
    }

    /// Until something is due.
    fn wait(&mut self) -> Vec<Action> {
        let due = self.machine.deadline().expect("something is due").since_start();
        self.at = self.at.max(due);
        self.hear(Input::Tick)
    }

    /// The broker takes all that is published, and what is published then.
    fn answer_all(&mut self, actions: &[Action]) -> Vec<Action> {
        let mut all = Vec::new();
        let mut coming = marks(actions);
        while let Some(mark) = coming.pop() {
            let more = self.hear(Input::Answered(mark, Verdict::Taken));
            coming.extend(marks(&more));
            all.extend(more);
        }
        all
    }

    fn record(&mut self, at: u64, topic: &str, body: &str) -> Vec<Action> {
        self.hear(Input::Record(entry(at, topic, body)))
    }

    fn command(&mut self, message: Message) -> Vec<Action> {
        self.hear(Input::Heard(message))
    }
}

fn entry(at: u64, topic: &str, body: &str) -> Arc<Entry> {
    let key = EventId { node: host("kitchen"), epoch: Epoch(3), sequence: at };
    let class = Class { keep: Keep::All, durable: true };
    let record = Record { key, class, subject: topic.into(), expires: Some(START + 3600), body: body.into() };
    Arc::new(Entry { position: Position(at), second: 0, record })
}

fn command(token: u64, payload: &str) -> Message {
    let topic = "fs/v1/kitchen/req/version".into();
    Message { token, topic, payload: payload.into(), packet: token as u16, ..Message::default() }
}

fn marks(actions: &[Action]) -> Vec<Mark> {
    let mark = |action: &Action| if let Action::Publish(mark, _) = action { Some(*mark) } else { None };
    actions.iter().filter_map(mark).collect()
}

fn publications(actions: &[Action]) -> Vec<&Publication> {
    actions.iter().filter_map(|action| if let Action::Publish(_, it) = action { Some(it) } else { None }).collect()
}

fn topics(actions: &[Action]) -> Vec<&str> {
    publications(actions).into_iter().map(|publication| publication.topic.as_str()).collect()
}

fn json(publication: &Publication) -> Value {
    serde_json::from_slice(&publication.payload).unwrap()
}

fn refusal(actions: &[Action]) -> &str {
    let why = |action: &Action| matches!(action, Action::Tell(Fact::EventRefused { .. }));
    match actions.iter().find(|action| why(action)) {
        Some(Action::Tell(Fact::EventRefused { why, .. })) => why,
        _ => panic!("nothing is refused: {actions:?}"),
    }
}

fn down(why: &str) -> Input {
    Input::Down(Trouble::Other(why.into()))
}

#[test]
fn it_connects_with_a_last_will_and_says_that_it_is_there() {
    let mut play = Play::new();
    let [Action::Connect(will)] = &play.wait()[..] else { panic!("it does not connect") };
    assert_eq!((will.topic.as_str(), will.keep), ("fs/v1/attic/state", true));
    assert_eq!((&json(will)["state"], &json(will)["boot"]), (&"offline".into(), &7.into()));
    let actions = play.hear(Input::Up(Greeting { resumed: false, largest: None, keeps: true }));
    let [birth] = publications(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((&json(birth)["state"], birth.keep), (&"online".into(), true));
    let wanted =
        ["homeassistant/status", "homeassistant/device/+/config", "$SYS/broker/version"].map(str::to_owned).to_vec();
    assert!(actions.contains(&Action::Subscribe("fs/v1/+/req/+".into(), wanted)));
    assert!(!play.machine.wants_records(), "states come first");
}

#[test]
fn a_record_is_settled_when_the_broker_has_answered() {
    let mut play = Play::up(true, &[]);
    let actions = play.record(5, "kitchen/evt/camera/motion", r#"{"at":1}"#);
    let [motion] = publications(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((motion.topic.as_str(), motion.keep), ("fs/v1/kitchen/evt/camera/motion", false));
    assert_eq!(motion.payload, br#"{"id":"kitchen-3-5","at":1}"#);
    assert_eq!(motion.expires, Some(3600 - play.at.as_secs() as u32));
    assert!(!actions.contains(&Action::Settle(Position(5))));
    assert!(play.answer_all(&actions).contains(&Action::Settle(Position(5))));
}

#[test]
fn so_much_is_under_way_and_no_more() {
    let mut play = Play::up(true, &[]);
    let mut actions = Vec::new();
    for at in 1..=WINDOW as u64 + 9 {
        actions.extend(play.record(at, "kitchen/evt/camera/motion", "{}"));
    }
    assert_eq!(marks(&actions).len(), WINDOW);
    assert!(!play.machine.wants_records());
    let more = play.answer_all(&actions);
    assert_eq!(marks(&more).len(), 9);
    let settled: Vec<_> = more.iter().filter(|action| matches!(action, Action::Settle(_))).collect();
    assert_eq!(settled.len(), WINDOW + 9);
    assert!(play.machine.wants_records());
}

#[test]
fn what_was_under_way_comes_again_after_the_connection() {
    let mut play = Play::up(true, &[]);
    let actions = play.record(5, "kitchen/evt/camera/motion", "{}");
    let ended = play.hear(down("gone"));
    assert_eq!(ended[0], Action::Rewind);
    assert!(play.answer_all(&actions).is_empty(), "an answer of an earlier connection means nothing");
    play.connect(true, &[]);
    assert_eq!(topics(&play.record(5, "kitchen/evt/camera/motion", "{}")).len(), 1);
}

#[test]
fn pauses_grow_until_something_was_taken() {
    let mut play = Play::new();
    let mut last = Duration::ZERO;
    for _ in 0..12 {
        play.wait();
        play.hear(down("refused"));
        let pause = play.machine.deadline().unwrap().since_start() - play.at;
        assert!(pause <= Duration::from_secs(60) && pause >= last / 4, "{pause:?} after {last:?}");
        last = pause;
    }
    assert!(last > Duration::from_secs(29));
    play.connect(true, &[]);
    play.hear(down("gone"));
    assert!(play.machine.deadline().unwrap().since_start() - play.at <= Duration::from_secs(1));
}

#[test]
fn trouble_is_told_once_and_its_end_as_well() {
    let mut play = Play::new();
    let uplink = |actions: &[Action]| actions.iter().filter(|a| matches!(a, Action::Tell(Fact::Uplink { .. }))).count();
    let mut told = Vec::new();
    for _ in 0..5 {
        play.wait();
        told.push(uplink(&play.hear(down("refused"))));
    }
    assert_eq!(told, [1, 0, 0, 0, 0]);
    assert_eq!(uplink(&play.connect(true, &[])), 1);
    assert_eq!(uplink(&play.hear(down("refused"))), 1);
}

#[test]
fn the_version_of_the_broker_is_told_whenever_it_comes() {
    let says = |text: &str| {
        let (topic, payload) = ("$SYS/broker/version".into(), text.as_bytes().to_vec());
        Input::Heard(Message { topic, payload, retained: true, ..Message::default() })
    };
    let detail = |actions: &[Action]| match actions {
        [Action::Tell(Fact::Uplink { connected: true, detail, .. })] => detail.clone(),
        _ => panic!("{actions:?}"),
    };
    let mut play = Play::up(false, &[]);
    assert_eq!(detail(&play.hear(says("mosquitto version 2.0.11"))), "mosquitto version 2.0.11");
    assert_eq!(play.hear(says("mosquitto version 2.0.11")), []);
    play.hear(down("refused"));
    play.wait();
    play.hear(Input::Up(Greeting { resumed: true, largest: None, keeps: true }));
    assert_eq!(play.hear(says("mosquitto version 2.0.22")), [], "what it refuses is not known yet");
    let told = play.hear(Input::Subscribed(vec!["not this".into()]));
    assert_eq!(detail(&told), "not this; mosquitto version 2.0.22");
    assert!(detail(&play.hear(says(&"\u{1b}".repeat(500)))).len() < 1000, "whoever may write there");
}

#[test]
fn a_broker_that_forgot_is_told_how_everything_is() {
    let states =
        [("kitchen/state", r#"{"state":"online"}"#), ("kitchen/st/camera/camera/cam1", "{}"), ("attic/state", "{}")];
    let mut play = Play::new();
    let actions = play.connect(false, &states);
    assert_eq!(topics(&actions), ["fs/v1/attic/state", "fs/v1/kitchen/state", "fs/v1/kitchen/st/camera/camera/cam1"]);
    assert!(publications(&actions).iter().all(|publication| publication.keep));
    play.hear(down("gone"));
    assert_eq!(topics(&play.connect(true, &states)), ["fs/v1/attic/state"], "one that remembers is not");
}

#[test]
fn somebody_with_our_client_id_is_left_alone() {
    let mut play = Play::up(true, &[]);
    play.pass(3600);
    play.hear(Input::Down(Trouble::Closed));
    for resumed in [true, false, false] {
        assert!(play.machine.deadline().unwrap().since(Instant::at(play.at)) < ASIDE);
        play.connect(resumed, &[]);
        play.pass(3);
        play.hear(Input::Down(Trouble::Closed));
    }
    assert_eq!(play.machine.deadline().unwrap().since_start() - play.at, ASIDE);
    assert!(play.machine.told.as_ref().unwrap().contains("fs-1-fserver; give one of the two another mqtt-client-id"));
    let mut play = Play::up(true, &[]);
    play.hear(Input::Down(Trouble::Taken));
    assert_eq!(play.machine.deadline().unwrap().since_start() - play.at, ASIDE, "a broker that says so is believed");
    play.connect(true, &[]);
    assert!(play.machine.wants_records());
}

#[test]
fn a_broker_that_is_killed_again_and_again_is_no_quarrel() {
    let mut play = Play::new();
    for _ in 0..50 {
        play.connect(false, &[]);
        play.pass(1);
        play.hear(Input::Down(Trouble::Closed));
        play.wait();
        play.hear(down("nothing listens"));
        assert!(play.machine.deadline().unwrap().since(Instant::at(play.at)) < ASIDE);
    }
}

#[test]
fn a_command_is_acknowledged_when_the_journal_has_it() {
    let mut play = Play::up(true, &[]);
    let actions = play.command(command(1, r#"{"deadline":10,"what":"all"}"#));
    let [Action::Keep { digest, event, search: false }] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!((event.topic.as_str(), event.ttl), ("kitchen/req/version", Some(10)));
    assert_eq!(event.id.to_string(), "attic-99-1");
    let request = crate::command::Request::decode(&event.body.0).unwrap();
    assert_eq!((request.from, &request.arguments["what"]), (host("attic"), &"all".into()));
    assert_eq!(play.hear(Input::Kept(*digest, Ok(()))), [Action::Acknowledge(1)]);
}

#[test]
fn a_command_is_worth_nothing_when_the_broker_says_so() {
    let mut play = Play::up(true, &[]);
    let mut left = |expires| match &play.command(Message { expires, ..command(1, r#"{"deadline":60}"#) })[..] {
        [Action::Keep { event, .. }] => event.ttl,
        other => panic!("{other:?}"),
    };
    assert_eq!((left(Some(5)), left(Some(500)), left(None)), (Some(5), Some(60), Some(60)));
}

#[test]
fn a_command_that_comes_again_is_not_obeyed_again() {
    let mut play = Play::up(true, &[]);
    let first = play.command(command(1, "{}"));
    let Action::Keep { digest, .. } = first[0] else { panic!("{first:?}") };
    play.hear(down("gone"));
    play.connect(true, &[]);
    let again = Message { token: 9, again: true, ..command(1, "{}") };
    assert_eq!(play.command(again.clone()), [], "the journal has not got it yet");
    assert_eq!(play.hear(Input::Kept(digest, Ok(()))), [Action::Acknowledge(9)]);
    assert_eq!(play.command(again), [Action::Acknowledge(9)]);
    assert!(matches!(play.command(command(2, "{}"))[..], [Action::Keep { search: false, .. }]), "pressed once more");
}

#[test]
fn a_command_from_before_this_run_is_looked_for() {
    let mut play = Play::up(true, &[]);
    let again = Message { again: true, ..command(1, "{}") };
    assert!(matches!(play.command(again)[..], [Action::Keep { search: true, .. }]));
    let named = command(2, r#"{"transaction":"t1"}"#);
    assert!(matches!(play.command(named)[..], [Action::Keep { search: true, .. }]));
    let other = command(3, r#"{"transaction":"t1"}"#);
    assert_eq!(play.command(other), [], "the same transaction is the same command");
}

#[test]
fn what_is_no_command_is_refused_and_acknowledged() {
    let mut play = Play::up(true, &[]);
    let mut why = |message: Message| {
        let actions = play.command(message);
        assert_eq!(actions.last(), Some(&Action::Acknowledge(4)));
        refusal(&actions).to_owned()
    };
    assert!(why(Message { retained: true, ..command(4, "{}") }).contains("without the retain flag"));
    assert!(why(Message { expires: Some(0), ..command(4, "{}") }).contains("too late"));
    assert!(why(command(4, "on")).contains("no JSON object"));
    assert!(why(command(4, &format!("\"{}\"", "x".repeat(20_000)))).contains("20002 bytes"));
    assert!(why(Message { topic: "fs/v1/kit chen/req/x".into(), ..command(4, "") }).contains("`kit chen`"));
    assert!(why(Message { topic: "fs/v1/kitchen/req/a b".into(), ..command(4, "") }).contains("`a b`"));
    let response = Some("fs/v1/attic/req/shutdown".to_owned());
    assert!(why(Message { response, ..command(4, "") }).contains("response topic"));
    let clearing = Message { retained: true, ..command(4, "") };
    assert_eq!(play.command(clearing), [Action::Acknowledge(4)], "somebody takes a kept command away");
}

#[test]
fn strangers_do_not_fill_the_journal_with_their_mistakes() {
    let mut play = Play::up(true, &[]);
    let told: usize = (0..1000).map(|token| play.command(command(token, "on")).len() - 1).sum();
    assert_eq!(told, 20);
}

#[test]
fn a_reply_goes_where_the_asker_wants_it() {
    let mut play = Play::up(true, &[]);
    let (response, correlation) = (Some("phone/answers".to_owned()), Some(b"c1".to_vec()));
    play.command(Message { response, correlation: correlation.clone(), ..command(1, r#"{"transaction":"t1"}"#) });
    let reply = r#"{"at":1,"reply":"attic-99-1","outcome":"done","remarks":"","data":{}}"#;
    let actions = play.record(8, "attic/res/version", reply);
    let [sent] = publications(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!((sent.topic.as_str(), &sent.correlation, sent.keep), ("phone/answers", &correlation, false));
    assert_eq!(json(sent)["transaction"], "t1");
    let actions = play.record(9, "attic/res/version", reply);
    assert_eq!(topics(&actions), ["phone/answers"], "a copy, as the first was perhaps not heard");
    let of_nobody = reply.replace("attic-99-1", "attic-99-7");
    let actions = play.record(10, "attic/res/version", &of_nobody);
    assert_eq!(topics(&actions), ["fs/v1/attic/res/version"], "one that nobody waits for goes to the usual place");
}

#[test]
fn only_who_was_asked_answers() {
    let mut play = Play::up(true, &[]);
    let response = Some("phone/answers".to_owned());
    let topic = "fs/v1/hall/req/version".into();
    play.command(Message { response, topic, ..command(1, r#"{"transaction":"t1"}"#) });
    let reply = r#"{"at":1,"reply":"attic-99-1","outcome":"done","remarks":"","data":{}}"#;
    let actions = play.record(8, "attic/res/version", reply);
    assert_eq!(topics(&actions), ["fs/v1/attic/res/version"], "kitchen says it, and hall was asked");
}

#[test]
fn two_askers_may_both_count_from_one() {
    let mut play = Play::up(true, &[]);
    let asks = |token, response: &str| {
        let (response, correlation) = (Some(response.to_owned()), Some(b"1".to_vec()));
        Message { response, correlation, ..command(token, "") }
    };
    let is_kept = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Keep { .. }));
    assert!(is_kept(&play.command(asks(1, "phone/answers"))));
    assert!(is_kept(&play.command(asks(2, "tablet/answers"))));
    assert!(!is_kept(&play.command(asks(3, "tablet/answers"))), "the same once more");
}

#[test]
fn our_own_state_is_that_of_this_run() {
    let mut play = Play::up(true, &[]);
    let state = |boot, state| {
        format!(r#"{{"at":1,"fact":"machine-state","state":"{state}","boot":{boot},"program":"p","cause":"shutdown"}}"#)
    };
    assert_eq!(play.record(1, "attic/state", &state(6, "offline")), [Action::Settle(Position(1))]);
    assert_eq!(topics(&play.record(2, "attic/state", &state(7, "draining"))), ["fs/v1/attic/state"]);
    play.hear(down("gone"));
    let actions = play.connect(true, &[]);
    assert_eq!(json(publications(&actions)[0])["state"], "draining");
}

#[test]
fn the_end_is_said_before_the_connection_ends() {
    let mut play = Play::up(true, &[]);
    let actions = play.hear(Input::Stop);
    let states: Vec<_> = publications(&actions).into_iter().map(|it| json(it)["state"].clone()).collect();
    assert_eq!(states, ["draining", "offline"]);
    assert_eq!(play.answer_all(&actions), [Action::Disconnect]);
    assert_eq!(play.hear(Input::Down(Trouble::Closed)), [Action::Finish]);
}

#[test]
fn a_broker_that_does_not_answer_holds_nobody_up_at_the_end() {
    let mut play = Play::up(true, &[]);
    play.hear(Input::Stop);
    assert_eq!(play.wait(), [Action::Finish]);
    assert!(play.at < Duration::from_secs(10));
    assert_eq!(Play::new().hear(Input::Stop), [Action::Finish], "nor one that was never reached");
}

#[test]
fn what_the_broker_will_never_take_is_passed_over_and_told() {
    let mut play = Play::up(true, &[]);
    let mark = marks(&play.record(5, "kitchen/evt/camera/motion", "{}"))[0];
    let actions = play.hear(Input::Answered(mark, Verdict::Never("no right".into())));
    assert_eq!((&actions[0], refusal(&actions)), (&Action::Settle(Position(5)), "no right"));
    let actions = play.record(6, "kitchen/evt/camera/motion", "no JSON");
    assert!(refusal(&actions).contains("no JSON object") && actions.contains(&Action::Settle(Position(6))));
}

#[test]
fn home_assistant_is_told_a_moment_after_the_connection_and_when_it_comes() {
    let mut play = Play::up(true, &[("kitchen/state", "{}")]);
    let birth = || Message { topic: "homeassistant/status".into(), payload: b"online".to_vec(), ..Message::default() };
    assert_eq!(play.command(birth()), [], "it is about to be told anyway");
    let devices = ["homeassistant/device/fs_attic/config", "homeassistant/device/fs_kitchen/config"];
    let actions = play.wait();
    assert_eq!(topics(&actions), devices);
    assert!(publications(&actions).iter().all(|document| document.keep));
    play.answer_all(&actions);
    assert_eq!(play.command(Message { retained: true, ..birth() }), [], "an old word");
    assert_eq!(play.command(Message { payload: b"offline".to_vec(), ..birth() }), []);
    let actions = play.command(birth());
    assert_eq!(topics(&actions), devices);
    play.answer_all(&actions);
    let actions = play.record(5, "kitchen/st/camera/camera/cam1", "{}");
    assert_eq!(topics(&actions), [devices[1], "fs/v1/kitchen/st/camera/camera/cam1"]);
    assert!(json(publications(&actions)[0])["components"]["camera-cam1"].is_object());
}

#[test]
fn a_device_that_is_no_more_goes_after_an_hour() {
    let mut play = Play::up(true, &[]);
    let document = |name: &str, origin: &str| Message {
        topic: format!("homeassistant/device/{name}/config"),
        payload: format!(r#"{{"origin":{{"name":"pistop-rs at {origin}"}},"components":{{}}}}"#).into(),
        retained: true,
        ..Message::default()
    };
    for (name, origin) in [("fs_gone", "attic"), ("fs_kitchen", "attic"), ("fs_other", "barn"), ("lamp", "lamps")] {
        assert_eq!(play.command(document(name, origin)), []);
    }
    let actions = play.wait();
    play.answer_all(&actions);
    let actions = play.record(5, "kitchen/state", "{}");
    play.answer_all(&actions);
    play.pass(3500);
    assert_eq!(play.hear(Input::Tick), []);
    let actions = play.wait();
    assert_eq!(topics(&actions), ["homeassistant/device/fs_gone/config"]);
    assert!(publications(&actions)[0].payload.is_empty() && publications(&actions)[0].keep);
}
