//! A file for log lines that never waits long for its reader. Lines that it does not take are dropped and counted, and the
//! count is written as soon as it takes some again.
//!
//! It is waited for once; from then on, until it takes something again, a line costs nothing but a look.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Milliseconds that a reader which only was busy may take.
const PATIENCE: u16 = 500;
/// What a pipe that is ready takes without waiting: pipe(7), PIPE_BUF.
const AT_ONCE: usize = 4096;

/// Where lines go, one a call; clones are the same.
pub(super) struct Paper<W>(Arc<Mutex<State<W>>>);

struct State<W> {
    to: W,
    program: String,
    lost: u64,
}

impl<W> Clone for Paper<W> {
    fn clone(&self) -> Self {
        Paper(Arc::clone(&self.0))
    }
}

impl<W: Write + AsFd> Paper<W> {
    pub(super) fn new(to: W, program: &str) -> Self {
        Paper(Arc::new(Mutex::new(State { to, program: program.into(), lost: 0 })))
    }
}

impl<W: Write + AsFd> Write for Paper<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.line(line).map(|()| line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + AsFd> State<W> {
    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.takes() {
            self.lost += 1;
            return Ok(());
        }
        if self.lost > 0 {
            // The line before may have been cut off in its middle.
            let told = format!("\nwarn {}: {} log lines were lost, since nobody read them\n", self.program, self.lost);
            self.lost = 0;
            self.to.write_all(told.as_bytes())?;
        }
        for part in line.chunks(AT_ONCE) {
            if !self.takes() {
                self.lost += 1;
                return Ok(());
            }
            self.to.write_all(part)?;
        }
        Ok(())
    }

    /// An error counts as ready: writing will tell it.
    fn takes(&self) -> bool {
        let patience = if self.lost > 0 { PollTimeout::ZERO } else { PATIENCE.into() };
        let mut files = [PollFd::new(self.to.as_fd(), PollFlags::POLLOUT)];
        poll(&mut files, patience) != Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::time::{Duration, Instant};

    #[test]
    fn a_reader_that_stops_reading_holds_nobody_up_and_hears_what_it_missed() {
        let (mut reader, writer) = io::pipe().unwrap();
        let mut paper = Paper::new(writer, "fclient");
        let (line, began) = ([b'x'; 999], Instant::now());
        for _ in 0..1000 {
            paper.write_all(&line).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        let mut buffer = vec![0; 1 << 20];
        let before = reader.read(&mut buffer).unwrap();
        paper.write_all(b"goes on\n").unwrap();
        drop(paper);
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        let lost = 1000 - before / line.len();
        assert_eq!(rest, format!("\nwarn fclient: {lost} log lines were lost, since nobody read them\ngoes on\n"));
    }

    #[test]
    fn a_long_line_comes_whole_to_whoever_reads() {
        let (mut reader, writer) = io::pipe().unwrap();
        let line = vec![b'y'; 300_000];
        let sent = line.clone();
        let writing = std::thread::spawn(move || Paper::new(writer, "x").write_all(&sent).unwrap());
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        writing.join().unwrap();
        assert!(read == line, "{} bytes", read.len());
    }
}
