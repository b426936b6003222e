//! Stories of a house: who says what, and what everybody hears. Time is made up; nothing waits.

mod guard;
mod pairing;

use super::*;
use protocol::control::{Reply, Request, ShutdownRequest};
use protocol::fact::Fact;
use protocol::message::{Hello, HookResult, Prepare, Progress, Stage};
use protocol::name::Identity;
use protocol::shutdown::Afterwards;
use protocol::{Cause, Epoch, ShutdownId, frame::Frame};

struct Scene {
    house: House,
    now: Instant,
    next: u64,
    heard: HashMap<PeerId, Vec<u8>>,
    done: Vec<Action>,
}

fn host(name: &str) -> HostName {
    HostName::parse(name).unwrap()
}

fn rules() -> Rules {
    Rules {
        name: host("attic"),
        listening: Vec::new(),
        epoch: Epoch(5),
        identity: Identity(1),
        program: "fserver test".into(),
        most_peers: 4,
        most_per_address: 3,
        lease: Duration::from_secs(15),
        deadline: Duration::from_secs(30),
        back_within: Duration::from_secs(60),
        reboot_within: Duration::from_secs(300),
        shutdown_from: vec!["10.0.0.9".parse().unwrap()],
        old_peers: OldPeers::default(),
        presence_only_from: Vec::new(),
    }
}

impl Scene {
    fn new() -> Self {
        let now = Instant::at(Duration::from_secs(1000));
        Self { house: House::new(rules(), now), now, next: 0, heard: HashMap::new(), done: Vec::new() }
    }

    fn feed(&mut self, input: Input) {
        for action in self.house.handle(input, self.now) {
            if let Action::Send(peers, bytes) = &action {
                peers.iter().for_each(|&peer| self.heard.entry(peer).or_default().extend_from_slice(bytes));
            }
            self.done.push(action);
        }
    }

    fn arrives(&mut self, address: &str) -> PeerId {
        self.next += 1;
        let peer = PeerId(self.next);
        self.feed(Input::Arrived { peer, address: address.parse().ok(), via: Via::Tcp, greeted: false });
        peer
    }

    fn says(&mut self, peer: PeerId, line: &str) {
        self.feed(Input::Heard(peer, Heard::Line(ClientLine::parse(line.as_bytes()))));
    }

    fn sends(&mut self, peer: PeerId, message: Message) {
        self.feed(Input::Heard(peer, Heard::Message(message)));
    }

    fn machine(&mut self, name: &str, identity: u64, address: &str) -> PeerId {
        let peer = self.arrives(address);
        self.says(peer, &format!("wait pistop/2 {name}"));
        let program = "fclient test".into();
        let hello = Hello { version: 2, name: host(name), identity: Identity(identity), program, capabilities: vec![] };
        self.sends(peer, Message::Hello(hello));
        peer
    }

    fn client(&mut self, name: &str) -> PeerId {
        let address = format!("10.0.1.{}", self.next + 1);
        self.machine(name, self.next + 100, &address)
    }

    fn old(&mut self) -> PeerId {
        let address = format!("10.0.2.{}", self.next + 1);
        let peer = self.arrives(&address);
        self.says(peer, "wait");
        peer
    }

    fn lines(&self, peer: PeerId) -> String {
        String::from_utf8_lossy(self.heard.get(&peer).map_or(&[][..], Vec::as_slice)).into_owned()
    }

    /// What a peer heard in frames, behind the two lines.
    fn messages(&self, peer: PeerId) -> Vec<Message> {
        let mut bytes = &self.heard[&peer][..];
        for _ in 0..2 {
            let (_, used) = protocol::line::take(bytes).unwrap().unwrap();
            bytes = &bytes[used..];
        }
        let mut messages = Vec::new();
        while let Some((Frame::Known(message), used)) = frame::take(bytes).unwrap() {
            messages.push(message);
            bytes = &bytes[used..];
        }
        messages
    }

    fn passes(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.house.deadline().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.feed(Input::Tick);
        }
        self.now = end;
    }

    fn asks(&mut self, request: Request) -> Vec<Reply> {
        self.next += 1;
        let asker = ControlId(self.next);
        let before = self.done.len();
        self.feed(Input::Asked(asker, request));
        self.replies(before, asker)
    }

    fn replies(&self, from: usize, to: ControlId) -> Vec<Reply> {
        let reply = |action: &Action| match action {
            Action::Reply(asker, reply) if *asker == to => Some(reply.clone()),
            _ => None,
        };
        self.done[from..].iter().filter_map(reply).collect()
    }

    fn asks_to_shut_down(&mut self) -> Vec<Reply> {
        self.asks(Request::Shutdown(shutdown()))
    }

    fn reports(&mut self, peer: PeerId, stage: Stage) {
        let id = ShutdownId { epoch: Epoch(5), number: 1 };
        self.sends(peer, Message::Progress(Progress { id, stage, outcomes: vec![] }));
    }

    fn did(&self, wanted: impl Fn(&Action) -> bool) -> bool {
        self.done.iter().any(wanted)
    }

    fn noted(&self, text: &str) -> bool {
        self.did(|action| matches!(action, Action::Note(_, note) if note.contains(text)))
    }

    fn ran_hooks(&self) -> bool {
        self.did(|action| matches!(action, Action::RunHooks(_)))
    }
}

fn shutdown() -> ShutdownRequest {
    ShutdownRequest {
        deadline: None,
        reason: "night".into(),
        restart: None,
        dry_run: false,
        drill: false,
        then: Afterwards::Stays,
    }
}

fn prepared(message: &Message) -> Option<&Prepare> {
    match message {
        Message::Prepare(prepare) => Some(prepare),
        _ => None,
    }
}

#[test]
fn an_old_client_is_greeted_at_once_and_told_in_a_write_of_its_own() {
    let mut scene = Scene::new();
    let old = scene.old();
    assert_eq!(scene.lines(old), "Connection from 10.0.2.1\n");
    scene.asks_to_shut_down();
    assert_eq!(scene.lines(old), "Connection from 10.0.2.1\nshutdown\n");
    assert!(scene.did(|action| *action == Action::HalfClose(vec![old])));
}

#[test]
fn a_new_client_is_answered_in_frames_and_hears_a_beat_a_second() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.passes(Duration::from_secs(10));
    let messages = scene.messages(kitchen);
    assert!(matches!(&messages[0], Message::Hello(hello) if hello.name == host("attic")));
    let beats = messages.iter().filter(|message| matches!(message, Message::Beat(_))).count();
    assert!((10..=12).contains(&beats), "{beats} beats");
}

#[test]
fn a_round_trip_is_measured_from_the_beat_that_is_echoed() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.passes(Duration::from_secs(3));
    let last = scene.messages(kitchen).into_iter().rev().find_map(|message| match message {
        Message::Beat(beat) => Some(beat.number),
        _ => None,
    });
    let since = scene.house.beats.iter().find(|(number, _)| Some(*number) == last).unwrap().1;
    scene.now = since + Duration::from_millis(7);
    scene.sends(kitchen, Message::Echo { number: last.unwrap() });
    let replies = scene.asks(Request::Status);
    let Reply::Peers(peers) = &replies[1] else { panic!("{replies:?}") };
    assert_eq!(peers[0].round_trip, Some(Duration::from_millis(7)));
}

#[test]
fn a_silent_new_peer_expires_and_an_old_one_does_not() {
    let mut scene = Scene::new();
    let (kitchen, old) = (scene.client("kitchen"), scene.old());
    scene.passes(Duration::from_secs(17));
    assert!(scene.did(|action| *action == Action::Close(kitchen)));
    assert!(!scene.did(|action| *action == Action::Close(old)));
    assert!(scene.noted("kitchen is gone: no sign of life"));
}

#[test]
fn everybody_lets_go_before_the_server_stops_sharing() {
    let mut scene = Scene::new();
    let (kitchen, old) = (scene.client("kitchen"), scene.old());
    scene.asks_to_shut_down();
    assert_eq!(scene.messages(kitchen).iter().filter_map(prepared).next().unwrap().reason, "night");
    scene.reports(kitchen, Stage::Stopped);
    scene.feed(Input::Ended(old, None));
    assert!(!scene.ran_hooks(), "kitchen still holds a mount");
    scene.reports(kitchen, Stage::Unmounted);
    assert!(scene.ran_hooks());
    assert!(matches!(scene.messages(kitchen).last(), Some(Message::Commit(_))));
}

#[test]
fn the_deadline_names_who_hangs() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks_to_shut_down();
    scene.reports(kitchen, Stage::Received);
    let keep_alive = |scene: &mut Scene| scene.sends(kitchen, Message::Echo { number: 1 });
    for _ in 0..31 {
        keep_alive(&mut scene);
        scene.passes(Duration::from_secs(1));
    }
    assert!(scene.ran_hooks() && scene.noted("not finished: kitchen got no further than `received`"));
}

#[test]
fn a_shutdown_can_be_cancelled_until_it_is_committed() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks_to_shut_down();
    assert_eq!(scene.asks(Request::Cancel), [Reply::Done { late: vec![] }]);
    assert!(matches!(scene.messages(kitchen).last(), Some(Message::Cancel(_))));
    scene.asks_to_shut_down();
    let id = ShutdownId { epoch: Epoch(5), number: 2 };
    scene.sends(kitchen, Message::Progress(Progress { id, stage: Stage::Unmounted, outcomes: vec![] }));
    assert!(
        matches!(&scene.asks(Request::Cancel)[0], Reply::Refused(why) if why.contains("cannot be cancelled any more"))
    );
}

#[test]
fn a_client_that_comes_during_a_shutdown_is_told_instead_of_a_beat() {
    let mut scene = Scene::new();
    let slow = scene.client("slow");
    scene.asks_to_shut_down();
    let kitchen = scene.client("kitchen");
    let messages = scene.messages(kitchen);
    assert!(matches!(messages[1], Message::Prepare(_)), "{messages:?}");
    scene.reports(slow, Stage::Unmounted);
    assert!(!scene.ran_hooks(), "the latecomer takes part");
    scene.reports(kitchen, Stage::Unmounted);
    assert!(scene.ran_hooks());
}

#[test]
fn an_old_client_that_comes_during_a_shutdown_is_told_as_soon_as_it_speaks() {
    let mut scene = Scene::new();
    scene.client("slow");
    scene.asks_to_shut_down();
    let old = scene.arrives("10.0.2.9");
    assert!(!scene.lines(old).contains("shutdown"), "it might be a new client that has not spoken yet");
    scene.says(old, "wait");
    assert!(scene.lines(old).ends_with("shutdown\n"));
}

#[test]
fn a_silent_peer_is_told_at_the_latest_when_there_is_no_way_back() {
    let mut scene = Scene::new();
    let slow = scene.client("slow");
    scene.asks_to_shut_down();
    let silent = scene.arrives("10.0.2.9");
    scene.reports(slow, Stage::Unmounted);
    assert!(scene.lines(silent).ends_with("shutdown\n"));
}

#[test]
fn a_restart_keeps_the_links_of_old_clients_and_powers_nobody_off() {
    let mut scene = Scene::new();
    let (kitchen, old) = (scene.client("kitchen"), scene.old());
    scene.feed(Input::Terminate { cause: Cause::Restart, then: Afterwards::Stays, evidence: vec!["svc -t".into()] });
    assert_eq!(scene.messages(kitchen).iter().filter_map(prepared).next().unwrap().cause, Cause::Restart);
    assert!(!scene.did(|action| *action == Action::Exit), "kitchen has not heard of it yet");
    scene.reports(kitchen, Stage::Received);
    assert!(scene.did(|action| *action == Action::Keep(vec![old])) && scene.did(|action| *action == Action::Exit));
    assert!(!scene.lines(old).contains("shutdown") && !scene.ran_hooks());
}

#[test]
fn a_restart_waits_for_a_dead_client_no_longer_than_its_notice() {
    let mut scene = Scene::new();
    scene.client("dead");
    scene.feed(Input::Terminate { cause: Cause::Restart, then: Afterwards::Stays, evidence: vec![] });
    scene.passes(protocol::shutdown::RESTART_NOTICE);
    assert!(scene.did(|action| *action == Action::Exit));
}

#[test]
fn a_shutdown_by_sigterm_ends_when_its_hooks_have_ended() {
    let mut scene = Scene::new();
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: Afterwards::Stays, evidence: vec![] });
    assert!(scene.ran_hooks() && !scene.did(|action| *action == Action::Exit));
    let outcome =
        HookOutcome { hook: "clients-released/50-sync-disks".into(), result: HookResult::Done, took: Duration::ZERO };
    scene.feed(Input::HooksEnded(vec![outcome]));
    assert!(scene.did(|action| *action == Action::Exit));
}

#[test]
fn an_announced_restart_makes_the_end_that_follows_a_restart() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { restart: Some(Duration::from_secs(90)), ..shutdown() }));
    scene.reports(kitchen, Stage::Received);
    scene.feed(Input::Terminate {
        cause: Cause::Shutdown,
        then: Afterwards::Stays,
        evidence: vec!["the system is stopping".into()],
    });
    assert!(scene.messages(kitchen).iter().filter_map(prepared).all(|prepare| prepare.cause == Cause::Restart));
    assert!(!scene.ran_hooks());
}

#[test]
fn the_end_that_follows_an_announced_restart_keeps_the_time_that_was_named() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { restart: Some(Duration::from_secs(300)), ..shutdown() }));
    scene.reports(kitchen, Stage::Received);
    scene.passes(Duration::from_secs(10));
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: Afterwards::Stays, evidence: vec![] });
    let messages = scene.messages(kitchen);
    let last = messages.iter().filter_map(prepared).next_back().unwrap();
    assert_eq!((last.cause, last.within.as_secs()), (Cause::Restart, 290));
}

#[test]
fn a_drill_reaches_new_clients_only_and_leaves_no_trace() {
    let mut scene = Scene::new();
    let (kitchen, old) = (scene.client("kitchen"), scene.old());
    scene.asks(Request::Shutdown(ShutdownRequest { drill: true, ..shutdown() }));
    for stage in [Stage::Received, Stage::Stopped, Stage::Unmounted, Stage::Bye] {
        scene.reports(kitchen, stage);
    }
    assert!(!scene.lines(old).contains("shutdown") && !scene.ran_hooks());
    assert!(!scene.messages(kitchen).iter().any(|message| matches!(message, Message::Commit(_))));
    assert!(scene.house.shutdown.is_none());
}

#[test]
fn defect_05_a_shutdown_from_a_client_needs_the_right_to_it() {
    let mut scene = Scene::new();
    let stranger = scene.arrives("10.0.0.8");
    scene.says(stranger, "shutdown");
    assert!(scene.noted("no right to; list it in SHUTDOWN_FROM") && !scene.ran_hooks());
    let owner = scene.arrives("10.0.0.9");
    scene.says(owner, "shutdown");
    assert!(scene.lines(owner).ends_with("shutdown\n"));
}

#[test]
fn a_second_machine_of_the_same_name_is_refused_and_the_first_one_stays() {
    let mut scene = Scene::new();
    let first = scene.machine("kitchen", 7, "10.0.0.1");
    let second = scene.machine("kitchen", 8, "10.0.0.2");
    let refused = scene.messages(second).into_iter().find(|message| matches!(message, Message::Refused(_)));
    let Some(Message::Refused(why)) = refused else { panic!("not refused") };
    assert!(why.contains("kitchen") && why.contains("10.0.0.1") && why.contains("NAME"), "{why}");
    assert!(!scene.did(|action| *action == Action::Close(first)));
}

#[test]
fn the_same_machine_on_a_new_link_replaces_its_dead_one() {
    let mut scene = Scene::new();
    let first = scene.machine("kitchen", 7, "10.0.0.1");
    let again = scene.machine("kitchen", 7, "10.0.0.1");
    assert!(scene.did(|action| *action == Action::Close(first)));
    assert!(matches!(scene.messages(again).last(), Some(Message::Beat(_))));
}

#[test]
fn a_full_house_leaves_new_links_outside_until_somebody_goes() {
    let mut scene = Scene::new();
    let peers: Vec<PeerId> = (0..4).map(|_| scene.old()).collect();
    assert!(scene.did(|action| *action == Action::Accept(false)) && scene.noted("raise MAXDAEMONS"));
    scene.feed(Input::Ended(peers[0], None));
    assert_eq!(scene.done.iter().filter(|action| **action == Action::Accept(true)).count(), 1);
}

#[test]
fn too_many_links_from_one_address_are_reset_and_not_closed() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        scene.arrives("10.0.0.1");
    }
    let fourth = scene.arrives("10.0.0.1");
    assert!(scene.did(|action| *action == Action::Reset(fourth)) && scene.noted("raise MAX_PER_ADDRESS"));
    assert_eq!(scene.lines(fourth), "");
}

#[test]
fn a_host_name_that_is_none_is_named_with_the_remedy() {
    let mut scene = Scene::new();
    let peer = scene.arrives("10.0.0.1");
    scene.says(peer, "wait pistop/2 kit?chen");
    assert!(scene.lines(peer).contains("refused: `kit?chen` is no host name"), "{}", scene.lines(peer));
    assert!(scene.did(|action| *action == Action::TurnAway(peer)));
}

#[test]
fn why_tells_decisions_newest_first_and_how_long_ago() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    let decision = protocol::message::Decision {
        ago: Duration::from_secs(2),
        what: "server lost".into(),
        evidence: vec!["no beat for 4.0 s".into()],
        epoch: None,
    };
    scene.sends(kitchen, Message::Decision(decision));
    scene.passes(Duration::from_secs(3));
    let replies = scene.asks(Request::Why(host("kitchen")));
    let Reply::Why(verdicts) = &replies[0] else { panic!("{replies:?}") };
    assert_eq!((verdicts[0].by.as_str(), verdicts[0].decision.ago), ("client", Duration::from_secs(5)));
    assert!(matches!(&scene.asks(Request::Why(host("cellar")))[0], Reply::Refused(why) if why.contains("cellar")));
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let mut scene = Scene::new();
    let (kitchen, old) = (scene.client("kitchen"), scene.old());
    let replies = scene.asks(Request::Shutdown(ShutdownRequest { dry_run: true, ..shutdown() }));
    let Reply::Plan(lines) = &replies[0] else { panic!("{replies:?}") };
    assert_eq!(lines.len(), 3);
    assert!(
        !scene.lines(old).contains("shutdown") && scene.messages(kitchen).iter().filter_map(prepared).next().is_none()
    );
}

#[test]
fn a_dry_run_of_a_restart_names_no_hooks_since_none_run() {
    let mut scene = Scene::new();
    scene.client("kitchen");
    let restart = ShutdownRequest { dry_run: true, restart: Some(Duration::from_secs(90)), ..shutdown() };
    let replies = scene.asks(Request::Shutdown(restart));
    assert_eq!(replies[0], Reply::Plan(vec!["kitchen: hold still for 90 s".into()]));
}

#[test]
fn a_refused_peer_leaves_no_socket_behind() {
    let mut scene = Scene::new();
    let peer = scene.arrives("10.0.0.1");
    scene.says(peer, "wait pistop/2 kit?chen");
    scene.feed(Input::Ended(peer, None));
    assert!(scene.did(|action| *action == Action::Close(peer)));
}

#[test]
fn two_machines_with_one_identity_are_told_so_and_the_first_one_stays() {
    let mut scene = Scene::new();
    let links: Vec<PeerId> = (0..5).map(|n| scene.machine("kitchen", 7, &format!("10.0.0.{n}"))).collect();
    let last = *links.last().unwrap();
    let refused = scene.messages(last).into_iter().any(
        |message| matches!(&message, Message::Refused(why) if why.contains("share the name kitchen and an identity")),
    );
    assert!(refused && !scene.did(|action| *action == Action::Close(links[3])));
}

#[test]
fn the_house_is_told_of_a_second_machine_of_one_name_once_a_minute() {
    let mut scene = Scene::new();
    let first = scene.machine("kitchen", 7, "10.0.0.1");
    let told = |scene: &Scene| {
        let fact = |action: &Action| match action {
            Action::Tell(_, Fact::PeerRefused { peer, address, why }) if peer == "kitchen" => {
                assert!(address == "10.0.0.2" && why.contains("is taken by another machine"), "{address}: {why}");
                true
            }
            _ => false,
        };
        scene.done.iter().filter(|action| fact(action)).count()
    };
    for moment in 0..60 {
        scene.machine("kitchen", 8, "10.0.0.2");
        assert_eq!(told(&scene), if moment < 30 { 1 } else { 2 });
        scene.sends(first, Message::Text("still here".into()));
        scene.passes(Duration::from_secs(2));
    }
}

#[test]
fn a_shutdown_ends_a_drill() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { drill: true, ..shutdown() }));
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: Afterwards::Stays, evidence: vec![] });
    let messages = scene.messages(kitchen);
    let told: Vec<bool> = messages.iter().filter_map(prepared).map(|prepare| prepare.drill).collect();
    assert_eq!(told, [true, false]);
    assert!(messages.iter().any(|message| matches!(message, Message::Cancel(_))));
}

#[test]
fn whoever_watches_a_drill_hears_why_a_machine_takes_no_part() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { drill: true, ..shutdown() }));
    scene.sends(kitchen, Message::Text("the hooks of server-up run".into()));
    let is_told = |action: &Action| match action {
        Action::Reply(_, Reply::Moment(moment)) => moment.who == "kitchen" && moment.what.contains("server-up run"),
        _ => false,
    };
    assert!(scene.done.iter().any(is_told));
}

#[test]
fn a_machine_that_is_switched_on_after_the_commit_hears_nothing_and_stays_on() {
    let mut scene = Scene::new();
    scene.asks_to_shut_down();
    let kitchen = scene.client("kitchen");
    assert!(matches!(scene.messages(kitchen)[..], [Message::Hello(_)]), "{:?}", scene.messages(kitchen));
}

#[test]
fn a_client_that_restarts_after_the_commit_hears_of_it_again() {
    let mut scene = Scene::new();
    let kitchen = scene.machine("kitchen", 7, "10.0.0.1");
    scene.asks_to_shut_down();
    scene.reports(kitchen, Stage::Unmounted);
    let again = scene.machine("kitchen", 7, "10.0.0.1");
    assert!(matches!(scene.messages(again)[1..], [Message::Prepare(_), Message::Commit(_)]));
}

#[test]
fn an_announced_restart_can_be_taken_back() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { restart: Some(Duration::from_secs(90)), ..shutdown() }));
    scene.reports(kitchen, Stage::Received);
    assert_eq!(scene.asks(Request::Cancel), [Reply::Done { late: vec![] }]);
    assert!(matches!(scene.messages(kitchen).last(), Some(Message::Cancel(_))));
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: Afterwards::Stays, evidence: vec![] });
    assert_eq!(scene.messages(kitchen).iter().filter_map(prepared).next_back().unwrap().cause, Cause::Shutdown);
}

#[test]
fn made_up_names_and_words_cost_a_bounded_memory() {
    assert!(cut(&"\u{10ffff}".repeat(1000)).len() <= MOST_WORDS);
    let mut memory = Memory::default();
    for n in 0..5000 {
        memory.record(
            &host(&format!("host-{n}")),
            "server",
            "came".into(),
            vec![],
            Instant::at(Duration::from_secs(n)),
        );
    }
    assert_eq!(memory.hosts(), 4096);
}

#[test]
fn a_talkative_peer_does_not_fill_the_log() {
    let mut scene = Scene::new();
    let peer = scene.arrives("10.0.0.1");
    (0..10_000).for_each(|n| scene.says(peer, &format!("line {n}")));
    assert!(scene.done.len() < 600 && scene.noted("the rest is dropped"), "{}", scene.done.len());
}

// ---- our own machine goes ----

const RETURNS: Afterwards = Afterwards::Returns(Duration::from_secs(300));

impl Scene {
    fn commits(&self, peer: PeerId) -> usize {
        self.messages(peer).iter().filter(|message| matches!(message, Message::Commit(_))).count()
    }

    fn lets_the_machine_go(&self) -> bool {
        self.did(|action| *action == Action::LetMachineGo)
    }

    fn going_down(&self) -> Vec<bool> {
        let run = |action: &Action| match action {
            Action::RunHooks(released) => Some(released.going_down),
            _ => None,
        };
        self.done.iter().filter_map(run).collect()
    }
}

#[test]
fn a_machine_that_goes_nobody_knows_where_to_powers_nobody_off_until_it_is_known() {
    let mut scene = Scene::new();
    let (kitchen, old) = (scene.client("kitchen"), scene.old());
    scene.feed(Input::MachineGoes(Afterwards::Undecided));
    assert_eq!(scene.messages(kitchen).iter().filter_map(prepared).count(), 1);
    scene.reports(kitchen, Stage::Unmounted);
    assert_eq!(scene.going_down(), [true]);
    assert!(!scene.lets_the_machine_go(), "sharing has not been stopped yet");
    scene.feed(Input::HooksEnded(vec![]));
    assert!(scene.lets_the_machine_go());
    assert!(scene.commits(kitchen) == 0 && !scene.lines(old).contains("shutdown"));
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: Afterwards::Stays, evidence: vec![] });
    assert!(scene.lines(old).ends_with("shutdown\n") && scene.commits(kitchen) == 0, "the old one has to let go first");
    scene.feed(Input::Ended(old, None));
    assert_eq!(scene.commits(kitchen), 1);
    assert!(scene.did(|action| *action == Action::Exit) && scene.going_down().len() == 1, "hooks run once");
}

#[test]
fn a_machine_that_turns_out_to_start_again_promises_to_be_back() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.feed(Input::MachineGoes(Afterwards::Undecided));
    scene.reports(kitchen, Stage::Unmounted);
    scene.feed(Input::HooksEnded(vec![]));
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: RETURNS, evidence: vec![] });
    let messages = scene.messages(kitchen);
    let told: Vec<(Cause, Duration)> = messages.iter().filter_map(prepared).map(|p| (p.cause, p.within)).collect();
    assert_eq!(told, [(Cause::Shutdown, Duration::from_secs(30)), (Cause::Restart, Duration::from_secs(300))]);
    assert!(scene.commits(kitchen) == 0 && scene.did(|action| *action == Action::Exit));
}

#[test]
fn who_asks_for_a_reboot_has_everybody_let_go_and_stay_on() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { then: RETURNS, ..shutdown() }));
    scene.reports(kitchen, Stage::Unmounted);
    assert!(scene.commits(kitchen) == 0 && scene.going_down() == [true]);
    let again = scene.machine("kitchen", 100, "10.0.1.1");
    let told = scene.messages(again);
    assert_eq!(
        told.iter().filter_map(prepared).map(|p| p.cause).collect::<Vec<_>>(),
        [Cause::Shutdown, Cause::Restart]
    );
}

#[test]
fn a_machine_that_stays_after_all_calls_everybody_back() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.feed(Input::MachineGoes(Afterwards::Undecided));
    scene.reports(kitchen, Stage::Unmounted);
    scene.feed(Input::HooksEnded(vec![]));
    scene.feed(Input::MachineStays);
    assert!(scene.messages(kitchen).iter().any(|message| matches!(message, Message::Cancel(_))));
    assert!(scene.noted("has to be started again"));
    scene.feed(Input::MachineGoes(Afterwards::GoesDown));
    assert_eq!(scene.messages(kitchen).iter().filter_map(prepared).count(), 2, "the next time is a new one");
}

/// As a newer systemd has it, which says what it is about from the start.
#[test]
fn a_machine_that_was_to_go_for_good_and_stays_powers_nobody_off() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.feed(Input::MachineGoes(Afterwards::GoesDown));
    scene.feed(Input::MachineStays);
    assert!(scene.messages(kitchen).iter().any(|message| matches!(message, Message::Cancel(_))));
    scene.passes(Duration::from_secs(31));
    assert_eq!(scene.commits(kitchen), 0);
}

#[test]
fn what_somebody_asked_for_goes_on_though_the_machine_stays() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks_to_shut_down();
    scene.feed(Input::MachineGoes(Afterwards::GoesDown));
    scene.feed(Input::MachineStays);
    scene.reports(kitchen, Stage::Unmounted);
    assert_eq!(scene.commits(kitchen), 1);
}

#[test]
fn a_machine_need_not_wait_for_what_has_been_done() {
    let mut scene = Scene::new();
    let kitchen = scene.client("kitchen");
    scene.asks(Request::Shutdown(ShutdownRequest { then: Afterwards::GoesDown, ..shutdown() }));
    scene.reports(kitchen, Stage::Unmounted);
    scene.feed(Input::HooksEnded(vec![]));
    assert!(scene.commits(kitchen) == 1 && !scene.lets_the_machine_go());
    scene.feed(Input::MachineGoes(Afterwards::Undecided));
    assert!(scene.lets_the_machine_go() && scene.going_down() == [true]);
    assert_eq!(scene.commits(kitchen), 1);
}

#[test]
fn a_machine_waits_no_longer_than_the_deadline_for_who_does_not_let_go() {
    let mut scene = Scene::new();
    scene.client("kitchen");
    scene.feed(Input::MachineGoes(Afterwards::GoesDown));
    scene.passes(Duration::from_secs(31));
    assert!(scene.noted("not finished: kitchen"));
    scene.feed(Input::HooksEnded(vec![]));
    assert!(scene.lets_the_machine_go());
}

#[test]
fn who_comes_while_it_is_not_known_is_not_powered_off() {
    let mut scene = Scene::new();
    scene.feed(Input::MachineGoes(Afterwards::Undecided));
    let old = scene.old();
    assert!(!scene.lines(old).contains("shutdown"));
    let kitchen = scene.client("kitchen");
    assert_eq!(scene.messages(kitchen).len(), 1, "it waits for the next run");
}

#[test]
fn sharing_is_left_to_whoever_stops_the_service() {
    let mut scene = Scene::new();
    scene.feed(Input::Terminate { cause: Cause::Shutdown, then: RETURNS, evidence: vec![] });
    assert_eq!(scene.going_down(), [false]);
}
