//! How long until the last of N subscribers on the network has one event, in a house at rest.

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
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// So long everybody is here before the first event.
const SETTLED: Duration = Duration::from_secs(2);

/// So many times each form has its turn, with a server and subscribers of its own: what else the machine does falls on all
/// of them alike.
const TURNS: usize = 3;

/// Ours, and mosquitto with each quality of service.
const FORMS: [(&str, Option<u8>); 3] =
    [("fserver, acknowledged", None), ("mosquitto, QoS 0", Some(0)), ("mosquitto, QoS 1", Some(1))];

/// Measures ours and mosquitto's two ways.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    println!("\nOne event of {SIZE} bytes to N subscribers on the network: from publishing to the last of them");
    let mut table = Table::new(&["form", "subscribers", "rounds", "median", "worst"]);
    for &(clients, rounds) in plan.followers {
        let mut times = FORMS.map(|_| Vec::new());
        for _ in 0..TURNS {
            for ((form, qos), times) in FORMS.iter().zip(&mut times) {
                match turn(*qos, clients, rounds, scratch) {
                    Err(why) if why.kind() == io::ErrorKind::NotFound => println!("  not measured: {form}: {why}"),
                    more => times.extend(more?),
                }
            }
        }
        let samples = times.map(Sample::new);
        for ((form, _), sample) in FORMS.iter().zip(&samples) {
            let Some(sample) = sample else { continue };
            let [median, worst] = [sample.median(), sample.worst()].map(milliseconds);
            table.row([(*form).into(), clients.to_string(), sample.count().to_string(), median, worst]);
        }
        if let [Some(ours), _, Some(theirs)] = &samples {
            // The same promise: each subscriber acknowledges.
            let what = format!("one event to {clients} subscribers, against mosquitto's QoS 1");
            report.at_most(what, ours.median(), theirs.median());
        }
    }
    table.print();
    Ok(())
}

fn turn(qos: Option<u8>, clients: usize, rounds: usize, scratch: &Scratch) -> io::Result<Vec<Duration>> {
    match qos {
        None => ours(clients, rounds, scratch),
        Some(qos) => broker(clients, rounds, qos, scratch),
    }
}

fn ours(clients: usize, rounds: usize, scratch: &Scratch) -> io::Result<Vec<Duration>> {
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

fn broker(clients: usize, rounds: usize, qos: u8, scratch: &Scratch) -> io::Result<Vec<Duration>> {
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
) -> io::Result<Vec<Duration>> {
    let mut load = Load::new()?;
    load.connect(clients, dialect, to, |tally| Ok(tally.ready))?;
    load.run(SETTLED, |_| false)?;
    let mut times = Vec::new();
    for _ in 0..rounds {
        load.forget_told();
        times.push(last_told(&mut load, clients, &mut trigger)?);
    }
    Ok(times)
}
