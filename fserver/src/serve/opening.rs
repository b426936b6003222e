//! What is opened before the server serves, all that can fail first, and what the loop hears of.

use super::guard::{self, LOOK_EVERY, List};
use super::{Ears, Loop};
use crate::announce::{self, Probe};
use crate::config::Config;
use crate::gate::Gate;
use crate::listen::{self, Listeners};
use crate::local::{self, Local};
use crate::logind::{self, Said};
use crate::machine::{House, Rules};
use crate::peers::{Peers, READ_BUFFER};
use bus::agent::{Agent, Out};
use bus::options::{self, Host};
use bus::secure::SecretKey;
use protocol::{Epoch, HostName};
use runner::clock::Clock;
use runner::exit::Failure;
use runner::signals::Signals;
use runner::state::StateDir;
use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

/// How many events of its tasks may wait for the loop,
const MOST_EVENTS: usize = 4096;
/// and how many probes.
const MOST_PROBES: usize = 1024;

/// A server whose sockets are open and whose settings are checked.
pub struct Server {
    config: Config,
    rules: Rules,
    clock: Clock,
    signals: Signals,
    listeners: Vec<TcpListener>,
    local: local::Socket,
    bus: Option<(Agent, mpsc::UnboundedReceiver<Out>)>,
    key: Result<SecretKey, String>,
    state: StateDir,
}

impl Server {
    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }
}

/// Opens everything that can fail.
pub fn open(config: Config) -> Result<Server, Failure> {
    runner::limits::raise_open_files();
    let signals = Signals::listen().map_err(|why| Failure::Temporary(format!("signals cannot be heard: {why}")))?;
    let state = StateDir::open(&config.state_dir)?;
    let listeners = listeners(&config)?;
    let rules = rules(&config, &state, &listeners)?;
    let local = local::open(&config.control)?;
    let bus = bus(&config, &rules)?;
    let key = guard::key(&config.state_dir);
    Ok(Server { config, rules, clock: Clock::start(), signals, listeners, local, bus, key, state })
}

/// The agent of this machine's event bus. Presence and shutdown do without it.
fn bus(config: &Config, rules: &Rules) -> Result<Option<(Agent, mpsc::UnboundedReceiver<Out>)>, Failure> {
    let (node, program) = (rules.name.clone(), &rules.program);
    let (hooks, hook_timeout) = (config.hooks.clone(), config.hook_timeout);
    let (epoch, state_dir) = (Some(rules.epoch), &*config.state_dir);
    let identity = Some(rules.identity);
    let host = Host { node, program, epoch, state_dir, server: true, identity, hooks, hook_timeout };
    let Some(mut plan) = options::plan(&config.settings, host)? else { return Ok(None) };
    plan.strangers_per_address = u32::try_from(rules.most_per_address).unwrap_or(u32::MAX);
    let started = Agent::start(plan).map_err(|why| tracing::error!("no event bus: {why}"));
    Ok(started.ok())
}

fn rules(config: &Config, state: &StateDir, listeners: &[TcpListener]) -> Result<Rules, Failure> {
    let settings = &config.settings;
    Ok(Rules {
        name: config.name.clone(),
        listening: listeners.iter().filter_map(|l| l.local_addr().ok()).map(|address| address.to_string()).collect(),
        epoch: state.next_epoch()?,
        identity: state.identity()?,
        program: concat!("fserver ", env!("CARGO_PKG_VERSION")).into(),
        most_peers: settings.number("maxdaemons")?,
        most_per_address: settings.number("max-per-address")?,
        lease: settings.seconds("client-lease")?,
        deadline: settings.seconds("shutdown-deadline")?,
        back_within: settings.seconds("back-within")?,
        reboot_within: settings.seconds("reboot-within")?,
        shutdown_from: config.shutdown_from.clone(),
        old_peers: config.old_peers.clone(),
        presence_only_from: config.presence_only_from.clone(),
    })
}

/// Opens all addresses; of those that nobody asked for by name one is enough.
fn listeners(config: &Config) -> Result<Vec<TcpListener>, Failure> {
    let (mut open, mut failed) = (Vec::new(), None);
    for &address in &config.listen {
        match listen::open(address) {
            Ok(listener) => open.push(listener),
            Err(why) if config.listen_anywhere && address.is_ipv6() && !machine_has_ipv6() => failed = Some(why),
            Err(why) => return Err(why),
        }
    }
    if open.is_empty() { Err(failed.expect("an empty list of addresses is refused by the settings")) } else { Ok(open) }
}

fn machine_has_ipv6() -> bool {
    std::path::Path::new("/proc/net/if_inet6").exists()
}

/// The loop, and what it hears of; as long as there is the last of these, nobody else has our state directory.
pub(super) fn begin(server: Server) -> Result<(Loop, Ears, StateDir), Failure> {
    let addresses = server.addresses();
    let Server { config, rules, clock, signals, listeners, local, bus, key, state } = server;
    let (bus, out) = bus.unzip();
    let (events, event) = mpsc::channel(MOST_EVENTS);
    let peers = Peers::new(events).map_err(|why| Failure::Temporary(format!("sockets cannot be watched: {why}")))?;
    let (probes, probe) = mpsc::channel(MOST_PROBES);
    let (hooks_ended, hooks) = mpsc::unbounded_channel();
    let (verdicts, verdict) = mpsc::unbounded_channel();
    let (name, epoch) = (rules.name.clone(), rules.epoch);
    say_who_is_here(&addresses, config.announce, (&name, epoch), &probes);
    let (let_machine_go, machine) = watch_machine(&config, &rules);
    let answering = TaskTracker::new();
    let ears = Ears {
        signals,
        listeners: Listeners::new(listeners),
        event,
        probe,
        local: accept_locally(local, &answering),
        hooks,
        verdict,
        machine,
        out,
        look: looking(),
        answering,
    };
    runner::ready::ready("listening");
    let this = Loop {
        house: House::new(rules, clock.now()),
        peers,
        gate: Gate::new(key, name, epoch),
        list: List::at(&config.authorized_peers),
        buffer: vec![0; READ_BUFFER],
        askers: HashMap::new(),
        arrived: 0,
        kept: Vec::new(),
        ending: false,
        over: false,
        config,
        epoch,
        clock,
        accepting: true,
        hooks_ended,
        verdicts,
        let_machine_go,
        bus,
    };
    Ok((this, ears, state))
}

/// When the list of paired machines is looked at.
fn looking() -> Interval {
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look
}

/// What comes to the control socket.
fn accept_locally(socket: local::Socket, answering: &TaskTracker) -> mpsc::Receiver<Local> {
    let (arrivals, arrival) = mpsc::channel(16);
    tokio::spawn(local::accept(socket, arrivals, answering.clone()));
    arrival
}

/// What logind says of our machine, if that is wanted, and the way to let it go.
fn watch_machine(config: &Config, rules: &Rules) -> (mpsc::Sender<()>, mpsc::Receiver<Said>) {
    let ((say, said), (let_go, lock)) = (mpsc::channel(4), mpsc::channel(4));
    if config.machine_lock {
        tokio::spawn(logind::watch(rules.deadline + config.hook_timeout, say, lock));
    }
    (let_go, said)
}

/// Tells those who ask at these addresses, and those who listen to the group.
fn say_who_is_here(
    addresses: &[SocketAddr],
    group: Option<SocketAddrV4>,
    (name, epoch): (&HostName, Epoch),
    probes: &mpsc::Sender<Probe>,
) {
    for &address in addresses {
        announce::listen(address, probes.clone());
        tracing::info!("listening on {address} as {name}, run {epoch}");
    }
    if let Some(group) = group {
        tokio::spawn(announce::announce(group, name.clone(), epoch));
    }
}
