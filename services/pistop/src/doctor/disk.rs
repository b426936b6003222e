//! Who writes to the disk that the system lies on: on most machines of a house a memory card, which dies of it. Two
//! looks at what the kernel counts, some seconds apart.
//!
//! | module | what it does |
//! |---|---|
//! | this one | what follows from both. Pure |
//! | [`look`] | looking |

pub mod look;

use super::findings::Finding;
use crate::words::size;
use crate::words::span;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many of those that write are named.
const MOST: usize = 8;
/// What `/proc/diskstats` counts in, whatever the device has: proc(5).
const SECTOR: u64 = 512;

/// What the kernel has counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The device that holds `/`, and the bytes that were written to it; `None` if it is not among those that are
    /// counted.
    pub device: Option<(String, u64)>,
    /// Of each process its name and the bytes that it has sent to any disk.
    pub processes: BTreeMap<u32, (String, u64)>,
    /// Processes of which that cannot be seen.
    pub unseen: usize,
}

/// Somebody who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// His process.
    pub pid: u32,
    /// His name.
    pub name: String,
    /// How much it was.
    pub bytes: u64,
}

/// What happened between two looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// How far they were apart.
    pub span: Duration,
    /// The device that holds `/`, and the bytes that were written to it.
    pub device: Option<(String, u64)>,
    /// Who wrote, the worst first.
    pub writers: Vec<Writer>,
    /// Processes of which that could not be seen.
    pub unseen: usize,
}

impl Disk {
    /// Compares two looks. A process that is new has written all that it has in between; so has another one with an old
    /// number.
    pub fn between(before: &Counts, after: Counts, span: Duration) -> Disk {
        let old = |pid: &u32, name: &str| before.processes.get(pid).filter(|old| old.0 == name).map_or(0, |old| old.1);
        let writer = |(pid, (name, bytes)): (u32, (String, u64))| {
            let bytes = bytes.checked_sub(old(&pid, &name)).unwrap_or(bytes);
            Writer { pid, name, bytes }
        };
        let mut writers: Vec<Writer> = after.processes.into_iter().map(writer).filter(|one| one.bytes > 0).collect();
        writers.sort_by_key(|writer| std::cmp::Reverse(writer.bytes));
        let first = before.device.as_ref().map_or(0, |(_, bytes)| *bytes);
        let device = after.device.map(|(name, bytes)| (name, bytes.saturating_sub(first)));
        Disk { span, device, writers, unseen: after.unseen }
    }

    /// In a line.
    pub fn line(&self) -> String {
        match &self.device {
            Some((name, bytes)) => {
                format!("{} were written to {name}, which holds /, in {}", size(*bytes), span(self.span))
            }
            None => "what is written to the one that holds / is not counted here".into(),
        }
    }

    /// What is to be told. Recorders write nothing to a disk; what others do is for their owner to judge.
    pub fn findings(&self) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.writers.iter().take(MOST).map(|writer| self.finding(writer)).collect();
        let rest = self.writers.len().saturating_sub(MOST);
        if rest > 0 {
            all.push(Finding::note(format!("{rest} others wrote less"), "look again when these are mended"));
        }
        if self.writers.is_empty() && self.device.as_ref().is_some_and(|(_, bytes)| *bytes > 0) {
            let what =
                "nobody who is still here wrote it: it was kept back by the kernel until now, or its writer has ended";
            all.push(Finding::note(what, "look for longer, as in pistop doctor --disk 60"));
        }
        if self.unseen > 0 {
            let what = format!("what {} processes of others write cannot be seen", self.unseen);
            all.push(Finding::note(what, "run this as root"));
        }
        all
    }

    fn finding(&self, Writer { pid, name, bytes }: &Writer) -> Finding {
        let what = format!("{name} (process {pid}) wrote {} to disks in {}", size(*bytes), span(self.span));
        let kind = if matches!(name.as_str(), "camera" | "upload") { Finding::problem } else { Finding::note };
        kind(what, remedy(name))
    }
}

/// What helps against a writer; the kernel cuts names off after 15 letters.
fn remedy(name: &str) -> &'static str {
    match name {
        "camera" | "upload" => "have RAM_DIR lie in RAM: leave RAM_DIR and RAM_MOUNT at their defaults",
        "fserver" | "fclient" => "set journal = \"ram\", if events may be lost with the power",
        "systemd-journal" => "set Storage=volatile in /etc/systemd/journald.conf, and restart systemd-journald",
        "rsyslogd" => "remove rsyslog: the journal of systemd has it all, and can be kept in RAM",
        "multilog" => "have that log in RAM: pistop service add with --logdir below /run",
        _ if name.starts_with("jbd2/") || name.starts_with("kworker/") => "that is the kernel, for those who wrote",
        _ => "see what it has open in /proc/PROCESS/fd, and have that lie in RAM or on another disk",
    }
}

/// Name and bytes written of a device in the text of `/proc/diskstats`, by its numbers, or else by its name.
pub fn device(diskstats: &str, numbers: (u32, u32), name: &str) -> Option<(String, u64)> {
    let rows = || diskstats.lines().filter_map(row);
    let found = rows().find(|row| row.0 == numbers).or_else(|| rows().find(|row| row.1 == name));
    found.map(|(_, name, sectors)| (name.into(), sectors * SECTOR))
}

fn row(line: &str) -> Option<((u32, u32), &str, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let numbers = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((numbers, fields.next()?, fields.nth(6)?.parse().ok()?))
}

/// What stands in the text of `/proc/PID/io`.
pub fn write_bytes(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = "   7       0 loop0 11 0 28 0 0 0 0 0 0 4 0 0 0 0 0 0 0\n \
                         179       2 mmcblk0p2 5000 10 99 7 300 4 8208 60 0 900 970 0 0 0 0 1 2\n";

    fn counts(written: u64, processes: &[(u32, &str, u64)], unseen: usize) -> Counts {
        let processes = processes.iter().map(|(pid, name, bytes)| (*pid, ((*name).to_owned(), *bytes))).collect();
        Counts { device: Some(("mmcblk0p2".into(), written)), processes, unseen }
    }

    #[test]
    fn the_kernels_tables_are_read() {
        assert_eq!(device(STATS, (179, 2), "root"), Some(("mmcblk0p2".into(), 8208 * 512)));
        assert_eq!(device(STATS, (0, 31), "loop0"), Some(("loop0".into(), 0)), "btrfs has numbers of its own");
        assert_eq!(device(STATS, (0, 31), "tmpfs"), None);
        assert_eq!(write_bytes("rchar: 9\nread_bytes: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n"), Some(4096));
    }

    #[test]
    fn who_wrote_in_between_is_named_the_worst_first() {
        let before = counts(1000, &[(1, "init", 50), (7, "camera", 4096), (9, "sh", 70)], 0);
        let after = counts(9000, &[(1, "init", 50), (7, "camera", 8192), (9, "cat", 80), (12, "rsyslogd", 16384)], 3);
        let disk = Disk::between(&before, after, Duration::from_secs(5));
        let writers: Vec<_> = disk.writers.iter().map(|w| (w.name.as_str(), w.bytes)).collect();
        assert_eq!(writers, [("rsyslogd", 16384), ("camera", 4096), ("cat", 80)]);
        assert_eq!(disk.line(), "7.8 KiB were written to mmcblk0p2, which holds /, in 5.0 s");
        let told = disk.findings();
        assert_eq!(told.iter().map(|finding| finding.is_problem).collect::<Vec<_>>(), [false, true, false, false]);
        assert!(told[1].what.contains("camera (process 7) wrote 4.0 KiB") && told[1].remedy.contains("RAM_DIR"));
        assert!(told[3].what.contains("what 3 processes of others write") && told[3].remedy == "run this as root");
    }

    #[test]
    fn what_nobody_seems_to_have_written_is_said() {
        let disk = Disk::between(&counts(0, &[], 0), counts(512, &[], 0), Duration::from_secs(5));
        assert!(disk.findings()[0].what.starts_with("nobody who is still here"));
        let quiet = Disk::between(&counts(512, &[(1, "init", 5)], 0), counts(512, &[(1, "init", 5)], 0), disk.span);
        assert_eq!(quiet.findings(), []);
        let many: Vec<(u32, &str, u64)> = (1..=11).map(|pid| (pid, "x", u64::from(pid))).collect();
        let told = Disk::between(&Counts::default(), counts(0, &many, 0), disk.span).findings();
        assert!(told.len() == MOST + 1 && told[MOST].what == "3 others wrote less", "{told:?}");
    }
}
