//! Where the broker is, and who we are there. What is wrong with it is told at start; the files that it names are read
//! at each attempt to connect, so that a new password or certificate needs no restart.

use super::topic::Prefix;
use protocol::name::Identity;
use runner::settings::{BadConfig, Setting, Settings};
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The broker.
pub const MQTT: Setting = Setting {
    key: "mqtt",
    default: "",
    help: "the MQTT 5 broker, as mqtt://HOST or mqtts://HOST:PORT; empty for none",
};
/// Who we are there.
pub const MQTT_USER: Setting = Setting { key: "mqtt-user", default: "", help: "our name at the broker" };
/// And the proof of it.
pub const MQTT_PASSWORD_FILE: Setting =
    Setting { key: "mqtt-password-file", default: "", help: "the file whose first line is our password there" };
/// Whom we trust.
pub const MQTT_CA_FILE: Setting = Setting {
    key: "mqtt-ca-file",
    default: "",
    help: "certificates, in PEM, of who may vouch for the broker; empty for those of the system",
};
/// Which of its clients we are.
pub const MQTT_CLIENT_ID: Setting = Setting {
    key: "mqtt-client-id",
    default: "",
    help: "our client id, which nobody else has; empty for one of our own",
};
/// Under what all topics stand.
pub const MQTT_PREFIX: Setting = Setting { key: "mqtt-prefix", default: "fs/v1", help: "what all topics begin with" };
/// Where Home Assistant looks.
pub const HA_PREFIX: Setting = Setting {
    key: "ha-prefix",
    default: "homeassistant",
    help: "where Home Assistant looks for devices; empty to tell it nothing",
};

/// All of them.
pub const SETTINGS: [Setting; 7] =
    [MQTT, MQTT_USER, MQTT_PASSWORD_FILE, MQTT_CA_FILE, MQTT_CLIENT_ID, MQTT_PREFIX, HA_PREFIX];

/// The longest client id, in bytes; brokers in use take so many.
const MAX_CLIENT_ID: usize = 128;
/// The ports that the MQTT standard names.
const PLAIN: u16 = 1883;
const SEALED: u16 = 8883;

/// Where the broker listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS there.
    pub tls: bool,
}

/// All that is to be known about the uplink.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the broker listens.
    pub broker: Broker,
    /// Our name there.
    pub user: Option<String>,
    /// The file with our password.
    pub password_file: Option<PathBuf>,
    /// The file with certificates that we trust; those of the system without it.
    pub ca_file: Option<PathBuf>,
    /// Which of its clients we are.
    pub client_id: String,
    /// What all topics begin with.
    pub prefix: Prefix,
    /// Where Home Assistant looks, if it is told anything.
    pub discovery: Option<Prefix>,
}

impl Broker {
    /// Reads `mqtt://HOST`, `mqtts://HOST` or either with `:PORT`.
    ///
    /// # Errors
    /// It is none; names the remedy.
    pub fn parse(url: &str) -> Result<Broker, String> {
        let (scheme, place) = url.split_once("://").unwrap_or(("", url));
        let tls = match scheme {
            "mqtt" => false,
            "mqtts" => true,
            _ => return Err(format!("`{url}` is no broker; write mqtt://HOST, or mqtts://HOST for TLS")),
        };
        if place.contains('@') {
            return Err("name and password do not belong here; use mqtt-user and mqtt-password-file".into());
        }
        let (host, port) = split(place.trim_end_matches('/'));
        let port = port.map_or(Ok(if tls { SEALED } else { PLAIN }), str::parse::<u16>);
        let port = port.ok().filter(|&port| port > 0).ok_or(format!("`{url}` has no port from 1 to 65535"))?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:[]".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(format!("`{url}` has no host name or address in it; write mqtt://HOST"));
        }
        if tls && host.starts_with('[') {
            return Err(format!("`{url}` is an IPv6 address; write the name that is in the broker's certificate"));
        }
        Ok(Broker { host: host.into(), port, tls })
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split(place: &str) -> (&str, Option<&str>) {
    match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (place, None),
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

impl Config {
    /// What the settings say; `None` if no broker is wanted.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn plan(settings: &Settings, identity: Identity) -> Result<Option<Config>, BadConfig> {
        let Some(url) = settings.text(MQTT.key) else { return Ok(None) };
        let prefix = |key: &str, text: &str| Prefix::parse(text).map_err(|why| settings.bad(key, why));
        let own = || format!("fs-{:016x}-fserver", identity.0);
        let config = Config {
            broker: Broker::parse(url).map_err(|why| settings.bad(MQTT.key, why))?,
            user: settings.text(MQTT_USER.key).map(str::to_owned),
            password_file: settings.path(MQTT_PASSWORD_FILE.key),
            ca_file: settings.path(MQTT_CA_FILE.key),
            client_id: settings.text(MQTT_CLIENT_ID.key).map_or_else(own, str::to_owned),
            prefix: prefix(MQTT_PREFIX.key, settings.text(MQTT_PREFIX.key).unwrap_or(MQTT_PREFIX.default))?,
            discovery: settings.text(HA_PREFIX.key).map(|text| prefix(HA_PREFIX.key, text)).transpose()?,
        };
        config.check().map_err(|(key, why)| settings.bad(key, why))?;
        Ok(Some(config))
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let id = &self.client_id;
        if id.len() > MAX_CLIENT_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err((
                MQTT_CLIENT_ID.key,
                format!("`{id}` is no client id; use at most {MAX_CLIENT_ID} letters and digits"),
            ));
        }
        if self.ca_file.is_some() && !self.broker.tls {
            return Err((MQTT_CA_FILE.key, "there is no TLS without mqtts:// in front of the broker's name".into()));
        }
        if self.password_file.is_some() && self.user.is_none() {
            return Err((MQTT_PASSWORD_FILE.key, "a password needs a name; give mqtt-user, too".into()));
        }
        Ok(())
    }

    /// Our password: the first line of its file.
    ///
    /// # Errors
    /// The file cannot be read, or everybody may read it.
    pub fn password(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.password_file else { return Ok(None) };
        let mode = fs::metadata(path).map_err(|why| unread(path, &why))?.permissions().mode();
        if mode & 0o007 != 0 {
            let path = path.display();
            return Err(format!("{path}: everybody can read the password; say chmod o= {path}"));
        }
        let text = fs::read_to_string(path).map_err(|why| unread(path, &why))?;
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }

    /// The certificates that we trust, if they are in a file of their own.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn authorities(&self) -> Result<Option<Vec<u8>>, String> {
        self.ca_file.as_deref().map(|path| fs::read(path).map_err(|why| unread(path, &why))).transpose()
    }
}

fn unread(path: &Path, why: &std::io::Error) -> String {
    format!("{}: cannot be read ({why}); name another file, or let this user read it", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner::settings::Sources;
    use std::io::Write;

    fn planned(environment: &[(&str, &str)]) -> Result<Option<Config>, BadConfig> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let sources = Sources { config: None, variables: None, environment, flags: Vec::new() };
        Config::plan(&Settings::load(&SETTINGS, sources)?, Identity(0xabc))
    }

    fn why(environment: &[(&str, &str)]) -> String {
        planned(environment).unwrap_err().to_string()
    }

    #[test]
    fn without_a_broker_there_is_no_uplink() {
        assert!(planned(&[]).unwrap().is_none());
    }

    #[test]
    fn a_broker_is_enough() {
        let config = planned(&[("MQTT", "mqtt://hub.local")]).unwrap().unwrap();
        assert_eq!(config.broker.to_string(), "mqtt://hub.local:1883");
        assert_eq!(config.client_id, "fs-0000000000000abc-fserver");
        assert_eq!((config.prefix.as_str(), config.discovery.unwrap().as_str()), ("fs/v1", "homeassistant"));
    }

    #[test]
    fn places_of_brokers() {
        let place = |url| Broker::parse(url).map(|broker| broker.to_string());
        assert_eq!(place("mqtts://hub").unwrap(), "mqtts://hub:8883");
        assert_eq!(place("mqtt://192.168.1.4:2000/").unwrap(), "mqtt://192.168.1.4:2000");
        assert_eq!(place("mqtt://[::1]").unwrap(), "mqtt://[::1]:1883");
        assert_eq!(place("mqtt://[::1]:7").unwrap(), "mqtt://[::1]:7");
        for bad in [
            "hub",
            "http://hub",
            "mqtt://",
            "mqtt://hub:0",
            "mqtt://hub:x",
            "mqtt://a b",
            "mqtt://u:p@hub",
            "mqtts://[::1]",
        ] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        let hub = ("MQTT", "mqtt://hub");
        assert!(why(&[("MQTT", "mqtt://me:secret@hub")]).contains("mqtt-password-file"));
        assert!(why(&[hub, ("MQTT_CA_FILE", "/ca.pem")]).contains("mqtts://"));
        assert!(why(&[hub, ("MQTT_PASSWORD_FILE", "/p")]).contains("mqtt-user"));
        assert!(why(&[hub, ("MQTT_CLIENT_ID", "a b")]).contains("`a b` is no client id"));
        assert!(why(&[hub, ("MQTT_PREFIX", "fs/#")]).contains("`fs/#`"));
        assert!(why(&[hub, ("HA_PREFIX", "$home")]).contains("`$home`"));
    }

    #[test]
    fn a_password_is_for_us_alone() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"secret word\nrest").unwrap();
        let mut config = planned(&[("MQTT", "mqtt://hub"), ("MQTT_USER", "fs")]).unwrap().unwrap();
        assert_eq!(config.password().unwrap(), None);
        config.password_file = Some(file.path().into());
        assert_eq!(config.password().unwrap().as_deref(), Some("secret word"));
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(config.password().unwrap_err().contains("chmod o="));
        config.password_file = Some("/nowhere".into());
        assert!(config.password().unwrap_err().starts_with("/nowhere: cannot be read"));
    }
}
