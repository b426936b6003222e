//! The machines of the house: who they are, where they mount, and what is special about each.

use crate::broker::Broker;
use crate::network::Network;
use crate::watch::{Machine, Watch};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;
use tests::World;
use tests::world::actor::Actor;
use tests::world::client::ClientPlan;
use tests::world::place::Place;
use tests::world::programs;
use tests::world::server::Server;

/// The clients that speak the new dialect.
pub const NEW: [&str; 3] = ["kitchen", "bedroom", "cellar"];
/// The one that speaks the old one.
pub const OLD: &str = "parlour";
/// The server.
pub const SERVER: &str = "attic";

/// Everybody, and the wire between them.
pub struct House {
    /// The scratch directory.
    pub world: World,
    /// The wire.
    pub network: Network,
    /// The time line.
    pub watch: Watch,
    /// The MQTT broker, on a machine that is none of the house.
    pub broker: Broker,
    /// The file server.
    pub server: Server,
    /// Its clients, in the order of [`NEW`].
    pub clients: Vec<Actor>,
    /// The old client, under tcpclient.
    pub old: Actor,
}

impl House {
    /// Builds the house and switches everything on.
    pub fn new() -> Self {
        let (world, watch) = (World::new(), Watch::begin());
        // The hooks that mount and unmount call it by its name.
        symlink(programs::find("fclient"), world.path("bin/fclient")).expect("the scratch directory can be written");
        let mut network = Network::new(&world);
        let address = network.add(SERVER);
        let broker = Broker::start(&world, &mut network);
        let listen = SocketAddr::new(address.into(), 5555).to_string();
        let plan = world
            .server(SERVER)
            .hook("clients-released/10-tell-demo", "")
            .listen(&listen)
            .variable("MQTT", &broker.url());
        let server = words(&network, SERVER, |on| plan.variable("ANNOUNCE", "239.255.55.55:5555").under(on)).start();
        watch.add(Machine { place: server.place().clone(), share: PathBuf::from("/nowhere") }, network.pid(SERVER));
        let mut house = Vec::new();
        for name in NEW {
            network.add(name);
            let plan = special(furnished(world.client(name), &world));
            house.push(words(&network, name, |on| plan.at(server.address()).under(on)).start());
        }
        network.add(OLD);
        let old = old(&world, &network, &server);
        for actor in house.iter().chain([&old]) {
            let (place, share) = (actor.place().clone(), share(actor.place()));
            let pid = network.pid(place.name());
            watch.add(Machine { place, share }, pid);
        }
        Self { world, network, watch, broker, server, clients: house, old }
    }

    /// A client by its name.
    pub fn client(&mut self, name: &str) -> &mut Actor {
        self.clients.iter_mut().find(|client| client.place().name() == name).expect("a client of this house")
    }

    /// Starts a client's program again.
    pub fn start_again(&mut self, name: &str) {
        let client = if name == OLD { &mut self.old } else { self.client(name) };
        client.start_again();
    }

    /// Waits until the listener at the broker has heard this topic; the line.
    pub fn hears(&self, topic: &str) -> Option<String> {
        let end = std::time::Instant::now() + Duration::from_secs(20);
        while std::time::Instant::now() < end {
            if let Some(line) = self.broker.heard(topic) {
                return Some(line);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Waits until this was seen on a machine since then; whether it was, before the patience ended.
    pub fn sees(&self, from: Duration, who: &str, what: &str) -> bool {
        let patience = Duration::from_secs(20);
        let end = std::time::Instant::now() + patience;
        while self.watch.first(from, who, what).is_none() {
            if std::time::Instant::now() > end {
                self.watch.tell("demo", &format!("{who} does not show `{what}` within {} s", patience.as_secs()));
                eprintln!("{}", self.world.logs());
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }
}

fn words<T>(network: &Network, machine: &str, with: impl FnOnce(&[&str]) -> T) -> T {
    let words = network.on(machine);
    with(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The directory that a machine mounts: a tmpfs stands for the server's disk.
fn share(place: &Place) -> PathBuf {
    place.path("share")
}

/// The shipped hooks, a player to stop, and a line in fstab for the share.
fn furnished(plan: ClientPlan, world: &World) -> ClientPlan {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks");
    let share = share(plan.place());
    std::fs::create_dir_all(&share).expect("the scratch directory can be written");
    let fstab = world.path(&format!("{}/fstab", plan.place().name()));
    std::fs::write(&fstab, format!("demo {} tmpfs noauto,size=64k 0 0\n", share.display())).expect("it can");
    let hooks = format!("{}:{}", shipped.display(), plan.place().hooks().display());
    plan.without_hooks()
        .hook("server-up/30-start-player", "")
        .hook("server-stopping/30-stop-player", "")
        .hook("server-lost/30-stop-player", "")
        .hook("motion/50-ring-bell", "event \"the bell rings for $FACT_CAMERA at $PISTOP_NODE\"")
        .variable("HOOKS", &hooks)
        .variable("MDRIVE", &share.display().to_string())
        .variable("LIBMOUNT_FSTAB", &fstab.display().to_string())
        .variable("ANNOUNCE", "239.255.55.55:5555")
}

/// What is special about each.
fn special(plan: ClientPlan) -> ClientPlan {
    match plan.place().name() {
        "kitchen" => plan.variable("POWER_OFF", "1"),
        "bedroom" => plan.hook("server-stopping/60-unmount-attic", "trap '' TERM; while :; do sleep 1; done"),
        _ => plan.hook("server-stopping/40-rest-a-while", "sleep 1.5; event 'server-stopping/40-rest-a-while ends'"),
    }
}

fn old(world: &World, network: &Network, server: &Server) -> Actor {
    let plan = world.old_client(OLD).of(server);
    plan_old(network, plan).start()
}

fn plan_old(network: &Network, plan: tests::world::old::OldClientPlan) -> tests::world::old::OldClientPlan {
    let script = "share=$(realpath -m \"$HOME/../share\"); mkdir -p \"$share\"
        case $1 in
        start) mount -t tmpfs demo \"$share\" ;;
        stop) umount -c \"$share\" ;;
        esac";
    words(network, OLD, |on| plan.pistopstart(script).under(on))
}
