//! Real clients: how they find the server, notice its silence, and end.

#![allow(clippy::unwrap_used)] // a test may unwrap

mod common;

use common::{Client, Home, RUN, Server, until};
use nix::sys::signal::Signal;
use protocol::datagram::{Datagram, MAX_DATAGRAM};
use protocol::{Cause, Epoch, HostName, Message};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

#[test]
fn a_local_stop_lets_go_and_stays_on_whatever_the_owner_allowed() {
    let (home, server) = (Home::new(), Server::new());
    let mut client = Client::start(server.client(&home).env("POWER_OFF", "1").env("POWER_OFF_ON_LOST", "1"));
    let _peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    client.signal(Signal::SIGTERM);
    assert!(client.end().success());
    let stopped = ["server-stopping/10-stop-player local", "server-stopping/50-unmount-share local"];
    assert_eq!(home.diary(), [&["server-up/20-mount-share"], &stopped[..]].concat());
    assert!(!home.is_off() && home.journal().contains(r#""cause": "local""#));
}

#[test]
fn a_local_stop_in_the_middle_of_a_shutdown_stays_on() {
    let (home, server) = (Home::new(), Server::new());
    let gate = home.path("gate");
    let hold = format!("touch {0}; while [ -e {0} ]; do sleep 0.02; done", gate.display());
    home.hook("server-stopping/10-stop-player", &hold);
    let mut client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    peer.prepare(Cause::Shutdown, false);
    until("the first hook begins", || gate.exists());
    client.signal(Signal::SIGTERM);
    peer.send(&Message::Commit(common::FIRST));
    until("the signal is heard", || home.read_log().contains("are let finish"));
    std::fs::remove_file(&gate).unwrap();
    assert!(client.end().success());
    assert_eq!(home.diary().last().unwrap(), "server-stopping/50-unmount-share shutdown");
    assert!(!home.is_off());
}

#[test]
fn a_restart_of_the_client_touches_nothing_and_the_next_run_neither() {
    let (home, server) = (Home::new(), Server::new());
    let mut client = Client::start(server.client(&home).env("ON_TERM", "restart"));
    let _peer = server.accept_new(RUN);
    home.wait_for_journal(r#""complete": true"#);
    client.signal(Signal::SIGTERM);
    assert!(client.end().success());
    let _next = Client::start(&mut server.client(&home));
    let mut peer = server.accept_new(RUN);
    peer.message(|m| matches!(m, Message::Echo { .. }).then_some(()));
    peer.prepare(Cause::Restart, false);
    peer.stages(protocol::message::Stage::Received);
    assert_eq!(home.diary(), ["server-up/20-mount-share"]);
}

#[test]
fn a_second_client_on_the_same_state_is_refused_with_a_reason() {
    let (home, server) = (Home::new(), Server::new());
    let _first = Client::start(&mut server.client(&home));
    let _peer = server.accept();
    let mut second = Client::start(&mut server.client(&home));
    assert_eq!(second.end().code(), Some(100));
    assert!(home.read_log().contains("is in use by process"), "{}", home.read_log());
}

#[test]
fn a_corrupt_journal_is_put_aside_and_the_client_works() {
    let (home, server) = (Home::new(), Server::new());
    std::fs::create_dir(home.path("state")).unwrap();
    std::fs::write(home.path("state/intent"), "{ half").unwrap();
    let _client = Client::start(&mut server.client(&home));
    let _peer = server.accept_new(RUN);
    home.wait_for_diary(&["server-up/20-mount-share"]);
    assert!(home.path("state/intent.bad").exists() && home.read_log().contains("no journal of this version"));
}

/// It rests for ten seconds after a clean end, so only the announcement can bring it back within one.
#[test]
fn an_announcement_brings_the_client_back_at_once() {
    let (home, server) = (Home::new(), Server::new());
    let spare = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let group = SocketAddrV4::new(Ipv4Addr::new(239, 255, 55, 55), spare.local_addr().unwrap().port());
    let _client = Client::start(server.client(&home).env("ANNOUNCE", group.to_string()));
    let peer = server.accept();
    home.wait_for_diary(&["server-up/20-mount-share"]);
    drop(peer);
    home.wait_for_journal(r#""phase": "down""#);

    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket2::SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
    let up = Datagram::Up { server: HostName::parse("someone").unwrap(), epoch: Epoch(1) };
    let began = Instant::now();
    socket.send_to(&up.encode(), group).unwrap();
    server.accept();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

/// Defect 3: the old client kept a dead link for ever.
#[test]
fn defect_03_silence_is_noticed_unless_the_server_answers_probes() {
    let (home, server) = (Home::new(), Server::new());
    let probed = UdpSocket::bind(server.address()).unwrap();
    let _client = Client::start(server.client(&home).env("LEASE_FLOOR", "2").env("LEASE_CEILING", "2"));
    let _peer = server.accept_new(RUN);
    let began = Instant::now();
    probed.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; MAX_DATAGRAM];
    while began.elapsed() < Duration::from_millis(2500) {
        let (length, from) = probed.recv_from(&mut buffer).unwrap();
        let Some(Datagram::Probe { nonce }) = Datagram::decode(&buffer[..length]) else { panic!("no probe") };
        probed.send_to(&Datagram::Here { nonce, epoch: RUN }.encode(), from).unwrap();
    }
    assert_eq!(home.diary(), ["server-up/20-mount-share"], "it answers, so it lives");
    home.wait_for_diary(&["server-up/20-mount-share", "server-lost/50-unmount-lazily lost"]);
    assert!(began.elapsed() > Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn an_old_start_script_talks_to_the_server_and_sees_no_power_off() {
    let (home, server) = (Home::new(), Server::new());
    let body =
        "echo \"$1 [$POWER_OFF]\" >>diary; [ \"$1\" = stop ] || { echo Initialized kitchen >&7; echo shutdown >&7; }";
    home.script("home/.pistop/pistopstart", body);
    let _client = Client::start(server.client(&home).env("POWER_OFF", "1"));
    let mut peer = server.accept_new(RUN);
    let text = peer.message(|m| if let Message::Text(text) = m { Some(text) } else { None });
    assert_eq!(text, "Initialized kitchen");
    until("the dangerous line is dropped", || home.read_log().contains("takes for a command"));
    home.wait_for_journal(r#""complete": true"#);
    peer.prepare(Cause::Shutdown, false);
    peer.stages(protocol::message::Stage::Unmounted);
    let diary = std::fs::read_to_string(home.path("home/.pistop/diary")).unwrap();
    assert_eq!(diary, "start []\nstop []\n");
    assert!(home.diary().is_empty(), "it stands in place of all hooks");
}

#[test]
fn an_old_start_script_talks_to_an_old_server_in_lines() {
    let (home, server) = (Home::new(), Server::new());
    home.script("home/.pistop/pistopstart", "echo Initialized kitchen >&7");
    let _client = Client::start(&mut server.client(&home));
    let mut peer = server.accept();
    let mut line = [0; 20];
    peer.stream.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"Initialized kitchen\n", "whoever has taken up no offer hears lines");
}

#[test]
fn a_server_that_is_not_there_is_told_once() {
    let home = Home::new();
    let gone = Server::new().address();
    let _client = Client::start(home.command().arg("--server").arg(gone.to_string()));
    until("a few attempts", || home.read_log().contains("not reached"));
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(home.read_log().matches("not reached").count(), 1);
}
