//! How long until the last of N clients knows that the server goes: from the moment before the trigger to the moment
//! at which the load generator has read the last client's word. Every round has a server and clients of its own.

use super::Plan;
use super::ground::agents::Server;
use super::ground::cleanup::Scratch;
use super::ground::table::Table;
use super::ground::wait;
use super::load::Load;
use super::mqtt;
use super::report::{Report, Sample, milliseconds};
use super::rivals::{self, Mosquitto, Setting, TcpServer};
use super::talk::{self, Dialect};
use nix::sys::signal::Signal;
use protocol::control::{Request, ShutdownRequest};
use protocol::frame;
use protocol::shutdown::Afterwards;
use std::collections::HashMap;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long the last client may take before the round counts as broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// A house at rest: so long nothing happens before the trigger, until no acknowledgement or log line of the connecting
/// is under way.
const REST: Duration = Duration::from_millis(200);
/// What was promised for fserver on two cores.
const PROMISES: [(usize, Duration); 2] = [(1000, Duration::from_millis(15)), (5000, Duration::from_millis(60))];
/// How much faster than a process a client, at 1,000 clients.
const FACTOR: f64 = 5.0;

/// Who tells whom, and how it is made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Terminated(Dialect),
    Asked(Dialect),
    ProcessEach,
    Broker,
}

impl Form {
    const ALL: [Form; 6] = [
        Form::Terminated(Dialect::Old),
        Form::Asked(Dialect::Old),
        Form::Terminated(Dialect::New),
        Form::Asked(Dialect::New),
        Form::ProcessEach,
        Form::Broker,
    ];

    fn name(self) -> &'static str {
        match self {
            Form::Terminated(Dialect::New) => "fserver, new clients, SIGTERM",
            Form::Terminated(_) => "fserver, old clients, SIGTERM",
            Form::Asked(Dialect::New) => "fserver, new clients, control socket",
            Form::Asked(_) => "fserver, old clients, control socket",
            Form::ProcessEach => "tcpserver, a process a client",
            Form::Broker => "mosquitto, QoS 0",
        }
    }

    fn is_ours(self) -> bool {
        matches!(self, Form::Terminated(_) | Form::Asked(_))
    }

    fn round(self, clients: usize, scratch: &Scratch) -> io::Result<Duration> {
        match self {
            Form::Terminated(dialect) => terminated(clients, dialect, scratch),
            Form::Asked(dialect) => asked(clients, dialect, scratch),
            Form::ProcessEach => process_each(clients),
            Form::Broker => broker(clients, scratch),
        }
    }
}

/// Measures all forms at all sizes.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    println!("\nFan-out of `shutdown`: from the trigger to the last of N clients");
    let mut table = Table::new(&["form", "clients", "rounds", "median", "worst", "against a process each"]);
    for &(clients, rounds) in plan.fan_out {
        let mut medians = HashMap::new();
        let mut rows = Vec::new();
        for form in Form::ALL {
            match series(form, clients, rounds, scratch)? {
                Ok(sample) => {
                    medians.insert(form, sample.median());
                    rows.push((form, sample));
                }
                Err(why) => println!("  not measured: {}, {clients} clients: {why}", form.name()),
            }
        }
        for (form, sample) in rows {
            table.row([
                form.name().into(),
                clients.to_string(),
                sample.count().to_string(),
                milliseconds(sample.median()),
                milliseconds(sample.worst()),
                ratio(&medians, form),
            ]);
        }
        judge(clients, &medians, report);
    }
    table.print();
    Ok(())
}

/// Some rounds of one form; the inner error says why it cannot be had on this machine.
fn series(form: Form, clients: usize, rounds: usize, scratch: &Scratch) -> io::Result<Result<Sample, String>> {
    if form == Form::ProcessEach
        && let Some(why) = rivals::too_many(clients)?
    {
        return Ok(Err(why));
    }
    let mut times = Vec::new();
    for _ in 0..rounds {
        match form.round(clients, scratch) {
            Err(why) if why.kind() == io::ErrorKind::NotFound && !form.is_ours() => return Ok(Err(why.to_string())),
            time => times.push(time?),
        }
    }
    Ok(Sample::new(times).ok_or_else(|| "no rounds".into()))
}

fn terminated(clients: usize, dialect: Dialect, scratch: &Scratch) -> io::Result<Duration> {
    let server = Server::start(&scratch.folder("fan-out")?, "127.0.0.1:0", &[])?;
    let mut load = Load::new()?;
    load.connect(clients, dialect, server.address, |tally| Ok(tally.ready))?;
    last_told(&mut load, clients, || server.process.signal(Signal::SIGTERM))
}

fn asked(clients: usize, dialect: Dialect, scratch: &Scratch) -> io::Result<Duration> {
    let server = Server::start(&scratch.folder("fan-out")?, "127.0.0.1:0", &[])?;
    let mut load = Load::new()?;
    load.connect(clients, dialect, server.address, |tally| Ok(tally.ready))?;
    let mut control = UnixStream::connect(&server.control)?;
    let request = ShutdownRequest {
        deadline: None,
        reason: "measured".into(),
        restart: None,
        dry_run: false,
        drill: false,
        then: Afterwards::Stays,
    };
    let request = frame::encode(&Request::Shutdown(request));
    last_told(&mut load, clients, || control.write_all(&request))
}

fn process_each(clients: usize) -> io::Result<Duration> {
    let server = TcpServer::start(clients)?;
    let mut load = Load::new()?;
    load.connect(clients, Dialect::Old, server.address, |_| server.children().map(|children| children.len()))?;
    let children = server.listening(clients)?;
    let time = last_told(&mut load, clients, || {
        rivals::terminate_all(&children);
        Ok(())
    });
    wait::until("the end of all children", PATIENCE, || Ok(server.children()?.is_empty().then_some(())))?;
    time
}

fn broker(clients: usize, scratch: &Scratch) -> io::Result<Duration> {
    let server = Mosquitto::start(&scratch.folder("mosquitto")?, Setting::Quick)?;
    let mut load = Load::new()?;
    load.connect(clients, Dialect::Mqtt, server.address, |tally| Ok(tally.ready))?;
    let mut publisher = server.publisher()?;
    last_told(&mut load, clients, || publisher.say(&mqtt::publish(talk::TOPIC, b"shutdown\n")))
}

/// Pulls the trigger on a thread of its own, so that the generator is already listening.
pub fn last_told(
    load: &mut Load,
    clients: usize,
    trigger: impl FnOnce() -> io::Result<()> + Send,
) -> io::Result<Duration> {
    load.run(REST, |_| false)?;
    std::thread::scope(|scope| {
        let trigger = scope.spawn(|| {
            let pulled = Instant::now();
            trigger().map(|()| pulled)
        });
        let all = load.run_until_told(clients, PATIENCE)?;
        let pulled = trigger.join().map_err(|_| io::Error::other("the trigger panicked"))??;
        match load.tally().last_told {
            Some(last) if all => Ok(last - pulled),
            _ => Err(io::Error::other(format!("only {} of {clients} clients were told", load.tally().told))),
        }
    })
}

fn ratio(medians: &HashMap<Form, Duration>, form: Form) -> String {
    let ratio = medians.get(&Form::ProcessEach).map(|old| old.as_secs_f64() / medians[&form].as_secs_f64());
    ratio.map_or("?".into(), |ratio| format!("{ratio:.1}x"))
}

fn judge(clients: usize, medians: &HashMap<Form, Duration>, report: &mut Report) {
    let ours = medians.iter().filter(|(form, _)| form.is_ours());
    let Some(slowest) = ours.map(|(_, time)| *time).max() else { return };
    for (_, promise) in PROMISES.iter().filter(|(size, _)| *size == clients) {
        report.at_most(format!("fan-out to {clients} clients, the slowest of four ways"), slowest, *promise);
    }
    if clients == PROMISES[0].0
        && let Some(old) = medians.get(&Form::ProcessEach)
    {
        let factor = old.as_secs_f64() / slowest.as_secs_f64();
        let what = format!("fan-out to {clients} clients, against a process each");
        report.judge(what, format!("{factor:.1}x"), format!(">= {FACTOR:.0}x"), factor >= FACTOR);
    }
}
