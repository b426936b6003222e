//! Names of what is said on the bus, and patterns of such names. One scheme for journals, links and MQTT brokers; there
//! a prefix stands in front of it.
//!
//! | topic | what is said under it |
//! |---|---|
//! | `NODE/state` | how the machine NODE is: the last word counts |
//! | `NODE/evt/FAMILY/NAME` | something happened at NODE |
//! | `NODE/st/FAMILY/NAME` or `NODE/st/FAMILY/NAME/ITEM` | how something at NODE is: the last word counts |
//! | `NODE/req/VERB` | NODE is to do something |
//! | `NODE/res/VERB` | what became of what NODE had asked for |
//!
//! Patterns are those of MQTT 5, section 4.7: `+` stands for one level, `#` at the end for all that follow.

use crate::event::Family;
use crate::name::{BadName, HostName, printable};
use std::fmt;

/// The longest topic or pattern, in bytes: a host name, a family, a name and an item fit four times.
pub const MAX_TOPIC: usize = 512;
/// The longest name, verb or item, in bytes.
pub const MAX_WORD: usize = 64;

/// What kind of thing is said.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Kind {
    /// How the machine is.
    State,
    /// Something happened.
    Event(Family, Box<str>),
    /// How something is, and which one of several.
    Status(Family, Box<str>, Option<Box<str>>),
    /// Something is to be done.
    Request(Box<str>),
    /// What became of it.
    Reply(Box<str>),
}

/// A checked topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// The machine that it is about, or that is addressed.
    pub node: HostName,
    /// What is said.
    pub kind: Kind,
}

/// Why a text is no topic; the message names the text and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadTopic {
    /// Over [`MAX_TOPIC`] bytes.
    TooLong(usize),
    /// The first level is no host name.
    Node(BadName),
    /// There is no such family.
    Family(String),
    /// A name, verb or item that is none.
    Word(String),
    /// Not one of the forms in the table.
    Form(String),
}

impl fmt::Display for BadTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadTopic::TooLong(n) => write!(f, "a topic of {n} bytes is too long; at most {MAX_TOPIC} are allowed"),
            BadTopic::Node(why) => why.fmt(f),
            BadTopic::Family(text) => {
                let known = Family::ALL.map(Family::name).join(", ");
                write!(f, "`{text}` is no family of events; there are {known}")
            }
            BadTopic::Word(text) => write!(
                f,
                "`{text}` is no name on the bus; use at most {MAX_WORD} letters, digits, `-`, `_` and `.`, as in cam1"
            ),
            BadTopic::Form(text) => write!(
                f,
                "`{text}` is no topic; write NODE/evt/FAMILY/NAME, NODE/st/FAMILY/NAME, NODE/req/VERB or NODE/state"
            ),
        }
    }
}

impl std::error::Error for BadTopic {}

impl Topic {
    /// Checks a topic.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Topic, BadTopic> {
        if text.len() > MAX_TOPIC {
            return Err(BadTopic::TooLong(text.len()));
        }
        let mut levels = text.split('/');
        let node = HostName::parse(levels.next().unwrap_or_default()).map_err(BadTopic::Node)?;
        let rest: [Option<&str>; 5] = std::array::from_fn(|_| levels.next());
        let kind = match rest {
            [Some("state"), None, ..] => Kind::State,
            [Some("evt"), Some(of), Some(name), None, _] => Kind::Event(family(of)?, word(name)?),
            [Some("st"), Some(of), Some(name), None, _] => Kind::Status(family(of)?, word(name)?, None),
            [Some("st"), Some(of), Some(name), Some(item), None] => {
                Kind::Status(family(of)?, word(name)?, Some(word(item)?))
            }
            [Some("req"), Some(verb), None, ..] => Kind::Request(word(verb)?),
            [Some("res"), Some(verb), None, ..] => Kind::Reply(word(verb)?),
            _ => return Err(BadTopic::Form(printable(text.as_bytes()))),
        };
        Ok(Topic { node, kind })
    }

    /// The family of an event or a status; a machine's own state is of the family `presence`.
    pub fn family(&self) -> Option<Family> {
        match &self.kind {
            Kind::State => Some(Family::Presence),
            Kind::Event(family, _) | Kind::Status(family, ..) => Some(*family),
            Kind::Request(_) | Kind::Reply(_) => None,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = &self.node;
        match &self.kind {
            Kind::State => write!(f, "{node}/state"),
            Kind::Event(family, name) => write!(f, "{node}/evt/{family}/{name}"),
            Kind::Status(family, name, None) => write!(f, "{node}/st/{family}/{name}"),
            Kind::Status(family, name, Some(item)) => write!(f, "{node}/st/{family}/{name}/{item}"),
            Kind::Request(verb) => write!(f, "{node}/req/{verb}"),
            Kind::Reply(verb) => write!(f, "{node}/res/{verb}"),
        }
    }
}

fn family(text: &str) -> Result<Family, BadTopic> {
    Family::parse(text).ok_or_else(|| BadTopic::Family(printable(text.as_bytes())))
}

/// A name that is one level of a topic and the name of a file alike.
///
/// # Errors
/// It is none.
pub fn word(text: &str) -> Result<Box<str>, BadTopic> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let fits = !text.is_empty() && text.len() <= MAX_WORD && !text.starts_with('.') && text.bytes().all(plain);
    if fits { Ok(text.into()) } else { Err(BadTopic::Word(printable(&text.as_bytes()[..text.len().min(MAX_TOPIC)]))) }
}

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Filter(Box<str>);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFilter(String);

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.0;
        write!(
            f,
            "`{text}` is no pattern of topics; `+` stands for one whole level and `#` for all that follow, as in "
        )?;
        write!(f, "+/evt/camera/#")
    }
}

impl std::error::Error for BadFilter {}

impl Filter {
    /// Checks a pattern.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Filter, BadFilter> {
        let levels = text.split('/').count();
        let fits = |(at, level): (usize, &str)| match level {
            "#" => at + 1 == levels,
            "+" => true,
            _ => !level.contains(['#', '+', '\0']),
        };
        match !text.is_empty() && text.len() <= MAX_TOPIC && text.split('/').enumerate().all(fits) {
            true => Ok(Filter(text.into())),
            false => Err(BadFilter(printable(&text.as_bytes()[..text.len().min(MAX_TOPIC)]))),
        }
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a topic is one of those.
    pub fn matches(&self, topic: &str) -> bool {
        matches(&self.0, topic)
    }
}

/// Whether a topic is one of those that a checked pattern means. A journal asks this for each event and follower.
pub fn matches(pattern: &str, topic: &str) -> bool {
    let (pattern, topic) = (pattern.as_bytes(), topic.as_bytes());
    let (mut at, mut here) = (0, 0);
    loop {
        match pattern.get(at) {
            None => return here == topic.len(),
            Some(b'#') => return true,
            Some(b'+') => {
                at += 1;
                here += topic[here..].iter().take_while(|&&byte| byte != b'/').count();
            }
            wanted if wanted == topic.get(here) => (at, here) = (at + 1, here + 1),
            // `a/#` is `a` as well.
            Some(_) => return here == topic.len() && &pattern[at..] == b"/#",
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood_and_written_again() {
        for text in [
            "attic/state",
            "attic/evt/camera/motion",
            "attic/st/backup/last-backup",
            "attic/st/camera/camera/cam1",
            "kitchen/req/version",
            "kitchen/res/version",
        ] {
            assert_eq!(Topic::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_topic_names_itself_and_the_remedy() {
        let why = |text: &str| Topic::parse(text).unwrap_err().to_string();
        assert!(why("attic/evt/garden/rain").contains("`garden` is no family of events; there are presence, host"));
        assert!(why("attic/evt/camera/a#b").contains("`a#b` is no name on the bus"));
        assert!(why("attic/evt/camera").contains("NODE/evt/FAMILY/NAME"));
        assert!(why("attic/evt/camera/motion/cam1").contains("is no topic"));
        assert!(why("at tic/state").contains("`at tic` is no host name"));
        assert!(why(&format!("attic/req/{}", "x".repeat(65))).contains("at most 64"));
        assert!(why(&"x".repeat(600)).contains("600 bytes"));
    }

    /// The examples of MQTT 5, section 4.7.1.
    #[test]
    fn patterns_match_as_those_of_mqtt() {
        let matches = |pattern: &str, topic: &str| Filter::parse(pattern).unwrap().matches(topic);
        for topic in ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"] {
            assert!(matches("sport/tennis/player1/#", topic));
        }
        assert!(matches("sport/#", "sport") && matches("#", "a/b") && matches("sport/+", "sport/"));
        assert!(!matches("sport/+", "sport") && !matches("sport/tennis/+", "sport/tennis/player1/ranking"));
        assert!(matches("+/tennis/#", "sport/tennis") && matches("+/+", "/finance") && !matches("+", "/finance"));
        for bad in ["", "sport/tennis#", "sport/tennis/#/ranking", "sport+", "a/b+/c"] {
            assert!(Filter::parse(bad).unwrap_err().to_string().contains("no pattern of topics"), "{bad}");
        }
    }
}
