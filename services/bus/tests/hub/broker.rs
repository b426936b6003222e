//! mosquitto on ports of its own: everybody may come in by the first, who has a password by the second, with TLS by the
//! third. It forgets everything when it is killed.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const USER: &str = "house";
pub const PASSWORD: &str = "a secret";

pub struct Broker {
    pub open: u16,
    pub closed: u16,
    pub sealed: u16,
    pub folder: TempDir,
    process: Option<Child>,
}

impl Broker {
    pub fn start() -> Broker {
        let folder = tempfile::tempdir().unwrap();
        let mut broker = Broker { open: 0, closed: 0, sealed: 0, folder, process: None };
        authority(broker.folder.path(), "ca");
        authority(broker.folder.path(), "stranger");
        certificate(broker.folder.path());
        done(Command::new("mosquitto_passwd").args(["-c", "-b"]).arg(broker.file("passwords")).args([USER, PASSWORD]));
        // Somebody may have taken a port since it was free.
        let runs = (0..20).any(|_| {
            [broker.open, broker.closed, broker.sealed] = free_ports();
            broker.configure();
            broker.runs()
        });
        assert!(runs, "mosquitto does not start: {}", broker.log());
        broker
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self) {
        let place = self.folder.path().display();
        let Broker { open, closed, sealed, .. } = self;
        let head = format!(
            "per_listener_settings true\npersistence false\nuser root\nset_tcp_nodelay true\nlog_dest file {place}/log\n"
        );
        let plain = format!("listener {open} 127.0.0.1\nallow_anonymous true\n");
        let secret = format!("listener {closed} 127.0.0.1\nallow_anonymous false\npassword_file {place}/passwords\n");
        let tls = format!(
            "listener {sealed} 127.0.0.1\nallow_anonymous true\ncafile {place}/ca.pem\ncertfile {place}/broker.pem\nkeyfile {place}/broker.key\n"
        );
        fs::write(self.file("mosquitto.conf"), format!("{head}{plain}{secret}{tls}")).unwrap();
    }

    /// Starts it once more.
    pub fn again(&mut self) {
        assert!(self.runs(), "mosquitto does not start again: {}", self.log());
    }

    /// Starts it; whether it runs.
    fn runs(&mut self) -> bool {
        let _ = fs::remove_file(self.file("log"));
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"].map(Path::new);
        let program = program.into_iter().find(|path| path.exists()).expect("mosquitto is installed");
        let mut command = Command::new(program);
        command.arg("-c").arg(self.file("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let end = Instant::now() + super::PATIENCE;
        while process.try_wait().unwrap().is_none() {
            if self.log().contains(" running\n") {
                self.process = Some(process);
                return true;
            }
            assert!(Instant::now() < end, "mosquitto is not ready in time: {}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }

    fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Free a moment ago: mosquitto cannot tell a port that the kernel chose.
fn free_ports() -> [u16; 3] {
    let taken = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    taken.map(|listener| listener.local_addr().unwrap().port())
}

fn authority(folder: &Path, name: &str) {
    let mut command = openssl(folder, &["req", "-x509", "-days", "2", "-subj", &format!("/CN={name}")]);
    command.args(["-addext", "basicConstraints=critical,CA:TRUE"]);
    done(with_key(&mut command, name).args(["-out", &format!("{name}.pem")]));
}

/// Of the broker, signed by the authority `ca`.
fn certificate(folder: &Path) {
    let mut ask = openssl(folder, &["req", "-subj", "/CN=broker", "-out", "broker.csr"]);
    done(with_key(&mut ask, "broker"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let sign = ["x509", "-req", "-in", "broker.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    done(openssl(folder, &sign).args(["-days", "2", "-extfile", "names", "-out", "broker.pem"]));
}

fn openssl(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(folder);
    command
}

fn with_key<'a>(command: &'a mut Command, name: &str) -> &'a mut Command {
    command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", &format!("{name}.key")])
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
