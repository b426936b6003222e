//! The body of an event as its fields, in the order in which its maker wrote them, whether the fact is known here or not.

use bus::told::escaped;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// The fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(pub Vec<(String, Value)>);

impl Fields {
    /// Those of a body; what is no JSON object is one field, `body`.
    pub fn of(body: &[u8]) -> Fields {
        let whole = || Fields(vec![("body".into(), String::from_utf8_lossy(body).into())]);
        serde_json::from_slice(body).unwrap_or_else(|_| whole())
    }

    /// One of them.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The text of one of them; empty if it is none.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// What a field holds if it is an object.
    pub fn inner(&self, key: &str) -> Fields {
        let inner = self.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        Fields(inner.into_iter().collect())
    }

    /// `camera=cam1 percent=12.5`, without some of them and without empty ones. No value can be taken for the end of
    /// another one.
    pub fn people(&self, without: &[&str]) -> String {
        let shown = self.0.iter().filter(|(key, value)| !without.contains(&key.as_str()) && value != "");
        shown.map(|(key, value)| format!("{}={}", escaped(key), plain(value))).collect::<Vec<_>>().join(" ")
    }
}

fn plain(value: &Value) -> String {
    let Value::String(text) = value else { return escaped(&value.to_string()) };
    let shown = escaped(text);
    let is_plain = !text.contains([' ', '"', '=', '\'']);
    if is_plain { shown } else { format!("\"{}\"", shown.replace('"', "\\\"")) }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_values_can_be_told_apart() {
        let body = br#"{"z":1,"a":"x y","m":"","n":true,"q":"say \"x\"","s":"a\nb","l":[1,{"k":2}],"e":"a=b"}"#;
        let fields = Fields::of(body);
        let expected = r#"z=1 a="x y" n=true q="say \"x\"" s=a\nb l=[1,{"k":2}] e="a=b""#;
        assert_eq!(fields.people(&[]), expected);
        assert!(fields.people(&["z", "a"]).starts_with("n=true"));
        assert_eq!(serde_json::to_string(&fields).unwrap().as_bytes(), body);
    }

    #[test]
    fn what_a_stranger_wrote_cannot_move_the_cursor() {
        let shown = Fields::of(br#"{"a\u001b[2J":"\u001b]0;x\u0007","b":["\u202e"]}"#).people(&[]);
        assert!(shown.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{shown:?}");
        assert_eq!(Fields::of(b"\x1b[2J").people(&[]), r"body=\x1b[2J");
        assert_eq!(Fields::of(b"[1]").people(&[]), "body=[1]");
    }
}
