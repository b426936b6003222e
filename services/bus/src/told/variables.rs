//! A body as the variables of a hook: `FACT_CAMERA=cam1` for `"camera":"cam1"`, and `FACT_DURATION_MS` for `duration-ms`.
//! The fact need not be known here. What a stranger wrote is harmless: names are plain, values are bounded and
//! hold no control character, and no shell ever reads them as anything but a value.

use protocol::hook::fact_variable;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The longest value in bytes: that of the longest path (`PATH_MAX`). A longer one is cut off and ends in `...`.
pub const MAX_VALUE: usize = 4096;
/// So many fields become variables, far more than any fact has; all of them together fit into an environment.
pub const MAX_FIELDS: usize = 64;
/// The longest name of a field.
const MAX_NAME: usize = 64;
/// What every body holds and hooks are told in other variables.
const OWN: [&str; 3] = ["at", "clock", "fact"];

/// The fields of a body as variables, in the order of their names. Lists and objects inside it are passed over, as are
/// names that are no names of variables; of a body that is no JSON object nothing is left.
pub fn variables(body: &[u8]) -> Vec<(String, String)> {
    let map: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let mut all = BTreeMap::new();
    for (key, value) in map.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
        if let (Some(name), Some(value)) = (name(key), plain(value)) {
            all.entry(name).or_insert(value);
        }
    }
    all.into_iter().take(MAX_FIELDS).collect()
}

fn name(key: &str) -> Option<String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let is_name = !key.is_empty() && key.len() <= MAX_NAME && key.bytes().all(fits);
    is_name.then(|| fact_variable(key))
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(escaped(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A text of one line for variables and logs, at most [`MAX_VALUE`] bytes: control characters become `\n`, `\t` or `\x1b`
/// as in [`protocol::name::printable`], and a backslash two. Letters of all languages stay, as files are named by them.
pub fn escaped(text: &str) -> String {
    const END: &str = "...";
    let mut line = String::new();
    for c in text.chars() {
        let whole = line.len();
        match c {
            '\\' => line.push_str("\\\\"),
            '\n' | '\r' | '\t' => line.extend(c.escape_default()),
            c if c.is_control() || is_invisible(c) => escape_bytes(&mut line, c),
            c => line.push(c),
        }
        if line.len() > MAX_VALUE - END.len() {
            line.truncate(whole);
            return line + END;
        }
    }
    line
}

/// What turns the direction of text or ends a line without being a control character (Unicode, categories Zl, Zp and the
/// embeddings of UAX 9).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape_bytes(line: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        write!(line, "\\x{byte:02x}").expect("a string takes all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Vec<(String, String)> {
        variables(body.as_bytes())
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn each_plain_field_is_a_variable_of_a_fact_that_nobody_knows_too() {
        let body = r#"{"at":17,"fact":"rain","clock":"unset","in-mm":12.5,"heavy":true,"n":3,"where":"Garten, Süd",
            "list":[1],"more":{"a":1},"none":null}"#;
        let expected = [("FACT_HEAVY", "true"), ("FACT_IN_MM", "12.5"), ("FACT_N", "3"), ("FACT_WHERE", "Garten, Süd")];
        assert_eq!(of(body), pairs(&expected));
        for none in ["", "[]", "7", "{", &"[".repeat(100_000), &"{\"a\":".repeat(10_000)] {
            assert_eq!(of(none), []);
        }
    }

    #[test]
    fn a_name_that_is_none_is_passed_over_and_none_is_given_twice() {
        let body = r#"{"a b":1,"x=y":2,"é":3,"":4,"a-b":5,"a_b":6,"LD":7,"a\u0000":8}"#;
        assert_eq!(of(body), pairs(&[("FACT_A_B", "5"), ("FACT_LD", "7")]));
        assert_eq!(of(&format!("{{\"{}\":1}}", "n".repeat(MAX_NAME + 1))), []);
    }

    #[test]
    fn a_value_is_one_line_that_can_be_told_from_every_other() {
        let value = |text: &str| escaped(text);
        assert_eq!(value("a\nb\r\t\0\x1b[31m\x7f"), "a\\nb\\r\\t\\x00\\x1b[31m\\x7f");
        assert_eq!(
            (value("\\n"), value("\u{85}"), value("\u{202e}")),
            ("\\\\n".into(), "\\xc2\\x85".into(), "\\xe2\\x80\\xae".into())
        );
        assert_eq!(value("$(reboot) `x` 'y' Müller.mp4"), "$(reboot) `x` 'y' Müller.mp4");
    }

    #[test]
    fn values_and_their_number_are_bounded() {
        for letter in ["x", "é", "\n", "\u{1}", "😀"] {
            let long = escaped(&letter.repeat(9000));
            assert!(long.len() <= MAX_VALUE && long.len() > MAX_VALUE - 16 && long.ends_with("..."), "{}", long.len());
        }
        assert_eq!(escaped(&"x".repeat(MAX_VALUE - 3)).len(), MAX_VALUE - 3);
        let many: Vec<String> = (0..1000).map(|n| format!("\"f{n:04}\":{n}")).collect();
        assert_eq!(of(&format!("{{{}}}", many.join(","))).len(), MAX_FIELDS);
    }
}
