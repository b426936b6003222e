//! A machine that was given another name. The server takes from a machine what it says of itself and under its own name,
//! so what it had said under the old one and the server does not have yet is said again under the new one, before anybody
//! here says anything, if the disk takes it at once. The run and the number of each event stay, so a crash in between
//! makes nothing twice; under the old name none of it is sent any more.

use super::{Shared, TO_SERVER, kept};
use crate::journal::{Entry, Failure, Position, Record};
use protocol::topic::Kind;
use protocol::{HostName, Topic};
use std::path::Path;
use std::time::Duration;

/// The name under which this machine's events are kept here.
const FILE: &str = "node";
/// So many bytes of records are taken up at a time.
const HANDFUL: usize = 256 * 1024;
/// After the disk has refused.
const PAUSE: Duration = Duration::from_secs(1);

/// The name under which a journal in this directory was kept.
pub(super) fn node_at(directory: &Path) -> Option<HostName> {
    HostName::parse(kept::read(&directory.join(FILE)).ok()??.trim()).ok()
}

/// Takes up what is left from under another name. If the disk does not take it, that is told to `waits`, each time.
pub(super) async fn take_up(shared: &Shared, waits: &mut dyn FnMut()) {
    let Some(place) = kept::beside(&shared.settings.place, FILE) else { return };
    let node = &shared.settings.node;
    let before = match kept::read(&place) {
        Ok(text) => text.and_then(|text| HostName::parse(text.trim()).ok()),
        Err(why) => {
            return tracing::error!("{}: {why}; whether this machine was renamed is not known", place.display());
        }
    };
    if before.as_ref() == Some(node) {
        return;
    }
    if let Some(before) = before.filter(|_| !shared.settings.server) {
        match say_again(shared, &before, waits).await {
            Ok((0, 0)) => {}
            Ok((said, left)) => told(shared, &before, said, left),
            Err(why) => return tracing::error!("what {before} said and the server does not have yet waits: {why}"),
        }
    }
    if let Err(why) = kept::write(&place, node.as_str()) {
        tracing::error!("{}: {why}; if this machine is renamed, what it has not sent by then is not", place.display());
    }
}

fn told(shared: &Shared, before: &HostName, said: u64, left: u64) {
    let node = &shared.settings.node;
    tracing::warn!(
        "this machine was {before} and is {node} now: {said} events of {before} that the server had not acknowledged are sent as {node}'s"
    );
    if left > 0 {
        let remedy =
            format!("say them again, or set NAME={before} the next time until `pistop queue` shows that none wait");
        tracing::error!("{left} commands and answers of {before} were not sent and never will be; {remedy}");
        shared.missed("server", left);
    }
}

/// How many are said again, and how many are left out: commands, whose answers would go to nobody, and answers.
async fn say_again(shared: &Shared, before: &HostName, waits: &mut dyn FnMut()) -> Result<(u64, u64), Failure> {
    let journal = &shared.journal;
    let standing = journal.consumers().into_iter().find(|standing| standing.name == TO_SERVER);
    // One that never had a link has sent nothing.
    let (had_link, mut at) = standing.map_or((false, Position::START), |standing| (true, standing.waits_at));
    let (end, unix, mut counts) = (*journal.end().borrow(), shared.unix(), (0, 0));
    while at < end {
        let wanted = |entry: &Entry| entry.record.key.node == *before && !entry.is_expired(unix);
        let batch = journal.read(at, &wanted, HANDFUL)?;
        let old: Vec<_> = batch.entries.iter().filter(|entry| entry.position < end).collect();
        let again: Vec<_> = old.iter().filter_map(|entry| renamed(&entry.record, &shared.settings.node)).collect();
        counts = (counts.0 + again.len() as u64, counts.1 + (old.len() - again.len()) as u64);
        keep(shared, again, waits).await?;
        if had_link {
            old.iter().try_for_each(|entry| journal.acknowledge(TO_SERVER, entry.position).map(drop))?;
        }
        if batch.next <= at {
            break;
        }
        at = batch.next;
    }
    journal.settle().await?;
    Ok(counts)
}

/// The same under another name.
fn renamed(record: &Record, node: &HostName) -> Option<Record> {
    let topic = Topic::parse(&record.subject).ok()?;
    if let Kind::Request(_) | Kind::Reply(_) = topic.kind {
        return None;
    }
    let subject = Topic { node: node.clone(), kind: topic.kind }.to_string();
    let mut record = Record { subject, ..record.clone() };
    record.key.node = node.clone();
    Some(record)
}

async fn keep(shared: &Shared, records: Vec<Record>, waits: &mut dyn FnMut()) -> Result<(), Failure> {
    let mut left = records;
    while !left.is_empty() {
        let answers = shared.journal.append_all(left.clone()).await?;
        let refused = |answer: &Result<_, Failure>| answer.as_ref().is_err_and(Failure::is_temporary);
        left = left.into_iter().zip(answers).filter(|(_, answer)| refused(answer)).map(|(it, _)| it).collect();
        if !left.is_empty() {
            tracing::error!("the disk does not take what this machine said under its old name; it is tried again");
            waits();
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(())
}
