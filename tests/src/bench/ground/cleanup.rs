//! What must not outlive this program: the processes that it started, by pid, and one scratch directory. Both go at
//! the end, on an error, on a panic, and when somebody interrupts us.

use super::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static SCRATCH: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The scratch directory; it and all that runs goes with this value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the directory and keeps an eye on signals and panics from now on.
    pub fn open(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&path)?;
        *locked(&SCRATCH) = Some(path.clone());
        clean_on_signal()?;
        clean_on_panic();
        Ok(Self(path))
    }

    /// A new directory in it.
    pub fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        match fs::create_dir(&path) {
            Err(why) if why.kind() != io::ErrorKind::AlreadyExists => Err(why),
            _ => Ok(path),
        }
    }

    /// A folder of that kind that nobody has had before.
    pub fn fresh(&self, name: &str) -> io::Result<PathBuf> {
        (1..)
            .map(|number| self.0.join(format!("{name}-{number}")))
            .find(|path| !path.exists())
            .map_or_else(|| Err(io::ErrorKind::AlreadyExists.into()), |path| fs::create_dir(&path).map(|()| path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        clean();
    }
}

/// Starts a process, which is ours until [`gone`] says otherwise; it must not be reaped before. Once we are cleaning up
/// because of a signal, nothing starts any more.
pub fn start(command: &mut Command) -> io::Result<Child> {
    let mut running = locked(&RUNNING);
    let child = command.spawn()?;
    running.insert(child.id() as i32);
    Ok(child)
}

/// The process has been reaped, so its number may soon be somebody else's.
pub fn gone(pid: i32) {
    locked(&RUNNING).remove(&pid);
}

fn clean() {
    clean_all(&locked(&RUNNING));
}

fn clean_all(running: &BTreeSet<i32>) {
    for &pid in running {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    if let Some(path) = locked(&SCRATCH).take() {
        // A process that is being killed may still be writing.
        let _ = wait::until("an empty scratch directory", Duration::from_secs(2), || {
            Ok(fs::remove_dir_all(&path).is_ok().then_some(()))
        });
    }
}

fn clean_on_signal() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        let number = signals.forever().next().unwrap_or(SIGTERM);
        let running = locked(&RUNNING);
        clean_all(&running);
        std::process::exit(128 + number);
    });
    Ok(())
}

fn clean_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |what| {
        before(what);
        clean();
    }));
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
