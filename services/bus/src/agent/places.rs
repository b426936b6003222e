//! Where the journal was before: a setting JOURNAL that changes leaves behind what was not delivered yet, which is looked
//! for at each start and said with the remedy, until nothing is left there.

use super::{Settings, TO_SERVER, kept, renamed};
use crate::journal::{Bounds, Clock, Entry, Journal, Place, Position};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The directories that journals of this machine were in, a line each.
const FILE: &str = "journals";
/// So many bytes of records are read at a time to count them.
const READING: usize = 1024 * 1024;

/// What is left where the journal was before, each with its remedy. Takes as long as reading those journals takes.
pub(super) fn left_behind(settings: &Settings) -> Vec<String> {
    let (Some(state), Place::Directory(now)) = (&settings.state_dir, &settings.place) else { return Vec::new() };
    let memory = state.join(FILE);
    let text = match kept::read(&memory) {
        Ok(text) => text.unwrap_or_default(),
        Err(why) => {
            tracing::error!("{}: {why}; where the journal was before is not known", memory.display());
            return Vec::new();
        }
    };
    // Where it is if nobody says otherwise, and where it goes if the disk fails, need not be remembered.
    let usual: Vec<PathBuf> = std::iter::once(state.join("journal")).chain(settings.spare.clone()).collect();
    let before: BTreeSet<PathBuf> = text.lines().map(PathBuf::from).chain(usual.clone()).collect();
    let (mut findings, mut places) = (Vec::new(), vec![now.clone()]);
    for place in before.into_iter().filter(|place| place != now) {
        let count = unsent(&place, settings);
        findings.extend(count.filter(|count| *count > 0).map(|count| finding(&place, count)));
        if count != Some(0) {
            places.push(place);
        }
    }
    places.retain(|place| !usual.contains(place));
    let lines: String = places.iter().map(|place| format!("{}\n", place.display())).collect();
    let written = if lines == text { Ok(()) } else { kept::write(&memory, &lines) };
    if let Err(why) = written {
        tracing::error!("{}: {why}; if JOURNAL is changed, what it leaves behind is not found", memory.display());
    }
    findings
}

fn finding(place: &Path, count: u64) -> String {
    let place = place.display();
    format!(
        "{count} events that were not delivered are in {place}, where the journal was before; set JOURNAL to that place until `pistop queue` shows that none wait, then change it again"
    )
}

/// How many events in a journal somebody waits for, at most; nothing if it cannot be looked at now, as that on a stick
/// that is not there.
fn unsent(place: &Path, settings: &Settings) -> Option<u64> {
    let mut names = std::fs::read_dir(place).ok()?.flatten().map(|file| file.file_name());
    if !names.any(|name| name.to_string_lossy().ends_with(".records")) {
        return Some(0);
    }
    // The widest bounds, whatever those of today are: looking must not drop anything.
    let opened = Journal::open(Place::Directory(place.into()), Bounds::default(), Clock::system());
    let journal = match opened {
        Ok((journal, _)) => journal,
        Err(why) => {
            tracing::warn!("what is left in an earlier journal is not known: {why}");
            return None;
        }
    };
    let node = renamed::node_at(place).unwrap_or_else(|| settings.node.clone());
    let waits = |name: &str| if settings.server { name.contains(':') } else { name == TO_SERVER };
    let standings = journal.consumers().into_iter().filter(|standing| waits(&standing.name));
    // A client that never had a link has sent nothing.
    let never = (!settings.server).then_some(Position::START);
    let first = standings.map(|standing| standing.waits_at).min().or(never);
    let mine = |entry: &Entry| settings.server || entry.record.key.node == node;
    Some(first.map_or(0, |first| count(&journal, first, &mine)))
}

fn count(journal: &Journal, first: Position, mine: &dyn Fn(&Entry) -> bool) -> u64 {
    let unix = runner::clock::unix_now().as_secs();
    let wanted = |entry: &Entry| !entry.is_expired(unix) && mine(entry);
    let (mut at, mut count) = (first, 0);
    while let Ok(batch) = journal.read(at, &wanted, READING) {
        count += batch.entries.len() as u64;
        if batch.next <= at {
            break;
        }
        at = batch.next;
    }
    count
}
