//! One event as one line: for people in columns, for programs as a JSON object. Pure.

use super::body::Fields;
use crate::local_time::Zone;
use bus::told::escaped;
use protocol::Event;
use protocol::topic::{Kind, Topic};
use serde::Serializer as _;
use serde_json::Value;
use std::time::Duration;

/// What every body holds, and a line shows elsewhere or not at all.
const OWN: [&str; 3] = ["at", "clock", "fact"];
/// As wide as most names of machines and of facts.
const USUAL: [usize; 2] = [8, 22];
/// A name that is longer moves only its own line.
const WIDEST: [usize; 2] = [20, 34];
/// A time that nobody knows, as wide as one that is known.
const UNKNOWN: &str = "(clock not set)    ";

/// When something was said by the clock of whoever said it, if that clock was set.
pub fn at(fields: &Fields) -> Option<Duration> {
    let unset = fields.text("clock") == "unset";
    fields.get("at").and_then(Value::as_u64).filter(|_| !unset).map(Duration::from_millis)
}

/// The widths of the columns. Nobody knows what comes, so they grow.
#[derive(Debug)]
pub struct Columns([usize; 2]);

impl Default for Columns {
    fn default() -> Columns {
        Columns(USUAL)
    }
}

impl Columns {
    /// `2026-11-21 20:15:00  attic    camera/motion  camera=cam1 percent=12.5`, with `=` before the name of a state.
    pub fn line(&mut self, event: &Event, fields: &Fields, zone: &Zone) -> String {
        let Said { who, mark, what, more } = said(event, fields);
        let time = at(fields).map_or_else(|| UNKNOWN.into(), |at| zone.seconds(at));
        let [who, what] = self.pad([who, what]);
        format!("{time}  {who} {mark} {what}  {more}").trim_end().to_owned() + "\n"
    }

    /// What is no event, such as a gap.
    pub fn note(&self, text: &str) -> String {
        format!("{}  -- {text}\n", " ".repeat(UNKNOWN.len()))
    }

    fn pad(&mut self, cells: [String; 2]) -> [String; 2] {
        let mut column = 0;
        cells.map(|cell| {
            let width = &mut self.0[column];
            *width = (*width).max(cell.chars().count()).min(WIDEST[column]);
            column += 1;
            format!("{cell:width$}", width = *width)
        })
    }
}

struct Said {
    who: String,
    mark: char,
    what: String,
    more: String,
}

fn said(event: &Event, fields: &Fields) -> Said {
    let maker = || event.id.node.to_string();
    let Ok(Topic { node, kind }) = event.topic() else {
        return Said { who: maker(), mark: ' ', what: escaped(&event.topic), more: fields.people(&OWN) };
    };
    match kind {
        Kind::State => {
            Said { who: node.to_string(), mark: '=', what: "presence/machine-state".into(), more: fields.people(&OWN) }
        }
        Kind::Event(family, name) => {
            Said { who: node.to_string(), mark: ' ', what: format!("{family}/{name}"), more: fields.people(&OWN) }
        }
        Kind::Status(family, name, _) => {
            Said { who: node.to_string(), mark: '=', what: format!("{family}/{name}"), more: fields.people(&OWN) }
        }
        Kind::Request(verb) => {
            let more = fields.inner("arguments").people(&[]);
            Said { who: maker(), mark: '>', what: format!("asks {node}: {verb}"), more }
        }
        Kind::Reply(verb) => {
            Said { who: maker(), mark: '<', what: format!("answers {node}: {verb}"), more: answer(fields) }
        }
    }
}

/// `done: fserver 0.1.0 key=value`
fn answer(fields: &Fields) -> String {
    let outcome = escaped(fields.text("outcome"));
    let remarks = match fields.text("remarks") {
        "" => String::new(),
        remarks => format!(": {}", escaped(remarks)),
    };
    let data = fields.inner("data").people(&[]);
    format!("{outcome}{remarks} {data}").trim_end().to_owned()
}

/// The same as one JSON object: `id` and `topic`, then the fields of the body.
pub fn json(event: &Event, fields: &Fields) -> String {
    let head = [("id", event.id.to_string().into()), ("topic", event.topic.as_str().into())];
    let head = head.iter().map(|(key, value): &(&str, Value)| (*key, value));
    // A name that is given twice would be read as either.
    let body = fields.0.iter().filter(|(key, _)| key != "id" && key != "topic");
    let all = head.chain(body.map(|(key, value)| (key.as_str(), value)));
    let mut bytes = Vec::new();
    let written = serde_json::Serializer::new(&mut bytes).collect_map(all);
    written.expect("JSON in, JSON out, into memory");
    bytes.push(b'\n');
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::event::{Body, Class, EventId, Keep};
    use protocol::{Epoch, HostName};

    fn event(topic: &str, body: &str) -> (Event, Fields) {
        let id = EventId { node: HostName::parse("attic").unwrap(), epoch: Epoch(17), sequence: 3 };
        let class = Class { keep: Keep::All, durable: true };
        let event = Event { id, class, topic: topic.into(), ttl: None, body: Body(body.as_bytes().to_vec()) };
        (event, Fields::of(body.as_bytes()))
    }

    fn lines(events: &[(&str, &str)]) -> String {
        let mut columns = Columns::default();
        let line = |&(topic, body): &(&str, &str)| {
            let (event, fields) = event(topic, body);
            columns.line(&event, &fields, &Zone::utc())
        };
        events.iter().map(line).collect()
    }

    #[test]
    fn a_line_says_when_who_and_what() {
        let at = 1_795_292_100_123_u64;
        let motion = format!(r#"{{"at":{at},"fact":"motion","camera":"cam1","percent":12.5}}"#);
        let state = format!(r#"{{"at":{at},"fact":"camera","camera":"cam1","online":true}}"#);
        let request = format!(r#"{{"at":{at},"request":"update","arguments":{{"package":"mpd"}}}}"#);
        let reply = format!(r#"{{"at":{at},"outcome":"done","remarks":"it is new","data":{{"version":"2"}}}}"#);
        let said = lines(&[
            ("kitchen/evt/camera/motion", &motion),
            ("kitchen/st/camera/camera/cam1", &state),
            ("hall/state", r#"{"at":5,"clock":"unset","fact":"machine-state","state":"online"}"#),
            ("kitchen/req/update", &request),
            ("kitchen/res/update", &reply),
        ]);
        let expected = "\
2026-11-21 20:15:00  kitchen    camera/motion           camera=cam1 percent=12.5
2026-11-21 20:15:00  kitchen  = camera/camera           camera=cam1 online=true
(clock not set)      hall     = presence/machine-state  state=online
2026-11-21 20:15:00  attic    > asks kitchen: update    package=mpd
2026-11-21 20:15:00  attic    < answers kitchen: update  done: it is new version=2
";
        assert_eq!(said, expected);
    }

    #[test]
    fn columns_grow_and_one_long_name_moves_only_its_own_line() {
        let long = format!("{}/state", "n".repeat(40));
        let said = lines(&[("a/state", "{}"), (&long, "{}"), ("b/state", "{}")]);
        let starts: Vec<usize> = said.lines().map(|line| line.find('=').unwrap()).collect();
        assert_eq!(starts, [30, 62, 42]);
    }

    #[test]
    fn json_has_the_envelope_before_the_body_and_each_name_once() {
        let (event, fields) = event("attic/evt/x", r#"{"at":5,"fact":"y","id":"other","n":1}"#);
        assert_eq!(
            json(&event, &fields),
            "{\"id\":\"attic-17-3\",\"topic\":\"attic/evt/x\",\"at\":5,\"fact\":\"y\",\"n\":1}\n"
        );
    }
}
