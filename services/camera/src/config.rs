//! The settings of camera: every key with its default and its meaning, those of the program and those of each camera, the flags, and the
//! checked result. A camera whose settings cannot be used is left out and told; the others are recorded.

use clap::{Parser, Subcommand};
use jiff::civil::Time;
use mjpeg::Url;
use runner::exit::Failure;
use runner::settings::{BadConfig, Setting, Settings, Sources};
use segments::places::{self, Places, within};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// Every key of the program; the variable of the same name is written in upper case with `_`.
pub const SETTINGS: &[Setting] = &[
    places::CAMERAS,
    places::CAMERA_DIR,
    places::DEFAULTS_DIR,
    places::SWITCH_DIR,
    places::RAM_DIR,
    setting(
        "ram-bytes",
        "",
        "bytes that recordings may take; empty for nine tenths of a tmpfs of their own, or half of what is free in another",
    ),
    setting(
        "ram-mount",
        "50%",
        "size, as in 1024m or 50% of the RAM, of the tmpfs that is mounted at ram-dir if nothing is; off to mount nothing",
    ),
    setting(
        "live",
        "",
        "address and port at which pictures are served to others, as in 127.0.0.1:8090; empty for nowhere",
    ),
    setting("encoder", "auto", "auto, hardware or x264"),
    setting("pipeline-timeout", "10", "seconds after which a GStreamer that hangs is given up"),
    setting("day", "06:00", "local time from which the day preset holds"),
    setting("night", "18:00", "local time from which the night preset holds"),
    setting("clock-dir", "/run/systemd/timesync", "where a file synchronized appears when the clock is set"),
    bus::options::DOOR,
];

/// Every key of a camera.
pub const CAMERA: &[Setting] = &[
    setting("url", "", "its stream, as in http://192.168.1.33/stream"),
    setting(
        "day-url",
        "",
        "what is called at the beginning of the day, as in http://192.168.1.33:8080/day; empty for nothing",
    ),
    setting("night-url", "", "the same at the beginning of the night"),
    setting("fps", "15", "pictures a second at most; more are thinned out"),
    setting(
        "bitrate",
        "1000",
        "kbit a second at most; at fewer than FPS pictures a second (or 15, if FPS is more) as much less",
    ),
    places::SEGMENT_SEC,
    setting("motion-percent", "2", "how much of the picture has to move, in percent, to be motion; 0 for none"),
    places::RECORD,
];

/// Records network cameras into segments in RAM.
#[derive(Debug, Default, Clone, Parser)]
#[command(name = "camera", version)]
pub struct Options {
    /// A directory of variables, one file each, as envdir reads them
    #[arg(long, value_name = "DIR", global = true)]
    pub variables: Option<PathBuf>,
    /// A TOML file with the same settings in kebab-case
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where each camera has its settings
    #[arg(long, value_name = "DIR", global = true)]
    pub camera_dir: Option<PathBuf>,
    /// What to do; without it, record
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else camera can do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Say what would be recorded and how, and list everything that stands in its way
    Check,
}

/// Which encoder is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoder {
    /// That of the machine where its self-test passes, else x264.
    Auto,
    /// That of the machine; x264 if it does not work.
    Hardware,
    /// x264.
    X264,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where each camera has its settings.
    pub places: Places,
    /// The cameras that can be recorded.
    pub cameras: Vec<Camera>,
    /// Those that cannot, and why.
    pub unusable: Vec<(String, BadConfig)>,
    /// Where recordings are kept.
    pub ram_dir: PathBuf,
    /// Bytes that they may take, if the owner said so.
    pub ram_bytes: Option<u64>,
    /// Size of the tmpfs to be mounted there.
    pub ram_mount: Option<String>,
    /// Where pictures are served.
    pub live: Option<SocketAddr>,
    /// Which encoder is wanted.
    pub encoder: Encoder,
    /// After so long a pipeline that does nothing is given up.
    pub pipeline_timeout: Duration,
    /// When the day preset begins to hold.
    pub day: Time,
    /// When the night preset does.
    pub night: Time,
    /// Where `synchronized` appears.
    pub clock_dir: PathBuf,
    /// The socket of the agent.
    pub door: PathBuf,
}

/// One camera's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Camera {
    /// Its name.
    pub name: String,
    /// Its stream.
    pub url: Url,
    /// What is called in the morning.
    pub day_url: Option<Url>,
    /// And in the evening.
    pub night_url: Option<Url>,
    /// How it is recorded.
    pub recording: Recording,
}

/// What may change while a camera is recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recording {
    /// Whether it is.
    pub on: bool,
    /// Pictures a second at most.
    pub fps: f64,
    /// kbit a second.
    pub bitrate: u32,
    /// How long a segment is.
    pub segment: Duration,
    /// The share of the picture that has to move; `None` if motion is of no interest.
    pub motion_percent: Option<f32>,
}

impl Config {
    /// Reads all layers, with the environment of the process, and checks every value.
    ///
    /// # Errors
    /// The first value of the program's own that cannot be used, or no camera can be recorded.
    pub fn load(options: &Options) -> Result<Config, Failure> {
        Config::from_environment(options, std::env::vars_os().collect())
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// As above.
    pub fn from_environment(options: &Options, environment: Vec<(OsString, OsString)>) -> Result<Config, Failure> {
        let flags = options.camera_dir.iter().map(|dir| ("camera-dir", dir.display().to_string())).collect();
        let (config, variables) = (options.config.clone(), options.variables.clone());
        let settings = Settings::load(SETTINGS, Sources { config, variables, environment, flags })?;
        let config = check(&settings)?;
        match config.cameras.is_empty() {
            false => Ok(config),
            true => Err(none_left(&settings, &config.unusable).into()),
        }
    }
}

fn none_left(settings: &Settings, unusable: &[(String, BadConfig)]) -> BadConfig {
    match unusable.first() {
        Some((_, bad)) => bad.clone(),
        None => settings.bad("cameras", "names no camera; write the names of the cameras, as in `cam1 cam2`".into()),
    }
}

fn check(settings: &Settings) -> Result<Config, BadConfig> {
    let path = |key| settings.number::<PathBuf>(key);
    let places = Places::of(settings)?;
    let (mut cameras, mut unusable) = (Vec::new(), Vec::new());
    let mut names: Vec<&str> = settings.text("cameras").unwrap_or_default().split_ascii_whitespace().collect();
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    for name in names {
        match checked_name(settings, name).and_then(|()| camera(&places, name)) {
            Ok(camera) => cameras.push(camera),
            Err(bad) => unusable.push((name.to_owned(), bad)),
        }
    }
    Ok(Config {
        places,
        cameras,
        unusable,
        ram_dir: path("ram-dir")?,
        ram_bytes: settings.is_set("ram-bytes").then(|| settings.number("ram-bytes")).transpose()?,
        ram_mount: ram_mount(settings)?,
        live: live(settings)?,
        encoder: encoder(settings)?,
        pipeline_timeout: settings.seconds("pipeline-timeout")?.max(Duration::from_secs(1)),
        day: time(settings, "day")?,
        night: time(settings, "night")?,
        clock_dir: path("clock-dir")?,
        door: path("door")?,
    })
}

fn checked_name(settings: &Settings, name: &str) -> Result<(), BadConfig> {
    match segments::is_camera_name(name) {
        true => Ok(()),
        false => Err(settings
            .bad("cameras", format!("`{name}` is no name of a camera; use letters, digits, `-` and `_`, as in cam1"))),
    }
}

fn ram_mount(settings: &Settings) -> Result<Option<String>, BadConfig> {
    let Some(text) = settings.text("ram-mount").filter(|text| *text != "off") else { return Ok(None) };
    let digits = text.strip_suffix(['k', 'm', 'g', '%', 'K', 'M', 'G']).unwrap_or(text);
    match digits.parse::<u64>() {
        Ok(1..) => Ok(Some(text.to_owned())),
        _ => {
            Err(settings
                .bad("ram-mount", format!("`{text}` is no size of a tmpfs; write one, as in 1024m or 50%, or off")))
        }
    }
}

fn live(settings: &Settings) -> Result<Option<SocketAddr>, BadConfig> {
    match settings.text("live") {
        None | Some("off") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| {
            settings.bad("live", format!("`{text}` is no address with a port; write one, as in 127.0.0.1:8090, or off"))
        }),
    }
}

fn encoder(settings: &Settings) -> Result<Encoder, BadConfig> {
    match settings.text("encoder") {
        None | Some("auto") => Ok(Encoder::Auto),
        Some("hardware") => Ok(Encoder::Hardware),
        Some("x264") => Ok(Encoder::X264),
        Some(text) => Err(settings.bad("encoder", format!("`{text}` is no encoder; write auto, hardware or x264"))),
    }
}

fn time(settings: &Settings, key: &str) -> Result<Time, BadConfig> {
    let text = settings.number::<String>(key)?;
    let time =
        text.split_once(':').and_then(|(hour, minute)| Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok());
    time.ok_or_else(|| settings.bad(key, format!("`{text}` is no time of day; write one, as in 06:00")))
}

/// Of each two cameras with one stream, what to think of it.
pub fn shared_streams(cameras: &[Camera]) -> Vec<String> {
    let pairs =
        cameras.iter().enumerate().flat_map(|(place, one)| cameras[..place].iter().map(move |other| (other, one)));
    let shared = pairs.filter(|(one, other)| one.url == other.url);
    shared
        .map(|(one, other)| {
            format!("{} and {} have one URL, and an ESP32 serves one of them; give each its own", one.name, other.name)
        })
        .collect()
}

/// Reads what there is about a camera. Its switch goes before its settings.
///
/// # Errors
/// The first value that cannot be used, with its place and the remedy.
pub fn camera(places: &Places, name: &str) -> Result<Camera, BadConfig> {
    let mut camera = places.load(name, CAMERA, |settings| checked(name, settings))?;
    camera.recording.on = places.switched(name).unwrap_or(camera.recording.on);
    Ok(camera)
}

fn checked(name: &str, settings: &Settings) -> Result<Camera, BadConfig> {
    let url = |key| match settings.text(key) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|why: mjpeg::url::BadUrl| settings.bad(key, why.to_string())),
    };
    let missing = || settings.bad("url", "is not set; write URL=http://ADDRESS/stream there".into());
    Ok(Camera {
        name: name.to_owned(),
        url: url("url")?.ok_or_else(missing)?,
        day_url: url("day-url")?,
        night_url: url("night-url")?,
        recording: Recording {
            on: places::record(settings)?,
            fps: within(settings, "fps", 0.1..=120.0)?,
            bitrate: within(settings, "bitrate", 16.0..=100_000.0)? as u32,
            segment: Duration::from_secs_f64(places::segment_sec(settings)?),
            motion_percent: Some(within(settings, "motion-percent", 0.0..=100.0)? as f32).filter(|&share| share > 0.0),
        },
    })
}

#[cfg(test)]
mod tests;
