//! What a peer may do.

use protocol::name::printable;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The roles of one peer. None is given by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    follow: bool,
    publish: Extent,
    command: Extent,
    shutdown: bool,
}

/// Why a word is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRole {
    /// There is no word at all.
    #[error("no role is given; for a machine that only mounts and plays, write `follow`")]
    Missing,
    /// A word that is no role.
    #[error("`{0}` is no role; roles are `follow`, `publish:FAMILY`, `command:VERB` (or `*` for all) and `shutdown`")]
    Unknown(String),
    /// A role for a family or verb whose name is none.
    #[error("`{0}` names no family or verb; use lower-case letters, digits and `-`, or `*` for all")]
    Of(String),
}

/// Of which families or verbs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Extent {
    These(BTreeSet<Box<str>>),
    All,
}

impl Default for Extent {
    fn default() -> Self {
        Extent::These(BTreeSet::new())
    }
}

impl Extent {
    fn holds(&self, name: &str) -> bool {
        match self {
            Extent::All => true,
            Extent::These(names) => names.contains(name),
        }
    }

    fn add(&mut self, name: &str) {
        match self {
            _ if name == "*" => *self = Extent::All,
            Extent::All => {}
            Extent::These(names) => drop(names.insert(name.into())),
        }
    }

    fn words(&self, role: &str) -> Vec<String> {
        match self {
            Extent::All => vec![format!("{role}:*")],
            Extent::These(names) => names.iter().map(|name| format!("{role}:{name}")).collect(),
        }
    }
}

impl Roles {
    /// Everything.
    pub const fn all() -> Roles {
        Roles { follow: true, publish: Extent::All, command: Extent::All, shutdown: true }
    }

    /// What everybody on the network may in a house in which nobody was paired: everything but to shut it down.
    pub const fn open_house() -> Roles {
        Roles { follow: true, publish: Extent::All, command: Extent::All, shutdown: false }
    }

    /// Reads the words of a line.
    ///
    /// # Errors
    /// One of them is no role, or there is none.
    pub fn parse<W: AsRef<str>>(words: &[W]) -> Result<Roles, BadRole> {
        let mut roles = Roles::default();
        words.iter().try_for_each(|word| roles.add(word.as_ref()))?;
        if words.is_empty() { Err(BadRole::Missing) } else { Ok(roles) }
    }

    fn add(&mut self, word: &str) -> Result<(), BadRole> {
        match word.split_once(':') {
            None if word == "follow" => self.follow = true,
            None if word == "shutdown" => self.shutdown = true,
            Some(("publish", family)) if is_name(family) => self.publish.add(family),
            Some(("command", verb)) if is_name(verb) => self.command.add(verb),
            Some(("publish" | "command", _)) => return Err(BadRole::Of(printable(word.as_bytes()))),
            _ => return Err(BadRole::Unknown(printable(word.as_bytes()))),
        }
        Ok(())
    }

    /// Whether it may follow this server: hear of its presence, of shutdowns and of events.
    pub const fn may_follow(&self) -> bool {
        self.follow
    }

    /// Whether it may publish events of this family.
    pub fn may_publish(&self, family: &str) -> bool {
        self.publish.holds(family)
    }

    /// Whether it may give commands of this verb.
    pub fn may_command(&self, verb: &str) -> bool {
        self.command.holds(verb)
    }

    /// Whether it may shut this server down.
    pub const fn may_shut_down(&self) -> bool {
        self.shutdown
    }
}

impl FromStr for Roles {
    type Err = BadRole;
    fn from_str(text: &str) -> Result<Roles, BadRole> {
        Roles::parse(&text.split_whitespace().collect::<Vec<_>>())
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |given: bool, word: &str| given.then(|| word.to_owned());
        let words = one(self.follow, "follow").into_iter().chain(self.publish.words("publish"));
        let words = words.chain(self.command.words("command")).chain(one(self.shutdown, "shutdown"));
        f.write_str(&words.collect::<Vec<_>>().join(" "))
    }
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    text == "*" || (!text.is_empty() && text.len() <= 64 && text.bytes().all(letter))
}
