//! How a service is, for people in the words of svstat, and for programs.

use super::name::Directory;
use super::systemd::Unit;
use runner::clock;
use runner::exit::Failure;
use runner::supervise::{self, Status, Want};
use runner::tai64n::Stamp;
use serde_json::{Value, json};
use std::io;

/// How a service is.
#[derive(Debug, Clone)]
pub struct State {
    what: String,
    supervisor: &'static str,
    up: bool,
    pid: Option<u32>,
    seconds: Option<u64>,
    enabled: bool,
    sentence: String,
}

impl State {
    /// Of a service of daemontools.
    ///
    /// # Errors
    /// This user may not look.
    pub fn of_directory(service: &Directory) -> Result<State, Failure> {
        let refused = |why: io::Error| super::daemontools::refused(service, &why);
        let down_file = service.path.join("down").exists();
        let now = Stamp::from_unix(clock::unix_now());
        let status = match service.supervise.runs().map_err(refused)? {
            true => Some(service.supervise.status().map_err(refused)?),
            false => None,
        };
        let sentence = match &status {
            Some(status) => status.sentence(down_file, now),
            None => supervise::NOT_RUNNING.into(),
        };
        let pid = status.and_then(|status| status.pid);
        let seconds = status.map(|status| now.seconds_since(status.since));
        let what = service.path.display().to_string();
        Ok(State { what, supervisor: "daemontools", up: pid.is_some(), pid, seconds, enabled: !down_file, sentence })
    }

    /// Of a unit of systemd, in the same words.
    pub fn of_unit(name: &str, unit: &Unit) -> State {
        let (up, pid, seconds) = (unit.is_up(), Some(unit.pid).filter(|&pid| pid != 0), unit.seconds());
        let since = Stamp::from_unix(std::time::Duration::ZERO);
        let now = Stamp::from_unix(std::time::Duration::from_secs(seconds));
        let want = if unit.wants_up() { Want::Up } else { Want::Down };
        // A unit without a process, such as a socket, still is up; the number is then left out.
        let status = Status { since, pid: pid.or(up.then_some(0)), paused: false, want };
        let mut sentence = status.sentence(!unit.is_enabled(), now).replace(" (pid 0)", "");
        if !["enabled", "enabled-runtime", "disabled"].contains(&unit.file.as_str()) {
            // Started by others, or by nothing at all: then there is no "normally".
            sentence = sentence.replace(", normally up", "").replace(", normally down", "");
        }
        let told = [("masked", unit.is_masked()), ("failed", unit.active == "failed")];
        sentence.extend(told.iter().filter(|(_, holds)| *holds).map(|(word, _)| format!(", {word}")));
        State {
            what: name.into(),
            supervisor: "systemd",
            up,
            pid,
            seconds: Some(seconds),
            enabled: unit.is_enabled(),
            sentence,
        }
    }

    /// As svstat prints it.
    pub fn line(&self) -> String {
        format!("{}: {}", self.what, self.sentence)
    }

    /// Without the name.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "service": self.what,
            "supervisor": self.supervisor,
            "up": self.up,
            "pid": self.pid,
            "seconds": self.seconds,
            "enabled": self.enabled,
            "state": self.sentence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: &str, file: &str, pid: u32) -> Unit {
        Unit { load: "loaded".into(), active: active.into(), file: file.into(), pid, since: None }
    }

    #[test]
    fn units_speak_as_svstat_does() {
        let line = |unit: &Unit| State::of_unit("mpd.service", unit).line();
        assert_eq!(line(&unit("active", "enabled", 7)), "mpd.service: up (pid 7) 0 seconds");
        assert_eq!(line(&unit("active", "disabled", 7)), "mpd.service: up (pid 7) 0 seconds, normally down");
        assert_eq!(line(&unit("active", "static", 7)), "mpd.service: up (pid 7) 0 seconds");
        assert_eq!(line(&unit("active", "enabled", 0)), "mpd.service: up 0 seconds");
        assert_eq!(line(&unit("inactive", "enabled", 0)), "mpd.service: down 0 seconds, normally up");
        assert_eq!(line(&unit("inactive", "disabled", 0)), "mpd.service: down 0 seconds");
        assert_eq!(line(&unit("deactivating", "enabled", 7)), "mpd.service: up (pid 7) 0 seconds, want down");
        assert_eq!(line(&unit("activating", "enabled", 0)), "mpd.service: down 0 seconds, normally up, want up");
        assert_eq!(line(&unit("failed", "disabled", 0)), "mpd.service: down 0 seconds, failed");
        let masked = Unit { load: "masked".into(), ..unit("inactive", "masked", 0) };
        assert_eq!(line(&masked), "mpd.service: down 0 seconds, masked");
    }
}
