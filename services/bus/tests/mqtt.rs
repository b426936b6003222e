//! The uplink with a real broker: what it says there, what it obeys, how it comes and goes.
#![allow(clippy::unwrap_used, missing_docs)]

mod hub;

use hub::broker::{Broker, PASSWORD, USER};
use hub::phone::{Phone, json};
use hub::{Attic, config, local};
use protocol::event::Keep;
use protocol::fact::{Condition, Fact};
use rumqttc::PublishProperties;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

fn camera(recording: bool) -> Fact {
    Fact::Camera { camera: "cam1".into(), online: true, recording, encoder: "x264".into() }
}

fn property(message: &rumqttc::Publish, name: &str) -> String {
    let properties = message.properties.as_ref().unwrap();
    properties.user_properties.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap()
}

#[test]
fn an_event_arrives_with_its_id_and_what_is_left_of_its_life() {
    local(async {
        let broker = Broker::start();
        let mut phone = Phone::listening(broker.open, "fs/v1/#").await;
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        let id =
            attic.hear("kitchen", "kitchen/evt/camera/motion", Keep::DropOldest, r#"{"at":1,"fact":"motion"}"#).await;
        let motion = phone.hear("fs/v1/kitchen/evt/camera/motion").await;
        assert_eq!(motion.payload, format!(r#"{{"id":"{id}","at":1,"fact":"motion"}}"#));
        let parts = ["node", "epoch", "seq"].map(|name| property(&motion, name));
        assert_eq!(parts.join("-"), id.to_string());
        let expiry = motion.properties.as_ref().unwrap().message_expiry_interval.unwrap();
        assert!((500..=600).contains(&expiry) && !motion.retain, "{expiry}");
        attic.stop().await;
    });
}

#[test]
fn how_things_are_is_kept_for_whoever_comes_later_and_events_are_not() {
    local(async {
        let broker = Broker::start();
        let mut first = Phone::listening(broker.open, "fs/v1/#").await;
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        attic.hear("kitchen", "kitchen/evt/camera/motion", Keep::DropOldest, "{}").await;
        attic.hear("kitchen", "kitchen/req/version", Keep::All, "{}").await;
        attic.fact("kitchen", &camera(true)).await;
        first.hear("fs/v1/kitchen/st/camera/camera/cam1").await;
        let mut late = Phone::start(broker.open, "late");
        late.subscribe("fs/v1/#").await;
        let mut topics = [late.any().await, late.any().await].map(|it| String::from_utf8_lossy(&it.topic).into_owned());
        topics.sort();
        assert_eq!(topics, ["fs/v1/attic/state", "fs/v1/kitchen/st/camera/camera/cam1"]);
        attic.stop().await;
    });
}

#[test]
fn the_version_of_the_broker_is_told_at_each_connection() {
    local(async {
        let mut broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        let version = attic.version().await;
        assert!(version.starts_with("mosquitto version "), "{version}");
        broker.kill();
        attic.away().await;
        broker.again();
        assert_eq!(attic.version().await, version);
        attic.stop().await;
    });
}

#[test]
fn what_was_said_while_the_broker_was_away_arrives_in_order() {
    local(async {
        let mut broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        broker.kill();
        attic.away().await;
        for number in 0..200 {
            attic.hear("kitchen", "kitchen/evt/camera/motion", Keep::All, &format!(r#"{{"n":{number}}}"#)).await;
        }
        broker.again();
        let mut phone = Phone::listening(broker.open, "fs/v1/kitchen/evt/#").await;
        // The uplink may have been quicker than the phone: then the rest comes in order.
        attic.connected().await;
        attic.hear("kitchen", "kitchen/evt/camera/motion", Keep::All, r#"{"n":200}"#).await;
        let mut last = None;
        while last != Some(200) {
            let number = json(&phone.any().await)["n"].as_u64();
            assert!(number > last, "{number:?} after {last:?}");
            last = number;
        }
        attic.stop().await;
    });
}

#[test]
fn a_broker_that_forgot_everything_is_told_again() {
    local(async {
        let mut broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        attic.fact("kitchen", &camera(true)).await;
        for round in 1..=5 {
            broker.kill();
            attic.away().await;
            broker.again();
            let mut phone = Phone::listening(broker.open, "fs/v1/#").await;
            assert_eq!(json(&phone.hear("fs/v1/kitchen/st/camera/camera/cam1").await)["camera"], "cam1");
            // What was not acknowledged before comes ahead of what is subscribed to.
            attic.connected().await;
            phone.say("fs/v1/kitchen/req/version", "").await;
            attic.kept("kitchen/req/version", round).await;
        }
        attic.stop().await;
    });
}

#[test]
fn a_password_is_asked_for_and_a_new_one_needs_no_restart() {
    local(async {
        let broker = Broker::start();
        let file = broker.file("secret");
        let mut config = config(broker.closed);
        (config.user, config.password_file) = (Some(USER.into()), Some(file.clone()));
        let mut attic = Attic::start(config);
        assert!(attic.trouble().await.contains("secret: cannot be read"));
        fs::write(&file, "wrong").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let why = attic.trouble().await;
        assert!(why.contains("does not let house in; look after mqtt-user and mqtt-password-file"), "{why}");
        fs::write(&file, PASSWORD).unwrap();
        attic.connected().await;
        attic.stop().await;
    });
}

#[test]
fn a_broker_with_tls_is_trusted_if_our_own_authority_vouches_for_it() {
    local(async {
        let broker = Broker::start();
        let sealed = |authority: &str, host: &str| {
            let mut config = config(broker.sealed);
            config.broker.tls = true;
            config.broker.host = host.into();
            config.ca_file = Some(broker.file(authority));
            config
        };
        let mut attic = Attic::start(sealed("ca.pem", "localhost"));
        let mut phone = Phone::listening(broker.open, "fs/v1/#").await;
        attic.connected().await;
        attic.fact("kitchen", &camera(true)).await;
        phone.hear("fs/v1/kitchen/st/camera/camera/cam1").await;
        attic.stop().await;
        for bad in [sealed("stranger.pem", "localhost"), sealed("ca.pem", "127.0.0.1"), sealed("ca.key", "localhost")] {
            let mut attic = Attic::start(bad);
            let why = attic.trouble().await;
            assert!(why.contains("cannot be trusted") && why.contains("mqtt-ca-file"), "{why}");
            attic.stop().await;
        }
        let mut attic = Attic::start(sealed("nowhere.pem", "localhost"));
        assert!(attic.trouble().await.contains("nowhere.pem: cannot be read"));
    });
}

#[test]
fn a_command_is_kept_and_its_reply_goes_to_whoever_asked() {
    local(async {
        let broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        let mut phone = Phone::listening(broker.open, "phone/#").await;
        attic.connected().await;
        let properties = PublishProperties {
            response_topic: Some("phone/answers".into()),
            correlation_data: Some(b"c1".to_vec().into()),
            ..PublishProperties::default()
        };
        phone.publish("fs/v1/kitchen/req/version", r#"{"what":"all","transaction":"t1"}"#, false, properties).await;
        let request = attic.kept("kitchen/req/version", 1).await.remove(0);
        assert_eq!((&request["from"], &request["arguments"]["what"]), (&"attic".into(), &"all".into()));
        let id = attic.id_of("kitchen/req/version");
        let reply = format!(r#"{{"at":1,"reply":"{id}","outcome":"done","remarks":"","data":{{"version":"1"}}}}"#);
        attic.hear("kitchen", "attic/res/version", Keep::All, &reply).await;
        let answer = phone.hear("phone/answers").await;
        assert_eq!((&json(&answer)["transaction"], &json(&answer)["data"]["version"]), (&"t1".into(), &"1".into()));
        assert_eq!(answer.properties.unwrap().correlation_data.unwrap(), "c1");
        attic.stop().await;
    });
}

#[test]
fn a_command_that_the_broker_keeps_is_refused_now_and_later() {
    local(async {
        let broker = Broker::start();
        let phone = Phone::start(broker.open, "phone");
        phone.publish("fs/v1/kitchen/req/old", "{}", true, PublishProperties::default()).await;
        let mut attic = Attic::start(config(broker.open));
        assert!(attic.refusal().await.contains("without the retain flag"));
        phone.publish("fs/v1/kitchen/req/new", "{}", true, PublishProperties::default()).await;
        assert!(attic.refusal().await.contains("without the retain flag"));
        phone.say("fs/v1/kitchen/req/version", "on").await;
        assert!(attic.refusal().await.contains("no JSON object"));
        phone.say("fs/v1/kitchen/req/version", "{}").await;
        attic.kept("kitchen/req/version", 1).await;
        assert!(attic.kept("kitchen/req/old", 0).await.is_empty() && attic.kept("kitchen/req/new", 0).await.is_empty());
        attic.stop().await;
    });
}

#[test]
fn a_command_that_was_sent_while_we_were_away_is_kept_once() {
    local(async {
        let broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        let phone = Phone::start(broker.open, "phone");
        attic.connected().await;
        phone.say("fs/v1/kitchen/req/version", r#"{"transaction":"t1"}"#).await;
        attic.kept("kitchen/req/version", 1).await;
        let journal = attic.die().await;
        phone.say("fs/v1/kitchen/req/version", r#"{"transaction":"t1"}"#).await;
        phone.say("fs/v1/kitchen/req/version", r#"{"transaction":"t2"}"#).await;
        let mut attic = Attic::with(journal, config(broker.open), 8);
        attic.connected().await;
        phone.say("fs/v1/kitchen/req/last", "{}").await;
        attic.kept("kitchen/req/last", 1).await;
        assert_eq!(attic.kept("kitchen/req/version", 2).await.len(), 2);
        attic.stop().await;
    });
}

#[test]
fn the_house_knows_the_end_that_was_announced_and_the_one_that_was_not() {
    local(async {
        let broker = Broker::start();
        let mut phone = Phone::listening(broker.open, "fs/v1/attic/state").await;
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        let online = phone.hear_that("fs/v1/attic/state", "state", "online").await;
        assert_eq!(json(&online)["boot"], 7);
        let began = Instant::now();
        let journal = attic.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5));
        phone.hear_that("fs/v1/attic/state", "state", "draining").await;
        phone.hear_that("fs/v1/attic/state", "state", "offline").await;
        let mut attic = Attic::with(journal, config(broker.open), 8);
        attic.connected().await;
        phone.hear_that("fs/v1/attic/state", "state", "online").await;
        attic.die().await;
        let offline = phone.hear_that("fs/v1/attic/state", "state", "offline").await;
        assert_eq!((&json(&offline)["boot"], &json(&offline)["cause"]), (&8.into(), &"lost".into()));
        let mut late = Phone::start(broker.open, "late");
        late.subscribe("fs/v1/attic/state").await;
        assert_eq!(json(&late.any().await)["state"], "offline", "the broker keeps it");
    });
}

#[test]
fn a_restart_is_no_end() {
    local(async {
        let broker = Broker::start();
        let mut phone = Phone::listening(broker.open, "fs/v1/attic/state").await;
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        let journal = attic.die().await;
        let mut attic = Attic::with(journal, config(broker.open), 8);
        attic.connected().await;
        phone.hear_that("fs/v1/attic/state", "state", "online").await;
        let next = phone.hear("fs/v1/attic/state").await;
        assert_eq!((&json(&next)["state"], &json(&next)["boot"]), (&"online".into(), &8.into()));
        attic.stop().await;
        assert_eq!(json(&phone.hear("fs/v1/attic/state").await)["state"], "draining", "the last will was taken back");
    });
}

#[test]
fn one_that_accepts_and_never_answers_is_named() {
    local(async {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut attic = Attic::start(config(silent.local_addr().unwrap().port()));
        assert!(attic.trouble().await.contains("accepts connections and does not answer"));
        attic.stop().await;
    });
}

#[test]
fn where_nothing_listens_is_named() {
    local(async {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut attic = Attic::start(config(port));
        let why = attic.trouble().await;
        assert!(why.contains(&format!("nothing listens at mqtt://localhost:{port}")), "{why}");
    });
}

#[test]
fn somebody_with_our_client_id_makes_us_stand_aside() {
    local(async {
        let broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        attic.connected().await;
        // It comes back at once whenever it is thrown out, so we are thrown out each time.
        let _other = Phone::start(broker.open, "fs-1-fserver");
        attic.trouble_of("another client uses our client id fs-1-fserver").await;
    });
}

#[test]
fn home_assistant_finds_every_machine() {
    local(async {
        let broker = Broker::start();
        let mut attic = Attic::start(config(broker.open));
        let mut home = Phone::listening(broker.open, "homeassistant/device/+/config").await;
        attic.connected().await;
        let program = "fclient 0.1.0".to_owned();
        let state = Fact::MachineState { state: Condition::Online, boot: 1, program, cause: String::new() };
        attic.fact("kitchen", &state).await;
        let document = json(&home.hear("homeassistant/device/fs_kitchen/config").await);
        assert_eq!(document["device"]["sw_version"], "fclient 0.1.0");
        attic.fact("kitchen", &camera(true)).await;
        let document = json(&home.hear("homeassistant/device/fs_kitchen/config").await);
        assert_eq!(document["components"]["camera-cam1"]["state_topic"], "fs/v1/kitchen/st/camera/camera/cam1");
        home.say("homeassistant/status", "online").await;
        let document = json(&home.hear("homeassistant/device/fs_attic/config").await);
        assert_eq!(document["components"]["shutdown"]["command_topic"], "fs/v1/attic/req/shutdown");
        let mut late = Phone::start(broker.open, "late");
        late.subscribe("homeassistant/#").await;
        assert!(late.hear("homeassistant/device/fs_kitchen/config").await.retain);
        let journal = attic.stop().await;
        assert!(journal.consumers().iter().any(|consumer| consumer.name == "mqtt" && consumer.open == 0));
    });
}
