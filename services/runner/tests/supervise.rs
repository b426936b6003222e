//! What SIGTERM means under daemontools' real supervise. The program that it runs is this test program again, told by
//! a variable to listen for the signal, and to write down what it takes it to mean.
#![cfg(test)]

use runner::signals::{Signal, Signals};
use runner::supervisor::{LONGEST, Meaning, meaning_of_term};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PLACE: &str = "RUNNER_TEST_SUPERVISED";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(3);

/// The supervised program. Run by hand it does nothing.
#[tokio::test]
async fn the_supervised_program() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let mut signals = Signals::listen().unwrap();
    put(&place.join("ready"), &std::process::id().to_string());
    assert_eq!(signals.next().await, Signal::Terminate);
    let began = Instant::now();
    let verdict = meaning_of_term(None, "/bin/false").await;
    assert!(began.elapsed() < LONGEST);
    let word = if verdict.meaning == Meaning::Restart { "restart" } else { "shutdown" };
    put(&place.join("verdict"), &format!("{word}: {}", verdict.evidence.join("; ")));
}

/// So that whoever sees the file sees all of it.
fn put(path: &Path, text: &str) {
    fs::write(path.with_extension("new"), text).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

/// A service directory with supervise on it; both end with the test.
struct Service {
    dir: tempfile::TempDir,
    supervise: Child,
}

impl Service {
    fn start() -> Service {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        fs::write(&run, "#!/bin/sh\nexec \"$PROGRAM\" --exact the_supervised_program >/dev/null 2>&1\n").unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("supervise");
        command.arg(dir.path()).env(PLACE, dir.path()).env("PROGRAM", std::env::current_exe().unwrap());
        command.stdin(Stdio::null()).env_remove("INVOCATION_ID");
        let supervise = command.spawn().expect("supervise is there; install the package daemontools");
        let service = Service { dir, supervise };
        service.wait_for("ready");
        service
    }

    fn svc(&self, what: &str) -> &Service {
        assert!(Command::new("svc").arg(what).arg(self.dir.path()).status().unwrap().success());
        self
    }

    /// Waits until supervise has heard the command; it is deaf for a second after it started the service.
    fn until_it_wants(&self, want: u8) -> &Service {
        let end = Instant::now() + PATIENCE;
        while fs::read(self.dir.path().join("supervise/status")).ok().and_then(|b| b.get(17).copied()) != Some(want) {
            assert!(Instant::now() < end, "supervise never wanted {want}");
            std::thread::sleep(LOOK);
        }
        self
    }

    fn kill(&self) -> &Service {
        let pid = self.wait_for("ready");
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self
    }

    fn verdict(&self) -> String {
        self.wait_for("verdict")
    }

    fn wait_for(&self, name: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            match fs::read_to_string(self.dir.path().join(name)) {
                Ok(text) => return text,
                Err(_) => assert!(Instant::now() < end, "`{name}` never came"),
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = Command::new("svc").arg("-dx").arg(self.dir.path()).stderr(Stdio::null()).status();
        let _ = self.supervise.wait();
    }
}

/// The signal comes before the status is written, so this is a race; a few rounds see both orders.
#[test]
fn svc_d_is_a_shutdown() {
    for _ in 0..4 {
        assert_eq!(Service::start().svc("-d").verdict(), "shutdown: supervise wants this service down");
    }
}

#[test]
fn svc_t_is_a_restart() {
    assert_eq!(Service::start().svc("-t").verdict(), "restart: supervise wants this service up");
}

#[test]
fn a_plain_kill_is_a_restart_since_supervise_starts_it_again() {
    assert_eq!(Service::start().kill().verdict(), "restart: supervise wants this service up");
}

#[test]
fn svc_o_and_then_an_end_is_a_shutdown() {
    let expected = "shutdown: supervise was told to run this service once";
    assert_eq!(Service::start().svc("-o").until_it_wants(0).kill().verdict(), expected);
    assert_eq!(Service::start().svc("-ot").verdict(), expected);
}

#[test]
fn svc_dx_is_a_shutdown() {
    assert_eq!(Service::start().svc("-dx").verdict(), "shutdown: supervise wants this service down");
}

#[test]
fn without_supervise_it_is_a_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_supervised_program"]).env(PLACE, dir.path()).env_remove("INVOCATION_ID");
    let supervise = command.stdout(Stdio::null()).spawn().unwrap();
    let service = Service { dir, supervise };
    assert!(service.kill().verdict().starts_with("shutdown: "));
}
