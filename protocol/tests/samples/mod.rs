//! One sample value, and one golden file name, for everything that travels: each kind of line, datagram, frame and
//! control message. Each table is at the same time an exhaustive `match`, so a new variant does not compile before
//! it has a row here, and a row is a name, a pattern and a value that fits it.

#![allow(dead_code, reason = "each test program uses its part of the tables")]

use protocol::cause::Cause;
use protocol::control::{
    HouseStatus, Join, Moment, PairRequest, PairedStatus, PeerStatus, Reply, Request, Secret, ServerStatus,
    ShutdownRequest, ShutdownStatus, Verdict,
};
use protocol::datagram::Datagram;
use protocol::door::{Ask, From, Health, Subscribe, Tell, Waiting};
use protocol::event::{Batch, Body, Class, Event, EventId, Keep};
use protocol::line::{ClientLine, ServerLine};
use protocol::message::{Beat, Decision, Hello, HookOutcome, HookResult, Message, Prepare, Progress, Stage};
use protocol::name::{BadName, Epoch, HostName, Identity, ShutdownId};
use protocol::shutdown::PartStatus;
use std::time::Duration;

/// A value and the name of its golden file.
pub struct Sample<T> {
    pub name: String,
    pub value: T,
}

/// A table of samples, and the name of the row that a value belongs to. One row: `"name" pattern => value;`.
macro_rules! table {
    ($samples:ident, $name:ident, $type:ty, { $($file:literal $pattern:pat => $value:expr;)+ }) => {
        pub fn $samples() -> Vec<Sample<$type>> {
            vec![$(Sample { name: $file.into(), value: $value }),+]
        }

        pub fn $name(value: &$type) -> &'static str {
            match value {
                $($pattern => $file,)+
            }
        }
    };
}

pub const ID: ShutdownId = ShutdownId { epoch: Epoch(1_760_000_000), number: 3 };

pub fn host(name: &str) -> HostName {
    HostName::parse(name).expect("a sample is a host name")
}

table!(client_lines, client_line_name, ClientLine, {
    "client-wait" ClientLine::Wait => ClientLine::Wait;
    "client-hello" ClientLine::Hello(_) => ClientLine::Hello(host("kitchen.local"));
    "client-bad-hello" ClientLine::BadHello(_) => ClientLine::BadHello(BadName::BadLabel("kit/chen".into()));
    "client-shutdown" ClientLine::Shutdown => ClientLine::Shutdown;
    "client-quit" ClientLine::Quit => ClientLine::Quit;
    "client-text" ClientLine::Text(_) =>
        ClientLine::Text("Initializing kitchen MDRIVE [/mnt/music] localtime Sat Nov 21 10:00:00 2026".into());
});

table!(server_lines, server_line_name, ServerLine, {
    "server-greeting" ServerLine::Greeting(_) => ServerLine::Greeting("192.168.1.20".into());
    "server-shutdown" ServerLine::Shutdown => ServerLine::Shutdown;
    "server-hello" ServerLine::Hello { .. } => ServerLine::Hello { server: host("attic"), epoch: ID.epoch };
    "server-text" ServerLine::Text(_) => ServerLine::Text("a word of a later day".into());
});

table!(datagrams, datagram_name, Datagram, {
    "up" Datagram::Up { .. } => Datagram::Up { server: host("attic"), epoch: ID.epoch };
    "probe" Datagram::Probe { .. } => Datagram::Probe { nonce: 0x0123_4567_89ab_cdef };
    "here" Datagram::Here { .. } => Datagram::Here { nonce: 0x0123_4567_89ab_cdef, epoch: ID.epoch };
});

table!(messages, message_name, Message, {
    "hello" Message::Hello(_) => Message::Hello(hello());
    "beat" Message::Beat(_) => Message::Beat(Beat { number: 300, next_ms: 1000 });
    "echo" Message::Echo { .. } => Message::Echo { number: 300 };
    "prepare-shutdown" Message::Prepare(Prepare { cause: Cause::Shutdown, .. }) => prepare(Cause::Shutdown);
    "prepare-restart" Message::Prepare(Prepare { cause: Cause::Restart, .. }) => prepare(Cause::Restart);
    "prepare-closed" Message::Prepare(Prepare { cause: Cause::Closed, .. }) => prepare(Cause::Closed);
    "prepare-lost" Message::Prepare(Prepare { cause: Cause::Lost, .. }) => prepare(Cause::Lost);
    "prepare-self" Message::Prepare(Prepare { cause: Cause::Own, .. }) => prepare(Cause::Own);
    "prepare-local" Message::Prepare(Prepare { cause: Cause::Local, .. }) => prepare(Cause::Local);
    "progress-received" Message::Progress(Progress { stage: Stage::Received, .. }) => progress(Stage::Received);
    "progress-stopped" Message::Progress(Progress { stage: Stage::Stopped, .. }) => progress(Stage::Stopped);
    "progress-unmounted" Message::Progress(Progress { stage: Stage::Unmounted, .. }) => progress(Stage::Unmounted);
    "progress-bye" Message::Progress(Progress { stage: Stage::Bye, .. }) => progress(Stage::Bye);
    "cancel" Message::Cancel(_) => Message::Cancel(ID);
    "commit" Message::Commit(_) => Message::Commit(ID);
    "decision-with-epoch" Message::Decision(Decision { epoch: Some(_), .. }) =>
        Message::Decision(decision(Some(ID.epoch)));
    "decision-without-epoch" Message::Decision(Decision { epoch: None, .. }) => Message::Decision(decision(None));
    "text" Message::Text(_) => Message::Text("Initialized  kitchen localtime Sat Nov 21 10:00:05 2026".into());
    "refused" Message::Refused(_) =>
        Message::Refused("another machine is here as `kitchen`; give one of them another host name".into());
    "handshake" Message::Handshake(_) => Message::Handshake(vec![1, 0xe9, 0x5b, 0x00, 0xff]);
    "follow" Message::Follow(_) => Message::Follow(vec!["+/evt/camera/#".into(), "kitchen/req/#".into()]);
    "events" Message::Events(_) => Message::Events(Batch { through: 4711, events: vec![event()], lost: 2 });
    "kept" Message::Kept(_) => Message::Kept(4711);
});

table!(hook_results, hook_result_name, HookResult, {
    "progress-hook-done" HookResult::Done => HookResult::Done;
    "progress-hook-failed" HookResult::Failed(_) => HookResult::Failed(100);
    "progress-hook-gave-up" HookResult::GaveUp => HookResult::GaveUp;
    "progress-hook-signal" HookResult::Signal(_) => HookResult::Signal(9);
    "progress-hook-timed-out" HookResult::TimedOut => HookResult::TimedOut;
    "progress-hook-cancelled" HookResult::Cancelled => HookResult::Cancelled;
    "progress-hook-not-run" HookResult::NotRun(_) =>
        HookResult::NotRun("no run bit; chmod +x server-stopping/50-unmount-share".into());
});

table!(requests, request_name, Request, {
    "request-status" Request::Status => Request::Status;
    "request-shutdown" Request::Shutdown(_) => Request::Shutdown(ShutdownRequest {
            then: protocol::shutdown::Afterwards::Returns(Duration::from_secs(300)),
        deadline: Some(Duration::from_secs(60)),
        reason: "new disk".into(),
        restart: None,
        dry_run: true,
        drill: false,
    });
    "request-cancel" Request::Cancel => Request::Cancel;
    "request-why" Request::Why(_) => Request::Why(host("kitchen"));
    "request-join" Request::Join(_) => Request::Join(Join { address: "192.168.1.20".into(), greeted: true });
    "request-pair" Request::Pair(_) => Request::Pair(PairRequest {
        roles: "follow publish:camera".into(),
        name: Some(host("kitchen")),
        lasts: Duration::from_secs(600),
    });
    "request-paired" Request::Paired => Request::Paired;
    "request-unpair" Request::Unpair(_) => Request::Unpair(host("kitchen"));
});

table!(replies, reply_name, Reply, {
    "reply-server" Reply::Server(_) => Reply::Server(server_status());
    "reply-peers" Reply::Peers(_) => Reply::Peers(vec![peer_status()]);
    "reply-plan" Reply::Plan(_) => Reply::Plan(vec!["kitchen would be told".into()]);
    "reply-moment" Reply::Moment(_) => Reply::Moment(Moment {
        at: Duration::from_millis(250),
        who: "kitchen".into(),
        what: "unmounted".into(),
    });
    "reply-why" Reply::Why(_) =>
        Reply::Why(vec![Verdict { by: "server".into(), decision: decision(Some(ID.epoch)) }]);
    "reply-refused" Reply::Refused(_) => Reply::Refused("no shutdown is in progress; nothing to cancel".into());
    "reply-done" Reply::Done { .. } => Reply::Done { late: vec!["kitchen did not answer".into()] };
    "reply-joined" Reply::Joined => Reply::Joined;
    "reply-pairing-code" Reply::PairingCode { .. } => Reply::PairingCode {
        code: Secret::new("7k3-m9q-xw4-t2b-h8n-5zc"),
        lasts: Duration::from_secs(600),
    };
    "reply-pairing-failed" Reply::PairingFailed(_) => Reply::PairingFailed("192.168.1.66 has another code".into());
    "reply-paired" Reply::Paired(_) => Reply::Paired(vec![PairedStatus {
        name: host("kitchen"),
        fingerprint: "k7qd-2m9x-41ht".into(),
        roles: "follow publish:*".into(),
        here: false,
        seen: Some(Duration::from_secs(60)),
    }]);
    "reply-house" Reply::House(_) =>
        Reply::House(HouseStatus { closed: true, paired: 3, unpaired: 0, old: 1, old_allowed: true });
});

/// Every frame: the kinds of message, and each way in which a hook may end inside one.
pub fn frames() -> Vec<Sample<Message>> {
    let hooks = hook_results().into_iter().map(|Sample { name, value }| Sample { name, value: progress_with(value) });
    messages().into_iter().chain(hooks).collect()
}

fn hello() -> Hello {
    Hello {
        version: protocol::line::VERSION,
        name: host("kitchen"),
        identity: Identity(0x0123_4567_89ab_cdef),
        program: "fclient 0.1.0".into(),
        capabilities: vec!["drill".into()],
    }
}

fn prepare(cause: Cause) -> Message {
    let within = Duration::from_millis(29_500);
    Message::Prepare(Prepare { id: ID, cause, within, reason: "new disk".into(), drill: false })
}

fn progress(stage: Stage) -> Message {
    Message::Progress(Progress { id: ID, stage, outcomes: Vec::new() })
}

fn progress_with(result: HookResult) -> Message {
    Message::Progress(Progress { id: ID, stage: Stage::Unmounted, outcomes: vec![outcome(result)] })
}

fn outcome(result: HookResult) -> HookOutcome {
    HookOutcome { hook: "server-stopping/50-unmount-share".into(), result, took: Duration::from_millis(1250) }
}

fn decision(epoch: Option<Epoch>) -> Decision {
    let evidence = vec!["no beat for 4.0 s".into(), "eth0 has a carrier".into()];
    Decision { ago: Duration::from_secs(90), what: "server lost".into(), evidence, epoch }
}

fn server_status() -> ServerStatus {
    ServerStatus {
        name: host("attic"),
        epoch: ID.epoch,
        up: Duration::from_secs(86_400),
        program: "fserver 0.1.0".into(),
        listening: vec!["0.0.0.0:5555".into(), "[::]:5555".into()],
        peers: 1,
        most_peers: 1000,
        shutdown: Some(shutdown_status()),
    }
}

fn shutdown_status() -> ShutdownStatus {
    let part = PartStatus {
        who: "kitchen".into(),
        old: false,
        stage: Some(Stage::Stopped),
        left: false,
        released: false,
        troubles: vec![outcome(HookResult::Done)],
    };
    ShutdownStatus {
        id: ID,
        phase: "announced".into(),
        kind: "shutdown".into(),
        reason: "new disk".into(),
        left: Duration::from_secs(20),
        parts: vec![part],
    }
}

fn peer_status() -> PeerStatus {
    PeerStatus {
        host: Some(host("kitchen")),
        address: "192.168.1.20:40000".into(),
        kind: "new".into(),
        via: "tcp".into(),
        since: Duration::from_secs(3600),
        round_trip: Some(Duration::from_micros(850)),
        last_hook: Some(outcome(HookResult::Done)),
        unknown_frames: 0,
    }
}

pub fn event() -> Event {
    Event {
        id: EventId { node: host("attic"), epoch: Epoch(1_764_100_000_123_456_789), sequence: 17 },
        class: Class { keep: Keep::DropOldest, durable: false },
        topic: "attic/evt/camera/motion".into(),
        ttl: Some(3600),
        body: Body(br#"{"at":1764100000123,"fact":"motion","camera":"cam1","percent":12.5}"#.to_vec()),
    }
}

table!(asks, ask_name, Ask, {
    "ask-hello" Ask::Hello(_) => Ask::Hello("camera 0.1.0".into());
    "ask-publish" Ask::Publish(_) => Ask::Publish(vec![event()]);
    "ask-subscribe-next" Ask::Subscribe(Subscribe { from: From::Next, .. }) => subscribe(From::Next);
    "ask-subscribe-states" Ask::Subscribe(Subscribe { from: From::States, .. }) => subscribe(From::States);
    "ask-subscribe-oldest" Ask::Subscribe(Subscribe { from: From::Oldest, .. }) => subscribe(From::Oldest);
    "ask-done" Ask::Done(_) => Ask::Done(vec![17, 300]);
    "ask-again" Ask::Again(_) => Ask::Again(vec![17]);
    "ask-forget" Ask::Forget(_) => Ask::Forget("gallery".into());
    "ask-queue" Ask::Queue => Ask::Queue;
    "ask-health" Ask::Health => Ask::Health;
    "ask-room" Ask::Room => Ask::Room;
});

fn subscribe(from: From) -> Ask {
    let name = (from == From::Next).then(|| "gallery".into());
    Ask::Subscribe(Subscribe { name, filters: vec!["+/evt/camera/#".into()], from })
}

table!(tells, tell_name, Tell, {
    "tell-welcome" Tell::Welcome { .. } =>
        Tell::Welcome { node: host("attic"), agent: "fserver 0.1.0".into(), epoch: ID.epoch };
    "tell-kept" Tell::Kept(_) => Tell::Kept(100);
    "tell-refused" Tell::Refused { .. } => Tell::Refused { why: "no room on the disk".into(), temporary: true };
    "tell-events" Tell::Events(_) => Tell::Events(vec![(4711, event())]);
    "tell-missed" Tell::Missed(_) => Tell::Missed(2);
    "tell-live" Tell::Live => Tell::Live;
    "tell-queue" Tell::Queue(_) => Tell::Queue(vec![
        Waiting { consumer: "link:kitchen".into(), events: 12, open: 3, oldest: Some(90), here: false, wants: vec!["+/evt/camera/#".into()] },
    ]);
    "tell-health" Tell::Health(_) => Tell::Health(Health {
        journal: "/var/lib/pistop/fserver/journal".into(),
        ram: false,
        bytes: 1_048_576,
        dropped: [0, 0, 7],
        sync_us: 150,
        links: vec!["kitchen".into()],
        broker: Some(("mqtt://broker.example:1883".into(), "mosquitto version 2.0.11".into())),
        findings: vec!["the clock of this machine is not set; install systemd-timesyncd".into()],
    });
    "tell-queue-part" Tell::QueuePart(_) => Tell::QueuePart(vec![
        Waiting { consumer: "sub:gallery".into(), events: 0, open: 0, oldest: None, here: true, wants: Vec::new() },
    ]);
    "tell-room" Tell::Room(_) => Tell::Room(95_420_416);
    "tell-error" Tell::Error(_) => Tell::Error("`a+b` is no pattern of topics".into());
});
