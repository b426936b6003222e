//! How a hook tells that it runs: one pipe with a name, into which every hook of every client writes a line. The moment
//! at which the line is read counts, so the start of a shell is part of every time.

use super::wait;
use nix::sys::stat::Mode;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const EVENTS: [&str; 3] = ["server-up", "server-stopping", "server-lost"];

/// A hook has begun.
struct Mark {
    at: Instant,
    event: String,
    who: String,
}

/// The pipe's reading end, and the hooks that write to it.
pub struct Marks {
    hooks: PathBuf,
    marks: Receiver<Mark>,
}

impl Marks {
    /// Makes pipe and hooks in this folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let pipe = folder.join("marks");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU)?;
        let hooks = folder.join("hooks");
        for event in EVENTS {
            write_hook(&hooks.join(event), &pipe)?;
        }
        // Open for writing too, so that it never ends and no hook waits for a reader.
        let reader = OpenOptions::new().read(true).write(true).open(&pipe)?;
        Ok(Self { hooks, marks: read(reader) })
    }

    /// For HOOKS of a client.
    pub fn hooks(&self) -> &Path {
        &self.hooks
    }

    /// Waits until so many clients whose names begin with `whose` have run a hook of this event; when each did so first.
    /// Marks of others and of other events are passed over.
    pub fn gather(
        &self,
        event: &str,
        whose: &str,
        count: usize,
        limit: Duration,
    ) -> io::Result<BTreeMap<String, Instant>> {
        let (mut seen, end) = (BTreeMap::new(), Instant::now() + limit);
        while seen.len() < count {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(mark) = self.marks.recv_timeout(left) else {
                let wish = format!("hooks of {event} at {count} clients {whose}* ({} ran)", seen.len());
                return Err(wait::late(&wish, limit));
            };
            if mark.event == event && mark.who.starts_with(whose) {
                seen.entry(mark.who).or_insert(mark.at);
            }
        }
        Ok(seen)
    }
}

fn write_hook(folder: &Path, pipe: &Path) -> io::Result<()> {
    let hook = folder.join("10-tell-bench");
    fs::create_dir_all(folder)?;
    fs::write(&hook, format!("#!/bin/sh\necho \"$PISTOP_EVENT $NAME\" > '{}'\n", pipe.display()))?;
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))
}

fn read(pipe: File) -> Receiver<Mark> {
    let (found, marks) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let at = Instant::now();
            if let Some((event, who)) = line.split_once(' ') {
                let _ = found.send(Mark { at, event: event.into(), who: who.into() });
            }
        }
    });
    marks
}
