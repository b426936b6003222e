//! Log lines on standard error: `level program: message field=value`, one event a line and nothing but printable
//! text in it. Who keeps the log adds the time (multilog, journald), so it is shown only on a terminal.
//!
//! `PISTOP_LOG` chooses the level. A standard error that is closed, broken or takes nothing, as multilog's on a full
//! disk, never stops a program or holds it up: a thread writes, [`WAITING`] lines may wait for it, and what is lost is
//! counted and told when the log takes lines again.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// The variable with the level: `error`, `warn`, `info`, `debug` or `trace`; `info` unless set.
pub const VARIABLE: &str = "PISTOP_LOG";

/// How many lines may wait for a log that takes none; some hundred kilobytes.
pub const WAITING: usize = 2000;

/// Ends the thread that writes, when the program ends.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// From now on events go to standard error under the program's name. The first call in a process counts.
pub fn init(program: &str) {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let level = level(&wanted);
    let form = Line { program: program.into(), time: std::io::stderr().is_terminal() };
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING).thread_name("log");
    let (to, writer) = builder.finish(std::io::stderr());
    let pen = Pen { to, program: program.into(), told: AtomicUsize::new(0) };
    if tracing::subscriber::set_global_default(subscriber(form, level.unwrap_or(Level::INFO), pen)).is_err() {
        return;
    }
    *WRITER.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(writer);
    if level.is_none() {
        tracing::warn!("{VARIABLE}=`{wanted}` is no level; use error, warn, info, debug or trace");
    }
}

/// Writes what waits, for at most a second. Lines that follow are lost.
pub fn end() {
    drop(WRITER.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
}

/// The last words of a program, past the log; not written if that would have to wait.
pub(crate) fn last_words(text: &str) {
    end();
    let mut error = std::io::stderr();
    let mut look = [nix::poll::PollFd::new(error.as_fd(), nix::poll::PollFlags::POLLOUT)];
    if nix::poll::poll(&mut look, nix::poll::PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
        // With standard error closed there is nobody to tell; the exit code still speaks.
        let _ = error.write_all(text.as_bytes());
    }
}

/// Hands lines to the thread that writes, and tells it what was lost before them.
struct Pen {
    to: NonBlocking,
    program: Box<str>,
    told: AtomicUsize,
}

impl<'a> MakeWriter<'a> for Pen {
    type Writer = NonBlocking;

    fn make_writer(&'a self) -> NonBlocking {
        let mut to = self.to.clone();
        let lost = self.to.error_counter();
        let (before, told) = (lost.dropped_lines(), self.told.load(Ordering::Relaxed));
        if before > told {
            let news = format!("warn {}: {} lines were lost while the log took none\n", self.program, before - told);
            let _ = to.write_all(news.as_bytes());
            // The news may be lost like any other line; it is then told with the next one.
            self.told.store(if lost.dropped_lines() == before { before } else { told }, Ordering::Relaxed);
        }
        to
    }
}

fn level(wanted: &str) -> Option<Level> {
    match wanted {
        "" | "info" => Some(Level::INFO),
        "error" => Some(Level::ERROR),
        "warn" => Some(Level::WARN),
        "debug" => Some(Level::DEBUG),
        "trace" => Some(Level::TRACE),
        _ => None,
    }
}

fn subscriber<W>(form: Line, level: Level, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Without this, a write error would be told to standard error by a macro that panics when that fails too.
    let builder = tracing_subscriber::fmt().log_internal_errors(false);
    builder.with_max_level(level).event_format(form).with_writer(to).finish()
}

/// The form of a line.
struct Line {
    program: Box<str>,
    time: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        context.format_fields(Writer::new(&mut text), event)?;
        if self.time {
            write!(to, "{} ", time_of_day(crate::clock::unix_now()))?;
        }
        let level = event.metadata().level().as_str().to_ascii_lowercase();
        writeln!(to, "{level} {}: {}", self.program, one_line(&text))
    }
}

/// Text from anywhere, kept to one line: a newline or an escape in it cannot forge or hide one.
fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

fn time_of_day(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs() % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// A stand-in for standard error that keeps what is written, or refuses it.
    #[derive(Clone, Default)]
    struct Paper {
        written: Arc<Mutex<Vec<u8>>>,
        torn: bool,
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.torn {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.written.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(paper: &Paper, level: Level, tell: impl FnOnce()) -> String {
        let (form, to) = (Line { program: "fclient".into(), time: false }, paper.clone());
        tracing::subscriber::with_default(subscriber(form, level, move || to.clone()), tell);
        String::from_utf8(paper.written.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_is_level_program_message_fields() {
        let text = logged(&Paper::default(), Level::INFO, || {
            tracing::warn!(peer = "attic", beats = 3, "server lost");
            tracing::debug!("not asked for");
        });
        assert_eq!(text, "warn fclient: server lost peer=\"attic\" beats=3\n");
    }

    #[test]
    fn a_stranger_cannot_forge_a_line() {
        let text = logged(&Paper::default(), Level::INFO, || tracing::info!("got a\nerror fclient: b\x1b[2J\u{9b}"));
        assert!(text.starts_with("info fclient: got a\\n") && text.matches('\n').count() == 1, "{text}");
        assert!(!text.contains('\x1b') && !text.contains('\u{9b}'), "{text:?}");
    }

    #[test]
    fn a_broken_standard_error_is_no_reason_to_stop() {
        let paper = Paper { torn: true, ..Paper::default() };
        assert_eq!(logged(&paper, Level::INFO, || tracing::error!("nobody hears this")), "");
    }

    #[test]
    fn levels_are_five_words() {
        assert_eq!((level(""), level("debug"), level("loud")), (Some(Level::INFO), Some(Level::DEBUG), None));
        assert_eq!(time_of_day(Duration::from_secs(86_400 + 3 * 3600 + 4 * 60 + 5)), "03:04:05Z");
    }
}
