//! Bodies of events as payloads of a broker, and commands out of payloads. JSON both ways; what a body says is not
//! changed, only who said it is put in front: `{"id":"attic-17-3","at":..}`.

use protocol::event::EventId;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest payload of a command, in bytes: it names things and does not carry them.
pub const MAX_COMMAND: usize = 16 * 1024;
/// The longest name that somebody gives to what he asks for, in bytes.
pub const MAX_TRANSACTION: usize = 128;
/// So long a command is worth something if it does not say so.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// And at most so long.
pub const MAX_DEADLINE: Duration = Duration::from_secs(3600);

/// What a command says.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What its verb needs to know.
    pub arguments: Map<String, Value>,
    /// What the asker calls it; stands in the reply again.
    pub transaction: Option<String>,
    /// So long it is worth something.
    pub within: Duration,
}

/// A body with what is known beside it: the id of its event and, in a reply, what the asker calls it. A key that the
/// body has already stays as it is.
///
/// # Errors
/// The body is no JSON object.
pub fn outgoing(body: &[u8], id: &EventId, transaction: Option<&str>) -> Result<Vec<u8>, String> {
    let known: BTreeMap<String, IgnoredAny> = serde_json::from_slice(body).map_err(|why| no_object(&why))?;
    let text = std::str::from_utf8(body).map_err(|_| "the body is not written in UTF-8".to_owned())?;
    let inside = text.trim().trim_start_matches('{').trim_start();
    let id = ("id", Value::from(id.to_string()));
    let beside = [Some(id), transaction.map(|name| ("transaction", name.into()))];
    let mut payload = String::with_capacity(body.len() + 64);
    for (key, value) in beside.into_iter().flatten().filter(|(key, _)| !known.contains_key(*key)) {
        payload.push(if payload.is_empty() { '{' } else { ',' });
        payload.push_str(&format!("\"{key}\":{value}"));
    }
    payload.push_str(match (payload.is_empty(), known.is_empty()) {
        (true, _) => "{",
        (false, false) => ",",
        (false, true) => "",
    });
    payload.push_str(inside);
    Ok(payload.into_bytes())
}

fn no_object(why: &serde_json::Error) -> String {
    format!("the body is no JSON object ({why}); write it as {{\"at\":1764100000123,\"fact\":\"motion\",..}}")
}

/// What a payload asks for: nothing at all, or a JSON object of arguments, in which `transaction` and `deadline` are ours.
///
/// # Errors
/// It is none; names the remedy.
pub fn incoming(payload: &[u8]) -> Result<Ask, String> {
    if payload.len() > MAX_COMMAND {
        return Err(format!("a command of {} bytes; at most {MAX_COMMAND} are taken, so name a file", payload.len()));
    }
    let mut arguments: Map<String, Value> = match payload.trim_ascii() {
        [] => Map::new(),
        text => serde_json::from_slice(text)
            .map_err(|why| format!("this is no JSON object ({why}); send {{}} or the arguments of the command"))?,
    };
    let transaction = arguments.remove("transaction").map(transaction).transpose()?;
    let within = arguments.remove("deadline").map_or(Ok(DEADLINE), |value| deadline(&value))?;
    Ok(Ask { arguments, transaction, within })
}

fn transaction(value: Value) -> Result<String, String> {
    match value {
        Value::String(name) if name.len() <= MAX_TRANSACTION => Ok(name),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("`transaction` is neither a number nor a text of at most {MAX_TRANSACTION} bytes")),
    }
}

fn deadline(value: &Value) -> Result<Duration, String> {
    let most = MAX_DEADLINE.as_secs();
    let seconds = value.as_f64().filter(|seconds| (0.001..=MAX_DEADLINE.as_secs_f64()).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or(format!("`deadline` is `{value}`; give seconds, more than 0 and at most {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent(body: &str, transaction: Option<&str>) -> String {
        let payload = outgoing(body.as_bytes(), &"attic-17-3".parse().unwrap(), transaction).unwrap();
        let _: Value = serde_json::from_slice(&payload).unwrap();
        String::from_utf8(payload).unwrap()
    }

    #[test]
    fn the_id_comes_first_and_the_body_stays_as_it_is() {
        assert_eq!(sent(r#"{"at":1,"b":{"c":2}}"#, None), r#"{"id":"attic-17-3","at":1,"b":{"c":2}}"#);
        assert_eq!(sent(" { } ", None), r#"{"id":"attic-17-3"}"#);
        assert_eq!(sent(r#"{"id":"mine"}"#, None), r#"{"id":"mine"}"#);
        assert_eq!(sent(r#"{"at":1}"#, Some("a\"b")), r#"{"id":"attic-17-3","transaction":"a\"b","at":1}"#);
        assert_eq!(sent(r#"{"id":1}"#, Some("7")), r#"{"transaction":"7","id":1}"#);
        for bad in ["", "[]", "7", "{", "{\"a\":}"] {
            assert!(outgoing(bad.as_bytes(), &"attic-17-3".parse().unwrap(), None).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_command_may_say_nothing_or_much() {
        let ask = incoming(b" \n").unwrap();
        assert_eq!((ask.arguments.len(), ask.transaction, ask.within), (0, None, DEADLINE));
        let ask = incoming(br#"{"camera":"cam1","transaction":7,"deadline":2.5}"#).unwrap();
        assert_eq!(Value::from(ask.arguments), json!({ "camera": "cam1" }));
        assert_eq!((ask.transaction.as_deref(), ask.within), (Some("7"), Duration::from_millis(2500)));
    }

    #[test]
    fn a_payload_that_is_no_command_names_the_remedy() {
        let why = |payload: &str| incoming(payload.as_bytes()).unwrap_err();
        assert!(why("on").contains("no JSON object") && why("[1]").contains("no JSON object"));
        for bad in ["0", "-1", "3601", "\"x\"", "1e99"] {
            assert!(why(&format!(r#"{{"deadline":{bad}}}"#)).contains("give seconds"), "{bad}");
        }
        assert!(why(r#"{"transaction":{}}"#).contains("`transaction`"));
        assert!(why(&format!(r#"{{"transaction":"{}"}}"#, "x".repeat(129))).contains("at most 128"));
        assert!(why(&" ".repeat(MAX_COMMAND + 1)).contains("16384"));
        assert!(why(&"[".repeat(10_000)).contains("no JSON object"));
    }
}
