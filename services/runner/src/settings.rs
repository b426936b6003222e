//! What a program was told, from five places: built-in default, config file, variables directory, environment,
//! flag. The later place wins; an empty file in the variables directory takes a value away that came before it.
//!
//! A program lists its settings once, as [`Setting`]s. The name in the config file and of the flag is kebab-case, the
//! variable is the same in upper case with `_`. An unknown key in the config file is an error that names the nearest
//! known one; unknown variables are left alone and go on to the hooks.

mod file;

use crate::envdir;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// What switches a switch off beside nothing at all.
const OFF: [&str; 4] = ["0", "no", "off", "false"];

/// One thing that a program can be told.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name in kebab-case, as in the config file and as a flag.
    pub key: &'static str,
    /// Its value if nobody says anything; empty means unset.
    pub default: &'static str,
    /// One line for people, with the unit.
    pub help: &'static str,
}

impl Setting {
    /// The name of its variable: `power-off` is `POWER_OFF`.
    pub fn variable(&self) -> String {
        self.key.to_ascii_uppercase().replace('-', "_")
    }
}

/// What a text is not that was to be one of these, and the remedy.
fn wanted<T>() -> &'static str {
    match std::any::type_name::<T>() {
        "u16" => "no whole number from 0 to 65535; give one, in digits",
        "u32" | "u64" | "usize" => "no whole number from 0 on; give one, in digits",
        "f32" | "f64" => "no number; give one, in digits, as in 4 or 0.5",
        _ => "nothing that it could be",
    }
}

/// Where a program looks.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The config file, in TOML; it must exist if it is given.
    pub config: Option<PathBuf>,
    /// A directory as [`envdir`] reads it; it must exist if it is given.
    pub variables: Option<PathBuf>,
    /// The environment of the process.
    pub environment: Vec<(OsString, OsString)>,
    /// Key and value of each flag on the command line.
    pub flags: Vec<(&'static str, String)>,
}

/// Which place a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The config file.
    ConfigFile,
    /// The variables directory.
    Variables,
    /// The environment of the process.
    Environment,
    /// The command line.
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Default => "default",
            Origin::ConfigFile => "config file",
            Origin::Variables => "variables",
            Origin::Environment => "environment",
            Origin::Flag => "flag",
        })
    }
}

/// Something that a program was told and cannot use. The owner mends it, trying again does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadConfig {
    /// The place: a path, `environment variable HOST`, `flag --host`.
    pub source: String,
    /// The name that the thing has in that place; empty if it is the place itself.
    pub key: String,
    /// What is wrong and what to do about it.
    pub why: String,
}

/// A place whose name ends in the key needs no second mention of it.
impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            key if self.source.ends_with(key) => write!(f, "{}: {}", self.source, self.why),
            key => write!(f, "{}: {key}: {}", self.source, self.why),
        }
    }
}

impl std::error::Error for BadConfig {}

/// A value and where it came from; a value of `None` was taken away there.
#[derive(Debug, Clone)]
struct Resolved {
    value: Option<String>,
    origin: Origin,
}

/// What a program was told, resolved.
#[derive(Debug, Clone)]
pub struct Settings {
    known: &'static [Setting],
    values: BTreeMap<&'static str, Resolved>,
    sources: Sources,
    variables: Vec<(OsString, Option<OsString>)>,
}

impl Settings {
    /// Reads all places and lays them over each other.
    ///
    /// # Errors
    /// A place that cannot be read, an unknown key in the config file, a value that is not UTF-8.
    pub fn load(known: &'static [Setting], sources: Sources) -> Result<Settings, BadConfig> {
        Settings::lay_all(known, sources, file::read)
    }

    /// The same for a command that shares its config file with another program: keys that it does not know are the
    /// other one's.
    ///
    /// # Errors
    /// A place that cannot be read, a value that is not UTF-8.
    pub fn load_shared(known: &'static [Setting], sources: Sources) -> Result<Settings, BadConfig> {
        Settings::lay_all(known, sources, file::read_known)
    }

    fn lay_all(known: &'static [Setting], sources: Sources, read: file::Read) -> Result<Settings, BadConfig> {
        let variables = sources.variables.as_deref().map(envdir::read).transpose()?.unwrap_or_default();
        let mut settings = Settings { known, values: defaults(known), sources, variables };
        settings.lay_config_file(read)?;
        settings.lay_variables()?;
        settings.lay_environment()?;
        settings.lay_flags();
        Ok(settings)
    }

    /// All that there are.
    pub fn known(&self) -> &'static [Setting] {
        self.known
    }

    /// The value, or `None` if it is unset or empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.resolved(key).value.as_deref().filter(|text| !text.is_empty())
    }

    /// Whether it has a value that is not empty.
    pub fn is_set(&self, key: &str) -> bool {
        self.text(key).is_some()
    }

    /// Whether a switch such as `power-off` is on: it has a value, and that is no word for the opposite. Old set-ups
    /// look only whether there is one; but whoever writes `no` means it.
    pub fn is_on(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| !OFF.iter().any(|off| text.trim().eq_ignore_ascii_case(off)))
    }

    /// A time in seconds, whole or with a fraction, as in `30` and `0.5`.
    ///
    /// # Errors
    /// It is unset, no number, negative, or too large for a [`Duration`].
    pub fn seconds(&self, key: &str) -> Result<Duration, BadConfig> {
        let text = self.needed(key)?;
        let seconds = text.trim().parse().ok().and_then(|s: f64| Duration::try_from_secs_f64(s).ok());
        seconds.ok_or_else(|| self.bad(key, format!("`{text}` is no time; give seconds from 0 on, as in 30 or 0.5")))
    }

    /// A number, or whatever else is written as one word.
    ///
    /// # Errors
    /// It is unset, or not of this type.
    pub fn number<T: FromStr>(&self, key: &str) -> Result<T, BadConfig> {
        let text = self.needed(key)?;
        text.trim().parse().map_err(|_| self.bad(key, format!("`{text}` is {}", wanted::<T>())))
    }

    /// A path, or `None` if it is unset or empty.
    pub fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// Which place the value came from.
    pub fn origin(&self, key: &str) -> Origin {
        self.resolved(key).origin
    }

    /// Says that the value of a key is of no use, naming the place it came from.
    pub fn bad(&self, key: &str, why: String) -> BadConfig {
        self.bad_at(self.origin(key), key, why)
    }

    /// What hooks inherit: the environment of the process, the variables directory laid over it as `envdir` does,
    /// and then every known setting as it was resolved. What is unset is absent.
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let own = self.sources.environment.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        let resolved = self
            .known
            .iter()
            .map(|setting| (setting.variable().into(), self.resolved(setting.key).value.as_ref().map(OsString::from)));
        let all: BTreeMap<_, _> = own.chain(self.variables.iter().cloned()).chain(resolved).collect();
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    fn bad_at(&self, origin: Origin, key: &str, why: String) -> BadConfig {
        let variable = self.setting(key).variable();
        let at = |path: &Option<PathBuf>| path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
        let (source, key) = match origin {
            Origin::Default => ("built-in default".into(), key.into()),
            Origin::ConfigFile => (at(&self.sources.config), key.into()),
            Origin::Variables => (format!("{}/{variable}", at(&self.sources.variables)), variable),
            Origin::Environment => (format!("environment variable {variable}"), variable),
            Origin::Flag => (format!("flag --{key}"), key.into()),
        };
        BadConfig { source, key, why }
    }

    fn lay_config_file(&mut self, read: file::Read) -> Result<(), BadConfig> {
        let Some(path) = &self.sources.config else { return Ok(()) };
        for (key, value) in read(path, self.known)? {
            self.set(key, value, Origin::ConfigFile);
        }
        Ok(())
    }

    fn lay_variables(&mut self) -> Result<(), BadConfig> {
        let known = self.known;
        for (name, value) in self.variables.clone() {
            if let Some(setting) = by_variable(known, &name) {
                let value = value.map(|value| self.utf8(Origin::Variables, setting.key, value)).transpose()?;
                self.set(setting.key, value, Origin::Variables);
            }
        }
        Ok(())
    }

    fn lay_environment(&mut self) -> Result<(), BadConfig> {
        let known = self.known;
        for (name, value) in self.sources.environment.clone() {
            if let Some(setting) = by_variable(known, &name) {
                let value = self.utf8(Origin::Environment, setting.key, value)?;
                self.set(setting.key, Some(value), Origin::Environment);
            }
        }
        Ok(())
    }

    fn lay_flags(&mut self) {
        for (key, value) in self.sources.flags.clone() {
            self.set(self.setting(key).key, Some(value), Origin::Flag);
        }
    }

    fn utf8(&self, origin: Origin, key: &str, value: OsString) -> Result<String, BadConfig> {
        value.into_string().map_err(|_| self.bad_at(origin, key, "is not UTF-8; write it in plain text".into()))
    }

    fn set(&mut self, key: &'static str, value: Option<String>, origin: Origin) {
        self.values.insert(key, Resolved { value, origin });
    }

    fn resolved(&self, key: &str) -> &Resolved {
        self.values.get(key).unwrap_or_else(|| panic!("`{key}` is asked for and not in the program's list of settings"))
    }

    fn setting(&self, key: &str) -> &'static Setting {
        let found = self.known.iter().find(|setting| setting.key == key);
        found.unwrap_or_else(|| panic!("`{key}` is used and not in the program's list of settings"))
    }

    fn needed(&self, key: &str) -> Result<&str, BadConfig> {
        let missing = || {
            let variable = self.setting(key).variable();
            self.bad(key, format!("is not set; set `{key}` in the config file, {variable} in variables/, or --{key}"))
        };
        self.text(key).ok_or_else(missing)
    }
}

fn defaults(known: &'static [Setting]) -> BTreeMap<&'static str, Resolved> {
    let default = |setting: &Setting| {
        let value = Some(setting.default).filter(|text| !text.is_empty()).map(String::from);
        (setting.key, Resolved { value, origin: Origin::Default })
    };
    known.iter().map(default).collect()
}

fn by_variable(known: &'static [Setting], name: &OsStr) -> Option<&'static Setting> {
    known.iter().find(|setting| name == setting.variable().as_str())
}

#[cfg(test)]
mod tests;
