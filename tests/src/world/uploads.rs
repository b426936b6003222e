//! A machine with recordings: a directory of segments as a recorder leaves it, an upload, and a real S3 server.

use super::process::Process;
use super::stored::Stored;
use super::{World, programs, read};
use md5::{Digest, Md5};
use segments::{Clock, Label, Name, Reason};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The secret that goes with [`crate::b2::KEY`].
pub const SECRET: &str = "K006verySecretSecretSecret00000";
/// 2026-11-26 07:24:00 in Kolkata.
pub const START_MS: u64 = 1_795_658_040_000;

/// A machine with recordings.
#[derive(Debug)]
pub struct Recordings {
    world: World,
    name: String,
    made: u64,
}

impl Recordings {
    /// One whose upload brings everything to that endpoint, in short times.
    pub fn new(world: &World, name: &str, endpoint: &str) -> Recordings {
        let recordings = Recordings { world: world.clone(), name: name.into(), made: 0 };
        recordings.key(crate::b2::KEY, SECRET);
        let path = |file: &str| recordings.path(file).display().to_string();
        for (name, value) in [
            ("RAM_DIR", path("ram")),
            ("BUCKET", crate::b2::BUCKET.into()),
            ("ENDPOINT", endpoint.into()),
            ("PATH_STYLE", "1".into()),
            ("CREDENTIALS", path("key")),
            ("DOOR", path("bus.sock")),
            ("RATE", "0".into()),
            ("RETRY_FIRST", "0.1".into()),
            ("RETRY_LAST", "0.5".into()),
            ("PROBE", "0.5".into()),
            ("SCAN", "1".into()),
            ("DRAIN", "10".into()),
        ] {
            recordings.set(name, &value);
        }
        fs::create_dir_all(recordings.ram()).expect("the scratch directory can be written");
        recordings
    }

    /// A path of this machine.
    pub fn path(&self, file: &str) -> PathBuf {
        self.world.path(&format!("{}/{file}", self.name))
    }

    /// The directory of all segments.
    pub fn ram(&self) -> PathBuf {
        self.path("ram")
    }

    /// A variable.
    pub fn set(&self, name: &str, value: &str) {
        fs::write(self.path(&format!("variables/{name}")), format!("{value}\n")).expect("it can be written");
    }

    /// Puts a key into the file, for nobody else to read.
    pub fn key(&self, id: &str, secret: &str) {
        let path = self.path("key");
        let text = format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n");
        fs::write(&path, text).expect("it can be written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("it is ours");
    }

    /// Starts upload.
    pub fn upload(&self) -> Process {
        self.start(self.world.command(programs::find("upload")))
    }

    /// Starts it where these host names lead to this world, in a mount namespace with an `/etc/hosts` of its own.
    pub fn upload_where(&self, names: &[&str]) -> Process {
        let hosts = self.path("hosts");
        let lines: String = names.iter().map(|name| format!("{} {name}\n", self.world.address())).collect();
        fs::write(&hosts, lines).expect("it can be written");
        let mut command = self.world.command("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let text = format!("mount --bind '{}' /etc/hosts && exec \"$@\"", hosts.display());
        command.args(["--mount", "--propagation", "private", "sh", "-c", &text, "sh"]).arg(programs::find("upload"));
        self.start(command)
    }

    fn start(&self, mut command: Command) -> Process {
        command.arg("--variables").arg(self.path("variables"));
        Process::start(&self.world, &mut command, &self.path("upload"))
    }

    /// What its doctor says.
    pub fn doctor(&self, flags: &[&str]) -> Output {
        let mut command = self.world.command(programs::find("upload"));
        command.arg("doctor").args(flags).arg("--variables").arg(self.path("variables"));
        command.output().expect("upload can be run")
    }

    /// Closes a segment that begins so many seconds after [`START_MS`] and lasts `seconds`; gives its bytes.
    pub fn record(&mut self, camera: &str, from: f64, seconds: f64, bytes: usize, marked: bool) -> Vec<u8> {
        self.made += 1;
        let content: Vec<u8> =
            (0..bytes).map(|n| ((n as u64 * 7 + n as u64 / 251 + self.made * 13) % 256) as u8).collect();
        let times = (START_MS + (from * 1000.0) as u64, (seconds * 1000.0) as u64);
        close(&self.ram(), camera, self.made, times, &content, marked).expect("it can be closed");
        content
    }

    /// Segments that are still here, over all cameras; no label may be without one.
    pub fn left(&self) -> usize {
        let cameras = segments::cameras(&self.ram()).expect("it can be read");
        let contents = cameras.values().map(|folder| segments::read(folder).expect("it can be read"));
        contents.map(|contents| contents.closed.len() + contents.unlabelled.len()).sum()
    }
}

/// Closes a segment in `ram`, as a recorder does; `start_unix_ms` and `duration_ms` are when it begins and how long it is.
///
/// # Errors
/// The folder cannot be written to.
pub fn close(
    ram: &Path,
    camera: &str,
    sequence: u64,
    (start_unix_ms, duration_ms): (u64, u64),
    content: &[u8],
    marked: bool,
) -> io::Result<()> {
    let folder = ram.join(camera);
    fs::create_dir_all(&folder)?;
    let name = Name::new(start_unix_ms, 0xab, sequence);
    let label = Label {
        camera: camera.into(),
        start_unix_ms,
        duration_ms,
        frames: duration_ms * 15 / 1000,
        bytes: content.len() as u64,
        width: 640,
        height: 480,
        clock: Clock::Set,
        reason: Reason::Length,
        marked,
        motion_percent: 0.0,
        md5: data_encoding::HEXLOWER.encode(&Md5::digest(content)),
        dropped_frames: 0,
        boot: "000000ab".into(),
        sequence,
        monotonic_ms: start_unix_ms,
        adopted: false,
        kernel: String::new(),
    };
    fs::write(folder.join(name.part()), content)?;
    segments::close(&folder, &name, &label).map(drop)
}

/// A real S3 server.
#[derive(Debug)]
pub struct S3 {
    world: World,
    port: u16,
    certificate: Option<PathBuf>,
    domain: Option<&'static str>,
    process: Option<Process>,
}

impl S3 {
    /// One with the bucket, that runs.
    pub fn start(world: &World) -> S3 {
        let mut s3 = S3::absent(world);
        s3.create_bucket();
        s3.appear();
        s3
    }

    /// One that does not run yet and has no bucket.
    pub fn absent(world: &World) -> S3 {
        let s3 = S3 { world: world.clone(), port: world.free_port(), certificate: None, domain: None, process: None };
        fs::create_dir_all(s3.root()).expect("it can be written");
        s3
    }

    /// From its next start on it is reached by TLS, with a certificate of its own, which is returned.
    ///
    /// # Panics
    /// openssl is not installed.
    pub fn sealed(&mut self) -> PathBuf {
        let (certificate, private) = (self.world.path("s3.pem"), self.world.path("s3.key"));
        let name = format!("subjectAltName=IP:{}", self.world.address());
        let mut make = self.world.command("openssl");
        make.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
        make.args([
            "-subj",
            "/CN=storage",
            "-addext",
            &name,
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
        ])
        .arg(&private)
        .arg("-out")
        .arg(&certificate);
        let made = make.output().expect("openssl is there");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.certificate = Some(certificate.clone());
        certificate
    }

    /// From its next start on each bucket has a name below this one.
    pub fn named(&mut self, domain: &'static str) {
        self.domain = Some(domain);
    }

    /// It runs from now on.
    pub fn appear(&mut self) {
        let mut command = self.world.command(programs::find("s3server"));
        let address = format!("{}:{}", self.world.address(), self.port);
        command.arg(self.root()).args([&address, crate::b2::KEY, SECRET]);
        if let Some(certificate) = &self.certificate {
            command.arg(certificate).arg(certificate.with_extension("key"));
        }
        if let Some(domain) = self.domain {
            command.env("DOMAIN", format!("{domain}:{}", self.port));
        }
        self.process = Some(Process::start(&self.world, &mut command, &self.world.path("s3")));
        self.world.until("the storage listens", || TcpStream::connect((self.world.address(), self.port)).is_ok());
    }

    /// It does not run any more.
    pub fn vanish(&mut self) {
        self.process = None;
    }

    /// Makes the bucket.
    pub fn create_bucket(&self) {
        fs::create_dir_all(self.bucket()).expect("it can be written");
    }

    /// As a setting.
    pub fn endpoint(&self) -> String {
        let scheme = if self.certificate.is_some() { "https" } else { "http" };
        let host = self.domain.map_or_else(|| self.world.address().to_string(), String::from);
        format!("{scheme}://{host}:{}", self.port)
    }

    fn root(&self) -> PathBuf {
        self.world.path("s3-root")
    }

    /// The bucket as a folder.
    pub fn bucket(&self) -> PathBuf {
        self.root().join(crate::b2::BUCKET)
    }

    /// Everything in the bucket, by key.
    pub fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = BTreeMap::new();
        collect(&self.bucket(), &self.bucket(), &mut all);
        all
    }

    /// Segments in the bucket, by key.
    pub fn segments(&self) -> BTreeMap<String, Vec<u8>> {
        let mut all = self.objects();
        all.retain(|key, _| Path::new(key).extension().is_some_and(|kind| kind == "ts"));
        all
    }

    /// The same with what stands beside each, sorted by key.
    pub fn stored(&self) -> Vec<Stored> {
        let beside = |key: &str| {
            let all: serde_json::Value = serde_json::from_str(&self.beside(key)).unwrap_or_default();
            serde_json::from_value(all["user_metadata"].clone()).unwrap_or_default()
        };
        self.segments().into_iter().map(|(key, content)| Stored::new(key.clone(), content, beside(&key))).collect()
    }

    /// What stands beside an object, as JSON.
    pub fn beside(&self, key: &str) -> String {
        let name = fs::read_dir(self.root()).into_iter().flatten().flatten().map(|entry| entry.path());
        let encoded = data_encoding::BASE64URL_NOPAD.encode(key.as_bytes());
        let mut found = name.filter(|path| path.to_string_lossy().contains(&encoded));
        found.find(|path| path.to_string_lossy().contains("metadata")).map(|path| read(&path)).unwrap_or_default()
    }
}

fn collect(root: &Path, folder: &Path, all: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, all);
        } else if let Ok(content) = fs::read(&path) {
            let key = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            all.insert(key, content);
        }
    }
}
