//! What Home Assistant is told: one device a machine, with the entities that its services have. Pure.
//!
//! What always holds: a document says all about its device, so that sending it again changes nothing; and each one is
//! signed with the server's name, so that documents of machines that are no more are found and taken away, and nobody
//! else's are touched. The form is Home Assistant's, of its page about MQTT, section "Device discovery payload".

mod entity;

use super::topic::Prefix;
use entity::Entity;
use protocol::HostName;
use protocol::topic::{Kind, Topic};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The machines of a house and what they have, as far as Home Assistant is told.
#[derive(Debug)]
pub struct House {
    prefix: Prefix,
    discovery: Prefix,
    server: HostName,
    /// The server's program with its version.
    program: String,
    machines: BTreeMap<HostName, Machine>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Machine {
    program: String,
    entities: BTreeSet<Entity>,
}

impl House {
    /// A house with its server alone.
    pub fn new(prefix: Prefix, discovery: Prefix, server: HostName, program: String) -> House {
        let own = Machine { program: program.clone(), entities: BTreeSet::new() };
        House { prefix, discovery, machines: BTreeMap::from([(server.clone(), own)]), server, program }
    }

    /// Forgets all but the server, to be told again.
    pub fn clear(&mut self) {
        self.machines.retain(|node, _| *node == self.server);
        self.machines.values_mut().for_each(|machine| machine.entities.clear());
    }

    /// Hears how something is. Whether the machine's document is another now.
    pub fn note(&mut self, topic: &Topic, body: &[u8]) -> bool {
        let before = self.machines.get(&topic.node).cloned();
        match &topic.kind {
            Kind::State => self.note_machine(&topic.node, body),
            Kind::Status(..) => {
                let entities = &mut self.machines.entry(topic.node.clone()).or_default().entities;
                entities.extend(Entity::of(&topic.kind));
            }
            Kind::Event(..) | Kind::Request(_) | Kind::Reply(_) => {}
        }
        self.machines.get(&topic.node) != before.as_ref()
    }

    fn note_machine(&mut self, node: &HostName, body: &[u8]) {
        let state: Value = serde_json::from_slice(body).unwrap_or_default();
        let machine = self.machines.entry(node.clone()).or_default();
        if let Some(program) = state["program"].as_str().filter(|_| *node != self.server) {
            machine.program = program.to_owned();
        }
    }

    /// All machines that are known.
    pub fn machines(&self) -> impl Iterator<Item = &HostName> {
        self.machines.keys()
    }

    /// Where the document of a machine is.
    pub fn topic(&self, node: &HostName) -> String {
        self.discovery.below(&format!("device/{}/config", device(node)))
    }

    /// The pattern of all documents.
    pub fn documents(&self) -> String {
        self.discovery.below("device/+/config")
    }

    /// Where Home Assistant says that it is there.
    pub fn birth(&self) -> String {
        self.discovery.below("status")
    }

    /// What a machine's document says.
    pub fn document(&self, node: &HostName) -> Value {
        let machine = self.machines.get(node).cloned().unwrap_or_default();
        let (program, version) = machine.program.split_once(' ').unwrap_or((&machine.program, ""));
        let model = if *node == self.server { "file server" } else { "machine of the house" };
        let mut about = json!({
            "identifiers": [device(node)],
            "name": node.as_str(),
            "manufacturer": "pistop-rs",
            "model": model,
        });
        if !program.is_empty() {
            about["sw_version"] = format!("{program} {version}").trim_end().into();
        }
        let own = [Entity::Presence, Entity::Phase].into_iter();
        let buttons = [Entity::Button("restart"), Entity::Button("shutdown")].into_iter();
        let all = own.chain(buttons.filter(|_| *node == self.server)).chain(machine.entities);
        let place = entity::Place { prefix: &self.prefix, node, device: device(node) };
        let components: Map<String, Value> = all.map(|entity| (entity.key(), entity.component(&place))).collect();
        json!({ "device": about, "origin": self.origin(), "qos": 1, "components": components })
    }

    fn origin(&self) -> Value {
        let version = self.program.split_once(' ').map_or("", |(_, version)| version);
        json!({ "name": self.signature(), "sw_version": version })
    }

    fn signature(&self) -> String {
        format!("pistop-rs at {}", self.server)
    }

    /// What becomes of a document that the broker has.
    pub fn judge(&self, topic: &str, payload: &[u8]) -> Judgement {
        let Ok(old) = serde_json::from_slice::<Value>(payload) else { return Judgement::Foreign };
        if old["origin"]["name"] != self.signature() {
            return Judgement::Foreign;
        }
        let Some(node) = self.machines.keys().find(|node| self.topic(node) == topic) else { return Judgement::Stale };
        let mut new = self.document(node);
        let gone = without(&old["components"], &new["components"]);
        if gone.is_empty() {
            return Judgement::Current;
        }
        if let Some(components) = new["components"].as_object_mut() {
            components.extend(gone);
        }
        Judgement::Shrunk(node.clone(), new)
    }
}

/// What a document at the broker is.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement {
    /// Somebody else's.
    Foreign,
    /// Of a machine that nobody knows.
    Stale,
    /// Of a machine that is known.
    Current,
    /// The same, but it has entities that are no more: they go by this document, after which the whole one is sent.
    Shrunk(HostName, Value),
}

/// What stands in for components that are no more: their platform alone takes them away.
fn without(old: &Value, new: &Value) -> Map<String, Value> {
    let old = old.as_object().into_iter().flatten();
    let gone = old.filter(|(key, component)| new.get(key.as_str()).is_none() && component["platform"].is_string());
    gone.map(|(key, component)| (key.clone(), json!({ "platform": component["platform"] }))).collect()
}

/// The name of a machine as an identifier of Home Assistant, which has no dots.
fn device(node: &HostName) -> String {
    format!("fs_{}", node.as_str().replace('_', "__").replace('.', "_-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostName {
        HostName::parse(name).unwrap()
    }

    fn house() -> House {
        let prefix = |text| Prefix::parse(text).unwrap();
        House::new(prefix("fs/v1"), prefix("homeassistant"), host("attic"), "fserver 0.1.0".into())
    }

    fn note(house: &mut House, topic: &str, body: &str) -> bool {
        house.note(&Topic::parse(topic).unwrap(), body.as_bytes())
    }

    #[test]
    fn a_server_alone_has_presence_a_phase_and_two_buttons() {
        let house = house();
        let document = house.document(&host("attic"));
        assert_eq!(house.topic(&host("attic")), "homeassistant/device/fs_attic/config");
        assert_eq!(document["device"]["identifiers"][0], "fs_attic");
        assert_eq!(document["device"]["sw_version"], "fserver 0.1.0");
        let components = document["components"].as_object().unwrap();
        assert_eq!(components.keys().collect::<Vec<_>>(), ["phase", "presence", "restart", "shutdown"]);
        assert_eq!(components["restart"]["command_topic"], "fs/v1/attic/req/restart");
    }

    #[test]
    fn a_machine_has_what_it_has_told_and_a_document_changes_only_then() {
        let mut house = house();
        assert!(note(&mut house, "kitchen/state", r#"{"state":"online","program":"fclient 0.1.0"}"#));
        assert!(!note(&mut house, "kitchen/state", r#"{"state":"offline","program":"fclient 0.1.0"}"#));
        assert!(note(&mut house, "kitchen/st/camera/camera/cam1", "{}"));
        assert!(!note(&mut house, "kitchen/st/camera/camera/cam1", "{}"));
        assert!(!note(&mut house, "kitchen/evt/camera/motion", "{}"));
        assert!(!note(&mut house, "kitchen/st/host/uplink", "{}"));
        let document = house.document(&host("kitchen"));
        let components = document["components"].as_object().unwrap();
        assert_eq!(components.keys().collect::<Vec<_>>(), ["camera-cam1", "phase", "presence"]);
        house.clear();
        assert_eq!(house.machines().collect::<Vec<_>>(), [&host("attic")]);
    }

    #[test]
    fn only_our_own_documents_are_judged() {
        let mut house = house();
        note(&mut house, "kitchen/st/camera/camera/cam1", "{}");
        let old = house.document(&host("kitchen")).to_string();
        let topic = house.topic(&host("kitchen"));
        assert_eq!(house.judge(&topic, old.as_bytes()), Judgement::Current);
        house.clear();
        assert_eq!(house.judge(&topic, old.as_bytes()), Judgement::Stale);
        let foreign = old.replace("pistop-rs at attic", "pistop-rs at barn");
        assert_eq!(house.judge(&topic, foreign.as_bytes()), Judgement::Foreign);
        assert_eq!(house.judge(&topic, b"{"), Judgement::Foreign);
    }

    #[test]
    fn an_entity_that_is_no_more_is_taken_away() {
        let mut house = house();
        note(&mut house, "kitchen/st/camera/camera/cam1", "{}");
        let old = house.document(&host("kitchen")).to_string();
        house.clear();
        note(&mut house, "kitchen/state", "{}");
        let Judgement::Shrunk(node, document) = house.judge(&house.topic(&host("kitchen")), old.as_bytes()) else {
            panic!("cam1 is gone");
        };
        assert_eq!(node, host("kitchen"));
        assert_eq!(document["components"]["camera-cam1"], json!({ "platform": "binary_sensor" }));
        assert!(document["components"]["presence"]["unique_id"].is_string());
    }

    #[test]
    fn names_of_machines_stay_apart() {
        let names = ["a_b", "a.b", "a-b", "a__b", "ab"].map(|name| device(&host(name)));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 5, "{names:?}");
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))));
    }
}
