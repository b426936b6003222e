//! tmp
use protocol::HostName;
use protocol::event::{Body, Class, Event, EventId, Keep};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    Failed,
    Refused,
    Expired,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    #[serde(rename = "request")]
    pub verb: String,
    pub deadline: u64,
    pub from: HostName,
    pub arguments: Map<String, Value>,
}
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub to: EventId,
    pub outcome: Outcome,
    pub remarks: String,
    pub data: Map<String, Value>,
}
#[derive(Serialize, Deserialize)]
struct ReplyJson {
    reply: String,
    outcome: Outcome,
    remarks: String,
    data: Map<String, Value>,
}
impl Request {
    pub fn new(verb: &str, from: &HostName, arguments: Map<String, Value>, within: Duration) -> Request {
        Request {
            verb: verb.into(),
            deadline: crate::unix_ms() + within.as_millis() as u64,
            from: from.clone(),
            arguments,
        }
    }
    pub fn decode(b: &[u8]) -> Result<Request, String> {
        serde_json::from_slice(b).map_err(|w| w.to_string())
    }
    pub fn is_over(&self, now: u64) -> bool {
        now > self.deadline
    }
    pub fn event(&self, id: EventId, target: &HostName) -> Result<Event, String> {
        Ok(Event {
            id,
            class: Class { keep: Keep::All, durable: true },
            topic: format!("{target}/req/{}", self.verb),
            ttl: Some(60),
            body: Body(serde_json::to_vec(self).unwrap_or_default()),
        })
    }
}
impl Reply {
    pub fn decode(b: &[u8]) -> Result<Reply, String> {
        let j: ReplyJson = serde_json::from_slice(b).map_err(|w| w.to_string())?;
        Ok(Reply {
            to: j.reply.parse().map_err(|_| "bad id".to_string())?,
            outcome: j.outcome,
            remarks: j.remarks,
            data: j.data,
        })
    }
    pub fn event(&self, id: EventId, request: &Request, _now: u64) -> Event {
        let j = ReplyJson {
            reply: self.to.to_string(),
            outcome: self.outcome,
            remarks: self.remarks.clone(),
            data: self.data.clone(),
        };
        Event {
            id,
            class: Class { keep: Keep::All, durable: true },
            topic: format!("{}/res/{}", request.from, request.verb),
            ttl: Some(60),
            body: Body(serde_json::to_vec(&j).unwrap_or_default()),
        }
    }
}
