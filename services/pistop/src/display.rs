//! `pistop display` and `pistop notify`: a line for the LCD of this machine, a notice for somebody's desktop.
//!
//! What always holds: nobody waits for a display. A FIFO without a reader or with one that is stuck, a host that is gone, a
//! name that resolves slowly: after a second at most it is said what was skipped, and that is no failure.

mod lines;

use crate::config::{DisplayFlags, NotifyFlags};
use crate::words::say;
use nix::fcntl::OFlag;
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{ToSocketAddrs, UdpSocket};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(1);
/// Where the display's own daemon listens if nothing is set.
const LCD_DAEMON: &str = "/run/lcd-daemon/lcdfifo";
/// UDP ports if none are set.
const LCD_PORT: u16 = 1806;
const NOTIFY_PORT: u16 = 1807;

const fn setting(key: &'static str, help: &'static str) -> Setting {
    Setting { key, default: "", help }
}

/// The settings of both, which fclient and fserver have too and hand to hooks.
pub const SETTINGS: &[Setting] = &[
    setting("lcd-fifo", "the FIFO of the display"),
    setting("lcd-host", "otherwise the host of the display"),
    setting("lcd-port", "its UDP port; 1806 unless set"),
    setting("notify-fifo", "the FIFO of the desktop's notices"),
    setting("notify-host", "otherwise the host of the desktop"),
    setting("notify-port", "its UDP port; 1807 unless set"),
];

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A FIFO that somebody reads.
    Fifo(PathBuf),
    /// Datagrams, one a line.
    Host(String, u16),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Fifo(path) => path.display().fmt(f),
            Target::Host(host, port) => write!(f, "{host} port {port}"),
        }
    }
}

/// Shows what is asked for.
///
/// # Errors
/// The settings cannot be used. That nothing could be shown is none.
pub fn display(flags: &DisplayFlags, variables: Option<PathBuf>) -> Result<(), Failure> {
    let settings = settings(flags.config.clone(), variables)?;
    let daemon = || is_fifo(Path::new(LCD_DAEMON)).then(|| Target::Fifo(LCD_DAEMON.into()));
    let target = target(&settings, ["lcd-fifo", "lcd-host", "lcd-port"], LCD_PORT)?.or_else(daemon);
    let what = flags.what.clone();
    show(target, "display", move || lines::of(&what));
    Ok(())
}

/// Tells somebody's desktop.
///
/// # Errors
/// The settings cannot be used. That nobody could be told is none.
pub fn notify(flags: &NotifyFlags, variables: Option<PathBuf>) -> Result<(), Failure> {
    let settings = settings(flags.config.clone(), variables)?;
    let target = target(&settings, ["notify-fifo", "notify-host", "notify-port"], NOTIFY_PORT)?;
    let notice = lines::notice(&flags.summary, &flags.body);
    show(target, "desktop", move || vec![notice]);
    Ok(())
}

fn settings(config: Option<PathBuf>, variables: Option<PathBuf>) -> Result<Settings, Failure> {
    let sources = Sources { config, variables, environment: std::env::vars_os().collect(), flags: Vec::new() };
    Ok(Settings::load_shared(SETTINGS, sources)?)
}

fn target(settings: &Settings, [fifo, host, port]: [&str; 3], usual: u16) -> Result<Option<Target>, Failure> {
    let port = if settings.is_set(port) { settings.number(port)? } else { usual };
    let host = settings.text(host).map(|host| Target::Host(host.into(), port));
    Ok(settings.path(fifo).map(Target::Fifo).or(host))
}

/// Whatever may take time happens in a thread that is not waited for longer than [`LIMIT`].
fn show(target: Option<Target>, whose: &str, texts: impl FnOnce() -> Vec<String> + Send + 'static) {
    let Some(target) = target else { return say(&format!("no {whose} is set, so nothing is shown")) };
    let (tell, told) = channel();
    let to = target.clone();
    thread::spawn(move || tell.send(send(&to, &texts())));
    match told.recv_timeout(LIMIT) {
        Ok(Ok(())) => (),
        Ok(Err(why)) => say(&format!("the {whose} at {target} is skipped: {why}")),
        Err(_) => say(&format!("the {whose} at {target} is skipped: no answer for {} s", LIMIT.as_secs())),
    }
}

fn send(target: &Target, texts: &[String]) -> io::Result<()> {
    match target {
        Target::Fifo(path) => into_fifo(path, texts),
        Target::Host(host, port) => to_host(host, *port, texts),
    }
}

fn is_fifo(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.file_type().is_fifo())
}

/// Looked at before and after it is opened: what is no FIFO may not be touched, even if it takes the place of one meanwhile.
fn into_fifo(path: &Path, texts: &[String]) -> io::Result<()> {
    let no_fifo = || io::Error::other("it is no FIFO; make it with mkfifo");
    if !path.metadata()?.file_type().is_fifo() {
        return Err(no_fifo());
    }
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let mut fifo = File::options().write(true).custom_flags(flags).open(path).map_err(unread)?;
    if !fifo.metadata()?.file_type().is_fifo() {
        return Err(no_fifo());
    }
    texts.iter().try_for_each(|text| fifo.write_all(text.as_bytes())).map_err(stuck)
}

/// fifo(7): opened for writing without waiting, one that nobody reads is ENXIO.
fn unread(why: io::Error) -> io::Error {
    match why.raw_os_error() {
        Some(code) if code == nix::errno::Errno::ENXIO as i32 => io::Error::other("nobody reads it"),
        _ => why,
    }
}

fn stuck(why: io::Error) -> io::Error {
    match why.kind() {
        ErrorKind::WouldBlock => io::Error::other("it is full, and its reader does not read"),
        _ => why,
    }
}

fn to_host(host: &str, port: u16, texts: &[String]) -> io::Result<()> {
    let address = (host, port).to_socket_addrs()?.next().ok_or_else(|| io::Error::other("it has no address"))?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    texts.iter().try_for_each(|text| socket.send_to(text.as_bytes(), address).map(drop))
}
