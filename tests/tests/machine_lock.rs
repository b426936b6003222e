//! The end of the machine: a real bus, our real fserver and fclient, and a logind that says what the real one says only
//! once. The real one is asked in the house of virtual machines.
#![allow(clippy::unwrap_used, missing_docs)]

use nix::sys::signal::Signal;
use protocol::message::Stage;
use protocol::{Cause, Message};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use tests::World;
use tests::world::raw::Raw;
use tests::world::server::Server;
use zbus::object_server::SignalEmitter;

/// A bus that ends with the test.
struct Bus {
    daemon: Child,
    address: String,
}

impl Bus {
    fn new() -> Self {
        Self::start(&[])
    }

    /// At a place of its own, where the next one may be after it.
    fn at(socket: &std::path::Path) -> Self {
        let place = format!("unix:path={}", socket.display());
        let mut bus = Self::start(&["--address", &place]);
        bus.address = place;
        bus
    }

    fn start(more: &[&str]) -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { daemon, address: address.trim().into() }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }
}

/// The reading end of each lock that was given out; it ends when the lock is given back.
type Locks = Arc<Mutex<Vec<std::io::PipeReader>>>;

struct Manager(Locks);

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, why: &str, mode: &str) -> zbus::OwnedFd {
        assert_eq!((what, who, mode), ("shutdown", "fserver", "delay"));
        assert!(!why.is_empty());
        let (read, write) = std::io::pipe().unwrap();
        self.0.lock().unwrap().push(read);
        OwnedFd::from(write).into()
    }

    #[zbus(property, name = "InhibitDelayMaxUSec")]
    fn inhibit_delay_max(&self) -> u64 {
        5_000_000
    }

    #[zbus(signal)]
    async fn prepare_for_shutdown(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn prepare_for_shutdown_with_metadata(
        emitter: &SignalEmitter<'_>,
        start: bool,
        facts: HashMap<&str, zbus::Variant<'_>>,
    ) -> zbus::Result<()>;
}

struct Logind {
    runtime: tokio::runtime::Runtime,
    connection: zbus::Connection,
    locks: Locks,
    bus: Bus,
}

impl Logind {
    fn new() -> Self {
        Self::on(Bus::new())
    }

    fn on(bus: Bus) -> Self {
        let locks = Locks::default();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let connection = runtime.block_on(Self::serve(&bus, locks.clone())).unwrap();
        Self { runtime, connection, locks, bus }
    }

    async fn serve(bus: &Bus, locks: Locks) -> zbus::Result<zbus::Connection> {
        zbus::connection::Builder::address(bus.address.as_str())
            .name("org.freedesktop.login1")
            .serve_at("/org/freedesktop/login1", Manager(locks))
            .build()
            .await
    }

    fn server(&self, world: &World) -> Server {
        let attic = world
            .server("attic")
            .variable("MACHINE_LOCK", "on")
            .environment("DBUS_SYSTEM_BUS_ADDRESS", &self.bus.address)
            .hook("clients-released/50-sync-disks", "")
            .hook("going-down/10-stop-sharing", "")
            .start();
        attic.until_log("logind holds the end of this machine back");
        attic
    }

    fn says(&self, goes: bool) {
        let emitter = SignalEmitter::new(&self.connection, "/org/freedesktop/login1").unwrap();
        self.runtime.block_on(Manager::prepare_for_shutdown(&emitter, goes)).unwrap();
    }

    /// As systemd 255 and newer, which say it in both ways.
    fn says_kind(&self, kind: &str) {
        let emitter = SignalEmitter::new(&self.connection, "/org/freedesktop/login1").unwrap();
        let facts = HashMap::from([("type", kind.into())]);
        self.runtime.block_on(Manager::prepare_for_shutdown_with_metadata(&emitter, true, facts)).unwrap();
        self.says(true);
    }

    fn given_out(&self) -> usize {
        self.locks.lock().unwrap().len()
    }

    fn until_given_back(&self, world: &World, attic: &Server) {
        world.until("the lock is given back", || !self.is_held(attic));
        self.locks.lock().unwrap().pop();
    }

    /// Whether the lock is still held, after the server has had its turn.
    fn is_held(&self, attic: &Server) -> bool {
        attic.peers();
        let lock = self.locks.lock().unwrap().pop().expect("a lock was given out");
        let mut look = [nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&lock), nix::poll::PollFlags::POLLIN)];
        let ended = nix::poll::poll(&mut look, nix::poll::PollTimeout::ZERO).unwrap() > 0;
        self.locks.lock().unwrap().push(lock);
        !ended
    }
}

fn new_peer(world: &World, attic: &Server) -> Raw {
    let mut peer = Raw::connect(world, attic.address());
    peer.introduce("kitchen");
    peer
}

fn commits(peer: &mut Raw) -> usize {
    peer.messages().iter().filter(|message| matches!(message, Message::Commit(_))).count()
}

#[test]
fn typing_poweroff_waits_until_everybody_has_let_go() {
    let (world, logind) = (World::new(), Logind::new());
    let mut attic = logind.server(&world);
    attic.until_log("logind waits 5 s and not");
    let mut peer = new_peer(&world, &attic);
    logind.says(true);
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    assert!(logind.is_held(&attic), "the machine must not go down yet");
    peer.report(Stage::Unmounted);
    logind.until_given_back(&world, &attic);
    assert_eq!(
        attic.place().events(),
        ["clients-released/50-sync-disks shutdown", "going-down/10-stop-sharing shutdown"]
    );
    assert_eq!(commits(&mut peer), 0, "it may be a reboot");
    attic.signal(Signal::SIGTERM);
    peer.until_message("a commit", |message| matches!(message, Message::Commit(_)));
    assert!(attic.wait_exit().success());
    assert_eq!(attic.place().events().len(), 2, "no hook runs twice");
}

#[test]
fn a_newer_systemd_says_that_it_is_a_reboot() {
    let (world, logind) = (World::new(), Logind::new());
    let attic = logind.server(&world);
    let kitchen = world.client("kitchen").at(attic.address()).variable("POWER_OFF", "1").start();
    kitchen.until_event("server-up/20-mount-share");
    logind.says_kind("reboot");
    logind.until_given_back(&world, &attic);
    kitchen.until_log("server starts again, staying on");
    assert_eq!(kitchen.powered_off(), 0);
}

#[test]
fn a_newer_systemd_says_that_it_is_for_good() {
    let (world, logind) = (World::new(), Logind::new());
    let attic = logind.server(&world);
    let kitchen = world.client("kitchen").at(attic.address()).variable("POWER_OFF", "1").start();
    kitchen.until_event("server-up/20-mount-share");
    logind.says_kind("power-off");
    logind.until_given_back(&world, &attic);
    world.until("kitchen powers off", || kitchen.powered_off() == 1);
}

#[test]
fn a_machine_that_stays_is_held_again() {
    let (world, logind) = (World::new(), Logind::new());
    let attic = logind.server(&world);
    let kitchen = world.client("kitchen").at(attic.address()).variable("POWER_OFF", "1").start();
    kitchen.until_event("server-up/20-mount-share");
    logind.says(true);
    logind.until_given_back(&world, &attic);
    logind.says(false);
    world.until("a new lock is taken", || logind.given_out() == 1);
    world.until("kitchen takes up work again", || {
        kitchen.events().iter().filter(|event| event.starts_with("server-up")).count() == 2
    });
    assert_eq!(kitchen.powered_off(), 0);
}

#[test]
fn a_bus_that_starts_again_has_the_lock_taken_again() {
    let world = World::new();
    let socket = world.path("bus");
    let first = Logind::on(Bus::at(&socket));
    let attic = first.server(&world);
    let Logind { bus, runtime: _runtime, connection: _connection, .. } = first;
    drop(bus);
    attic.until_log("the system bus has ended");
    let second = Logind::on(Bus::at(&socket));
    world.until("a new lock is taken", || second.given_out() == 1);
    let mut peer = new_peer(&world, &attic);
    second.says(true);
    assert_eq!(peer.until_prepared(1).cause, Cause::Shutdown);
    peer.report(Stage::Unmounted);
    second.until_given_back(&world, &attic);
}

#[test]
fn without_a_bus_the_server_serves_all_the_same() {
    let world = World::new();
    let attic = world
        .server("attic")
        .variable("MACHINE_LOCK", "on")
        .environment("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
        .start();
    attic.until_log("the end comes as SIGTERM");
    let mut peer = new_peer(&world, &attic);
    peer.until_message("a beat", |message| matches!(message, Message::Beat(_)));
}
