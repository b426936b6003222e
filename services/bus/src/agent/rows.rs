//! The hooks of this machine as a consumer of its journal: one row of hooks after another, and an event is done with when
//! its row has ended.

use super::Shared;
use super::hooks::{HookPlan, HookRunner};
use crate::carry;
use crate::journal::{Entry, Start};
use crate::told;
use protocol::fact;
use runner::hooks::Ending;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Its cursor.
const CONSUMER: &str = "hooks";
/// So often it is looked which facts have hooks, since nobody has to tell that one was added.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// After the disk has refused.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs hooks until it is cancelled.
pub(super) async fn serve(shared: Rc<Shared>, plan: HookPlan, ending: CancellationToken) {
    if let Err(why) = shared.consume(CONSUMER, Start::Latest) {
        return tracing::error!("no hooks of facts run: {why}");
    }
    let mut runner = HookRunner::open(plan).await;
    let (mut end, mut slips) = (shared.journal.end(), Vec::new());
    while !ending.is_cancelled() {
        look(&shared, &runner, &mut slips);
        let again = Instant::now() + LOOK_AGAIN;
        while Instant::now() < again && !ending.is_cancelled() {
            match next(&shared) {
                Some(entry) => row(&shared, &mut runner, &entry, &ending).await,
                None => tokio::select! {
                    changed = end.changed() => if changed.is_err() { return },
                    () = sleep_until(again) => {}
                    () = ending.cancelled() => return,
                },
            }
        }
    }
}

/// Which facts have hooks, as of now. What is wrong is told when it changes.
fn look(shared: &Shared, runner: &HookRunner, slips: &mut Vec<String>) {
    let folders = runner.folders();
    if folders.slips != *slips {
        folders.slips.iter().for_each(|slip| tracing::warn!("{slip}"));
        *slips = folders.slips;
    }
    if *shared.hooked.borrow() != folders.facts {
        shared.hooked.replace(folders.facts);
        shared.wants.send_replace(());
    }
}

/// The next event that has hooks, one at a time: what has not begun when the program ends begins in its next run.
fn next(shared: &Shared) -> Option<Rc<Entry>> {
    let hooked = shared.hooked.borrow();
    let wanted = |entry: &Entry| is_hooked(&hooked, entry);
    loop {
        let batch =
            shared.journal.take(CONSUMER, &wanted, 1).map_err(|why| tracing::error!("hooks wait: {why}")).ok()?;
        match batch.entries.into_iter().next() {
            Some(entry) => return Some(Rc::new(Entry::clone(&entry))),
            None if batch.next >= shared.journal.next() => return None,
            None => {}
        }
    }
}

fn is_hooked(hooked: &BTreeSet<&'static str>, entry: &Entry) -> bool {
    // Many machines have none, and each event is asked.
    !hooked.is_empty()
        && protocol::Topic::parse(&entry.record.subject)
            .is_ok_and(|topic| told::name_of(&topic).is_some_and(|name| hooked.contains(name)))
}

async fn row(shared: &Shared, runner: &mut HookRunner, entry: &Entry, ending: &CancellationToken) {
    let event = carry::event(&entry.record, shared.unix());
    let row = runner.row(&event, entry.position, ending.clone()).await;
    if row.ending == Ending::Cancelled {
        return;
    }
    row.failed.iter().for_each(|fact| shared.clerk.tell(&shared.settings.node, fact));
    if let Err(why) = shared.journal.acknowledge(CONSUMER, entry.position) {
        tracing::error!("{why}");
        sleep(PAUSE).await;
    }
}

/// The patterns under which facts with hooks are said.
pub(super) fn filters(hooked: &BTreeSet<&'static str>) -> Vec<protocol::Filter> {
    hooked.iter().filter_map(|name| fact::shape(name)).map(|shape| told::filter_of(&shape.rule)).collect()
}
