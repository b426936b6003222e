//! Arbitrary values of everything that travels, for the property tests. Texts are arbitrary; names are host names.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::cause::Cause;
use protocol::door::{Ask, From, Health, Subscribe, Tell, Waiting};
use protocol::event::{Batch, Body, Class, Event, EventId, Keep, MAX_BODY};
use protocol::fact::{Plain, shapes};
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Beat, Decision, Hello, HookOutcome, HookResult, Message, Prepare, Progress, Stage};
use protocol::name::{Epoch, HostName, Identity, ShutdownId};
use std::time::Duration;

pub fn host() -> impl Strategy<Value = HostName> {
    "[a-z0-9]([a-z0-9_-]{0,14}[a-z0-9])?(\\.[a-z0-9]{1,8}){0,3}".prop_map(|name| HostName::parse(&name).unwrap())
}

fn span() -> impl Strategy<Value = Duration> {
    (0..=u64::MAX / 2, 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

fn id() -> impl Strategy<Value = ShutdownId> {
    any::<(u64, u32)>().prop_map(|(epoch, number)| ShutdownId { epoch: Epoch(epoch), number })
}

fn cause() -> impl Strategy<Value = Cause> {
    use Cause::*;
    prop::sample::select(vec![Shutdown, Restart, Closed, Lost, Own, Local])
}

fn stage() -> impl Strategy<Value = Stage> {
    prop::sample::select(vec![Stage::Received, Stage::Stopped, Stage::Unmounted, Stage::Bye])
}

fn hook_result() -> impl Strategy<Value = HookResult> {
    prop_oneof![
        prop::sample::select(vec![HookResult::Done, HookResult::GaveUp, HookResult::TimedOut, HookResult::Cancelled]),
        any::<i32>().prop_map(HookResult::Failed),
        any::<i32>().prop_map(HookResult::Signal),
        any::<String>().prop_map(HookResult::NotRun),
    ]
}

fn outcome() -> impl Strategy<Value = HookOutcome> {
    (any::<String>(), hook_result(), span()).prop_map(|(hook, result, took)| HookOutcome { hook, result, took })
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<u16>(), host(), any::<u64>(), any::<String>(), vec(any::<String>(), 0..5)).prop_map(
        |(version, name, identity, program, capabilities)| Hello {
            version,
            name,
            identity: Identity(identity),
            program,
            capabilities,
        },
    )
}

fn prepare() -> impl Strategy<Value = Prepare> {
    (id(), cause(), span(), any::<String>(), any::<bool>()).prop_map(|(id, cause, within, reason, drill)| Prepare {
        id,
        cause,
        within,
        reason,
        drill,
    })
}

fn progress() -> impl Strategy<Value = Progress> {
    (id(), stage(), vec(outcome(), 0..4)).prop_map(|(id, stage, outcomes)| Progress { id, stage, outcomes })
}

fn decision() -> impl Strategy<Value = Decision> {
    (span(), any::<String>(), vec(any::<String>(), 0..4), any::<Option<u64>>())
        .prop_map(|(ago, what, evidence, epoch)| Decision { ago, what, evidence, epoch: epoch.map(Epoch) })
}

pub fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        hello().prop_map(Message::Hello),
        any::<(u64, u32)>().prop_map(|(number, next_ms)| Message::Beat(Beat { number, next_ms })),
        any::<u64>().prop_map(|number| Message::Echo { number }),
        prepare().prop_map(Message::Prepare),
        progress().prop_map(Message::Progress),
        id().prop_map(Message::Cancel),
        id().prop_map(Message::Commit),
        decision().prop_map(Message::Decision),
        any::<String>().prop_map(Message::Text),
        any::<String>().prop_map(Message::Refused),
        vec(any::<u8>(), 0..200).prop_map(Message::Handshake),
        vec(any::<String>(), 0..4).prop_map(Message::Follow),
        batch().prop_map(Message::Events),
        any::<u64>().prop_map(Message::Kept),
    ]
}

fn class() -> impl Strategy<Value = Class> {
    (prop::sample::select(Keep::EACH.to_vec()), any::<bool>()).prop_map(|(keep, durable)| Class { keep, durable })
}

/// Any body up to the longest; long ones are rare.
fn body() -> impl Strategy<Value = Body> {
    prop_oneof![9 => vec(any::<u8>(), 0..200), 1 => vec(any::<u8>(), MAX_BODY - 1..=MAX_BODY)].prop_map(Body)
}

/// Any event; its topic need be none.
pub fn event() -> impl Strategy<Value = Event> {
    let id = (host(), any::<(u64, u64)>()).prop_map(|(node, (epoch, sequence))| EventId {
        node,
        epoch: Epoch(epoch),
        sequence,
    });
    (id, class(), any::<String>(), any::<Option<u32>>(), body()).prop_map(|(id, class, topic, ttl, body)| Event {
        id,
        class,
        topic,
        ttl,
        body,
    })
}

/// At most one event may be of the longest, or it is none that fits into a frame.
pub fn batch() -> impl Strategy<Value = Batch> {
    let events = vec(event(), 0..4).prop_filter("larger than a frame", |events| {
        events.iter().map(Event::size).sum::<usize>() < MAX_BODY + MAX_BODY / 2
    });
    (any::<(u64, u64)>(), events).prop_map(|((through, lost), events)| Batch { through, events, lost })
}

fn subscribe() -> impl Strategy<Value = Subscribe> {
    let from = prop::sample::select(vec![From::Next, From::States, From::Oldest]);
    (any::<Option<String>>(), vec(any::<String>(), 0..4), from).prop_map(|(name, filters, from)| Subscribe {
        name,
        filters,
        from,
    })
}

pub fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        any::<String>().prop_map(Ask::Hello),
        batch().prop_map(|batch| Ask::Publish(batch.events)),
        subscribe().prop_map(Ask::Subscribe),
        vec(any::<u64>(), 0..9).prop_map(Ask::Done),
        vec(any::<u64>(), 0..9).prop_map(Ask::Again),
        any::<String>().prop_map(Ask::Forget),
        prop::sample::select(vec![Ask::Queue, Ask::Health]),
    ]
}

fn waiting() -> impl Strategy<Value = Waiting> {
    (any::<String>(), any::<(u64, u64)>(), any::<Option<u64>>(), any::<bool>()).prop_map(
        |(consumer, (events, open), oldest, here)| Waiting { consumer, events, open, oldest, here, wants: Vec::new() },
    )
}

fn health() -> impl Strategy<Value = Health> {
    let texts = || vec(any::<String>(), 0..4);
    (any::<(String, bool, u64, [u64; 3], u64)>(), texts(), any::<Option<(String, String)>>(), texts()).prop_map(
        |((journal, ram, bytes, dropped, sync_us), links, broker, findings)| Health {
            journal,
            ram,
            bytes,
            dropped,
            sync_us,
            links,
            broker,
            findings,
        },
    )
}

pub fn tell() -> impl Strategy<Value = Tell> {
    let welcome = (host(), any::<String>(), any::<u64>());
    prop_oneof![
        welcome.prop_map(|(node, agent, epoch)| Tell::Welcome { node, agent, epoch: Epoch(epoch) }),
        any::<u32>().prop_map(Tell::Kept),
        any::<(String, bool)>().prop_map(|(why, temporary)| Tell::Refused { why, temporary }),
        (batch(), any::<u64>())
            .prop_map(|(batch, at)| Tell::Events(batch.events.into_iter().map(|event| (at, event)).collect())),
        any::<u64>().prop_map(Tell::Missed),
        Just(Tell::Live),
        vec(waiting(), 0..4).prop_map(Tell::Queue),
        health().prop_map(Tell::Health),
        any::<String>().prop_map(Tell::Error),
    ]
}

/// Any value of a field of this kind.
fn value(plain: Plain) -> BoxedStrategy<serde_json::Value> {
    match plain {
        Plain::Flag => any::<bool>().prop_map(Into::into).boxed(),
        Plain::Number => prop::num::f64::NORMAL.prop_map(Into::into).boxed(),
        Plain::Whole => any::<u64>().prop_map(Into::into).boxed(),
        Plain::Text => any::<String>().prop_map(Into::into).boxed(),
        Plain::Word(words) => prop::sample::select(words.to_vec()).prop_map(Into::into).boxed(),
    }
}

/// Any fact, as JSON.
pub fn fact() -> impl Strategy<Value = serde_json::Value> {
    prop::sample::select(shapes().to_vec()).prop_flat_map(|shape| {
        let values: Vec<_> = shape.fields.iter().map(|field| value(field.plain)).collect();
        values.prop_map(move |values| {
            let fields = shape.fields.iter().map(|field| field.name.to_owned()).zip(values);
            std::iter::once(("fact".to_owned(), shape.rule.name.into())).chain(fields).collect()
        })
    })
}

/// A line that does not open the frame dialect. Its text is what a parser gives: printable, and no other kind.
pub fn client_line() -> impl Strategy<Value = ClientLine> {
    prop_oneof![
        Just(ClientLine::Wait),
        Just(ClientLine::Shutdown),
        Just(ClientLine::Quit),
        "[A-Z][ -\\[\\]-~]{0,120}".prop_map(ClientLine::Text),
    ]
}

/// The same for the other direction.
pub fn server_line() -> impl Strategy<Value = ServerLine> {
    prop_oneof![
        Just(ServerLine::Shutdown),
        "[0-9a-f:.]{1,40}".prop_map(ServerLine::Greeting),
        "[A-BD-Z][ -\\[\\]-~]{0,120}".prop_map(ServerLine::Text),
    ]
}
