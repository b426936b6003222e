//! What must not outlive this program: the processes that it started, by pid, and one scratch directory. Both go at
//! the end, on an error, on a panic, and when somebody interrupts us.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

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
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        clean();
    }
}

/// A process is ours until [`gone`] says otherwise; it must not be reaped before.
pub fn running(pid: i32) {
    locked(&RUNNING).insert(pid);
}

/// The process has been reaped, so its number may soon be somebody else's.
pub fn gone(pid: i32) {
    locked(&RUNNING).remove(&pid);
}

fn clean() {
    for &pid in locked(&RUNNING).iter() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    if let Some(path) = locked(&SCRATCH).take() {
        let _ = fs::remove_dir_all(path);
    }
}

fn clean_on_signal() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        let number = signals.forever().next().unwrap_or(SIGTERM);
        clean();
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
