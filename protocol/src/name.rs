//! Names that were checked once, at the border. Inside, no string can be a wrong host name, and a shutdown cannot
//! be mistaken for another one's. Host names follow RFC 1123 section 2.1, bounded by what `uname -n` can hold.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// The longest host name: Linux's `HOST_NAME_MAX`, so that every `uname -n` fits and the hello line stays short.
pub const MAX_HOST_NAME: usize = 64;

/// The name of a machine: letters, digits, `-` and `_` in dot-separated labels, lower case. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(Arc<str>);

/// Why a text is no host name; the message names the text and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadName {
    /// There is nothing between the blanks.
    Empty,
    /// Longer than [`MAX_HOST_NAME`] bytes.
    TooLong(usize),
    /// Holds a character outside letters, digits, `-`, `_` and dots, or a label that is empty or starts or ends with `-`.
    BadLabel(String),
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadName::Empty => write!(f, "the host name is empty; give a name such as `kitchen`"),
            BadName::TooLong(n) => {
                write!(f, "a host name of {n} bytes is too long; at most {MAX_HOST_NAME} are allowed")
            }
            BadName::BadLabel(text) => write!(
                f,
                "`{text}` is no host name; use letters, digits and `-` in labels separated by dots, as in `kitchen.local`"
            ),
        }
    }
}

impl std::error::Error for BadName {}

impl HostName {
    /// Checks and lower-cases a name.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match text {
            "" => Err(BadName::Empty),
            _ if text.len() > MAX_HOST_NAME => Err(BadName::TooLong(text.len())),
            _ if text.as_bytes().split(|&b| b == b'.').all(is_label) => {
                let mut name: Arc<str> = text.into();
                Arc::make_mut(&mut name).make_ascii_lowercase();
                Ok(Self(name))
            }
            _ => Err(BadName::BadLabel(printable(text.as_bytes()))),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 1123 plus the underscore, which many home routers hand out.
fn is_label(label: &[u8]) -> bool {
    !label.is_empty()
        && !label.starts_with(b"-")
        && !label.ends_with(b"-")
        && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::parse(&text)
    }
}

impl Serialize for HostName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Which run of a server this is: greater at each start of fserver, on whatever clock the machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one announced shutdown or restart, so that hearing of it twice is the same as hearing of it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ShutdownId {
    /// The run of the server that announced it.
    pub epoch: Epoch,
    /// Counts the announcements of that run, from 1.
    pub number: u32,
}

impl fmt::Display for ShutdownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.number)
    }
}

/// Which machine speaks under a name: a random number that the machine keeps in its state directory, so that a
/// reconnect is told apart from a stranger with the same host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity(pub u64);

/// Text from a stranger, safe for a terminal and a log: control and non-ASCII bytes become `\xNN`.
pub fn printable(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_and_lower_cased() {
        assert_eq!(HostName::parse("MusicPI").unwrap().as_str(), "musicpi");
        assert_eq!(HostName::parse("bed_room-2.local").unwrap().as_str(), "bed_room-2.local");
        for bad in ["", "-a", "a-", "a..b", "a b", "ü", "a\n", "a/b", &"x".repeat(65)] {
            assert!(HostName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_bad_name_names_itself_and_the_remedy() {
        let message = HostName::parse("kit\x1b[31mchen").unwrap_err().to_string();
        assert!(message.contains("`kit\\x1b[31mchen`") && message.contains("kitchen.local"), "{message}");
    }
}
