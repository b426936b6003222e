//! The entities of a machine at Home Assistant: what each service mainly tells. Pure.

use crate::mqtt::topic::Prefix;
use protocol::HostName;
use protocol::event::Family;
use protocol::topic::Kind;
use serde_json::{Value, json};

/// One entity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entity {
    /// Whether the machine is there.
    Presence,
    /// Whether it is there, lets go or is away.
    Phase,
    /// A command of the server.
    Button(&'static str),
    /// A camera.
    Camera(Box<str>),
    /// The last backup of something.
    Backup(Box<str>),
    /// What waits to be uploaded.
    UploadQueue,
    /// Whether the room for recordings runs short.
    Pressure,
    /// Which version of something runs.
    Version(Box<str>),
    /// A process that is looked after.
    Process(Box<str>),
}

/// Whose it is.
pub(super) struct Place<'a> {
    pub(super) prefix: &'a Prefix,
    pub(super) node: &'a HostName,
    pub(super) device: String,
}

impl Place<'_> {
    fn topic(&self, rest: &str) -> String {
        self.prefix.below(&format!("{}/{rest}", self.node))
    }
}

impl Entity {
    /// The entity that shows such a status, if one does.
    pub(super) fn of(kind: &Kind) -> Option<Entity> {
        let Kind::Status(family, name, item) = kind else { return None };
        match (family, &**name, item) {
            (Family::Camera, "camera", Some(item)) => Some(Entity::Camera(item.clone())),
            (Family::Camera, "queue-pressure", None) => Some(Entity::Pressure),
            (Family::Backup, "last-backup", Some(item)) => Some(Entity::Backup(item.clone())),
            (Family::Upload, "upload-queue", None) => Some(Entity::UploadQueue),
            (Family::Update, "version", Some(item)) => Some(Entity::Version(item.clone())),
            (Family::Watchdog, "process", Some(item)) => Some(Entity::Process(item.clone())),
            _ => None,
        }
    }

    /// Its name in the document.
    pub(super) fn key(&self) -> String {
        match self {
            Entity::Presence => "presence".into(),
            Entity::Phase => "phase".into(),
            Entity::Button(verb) => (*verb).into(),
            Entity::Camera(item) => format!("camera-{item}"),
            Entity::Backup(item) => format!("last-backup-{item}"),
            Entity::UploadQueue => "upload-queue".into(),
            Entity::Pressure => "queue-pressure".into(),
            Entity::Version(item) => format!("version-{item}"),
            Entity::Process(item) => format!("process-{item}"),
        }
    }

    /// What the document says about it. All but the presence count as unknown while the machine is away.
    pub(super) fn component(&self, place: &Place<'_>) -> Value {
        let mut component = self.particulars(place);
        component["unique_id"] = format!("{}_{}", place.device, self.key()).into();
        if *self != Entity::Presence {
            component["availability"] = json!([{
                "topic": place.topic("state"),
                "value_template": "{{ 'offline' if value_json.state == 'offline' else 'online' }}",
            }]);
        }
        component
    }

    fn particulars(&self, place: &Place<'_>) -> Value {
        match self {
            Entity::Presence => json!({
                "platform": "binary_sensor",
                "name": "Presence",
                "device_class": "connectivity",
                "state_topic": place.topic("state"),
                "value_template": "{{ 'OFF' if value_json.state == 'offline' else 'ON' }}",
            }),
            Entity::Phase => json!({
                "platform": "sensor",
                "name": "Phase",
                "device_class": "enum",
                "options": ["online", "draining", "offline"],
                "state_topic": place.topic("state"),
                "value_template": "{{ value_json.state }}",
                "json_attributes_topic": place.topic("state"),
            }),
            Entity::Button(verb) => button(verb, place),
            Entity::Camera(item) => flag(place, "camera/camera", item, "Camera", "connectivity", "online"),
            Entity::Process(item) => flag(place, "watchdog/process", item, "Process", "running", "alive"),
            Entity::Backup(item) => json!({
                "platform": "sensor",
                "name": format!("Last backup of {item}"),
                "device_class": "timestamp",
                "state_topic": place.topic(&format!("st/backup/last-backup/{item}")),
                "value_template": "{{ (value_json.completed | as_datetime).isoformat() }}",
                "json_attributes_topic": place.topic(&format!("st/backup/last-backup/{item}")),
            }),
            Entity::UploadQueue => json!({
                "platform": "sensor",
                "name": "Files to upload",
                "state_class": "measurement",
                "unit_of_measurement": "files",
                "state_topic": place.topic("st/upload/upload-queue"),
                "value_template": "{{ value_json.files }}",
                "json_attributes_topic": place.topic("st/upload/upload-queue"),
            }),
            Entity::Pressure => json!({
                "platform": "binary_sensor",
                "name": "Room for recordings",
                "device_class": "problem",
                "state_topic": place.topic("st/camera/queue-pressure"),
                "value_template": "{{ 'ON' if value_json.high else 'OFF' }}",
                "json_attributes_topic": place.topic("st/camera/queue-pressure"),
            }),
            Entity::Version(item) => json!({
                "platform": "sensor",
                "name": format!("Version of {item}"),
                "entity_category": "diagnostic",
                "state_topic": place.topic(&format!("st/update/version/{item}")),
                "value_template": "{{ value_json.version }}",
            }),
        }
    }
}

fn button(verb: &str, place: &Place<'_>) -> Value {
    let name = if verb == "restart" { "Restart" } else { "Shut down" };
    let mut button = json!({
        "platform": "button",
        "name": name,
        "command_topic": place.topic(&format!("req/{verb}")),
        "payload_press": "{}",
        "qos": 1,
        "retain": false,
    });
    if verb == "restart" {
        button["device_class"] = "restart".into();
    }
    button
}

/// Something that is so or not; the rest of what is told about it are its attributes.
fn flag(place: &Place<'_>, of: &str, item: &str, name: &str, class: &str, field: &str) -> Value {
    let topic = place.topic(&format!("st/{of}/{item}"));
    json!({
        "platform": "binary_sensor",
        "name": format!("{name} {item}"),
        "device_class": class,
        "state_topic": topic,
        "value_template": format!("{{{{ 'ON' if value_json.{field} else 'OFF' }}}}"),
        "json_attributes_topic": topic,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::fact::Fact;
    use serde_json::Map;

    /// The field of a fact that a template reads.
    fn field(component: &Value) -> String {
        let template = component["value_template"].as_str().unwrap();
        let rest = template.split_once("value_json.").unwrap().1;
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().to_owned()
    }

    #[test]
    fn each_entity_reads_a_field_that_its_fact_has_and_the_topic_where_it_is_told() {
        let node = HostName::parse("attic").unwrap();
        let prefix = Prefix::parse("fs/v1").unwrap();
        let place = Place { prefix: &prefix, node: &node, device: "fs_attic".into() };
        let text = String::from;
        for fact in [
            Fact::Camera { camera: text("a"), online: true, recording: true, encoder: text("x264") },
            Fact::QueuePressure { high: true, full: false, bytes: 1, cap: 1 },
            Fact::LastBackup { source: text("a"), completed: 1, verified: true },
            Fact::UploadQueue { files: 1, bytes: 1, oldest: 1 },
            Fact::Version { package: text("a"), version: text("1") },
            Fact::Process { process: text("a"), alive: true, version: text("1") },
        ] {
            let topic = crate::told::topic_of(&node, &fact);
            let component = Entity::of(&topic.kind).unwrap().component(&place);
            assert_eq!(component["state_topic"], format!("fs/v1/{topic}"));
            let fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(&fact).unwrap()).unwrap();
            assert!(fields.contains_key(&field(&component)), "{component}");
        }
    }
}
