//! 24 accelerated hours of a server that comes and goes: 144 times, once for every ten minutes of a day, in turn by a
//! planned shutdown, a restart and SIGKILL, with 100 real clients that run a hook each time. Nothing may grow: no
//! descriptors, no processes, no zombies, no memory.
//!
//! The first quarter of the day is compared with the last. Exit code 1 if anything grew.

#[path = "../bench/ground/mod.rs"]
#[allow(dead_code, reason = "two programs share it, and neither needs all of it")]
mod ground;

use clap::Parser;
use ground::agents::{self, Server};
use ground::cleanup::Scratch;
use ground::marks::Marks;
use ground::network::Network;
use ground::numbers::{anonymous, children, descriptors, is_zombie, pss};
use ground::started::Started;
use ground::table::Table;
use ground::wait;
use nix::sys::signal::Signal;
use protocol::control::{Reply, Request};
use protocol::{codec, frame};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The network is our own, so the port is free.
const ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 5555);
const GROUP: (&str, &str) = ("ANNOUNCE", "239.255.55.55:5555");
/// How long all clients together may take for one step.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long links may take to be closed after a flap.
const SETTLING: Duration = Duration::from_secs(2);
/// Two flaps of each kind before anything counts: buffers and tables reach their size.
const WARM_UP: usize = 6;
/// Without this glibc keeps freed pieces of each size aside, a few more for hundreds of flaps, and hides any leak in that.
const PLAIN_HEAP: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");

/// Lets a server flap and looks whether anything grows.
#[derive(Debug, Parser)]
struct Options {
    /// How often the server goes and comes back
    #[arg(long, default_value_t = 144)]
    cycles: usize,
    /// How many clients follow it
    #[arg(long, default_value_t = 100)]
    clients: usize,
    /// 8 cycles and 20 clients
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (cycles, clients) = if options.quick { (8, 20) } else { (options.cycles.max(4), options.clients.max(1)) };
    match run(cycles, clients) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("flapping: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing grew.
fn run(cycles: usize, clients: usize) -> io::Result<bool> {
    let began = Instant::now();
    let scratch = Scratch::open("pistop-flapping")?;
    let mut house = House::open(scratch.folder("house")?, clients)?;
    let mut samples = Vec::new();
    for cycle in 0..WARM_UP + cycles {
        house.flap(Flap::of(cycle), Flap::of(cycle + 1))?;
        let sample = house.sample()?;
        if cycle >= WARM_UP {
            samples.push(sample);
        }
    }
    println!("{cycles} times down and up again, {clients} clients, {:.0} s", began.elapsed().as_secs_f64());
    Ok(conclude(&samples))
}

/// How the server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flap {
    Shutdown,
    Restart,
    Kill,
}

impl Flap {
    fn of(cycle: usize) -> Self {
        [Flap::Shutdown, Flap::Restart, Flap::Kill][cycle % 3]
    }

    /// What SIGTERM means to a server that is to end in this way.
    fn on_term(self) -> &'static str {
        if self == Flap::Restart { "restart" } else { "shutdown" }
    }
}

/// The server, its clients, and the ground that they share.
struct House {
    network: Network,
    folder: PathBuf,
    marks: Marks,
    server: Server,
    clients: Vec<Started>,
    /// The fewest descriptors that all clients together have had open.
    fewest: u64,
}

impl House {
    /// With a server that will end in the first way.
    fn open(folder: PathBuf, count: usize) -> io::Result<Self> {
        let network = Network::new()?;
        let marks = Marks::open(&folder)?;
        let server = start_server(&network, &folder, Flap::of(0))?;
        let mut clients = Vec::new();
        for number in 0..count {
            let (name, hooks) = (format!("client{number}"), marks.hooks());
            let start = || agents::client(&folder, &name, ADDRESS.into(), hooks, &[GROUP, PLAIN_HEAP]);
            clients.push(network.inside(start)?);
        }
        marks.gather("server-up", "client", count, PATIENCE)?;
        Ok(Self { network, folder, marks, server, clients, fewest: u64::MAX })
    }

    /// Down in one way, and up again, with every client, for the next.
    fn flap(&mut self, flap: Flap, next: Flap) -> io::Result<()> {
        match flap {
            Flap::Kill => self.server.process.kill()?,
            Flap::Shutdown | Flap::Restart => self.server.process.signal(Signal::SIGTERM)?,
        }
        match flap {
            Flap::Kill => self.hooks_ran("server-lost")?,
            Flap::Shutdown => self.hooks_ran("server-stopping")?,
            Flap::Restart => {}
        }
        self.server.process.ended(PATIENCE)?;
        self.server = start_server(&self.network, &self.folder, next)?;
        if flap != Flap::Restart {
            self.hooks_ran("server-up")?;
        }
        self.all_here()
    }

    fn hooks_ran(&self, event: &str) -> io::Result<()> {
        self.marks.gather(event, "client", self.clients.len(), PATIENCE).map(drop)
    }

    /// Waits until the server knows every client and no hook runs any more.
    fn all_here(&self) -> io::Result<()> {
        wait::until("every client back at the server", PATIENCE, || {
            Ok((new_clients(&self.server.control)? == self.clients.len()).then_some(()))
        })?;
        wait::until("the end of every hook", PATIENCE, || {
            let working = self.descendants()?.into_iter().filter(|&pid| !is_zombie(pid)).count();
            Ok((working == self.own().count()).then_some(()))
        })
    }

    /// What we started ourselves.
    fn own(&self) -> impl Iterator<Item = i32> {
        self.clients.iter().chain([&self.server.process]).map(Started::pid)
    }

    /// Clients, server, and everything that they started.
    fn descendants(&self) -> io::Result<Vec<i32>> {
        let (mut found, mut unread) = (Vec::new(), children(std::process::id() as i32)?);
        while let Some(pid) = unread.pop() {
            found.push(pid);
            unread.extend(children(pid).unwrap_or_default());
        }
        Ok(found)
    }

    /// Descriptors of all clients, once as few are open as ever before: a link that is being closed is no leak. A leak
    /// does not go away while we wait.
    fn settled_descriptors(&mut self) -> io::Result<u64> {
        let (clients, before, mut open) = (&self.clients, self.fewest, u64::MAX);
        let settled = wait::until("links being closed", SETTLING, || {
            open = open.min(clients.iter().map(|client| descriptors(client.pid())).sum::<io::Result<u64>>()?);
            Ok((open <= before).then_some(()))
        });
        match settled {
            Err(why) if why.kind() != io::ErrorKind::TimedOut => return Err(why),
            _ => self.fewest = before.min(open),
        }
        Ok(open)
    }

    fn sample(&mut self) -> io::Result<Sample> {
        let open = self.settled_descriptors()?;
        let descendants = self.descendants()?;
        let clients = || self.clients.iter().map(Started::pid);
        let server = self.server.process.pid();
        Ok(Sample {
            processes: descendants.len() as u64,
            zombies: descendants.into_iter().filter(|&pid| is_zombie(pid)).count() as u64,
            descriptors: open,
            memory: clients().map(anonymous).sum::<io::Result<u64>>()?,
            pss: clients().map(pss).sum::<io::Result<u64>>()?,
            server_descriptors: descriptors(server)?,
            server_memory: anonymous(server)?,
            server_pss: pss(server)?,
        })
    }
}

fn start_server(network: &Network, folder: &Path, flap: Flap) -> io::Result<Server> {
    let listen = SocketAddr::from(ADDRESS).to_string();
    network.inside(|| Server::start(folder, &listen, &[GROUP, PLAIN_HEAP, ("ON_TERM", flap.on_term())]))
}

/// How many new clients the server knows.
fn new_clients(control: &Path) -> io::Result<usize> {
    let mut stream = UnixStream::connect(control)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&frame::encode(&Request::Status))?;
    let mut count = 0;
    loop {
        match reply(&mut stream)? {
            Reply::Peers(peers) => count += peers.iter().filter(|peer| peer.kind == "new").count(),
            Reply::Done { .. } => return Ok(count),
            _ => {}
        }
    }
}

fn reply(stream: &mut UnixStream) -> io::Result<Reply> {
    let mut header = [0; frame::HEADER];
    stream.read_exact(&mut header)?;
    frame::take_body(&header).map_err(|bad| io::Error::other(bad.to_string()))?;
    let mut body = vec![0; u32::from_be_bytes(header) as usize];
    stream.read_exact(&mut body)?;
    codec::decode(&body).map_err(|bad| io::Error::other(bad.0))
}

/// What there is while the server is up and no hook runs; memory in KiB.
struct Sample {
    processes: u64,
    zombies: u64,
    descriptors: u64,
    memory: u64,
    pss: u64,
    server_descriptors: u64,
    server_memory: u64,
    server_pss: u64,
}

/// What is looked at: its name, how to read it, and if it is judged, what the last quarter may reach by the first one.
type Measure = (&'static str, fn(&Sample) -> u64, Option<fn(u64) -> u64>);

fn no_more(first: u64) -> u64 {
    first
}

/// A page here and there, in KiB.
fn a_little_more(first: u64) -> u64 {
    first + first * 3 / 100 + 64
}

/// PSS as a whole is not judged: its pages from files are shared with whoever else runs on this machine.
const MEASURES: [Measure; 8] = [
    ("processes", |sample| sample.processes, Some(no_more)),
    ("zombies", |sample| sample.zombies, Some(no_more)),
    ("descriptors of all clients", |sample| sample.descriptors, Some(no_more)),
    ("heap and stacks of all clients, KiB", |sample| sample.memory, Some(a_little_more)),
    ("PSS of all clients, KiB", |sample| sample.pss, None),
    ("descriptors of the server", |sample| sample.server_descriptors, Some(no_more)),
    ("heap and stacks of the server, KiB", |sample| sample.server_memory, Some(a_little_more)),
    ("PSS of the server, KiB", |sample| sample.server_pss, None),
];

/// Prints the lowest of each quarter, which no passing socket or hook raises and every leak does; whether nothing grew.
fn conclude(samples: &[Sample]) -> bool {
    let mut table = Table::new(&["lowest of a quarter", "first", "second", "third", "last", "growth"]);
    let mut steady = true;
    for (name, read, most) in MEASURES {
        let lowest = |quarter: &[Sample]| quarter.iter().map(read).min().unwrap_or(0);
        let [first, second, third, last] = quarters(samples).map(lowest);
        let grew = most.map(|most| last > most(first));
        steady &= grew != Some(true);
        let verdict = grew.map_or("not judged", |grew| if grew { "YES" } else { "none" });
        table.row([
            name.into(),
            first.to_string(),
            second.to_string(),
            third.to_string(),
            last.to_string(),
            verdict.into(),
        ]);
    }
    table.print();
    steady
}

fn quarters(samples: &[Sample]) -> [&[Sample]; 4] {
    let bound = |quarter: usize| samples.len() * quarter / 4;
    [0, 1, 2, 3].map(|quarter| &samples[bound(quarter)..bound(quarter + 1)])
}
