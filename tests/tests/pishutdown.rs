//! `pishutdown` in front of a real house. What it becomes at the end is a script that writes its arguments down; the real
//! shutdown is never reached.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::{Signal, kill};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::World;
use tests::world::actor::Actor;
use tests::world::process::Process;
use tests::world::server::Server;
use tests::world::{executable, programs, read};

const UP: &str = "server-up/20-mount-share";
const STOP: &str = "server-stopping/50-unmount-share shutdown";

/// The command, with all that keeps the real shutdown out of reach, and a deadline of its own.
fn command(world: &World, socket: &str, deadline: &str, arguments: &[&str]) -> Command {
    let record = format!("#!/bin/sh\n{{ echo \"$#\"; printf '%s\\n' \"$@\"; }} >> '{}'\n", runs(world).display());
    executable(&world.path("recorder"), &record);
    let mut command = world.command(programs::find("pishutdown"));
    command.env("SHUTDOWN_COMMAND", world.path("recorder")).env("PISHUTDOWN_DEADLINE", deadline);
    command.env("CONTROL", socket).args(arguments);
    command
}

fn pishutdown(attic: &Server, deadline: &str, arguments: &[&str]) -> Process {
    let world = attic.place().world();
    let mut command = command(world, attic.control().to_str().unwrap(), deadline, arguments);
    Process::start(world, &mut command, &world.path("pishutdown"))
}

fn runs(world: &World) -> std::path::PathBuf {
    world.path("shutdown-runs")
}

/// How often shutdown was run and with what: the number of arguments, and each of them, a line each.
fn recorded(world: &World) -> Vec<String> {
    read(&runs(world)).lines().map(String::from).collect()
}

fn house(world: &World) -> (Server, Actor) {
    let attic = world.server("attic").hook("clients-released/50-sync-disks", "").start();
    let kitchen = world.client("kitchen").of(&attic).variable("POWER_OFF", "1").start();
    kitchen.until_event(UP);
    (attic, kitchen)
}

#[test]
fn everybody_lets_go_and_then_shutdown_is_run_once_with_the_same_arguments() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut run = pishutdown(&attic, "30", &["-h", "now", "good  night", ""]);
    assert!(run.wait_exit().success());
    assert_eq!(recorded(&world), ["4", "-h", "now", "good  night", ""]);
    let said = run.output();
    let words = [
        "kitchen           received",
        "kitchen           unmounted",
        "committed",
        "50-sync-disks done",
        "everybody has let go",
    ];
    let mut rest = said.as_str();
    for word in words {
        rest = rest.split_once(word).unwrap_or_else(|| panic!("`{word}` is missing or out of order in:\n{said}")).1;
    }
    assert_eq!(attic.events(), ["clients-released/50-sync-disks shutdown"]);
    assert!(attic.log().contains("good  night"), "the reason is told: {}", attic.log());
    world.until("the kitchen is off", || kitchen.powered_off() == 1);
}

#[test]
fn a_restart_lets_nobody_power_off() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    assert!(pishutdown(&attic, "30", &["-r", "now"]).wait_exit().success());
    assert_eq!(recorded(&world), ["2", "-r", "now"]);
    world.throughout(Duration::from_millis(500), "nobody powers off", || kitchen.powered_off() == 0);
}

#[test]
fn what_is_for_later_is_passed_on_at_once() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut run = pishutdown(&attic, "30", &["-h", "+5", "good night"]);
    assert!(run.wait_exit().success());
    assert_eq!(recorded(&world), ["3", "-h", "+5", "good night"]);
    assert!(run.output().contains("nobody is told now: it is for later"), "{}", run.output());
    assert_eq!((kitchen.events().len(), attic.events().len()), (1, 0));
}

#[test]
fn a_cancellation_takes_both_back() {
    let world = World::new();
    let never = world.gate("never");
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).hook("server-stopping/50-unmount-share", &never.wait());
    let kitchen = plan.start();
    kitchen.until_event(UP);
    let mut first = pishutdown(&attic, "60", &["-h", "now"]);
    kitchen.until_event(STOP);
    let mut second = pishutdown(&attic, "60", &["-c"]);
    assert!(second.wait_exit().success());
    attic.until_log("is cancelled");
    assert_eq!(first.wait_exit().code(), Some(111));
    assert!(first.log().contains("somebody has taken it back, this machine stays up"), "{}", first.log());
    assert_eq!(recorded(&world), ["1", "-c"], "and nothing goes down");
    never.open();
    world.until("the kitchen works again", || kitchen.count(UP) == 2);
    let nothing = pishutdown(&attic, "30", &["-c"]).wait_exit();
    assert!(nothing.success(), "that there is nothing to cancel is no reason not to tell shutdown");
}

#[test]
fn without_fserver_it_is_said_and_the_machine_goes_down() {
    let world = World::new();
    let nowhere = world.path("no.sock");
    let output = command(&world, nowhere.to_str().unwrap(), "30", &["-P", "now"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("fserver does not answer at") && said.contains("goes down all the same"), "{said}");
    assert_eq!(recorded(&world), ["2", "-P", "now"]);
}

#[test]
fn a_server_that_is_silent_costs_the_deadline_and_no_more() {
    let world = World::new();
    let (attic, _kitchen) = house(&world);
    kill(attic.pid(), Signal::SIGSTOP).unwrap();
    let began = Instant::now();
    let mut run = pishutdown(&attic, "1", &["now"]);
    let status = run.wait_exit();
    kill(attic.pid(), Signal::SIGCONT).unwrap();
    assert!(status.success() && began.elapsed() >= Duration::from_secs(1));
    assert!(run.output().contains("not over after 1 s; this machine goes down"), "{}", run.output());
    assert_eq!(recorded(&world), ["1", "now"]);
}

#[test]
fn who_never_lets_go_is_named_after_the_deadline_of_the_house() {
    let world = World::new();
    let never = world.gate("never");
    let attic = world.server("attic").variable("SHUTDOWN_DEADLINE", "2").start();
    let plan = world.client("cellar").of(&attic).hook("server-stopping/50-unmount-share", &never.wait());
    let cellar = plan.start();
    cellar.until_event(UP);
    let mut run = pishutdown(&attic, "60", &["-h", "now"]);
    assert!(run.wait_exit().success());
    assert!(run.output().contains("not finished: cellar got no further than `stopped`"), "{}", run.output());
    assert_eq!(recorded(&world), ["2", "-h", "now"]);
}

#[test]
fn one_that_somebody_else_has_begun_is_waited_for() {
    let world = World::new();
    let gate = world.gate("unmount");
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).hook("server-stopping/50-unmount-share", &gate.wait());
    let kitchen = plan.start();
    kitchen.until_event(UP);
    let _other = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
    kitchen.until_event(STOP);
    let mut run = pishutdown(&attic, "60", &["-h", "now"]);
    world.until("it hears of it", || run.output().contains("is already in progress"));
    world.throughout(Duration::from_millis(500), "it waits", || recorded(&world).is_empty());
    gate.open();
    assert!(run.wait_exit().success());
    assert_eq!(recorded(&world), ["2", "-h", "now"]);
}

#[test]
fn one_that_was_taken_back_does_not_stand_for_ours() {
    let world = World::new();
    let gate = world.gate("unmount");
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).hook("server-stopping/50-unmount-share", &gate.wait());
    let kitchen = plan.start();
    kitchen.until_event(UP);
    let _other = attic.pistop_begins(&["shutdown", "--deadline", "60"]);
    kitchen.until_event(STOP);
    let mut run = pishutdown(&attic, "60", &["-h", "now"]);
    world.until("it hears of it", || run.output().contains("is already in progress"));
    assert!(attic.pistop(&["shutdown", "--cancel"]).status.success());
    attic.until_log("-2 begins: ");
    assert!(recorded(&world).is_empty());
    gate.open();
    assert!(run.wait_exit().success());
    assert_eq!(recorded(&world), ["2", "-h", "now"]);
    assert_eq!(attic.status()["server"]["shutdown"]["phase"], "committed");
}

#[test]
fn ctrl_c_takes_it_back_and_the_machine_stays_up() {
    let world = World::new();
    let gate = world.gate("unmount");
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).hook("server-stopping/50-unmount-share", &gate.wait());
    let kitchen = plan.start();
    kitchen.until_event(UP);
    let mut run = pishutdown(&attic, "60", &["-h", "now"]);
    kitchen.until_event(STOP);
    assert_eq!(run.stop(Signal::SIGINT).code(), Some(111));
    let expected = "interrupted, this machine stays up; the shutdown of the house is taken back";
    assert!(run.log().contains(expected), "{}", run.log());
    assert!(recorded(&world).is_empty());
    gate.open();
    world.until("the kitchen works again", || kitchen.count(UP) == 2);
}

/// The telephone that asked by ssh is gone: no terminal, no reader, SIGHUP and SIGTERM.
#[test]
fn it_goes_on_when_whoever_asked_is_gone() {
    let world = World::new();
    let gate = world.gate("unmount");
    let attic = world.server("attic").start();
    let plan = world.client("kitchen").of(&attic).hook("server-stopping/50-unmount-share", &gate.wait());
    let kitchen = plan.start();
    kitchen.until_event(UP);
    let mut command = command(&world, attic.control().to_str().unwrap(), "60", &["-h", "now"]);
    let mut run = command.stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    kitchen.until_event(STOP);
    drop(run.stdout.take());
    let pid = nix::unistd::Pid::from_raw(run.id().cast_signed());
    kill(pid, Signal::SIGHUP).unwrap();
    kill(pid, Signal::SIGTERM).unwrap();
    gate.open();
    world.until("it has run shutdown", || recorded(&world) == ["2", "-h", "now"]);
    assert!(run.wait().unwrap().success());
}

/// A terminal that takes nothing any more, with a client that talks a lot.
#[test]
fn a_reader_that_is_stuck_does_not_hold_it_up() {
    let world = World::new();
    let (attic, _kitchen) = house(&world);
    let (reader, writer) = std::io::pipe().unwrap();
    fill(&writer);
    let mut command = command(&world, attic.control().to_str().unwrap(), "60", &["-h", "now"]);
    let mut run = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    world.until("it has run shutdown", || recorded(&world) == ["2", "-h", "now"]);
    drop((command, reader));
    assert!(run.wait().unwrap().success());
}

fn fill(pipe: &std::io::PipeWriter) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while nix::unistd::write(pipe, &[b'x'; 4096]).is_ok() {}
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
}

#[test]
fn a_shutdown_that_is_not_there_is_named_before_anybody_lets_go() {
    let world = World::new();
    let (attic, kitchen) = house(&world);
    let mut command = command(&world, attic.control().to_str().unwrap(), "30", &["now"]);
    let output = command.env("SHUTDOWN_COMMAND", "/nowhere/shutdown").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(100));
    assert!(error.contains("cannot run /nowhere/shutdown: ") && error.contains("set SHUTDOWN_COMMAND"), "{error}");
    assert!(attic.events().is_empty() && kitchen.powered_off() == 0, "the server stays on, and so does the house");
}

#[test]
fn a_deadline_that_is_none_is_told_and_does_not_keep_the_machine_up() {
    let world = World::new();
    let output = command(&world, "/nowhere", "soon", &["now"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("variable PISHUTDOWN_DEADLINE: `soon` is no time") && said.contains("going on"), "{said}");
    assert_eq!(recorded(&world), ["1", "now"]);
    assert!(fs::metadata(runs(&world)).is_ok());
}
