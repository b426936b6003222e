//! Topics of the bus as topics of a broker: the same, with a prefix in front, under which nothing else stands.

use protocol::name::printable;
use protocol::topic::{Kind, Topic};
use std::fmt;

/// What the broker is and its version, as in `mosquitto version 2.0.11`; brokers keep it there by custom, and need not.
pub const VERSION: &str = "$SYS/broker/version";
/// The longest prefix, in bytes.
const MAX_PREFIX: usize = 128;

/// What the topics of one house begin with at a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Box<str>);

impl Prefix {
    /// Checks a prefix.
    ///
    /// # Errors
    /// It is none; names the remedy.
    pub fn parse(text: &str) -> Result<Prefix, String> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let level = |level: &str| !level.is_empty() && level.bytes().all(plain);
        match text.len() <= MAX_PREFIX && text.split('/').all(level) {
            true => Ok(Prefix(text.into())),
            false => {
                let text = printable(text.as_bytes());
                Err(format!(
                    "`{text}` is no prefix of topics; use letters, digits, `-`, `_` and `.` between slashes, as in fs/v1"
                ))
            }
        }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands below it.
    pub fn below(&self, rest: &str) -> String {
        format!("{}/{rest}", self.0)
    }

    /// What stands below it in a broker's topic, if that begins with it.
    pub fn rest<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&*self.0)?.strip_prefix('/')
    }

    /// The pattern of all commands.
    pub fn commands(&self) -> String {
        self.below("+/req/+")
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a record of this topic goes to the broker: all but commands, which would come back from there.
pub fn goes_up(topic: &str) -> bool {
    !matches!(topic.split('/').nth(1), Some("req"))
}

/// Whether the broker keeps the last word about it for whoever comes later. Never a command or an event: it would be
/// obeyed or believed long after.
pub fn is_kept(topic: &Topic) -> bool {
    matches!(topic.kind, Kind::State | Kind::Status(..))
}

/// Whether a reply may be sent there, if somebody asks for it: not among commands, where it would be one, and not among
/// what belongs to the broker or to us.
pub fn takes_replies(topic: &str, prefix: &Prefix) -> bool {
    let plain = !topic.is_empty() && topic.len() <= protocol::topic::MAX_TOPIC && !topic.contains(['#', '+', '\0']);
    let ours = prefix.rest(topic).is_some_and(|rest| !matches!(rest.split('/').nth(1), Some("res")));
    plain && !topic.starts_with('$') && !ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_in_front_and_is_taken_away_again() {
        let prefix = Prefix::parse("fs/v1").unwrap();
        assert_eq!(prefix.below("attic/state"), "fs/v1/attic/state");
        assert_eq!(prefix.rest("fs/v1/attic/state"), Some("attic/state"));
        assert_eq!((prefix.rest("fs/v12/attic"), prefix.rest("fs/v1")), (None, None));
        assert_eq!(prefix.commands(), "fs/v1/+/req/+");
        for bad in ["", "/", "a/", "/a", "a//b", "a/+", "#", "$SYS", "a b", &"x".repeat(129)] {
            assert!(Prefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commands_stay_below_and_states_are_kept() {
        assert!(goes_up("attic/evt/camera/motion") && goes_up("attic/state") && goes_up("attic/res/version"));
        assert!(!goes_up("attic/req/shutdown"));
        let kept = |text: &str| is_kept(&Topic::parse(text).unwrap());
        assert!(kept("attic/state") && kept("attic/st/camera/camera/cam1"));
        assert!(!kept("attic/evt/camera/motion") && !kept("attic/req/shutdown") && !kept("attic/res/shutdown"));
    }

    #[test]
    fn a_reply_is_sent_nowhere_where_it_would_be_something_else() {
        let prefix = Prefix::parse("fs/v1").unwrap();
        for good in ["phone/answers", "fs/v1/attic/res/version", "fs/v2/x"] {
            assert!(takes_replies(good, &prefix), "{good}");
        }
        for bad in ["", "a/#", "a/+", "$SYS/x", "fs/v1/attic/req/shutdown", "fs/v1/attic/state", &"x".repeat(600)] {
            assert!(!takes_replies(bad, &prefix), "{bad}");
        }
    }
}
