//! What hooks write, as lines of our log. A hook may write as much as it likes and never has to wait long for us, but
//! it costs no more memory than one line a stream, and no more log than [`LINES_A_SECOND`]; what is left out is counted.

use protocol::name::printable;
use std::cell::RefCell;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

/// The longest line that is shown, in bytes; the rest of it is counted.
pub(super) const MAX_LINE: usize = 1_000;
/// How many lines of one hook are shown in a second: more than anybody reads, less than fills a disk.
pub(super) const LINES_A_SECOND: u32 = 100;
/// How many bytes of one hook are read in a second: a hook that floods waits then, so that it does not take all of
/// the machine through us.
const BYTES_A_SECOND: usize = 4 * 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);

/// Bytes as they come, cut into bounded lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    cut: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8], usize)) {
        for part in bytes.split_inclusive(|&b| b == b'\n') {
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = MAX_LINE - self.held.len();
            let fits = text.len().min(room);
            self.held.extend_from_slice(&text[..fits]);
            self.cut += text.len() - fits;
            if text.len() < part.len() {
                each(&self.held, self.cut);
                *self = Lines::default();
            }
        }
    }

    fn finish(self, each: impl FnOnce(&[u8], usize)) {
        if !self.held.is_empty() {
            each(&self.held, self.cut);
        }
    }
}

/// How much of one hook's output passes.
#[derive(Debug)]
pub(super) struct Flow<'a> {
    hook: &'a str,
    window: RefCell<Window>,
}

/// What passed in the current second, and what did not.
#[derive(Debug)]
struct Window {
    start: Instant,
    lines: u32,
    read: usize,
    dropped: Dropped,
}

/// What was left out. The last line of it is kept: why a hook failed is mostly what it said last.
#[derive(Debug, Default, PartialEq, Eq)]
struct Dropped {
    lines: u64,
    bytes: u64,
    last: Vec<u8>,
}

impl Window {
    fn new() -> Window {
        Window { start: Instant::now(), lines: 0, read: 0, dropped: Dropped::default() }
    }
}

impl<'a> Flow<'a> {
    pub(super) fn new(hook: &'a str) -> Flow<'a> {
        Flow { hook, window: RefCell::new(Window::new()) }
    }

    /// Reads to the end, or until the future is dropped; what is held back then is in `lines`.
    pub(super) async fn copy(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        lines: &mut Lines,
        mut each: impl FnMut(String),
    ) {
        let mut buffer = vec![0; 8 * 1024];
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            lines.push(&buffer[..n], |line, cut| self.pass(line, cut, &mut each));
            self.pace(n).await;
        }
    }

    /// Shows the last line of a stream, which has no newline.
    pub(super) fn rest(&self, lines: Lines, mut each: impl FnMut(String)) {
        lines.finish(|line, cut| self.pass(line, cut, &mut each));
    }

    /// Writes a line to the log.
    pub(super) fn log(&self, line: &str) {
        tracing::info!("hook {}: {line}", self.hook);
    }

    /// Says what was left out since it was last said.
    pub(super) fn settle(&self) {
        let Dropped { lines, bytes, last } = std::mem::take(&mut self.window.borrow_mut().dropped);
        if lines > 0 {
            let why = format!("more than {LINES_A_SECOND} in a second, the last one was: {}", printable(&last));
            tracing::warn!("hook {}: dropped {lines} lines of {bytes} bytes, {why}", self.hook);
        }
    }

    fn pass(&self, line: &[u8], cut: usize, each: &mut impl FnMut(String)) {
        self.turn();
        let mut window = self.window.borrow_mut();
        if window.lines == LINES_A_SECOND {
            window.dropped.lines += 1;
            window.dropped.bytes += (line.len() + cut) as u64;
            line.clone_into(&mut window.dropped.last);
            return;
        }
        window.lines += 1;
        drop(window);
        let more = if cut > 0 { format!(" [{cut} bytes more]") } else { String::new() };
        each(printable(line) + &more);
    }

    /// Begins a new second if the last one is over.
    fn turn(&self) {
        if self.window.borrow().start.elapsed() >= SECOND {
            self.settle();
            self.window.replace(Window::new());
        }
    }

    async fn pace(&self, read: usize) {
        self.window.borrow_mut().read += read;
        let full = self.window.borrow().read > BYTES_A_SECOND;
        let end = self.window.borrow().start + SECOND;
        if full {
            tokio::time::sleep_until(end).await;
            self.turn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<(usize, usize)> {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, |line, cut| seen.push((line.len(), cut)));
            assert!(lines.held.capacity() <= 2 * MAX_LINE);
        }
        lines.finish(|line, cut| seen.push((line.len(), cut)));
        seen
    }

    #[test]
    fn lines_are_cut_wherever_the_chunks_end() {
        assert_eq!(lines(&[b"a\nbc", b"d\n\n", b"e"]), [(1, 0), (3, 0), (0, 0), (1, 0)]);
        assert_eq!(lines(&[]), []);
    }

    #[test]
    fn a_line_without_end_costs_one_line_of_memory() {
        let flood = vec![b'x'; 5_000];
        assert_eq!(lines(&[&flood, &flood, b"\ny\n"]), [(MAX_LINE, 9_000), (1, 0)]);
        assert_eq!(lines(&[&flood[..MAX_LINE], b"\n"]), [(MAX_LINE, 0)]);
    }

    #[tokio::test]
    async fn a_flood_is_counted_and_not_shown() {
        let (flow, mut held, mut shown) = (Flow::new("x"), Lines::default(), Vec::new());
        let flood = "spam\n".repeat(1_000);
        flow.copy(&mut flood.as_bytes(), &mut held, |line| shown.push(line)).await;
        assert_eq!(shown, vec!["spam"; LINES_A_SECOND as usize]);
        assert_eq!(flow.window.borrow().dropped, Dropped { lines: 900, bytes: 3_600, last: b"spam".to_vec() });
        flow.settle();
        assert_eq!(flow.window.borrow().dropped, Dropped::default());
    }
}
