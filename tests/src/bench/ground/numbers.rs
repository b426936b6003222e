//! Numbers of processes, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// The kernel's clock ticks of `stat`, 100 a second on every Linux of ours (`getconf CLK_TCK`).
const TICK: Duration = Duration::from_millis(10);

/// The memory that a process takes, in KiB: private pages, and its share of those that it has in common.
pub fn pss(pid: i32) -> io::Result<u64> {
    memory(pid, "Pss:")
}

/// The memory that it has in use, in KiB, whoever else uses the same.
pub fn rss(pid: i32) -> io::Result<u64> {
    memory(pid, "Rss:")
}

/// The part of it that came from no file: heap and stacks. The rest depends on who else runs the same program.
pub fn anonymous(pid: i32) -> io::Result<u64> {
    memory(pid, "Pss_Anon:")
}

fn memory(pid: i32, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    field(&text, name).ok_or_else(|| unreadable(pid, name))
}

/// How many descriptors it has open.
pub fn descriptors(pid: i32) -> io::Result<u64> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64)
}

/// The processor time that it has used.
pub fn cpu(pid: i32) -> io::Result<Duration> {
    times(pid, 2)
}

/// The same with all that it started, what has ended and was reaped included.
pub fn cpu_of_family(pid: i32) -> io::Result<Duration> {
    let children: Duration = descendants(pid).into_iter().filter_map(|child| times(child, 4).ok()).sum();
    Ok(times(pid, 4)? + children)
}

/// The first of user, system, and the same of children that were reaped.
fn times(pid: i32, count: usize) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    let ticks =
        fields.map(|fields| fields.skip(11).take(count).filter_map(|ticks| ticks.parse::<u32>().ok()).sum::<u32>());
    ticks.map(|ticks| TICK * ticks).ok_or_else(|| unreadable(pid, "stat"))
}

/// Children, their children and so on, as far as they are there.
pub fn descendants(pid: i32) -> Vec<i32> {
    let children = children(pid).unwrap_or_default();
    children.iter().flat_map(|&child| [vec![child], descendants(child)].concat()).collect()
}

/// The children of a process, whichever of its threads started them.
pub fn children(pid: i32) -> io::Result<Vec<i32>> {
    let mut children = Vec::new();
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end before we look.
        let text = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(children)
}

/// Whether a process has ended and was not reaped; one that is gone was.
pub fn is_zombie(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// Whether a process has installed a handler for SIGTERM.
pub fn catches_term(pid: i32) -> io::Result<bool> {
    const TERM: u64 = 1 << (nix::sys::signal::Signal::SIGTERM as u64 - 1);
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.map(|mask| mask & TERM != 0).ok_or_else(|| unreadable(pid, "SigCgt"))
}

/// How many of the machine's processors stood idle while so much time passed, in per cent.
pub fn idle(during: Duration) -> io::Result<f64> {
    let before = ticks()?;
    std::thread::sleep(during);
    let after = ticks()?;
    let spent: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    let all: u64 = spent.iter().sum();
    Ok(100.0 * spent.get(3).copied().unwrap_or(0) as f64 / all.max(1) as f64)
}

fn ticks() -> io::Result<Vec<u64>> {
    let text = fs::read_to_string("/proc/stat")?;
    let words = text.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    Ok(words.filter_map(|ticks| ticks.parse().ok()).collect())
}

/// Memory that a new process may take, in KiB.
pub fn available() -> io::Result<u64> {
    field(&fs::read_to_string("/proc/meminfo")?, "MemAvailable:").ok_or_else(|| unreadable(0, "MemAvailable"))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn unreadable(pid: i32, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no {what} of process {pid} in /proc"))
}
