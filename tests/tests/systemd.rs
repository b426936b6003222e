//! Services of systemd: a systemd of this test's own on a real bus, on a private socket, and one that says nothing.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::World;
use tests::world::control::Said;
use tests::world::process::Process;
use tests::world::services::Services;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, fdo};

/// A unit of that systemd.
#[derive(Clone)]
struct Feigned {
    load: &'static str,
    active: &'static str,
    file: &'static str,
    pid: u32,
    /// How its jobs end; without a word they never do.
    job: Option<&'static str>,
}

const PLAIN: Feigned = Feigned { load: "loaded", active: "inactive", file: "enabled", pid: 0, job: Some("done") };

#[derive(Clone, Default)]
struct House {
    units: Arc<Mutex<BTreeMap<String, Feigned>>>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn call(&self, text: String) {
        self.calls.lock().unwrap().push(text);
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn unit(&self, name: &str) -> Feigned {
        let absent = Feigned { load: "not-found", file: "", ..PLAIN };
        self.units.lock().unwrap().get(name).cloned().unwrap_or(absent)
    }

    fn with(self, name: &str, unit: Feigned) -> House {
        self.units.lock().unwrap().insert(name.into(), unit);
        self
    }

    fn change(&self, name: &str, change: impl Fn(&mut Feigned)) {
        if let Some(unit) = self.units.lock().unwrap().get_mut(name) {
            change(unit);
        }
    }
}

struct Manager(House);

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum Refusal {
    #[zbus(error)]
    ZBus(zbus::Error),
    UnitMasked(String),
}

fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text.to_owned()).unwrap()
}

impl Manager {
    /// The job ends before its answer is read, as short ones do.
    async fn job(
        &self,
        what: &str,
        name: &str,
        emitter: &SignalEmitter<'_>,
        after: fn(&mut Feigned),
    ) -> Result<OwnedObjectPath, Refusal> {
        self.0.call(format!("{what} {name}"));
        let unit = self.0.unit(name);
        if unit.load == "masked" && what != "stop" {
            return Err(Refusal::UnitMasked(format!("Unit {name} is masked.")));
        }
        let job = path("/org/freedesktop/systemd1/job/7");
        let other = path("/org/freedesktop/systemd1/job/6");
        Manager::job_removed(emitter, 6, other, "other.service", "failed").await?;
        if let Some(result) = unit.job {
            if result == "done" {
                self.0.change(name, after);
            }
            Manager::job_removed(emitter, 7, job.clone(), name, result).await?;
        }
        Ok(job)
    }
}

#[zbus::interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn load_unit(
        &self,
        name: &str,
        #[zbus(object_server)] server: &zbus::ObjectServer,
    ) -> fdo::Result<OwnedObjectPath> {
        let escaped: String = name
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { (byte as char).to_string() } else { format!("_{byte:02x}") })
            .collect();
        let path = path(&format!("/org/freedesktop/systemd1/unit/{escaped}"));
        let _ = server.at(&path, Unit(self.0.clone(), name.into())).await;
        let _ = server.at(&path, Service(self.0.clone(), name.into())).await;
        Ok(path)
    }
    async fn start_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("start", name, &emitter, |unit| (unit.active, unit.pid) = ("active", 4711)).await
    }
    async fn stop_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("stop", name, &emitter, |unit| (unit.active, unit.pid) = ("inactive", 0)).await
    }
    async fn restart_unit(
        &self,
        name: &str,
        _mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, Refusal> {
        self.job("restart", name, &emitter, |unit| (unit.active, unit.pid) = ("active", 4712)).await
    }
    async fn enable_unit_files(
        &self,
        files: Vec<String>,
        _runtime: bool,
        _force: bool,
    ) -> (bool, Vec<(String, String, String)>) {
        self.0.call(format!("enable {}", files.join(" ")));
        self.0.change(&files[0], |unit| unit.file = "enabled");
        (true, vec![("symlink".into(), "/etc/x".into(), "/lib/x".into())])
    }
    async fn disable_unit_files(&self, files: Vec<String>, _runtime: bool) -> Vec<(String, String, String)> {
        self.0.call(format!("disable {}", files.join(" ")));
        self.0.change(&files[0], |unit| unit.file = "disabled");
        Vec::new()
    }
    async fn reload(&self) {
        self.0.call("reload".into());
    }
    async fn subscribe(&self) {
        self.0.call("subscribe".into());
    }
    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}

struct Unit(House, String);

#[zbus::interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn load_state(&self) -> String {
        self.0.unit(&self.1).load.into()
    }
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.0.unit(&self.1).active.into()
    }
    #[zbus(property)]
    fn unit_file_state(&self) -> String {
        self.0.unit(&self.1).file.into()
    }
    #[zbus(property)]
    fn active_enter_timestamp_monotonic(&self) -> u64 {
        0
    }
    #[zbus(property)]
    fn inactive_enter_timestamp_monotonic(&self) -> u64 {
        0
    }
}

struct Service(House, String);

#[zbus::interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.0.unit(&self.1).pid
    }
}

/// Runs beside the test, as long as the test program does.
fn aside(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime.block_on(work));
}

/// A bus with that systemd on it, and services beside it.
struct Bus {
    services: Services,
    address: String,
    house: House,
    _daemon: Process,
}

impl Bus {
    fn start(world: &World, house: House) -> Bus {
        let socket = world.path("bus");
        let config = format!(
            "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\"><allow own=\"*\"/>\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow user=\"*\"/></policy></busconfig>",
            socket.display()
        );
        fs::write(world.path("bus.conf"), config).unwrap();
        let mut command = world.command("dbus-daemon");
        command.arg("--nofork").arg(format!("--config-file={}", world.path("bus.conf").display()));
        let daemon = Process::start(world, &mut command, &world.path("dbus-daemon"));
        world.until("the bus is there", || UnixStream::connect(&socket).is_ok());
        let address = format!("unix:path={}", socket.display());
        let (there, wait) = std::sync::mpsc::channel();
        let (manager, on) = (Manager(house.clone()), address.clone());
        aside(async move {
            let builder = zbus::connection::Builder::address(on.as_str()).name("org.freedesktop.systemd1");
            let systemd = builder.serve_at("/org/freedesktop/systemd1", manager).build().await.unwrap();
            there.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(systemd);
        });
        wait.recv().unwrap();
        Bus { services: Services::new(world), address, house, _daemon: daemon }
    }

    fn pistop(&self, words: &[&str]) -> Said {
        let directory = self.services.directory().display().to_string();
        let mut command = self.services.command(&[words, &["--servicedir", &directory]].concat());
        self.services.run(command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.address))
    }
}

#[test]
fn units_are_started_and_stopped_and_their_jobs_are_waited_for() {
    let world = World::new();
    let bus = Bus::start(&world, House::default().with("mpd.service", PLAIN).with("mpd.socket", PLAIN));
    let said = bus.pistop(&["start", "mpd"]);
    assert!(said.status.success() && said.output == "mpd.service: up (pid 4711) 0 seconds\n", "{said:?}");
    assert_eq!(bus.house.calls(), ["subscribe", "start mpd.service"]);
    let said = bus.pistop(&["restart", "mpd.service"]);
    assert!(said.output.starts_with("mpd.service: up (pid 4712) "), "{said:?}");
    let said = bus.pistop(&["stop", "mpd", "mpd.socket"]);
    assert_eq!(said.output, "mpd.service: down 0 seconds, normally up\nmpd.socket: down 0 seconds, normally up\n");
    bus.house.calls();
    let said = bus.pistop(&["disable", "mpd"]);
    assert_eq!(said.output, "mpd.service: down 0 seconds\n");
    assert_eq!(bus.house.calls(), ["disable mpd.service", "reload"]);
    assert_eq!(bus.pistop(&["enable", "mpd"]).output, "mpd.service: down 0 seconds, normally up\n");
    assert_eq!(bus.house.calls(), ["enable mpd.service", "reload"]);
    let json: serde_json::Value = serde_json::from_str(&bus.pistop(&["status", "--json", "mpd"]).output).unwrap();
    assert_eq!((&json[0]["supervisor"], &json[0]["up"]), (&"systemd".into(), &false.into()));
}

#[test]
fn the_log_of_a_unit_is_journalctls() {
    let world = World::new();
    let bus = Bus::start(&world, House::default().with("mpd.service", PLAIN));
    tests::world::executable(&world.path("bin/journalctl"), "#!/bin/sh\necho \"$*\"\n");
    assert_eq!(bus.pistop(&["logs", "mpd"]).output, "--unit mpd.service --lines 50\n");
    assert_eq!(bus.pistop(&["logs", "mpd", "-f", "-n", "7"]).output, "--unit mpd.service --lines 7 --follow\n");
}

#[test]
fn who_runs_it_already_is_told() {
    let world = World::new();
    let bus =
        Bus::start(&world, House::default().with("fclient.service", Feigned { active: "active", pid: 7, ..PLAIN }));
    let said = bus.pistop(&[
        "service",
        "add",
        "fclient",
        "--supervisor",
        "daemontools",
        "--logdir",
        &world.path("logs").display().to_string(),
    ]);
    assert!(said.status.success() && said.output.contains("systemd runs fclient.service as well"), "{said:?}");
    // The one in the service directory goes by the plain name, the other one by its unit's.
    assert!(bus.pistop(&["stop", "fclient"]).output.contains("/fclient: supervise not running"));
    assert!(bus.pistop(&["stop", "fclient.service"]).output.contains("fclient.service: down "));
}

#[test]
fn a_masked_unit_is_named_and_stops_nobody_who_asked_if_it_is_present() {
    let world = World::new();
    let masked = Feigned { load: "masked", file: "masked", ..PLAIN };
    let running = Feigned { active: "active", pid: 7, ..masked.clone() };
    let bus = Bus::start(&world, House::default().with("mpd.service", masked).with("icecast.service", running));
    for verb in ["start", "stop", "restart"] {
        let said = bus.pistop(&[verb, "mpd"]);
        assert_eq!(said.status.code(), Some(100), "{verb}: {said:?}");
        assert!(
            said.error.contains("mpd.service is masked, so it was not ")
                && said.error.contains("systemctl unmask mpd.service"),
            "{said:?}"
        );
    }
    let said = bus.pistop(&["stop", "mpd", "--if-present"]);
    assert!(said.status.success() && said.output.contains("mpd.service is masked"), "{said:?}");
    assert_eq!(bus.pistop(&["start", "mpd", "--if-present"]).status.code(), Some(100));
    assert_eq!(bus.house.calls(), [""; 0], "systemd was told nothing");
    let said = bus.pistop(&["stop", "icecast"]);
    assert!(
        said.status.success() && said.output.contains("icecast.service: down 0 seconds"),
        "it ran, so it is stopped: {said:?}"
    );
    assert!(bus.pistop(&["status", "mpd"]).output.ends_with(", masked\n"));
}

#[test]
fn what_systemd_does_not_know_or_cannot_do_is_told() {
    let world = World::new();
    let failing = Feigned { job: Some("failed"), ..PLAIN };
    let bus = Bus::start(&world, House::default().with("broken.service", failing));
    assert_eq!(bus.pistop(&["stop", "nothing"]).status.code(), Some(100));
    let said = bus.pistop(&["stop", "nothing", "--if-present"]);
    assert!(said.status.success() && said.output.contains("there is no such service here"), "{said:?}");
    let said = bus.pistop(&["start", "broken"]);
    assert_eq!(said.status.code(), Some(100));
    assert!(said.error.contains("broken.service was not started: systemd's job ended as `failed`"), "{said:?}");
}

#[test]
fn a_job_that_never_ends_ends_the_waiting_only() {
    let world = World::new();
    let hanging = Feigned { job: None, ..PLAIN };
    let bus = Bus::start(&world, House::default().with("mpd.service", hanging));
    let start = Instant::now();
    let said = bus.pistop(&["stop", "mpd", "--deadline", "1"]);
    assert_eq!(said.status.code(), Some(111), "{said:?}");
    assert!(
        said.error.contains("mpd.service was not stopped") || said.error.contains("mpd was not stopped"),
        "{said:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_bus_that_accepts_and_says_nothing_holds_nobody_up() {
    let world = World::new();
    let services = Services::new(&world);
    let _silent = UnixListener::bind(world.path("bus")).unwrap();
    let address = format!("unix:path={}", world.path("bus").display());
    let directory = services.directory().display().to_string();
    let words: [&[&str]; 4] = [
        &["stop", "mpd"],
        &["start", "mpd", "--if-present"],
        &["status", "mpd"],
        &["service", "add", "fclient", "--supervisor", "systemd"],
    ];
    for words in words {
        let start = Instant::now();
        let mut command = services.command(&[words, &["--servicedir", &directory, "--deadline", "1"]].concat());
        let said = services.run(command.env("DBUS_SYSTEM_BUS_ADDRESS", &address));
        assert_eq!(said.status.code(), Some(111), "{words:?}: {said:?}");
        assert!(said.error.contains("no answer in 1 s"), "{said:?}");
        assert!(start.elapsed() < Duration::from_secs(10), "{words:?}: {:?}", start.elapsed());
    }
    let mut command = services.command(&["service", "list", "--servicedir", &directory]);
    assert!(services.run(command.env("DBUS_SYSTEM_BUS_ADDRESS", &address)).status.success());
    assert!(services.tree().is_empty(), "nothing was added: {:?}", services.tree());
}

#[test]
fn a_bus_that_is_not_there_is_told() {
    let world = World::new();
    let services = Services::new(&world);
    let directory = services.directory().display().to_string();
    let mut command = services.command(&["stop", "mpd", "--servicedir", &directory]);
    let said = services.run(command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus"));
    assert_eq!(said.status.code(), Some(111), "{said:?}");
    assert!(said.error.contains("the bus of the system was not reached"), "{said:?}");
}

#[test]
fn a_service_of_systemd_is_added_once_kept_up_to_date_and_taken_away() {
    let world = World::new();
    let bus = Bus::start(&world, House::default().with("fclient.service", Feigned { file: "disabled", ..PLAIN }));
    let units = world.path("units/x").with_file_name("").display().to_string();
    let add = |flags: &[&str]| {
        bus.pistop(&[&["service", "add", "fclient", "--supervisor", "systemd", "--unitdir", &units], flags].concat())
    };
    let would = add(&["--host", "attic", "--dry-run"]);
    assert!(would.status.success() && bus.services.tree().is_empty(), "{would:?}");
    assert_eq!(bus.house.calls(), [""; 0]);
    let said = add(&["--host", "attic"]);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(would.output.replace("would ", ""), said.output);
    assert_eq!(bus.house.calls(), ["reload", "enable fclient.service", "reload", "subscribe", "start fclient.service"]);
    let unit = fs::read_to_string(world.path("units/fclient.service")).unwrap();
    let variables = bus.services.path("fclient/variables").display().to_string();
    assert!(
        unit.contains(&format!(
            "ExecStart=/usr/bin/fclient --config /etc/pistop/fclient.toml --variables {variables}\n"
        )),
        "{unit}"
    );
    assert!(!bus.services.path("fclient/run").exists(), "an svscan would run it a second time");
    let said = add(&[]);
    assert!(said.output.ends_with("/fclient is unchanged\n") && bus.house.calls().is_empty(), "{said:?}");
    assert!(bus.pistop(&["stop", "fclient"]).status.success());
    bus.house.calls();
    assert!(add(&["--port", "5556"]).status.success());
    assert_eq!(bus.house.calls(), [""; 0], "whoever stopped it is not overruled");
    assert_eq!(bus.services.text("fclient/variables/PORT"), "5556\n");
    let said = bus.pistop(&["service", "add", "fclient", "--supervisor", "daemontools"]);
    assert_eq!(said.status.code(), Some(100));
    assert!(said.error.contains("is already a service of systemd"), "{said:?}");
    fs::write(world.path("units/fclient.service"), unit + "# mine\n").unwrap();
    assert!(add(&[]).output.contains("fclient.service: it was edited by hand"));
    assert!(bus.pistop(&["start", "fclient"]).status.success());
    bus.house.calls();
    let keep = world.path("kept").display().to_string();
    let said = bus.pistop(&["service", "del", "fclient", "--keepdir", &keep]);
    assert!(said.status.success() && said.output.contains("stop and disable fclient.service"), "{said:?}");
    assert_eq!(bus.house.calls(), ["subscribe", "stop fclient.service", "disable fclient.service", "reload", "reload"]);
    assert!(!world.path("units/fclient.service").exists() && bus.services.tree().is_empty());
    let kept = fs::read_dir(&keep).unwrap().next().unwrap().unwrap().path();
    assert!(fs::read_to_string(kept.join("fclient.service")).unwrap().ends_with("# mine\n"));
}

/// A package starts it before anybody says where its variables are.
#[test]
fn a_unit_that_runs_already_goes_on_as_it_is_and_that_is_told() {
    let world = World::new();
    let running = Feigned { active: "active", pid: 7, ..PLAIN };
    let bus = Bus::start(&world, House::default().with("fserver.service", running));
    let units = world.path("units/x").with_file_name("").display().to_string();
    let add = |more: &[&str]| {
        bus.pistop(&[&["service", "add", "fserver", "--supervisor", "systemd", "--unitdir", &units], more].concat())
    };
    for more in [&["--dry-run"][..], &[]] {
        let said = add(more);
        assert!(said.status.success() && said.output.contains("until `pistop restart fserver`"), "{said:?}");
    }
}

#[test]
fn a_start_that_failed_is_made_up_for_by_the_next_add() {
    let world = World::new();
    let bus = Bus::start(&world, House::default().with("fclient.service", Feigned { job: Some("timeout"), ..PLAIN }));
    let units = world.path("units/x").with_file_name("").display().to_string();
    let add = || bus.pistop(&["service", "add", "fclient", "--supervisor", "systemd", "--unitdir", &units]);
    assert_eq!(add().status.code(), Some(111));
    bus.house.change("fclient.service", |unit| unit.job = Some("done"));
    bus.house.calls();
    let said = add();
    assert!(said.status.success(), "{said:?}");
    assert!(bus.house.calls().contains(&"start fclient.service".to_owned()));
    assert!(add().output.ends_with("is unchanged\n"));
}

/// As root where no bus runs: systemd's own socket, in a mount namespace with a `/run` of its own.
#[test]
fn without_a_bus_root_speaks_to_systemd_itself() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("not done: only root may speak to systemd itself");
        return;
    }
    let world = World::new();
    let services = Services::new(&world);
    fs::create_dir_all(world.path("run/system")).unwrap();
    let socket = world.path("run/private");
    let house = House::default().with("mpd.service", PLAIN);
    let serving = house.clone();
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    aside(async move {
        let listener = tokio::net::UnixListener::from_std(listener).unwrap();
        let mut all = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            let stream = stream.into_std().unwrap();
            let builder = zbus::connection::Builder::unix_stream(stream).server(zbus::Guid::generate()).p2p();
            all.push(builder.serve_at("/org/freedesktop/systemd1", Manager(serving.clone())).build().await.unwrap());
        }
    });
    let directory = services.directory().display().to_string();
    let pistop = services.command(&["start", "mpd", "--servicedir", &directory]);
    let inside = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd && mount --bind '{}' /run/systemd && exec \"$@\"",
        world.path("run").display()
    );
    let mut command = world.command("unshare");
    command.args(["--mount", "sh", "-c", &inside, "sh"]).arg(pistop.get_program()).args(pistop.get_args());
    let said = services.run(&mut command);
    assert!(said.status.success() && said.output == "mpd.service: up (pid 4711) 0 seconds\n", "{said:?}");
    assert_eq!(house.calls(), ["subscribe", "start mpd.service"]);
}
