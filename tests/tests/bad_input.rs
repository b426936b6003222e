//! Everything under "Bad input" that reaches a server: each has a message that names the thing and the remedy, and no
//! effect on any other peer. What reaches a client is in `hooks.rs` and `settings.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use protocol::Message;
use std::fs;
use tests::World;
use tests::world::programs;
use tests::world::raw::{End, Raw};
use tests::world::server::Server;

/// An old and a new peer that have nothing to do with what goes wrong.
struct Bystanders {
    old: Raw,
    new: Raw,
}

impl Bystanders {
    fn of(server: &Server) -> Self {
        let (mut old, mut new) = (server.connect(), server.connect());
        old.say("wait\n");
        old.until_heard("Connection from 127.0.0.1\n");
        new.introduce_as("bystander", 77);
        server.until_peers(1, "old");
        Self { old, new }
    }

    /// They are still served, and heard nothing but greetings and beats.
    #[track_caller]
    fn saw_nothing(&mut self, server: &Server) {
        let before = self.new.messages().len();
        self.new.until("one more beat comes", |raw| raw.messages().len() > before);
        assert_eq!((self.old.end(), self.new.end()), (None, None));
        assert_eq!(self.old.heard(), "Connection from 127.0.0.1\n");
        let harmless = |message: &Message| matches!(message, Message::Hello(_) | Message::Beat(_));
        assert!(self.new.messages().iter().all(harmless), "{:?}", self.new.messages());
        assert_eq!(server.peers().len(), 2);
    }
}

#[test]
fn a_line_over_255_bytes_closes_that_peer() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut peer = attic.connect();
    peer.say(vec![b'x'; 255]);
    attic.until_peers(1, "unclassified");
    peer.say("xx\n");
    assert_eq!(peer.until_end(), End::Closed);
    attic.until_log("is closed: a line over 255 bytes; this port speaks pistop, end each line with a newline");
    others.saw_nothing(&attic);
}

#[test]
fn a_frame_over_its_limit_closes_that_peer_before_its_body_comes() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut peer = attic.connect();
    peer.introduce("kitchen");
    peer.say(u32::MAX.to_be_bytes());
    peer.until_end();
    attic.until_log("kitchen is closed: a frame of 4294967295 bytes is over the limit of 65536");
    others.saw_nothing(&attic);
}

#[test]
fn a_frame_that_is_none_closes_that_peer() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut peer = attic.connect();
    peer.introduce("kitchen");
    peer.say([0, 0, 0, 3, 1, 251, 0]);
    peer.until_end();
    attic.until_log("kitchen is closed: a frame that cannot be read: ");
    others.saw_nothing(&attic);
}

#[test]
fn bytes_of_no_dialect_reach_the_log_only_as_harmless_text() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut browser = attic.connect();
    browser.say("GET / HTTP/1.1\r\nHost: \x1b[31mattic\0\r\n\r\n");
    attic.until_log("says: GET / HTTP/1.1");
    attic.until_log(r"says: Host: \x1b[31mattic\x00");
    assert!(!attic.log().contains('\x1b') && browser.end().is_none());
    browser.say("quit\n");
    browser.until_end();
    let mut secure = attic.connect();
    secure.say([&[0x16, 3, 1, 2, 0, 1, 0][..], &[0xc3; 300]].concat());
    secure.until_end();
    attic.until_log("this port speaks pistop");
    others.saw_nothing(&attic);
}

#[test]
fn a_shutdown_from_a_client_without_the_role_is_refused_and_reported() {
    let world = World::new();
    let mut attic = world.server("attic").hook("clients-released/50-sync-disks", "").start();
    let mut others = Bystanders::of(&attic);
    let mut peer = attic.connect();
    peer.say("shutdown\n");
    attic.until_log("127.0.0.1 asked for a shutdown and has no right to; list it in SHUTDOWN_FROM if it should");
    peer.say("quit\n");
    peer.until_end();
    others.saw_nothing(&attic);
    assert!(attic.events().is_empty() && attic.runs());
}

/// The other side of it: the role works.
#[test]
fn a_shutdown_from_a_client_with_the_role_is_obeyed() {
    let world = World::new();
    let plan = world.server("attic").variable("SHUTDOWN_FROM", "127.0.0.1, ::1");
    let attic = plan.hook("clients-released/50-sync-disks", "event $PISTOP_REASON").start();
    let (mut other, mut peer) = (attic.connect(), attic.connect());
    other.say("wait\n");
    attic.until_peers(1, "old");
    peer.say("shutdown\n");
    other.until_heard("shutdown\n");
    drop((other, peer));
    attic.until_event("asked by 127.0.0.1");
}

#[test]
fn a_host_name_that_is_none_is_refused_with_the_remedy() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut peer = attic.connect();
    peer.say("wait pistop/2 kit/chen\n");
    peer.until_heard("refused: `kit/chen` is no host name; use letters, digits and `-`");
    assert_eq!(peer.until_end(), End::Closed);
    attic.until_log("127.0.0.1 is refused: `kit/chen` is no host name");
    others.saw_nothing(&attic);
}

#[test]
fn a_second_client_of_the_same_name_is_refused_and_the_first_one_stays() {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut twin = attic.connect();
    twin.introduce_as("bystander", 78);
    let expected =
        "the name bystander is taken by another machine, they are at 127.0.0.1 and at 127.0.0.1; rename one of them";
    twin.until_message("a refusal", |message| matches!(message, Message::Refused(why) if why.contains(expected)));
    twin.until_end();
    attic.until_log(&format!("is refused: {expected}"));
    others.saw_nothing(&attic);
    let mut doctor = world.command(programs::find("pistop"));
    doctor.arg("--variables").arg(attic.place().variables()).arg("doctor");
    world.until("the doctor knows and has a remedy", || {
        let said = String::from_utf8(doctor.output().unwrap().stdout).unwrap();
        said.contains("problem: peer-refused on attic, once in the last day: peer=bystander address=127.0.0.1 why=")
            && said.contains("; give one of the two another name, or set NAME there\n")
    });
}

/// A server that cannot start, beside one that runs.
fn fails(arguments: &[&str], code: i32, message: &[&str]) {
    let world = World::new();
    let attic = world.server("attic").start();
    let mut others = Bystanders::of(&attic);
    let mut plan = world.server("cellar");
    for argument in arguments {
        plan = plan.argument(&argument.replace("{attic}", &attic.address().to_string()));
    }
    let mut cellar = plan.start_to_fail();
    assert_eq!(cellar.wait_exit().code(), Some(code), "{}", cellar.log());
    for part in message {
        let part = part.replace("{attic}", &attic.address().to_string());
        assert!(cellar.log().contains(&part), "`{part}` is not in: {}", cellar.log());
    }
    others.saw_nothing(&attic);
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() {
    let message =
        ["fserver: temporary: cannot listen on {attic}: Address already in use", "use --listen with another port"];
    fails(&["--listen", "{attic}"], 111, &message);
}

#[test]
fn an_address_that_is_none_is_named_with_the_remedy() {
    fails(
        &["--listen", "attic"],
        100,
        &["fserver: fatal: flag --listen: `attic` is no address; write 192.168.1.10:5555"],
    );
    fails(
        &["--listen", "203.0.113.7:0"],
        111,
        &["cannot listen on 203.0.113.7:0: ", "this machine has no such address"],
    );
}

#[test]
fn an_unknown_flag_is_wrong_usage() {
    fails(&["--prot", "7"], 100, &["unexpected argument '--prot'"]);
}

#[test]
fn an_unreadable_variables_directory_is_named_with_the_remedy() {
    let world = World::new();
    let remedy = "make it a readable directory with one file for each variable";
    for program in ["fserver", "fclient"] {
        for (name, is_file) in [("missing", false), ("file", true)] {
            let path = world.path(&format!("{program}-{name}"));
            if is_file {
                fs::write(&path, "").unwrap();
            }
            let output = world.command(programs::find(program)).arg("--variables").arg(&path).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(100), "{error}");
            assert!(error.contains(&format!("{program}: fatal: {}: cannot be read", path.display())), "{error}");
            assert!(error.contains(remedy), "{error}");
        }
    }
}

#[test]
fn an_unknown_config_key_is_answered_with_the_nearest_known_one() {
    let world = World::new();
    for (program, wrong, near) in [("fserver", "maxdemons", "maxdaemons"), ("fclient", "power-of", "power-off")] {
        let path = world.path(&format!("{program}.toml"));
        fs::write(&path, format!("port = 5555\n{wrong} = 3\n")).unwrap();
        let output = world.command(programs::find(program)).arg("--config").arg(&path).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(100), "{error}");
        let parts = [path.display().to_string(), wrong.to_owned(), format!("`{near}`")];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn a_hook_without_its_run_bit_is_named_with_the_remedy_and_the_others_run() {
    let world = World::new();
    let plan =
        world.server("attic").hook("clients-released/40-stop-share", "").hook("clients-released/50-sync-disks", "");
    let silent = plan.place().hooks().join("clients-released/40-stop-share");
    fs::set_permissions(&silent, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let mut attic = plan.start();
    assert!(attic.stop(Signal::SIGTERM).success());
    assert_eq!(attic.events(), ["clients-released/50-sync-disks shutdown"]);
    let remedy = format!("has no run bit; run `chmod +x {}`, or remove it", silent.display());
    assert!(attic.log().contains(&remedy), "{}", attic.log());
}
