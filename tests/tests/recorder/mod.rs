//! A recorder with cameras of ours, and ways to look at what it recorded.
#![allow(dead_code, reason = "each test binary compiles the whole module and uses its part")]

use esp32::Camera;
use esp32::scene::number_of_gray;
use nix::sys::signal::Signal;
use segments::{Contents, Found};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::World;
use tests::world::process::Process;
use tests::world::programs;

/// What a recorder is started with.
pub struct Recorder {
    pub world: World,
    settings: BTreeMap<String, String>,
    /// Words before the program, such as `unshare`.
    pub wrapper: Vec<String>,
}

impl Recorder {
    /// With the names of cameras, none of which has a setting yet.
    pub fn of(cameras: &str) -> Recorder {
        let world = World::new();
        let mut recorder = Recorder { world, settings: BTreeMap::new(), wrapper: Vec::new() };
        fs::create_dir_all(recorder.world.path("default")).unwrap();
        for (name, place) in
            [("CAMERA_DIR", "cameras"), ("DEFAULTS_DIR", "default"), ("RAM_DIR", "ram"), ("DOOR", "no-door")]
        {
            let path = recorder.world.path(place).display().to_string();
            recorder.set(name, &path);
        }
        let registry = recorder.world.path("registry").display().to_string();
        recorder
            .set("GST_REGISTRY", &registry)
            .set("CAMERAS", cameras)
            .set("CLOCK_DIR", "/nowhere")
            .set("RAM_MOUNT", "off");
        recorder
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Recorder {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// A camera's file: its stream, and these settings.
    pub fn camera(&mut self, name: &str, camera: &Camera, settings: &str) -> &mut Recorder {
        let path = self.world.path(&format!("cameras/{name}"));
        fs::write(path, format!("URL={}\n{settings}\n", camera.url())).unwrap();
        self
    }

    pub fn start(&self) -> Process {
        let program = programs::find("camera");
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).chain([program.to_str().unwrap()]).collect();
        let mut command = self.world.command(words[0]);
        command.args(&words[1..]).envs(&self.settings).env("PISTOP_LOG", "info");
        Process::start(&self.world, &mut command, &self.world.path("camera"))
    }

    pub fn folder(&self, camera: &str) -> PathBuf {
        self.world.path("ram").join(camera)
    }

    pub fn contents(&self, camera: &str) -> Contents {
        segments::read(&self.folder(camera)).unwrap()
    }

    /// Finished segments, oldest first.
    pub fn closed(&self, camera: &str) -> Vec<Found> {
        self.contents(camera).closed
    }

    /// Waits for so many of them.
    #[track_caller]
    pub fn wait_for(&self, camera: &str, count: usize) -> Vec<Found> {
        let patience = std::time::Duration::from_secs(60);
        self.world
            .until_within(patience, &format!("{camera} has {count} segments"), || self.closed(camera).len() >= count);
        self.closed(camera)
    }
}

/// Ends a recorder as its supervisor does.
#[track_caller]
pub fn end(mut recorder: Process) -> String {
    let status = recorder.stop(Signal::SIGTERM);
    assert!(status.success(), "{status}\n{}", recorder.log());
    recorder.log()
}

fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|why| panic!("{program}: {why}; install ffmpeg"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.trim().is_empty(), "{program} {arguments:?}: {told}");
    output.stdout
}

/// One segment as ffprobe sees it: length in seconds, flags of each packet.
pub fn probe(path: &Path) -> (f64, Vec<String>) {
    let path = path.to_str().unwrap();
    let show = ["-v", "error", "-show_entries", "format=duration:packet=flags", "-of", "json", path];
    let json: serde_json::Value = serde_json::from_slice(&run("ffprobe", &show)).unwrap();
    let packets = json["packets"].as_array().unwrap().iter();
    let flags = packets.map(|packet| packet["flags"].as_str().unwrap().to_owned()).collect();
    (json["format"]["duration"].as_str().unwrap().parse().unwrap(), flags)
}

/// The numbers of all pictures in a segment that is played alone; a decoder that complains is a failure.
pub fn numbers(found: &Found) -> Vec<u32> {
    let (width, height) = (found.label.width as usize, found.label.height as usize);
    let path = found.path.to_str().unwrap();
    // Each picture once, whatever its time: raw video has a coarser clock than a transport stream.
    let whole = ["-v", "error", "-i", path, "-vf", "setpts=N/25/TB", "-r", "25", "-fps_mode", "passthrough"];
    let gray = run("ffmpeg", &[&whole[..], &["-pix_fmt", "gray", "-f", "rawvideo", "-"]].concat());
    assert_eq!(gray.len() % (width * height), 0, "pictures of another size are in {path}");
    gray.chunks(width * height)
        .map(|picture| number_of_gray(picture, width).unwrap_or_else(|| panic!("a picture in {path} has no number")))
        .collect()
}

/// Each segment begins with the tables and a key frame, is what its label says, and plays alone. The numbers of all pictures.
#[track_caller]
pub fn sound(all: &[Found]) -> Vec<u32> {
    let mut shown = Vec::new();
    for found in all {
        let bytes = fs::read(&found.path).unwrap();
        assert_eq!((bytes[0], bytes[1] & 0x1f, bytes[2]), (0x47, 0, 0), "the table of programs comes first");
        assert_eq!(bytes.len() as u64, found.label.bytes);
        let (length, flags) = probe(&found.path);
        assert!(flags[0].starts_with('K'), "{flags:?}");
        let said = found.label.duration_ms as f64 / 1000.0;
        assert!((length - said).abs() < 0.3, "{}: {length} s, its label says {said} s", found.path.display());
        let numbers = numbers(found);
        assert_eq!((numbers.len(), flags.len()), (found.label.frames as usize, found.label.frames as usize));
        shown.extend(numbers);
    }
    shown
}
