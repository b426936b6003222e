//! The relay that fserver has in itself, as an engine: the attic is its machine, the kitchen a satellite. Who listens does
//! so at the attic, or at the kitchen; who speaks does so where the topic says.

mod program;

use super::engine::{Engine, Session};
use crate::World;
use crate::world::actor::Actor;
use crate::world::server::Server;
use nix::sys::signal::Signal;
use program::Program;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// fserver, and its satellites.
pub struct Relay {
    world: World,
    attic: Server,
    kitchen: Option<Actor>,
    far: bool,
    machines: BTreeMap<String, Vec<Actor>>,
    sessions: u64,
}

impl Relay {
    /// A fresh one; who listens does so at the attic.
    pub fn near(_ends: bool) -> Box<dyn Engine> {
        Box::new(Self::start(false))
    }

    /// A fresh one; who listens does so at the kitchen.
    pub fn far(_ends: bool) -> Box<dyn Engine> {
        Box::new(Self::start(true))
    }

    fn start(far: bool) -> Self {
        let world = World::new();
        let attic = world.server("attic").start();
        let mut relay = Self { world, attic, kitchen: None, far, machines: BTreeMap::new(), sessions: 0 };
        if far {
            relay.kitchen();
        }
        relay
    }

    /// The door of the attic.
    fn door(&self) -> PathBuf {
        self.attic.place().path("bus.sock")
    }

    /// The kitchen, which comes when it is first needed.
    fn kitchen(&mut self) -> &mut Actor {
        self.kitchen.get_or_insert_with(|| self.world.client("kitchen").of(&self.attic).start())
    }

    fn door_of(&mut self, node: &str) -> PathBuf {
        if node == "attic" { self.door() } else { self.kitchen().place().path("bus.sock") }
    }

    fn end(&mut self, signal: Signal) {
        if let Some(kitchen) = &mut self.kitchen {
            kitchen.stop(signal);
        }
        self.attic.stop(signal);
        self.attic.start_again();
        if let Some(kitchen) = &mut self.kitchen {
            kitchen.start_again();
        }
    }
}

impl Engine for Relay {
    fn world(&self) -> &World {
        &self.world
    }

    fn speaker(&mut self, node: &str) -> Box<dyn Session> {
        Box::new(Program::at(self.door_of(node)))
    }

    fn hearers_node(&self) -> &'static str {
        if self.far { "kitchen" } else { "attic" }
    }

    fn hearer(&mut self, name: Option<&str>) -> Box<dyn Session> {
        self.sessions += 1;
        let (door, server) = (self.door_of(self.hearers_node()), self.far.then(|| self.door()));
        let program = Program::at(door).named(name);
        Box::new(match server {
            Some(server) => program.far_from(server, self.sessions),
            None => program,
        })
    }

    fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    fn restart(&mut self) {
        self.end(Signal::SIGTERM);
    }

    fn machine_comes(&mut self, name: &str) {
        match self.machines.get_mut(name).and_then(|links| links.last_mut()) {
            Some(machine) => machine.start_again(),
            None => {
                let machine = self.world.client(name).of(&self.attic).start();
                self.machines.insert(name.into(), vec![machine]);
            }
        }
    }

    fn machine_dies(&mut self, name: &str) {
        for machine in self.machines.get_mut(name).into_iter().flatten() {
            machine.stop(Signal::SIGKILL);
        }
    }

    fn machine_leaves(&mut self, name: &str) {
        for machine in self.machines.get_mut(name).into_iter().flatten() {
            machine.stop(Signal::SIGTERM);
        }
    }

    fn machine_comes_over_a_new_link(&mut self, name: &str) {
        let links = self.machines.get_mut(name).expect("it is here");
        let old = links.last_mut().expect("it is here");
        old.signal(Signal::SIGSTOP);
        let identity = old.place().path("state/identity");
        let again = self.world.client(&format!("{name}-again")).variable("NAME", name).of(&self.attic);
        let state = again.place().path("state");
        fs::create_dir_all(&state).expect("the scratch directory can be written");
        fs::copy(identity, state.join("identity")).expect("every client has an identity");
        let again = again.start();
        again.until_log("server up");
        links.push(again);
    }
}
