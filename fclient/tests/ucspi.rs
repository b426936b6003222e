//! Under tcpclient: the link is on descriptors 6 and 7, and the program ends with it.

#![allow(clippy::unwrap_used)] // a test may unwrap

mod common;

use common::{Client, FCLIENT, FIRST, Home, PATIENCE, Peer, RUN, Server};
use protocol::line::ClientLine;
use protocol::message::Stage;
use protocol::session::{Heard, Session};
use protocol::{Cause, HostName, Message};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// fclient with 6 and 7 as these.
fn adopted(home: &Home, read: OwnedFd, write: OwnedFd) -> Client {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(r#"exec 6<&0 7>&1 </dev/null >/dev/null; exec "$0" --ucspi"#).arg(FCLIENT);
    home.set(&mut command);
    command.env("PROTO", "TCP").env("TCPREMOTEIP", "10.0.0.9").env("TCPREMOTEPORT", "5555").env("POWER_OFF", "1");
    Client::start(command.stdin(read).stdout(write))
}

fn hears_the_offer(from: &mut impl Read) {
    let offer = ClientLine::Hello(HostName::parse("kitchen").unwrap());
    let mut heard = vec![0; offer.encode().len()];
    from.read_exact(&mut heard).unwrap();
    let mut session = Session::<ClientLine>::default();
    session.receive(&heard, |heard| assert_eq!(heard, Heard::Line(offer.clone()))).unwrap();
}

#[test]
fn over_one_socket_a_shutdown_ends_with_exit_0() {
    let home = Home::new();
    home.hook("server-up/20-mount-share", "echo $PISTOP_HOST >>$HOME.host");
    let (near, mut far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = adopted(&home, near.try_clone().unwrap().into(), near.into());
    hears_the_offer(&mut far);
    home.wait_for_journal(r#""complete": true"#);
    far.write_all(b"Connection from 10.0.0.7\nshutdown\n").unwrap();
    assert_eq!(far.read(&mut [0; 64]).unwrap(), 0, "the link ends when all is done");
    assert!(client.end().success());
    assert!(home.is_off());
    assert_eq!(common::text(&home.path("home.host")), "10.0.0.9\n");
}

#[test]
fn over_two_pipes_a_clean_end_is_a_closed_server() {
    let home = Home::new();
    let ((our_read, their_write), (mut their_read, our_write)) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let mut client = adopted(&home, our_read.into(), our_write.into());
    hears_the_offer(&mut their_read);
    home.wait_for_diary(&["server-up/20-mount-share"]);
    drop(their_write);
    assert!(client.end().success());
    assert_eq!(home.diary().last().unwrap(), "power-off/90-power-off closed");
}

#[test]
fn without_6_and_7_tcpclient_is_named() {
    let home = Home::new();
    let mut client = Client::start(home.command().arg("--ucspi"));
    assert_eq!(client.end().code(), Some(100));
    assert!(home.read_log().contains("descriptor 6") && home.read_log().contains("tcpclient"), "{}", home.read_log());
}

/// A new server through Debian's tcpclient, as in an old service directory.
fn under_tcpclient(home: &Home, server: &Server) -> Client {
    let address = server.address();
    let mut command = Command::new("tcpclient");
    command.args(["-DHR", "127.0.0.1", &address.port().to_string(), FCLIENT, "--ucspi"]);
    home.set(&mut command);
    Client::start(command.env("POWER_OFF", "1").stdin(Stdio::null()))
}

fn accepted(server: &Server) -> Peer {
    server.accept_new(RUN)
}

#[test]
fn tcpclient_leads_to_a_new_server_like_any_other() {
    let (home, server) = (Home::new(), Server::new());
    let mut client = under_tcpclient(&home, &server);
    let mut peer = accepted(&server);
    home.wait_for_journal(r#""complete": true"#);
    peer.prepare(Cause::Shutdown, false);
    peer.stages(Stage::Unmounted);
    peer.send(&Message::Commit(FIRST));
    peer.stages(Stage::Bye);
    assert!(home.is_off());
    peer.hear_end();
    assert!(client.end().success());
}

#[test]
fn after_a_reset_the_hooks_run_and_tcpclient_is_wanted_again() {
    let (home, server) = (Home::new(), Server::new());
    let mut client = under_tcpclient(&home, &server);
    let peer = accepted(&server);
    home.wait_for_journal(r#""complete": true"#);
    peer.reset();
    assert_eq!(client.end().code(), Some(111));
    assert_eq!(home.diary(), ["server-up/20-mount-share", "server-lost/50-unmount-lazily lost"]);
    assert!(!home.is_off());
}
