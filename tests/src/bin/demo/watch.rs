//! The time line: a thread that looks, two hundred times a second, at what the hooks of each machine have written, at
//! its table of mounts and at its power, and prints and remembers each change.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tests::world::place::Place;
use tests::world::read;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Something that was seen on a machine.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Since the beginning of the demo.
    pub at: Duration,
    /// Where.
    pub who: String,
    /// What.
    pub what: String,
}

/// A machine to look at.
pub struct Machine {
    /// Its folder.
    pub place: Place,
    /// The directory that it mounts.
    pub share: PathBuf,
}

struct Look {
    machine: Machine,
    pid: i32,
    events: usize,
    offs: usize,
    mounted: bool,
}

#[derive(Default)]
struct Shared {
    looks: Mutex<Vec<Look>>,
    seen: Mutex<Vec<Seen>>,
    over: AtomicBool,
}

/// The watcher; it stops when it is dropped.
pub struct Watch {
    began: Instant,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins, with nobody to look at.
    pub fn begin() -> Self {
        let (began, shared) = (Instant::now(), Arc::new(Shared::default()));
        let watched = shared.clone();
        let thread = std::thread::spawn(move || {
            while !watched.over.load(Ordering::Relaxed) {
                for look in lock(&watched.looks).iter_mut() {
                    look.look(&watched, began);
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { began, shared, thread: Some(thread) }
    }

    /// Looks at this machine too. `pid` is a process in its mount namespace.
    pub fn add(&self, machine: Machine, pid: i32) {
        lock(&self.shared.looks).push(Look { machine, pid, events: 0, offs: 0, mounted: false });
    }

    /// A line of our own, and its time.
    pub fn tell(&self, who: &str, what: &str) -> Duration {
        let at = self.began.elapsed();
        note(&self.shared, at, who, what.into());
        at
    }

    /// What was seen on a machine since then, oldest first.
    pub fn since(&self, from: Duration, who: &str) -> Vec<Seen> {
        lock(&self.shared.seen).iter().filter(|seen| seen.who == who && seen.at >= from).cloned().collect()
    }

    /// When this was first seen on a machine, since then.
    pub fn first(&self, from: Duration, who: &str, what: &str) -> Option<Duration> {
        self.since(from, who).into_iter().find(|seen| seen.what.starts_with(what)).map(|seen| seen.at)
    }

    /// How often it was seen.
    pub fn count(&self, from: Duration, who: &str, what: &str) -> usize {
        self.since(from, who).iter().filter(|seen| seen.what.starts_with(what)).count()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Look {
    fn look(&mut self, shared: &Shared, began: Instant) {
        let (now, place) = (began.elapsed(), &self.machine.place);
        let events = place.events();
        for event in events.iter().skip(self.events) {
            note(shared, now, place.name(), event.clone());
        }
        self.events = self.events.max(events.len());
        if let Some(mounted) = mounted(self.pid, &self.machine.share).filter(|&mounted| mounted != self.mounted) {
            self.mounted = mounted;
            note(shared, now, place.name(), if mounted { "share is mounted" } else { "share is unmounted" }.into());
        }
        if place.powered_off() > self.offs {
            self.offs = place.powered_off();
            note(shared, now, place.name(), "POWERS ITSELF OFF".into());
        }
    }
}

/// What the table of mounts of that process says; `None` if the process has gone.
fn mounted(pid: i32, share: &std::path::Path) -> Option<bool> {
    let table = read(&PathBuf::from(format!("/proc/{pid}/mountinfo")));
    let share = share.display().to_string();
    (!table.is_empty()).then(|| table.lines().any(|line| line.split(' ').nth(4) == Some(share.as_str())))
}

fn note(shared: &Shared, at: Duration, who: &str, what: String) {
    println!("{:8.3} s  {who:10}{what}", at.as_secs_f64());
    lock(&shared.seen).push(Seen { at, who: who.into(), what });
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
