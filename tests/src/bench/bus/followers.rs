//! How long until the last of N subscribers on the network has one event, in a house at rest.
//!
//! Each subscriber is a machine of its own, and here they are all one thread. What counts is when the kernel has the event
//! at the subscriber's socket; when that thread came to read it is said beside it, and says more of the thread than of the
//! server: it takes as long for the answers of thousands as a server takes to tell them.

use super::{SIZE, body};
use crate::bench::Plan;
use crate::bench::fan_out::last_told;
use crate::bench::ground::agents::Server;
use crate::bench::ground::cleanup::Scratch;
use crate::bench::ground::table::Table;
use crate::bench::load::Load;
use crate::bench::mqtt;
use crate::bench::report::{Report, Sample, milliseconds};
use crate::bench::rivals::{Mosquitto, Setting};
use crate::bench::talk::{Dialect, EVENT};
use protocol::door::Ask;
use protocol::event::{Body, Class, Event, EventId, Keep};
use protocol::{Epoch, HostName, frame};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

/// So long everybody is here before the first event.
const SETTLED: Duration = Duration::from_secs(2);

/// Ours, and mosquitto with each quality of service.
const FORMS: [(&str, Option<u8>); 3] =
    [("fserver, acknowledged", None), ("mosquitto, QoS 0", Some(0)), ("mosquitto, QoS 1", Some(1))];

/// One event for all of them.
struct Round {
    /// The last of them has it.
    arrived: Duration,
    /// The generator has read it for all of them.
    read: Duration,
}

struct Samples {
    arrived: Sample,
    read: Sample,
}

impl Samples {
    fn new(rounds: Vec<Round>) -> Option<Samples> {
        let (arrived, read) = rounds.into_iter().map(|round| (round.arrived, round.read)).unzip();
        Some(Samples { arrived: Sample::new(arrived)?, read: Sample::new(read)? })
    }
}

/// Measures ours and mosquitto's two ways. They take turns, each with a server and subscribers of its own: what else the
/// machine does falls on all of them alike.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    println!("\nOne event of {SIZE} bytes to N subscribers on the network: from publishing to the last of them");
    let mut table = Table::new(&["form", "subscribers", "rounds", "median", "worst", "read, median"]);
    let mut missing = BTreeSet::new();
    for &(clients, turns, rounds) in plan.followers {
        let mut times = FORMS.map(|_| Vec::new());
        for _ in 0..turns {
            for (&(form, qos), times) in FORMS.iter().zip(&mut times) {
                match turn(qos, clients, rounds, scratch) {
                    Err(why) if qos.is_some() && why.kind() == io::ErrorKind::NotFound => {
                        missing.insert(format!("  not measured: {form}: {why}"));
                    }
                    more => times.extend(more?),
                }
            }
        }
        let samples = times.map(Samples::new);
        for ((form, _), samples) in FORMS.iter().zip(&samples) {
            let Some(Samples { arrived, read }) = samples else { continue };
            let [median, worst, read] = [arrived.median(), arrived.worst(), read.median()].map(milliseconds);
            table.row([(*form).into(), clients.to_string(), arrived.count().to_string(), median, worst, read]);
        }
        if let [Some(ours), _, Some(theirs)] = &samples {
            // The same promise: each subscriber acknowledges.
            let what = format!("one event to {clients} subscribers, against mosquitto's QoS 1");
            report.at_most(what, ours.arrived.median(), theirs.arrived.median());
        }
    }
    missing.iter().for_each(|what| println!("{what}"));
    table.print();
    Ok(())
}

fn turn(qos: Option<u8>, clients: usize, rounds: usize, scratch: &Scratch) -> io::Result<Vec<Round>> {
    match qos {
        None => ours(clients, rounds, scratch),
        Some(qos) => broker(clients, rounds, qos, scratch),
    }
}

fn ours(clients: usize, rounds: usize, scratch: &Scratch) -> io::Result<Vec<Round>> {
    let folder = scratch.fresh("followers")?;
    let server = Server::start(&folder, "127.0.0.1:0", &[])?;
    let mut door = UnixStream::connect(folder.join("bus"))?;
    let mut say = |ask: &Ask| door.write_all(&frame::encode(ask));
    say(&Ask::Hello("bench".into()))?;
    let (node, epoch, mut sequence) = (HostName::parse("server").map_err(io::Error::other)?, Epoch(1), 0);
    rounds_of((clients, rounds), Dialect::Bus, server.address, || {
        sequence += 1;
        let id = EventId { node: node.clone(), epoch, sequence };
        let class = Class { keep: Keep::DropOldest, durable: false };
        let body = Body(body(Instant::now()));
        say(&Ask::Publish(vec![Event { id, class, topic: EVENT.into(), ttl: None, body }]))
    })
}

fn broker(clients: usize, rounds: usize, qos: u8, scratch: &Scratch) -> io::Result<Vec<Round>> {
    let server = Mosquitto::start(&scratch.folder("mosquitto")?, Setting::Quick)?;
    let mut publisher = server.publisher()?;
    let mut number = 0;
    rounds_of((clients, rounds), Dialect::Follower(qos), server.address, || {
        number += 1;
        let body = body(Instant::now());
        let packet = if qos == 0 { mqtt::publish(EVENT, &body) } else { mqtt::publish_acked(EVENT, number, &body) };
        publisher.say(&packet)
    })
}

fn rounds_of(
    (clients, rounds): (usize, usize),
    dialect: Dialect,
    to: SocketAddr,
    mut trigger: impl FnMut() -> io::Result<()> + Send,
) -> io::Result<Vec<Round>> {
    let mut load = Load::stamped()?;
    load.connect(clients, dialect, to, |tally| Ok(tally.ready))?;
    load.run(SETTLED, |_| false)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        load.forget_told();
        let mut begin = SystemTime::now();
        let read = last_told(&mut load, clients, || {
            begin = SystemTime::now();
            trigger()
        })?;
        let arrived = load.tally().last_arrived.map(|last| last.duration_since(begin));
        let arrived = arrived.and_then(Result::ok).ok_or_else(|| io::Error::other("the clock was set"))?;
        times.push(Round { arrived, read });
    }
    Ok(times)
}
