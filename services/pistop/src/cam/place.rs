//! Where the recorder has its settings: a file that is named, or its service directory, or `/etc/pistop/camera.toml`. They are read as the
//! recorder reads them; what only it knows is not looked at. The environment does not count: that of a hook has a CAMERAS of another meaning.

use super::target::{self, Target};
use crate::service::flags::Where;
use clap::Args;
use nix::time::{ClockId, clock_gettime};
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use segments::places::{self, Places};
use segments::{Status, status};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The settings, which are the recorder's.
pub const SETTINGS: &[Setting] =
    &[places::CAMERAS, places::CAMERA_DIR, places::DEFAULTS_DIR, places::SWITCH_DIR, places::RAM_DIR];
/// Those of a camera that are written here, or shown.
const CAMERA: &[Setting] = &[places::RECORD, places::SEGMENT_SEC, URL];
const URL: Setting = Setting { key: "url", default: "", help: "its stream" };
const CONFIG: &str = "/etc/pistop/camera.toml";

/// Where to look for them.
#[derive(Debug, Clone, Args)]
pub struct Find {
    /// The recorder's TOML file [default: its service directory if there is one, or else /etc/pistop/camera.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub camera_config: Option<PathBuf>,
    /// The directory of services [default: /service if it is there, or else /etc/service]
    #[arg(long, value_name = "DIR", global = true)]
    pub servicedir: Option<PathBuf>,
}

/// The cameras of this machine, and where everything about them is.
#[derive(Debug, Clone)]
pub struct Cameras {
    /// Their names.
    pub names: Vec<String>,
    /// Their settings and switches.
    pub places: Places,
    /// Their recordings.
    pub ram_dir: PathBuf,
    /// Where services are.
    pub place: Where,
    /// What the recorder's own settings are in, for people.
    pub config: String,
}

/// What the settings of a camera say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Whether it is recorded when the machine comes up.
    pub record: bool,
    /// How long a segment is, in seconds.
    pub segment_sec: f64,
    /// Its stream, without the password.
    pub url: String,
}

impl Find {
    /// Reads the settings.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn cameras(&self, variables: Option<PathBuf>) -> Result<Cameras, Failure> {
        let place = Where { servicedir: self.servicedir.clone() };
        let sources = self.sources(&place.directory().join("camera"), variables);
        let config = [&sources.variables, &sources.config].into_iter().flatten().next();
        let config = config.map_or_else(|| CONFIG.into(), |path| path.display().to_string());
        let settings = Settings::load_shared(SETTINGS, sources)?;
        let names = settings.text(places::CAMERAS.key).unwrap_or_default().split_ascii_whitespace();
        let names = names.filter(|name| segments::is_camera_name(name)).map(str::to_owned).collect();
        let ram_dir = settings.number(places::RAM_DIR.key)?;
        Ok(Cameras { names, places: Places::of(&settings)?, ram_dir, place, config })
    }

    fn sources(&self, service: &Path, variables: Option<PathBuf>) -> Sources {
        if self.camera_config.is_some() {
            return Sources { config: self.camera_config.clone(), variables, ..Sources::default() };
        }
        let there = |path: PathBuf, is: fn(&Path) -> bool| Some(path).filter(|path| is(path));
        // As its file `run` has it.
        let own =
            there(service.join("cameras"), Path::is_dir).map(|dir| (places::CAMERA_DIR.key, dir.display().to_string()));
        Sources {
            config: there(CONFIG.into(), Path::is_file).filter(|_| !service.join("run").is_file()),
            variables: variables.or_else(|| there(service.join("variables"), Path::is_dir)),
            environment: Vec::new(),
            flags: own.into_iter().collect(),
        }
    }
}

impl Cameras {
    /// What a word means.
    ///
    /// # Errors
    /// It means nothing here, or there are no cameras.
    pub fn target(&self, word: &str) -> Result<Target, Failure> {
        if self.names.is_empty() {
            let why = format!("no camera is set; write CAMERAS in {}, or name it with --camera-config", self.config);
            return Err(Failure::Permanent(why));
        }
        target::of(word, &self.names).map_err(Failure::Permanent)
    }

    /// The cameras that are meant; all if nobody is.
    ///
    /// # Errors
    /// One of the words means none.
    pub fn meant(&self, words: &[String]) -> Result<Vec<String>, Failure> {
        let all = ["all".to_owned()];
        let words = if words.is_empty() { &all } else { words };
        let targets = words.iter().map(|word| self.target(word)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.names.iter().filter(|name| targets.iter().any(|target| target.looks_at(name))).cloned().collect())
    }

    /// The one camera that is meant.
    ///
    /// # Errors
    /// It is none, or there are several.
    pub fn one(&self, word: &str) -> Result<String, Failure> {
        match self.target(word)? {
            Target::Camera(name) | Target::Recording(name) | Target::Upload(name) => Ok(name),
            Target::All | Target::Service(_) => {
                Err(Failure::Permanent(format!("`{word}` is no single camera; use {}", self.names.join(" or "))))
            }
        }
    }

    /// What the settings of a camera say.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn told(&self, name: &str) -> Result<Told, Failure> {
        let told = self.places.load(name, CAMERA, |settings| {
            let url = without_login(settings.text(URL.key).unwrap_or("no URL"));
            Ok(Told { record: places::record(settings)?, segment_sec: places::segment_sec(settings)?, url })
        })?;
        Ok(told)
    }

    /// What the recorder says of itself; `None` if it does not run.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn status(&self) -> Result<Option<Status>, Failure> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        Status::read(&self.ram_dir, now.as_millis() as u64).map_err(|why| {
            let file = self.ram_dir.join(status::FILE);
            Failure::Permanent(format!("{}: {why}; is it that of the recorder of this release?", file.display()))
        })
    }

    /// The same where it has to run.
    ///
    /// # Errors
    /// It does not.
    pub fn running(&self) -> Result<Status, Failure> {
        self.status()?.ok_or_else(|| Failure::Temporary(self.does_not_run()))
    }

    /// In words.
    pub fn does_not_run(&self) -> String {
        format!("no recorder writes to {}; `pistop cam start all` starts it", self.ram_dir.display())
    }
}

/// A password in an address is nobody's business.
fn without_login(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A password may hold an @, too.
    format!("{scheme}://{}{path}", host.rsplit_once('@').map_or(host, |(_, host)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_are_those_of_the_service_directory_or_of_the_file_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["service/camera/variables", "service/camera/cameras"] {
            std::fs::create_dir_all(path(folder)).unwrap();
        }
        std::fs::write(path("service/camera/variables/CAMERAS"), "cam1 cam2 a/b\n").unwrap();
        std::fs::write(path("camera.toml"), "cameras = \"front\"\nlive = \"127.0.0.1:8090\"\n").unwrap();
        let find = Find { camera_config: None, servicedir: Some(path("service")) };
        let cameras = find.cameras(None).unwrap();
        assert_eq!(cameras.names, ["cam1", "cam2"], "a/b is not recorded either");
        assert_eq!(cameras.places.camera_dir, path("service/camera/cameras"));
        let cameras = Find { camera_config: Some(path("camera.toml")), ..find }.cameras(None).unwrap();
        assert_eq!((cameras.names, cameras.places.camera_dir), (vec!["front".into()], "/etc/pistop/cameras".into()));
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(without_login("http://me:secret@cam/stream"), "http://cam/stream");
        assert_eq!(without_login("rtsp://me:se@cret@cam:554"), "rtsp://cam:554");
        assert_eq!(without_login("http://cam/a@b"), "http://cam/a@b");
        assert_eq!(without_login("no URL"), "no URL");
    }
}
