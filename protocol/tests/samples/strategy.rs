//! Arbitrary values of everything that travels, for the property tests. Texts are arbitrary; names are host names.

use proptest::collection::vec;
use proptest::prelude::*;
use protocol::cause::Cause;
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
    ]
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
