//! Durations, tables and moments for people, and how a line reaches them.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::control::Moment;
use runner::exit::Failure;
use std::io::{ErrorKind, IsTerminal, Write, stdin, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

/// Prints a line. Nobody who listens any more is no reason to stop: a terminal may be gone in the middle of a shutdown.
pub fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// Prints a text at once. Whoever reads has had enough, as `head` does: that is an end like any other.
///
/// # Errors
/// It cannot be written for another reason.
pub fn out(text: &str) -> Result<(), Failure> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(why) if why.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        written => written.map_err(|why| Failure::Temporary(format!("standard output: {why}"))),
    }
}

/// Whether nobody reads standard output any more; whoever waits for something to print learns it so.
pub fn is_unread() -> bool {
    let stdout = stdout();
    let mut look = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    poll(&mut look, PollTimeout::ZERO).is_ok_and(|n| n > 0)
        && look[0].revents().is_some_and(|events| events.intersects(gone))
}

/// A line of the time line.
pub fn moment(Moment { at, who, what }: &Moment) -> String {
    format!("{:8.3} s  {who:16}  {what}", at.as_secs_f64())
}

/// `3.2 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`: two units, as much as anybody reads.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

/// `2.3 ms`, and longer ones as [`span`]: what takes time on the bus.
pub fn took(took: Duration) -> String {
    if took < Duration::from_secs(1) { format!("{:.1} ms", took.as_secs_f64() * 1000.0) } else { span(took) }
}

/// `1023 bytes`, `1.0 KiB`, `5.0 MiB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Whether that is meant, which was just said: a flag says so, or somebody at a terminal.
///
/// # Errors
/// It is not, or nobody can be asked.
pub fn agreed(yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Failure::Permanent("nothing was done; give --yes if that is meant".into()));
    }
    print!("Go on? [y/N] ");
    let _ = stdout().flush();
    let mut answer = String::new();
    let read = stdin().read_line(&mut answer);
    match (read, answer.trim().to_lowercase().as_str()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::Permanent("nothing was done".into())),
    }
}

/// Columns of equal width, two blanks apart, without trailing blanks.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let spans = [3.24, 250.0, 7500.0, 273_600.0].map(|s| span(Duration::from_secs_f64(s)));
        assert_eq!(spans, ["3.2 s", "4 min 10 s", "2 h 5 min", "3 d 4 h"]);
        assert_eq!([0.00234, 1.2].map(|s| took(Duration::from_secs_f64(s))), ["2.3 ms", "1.2 s"]);
    }

    #[test]
    fn sizes_have_one_unit() {
        assert_eq!([0, 1023, 1024, 5_242_880].map(size), ["0 bytes", "1023 bytes", "1.0 KiB", "5.0 MiB"]);
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".into(), "bb".into(), "c".into()], vec!["aaa".into(), "b".into()]];
        assert_eq!(table(&rows), "a    bb  c\naaa  b\n");
    }
}
