//! How soon real clients notice: a server that comes up, one that is killed, one whose cable is cut. Each trial is one
//! client whose hook writes a line; several clients share a server, and several servers run side by side.

use super::Plan;
use super::cell::Cell;
use super::ground::cleanup::Scratch;
use super::ground::marks::Marks;
use super::ground::table::Table;
use super::report::{Report, Sample, milliseconds};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// So long clients have searched in vain before a server comes up: their pauses between attempts have grown to seconds.
const SEARCHING: Duration = Duration::from_secs(8);
/// So long a house has run before its server is lost: a few beats, and a different moment between two of them for each.
const RUNNING: Duration = Duration::from_secs(3);
const STAGGER: Duration = Duration::from_millis(137);

/// How long all hooks may be waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was promised.
const UP: Duration = Duration::from_millis(500);
const KILLED: Duration = Duration::from_millis(200);
const CUT: Duration = Duration::from_secs(5);

/// From the start of fserver to the hook of a client that searches.
pub fn server_up(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let (marks, mut cells) = searching(plan, &scratch.folder("up")?, Cell::on_loopback)?;
    std::thread::sleep(SEARCHING);
    let mut times = Vec::new();
    for cell in &mut cells {
        times.extend(cell.start_server(&marks)?);
    }
    conclude("start of the server to the hook of server-up", times, UP, "0-30 s (its poll, not measured)", report)
}

/// From SIGKILL of fserver to the hook of a client.
pub fn killed(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let (marks, mut cells) = running(plan, &scratch.folder("killed")?, Cell::on_loopback)?;
    let mut times = Vec::new();
    for cell in &mut cells {
        let began = cell.kill_server()?;
        times.extend(cell.hooks_ran("server-lost", began, &marks)?);
    }
    conclude("SIGKILL of the server to the hook of server-lost", times, KILLED, "as fast (end of file)", report)
}

/// From the cut of the server's cable to the hook of a client. All cables are cut before the first hook can run.
pub fn cut(plan: &Plan, scratch: &Scratch, report: &mut Report) -> io::Result<()> {
    let (marks, cells) = running(plan, &scratch.folder("cut")?, Cell::behind_bridge)?;
    let mut begun = Vec::new();
    for cell in &cells {
        begun.push(cell.cut()?);
        std::thread::sleep(STAGGER);
    }
    let times = hooks_of_all(&cells, &begun, plan.detection.1, &marks)?;
    conclude("cut cable to the hook of server-lost", times, CUT, "never", report)
}

fn hooks_of_all(cells: &[Cell], begun: &[Instant], clients: usize, marks: &Marks) -> io::Result<Vec<Duration>> {
    let lost = marks.gather("server-lost", "cell", cells.len() * clients, PATIENCE)?;
    let began = |who: &str| cells.iter().zip(begun).find(|(cell, _)| cell.owns(who)).map(|(_, began)| *began);
    Ok(lost.iter().filter_map(|(who, at)| Some(*at - began(who)?)).collect())
}

type Make = fn(&Path, usize) -> io::Result<Cell>;

/// Some cells with clients that search.
fn searching(plan: &Plan, folder: &Path, make: Make) -> io::Result<(Marks, Vec<Cell>)> {
    let marks = Marks::open(folder)?;
    let (count, clients) = plan.detection;
    let mut cells = Vec::new();
    for number in 0..count {
        let mut cell = make(folder, number)?;
        cell.start_clients(clients, marks.hooks())?;
        cells.push(cell);
    }
    Ok((marks, cells))
}

/// Some cells with clients that have found their server.
fn running(plan: &Plan, folder: &Path, make: Make) -> io::Result<(Marks, Vec<Cell>)> {
    let (marks, mut cells) = searching(plan, folder, make)?;
    for cell in &mut cells {
        cell.start_server(&marks)?;
    }
    std::thread::sleep(RUNNING);
    Ok((marks, cells))
}

fn conclude(what: &str, times: Vec<Duration>, target: Duration, old: &str, report: &mut Report) -> io::Result<()> {
    let sample = Sample::new(times).ok_or_else(|| io::Error::other("no trials"))?;
    println!("\nFrom {what}");
    let mut table = Table::new(&["trials", "p50", "p99", "worst", "pistop"]);
    let [p50, p99, worst] = [sample.median(), sample.percentile(99), sample.worst()].map(milliseconds);
    table.row([sample.count().to_string(), p50, p99, worst, old.into()]);
    table.print();
    report.at_most(format!("{what}, p99"), sample.percentile(99), target);
    Ok(())
}
