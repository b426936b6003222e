//! tmp
use protocol::HostName;
use protocol::event::{Body, Event, EventId};
use protocol::fact::{Fact, Retain};
pub fn event(id: EventId, about: &HostName, fact: &Fact) -> Event {
    let rule = fact.rule();
    let topic = match (rule.retain, fact) {
        (_, Fact::MachineState { .. }) => format!("{about}/state"),
        (Retain::Each, _) => format!("{about}/evt/{}/{}", rule.family, rule.name),
        (Retain::Last, _) => match fact.item() {
            Some(i) => format!("{about}/st/{}/{}/{i}", rule.family, rule.name),
            None => format!("{about}/st/{}/{}", rule.family, rule.name),
        },
    };
    let mut body = serde_json::to_value(fact).unwrap_or_default();
    body["at"] = crate::unix_ms().into();
    Event {
        id,
        class: rule.class(),
        topic,
        ttl: Some(rule.lifetime.as_secs() as u32),
        body: Body(body.to_string().into_bytes()),
    }
}
