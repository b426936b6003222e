//! A server, a satellite, a broker behind the server, and programs at all of them. Anybody can die.

use super::account::Account;
use super::diary::Diary;
use super::points::Victim;
use crate::World;
use crate::world::actor::Actor;
use crate::world::door::Door;
use crate::world::mosquitto::Mosquitto;
use crate::world::process::Process;
use crate::world::server::Server;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long everything may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(90);
/// Nothing waits anywhere for so long: that is all that will come.
const REST: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// What mosquitto needs to know for a name to find what waits for it.
const BROKER: &str = "persistence true\nmax_queued_messages 1000000\nset_tcp_nodelay true\nlog_type notice";

/// One program that can die.
pub struct Program {
    world: World,
    words: Vec<String>,
    /// What it has written.
    pub diary: Diary,
    process: Process,
}

impl Program {
    fn start(world: &World, name: &str, kind: &str, words: &[(&str, String)]) -> Self {
        let diary = Diary::at(&world.path(&format!("diaries/{name}")));
        let own = [("diary", diary.path().display().to_string()), ("name", name.to_owned())];
        let flags = own.iter().chain(words).flat_map(|(flag, value)| [format!("--{flag}"), value.clone()]);
        let words: Vec<String> = std::iter::once(kind.to_owned()).chain(flags).collect();
        let process = Self::process(world, &words, &diary);
        Self { world: world.clone(), words, diary, process }
    }

    fn process(world: &World, words: &[String], diary: &Diary) -> Process {
        let mut command = world.command(std::env::current_exe().expect("a program knows its own path"));
        Process::start(world, command.args(words), &diary.path().with_extension("program"))
    }

    /// It dies.
    pub fn dies(&mut self) {
        self.process.stop(Signal::SIGKILL);
    }

    /// It lives again.
    pub fn lives(&mut self) {
        self.process = Self::process(&self.world, &self.words, &self.diary);
    }

    /// How it is called.
    pub fn name(&self) -> String {
        self.diary.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Its process, for what else can happen to one.
    pub fn process_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// All of it.
pub struct House {
    /// The stage.
    pub world: World,
    /// The broker, if there is one.
    pub broker: Option<Mosquitto>,
    /// The server.
    pub attic: Server,
    /// The satellite.
    pub kitchen: Actor,
    /// Those who speak.
    pub speakers: Vec<Program>,
    /// Those who listen.
    pub ears: Vec<Program>,
}

impl House {
    /// With a broker, or without; those who speak do so every so many microseconds.
    pub fn new(broker: bool, pause: u64) -> Self {
        let world = World::new();
        let broker = broker.then(|| Mosquitto::start(&world, "mosquitto", BROKER));
        let mut attic = world.server("attic");
        if let Some(broker) = &broker {
            attic = attic.variable("MQTT", &format!("mqtt://{}", broker.address()));
        }
        Self::around(world.clone(), broker, attic.start(), pause)
    }

    /// Around a server that runs.
    pub fn around(world: World, broker: Option<Mosquitto>, attic: Server, pause: u64) -> Self {
        let kitchen = world.client("kitchen").of(&attic).start();
        let (at_attic, at_kitchen) = (door(attic.place()), door(kitchen.place()));
        let mut ears = vec![listener(&world, "ear-attic", &at_attic), listener(&world, "ear-kitchen", &at_kitchen)];
        if let Some(broker) = &broker {
            let words = [("broker", broker.address().to_string())];
            ears.push(Program::start(&world, "ear-broker", "listen-mqtt", &words));
        }
        let mut house = Self { world, broker, attic, kitchen, speakers: Vec::new(), ears };
        house.until_all_listen();
        for (name, door) in [("one-attic", &at_attic), ("two-attic", &at_attic), ("one-kitchen", &at_kitchen)] {
            house.speakers.push(house.speaker(name, door, pause, 0));
        }
        house
    }

    /// One more who speaks, so often.
    pub fn speaker(&self, name: &str, door: &Path, pause: u64, count: u64) -> Program {
        let words = [("door", door.display().to_string()), ("pause", pause.to_string()), ("count", count.to_string())];
        Program::start(&self.world, name, "speak", &words)
    }

    /// One more who listens.
    pub fn ear(&self, name: &str, door: &Path) -> Program {
        listener(&self.world, name, door)
    }

    /// Says things at the server until everybody has heard one of them.
    fn until_all_listen(&self) {
        let at_attic = door(self.attic.place());
        let asked = |place: &Path, consumer: &str| self.waiting(place).is_some_and(|all| all.contains_key(consumer));
        self.world.until("somebody listens at the server", || asked(&at_attic, "ear-attic"));
        if self.broker.is_some() {
            self.world.until("the uplink has a cursor", || asked(&at_attic, "mqtt"));
        }
        let mut probe = self.speaker("probe", &at_attic, 20_000, 0);
        let hears = |ear: &Program| ear.diary.heard().iter().any(|(who, _)| who == "probe");
        self.world.until("everybody hears what is said at the server", || self.ears.iter().all(hears));
        probe.dies();
    }

    /// What waits at an agent, by whom it waits for, without `sub:`; nothing if it does not answer.
    fn waiting(&self, door: &Path) -> Option<BTreeMap<String, u64>> {
        let waiting = Door::connect(door).and_then(|mut door| door.queue()).ok()?;
        let name = |consumer: &str| consumer.strip_prefix("sub:").unwrap_or(consumer).to_owned();
        Some(waiting.iter().map(|waiting| (name(&waiting.consumer), waiting.events + waiting.open)).collect())
    }

    /// Somebody dies, is dead for a while, and lives again; what happens meanwhile is up to the caller.
    pub fn kill(&mut self, victim: Victim, away: Duration, meanwhile: impl FnOnce(&House)) {
        let (server, client) = match victim {
            Victim::Both => (true, true),
            other => (other == Victim::Server, other == Victim::Client),
        };
        if server {
            self.attic.stop(Signal::SIGKILL);
        }
        if client {
            self.kitchen.stop(Signal::SIGKILL);
        }
        if let Some(program) = self.program(victim) {
            program.dies();
        }
        meanwhile(self);
        // A dead process stays dead for a time of chance; nothing is waited for.
        sleep(away);
        if server {
            self.attic.start_again();
        }
        if client {
            self.kitchen.start_again();
        }
        if let Some(program) = self.program(victim) {
            program.lives();
        }
    }

    fn program(&mut self, victim: Victim) -> Option<&mut Program> {
        match victim {
            Victim::Speaker(number) => self.speakers.get_mut(number),
            Victim::Ear(number) => self.ears.get_mut(number),
            Victim::Server | Victim::Client | Victim::Both => None,
        }
    }

    /// Those who speak die, everything comes to rest, and they live again. What is known then.
    pub fn rest(&mut self) -> Account {
        self.speakers.iter_mut().for_each(Program::dies);
        let account = self.account_at_rest();
        self.speakers.iter_mut().for_each(Program::lives);
        account
    }

    /// Those who speak die for good, and everything comes to rest.
    pub fn end(&mut self) -> Account {
        self.speakers.iter_mut().for_each(Program::dies);
        self.account_at_rest()
    }

    /// Waits until everything was heard, or nothing waits for anybody any more.
    pub fn account_at_rest(&self) -> Account {
        let (start, mut resting) = (Instant::now(), Instant::now());
        loop {
            let account = self.account();
            if !self.is_at_rest() {
                resting = Instant::now();
            }
            if account.lost == 0 || resting.elapsed() > REST || start.elapsed() > PATIENCE {
                return account;
            }
            sleep(LOOK);
        }
    }

    /// Nothing waits for anybody.
    fn is_at_rest(&self) -> bool {
        let counts = |name: &str| name.starts_with("link:") || name.starts_with("ear-") || name == "mqtt";
        let rests = |place: &crate::world::place::Place| {
            let waiting = self.waiting(&door(place));
            waiting.is_some_and(|all| all.iter().all(|(name, count)| !counts(name) || *count == 0))
        };
        rests(self.attic.place()) && rests(self.kitchen.place())
    }

    /// The sums over all who listen.
    pub fn account(&self) -> Account {
        let mut sum = Account::default();
        self.ears.iter().for_each(|ear| sum.add(self.account_of(ear)));
        sum
    }

    /// Of one who listens.
    pub fn account_of(&self, ear: &Program) -> Account {
        let speakers = self.speakers.iter().map(|speaker| (speaker.name(), speaker.diary.clone()));
        Account::of(&speakers.collect(), &ear.diary)
    }

    /// How many were refused.
    pub fn refused(&self) -> usize {
        self.speakers.iter().map(|speaker| speaker.diary.refused()).sum()
    }
}

fn listener(world: &World, name: &str, door: &Path) -> Program {
    Program::start(world, name, "listen", &[("door", door.display().to_string())])
}

/// The door of a machine.
pub fn door(place: &crate::world::place::Place) -> PathBuf {
    place.path("bus.sock")
}
