//! `camera` with cameras of ours, and ways to look at what it recorded.

use super::control::Said;
use super::process::Process;
use super::{World, programs};
use esp32::Camera;
use esp32::scene::number_of_gray;
use nix::sys::signal::Signal;
use segments::{Contents, Found};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What a recorder is started with.
#[derive(Debug)]
pub struct Recorder {
    /// Where it lives.
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
        fs::create_dir_all(recorder.world.path("default")).expect("the scratch directory can be written");
        for (name, place) in [
            ("CAMERA_DIR", "cameras"),
            ("DEFAULTS_DIR", "default"),
            ("SWITCH_DIR", "switches"),
            ("RAM_DIR", "ram"),
            ("DOOR", "no-door"),
        ] {
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

    /// A variable of its environment.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Recorder {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// A camera's file: its stream, and these settings.
    pub fn camera(&mut self, name: &str, camera: &Camera, settings: &str) -> &mut Recorder {
        let path = self.world.path(&format!("cameras/{name}"));
        fs::write(path, format!("URL={}\n{settings}\n", camera.url())).expect("the scratch directory can be written");
        self
    }

    /// What it is started with.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Runs `pistop cam` with these words to its end. Services are those in the folder `services` of the world.
    #[track_caller]
    pub fn cam(&self, words: &[&str]) -> Said {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let key = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        let lines = self.settings.iter().map(|(name, value)| format!("{} = {value:?}\n", key(name)));
        let config = self.world.path("camera.toml");
        fs::write(&config, lines.collect::<String>()).expect("the scratch directory can be written");
        let mut command = self.world.command(programs::find("pistop"));
        command.arg("cam").args(words).arg("--camera-config").arg(config);
        command.arg("--servicedir").arg(self.world.path("services")).arg("--door").arg(&self.settings["DOOR"]);
        command.env("TZ", "Asia/Kolkata");
        let path = self.world.path(&format!("said/cam-{}", CALLS.fetch_add(1, Ordering::Relaxed)));
        let mut process = Process::start(&self.world, &mut command, &path);
        let status = process.wait_exit();
        Said { status, output: process.output(), error: process.log() }
    }

    /// The same where it has to succeed; gives what it printed.
    #[track_caller]
    pub fn cam_does(&self, words: &[&str]) -> String {
        let said = self.cam(words);
        assert!(said.status.success(), "{words:?}: {said:?}");
        said.output
    }

    /// The same where it cannot; gives the exit code and what it said.
    #[track_caller]
    pub fn cam_refuses(&self, words: &[&str]) -> (i32, String) {
        let said = self.cam(words);
        (said.status.code().expect("it ended by itself"), said.error)
    }

    /// Starts it.
    pub fn start(&self) -> Process {
        let program = programs::find("camera").display().to_string();
        let words: Vec<&str> = self.wrapper.iter().map(String::as_str).chain([program.as_str()]).collect();
        let mut command = self.world.command(words[0]);
        command.args(&words[1..]).envs(&self.settings).env("PISTOP_LOG", "info");
        Process::start(&self.world, &mut command, &self.world.path("camera"))
    }

    /// Where a camera's segments are.
    pub fn folder(&self, camera: &str) -> PathBuf {
        self.world.path("ram").join(camera)
    }

    /// What lies there.
    pub fn contents(&self, camera: &str) -> Contents {
        segments::read(&self.folder(camera)).expect("the folder can be read")
    }

    /// Finished segments, oldest first.
    pub fn closed(&self, camera: &str) -> Vec<Found> {
        self.contents(camera).closed
    }

    /// Waits for so many of them.
    #[track_caller]
    pub fn wait_for(&self, camera: &str, count: usize) -> Vec<Found> {
        let patience = Duration::from_secs(60);
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
///
/// # Panics
/// ffprobe complains.
pub fn probe(path: &Path) -> (f64, Vec<String>) {
    let path = path.display().to_string();
    let show = ["-v", "error", "-show_entries", "format=duration:packet=flags", "-of", "json", &path];
    let json: serde_json::Value = serde_json::from_slice(&run("ffprobe", &show)).expect("ffprobe writes JSON");
    let packets = json["packets"].as_array().expect("packets were asked for").iter();
    let flags = packets.map(|packet| packet["flags"].as_str().unwrap_or_default().to_owned()).collect();
    let length = json["format"]["duration"].as_str().and_then(|text| text.parse().ok());
    (length.expect("a length was asked for"), flags)
}

/// Whether these bytes are a segment that begins with a key frame and plays; why it does not is told on standard error.
pub fn plays(content: &[u8]) -> bool {
    let file = tempfile::NamedTempFile::new().and_then(|file| fs::write(file.path(), content).map(|()| file));
    let file = file.expect("a scratch file in $TMPDIR");
    let probed = std::panic::catch_unwind(|| probe(file.path()));
    probed.is_ok_and(|(_, flags)| flags.first().is_some_and(|flags| flags.starts_with('K')))
}

/// The numbers of all pictures in a segment that is played alone.
///
/// # Panics
/// A decoder complains, or a picture shows no number.
pub fn numbers(path: &Path, width: usize, height: usize) -> Vec<u32> {
    let path = &path.display().to_string();
    // Each picture once, whatever its time: raw video has a coarser clock than a transport stream.
    let whole = ["-v", "error", "-i", path, "-vf", "setpts=N/25/TB", "-r", "25", "-fps_mode", "passthrough"];
    let gray = run("ffmpeg", &[&whole[..], &["-pix_fmt", "gray", "-f", "rawvideo", "-"]].concat());
    assert_eq!(gray.len() % (width * height), 0, "pictures of another size are in {path}");
    gray.chunks(width * height)
        .map(|picture| number_of_gray(picture, width).unwrap_or_else(|| panic!("a picture in {path} has no number")))
        .collect()
}

/// Each segment begins with the tables and a key frame, is what its label says, and plays alone. The numbers of all
/// pictures.
///
/// # Panics
/// One is not so.
#[track_caller]
pub fn sound(all: &[Found]) -> Vec<u32> {
    let mut shown = Vec::new();
    for found in all {
        let bytes = fs::read(&found.path).expect("it is there");
        assert_eq!((bytes[0], bytes[1] & 0x1f, bytes[2]), (0x47, 0, 0), "the table of programs comes first");
        assert_eq!(bytes.len() as u64, found.label.bytes);
        let (length, flags) = probe(&found.path);
        assert!(flags[0].starts_with('K'), "{flags:?}");
        let said = found.label.duration_ms as f64 / 1000.0;
        // The last picture is shown until the next one was taken, of which ffprobe knows nothing.
        let longer = said - length;
        assert!((-0.3..1.0).contains(&longer), "{}: {length} s, its label says {said} s", found.path.display());
        let numbers = numbers(&found.path, found.label.width as usize, found.label.height as usize);
        assert_eq!((numbers.len(), flags.len()), (found.label.frames as usize, found.label.frames as usize));
        shown.extend(numbers);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_recording_does_not_play() {
        assert!(!plays(b"") && !plays(&[0x47; 188 * 20]));
    }
}
