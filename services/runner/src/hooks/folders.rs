//! Which facts have a folder of hooks, and so are wanted at this machine. A folder that is named after nothing would be
//! passed over for ever, so it is told with the name that was probably meant.

use super::find::names;
use crate::nearest;
use protocol::fact::shapes;
use protocol::hook::HookEvent;
use protocol::name::printable;
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What folders there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// Names of facts that have one.
    pub facts: BTreeSet<&'static str>,
    /// What is wrong with others, each with its remedy.
    pub slips: Vec<String>,
}

/// The folders in these directories, of which any may be missing.
pub fn folders(directories: &[PathBuf]) -> Folders {
    let mut folders = Folders::default();
    for directory in directories {
        match names(directory) {
            Ok(names) => names.iter().for_each(|name| folders.add(&directory.join(name))),
            Err(why) => folders.slips.push(why.to_string()),
        }
    }
    folders
}

impl Folders {
    fn add(&mut self, path: &Path) {
        let name = printable(path.file_name().unwrap_or_default().as_bytes());
        let fact = shapes().iter().map(|shape| shape.rule.name).find(|fact| **fact == name);
        match fact {
            _ if !path.is_dir() => {}
            Some(fact) => drop(self.facts.insert(fact)),
            None if HookEvent::ALL.iter().any(|event| event.name() == name) => {}
            None => self.slips.push(format!("{}: {}", path.display(), unknown(&name))),
        }
    }
}

fn unknown(name: &str) -> String {
    let events = HookEvent::ALL.iter().map(|event| event.name());
    let nearest = nearest(name, events.chain(shapes().iter().map(|shape| shape.rule.name)));
    format!("no event and no fact has this name; did you mean `{}`?", nearest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn facts_with_a_folder_are_found_and_slips_are_told() {
        let scratch = tempfile::tempdir().unwrap();
        let (system, own) = (scratch.path().join("system"), scratch.path().join("own"));
        for folder in ["system/motion", "system/server-up", "own/motion", "own/card-copied", "own/moton", "own/.git"] {
            fs::create_dir_all(scratch.path().join(folder)).unwrap();
        }
        fs::write(own.join("README.md"), "").unwrap();
        fs::write(own.join("backup-done"), "a file is no folder").unwrap();
        let found = folders(&[system, scratch.path().join("missing"), own.clone()]);
        assert_eq!(found.facts, BTreeSet::from(["card-copied", "motion"]));
        let slip =
            format!("{}: no event and no fact has this name; did you mean `motion`?", own.join("moton").display());
        assert_eq!(found.slips, [slip]);
    }

    #[test]
    fn a_directory_that_is_none_is_told() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("hooks"), "").unwrap();
        let found = folders(&[scratch.path().join("hooks")]);
        assert!(found.facts.is_empty() && found.slips[0].contains("hooks: cannot be read"), "{:?}", found.slips);
    }
}
