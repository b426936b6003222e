//! Every wart of the old client, under Debian's tcpclient. Numbers are those of the list of defects in ARCHITECTURE.md.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;

use common::{Client, Server, Transcript, bytes_read_by, hook, new_home, reset, terminate, wait_for_reads};

fn send(peer: &mut Transcript<TcpStream>, text: &str) {
    peer.stream.write_all(text.as_bytes()).unwrap();
}

fn end_of_file(peer: &Transcript<TcpStream>) {
    peer.stream.shutdown(Shutdown::Write).unwrap();
}

fn stop_line(heard: &str) -> &str {
    heard.lines().find(|line| line.starts_with("hook stop")).unwrap_or_else(|| panic!("no stop hook in {heard:?}"))
}

#[test]
fn start_hook_inherits_all_descriptors_and_the_environment() {
    let (mut client, mut peer) = Client::start("report");
    let heard = peer.wait_for("wait\n");
    let here = peer.stream.local_addr().unwrap();
    let home = client.home.display().to_string();
    assert!(heard.contains(&format!("cwd={home}/.pistop fd0=open fd6=open fd7=open from={here}\n")), "{heard}");
    assert!(!heard.contains(&format!("pid={} ", client.process.id())), "{heard}");
    client.said.wait_for(&format!("executing {home}/.pistop/pistopstart start\nhook start"));
}

#[test]
fn end_of_file_becomes_the_stop_hook_with_only_the_writing_side() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    end_of_file(&peer);
    let stop = format!("hook stop pid={} ", client.process.id());
    let heard = peer.wait_for_end();
    let line = stop_line(&heard);
    assert!(line.starts_with(&stop) && line.contains("fd0=open fd6=closed fd7=open"), "{line}");
    assert_eq!(client.exit_code(), Some(42));
    let script = client.home.join(".pistop/pistopstart");
    let said = client.said.wait_for_end();
    assert!(said.contains(&format!("lost connection with remote. executing {} stop\n", script.display())), "{said}");
}

#[test]
fn a_read_that_begins_with_shutdown_becomes_the_stop_hook_with_both_sides() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    send(&mut peer, "shutdown\nand more");
    let stop = format!("hook stop pid={} ", client.process.id());
    let heard = peer.wait_for_end();
    let line = stop_line(&heard);
    assert!(line.starts_with(&stop) && line.contains("fd0=open fd6=open fd7=open"), "{line}");
    assert_eq!(client.exit_code(), Some(42));
    let script = client.home.join(".pistop/pistopstart");
    let said = client.said.wait_for_end();
    assert!(said.contains(&format!("remote powered off. Executing {} stop\n", script.display())), "{said}");
    client.log.wait_for("got command [shutdown\nand mor]\n");
}

#[test]
fn defect_1_the_glued_farewell_of_the_old_server_works_only_by_the_end_that_follows() {
    let mut server = Server::start();
    let home = new_home();
    fs::create_dir(home.join(".pistop")).unwrap();
    symlink(hook("gate"), home.join(".pistop/pistopstart")).unwrap();
    let mut client = Client::connect_to(&server.port(), home, &["env"]);
    server.log.wait_for("Initializing\n");
    let start = bytes_read_by(server.child());
    client.process.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    // A server that dies with unread bytes resets the connection, and the client would end with 111.
    wait_for_reads(server.child(), start, "Initialized by go\nwait\n".len().try_into().unwrap());
    terminate(server.child());
    assert_eq!(client.exit_code(), Some(42));
    client.log.wait_for("got command [Connection from 127.0.0.1\nshutdown]\n");
    let said = client.said.wait_for_end();
    assert!(said.contains("lost connection with remote.") && !said.contains("powered off"), "{said}");
}

#[test]
fn defect_2_a_reset_ends_with_111_and_no_stop_hook() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    reset(peer.stream);
    assert_eq!(client.exit_code(), Some(111));
    let said = client.said.wait_for_end();
    assert!(said.contains("hook start") && !said.contains("stop\n") && !said.contains("hook stop"), "{said}");
    client.log.wait_for("read-network");
}

#[test]
fn defect_2_a_farewell_from_a_peer_that_left_bytes_unread_ends_with_111() {
    let (mut client, mut peer) = Client::start("gate");
    peer.wait_for("Initializing\n");
    send(&mut peer, "Connection from 127.0.0.1\nshutdown\n");
    client.process.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    client.log.wait_for("got command [Connection from 127.0.0.1\nshutdown]\n");
    drop(peer);
    assert_eq!(client.exit_code(), Some(111));
    assert!(!client.said.wait_for_end().contains("stop\n"));
}

#[test]
fn defect_6_a_split_command_is_lost_and_its_log_lacks_a_byte() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    send(&mut peer, "shut");
    client.log.wait_for("got command [shu]\n");
    send(&mut peer, "down\n");
    client.log.wait_for("got command [down]\n");
    end_of_file(&peer);
    assert_eq!(client.exit_code(), Some(42));
    client.said.wait_for("lost connection with remote.");
}

#[test]
fn defect_6_a_command_glued_behind_text_is_lost() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    send(&mut peer, "hello\nshutdown\n");
    client.log.wait_for("got command [hello\nshutdown]\n");
    end_of_file(&peer);
    client.said.wait_for("lost connection with remote.");
}

#[test]
fn shutdown_without_its_line_end_is_ignored() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    send(&mut peer, "shutdown");
    client.log.wait_for("got command [shutdow]\n");
    end_of_file(&peer);
    client.said.wait_for("lost connection with remote.");
}

#[test]
fn every_256_bytes_are_judged_anew() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    send(&mut peer, &format!("{}shutdown\n", "a".repeat(256)));
    client.log.wait_for(&format!("got command [{}]\ngot command [shutdown]\n", "a".repeat(255)));
    client.said.wait_for("remote powered off.");
}

#[test]
fn defect_11_a_failed_start_hook_counts_as_success() {
    let (mut client, mut peer) = Client::start("fail");
    assert_eq!(peer.wait_for_end(), "hook start\n");
    assert_eq!(client.exit_code(), Some(0));
    client.log.wait_for("pistopstart start: exit status: 3");
}

#[test]
fn defect_14_nothing_is_read_before_the_start_hook_has_ended() {
    let (mut client, mut peer) = Client::start("gate");
    send(&mut peer, "shutdown\n");
    assert_eq!(peer.wait_for("Initializing\n"), "Initializing\n");
    client.process.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(peer.wait_for_end(), "Initializing\nInitialized by go\nwait\ngate stops\n");
    assert_eq!(client.exit_code(), Some(42));
    client.said.wait_for("remote powered off.");
}

#[test]
fn defect_14_sigterm_during_the_start_hook_leaves_the_hook_alive() {
    let (mut client, mut peer) = Client::start("gate");
    peer.wait_for("Initializing\n");
    let mut gate = client.process.stdin.take().unwrap();
    terminate(client.process.id());
    assert_eq!(client.exit_code(), Some(1));
    gate.write_all(b"go\n").unwrap();
    assert_eq!(peer.wait_for_end(), "Initializing\nInitialized by go\n");
}

#[test]
fn sigterm_ends_with_1_and_no_stop_hook() {
    let (mut client, mut peer) = Client::start("report");
    peer.wait_for("wait\n");
    terminate(client.process.id());
    assert_eq!(client.exit_code(), Some(1));
    let said = client.said.wait_for_end();
    assert!(!said.contains("hook stop") && !said.contains("lost"), "{said}");
}

#[test]
fn defect_20_an_empty_pistop_directory_wins_and_counts_as_success() {
    let home = new_home();
    fs::create_dir(home.join(".pistop")).unwrap();
    fs::create_dir_all(home.join("lib/pistop")).unwrap();
    symlink(hook("report"), home.join("lib/pistop/pistopstart")).unwrap();
    let fallback = format!("OLD_LIBEXECDIR={}", home.join("lib").display());
    let (mut client, mut peer) = Client::start_in(home, &["env", &fallback]);
    assert_eq!(peer.wait_for_end(), "");
    assert_eq!(client.exit_code(), Some(0));
    client.log.wait_for("pistopstart start: No such file or directory");
}

#[test]
fn without_a_pistop_directory_the_fallback_runs_in_home() {
    let home = new_home();
    fs::create_dir_all(home.join("lib/pistop")).unwrap();
    symlink(hook("report"), home.join("lib/pistop/pistopstart")).unwrap();
    let fallback = format!("OLD_LIBEXECDIR={}", home.join("lib").display());
    let (client, mut peer) = Client::start_in(home, &["env", &fallback]);
    let heard = peer.wait_for("wait\n");
    assert!(heard.contains(&format!("cwd={} ", client.home.display())), "{heard}");
}

#[test]
fn no_script_at_all_ends_with_100() {
    let (mut client, mut peer) = Client::start_in(new_home(), &["env"]);
    assert_eq!(peer.wait_for_end(), "");
    assert_eq!(client.exit_code(), Some(100));
}

#[test]
fn no_home_ends_with_100() {
    let (mut client, _peer) = Client::start_in(new_home(), &["env", "-u", "HOME"]);
    assert_eq!(client.exit_code(), Some(100));
    client.log.wait_for("HOME");
}

#[test]
fn defect_3_idle_waits_pass_without_any_effect() {
    let home = new_home();
    fs::create_dir(home.join(".pistop")).unwrap();
    symlink(hook("report"), home.join(".pistop/pistopstart")).unwrap();
    let (mut client, mut peer) = Client::start_in(home, &["env", "DATA_TIMEOUT=-1"]);
    let before = peer.wait_for("wait\n");
    common::wait_for_sleeps(client.process.id(), 3);
    end_of_file(&peer);
    let heard = peer.wait_for_end();
    assert!(heard.strip_prefix(&before).unwrap().starts_with("hook stop"), "{heard}");
    assert_eq!(client.exit_code(), Some(42));
}

#[test]
fn refused_connection_ends_tcpclient_with_111() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut client = Client::connect_to(&port.to_string(), new_home(), &["env"]);
    assert_eq!(client.exit_code(), Some(111));
    client.log.wait_for(&format!("tcpclient: unable to connect to 127.0.0.1 port {port}: connection refused\n"));
}
