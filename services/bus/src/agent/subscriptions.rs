//! Subscriptions that outlive their programs: what each wants is kept beside the journal, so that this machine goes on
//! asking the server for it while the program is away.

use super::patterns::Patterns;
use super::{kept, machine};
use crate::journal::Place;
use protocol::Filter;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

const FILE: &str = "subscriptions.json";

/// Those that are known, by name, and what the programs want that have given none.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    place: Option<PathBuf>,
    named: RefCell<BTreeMap<String, Vec<Filter>>>,
    passing: RefCell<BTreeMap<u64, Vec<Filter>>>,
    /// What followers want, by their consumer, as they said last.
    followers: RefCell<BTreeMap<Rc<str>, Patterns>>,
    /// Which connection has a consumer of the journal: the last one that asked for it.
    holders: RefCell<BTreeMap<String, u64>>,
}

impl Subscriptions {
    /// Reads what is kept at a journal's place. A file that cannot be read is told, and costs the wishes in it until
    /// the programs come back.
    pub(crate) fn open(place: &Place) -> Subscriptions {
        let place = kept::beside(place, FILE);
        let named = place.as_deref().map(read).unwrap_or_default();
        let (passing, followers, holders) = Default::default();
        Subscriptions { place, named: RefCell::new(named), passing, followers, holders }
    }

    /// What all of them want.
    pub(crate) fn filters(&self) -> Vec<Filter> {
        let (named, passing) = (self.named.borrow(), self.passing.borrow());
        named.values().chain(passing.values()).flatten().cloned().collect()
    }

    /// What a consumer of the journal wants, if that is known.
    pub(crate) fn of(&self, consumer: &str) -> Option<Vec<Filter>> {
        match consumer.strip_prefix("sub:") {
            Some(name) => self.named.borrow().get(name).cloned(),
            None => self.followers.borrow().get(consumer).map(Patterns::filters),
        }
    }

    /// A follower wants this from now on. It says so with each link, so nothing is written down.
    pub(super) fn follow(&self, consumer: Rc<str>, filters: &[Filter]) -> Patterns {
        let patterns = Patterns::from(filters);
        self.followers.borrow_mut().insert(consumer, patterns.clone());
        patterns
    }

    /// Nobody waits for a follower any more.
    pub(crate) fn unfollow(&self, consumer: &str) {
        self.followers.borrow_mut().remove(consumer);
    }

    /// A connection takes a consumer, from whichever has it.
    pub(crate) fn take(&self, consumer: &str, connection: u64) {
        self.holders.borrow_mut().insert(consumer.into(), connection);
    }

    /// Whether no other connection has taken it since.
    pub(crate) fn has(&self, consumer: &str, connection: u64) -> bool {
        self.holders.borrow().get(consumer) == Some(&connection)
    }

    /// Whether a connection has it.
    pub(crate) fn is_held(&self, consumer: &str) -> bool {
        self.holders.borrow().contains_key(consumer)
    }

    /// The names.
    pub(crate) fn names(&self) -> Vec<String> {
        self.named.borrow().keys().cloned().collect()
    }

    /// A program wants this until its connection ends.
    pub(crate) fn add(&self, connection: u64, filters: Vec<Filter>) {
        self.passing.borrow_mut().insert(connection, filters);
    }

    /// The connection has ended.
    pub(crate) fn end(&self, connection: u64) -> bool {
        self.holders.borrow_mut().retain(|_, holder| *holder != connection);
        self.passing.borrow_mut().remove(&connection).is_some()
    }

    /// A program wants this under a name, until it is forgotten.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn keep(&self, name: &str, filters: Vec<Filter>) -> io::Result<()> {
        if self.named.borrow().get(name) == Some(&filters) {
            return Ok(());
        }
        let before = self.named.borrow_mut().insert(name.into(), filters);
        self.write().inspect_err(|_| {
            // What is not on the disk is written when it is asked for again.
            let mut named = self.named.borrow_mut();
            match before {
                Some(before) => named.insert(name.into(), before),
                None => named.remove(name),
            };
        })
    }

    /// Nobody wants it any more.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn forget(&self, name: &str) -> io::Result<bool> {
        let known = self.named.borrow_mut().remove(name).is_some();
        if known { self.write().map(|()| true) } else { Ok(false) }
    }

    fn write(&self) -> io::Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let named = self.named.borrow();
        let texts: BTreeMap<&str, Vec<&str>> =
            named.iter().map(|(name, all)| (name.as_str(), all.iter().map(Filter::as_str).collect())).collect();
        kept::write(place, &serde_json::to_string_pretty(&texts)?)
    }
}

fn read(place: &Path) -> BTreeMap<String, Vec<Filter>> {
    let text = match kept::read(place) {
        Ok(None) => return BTreeMap::new(),
        text => text.map(Option::unwrap_or_default),
    };
    let known = text.and_then(|text| Ok(serde_json::from_str::<BTreeMap<String, Vec<String>>>(&text)?));
    match known {
        Ok(known) => {
            known.into_iter().filter_map(|(name, texts)| Some((name, machine::filters(&texts).ok()?))).collect()
        }
        Err(why) => {
            let remedy = "the programs that subscribed are asked again when they come back";
            tracing::error!("{}: {why}; {remedy}", place.display());
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn filters(text: &str) -> Vec<Filter> {
        vec![Filter::parse(text).unwrap()]
    }

    #[test]
    fn a_name_is_remembered_and_a_connection_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place::Directory(scratch.path().into());
        let subscriptions = Subscriptions::open(&place);
        subscriptions.keep("gallery", filters("+/evt/ingest/#")).unwrap();
        subscriptions.keep("old", filters("a")).unwrap();
        assert!(subscriptions.forget("old").unwrap() && !subscriptions.forget("old").unwrap());
        subscriptions.add(1, filters("#"));
        assert_eq!(subscriptions.filters().len(), 2);
        let again = Subscriptions::open(&place);
        assert_eq!((again.filters(), again.names()), (filters("+/evt/ingest/#"), vec!["gallery".into()]));
        assert!(subscriptions.end(1) && !subscriptions.end(1));
    }

    #[test]
    fn what_the_disk_refused_is_written_when_it_is_asked_for_again() {
        let scratch = tempfile::tempdir().unwrap();
        let place = Place::Directory(scratch.path().join("journal"));
        let subscriptions = Subscriptions::open(&place);
        assert!(subscriptions.keep("gallery", filters("#")).is_err(), "there is no such directory");
        assert!(subscriptions.names().is_empty());
        fs::create_dir(scratch.path().join("journal")).unwrap();
        subscriptions.keep("gallery", filters("#")).unwrap();
        assert_eq!(Subscriptions::open(&place).names(), ["gallery"]);
    }

    #[test]
    fn a_damaged_file_is_no_reason_not_to_start() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join(FILE), "{\"gallery\":").unwrap();
        assert!(Subscriptions::open(&Place::Directory(scratch.path().into())).filters().is_empty());
    }
}
