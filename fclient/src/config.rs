//! The settings of fclient: every key with its default and its meaning, the flags, and the checked result.

use crate::machine::Rules;
use bus::options;
use clap::{Args, Parser, Subcommand};
use mounts::deadline::seconds;
use protocol::HostName;
use protocol::cause::PowerPolicy;
use protocol::detector::Bounds;
use runner::exit::Failure;
use runner::settings::{BadConfig, Setting, Settings, Sources};
use std::ffi::OsString;
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

/// No connection attempt may take longer, whatever TIMEOUT says: old set-ups have 60 there, and a server that comes up
/// would have to wait for a hanging attempt.
pub const LONGEST_ATTEMPT: Duration = Duration::from_secs(5);

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// Every key; the variable of the same name is written in upper case with `_`.
pub const SETTINGS: &[Setting] = &[
    setting("host", "", "the server's name or address"),
    setting("port", "5555", "the server's port, TCP and UDP"),
    setting("name", "", "our name; empty for that of the machine"),
    setting("power-off", "", "if not empty or `no`, this machine powers off when the server does"),
    setting("power-off-on-lost", "", "if not empty or `no`, also when the server merely vanishes"),
    setting("power-off-command", "/sbin/shutdown -h now", "what the hook of power-off runs"),
    setting("force-umount", "", "handed to hooks: detach a share that is busy"),
    setting("hooks", "/usr/share/pistop/hooks:/etc/pistop/hooks", "directories of hooks, separated by colons"),
    setting("hook-timeout", "60", "seconds that one hook may take"),
    options::JOURNAL,
    options::DOOR,
    options::DOOR_GROUP,
    options::FOLLOW,
    setting("state-dir", "/var/lib/pistop/fclient", "where identity and journal are kept"),
    setting("announce", "239.255.55.55:5555", "multicast group and port of announcements, or off"),
    setting("lease-floor", "4", "seconds of silence that never mean a lost server"),
    setting("lease-ceiling", "12", "seconds of silence that always do, if the own network is fine"),
    setting("timeout", "2", "seconds that one connection attempt may take, at most 5"),
    setting("data-timeout", "30", "seconds after which an old server's dead connection is noticed"),
    setting("on-term", "", "what SIGTERM means: shutdown or restart; empty to find out"),
    setting("systemctl", "systemctl", "the command that tells whether systemd stops or restarts us"),
    setting("drill-command", "/bin/true", "what runs in a drill in place of each hook"),
    setting("user", "", "handed to hooks"),
    setting("home", "", "where an old set-up has its .pistop folder; handed to hooks"),
    setting("mdrive", "", "the shared directory; handed to hooks"),
    setting("mdrive-source", "", "what is mounted there by NFS, as server:/path or /path; empty for autofs or fstab"),
    setting("mount-options", "", "options for that, separated by commas"),
    setting("nfs-port", "2049", "the server's port that must answer before a mount, or off"),
    setting("maxdaemons", "", "kept for old set-ups; unused"),
    setting("lcd-host", "", "handed to hooks"),
    setting("lcd-port", "", "handed to hooks"),
    setting("lcd-fifo", "", "handed to hooks"),
    setting("notify-host", "", "handed to hooks"),
    setting("notify-port", "", "handed to hooks"),
    setting("notify-fifo", "", "handed to hooks"),
    setting("backup", "", "handed to hooks"),
    setting("dest", "", "handed to hooks"),
    setting("rsync-options", "", "handed to hooks: in place of -alptgomHE --delete"),
    setting("automounter", "", "handed to hooks: the service that automounts mdrive and is stopped with the server"),
    setting("mpd", "mpd", "handed to hooks: the player's service"),
    setting("cameras", "", "handed to hooks: the services that record cameras, as in camera, separated by blanks"),
    setting(
        "uploads",
        "",
        "handed to hooks: the services that bring recordings to safety, as in upload; ended last of all",
    ),
];

/// Follows one file server: runs hooks when it comes and goes, and powers this machine off with it if asked to.
#[derive(Debug, Default, Clone, Parser)]
#[command(name = "fclient", version)]
pub struct Options {
    /// The server; HOST alone means port 5555
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub server: Option<String>,
    /// A directory of hooks (may be given more than once, later ones take precedence)
    #[arg(long, value_name = "DIR", global = true)]
    pub hooks: Vec<String>,
    /// A directory of variables, one file each, as envdir reads them
    #[arg(long, value_name = "DIR", global = true)]
    pub variables: Option<PathBuf>,
    /// A TOML file with the same settings in kebab-case
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Use the link on descriptors 6 and 7, as a child of tcpclient
    #[arg(long, global = true)]
    pub ucspi: bool,
    /// What to do; without it, follow the server
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else fclient can do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Say what would be done, and list everything that stands in its way
    Check,
    /// Mount the shared directory, if its server answers
    Mount(MountFlags),
    /// Unmount the shared directory, and never hang on it
    Unmount(UnmountFlags),
}

/// The flags of `mount`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct MountFlags {
    /// The directory; otherwise MDRIVE
    pub dir: Option<PathBuf>,
    /// Seconds that it may take; otherwise a second less than the hook has, or 20
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub deadline: Option<Duration>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// The flags of `unmount`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct UnmountFlags {
    /// The directory; otherwise MDRIVE
    pub dir: Option<PathBuf>,
    /// Its server is lost: cut it off and detach it at once
    #[arg(long)]
    pub lazily: bool,
    /// Seconds that it may take; otherwise a second less than the hook has, or 20
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub deadline: Option<Duration>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// The checked settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// All layers, for hooks and for what is asked rarely.
    pub settings: Settings,
    /// The server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Our name.
    pub name: HostName,
    /// What the owner allowed.
    pub policy: PowerPolicy,
    /// How patient the lease is.
    pub bounds: Bounds,
    /// How long one connection attempt may take.
    pub timeout: Duration,
    /// After how long an old server's dead connection is noticed.
    pub data_timeout: Duration,
    /// Directories of hooks, the later ones taking precedence.
    pub hooks: Vec<PathBuf>,
    /// How long one hook may take.
    pub hook_timeout: Duration,
    /// What runs in a drill in place of each hook.
    pub drill_command: PathBuf,
    /// Where identity and journal are kept.
    pub state_dir: PathBuf,
    /// The multicast group of announcements, if they are wanted.
    pub announce: Option<SocketAddrV4>,
    /// There is one link, made by tcpclient.
    pub ucspi: bool,
}

impl Config {
    /// Reads all layers, with the environment of the process, and checks every value.
    ///
    /// # Errors
    /// The first value that cannot be used, with its place and the remedy.
    pub fn load(options: &Options) -> Result<Config, Failure> {
        let settings = layers(options, std::env::vars_os().collect())?;
        Ok(Config::check(options, settings).map_err(|mut all| all.remove(0))?)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// All values that cannot be used; at least one.
    pub fn check(options: &Options, settings: Settings) -> Result<Config, Vec<BadConfig>> {
        let mut bad = Vec::new();
        let host = keep(&mut bad, host(&settings, options.ucspi));
        let port = keep(&mut bad, settings.number("port"));
        let name = keep(&mut bad, own_name(&settings));
        let bounds = keep(&mut bad, bounds(&settings));
        let timeout = keep(&mut bad, some_seconds(&settings, "timeout", 0.1));
        let data_timeout = keep(&mut bad, some_seconds(&settings, "data-timeout", 1.0));
        let hook_timeout = keep(&mut bad, some_seconds(&settings, "hook-timeout", 1.0));
        let announce = keep(&mut bad, group(&settings));
        let on_term = keep(&mut bad, on_term(&settings));
        let drill_command = keep(&mut bad, settings.number("drill-command"));
        let state_dir = keep(&mut bad, settings.number("state-dir"));
        let config = || {
            on_term?;
            Some(Config {
                host: host?,
                port: port?,
                name: name?,
                policy: policy(&settings),
                bounds: bounds?,
                timeout: timeout?.min(LONGEST_ATTEMPT),
                data_timeout: data_timeout?,
                hooks: settings.text("hooks").unwrap_or_default().split(':').map(PathBuf::from).collect(),
                hook_timeout: hook_timeout?,
                drill_command: drill_command?,
                state_dir: state_dir?,
                announce: announce?,
                ucspi: options.ucspi,
                settings: settings.clone(),
            })
        };
        config().ok_or(bad)
    }

    /// What the machine has to know of them. `booted` is the clock since boot at the zero of its instants.
    pub fn rules(&self, identity: protocol::name::Identity, booted: Duration) -> Rules {
        let hello = protocol::message::Hello {
            version: protocol::line::VERSION,
            name: self.name.clone(),
            identity,
            program: concat!("fclient ", env!("CARGO_PKG_VERSION")).into(),
            capabilities: vec![protocol::message::BUS.into()],
        };
        let server = format!("{}:{}", self.host, self.port);
        Rules { hello, server, policy: self.policy, bounds: self.bounds, once: self.ucspi, booted }
    }
}

/// All layers of settings, unchecked.
///
/// # Errors
/// A file or directory cannot be read, holds an unknown key, or `--server` is none.
pub fn layers(options: &Options, environment: Vec<(OsString, OsString)>) -> Result<Settings, BadConfig> {
    let (config, variables) = (options.config.clone(), options.variables.clone());
    Settings::load(SETTINGS, Sources { config, variables, environment, flags: flags(options)? })
}

fn flags(options: &Options) -> Result<Vec<(&'static str, String)>, BadConfig> {
    let mut flags = Vec::new();
    if let Some(server) = &options.server {
        let (host, port) = server_address(server)?;
        flags.push(("host", host));
        flags.extend(port.map(|port| ("port", port)));
    }
    if !options.hooks.is_empty() {
        flags.push(("hooks", options.hooks.join(":")));
    }
    Ok(flags)
}

/// `HOST`, `HOST:PORT`, `[V6]:PORT`, or an IPv6 address alone.
fn server_address(text: &str) -> Result<(String, Option<String>), BadConfig> {
    let bare = text.parse::<std::net::IpAddr>().is_ok();
    let (host, port) = match text.rsplit_once(':').filter(|_| !bare) {
        Some((host, port)) => (host, Some(port.to_owned())),
        None => (text, None),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match host.is_empty() || host.contains(['[', ']', ' ']) {
        false => Ok((host.to_owned(), port)),
        true => Err(BadConfig {
            source: "flag --server".into(),
            key: String::new(),
            why: format!("`{text}` is no server; write HOST:PORT, as in attic:5555 or [fd00::10]:5555"),
        }),
    }
}

fn keep<T>(bad: &mut Vec<BadConfig>, value: Result<T, BadConfig>) -> Option<T> {
    value.map_err(|why| bad.push(why)).ok()
}

/// Under tcpclient the link is there already, and the address is only for hooks and people.
fn host(settings: &Settings, ucspi: bool) -> Result<String, BadConfig> {
    match ucspi {
        true => Ok(crate::ucspi::remote_address().or(settings.text("host").map(str::to_owned)).unwrap_or_default()),
        false => settings.text("host").map(|host| host.trim().to_owned()).ok_or_else(|| no_host(settings)),
    }
}

/// There is no `--host`; the flag is called otherwise.
fn no_host(settings: &Settings) -> BadConfig {
    let remedy = "is not set; set `host` in the config file, HOST in variables/, or --server HOST:PORT";
    settings.bad("host", remedy.into())
}

fn own_name(settings: &Settings) -> Result<HostName, BadConfig> {
    let machine = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = settings.text("name").map_or_else(machine, str::to_owned);
    HostName::parse(&name).map_err(|why| settings.bad("name", why.to_string()))
}

/// With no time at all nothing would ever succeed.
fn some_seconds(settings: &Settings, key: &str, least: f64) -> Result<Duration, BadConfig> {
    let span = settings.seconds(key)?;
    match span.as_secs_f64() < least {
        true => Err(settings.bad(key, format!("is too short to do anything in; give at least {least} seconds"))),
        false => Ok(span),
    }
}

fn policy(settings: &Settings) -> PowerPolicy {
    PowerPolicy { power_off: settings.is_on("power-off"), power_off_on_lost: settings.is_on("power-off-on-lost") }
}

fn bounds(settings: &Settings) -> Result<Bounds, BadConfig> {
    let (floor, ceiling) = (settings.seconds("lease-floor")?, settings.seconds("lease-ceiling")?);
    if floor < Duration::from_secs(2) {
        return Err(settings.bad("lease-floor", "beats come once a second; give at least 2 seconds".into()));
    }
    if ceiling < floor {
        return Err(settings.bad("lease-ceiling", "is below lease-floor; give at least as many seconds".into()));
    }
    Ok(Bounds { floor, ceiling })
}

fn group(settings: &Settings) -> Result<Option<SocketAddrV4>, BadConfig> {
    match settings.text("announce") {
        None | Some("off") => Ok(None),
        Some(text) => match text.parse::<SocketAddrV4>() {
            Ok(group) if group.ip().is_multicast() => Ok(Some(group)),
            _ => Err(settings.bad("announce", format!("`{text}` is no IPv4 multicast group with port; or write off"))),
        },
    }
}

fn on_term(settings: &Settings) -> Result<(), BadConfig> {
    match settings.text("on-term") {
        None | Some("shutdown" | "restart") => Ok(()),
        Some(text) => {
            Err(settings
                .bad("on-term", format!("`{text}` is neither shutdown nor restart; leave it empty to find out")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, Vec<BadConfig>> {
        let options = Options::try_parse_from(["fclient"].iter().chain(arguments)).unwrap();
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let settings = layers(&options, environment).map_err(|why| vec![why])?;
        Config::check(&options, settings)
    }

    fn why(result: Result<Config, Vec<BadConfig>>) -> Vec<String> {
        result.unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_default_is_valid() {
        let config = load(&["--server", "attic"], &[]).unwrap();
        assert_eq!((config.host.as_str(), config.port), ("attic", 5555));
        assert_eq!(config.policy, PowerPolicy::default());
        assert_eq!(config.bounds, Bounds::DEFAULT);
        assert_eq!(config.announce.unwrap().ip().octets(), protocol::datagram::GROUP);
        assert_eq!(config.hooks.len(), 2);
    }

    #[test]
    fn servers_are_written_in_four_ways() {
        let cases = [("attic:5556", "attic", 5556), ("10.0.0.7", "10.0.0.7", 5555), ("[fd00::1]:1", "fd00::1", 1)];
        for (text, host, port) in cases.into_iter().chain([("fd00::1", "fd00::1", 5555)]) {
            let config = load(&["--server", text], &[]).unwrap();
            assert_eq!((config.host.as_str(), config.port), (host, port));
        }
        assert!(why(load(&["--server", ":5555"], &[]))[0].contains("write HOST:PORT"));
    }

    #[test]
    fn a_missing_host_is_asked_for_by_the_flag_that_exists() {
        let all = why(load(&[], &[]));
        assert!(all[0].contains("or --server HOST:PORT") && !all[0].contains("--host"), "{all:#?}");
    }

    #[test]
    fn an_old_set_up_is_understood() {
        let old = [("HOST", "192.168.2.101"), ("TIMEOUT", "60"), ("MAXDAEMONS", "10"), ("POWER_OFF", "1")];
        let config = load(&[], &old).unwrap();
        assert_eq!(config.timeout, LONGEST_ATTEMPT);
        assert!(config.policy.power_off && !config.policy.power_off_on_lost);
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let bad = [
            ("PORT", "many"),
            ("NAME", "a b"),
            ("LEASE_FLOOR", "1"),
            ("ANNOUNCE", "loud"),
            ("ON_TERM", "x"),
            ("HOOK_TIMEOUT", "0"),
        ];
        let all = why(load(&[], &bad));
        assert_eq!(all.len(), 7, "{all:#?}");
        for word in ["HOST", "PORT", "no host name", "at least 2 seconds", "multicast", "neither shutdown nor restart"]
        {
            assert!(all.iter().any(|why| why.contains(word)), "{word}: {all:#?}");
        }
    }

    #[test]
    fn the_flags_hold_for_check_too() {
        let options =
            Options::try_parse_from(["fclient", "check", "--server", "attic", "--hooks", "/a", "--hooks", "/b"]);
        let options = options.unwrap();
        assert_eq!(options.command, Some(Command::Check));
        assert_eq!(
            Config::check(&options, layers(&options, vec![]).unwrap()).unwrap().hooks,
            ["/a", "/b"].map(PathBuf::from)
        );
    }
}
