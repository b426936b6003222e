//! What an idle client costs its server in memory: the difference in PSS between no client and N of them. Memory of
//! the kernel (sockets, and for the old form its processes) is in none of these numbers; nor is the list of paired
//! machines, which is read before any of them comes, nor what fserver loads of itself for the first few.

use super::Plan;
use super::ground::agents::Server;
use super::ground::cleanup::Scratch;
use super::ground::numbers::pss;
use super::ground::table::Table;
use super::load::Load;
use super::report::Report;
use super::rivals::{self, Mosquitto, Setting, TcpServer};
use super::sealed::{CIPHER, Keys};
use super::talk::Dialect;
use std::io;
use std::thread;
use std::time::Duration;

/// What was promised for a client that proves nothing, in KiB.
const PLAIN: f64 = 4.0;
/// And for a paired one, beside the cipher of its link.
const PAIRED: f64 = 2.0;
/// So many come and go before the first look.
const FIRST: usize = 8;
/// So long the server has to notice that they went.
const GONE: Duration = Duration::from_millis(500);
/// New clients are not silent: so long they beat before the second look.
const BEATING: Duration = Duration::from_secs(3);

/// The clients of fserver.
const FORMS: [(&str, Dialect); 5] = [
    ("fserver, old clients", Dialect::Old),
    ("fserver, new clients beating", Dialect::New),
    ("fserver, and following an event", Dialect::Bus),
    ("fserver, paired clients beating", Dialect::Sealed),
    ("fserver, and following as fclient", Dialect::SealedBus),
];

/// One measurement, in KiB.
struct Cost {
    empty: u64,
    full: u64,
    clients: usize,
}

impl Cost {
    fn each(&self) -> f64 {
        self.full.saturating_sub(self.empty) as f64 / self.clients as f64
    }
}

/// Measures all forms.
pub fn measure(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    println!("\nMemory (PSS) with N idle clients; the cipher of a paired one is {CIPHER} bytes of it");
    let mut table = Table::new(&["form", "clients", "empty", "full", "each"]);
    for &clients in plan.memory {
        for (name, dialect) in FORMS {
            let cost = fserver(clients, dialect, scratch)?;
            judge(report, name, dialect, &cost);
            table.row(row(name, &cost));
        }
        rival(&mut table, "tcpserver, a process a client", clients, process_each(clients))?;
        rival(&mut table, "mosquitto", clients, broker(clients, scratch))?;
    }
    table.print();
    Ok(())
}

fn judge(report: &mut Report, name: &str, dialect: Dialect, cost: &Cost) {
    let what = format!("{name}: memory of each of {}", cost.clients);
    let (beside, each, most) = match dialect {
        Dialect::Sealed | Dialect::SealedBus => (" beside its cipher", cost.each() - CIPHER as f64 / 1024.0, PAIRED),
        _ => ("", cost.each(), PLAIN),
    };
    report.judge(what, format!("{each:.2} KiB{beside}"), format!("<= {most:.0} KiB"), each <= most);
}

/// A rival that is not installed, or too large for this machine, is named and left out.
fn rival(table: &mut Table, name: &str, clients: usize, cost: io::Result<Cost>) -> io::Result<()> {
    match cost {
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::OutOfMemory) => {
            println!("  not measured: {name}, {clients} clients: {why}");
        }
        cost => table.row(row(name, &cost?)),
    }
    Ok(())
}

fn row(name: &str, cost: &Cost) -> [String; 5] {
    let kib = |kib: u64| format!("{kib} KiB");
    [name.into(), cost.clients.to_string(), kib(cost.empty), kib(cost.full), format!("{:.2} KiB", cost.each())]
}

fn fserver(clients: usize, dialect: Dialect, scratch: &Scratch) -> io::Result<Cost> {
    let folder = scratch.fresh("memory")?;
    let keys = match dialect {
        Dialect::Sealed | Dialect::SealedBus => Some(Keys::pair(clients, &folder)?),
        _ => None,
    };
    let list = keys.as_ref().map_or("/nonexistent".into(), |keys| keys.list.display().to_string());
    let load = || keys.clone().map_or_else(Load::new, Load::paired);
    let server = Server::start(&folder, "127.0.0.1:0", &[("AUTHORIZED_PEERS", &list)])?;
    load()?.connect(FIRST, dialect, server.address, |tally| Ok(tally.ready))?;
    thread::sleep(GONE);
    let empty = pss(server.process.pid())?;
    let mut load = load()?;
    load.connect(clients, dialect, server.address, |tally| Ok(tally.ready))?;
    if dialect != Dialect::Old {
        load.run(BEATING, |_| false)?;
    }
    Ok(Cost { empty, full: pss(server.process.pid())?, clients })
}

fn process_each(clients: usize) -> io::Result<Cost> {
    if let Some(why) = rivals::too_many(clients)? {
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, why));
    }
    let server = TcpServer::start(clients)?;
    let empty = pss(server.pid())?;
    let mut load = Load::new()?;
    load.connect(clients, Dialect::Old, server.address, |_| server.children().map(|children| children.len()))?;
    let children = server.listening(clients)?;
    let sum: u64 = children.into_iter().map(pss).sum::<io::Result<u64>>()?;
    Ok(Cost { empty, full: pss(server.pid())? + sum, clients })
}

fn broker(clients: usize, scratch: &Scratch) -> io::Result<Cost> {
    let server = Mosquitto::start(&scratch.folder("mosquitto")?, Setting::Quick)?;
    let empty = pss(server.pid())?;
    let mut load = Load::new()?;
    load.connect(clients, Dialect::Mqtt, server.address, |tally| Ok(tally.ready))?;
    Ok(Cost { empty, full: pss(server.pid())?, clients })
}
