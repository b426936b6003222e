//! The end of an evening with cameras: the file server goes, and a machine that records in RAM goes off with it.
//! fserver, fclient with the shipped hooks, camera and upload under the real daemontools, and a storage at the end of a slow line.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::World;
use tests::b2::{B2, Fault};
use tests::world::actor::Actor;
use tests::world::server::Server;
use tests::world::services::Services;
use tests::world::uploads::Recordings;
use tests::world::{executable, programs, read};

const SIZE: usize = 100 * 1024;
const BACKLOG: usize = 20;
/// What the line takes in a second, in bytes.
const LINE: u64 = 60 * 1024;

/// The file server, the machine with the camera, and what runs there.
struct Evening {
    world: World,
    attic: Server,
    shed: Actor,
    recordings: Recordings,
    _services: Services,
}

impl Evening {
    fn begin(endpoint: &str, world: &World) -> Evening {
        let attic = world.server("attic").hook("upload-failed/50-note-it", "event $FACT_WHY").start();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hooks").display().to_string();
        let shed = world.client("shed").of(&attic).without_hooks();
        let shed =
            [("HOOKS", &*shipped), ("CAMERAS", "camera"), ("UPLOADS", "upload"), ("POWER_OFF", "1"), ("MPD", "")]
                .into_iter()
                .fold(shed, |shed, (name, value)| shed.variable(name, value));
        let recordings = Recordings::new(world, "recordings", endpoint);
        recordings.set("DOOR", &shed.place().path("bus.sock").display().to_string());
        let services = services(world, &recordings, &shed.place().path("bus.sock"));
        Evening { world: world.clone(), attic, recordings, shed: shed.start(), _services: services }
    }

    fn log(&self, program: &str) -> String {
        read(&self.world.path(&format!("{program}.log")))
    }

    fn until_log(&self, program: &str, text: &str) {
        self.world.until(&format!("{program} logs `{text}`"), || self.log(program).contains(text));
    }
}

/// Both are started and stopped by hooks; `pistop` there is the real one, for these services alone.
fn services(world: &World, recordings: &Recordings, door: &Path) -> Services {
    let services = Services::new(world);
    let path = |name: &str| world.path(name).display().to_string();
    let camera = format!(
        "export CAMERAS=cam1 CAMERA_DIR='{}' DEFAULTS_DIR='{}' RAM_DIR='{}' DOOR='{}' GST_REGISTRY='{}'\n\
         export CLOCK_DIR=/nowhere RAM_MOUNT=off PISTOP_LOG=info\nexec '{}'",
        path("cameras"),
        path("default"),
        recordings.ram().display(),
        door.display(),
        path("registry"),
        programs::find("camera").display()
    );
    let variables = recordings.path("variables");
    let upload = format!("exec '{}' --variables '{}'", programs::find("upload").display(), variables.display());
    for (name, text) in [("camera", camera), ("upload", upload)] {
        let log = path(&format!("{name}.log"));
        executable(&services.path(name).join("run"), &format!("#!/bin/sh\nexec >>'{log}' 2>&1\n{text}\n"));
        fs::write(services.path(name).join("down"), "").unwrap();
    }
    let pistop: PathBuf = world.path("bin/pistop");
    fs::remove_file(&pistop).unwrap();
    let only_these = format!(
        "#!/bin/sh\nfor last; do :; done\ncase $last in camera|upload) ;; *) exit 0;; esac\nverb=$1; shift\n\
         exec '{}' \"$verb\" --servicedir '{}' \"$@\"\n",
        programs::find("pistop").display(),
        services.directory().display()
    );
    executable(&pistop, &only_these);
    services.watched()
}

/// What lies there at the beginning is more than the deadline allows. The storage was busy and is tried again in a
/// minute only, unless somebody knows better.
#[test]
fn what_the_deadline_allows_is_uploaded_and_what_stays_is_said_before_the_machine_goes_off() {
    let camera = esp32::Camera::start(vec![]).unwrap();
    let world = World::new();
    let b2 = B2::start(world.address());
    b2.state().always = Some(Fault::Busy(60));
    let text = format!("URL={}\nMOTION_PERCENT=0\nBITRATE=100\nSEGMENT_SEC=600\n", camera.url());
    fs::write(world.path("cameras/cam1"), text).unwrap();
    let mut evening = Evening::begin(&b2.endpoint(), &world);
    for (name, value) in [("RATE", "60"), ("RETRY_FIRST", "60"), ("RETRY_LAST", "60"), ("PARALLEL", "1")] {
        evening.recordings.set(name, value);
    }
    for second in 0..BACKLOG {
        evening.recordings.record("cam9", second as f64, 1.0, SIZE, second == 0);
    }
    evening.until_log("upload", "is not uploaded: http");
    let folder = evening.recordings.ram().join("cam1");
    let open = || segments::read(&folder).is_ok_and(|contents| contents.parts.iter().any(|part| part.bytes > 20_000));
    world.until("it records", open);
    b2.state().always = Some(Fault::Slow(LINE));
    let mut shutdown = evening.attic.pistop_begins(&["shutdown", "--deadline", "20", "--reason", "night"]);
    let patience = Duration::from_secs(60);
    world.until_within(patience, "the machine goes off", || evening.shed.powered_off() == 1);
    world.until_within(patience, "the server has let everybody go", || shutdown.ended().is_some());
    assert!(shutdown.ended().unwrap().success() && !shutdown.output().contains("late"), "{}", shutdown.output());

    let (there, left) = (b2.stored(), evening.recordings.left());
    let of = |camera: &str| there.iter().filter(|stored| stored.camera() == camera).collect::<Vec<_>>();
    assert!(
        of("cam9").iter().any(|stored| stored.key == "cam9/2026/11/26/07/cam_9_2026_11_26_07_24_01.ts"),
        "the marked one: {:?}",
        b2.segments()
    );
    assert_eq!(of("cam9").len() + left, BACKLOG, "all of the camera's own is there");
    assert!((1..BACKLOG).contains(&left), "{left}");
    let own = of("cam1");
    assert!(!own.is_empty(), "what was recorded when it was announced; what came until the end, if anything did");
    for stored in &own {
        assert_eq!(stored.beside("reason"), "stopped", "{}", stored.key);
    }
    let words = format!("the program ends, and {left} segments of {} bytes are not uploaded yet", left * SIZE);
    evening.attic.until_event(&words);
    for text in ["the server goes within ", &format!("{left} segments of {} bytes stay in", left * SIZE)] {
        assert!(evening.log("upload").contains(text), "{text}: {}", evening.log("upload"));
    }
    assert!(
        evening.log("camera").contains("the open segments are closed, and others begun"),
        "{}",
        evening.log("camera")
    );
}
