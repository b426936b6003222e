//! Commands on their way into the journal. A disk that refuses is tried again, for as long as this program runs: until
//! the journal has a command, the broker keeps it.

use super::machine::seal;
use crate::carry;
use crate::journal::{Journal, Record};
use protocol::event::Event;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinSet;

/// After the disk has refused.
const PAUSE: Duration = Duration::from_secs(1);
/// So many bytes back the journal is searched for a command that the broker has sent before.
const BACK: u64 = 1024 * 1024;

/// Who writes them down.
pub(super) struct Secretary {
    journal: Rc<Journal>,
    work: JoinSet<(u64, Result<(), String>)>,
}

impl Secretary {
    pub(super) fn new(journal: Rc<Journal>) -> Secretary {
        Secretary { journal, work: JoinSet::new() }
    }

    /// Begins to keep a command; with `search`, one that an earlier run has kept already is enough.
    pub(super) fn keep(&mut self, digest: u64, event: Event, search: bool) {
        let journal = self.journal.clone();
        self.work.spawn_local(async move {
            let here = search && is_here(&journal, digest);
            let result = if here { Ok(()) } else { append(&journal, event).await };
            (digest, result)
        });
    }

    /// The next one that is kept, or will never be; nothing while there is none under way.
    pub(super) async fn next(&mut self) -> Option<(u64, Result<(), String>)> {
        self.work.join_next().await?.ok()
    }
}

async fn append(journal: &Journal, event: Event) -> Result<(), String> {
    let record: Record = carry::record(event, runner::clock::unix_now().as_secs());
    let mut told = false;
    loop {
        match journal.append(record.clone()).await {
            Ok(_) => return Ok(()),
            Err(why) if why.is_temporary() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!("a command waits: {why}");
                }
                tokio::time::sleep(PAUSE).await;
            }
            Err(why) => return Err(why.to_string()),
        }
    }
}

fn is_here(journal: &Journal, digest: u64) -> bool {
    let (end, seal) = (journal.next(), seal(digest));
    let wanted =
        |record: &Record| record.subject.split('/').nth(1) == Some("req") && record.body.ends_with(seal.as_bytes());
    let mut at = journal.tail(BACK);
    while at < end {
        match journal.read(at, &|entry| wanted(&entry.record), 1) {
            Ok(batch) if !batch.entries.is_empty() => return true,
            Ok(batch) if batch.next > at => at = batch.next,
            _ => return false,
        }
    }
    false
}
