//! Every wart of the old server, under Debian's tcpserver. Numbers are those of the list of defects in ARCHITECTURE.md.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{OLD_SERVER, Server, Transcript, exit_of, hook, reset, terminate};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

fn send(client: &mut Transcript<TcpStream>, text: &str) {
    client.stream.write_all(text.as_bytes()).unwrap();
}

/// Sends text and waits until the server has read and logged it, so that the next text is a read of its own.
fn send_alone(server: &mut Server, client: &mut Transcript<TcpStream>, text: &str) {
    send(client, text);
    server.log.wait_for(text);
}

#[test]
fn silent_until_sigterm_then_greeting_and_farewell_and_exit_1() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "Initializing\n");
    terminate(server.child());
    assert_eq!(client.wait_for_end(), "Connection from 127.0.0.1\nshutdown\n");
    server.log.wait_for("status 256\n");
}

#[test]
fn defect_1_greeting_is_held_back_and_lost_without_sigterm() {
    let server = Server::start();
    let mut client = server.connect();
    send(&mut client, "quit");
    assert_eq!(client.wait_for_end(), "");
}

#[test]
fn defect_1_greeting_and_farewell_are_one_write() {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let mut server = Command::new(OLD_SERVER)
        .env_remove("TCPREMOTEIP")
        .env_remove("TCP6REMOTEIP")
        .stdin(Stdio::from(theirs.try_clone().unwrap()))
        .stdout(Stdio::from(theirs))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    nix::unistd::write(&ours, b"ready?").unwrap();
    Transcript::new(server.stderr.take().unwrap()).wait_for("ready?");
    terminate(server.id());
    assert_eq!(exit_of(&mut server).code(), Some(1));
    assert_eq!(one_message(&ours), "Connection from unknown\nshutdown\n");
    assert_eq!(one_message(&ours), "");
}

fn one_message(socket: &OwnedFd) -> String {
    let mut message = [0; 256];
    let length = nix::unistd::read(socket, &mut message).unwrap();
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[test]
fn defect_3_idle_waits_pass_without_any_effect() {
    let mut server = Server::start_as(&[], &[OLD_SERVER, "-d", "-1"]);
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "Initialized\n");
    common::wait_for_sleeps(server.child(), 3);
    send(&mut client, "quit");
    assert_eq!(client.wait_for_end(), "");
    assert!(server.log.wait_for("status 0\n").contains("Initialized\ntcpserver: end"));
}

#[test]
fn defect_4_a_dead_peer_holds_its_slot_and_the_next_one_seems_connected() {
    let mut server = Server::start_as(&["-c1"], &[OLD_SERVER]);
    let mut dead = server.connect();
    send_alone(&mut server, &mut dead, "first\n");
    let mut waiting = server.connect();
    send(&mut waiting, "second\n");
    assert!(server.log.stays_without("second\n"));
    send(&mut dead, "quit");
    server.log.wait_for("second\n");
}

#[test]
fn defect_5_eight_bytes_become_the_power_off_command_in_the_same_process() {
    let command = hook("power-off");
    let setting = format!("OLD_SHUTDOWN_COMMAND={}", command.display());
    let mut server = Server::start_as(&[], &["env", &setting, OLD_SERVER]);
    let mut client = server.connect();
    send(&mut client, "shutdown");
    let child = server.child();
    server.log.wait_for(&format!("power-off called with 2 arguments: -h now, pid {child}\n"));
    server.log.wait_for("status 2304\n");
}

#[test]
fn defect_5_without_a_command_it_only_says_so() {
    let mut server = Server::start();
    let mut client = server.connect();
    send(&mut client, "shutdown -c\n");
    server.log.wait_for("old_server: would power off\n");
    server.log.wait_for("status 0\n");
}

#[test]
fn defect_6_any_text_that_begins_with_quit_quits_silently() {
    let mut server = Server::start();
    let mut client = server.connect();
    send(&mut client, "quitXYZ");
    let log = server.log.wait_for("status 0\n");
    assert!(!log.contains("XYZ") && !log.contains("dropped"), "{log}");
    assert_eq!(client.wait_for_end(), "");
}

#[test]
fn defect_6_stale_bytes_complete_a_verb() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "xuit\n");
    send(&mut client, "q");
    let log = server.log.wait_for("status 0\n");
    assert!(!log.contains("dropped"), "{log}");
}

#[test]
fn defect_6_stale_bytes_can_even_power_off() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "xhutdown\n");
    send(&mut client, "s");
    server.log.wait_for("would power off");
}

#[test]
fn defect_6_a_verb_split_over_two_reads_is_only_text() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "qu");
    send_alone(&mut server, &mut client, "it\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    server.log.wait_for("client dropped connection");
}

#[test]
fn defect_6_a_verb_glued_behind_text_is_only_text() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "Initialized\nquit\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    server.log.wait_for("client dropped connection");
}

#[test]
fn defect_6_every_256_bytes_are_judged_anew() {
    let mut server = Server::start();
    let mut client = server.connect();
    send(&mut client, &format!("{}quit", "a".repeat(256)));
    let log = server.log.wait_for("status 0\n");
    assert!(log.contains(&"a".repeat(256)) && !log.contains("dropped"), "{log}");
}

#[test]
fn verbs_are_case_sensitive_and_other_text_is_logged_verbatim() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "QUIT\n");
    send_alone(&mut server, &mut client, "Initialized  host localtime now\n");
    send(&mut client, "quit");
    server.log.wait_for("QUIT\nInitialized  host localtime now\ntcpserver: end");
}

#[test]
fn a_line_that_begins_with_wait_is_taken_silently() {
    let mut server = Server::start();
    let mut client = server.connect();
    send(&mut client, "wait pistop/2 kitchen\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    let log = server.log.wait_for("status 0\n");
    assert!(!log.contains("wait") && !log.contains("pistop/2"), "{log}");
}

#[test]
fn end_of_file_is_logged_with_process_and_address() {
    let mut server = Server::start();
    let mut client = server.connect();
    let child = server.child();
    client.stream.shutdown(Shutdown::Write).unwrap();
    server.log.wait_for(&format!("{child}: 127.0.0.1: client dropped connection\n"));
    server.log.wait_for("status 0\n");
    assert_eq!(client.wait_for_end(), "");
}

#[test]
fn a_reset_ends_with_111() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "here\n");
    reset(client.stream);
    server.log.wait_for("status 28416\n");
}

#[test]
fn defect_2_sigterm_with_unread_bytes_says_farewell_and_resets_even_while_the_log_is_stuck() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "here\n");
    let child = server.child();
    send(&mut client, &"more than a pipe holds\n".repeat(12_000));
    terminate(child);
    let mut heard = Vec::new();
    client.stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let end = client.stream.read_to_end(&mut heard).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    assert_eq!(heard, b"Connection from 127.0.0.1\nshutdown\n");
    server.log.wait_for("status 256\n");
}

#[test]
fn defect_17_sigterm_to_tcpserver_leaves_the_child_serving() {
    let mut server = Server::start();
    let mut client = server.connect();
    send_alone(&mut server, &mut client, "before\n");
    terminate(server.tcpserver.id());
    assert_eq!(exit_of(&mut server.tcpserver).code(), Some(0));
    send_alone(&mut server, &mut client, "after\n");
    terminate(server.child());
    assert_eq!(client.wait_for_end(), "Connection from 127.0.0.1\nshutdown\n");
}

fn address_told(environment: &[&str]) -> String {
    let program = [&["env"], environment, &[OLD_SERVER]].concat();
    let mut server = Server::start_as(&[], &program);
    let client = server.connect();
    client.stream.shutdown(Shutdown::Write).unwrap();
    let log = server.log.wait_for(": client dropped connection");
    let line = log.lines().find(|line| line.ends_with("dropped connection")).unwrap();
    line.split_once(": ").unwrap().1.strip_suffix(": client dropped connection").unwrap().to_owned()
}

#[test]
fn the_address_comes_from_the_first_source_that_has_one() {
    assert_eq!(address_told(&["TCP6REMOTEIP=2001:db8::7", "TCPREMOTEIP=192.0.2.7"]), "2001:db8::7");
    assert_eq!(address_told(&["TCPREMOTEIP=192.0.2.7"]), "192.0.2.7");
    assert_eq!(address_told(&["-u", "TCPREMOTEIP"]), "127.0.0.1");
}

#[test]
fn tcpserver_sets_just_these_variables() {
    let mut server = Server::start_as(&[], &["env", "-u", "PATH", "/usr/bin/env"]);
    let mut output = String::new();
    server.connect().stream.read_to_string(&mut output).unwrap();
    let names: Vec<_> = output
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| name.starts_with("TCP") || *name == "PROTO")
        .map(|(name, _)| name)
        .collect();
    let expected = ["PROTO", "TCPLOCALIP", "TCPLOCALPORT", "TCPLOCALHOST", "TCPREMOTEIP", "TCPREMOTEPORT"];
    assert_eq!(names.len(), expected.len(), "{output}");
    assert!(expected.iter().all(|name| names.contains(name)), "{output}");
    assert!(output.contains("PROTO=TCP\n") && output.contains(&format!("TCPLOCALPORT={}\n", server.port())));
    server.log.wait_for("status 0\n");
}
