//! The settings of upload: every key with its default and its meaning, the flags, and the checked result.

use crate::credentials::{self, Key};
use crate::machine::Rules;
use crate::shaper::Weights;
use crate::store::{Store, Way};
use crate::timetable::Timetable;
use crate::trouble::Place;
use bus::options;
use clap::{Args, Parser, Subcommand};
use jiff::tz::TimeZone;
use runner::exit::Failure;
use runner::settings::{BadConfig, Setting, Settings, Sources};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// Every key; the variable of the same name is written in upper case with `_`.
pub const SETTINGS: &[Setting] = &[
    setting("ram-dir", "/run/pistop/cameras", "where segments lie, one folder a camera"),
    setting("endpoint", "https://s3.ca-east-006.backblazeb2.com", "the storage"),
    setting("region", "ca-east-006", "its region, as it stands in the endpoint"),
    setting("bucket", "", "the bucket; without one nothing is sent"),
    setting("path-style", "", "if not empty, ENDPOINT/BUCKET/KEY is asked for and not BUCKET.ENDPOINT/KEY"),
    setting("ca", "", "a file with a certificate to trust beside those of the system, in PEM form"),
    setting("credentials", "/etc/pistop/upload.credentials", "the file with the key, mode 600, as ~/.aws/credentials"),
    setting("profile", "default", "which section of it"),
    setting("zone", "Asia/Kolkata", "the time zone of keys and of times of day"),
    setting("rate", "600", "KiB/s for all cameras together; with windows: 600 22:00-06:00=0; 0 no limit, or stop"),
    setting("weights", "", "shares of cameras when they compete, as in cam1=2 cam2=1; otherwise 1"),
    setting("parallel", "3", "segments that are sent at a time; one of them at most from the backlog"),
    setting("scan", "5", "seconds after which the directory is looked at even if nothing is heard of it"),
    setting("patience", "30", "seconds for which nothing may move, beyond three times what the rate needs"),
    setting("retry-first", "1", "seconds after the first failure"),
    setting("retry-last", "60", "the longest seconds between two tries"),
    setting("probe", "300", "seconds between two tries while only the owner can mend it"),
    setting("manifest-every", "300", "the longest seconds that the bucket does not know what is in it"),
    setting("drain", "20", "seconds that the end may take to send what is left"),
    options::DOOR,
];

/// Brings recordings to S3-compatible storage, newest first, and deletes them here once they are safe there.
#[derive(Debug, Default, Clone, Parser)]
#[command(name = "upload", version)]
pub struct Options {
    /// A directory of variables, one file each, as envdir reads them
    #[arg(long, value_name = "DIR", global = true)]
    pub variables: Option<PathBuf>,
    /// A TOML file with the same settings in kebab-case
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What to do; without it, upload until told to end
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else upload can do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Say what is wrong with the storage, the key, the settings and the clock, and what helps
    Doctor(DoctorFlags),
}

/// The flags of `doctor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct DoctorFlags {
    /// Have the bucket delete everything after three days, in place of the rules that it has
    #[arg(long)]
    pub set_lifecycle: bool,
    /// One object for programs
    #[arg(long)]
    pub json: bool,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where segments lie.
    pub ram_dir: PathBuf,
    /// Where they go.
    pub way: Way,
    /// The file with the key.
    pub credentials: PathBuf,
    /// Which section of it.
    pub profile: String,
    /// The time zone of keys.
    pub zone: TimeZone,
    /// How fast.
    pub rate: Timetable,
    /// Shares.
    pub weights: Weights,
    /// The paces of the queue.
    pub rules: Rules,
    /// How often to look.
    pub scan: Duration,
    /// How often to write manifests.
    pub manifest_every: Duration,
    /// How long the end may take.
    pub drain: Duration,
    /// The socket of the event bus.
    pub door: PathBuf,
}

impl Config {
    /// Reads all layers, with the environment of the process, and checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used, with its place and the remedy.
    pub fn load(options: &Options) -> Result<Config, Failure> {
        Ok(Config::check(&layers(options, std::env::vars_os().collect())?)?)
    }

    fn check(settings: &Settings) -> Result<Config, BadConfig> {
        let ram_dir = PathBuf::from(text(settings, "ram-dir")?);
        let credentials = PathBuf::from(text(settings, "credentials")?);
        let place = Place {
            endpoint: endpoint(settings)?,
            region: text(settings, "region")?,
            bucket: text(settings, "bucket")?,
            credentials: credentials.display().to_string(),
        };
        let way = Way {
            place,
            path_style: settings.is_on("path-style"),
            ca: certificate(settings)?,
            patience: some_seconds(settings, "patience")?,
        };
        let rules = Rules {
            ways: ways(settings)?,
            retry_first: some_seconds(settings, "retry-first")?,
            retry_last: some_seconds(settings, "retry-last")?,
            probe: some_seconds(settings, "probe")?,
            ram_dir: ram_dir.display().to_string(),
            seed: fastrand::u64(..),
        };
        Ok(Config {
            ram_dir,
            way,
            credentials,
            profile: text(settings, "profile")?,
            zone: zone(settings)?,
            rate: Timetable::parse(&text(settings, "rate")?).map_err(|why| settings.bad("rate", why))?,
            weights: weights(settings)?,
            rules,
            scan: some_seconds(settings, "scan")?,
            manifest_every: some_seconds(settings, "manifest-every")?,
            drain: settings.seconds("drain")?,
            door: PathBuf::from(text(settings, options::DOOR.key)?),
        })
    }

    /// The storage, with the key as it stands in its file now.
    ///
    /// # Errors
    /// The file cannot be used; with the remedy.
    pub fn store(&self) -> Result<Store, String> {
        let key: Key = credentials::read(&self.credentials, &self.profile)?;
        Ok(Store::new(self.way.clone(), &key))
    }
}

/// All layers of settings, unchecked.
fn layers(options: &Options, environment: Vec<(OsString, OsString)>) -> Result<Settings, BadConfig> {
    let (config, variables) = (options.config.clone(), options.variables.clone());
    Settings::load(SETTINGS, Sources { config, variables, environment, flags: Vec::new() })
}

fn text(settings: &Settings, key: &str) -> Result<String, BadConfig> {
    settings.number(key)
}

fn endpoint(settings: &Settings) -> Result<String, BadConfig> {
    let text = text(settings, "endpoint")?;
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    match host.is_empty() || host.contains(['/', ' ', '@', '?']) {
        // What stands before an @ may be a password.
        true if text.contains('@') => {
            let why = "holds a login; write it as in https://s3.example.org, and put the key into CREDENTIALS";
            Err(settings.bad("endpoint", why.into()))
        }
        true => Err(settings.bad("endpoint", format!("`{text}` is none; write it as in https://s3.example.org"))),
        false => Ok(text),
    }
}

fn certificate(settings: &Settings) -> Result<Option<Vec<u8>>, BadConfig> {
    let Some(path) = settings.path("ca") else { return Ok(None) };
    let pem = std::fs::read(&path).map_err(|why| settings.bad("ca", format!("{}: {why}", path.display())))?;
    match pem.windows(10).any(|text| text == b"-----BEGIN") {
        true => Ok(Some(pem)),
        false => Err(settings.bad("ca", format!("{} holds no certificate in PEM form", path.display()))),
    }
}

fn ways(settings: &Settings) -> Result<usize, BadConfig> {
    match settings.number("parallel")? {
        ways @ 1..=16 => Ok(ways),
        other => Err(settings.bad("parallel", format!("`{other}` is not between 1 and 16"))),
    }
}

fn zone(settings: &Settings) -> Result<TimeZone, BadConfig> {
    let name = text(settings, "zone")?;
    let unknown = |_| {
        settings.bad("zone", format!("`{name}` is not known here; write it as in Asia/Kolkata, and install tzdata"))
    };
    TimeZone::get(&name).map_err(unknown)
}

fn weights(settings: &Settings) -> Result<Weights, BadConfig> {
    let one = |word: &str| {
        let (camera, weight) = word.split_once('=')?;
        let weight = weight.parse().ok().filter(|weight| (1..=1000).contains(weight))?;
        segments::is_camera_name(camera).then(|| (camera.to_owned(), weight))
    };
    let words = settings.text("weights").unwrap_or_default().split_whitespace();
    let bad = |word: &str| settings.bad("weights", format!("`{word}` is no share; write it as in cam1=2"));
    words.map(|word| one(word).ok_or_else(|| bad(word))).collect()
}

/// With no time at all nothing would ever succeed, or nothing else be done.
fn some_seconds(settings: &Settings, key: &str) -> Result<Duration, BadConfig> {
    let span = settings.seconds(key)?;
    match span < Duration::from_millis(50) {
        true => Err(settings.bad(key, "is too short; give at least 0.05 seconds".into())),
        false => Ok(span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timetable::Rate;

    fn load(environment: &[(&str, &str)]) -> Result<Config, BadConfig> {
        let environment = [("BUCKET", "visd-cctv")]
            .iter()
            .chain(environment)
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        Config::check(&layers(&Options::default(), environment).unwrap())
    }

    #[test]
    fn every_default_is_valid_and_that_of_the_old_uploader() {
        let config = load(&[]).unwrap();
        assert_eq!(config.way.place.bucket, "visd-cctv");
        assert_eq!(config.way.place.endpoint, format!("https://s3.{}.backblazeb2.com", config.way.place.region));
        assert_eq!(config.zone.iana_name(), Some("Asia/Kolkata"));
        assert_eq!(config.rate.at(0), Rate::Limit(2 * 300 * 1024), "300 for each of its two cameras");
        assert!(!config.way.path_style);
    }

    #[test]
    fn what_cannot_be_used_is_named_with_the_remedy() {
        for (name, value, remedy) in [
            ("ENDPOINT", "s3.example.org", "https://s3.example.org"),
            ("ENDPOINT", "https://user:secret@s3.example.org", "put the key into CREDENTIALS"),
            ("ZONE", "Asia/Nowhere", "install tzdata"),
            ("RATE", "fast", "KiB/s"),
            ("WEIGHTS", "cam1=0", "cam1=2"),
            ("WEIGHTS", "../cam1=1", "cam1=2"),
            ("PARALLEL", "0", "between 1 and 16"),
            ("PROBE", "0", "at least 0.05"),
            ("CA", "/nonexistent", "/nonexistent"),
            ("CA", "/etc/hostname", "PEM"),
        ] {
            let why = load(&[(name, value)]).unwrap_err().to_string();
            assert!(why.contains(remedy) && why.contains(name), "{name}={value}: {why}");
            assert!(!why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn nobody_sends_to_a_bucket_that_he_did_not_name() {
        let why = load(&[("BUCKET", "")]).unwrap_err().to_string();
        assert!(why.contains("BUCKET: is not set; set `bucket` in the config file"), "{why}");
    }

    #[test]
    fn shares_are_read() {
        let config = load(&[("WEIGHTS", "cam1=2 front=10")]).unwrap();
        assert_eq!(config.weights, Weights::from([("cam1".into(), 2), ("front".into(), 10)]));
    }
}
