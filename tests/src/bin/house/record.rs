//! The block at the end of a run: when, with what, and how it went. A run that is kept is `tests/house/RECORD.md`.

use crate::house::House;
use crate::ledger::Ledger;
use crate::machine::Machine;
use crate::shell;
use std::fmt::Write;
use std::time::Duration;

/// Packages whose versions matter.
const PACKAGES: &str = "systemd nfs-kernel-server nfs-common autofs mpd daemontools ucspi-tcp pistop-common";

/// The versions of everything, asked while all machines are on, and how busy this machine is with that and with all else.
pub fn versions(house: &House) -> String {
    let mut text = String::new();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let _ = writeln!(text, "{:20} {processors} processors, load {}", "this machine", load.trim());
    let own = shell::words("qemu-system-x86_64 --version").unwrap_or_default();
    let _ = writeln!(text, "{:20} {}", "QEMU", own.lines().next().unwrap_or_default());
    let _ = writeln!(text, "{:20} {}", "kernel", house.server.says("uname -r"));
    let all = [(&house.server, format!("{PACKAGES} fserver")), (&house.attic, "fclient".into())];
    text + &all.map(|(machine, packages)| installed(machine, &packages)).concat()
}

fn installed(machine: &Machine, packages: &str) -> String {
    let said = machine.says(&format!("dpkg-query -W -f '${{Package}} ${{Version}}\\n' {packages}"));
    let line = |line: &str| {
        let (package, version) = line.split_once(' ')?;
        Some(format!("{package:20} {version}\n"))
    };
    said.lines().filter_map(line).collect()
}

/// The block.
pub fn block(versions: &str, ledger: &Ledger, took: Duration) -> String {
    let date = shell::words("date -u +%Y-%m-%d").unwrap_or_default();
    let verdict = if ledger.agrees() { "all as expected" } else { "NOT as expected" };
    let took = took.as_secs_f64() / 60.0;
    format!("A house of virtual machines, {}: {verdict}, in {took:.1} minutes\n\n{versions}{ledger}", date.trim())
}

/// The file that is kept: the block, and of the time line what tells the story.
pub fn kept(block: &str, story: &str) -> String {
    format!(
        "# The house, as it was last\n\nWritten by `make house RECORD=1`; not edited by hand.\n\n```text\n{block}```\n\n\
         ## The time line\n\nSeconds since the beginning, by one clock; shortened to what tells the story.\n\n```text\n{story}```\n"
    )
}
