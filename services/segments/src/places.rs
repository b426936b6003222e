//! Where a recorder and whoever drives it find what a camera is told: its settings, and the switch by which it is stopped until the machine
//! starts again. Settings are those of the recorder's own list; only what others write too is named here.

use runner::envfile;
use runner::settings::{BadConfig, Origin, Setting, Settings, Sources};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// Which cameras there are.
pub const CAMERAS: Setting = setting("cameras", "", "names of the cameras, separated by blanks");
/// Where each has its settings.
pub const CAMERA_DIR: Setting = setting(
    "camera-dir",
    "/etc/pistop/cameras",
    "where each camera has its settings: a file NAME, or a folder NAME with a file for each",
);
/// What wins over those.
pub const DEFAULTS_DIR: Setting =
    setting("defaults-dir", "/etc/default", "where seg-NAME files are, which win over those");
/// What wins over all of it until the machine starts again.
pub const SWITCH_DIR: Setting = setting(
    "switch-dir",
    "/run/pistop/switches",
    "where files NAME say on or off until this machine starts again, whatever RECORD says",
);
/// Where recordings are.
pub const RAM_DIR: Setting =
    setting("ram-dir", "/run/pistop/cameras", "where recordings are kept until they are uploaded");

/// Of a camera: whether it is recorded.
pub const RECORD: Setting = setting("record", "yes", "no keeps it from being recorded");
/// Of a camera: how long a segment is.
pub const SEGMENT_SEC: Setting = setting("segment-sec", "20", "seconds that a recording is long");
/// How long a segment may be, in seconds.
pub const SEGMENT_RANGE: RangeInclusive<f64> = 1.0..=3600.0;

/// The places.
#[derive(Debug, Clone)]
pub struct Places {
    /// Where each camera has its settings.
    pub camera_dir: PathBuf,
    /// Where files `seg-NAME` are.
    pub defaults_dir: PathBuf,
    /// Where the switches are.
    pub switch_dir: PathBuf,
}

/// When each place of a camera's settings was changed; none of those that are not there.
pub type Changed = Vec<Option<SystemTime>>;

impl Places {
    /// Those that [`CAMERA_DIR`], [`DEFAULTS_DIR`] and [`SWITCH_DIR`] name.
    ///
    /// # Errors
    /// One of them is empty.
    pub fn of(settings: &Settings) -> Result<Places, BadConfig> {
        let path = |setting: Setting| settings.number::<PathBuf>(setting.key);
        Ok(Places { camera_dir: path(CAMERA_DIR)?, defaults_dir: path(DEFAULTS_DIR)?, switch_dir: path(SWITCH_DIR)? })
    }

    /// Reads what there is about a camera.
    ///
    /// # Errors
    /// The first value that cannot be used, with the file that it is in or should be, and the remedy.
    pub fn load<T>(
        &self,
        name: &str,
        known: &'static [Setting],
        check: impl FnOnce(&Settings) -> Result<T, BadConfig>,
    ) -> Result<T, BadConfig> {
        let own = self.camera_dir.join(name);
        let variables = own.is_dir().then(|| own.clone());
        let files = [Some(own.clone()).filter(|own| !own.is_dir()), Some(self.defaults(name))];
        let mut from = BTreeMap::new();
        let mut environment = Vec::new();
        for file in files.into_iter().flatten().filter(|file| file.exists()) {
            for (variable, value) in envfile::read(&file)? {
                from.insert(variable.clone(), file.clone());
                environment.push((OsString::from(variable), OsString::from(value)));
            }
        }
        let settings = Settings::load(known, Sources { variables, environment, ..Sources::default() })?;
        check(&settings).map_err(|bad| placed(known, &settings, &from, &own, bad))
    }

    /// The file whose values win, and which `pistop cam` writes.
    pub fn defaults(&self, name: &str) -> PathBuf {
        self.defaults_dir.join(format!("seg-{name}"))
    }

    /// When what is said about a camera was last changed.
    pub fn changed(&self, name: &str, known: &[Setting]) -> Changed {
        let changed = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
        let own = self.camera_dir.join(name);
        let inside = known.iter().map(|setting| own.join(setting.variable()));
        inside.chain([own.clone(), self.defaults(name)]).map(|path| changed(&path)).collect()
    }

    /// What the switch of a camera says; `None` if there is none.
    pub fn switched(&self, name: &str) -> Option<bool> {
        match fs::read_to_string(self.switch_dir.join(name)).ok()?.trim() {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        }
    }

    /// Sets the switch of a camera, or takes it away.
    ///
    /// # Errors
    /// The folder of switches cannot be written to.
    pub fn switch(&self, name: &str, to: Option<bool>) -> io::Result<()> {
        let place = self.switch_dir.join(name);
        let Some(on) = to else {
            return match fs::remove_file(place) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
                _ => Ok(()),
            };
        };
        fs::create_dir_all(&self.switch_dir)?;
        let aside = self.switch_dir.join(format!(".{name}"));
        fs::write(&aside, if on { "on\n" } else { "off\n" }).and_then(|()| fs::rename(aside, place))
    }
}

/// Names the file that a value came from, or the one to write.
fn placed(
    known: &[Setting],
    settings: &Settings,
    from: &BTreeMap<String, PathBuf>,
    own: &Path,
    bad: BadConfig,
) -> BadConfig {
    let Some(setting) = known.iter().find(|one| bad.key == one.key || bad.key == one.variable()) else {
        return bad;
    };
    let (key, origin) = (setting.variable(), settings.origin(setting.key));
    let file = match (origin, from.get(&key)) {
        (Origin::Variables, _) => return bad,
        (_, Some(file)) => file.as_path(),
        (_, None) => own,
    };
    BadConfig { source: file.display().to_string(), key, why: bad.why }
}

/// Whether a camera is to be recorded, as far as its settings say.
///
/// # Errors
/// The value is neither yes nor no.
pub fn record(settings: &Settings) -> Result<bool, BadConfig> {
    match settings.text(RECORD.key) {
        None | Some("yes" | "on" | "true" | "1") => Ok(true),
        Some("no" | "off" | "false" | "0") => Ok(false),
        Some(text) => Err(settings.bad(RECORD.key, format!("`{text}` is neither; write yes or no"))),
    }
}

/// How long a segment is, in seconds.
///
/// # Errors
/// It is no number, or out of [`SEGMENT_RANGE`].
pub fn segment_sec(settings: &Settings) -> Result<f64, BadConfig> {
    within(settings, SEGMENT_SEC.key, SEGMENT_RANGE)
}

/// A number in a range.
///
/// # Errors
/// It is none, or out of it; the text names the range.
pub fn within(settings: &Settings, key: &str, range: RangeInclusive<f64>) -> Result<f64, BadConfig> {
    let number: f64 = settings.number(key)?;
    let (least, most) = (range.start(), range.end());
    match range.contains(&number) {
        true => Ok(number),
        false => Err(settings.bad(key, format!("`{number}` is too little or too much; give {least} to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Setting] = &[RECORD, SEGMENT_SEC];

    fn places(dir: &Path) -> Places {
        let place = |name: &str| dir.join(name);
        for folder in ["cameras", "default"] {
            fs::create_dir(place(folder)).unwrap();
        }
        Places { camera_dir: place("cameras"), defaults_dir: place("default"), switch_dir: place("run/switches") }
    }

    #[test]
    fn what_setdur_writes_wins_over_a_cameras_file_and_folder() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        fs::write(places.camera_dir.join("cam1"), "SEGMENT_SEC=30\nRECORD=no\nURL=http://cam/\n").unwrap();
        fs::create_dir(places.camera_dir.join("cam2")).unwrap();
        fs::write(places.camera_dir.join("cam2/SEGMENT_SEC"), "40\n").unwrap();
        let told = |name: &str| places.load(name, KNOWN, |settings| Ok((record(settings)?, segment_sec(settings)?)));
        assert_eq!((told("cam1"), told("cam2"), told("cam3")), (Ok((false, 30.0)), Ok((true, 40.0)), Ok((true, 20.0))));
        for name in ["cam1", "cam2"] {
            fs::write(places.defaults(name), "SEGMENT_SEC=180\nRECORD=yes\n").unwrap();
            assert_eq!(told(name), Ok((true, 180.0)));
        }
        fs::write(places.defaults("cam3"), "RECORD=maybe\n").unwrap();
        let why = told("cam3").unwrap_err().to_string();
        assert!(why.ends_with("default/seg-cam3: RECORD: `maybe` is neither; write yes or no"), "{why}");
        fs::write(places.defaults("cam3"), "SEGMENT_SEC=3601\n").unwrap();
        assert!(told("cam3").unwrap_err().to_string().contains("give 1 to 3600"));
    }

    #[test]
    fn a_switch_says_on_or_off_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        assert_eq!(places.switched("cam1"), None);
        places.switch("cam1", None).unwrap();
        for on in [true, false] {
            places.switch("cam1", Some(on)).unwrap();
            assert_eq!((places.switched("cam1"), places.switched("cam2")), (Some(on), None));
        }
        assert_eq!(fs::read_dir(&places.switch_dir).unwrap().count(), 1);
        places.switch("cam1", None).unwrap();
        assert_eq!(places.switched("cam1"), None);
        fs::write(places.switch_dir.join("cam1"), "perhaps").unwrap();
        assert_eq!(places.switched("cam1"), None);
    }

    #[test]
    fn a_change_is_seen_wherever_it_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let mut seen = vec![places.changed("cam1", KNOWN)];
        fs::create_dir(places.camera_dir.join("cam1")).unwrap();
        seen.push(places.changed("cam1", KNOWN));
        fs::write(places.camera_dir.join("cam1/RECORD"), "no").unwrap();
        seen.push(places.changed("cam1", KNOWN));
        fs::write(places.defaults("cam1"), "").unwrap();
        seen.push(places.changed("cam1", KNOWN));
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    }
}
