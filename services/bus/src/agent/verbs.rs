//! Commands to this machine. What the agent knows itself is answered here; what a program serves waits for that program,
//! as long as its deadline lets it; what nobody has ever served here is refused at once, with the verbs that are known.

use super::machine::{HARMLESS, HOUSE};
use super::{Out, Shared};
use crate::command::{Outcome, Refusal, Reply, Request};
use crate::journal::{Entry, Start};
use protocol::{Event, Filter, HostName};
use std::rc::Rc;
use std::time::Duration;

/// Its cursor.
const CONSUMER: &str = "verbs";
/// A subscription of a program that serves a verb is called so.
pub(crate) const SERVES: &str = "serve:";

/// Answers commands until the agent ends.
pub(super) async fn serve(shared: Rc<Shared>) {
    let topics = Filter::parse(&format!("{}/req/+", shared.settings.node)).expect("a host name and a pattern");
    if let Err(why) = shared.consume(CONSUMER, Start::Latest) {
        return tracing::error!("no commands are taken: {why}");
    }
    let mut end = shared.journal.end();
    loop {
        match shared.journal.take(CONSUMER, &|entry| topics.matches(&entry.record.subject), 1 << 16) {
            Ok(batch) if batch.entries.is_empty() && batch.next >= *end.borrow_and_update() => {
                if end.changed().await.is_err() {
                    return;
                }
            }
            Ok(batch) => {
                for entry in batch.entries {
                    obey(&shared, &entry);
                    // A consumer that is registered knows what it was handed.
                    let _ = shared.journal.acknowledge(CONSUMER, entry.position);
                }
            }
            Err(why) => {
                tracing::error!("commands wait: {why}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

fn obey(shared: &Shared, entry: &Entry) {
    let id = entry.record.key.clone();
    let request = match Request::decode(&entry.record.body) {
        Ok(request) => request,
        Err(why) => {
            shared.refused(&id.node, &entry.record.subject, &why.to_string());
            return;
        }
    };
    let now = crate::unix_ms();
    let reply = |outcome, remarks| Reply { to: id.clone(), outcome, remarks, data: Default::default() };
    let verb = request.verb.as_str();
    let reply = match verb {
        _ if request.is_over(now) => {
            Refusal::Over { verb: verb.into(), late_ms: now - request.deadline_ms }.reply(id.clone())
        }
        "ping" => reply(Outcome::Done, String::new()),
        "version" => reply(Outcome::Done, shared.settings.program.clone()),
        _ if HOUSE.contains(&verb) && shared.settings.server => {
            let reason = format!("asked for by {}", request.from);
            let _ = shared.out.send(Out::Shutdown(verb == "restart", reason));
            reply(Outcome::Done, "it is announced".into())
        }
        _ if is_served(shared, verb) => return,
        _ => {
            let here = shared.settings.node.clone();
            Refusal::Unknown { verb: verb.into(), here, known: known(shared) }.reply(id.clone())
        }
    };
    shared.clerk.post(reply.event(shared.clerk.next_id(), &request, now));
}

/// Whoever asks for what he may not is told so at once, and does not wait for an answer until his deadline.
pub(super) fn refuse(shared: &Shared, asker: &HostName, event: &Event, why: &str) {
    let Some((_, request)) = Request::of(event).ok().filter(|(_, request)| request.from == *asker) else { return };
    let reply = Reply::by_server(event.id.clone(), why.into());
    shared.clerk.post(reply.event(shared.clerk.next_id(), &request, crate::unix_ms()));
}

fn is_served(shared: &Shared, verb: &str) -> bool {
    shared.subscriptions.names().iter().any(|name| name.strip_prefix(SERVES) == Some(verb))
}

fn known(shared: &Shared) -> Vec<String> {
    let house = HOUSE.iter().filter(|_| shared.settings.server);
    let served =
        shared.subscriptions.names().into_iter().filter_map(|name| Some(name.strip_prefix(SERVES)?.to_owned()));
    HARMLESS.iter().chain(house).map(|&verb| verb.to_owned()).chain(served).collect()
}
