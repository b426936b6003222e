//! Which files of a service are to be changed: pure, from what is wanted, what was written the last time, and what is there.
//!
//! What always holds: what somebody edited is kept, and what somebody removed stays away. Only a flag on the command line
//! goes over an edit, and then the old value is told. Nothing that was not written by us is ever removed.

use super::content::{Content, Found, Kind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A file as we write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// What is in it.
    #[serde(flatten)]
    pub content: Content,
    /// It comes from a flag and not from the template, so a new template does not change it.
    #[serde(default)]
    pub by_flag: bool,
}

/// Files by their path: inside of the service directory, or absolute, as a unit's.
pub type Files<T> = BTreeMap<String, T>;

/// One thing to do, or to leave alone on purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file is written.
    Write {
        /// Which one.
        path: String,
        /// What is in it.
        content: Content,
        /// Why, if it is not simply new.
        why: String,
    },
    /// A file is taken away.
    Remove {
        /// Which one.
        path: String,
    },
    /// A file gets another name beside its old one.
    Aside {
        /// Which one.
        path: String,
        /// Its new name.
        to: String,
    },
    /// A file is left as it is, although it is not what we would write.
    Keep {
        /// Which one.
        path: String,
        /// Why.
        why: String,
    },
}

impl Change {
    /// Whether it concerns a file outside of the service directory, that is a unit.
    pub fn is_outside(&self) -> bool {
        let (Change::Write { path, .. }
        | Change::Remove { path }
        | Change::Aside { path, .. }
        | Change::Keep { path, .. }) = self;
        path.starts_with('/')
    }

    /// Whether anything on the disk changes by it.
    pub fn is_deed(&self) -> bool {
        !matches!(self, Change::Keep { .. })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Write { path, content, why } => match (content.kind, why.as_str()) {
                (Kind::Link, _) => write!(f, "link {path} to {}", content.text),
                (_, "") => write!(f, "write {path}"),
                (_, why) => write!(f, "write {path}: {why}"),
            },
            Change::Remove { path } => write!(f, "remove {path}: it is no longer part of the service"),
            Change::Aside { path, to } => write!(f, "rename {path} to {to}: it was not written by pistop"),
            Change::Keep { path, why } => write!(f, "keep {path}: {why}"),
        }
    }
}

/// A service without its `run` is none, so this one is written again.
const RUN: &str = "run";
/// indimail's supervise runs it at a stop: the old one ends programs that are no longer there.
const SHUTDOWN: &str = "shutdown";

/// What is known of a service directory.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What template and flags ask for.
    pub wanted: Files<Written>,
    /// What was written the last time; `None` if the directory is not ours, or not there.
    pub before: Option<Files<Written>>,
    /// What is there, for every path of the other two, and of [`Known::asides`].
    pub found: Files<Found>,
}

impl Known {
    /// The files of another program's service that have to make way.
    pub fn asides() -> [&'static str; 2] {
        [RUN, SHUTDOWN]
    }

    /// The changes in the order of paths, `run` last: supervise may look for it at any moment, and must find all the rest.
    /// And what is then written.
    pub fn decide(&self) -> (Vec<Change>, Files<Written>) {
        let nothing = Files::new();
        let before = self.before.as_ref().unwrap_or(&nothing);
        let mut paths: Vec<&String> = self.wanted.keys().chain(before.keys()).collect();
        paths.sort_by_key(|path| (*path == RUN, *path));
        paths.dedup();
        let (mut changes, mut after) = (self.made_way(), Files::new());
        for path in paths {
            let file =
                File { path, wanted: self.wanted.get(path), before: before.get(path), found: self.found.get(path) };
            let taken_over = self.before.is_none() && Known::asides().contains(&path.as_str());
            let (change, written) = file.decide(taken_over);
            changes.extend(change);
            after.extend(written.map(|written| (path.clone(), written)));
        }
        (changes, after)
    }

    fn made_way(&self) -> Vec<Change> {
        if self.before.is_some() {
            return Vec::new();
        }
        let in_the_way = |path: &&str| match (self.found.get(*path), self.wanted.get(*path)) {
            (Some(found), Some(wanted)) => !found.is(&wanted.content),
            (found, _) => found.is_some(),
        };
        let aside = |path: &str| Change::Aside { path: path.into(), to: format!("{path}.before-pistop") };
        Known::asides().iter().filter(|path| in_the_way(path)).map(|path| aside(path)).collect()
    }
}

struct File<'a> {
    path: &'a str,
    wanted: Option<&'a Written>,
    before: Option<&'a Written>,
    found: Option<&'a Found>,
}

impl File<'_> {
    fn decide(&self, taken_over: bool) -> (Option<Change>, Option<Written>) {
        let flag_now = self.wanted.is_some_and(|wanted| wanted.by_flag);
        // A flag of an earlier time stands until there is another one.
        let wanted = self.before.filter(|before| before.by_flag && !flag_now).or(self.wanted);
        let untouched = self.before.zip(self.found).is_some_and(|(before, found)| found.is(&before.content));
        match (wanted, self.before, self.found) {
            (Some(wanted), _, Some(found)) if found.is(&wanted.content) => (None, Some(wanted.clone())),
            (Some(wanted), None, None) => (self.write(wanted, ""), Some(wanted.clone())),
            (Some(wanted), Some(_), None) if flag_now || self.path == RUN => {
                (self.write(wanted, "it was removed by hand"), Some(wanted.clone()))
            }
            (Some(_), Some(before), None) => (self.keep("it was removed by hand and stays away"), Some(before.clone())),
            (Some(wanted), _, Some(_)) if taken_over => (self.write(wanted, ""), Some(wanted.clone())),
            (Some(_), _, Some(Found::Other)) => (self.keep("it is no plain file"), self.before.cloned()),
            (Some(wanted), Some(_), Some(_)) if untouched => {
                (self.write(wanted, &self.became(flag_now)), Some(wanted.clone()))
            }
            (Some(wanted), _, Some(_)) if flag_now => (self.write(wanted, &self.overridden()), Some(wanted.clone())),
            (Some(_), Some(before), Some(_)) => (self.keep("it was edited by hand"), Some(before.clone())),
            (Some(_), None, Some(_)) => (self.keep("it was there before"), None),
            (None, Some(_), Some(_)) if untouched => (Some(Change::Remove { path: self.path.into() }), None),
            (None, Some(_), Some(_)) => {
                (self.keep("it was edited by hand, though it is no longer part of the service"), None)
            }
            (None, _, _) => (None, None),
        }
    }

    fn write(&self, wanted: &Written, why: &str) -> Option<Change> {
        Some(Change::Write { path: self.path.into(), content: wanted.content.clone(), why: why.into() })
    }

    fn keep(&self, why: &str) -> Option<Change> {
        Some(Change::Keep { path: self.path.into(), why: why.into() })
    }

    fn became(&self, flag_now: bool) -> String {
        if flag_now { format!("it was {}", self.old()) } else { "there is a newer one".into() }
    }

    fn overridden(&self) -> String {
        format!("it was {}, set by hand; the flag goes over it", self.old())
    }

    /// The first line, as envdir takes it.
    fn old(&self) -> String {
        match self.found {
            Some(Found::File(bytes, _)) if !bytes.is_empty() => {
                let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
                format!("`{}`", line.escape_ascii())
            }
            _ => "empty".into(),
        }
    }
}

#[cfg(test)]
mod tests;
