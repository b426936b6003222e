//! The config file: TOML, one key a line, no tables. A key that nobody knows is a slip of the pen, so it is an error
//! that names the nearest known key.

use super::{BadConfig, Setting};
use crate::nearest;
use std::fs;
use std::path::Path;
use toml::{Table, Value};

/// The keys in a file, each with the text it stands for; `false` stands for "unset".
type Values = Vec<(&'static str, Option<String>)>;
/// One of the two ways to read it.
pub(super) type Read = fn(&Path, &'static [Setting]) -> Result<Values, BadConfig>;

/// All keys; one that is not known is an error.
pub(super) fn read(path: &Path, known: &'static [Setting]) -> Result<Values, BadConfig> {
    let table = table(path)?;
    match table.keys().find(|key| !is_known(key, known)) {
        Some(key) => Err(bad(path, key, unknown(key, known))),
        None => values(path, table, known),
    }
}

/// The keys that are known; the others belong to another program.
pub(super) fn read_known(path: &Path, known: &'static [Setting]) -> Result<Values, BadConfig> {
    values(path, table(path)?, known)
}

fn table(path: &Path) -> Result<Table, BadConfig> {
    let text = fs::read_to_string(path)
        .map_err(|why| bad(path, "", format!("cannot be read ({why}); make it a readable UTF-8 file")))?;
    text.parse().map_err(|why| bad(path, "", syntax(&text, &why)))
}

fn values(path: &Path, table: Table, known: &'static [Setting]) -> Result<Values, BadConfig> {
    let of_setting = |(key, value): (String, Value)| {
        let setting = known.iter().find(|setting| setting.key == key)?;
        Some(plain(value).map(|value| (setting.key, value)).map_err(|why| bad(path, &key, why)))
    };
    table.into_iter().filter_map(of_setting).collect()
}

fn is_known(key: &str, known: &[Setting]) -> bool {
    known.iter().any(|setting| setting.key == key)
}

fn bad(path: &Path, key: &str, why: String) -> BadConfig {
    BadConfig { source: path.display().to_string(), key: key.into(), why }
}

fn syntax(text: &str, why: &toml::de::Error) -> String {
    let line = why.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
    format!("line {line} is no TOML ({}); write key = value", why.message().replace('\n', ", "))
}

fn plain(value: Value) -> Result<Option<String>, String> {
    match value {
        Value::String(text) => Ok(Some(text)),
        Value::Integer(number) => Ok(Some(number.to_string())),
        Value::Float(number) => Ok(Some(number.to_string())),
        Value::Boolean(true) => Ok(Some("1".into())),
        Value::Boolean(false) => Ok(None),
        other => Err(format!("is of type {}; give text in quotes, a number, true or false", other.type_str())),
    }
}

fn unknown(key: &str, known: &[Setting]) -> String {
    let kebab = key.to_lowercase().replace('_', "-");
    match nearest(&kebab, known.iter().map(|setting| setting.key)) {
        Some(nearest) => format!("is no setting of this program; did you mean `{nearest}`?"),
        None => "is no setting of this program; remove it".into(),
    }
}
