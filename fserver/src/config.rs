//! The settings of fserver: every key with its default and its meaning, the flags, and the checked result.

use crate::address::{BadNetwork, Network};
use crate::machine::OldPeers;
use bus::mqtt::config as mqtt;
use bus::options;
use clap::{Parser, Subcommand};
use protocol::HostName;
use runner::exit::Failure;
use runner::settings::{BadConfig, Setting, Settings, Sources};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

const fn setting(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default, help }
}

/// Every key; the variable of the same name is written in upper case with `_`.
pub const SETTINGS: &[Setting] = &[
    setting("host", "", "address to listen on; empty or 0 for all addresses, IPv4 and IPv6"),
    setting("port", "5555", "TCP and UDP port"),
    setting("name", "", "our name; empty for that of the machine"),
    setting("maxdaemons", "4096", "peers in all; more wait outside"),
    setting("max-per-address", "256", "peers from one address; more are refused"),
    setting("client-lease", "15", "seconds without a sign of life after which a new peer is gone"),
    setting("data-timeout", "120", "seconds after which an old peer's dead connection is noticed"),
    setting("shutdown-deadline", "30", "seconds that a shutdown waits for everybody to let go"),
    setting("back-within", "60", "seconds within which a restarted service is back"),
    setting("reboot-within", "300", "seconds within which this machine is back when it starts again"),
    setting("machine-lock", "on", "hold systemd's machine back until everybody has let go: on or off"),
    setting("shutdown-from", "", "addresses, separated by commas, that may ask for a shutdown over the network"),
    setting(
        "authorized-peers",
        "/etc/pistop/authorized_peers",
        "the list of paired machines; one in it closes the house",
    ),
    setting(
        "old-peers",
        "",
        "old clients let in: any, off, or addresses and networks; empty for any in an open house only",
    ),
    setting(
        "presence-only-from",
        "",
        "addresses and networks whose unpaired clients a closed house tells of shutdowns",
    ),
    setting("on-term", "", "what SIGTERM means: shutdown, restart or reboot; empty to find out"),
    setting("systemctl", "systemctl", "the command that tells whether systemd stops or restarts us"),
    setting("announce", "239.255.55.55:5555", "multicast group and port of announcements, or off"),
    setting("control", "/run/pistop/fserver.sock", "the local socket for pistop and --ucspi children"),
    setting("state-dir", "/var/lib/pistop/fserver", "where identity and epoch are kept"),
    setting("hooks", "/usr/share/pistop/hooks:/etc/pistop/hooks", "directories of hooks, separated by colons"),
    setting("hook-timeout", "60", "seconds that one hook may take"),
    options::JOURNAL,
    options::DOOR,
    options::DOOR_GROUP,
    options::FORGET_AFTER,
    mqtt::MQTT,
    mqtt::MQTT_USER,
    mqtt::MQTT_PASSWORD_FILE,
    mqtt::MQTT_CA_FILE,
    mqtt::MQTT_CLIENT_ID,
    mqtt::MQTT_PREFIX,
    mqtt::HA_PREFIX,
    setting("user", "", "kept for old set-ups; handed to hooks"),
    setting("home", "", "kept for old set-ups; handed to hooks"),
    setting("mdrive", "", "the shared directory; handed to hooks"),
    setting("timeout", "", "kept for old set-ups; unused"),
    setting("power-off", "", "for clients only; unused here"),
    setting("force-umount", "", "handed to hooks"),
    setting("lcd-host", "", "handed to hooks"),
    setting("lcd-port", "", "handed to hooks"),
    setting("lcd-fifo", "", "handed to hooks"),
    setting("notify-host", "", "handed to hooks"),
    setting("notify-port", "", "handed to hooks"),
    setting("notify-fifo", "", "handed to hooks"),
    setting("backup", "", "handed to hooks"),
    setting("dest", "", "handed to hooks"),
    setting("mpd", "mpd", "handed to hooks: the player's service"),
    setting(
        "sharing",
        "smbd nmbd nfs-server",
        "handed to hooks: the services that share the disk, separated by blanks",
    ),
    setting("usb-hub", "", "the hub of the disk as uhubctl names it, as in 2 or 1-1; for pistop cut-power"),
    setting("usb-ports", "", "only these ports of it; for pistop cut-power"),
    setting("usb-ganged", "", "if not empty, the hub switches its ports together only; for pistop cut-power"),
    setting("uhubctl", "uhubctl", "what switches USB power; for pistop cut-power"),
    setting("shutdown-command", "/sbin/shutdown", "what pishutdown runs at the end"),
    setting("pishutdown-deadline", "", "seconds that pishutdown waits in all; empty for shutdown-deadline + 30"),
];

/// Announces that this file server is up, and lets every client let go before it stops.
#[derive(Debug, Default, Clone, Parser)]
#[command(name = "fserver", version)]
pub struct Options {
    /// Listen here (may be given more than once); without it, on port 5555 of all addresses
    #[arg(long, value_name = "ADDR", global = true)]
    pub listen: Vec<String>,
    /// A directory of variables, one file each, as envdir reads them
    #[arg(long, value_name = "DIR", global = true)]
    pub variables: Option<PathBuf>,
    /// A TOML file with the same settings in kebab-case
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Serve one peer on descriptors 0 and 1, as a child of tcpserver
    #[arg(long)]
    pub ucspi: bool,
    /// Keep the links of old clients for the server whose local socket this is (started by fserver itself)
    #[arg(long, hide = true)]
    pub keep: Option<PathBuf>,
    /// What to do; without it, serve
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What else fserver can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Say what would be done, and list everything that stands in its way
    Check,
}

/// The checked settings.
#[derive(Debug)]
pub struct Config {
    /// All layers, for hooks and for what is asked rarely.
    pub settings: Settings,
    /// Where to listen; the same port everywhere.
    pub listen: Vec<SocketAddr>,
    /// Whether the addresses were chosen by us, so that a missing IPv6 is no error.
    pub listen_anywhere: bool,
    /// Our name.
    pub name: HostName,
    /// Who may ask for a shutdown over the network.
    pub shutdown_from: Vec<IpAddr>,
    /// The list of paired machines.
    pub authorized_peers: PathBuf,
    /// Which old clients are let in.
    pub old_peers: OldPeers,
    /// Where unpaired clients are let in for presence alone.
    pub presence_only_from: Vec<Network>,
    /// The multicast group, if announcements are wanted.
    pub announce: Option<SocketAddrV4>,
    /// The local socket.
    pub control: PathBuf,
    /// Where identity and epoch are kept.
    pub state_dir: PathBuf,
    /// Directories of hooks, the later ones taking precedence.
    pub hooks: Vec<PathBuf>,
    /// How long one hook may take.
    pub hook_timeout: Duration,
    /// Within which time this machine is back when it starts again.
    pub reboot_within: Duration,
    /// Whether systemd's machine is held back until everybody has let go.
    pub machine_lock: bool,
    /// After how long an old peer's dead connection is noticed.
    pub data_timeout: Duration,
}

impl Config {
    /// Reads all layers and checks every value, so that a mistake is told at start and not at night.
    pub fn load(options: &Options) -> Result<Config, Failure> {
        let settings = Settings::load(
            SETTINGS,
            Sources {
                config: options.config.clone(),
                variables: options.variables.clone(),
                environment: std::env::vars_os().collect(),
                flags: Vec::new(),
            },
        )?;
        let port = settings.number("port")?;
        let (listen, listen_anywhere) = listen_addresses(options, &settings, port)?;
        for key in ["client-lease", "shutdown-deadline", "back-within"] {
            settings.seconds(key)?;
        }
        for key in ["maxdaemons", "max-per-address"] {
            settings.number::<usize>(key)?;
        }
        Ok(Config {
            listen,
            listen_anywhere,
            name: own_name(&settings)?,
            shutdown_from: addresses(&settings, "shutdown-from")?,
            authorized_peers: settings
                .path("authorized-peers")
                .ok_or_else(|| settings.bad("authorized-peers", "a path is needed".into()))?,
            old_peers: old_peers(&settings)?,
            presence_only_from: networks(&settings, "presence-only-from")?,
            announce: group(&settings)?,
            control: settings.path("control").ok_or_else(|| settings.bad("control", "a path is needed".into()))?,
            state_dir: settings
                .path("state-dir")
                .ok_or_else(|| settings.bad("state-dir", "a path is needed".into()))?,
            hooks: settings.text("hooks").unwrap_or_default().split(':').map(PathBuf::from).collect(),
            hook_timeout: settings.seconds("hook-timeout")?,
            data_timeout: settings.seconds("data-timeout")?,
            reboot_within: settings.seconds("reboot-within")?,
            machine_lock: on_or_off(&settings, "machine-lock")?,
            settings,
        })
    }
}

fn listen_addresses(options: &Options, settings: &Settings, port: u16) -> Result<(Vec<SocketAddr>, bool), BadConfig> {
    if !options.listen.is_empty() {
        return options
            .listen
            .iter()
            .map(|text| listen_address(text, port))
            .collect::<Result<_, _>>()
            .map(|all| (all, false));
    }
    match settings.text("host") {
        None | Some("0") => {
            let both: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
            Ok((both.map(|address| SocketAddr::new(address, port)).to_vec(), true))
        }
        Some(host) => match host.parse::<IpAddr>() {
            Ok(address) => Ok((vec![SocketAddr::new(address, port)], false)),
            Err(_) => {
                Err(settings.bad("host", format!("`{host}` is no IP address of this machine; use one, or 0 for all")))
            }
        },
    }
}

/// `ADDR:PORT`, `[V6]:PORT`, an address alone, or `:PORT` for all addresses.
fn listen_address(text: &str, port: u16) -> Result<SocketAddr, BadConfig> {
    let any = |port: &str| port.parse().ok().map(|port| SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
    let bare = || IpAddr::from_str(text).ok().map(|address| SocketAddr::new(address, port));
    text.parse().ok().or_else(bare).or_else(|| text.strip_prefix(':').and_then(any)).ok_or_else(|| BadConfig {
        source: "flag --listen".into(),
        key: "--listen".into(),
        why: format!("`{text}` is no address; write 192.168.1.10:5555, [fd00::10]:5555 or :5555"),
    })
}

fn own_name(settings: &Settings) -> Result<HostName, BadConfig> {
    let machine = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = settings.text("name").map_or_else(machine, str::to_owned);
    HostName::parse(&name).map_err(|why| settings.bad("name", why.to_string()))
}

fn addresses(settings: &Settings, key: &str) -> Result<Vec<IpAddr>, BadConfig> {
    let texts = settings.text(key).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
    texts
        .map(|text| {
            text.parse().map_err(|_| settings.bad(key, format!("`{text}` is no IP address; separate them by commas")))
        })
        .collect()
}

fn networks(settings: &Settings, key: &str) -> Result<Vec<Network>, BadConfig> {
    let texts = settings.text(key).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
    let bad = |why: BadNetwork| settings.bad(key, why.to_string());
    texts.map(|text| text.parse().map_err(bad)).collect()
}

fn old_peers(settings: &Settings) -> Result<OldPeers, BadConfig> {
    match settings.text("old-peers") {
        None => Ok(OldPeers::WhileOpen),
        Some("any") => Ok(OldPeers::Any),
        Some("off") => Ok(OldPeers::Off),
        Some(_) => Ok(OldPeers::From(networks(settings, "old-peers")?)),
    }
}

fn on_or_off(settings: &Settings, key: &str) -> Result<bool, BadConfig> {
    match settings.text(key) {
        Some("on") => Ok(true),
        None | Some("off") => Ok(false),
        Some(text) => Err(settings.bad(key, format!("`{text}` is neither on nor off"))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn from(environment: &[(&str, &str)]) -> Result<Settings, BadConfig> {
        let environment = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Settings::load(SETTINGS, Sources { environment, ..Sources::default() })
    }

    #[test]
    fn an_address_to_listen_on_is_written_as_people_do() {
        let all =
            ["192.168.1.10", "192.168.1.10:7", "[fd00::10]:7", "fd00::10", ":7"].map(|text| listen_address(text, 5555));
        let shown: Vec<String> = all.into_iter().map(|address| address.unwrap().to_string()).collect();
        assert_eq!(shown, ["192.168.1.10:5555", "192.168.1.10:7", "[fd00::10]:7", "[fd00::10]:5555", "[::]:7"]);
        assert!(listen_address("attic", 5555).unwrap_err().to_string().contains("`attic` is no address"));
    }

    #[test]
    fn the_old_way_to_say_all_addresses_still_works() {
        let settings = from(&[("HOST", "0"), ("PORT", "5556")]).unwrap();
        let (addresses, anywhere) = listen_addresses(&Options::default(), &settings, 5556).unwrap();
        assert!(anywhere && addresses.len() == 2 && addresses.iter().all(|address| address.port() == 5556));
    }

    #[test]
    fn a_wrong_value_names_itself_and_the_remedy() {
        let wrong = [
            ("OLD_PEERS", "kitchen"),
            ("SHUTDOWN_FROM", "kitchen"),
            ("ANNOUNCE", "10.0.0.1:5555"),
            ("HOST", "musicpi"),
        ];
        for (name, value) in wrong {
            let settings = from(&[(name, value)]).unwrap();
            let why = addresses(&settings, "shutdown-from")
                .err()
                .or_else(|| group(&settings).err())
                .or_else(|| old_peers(&settings).err())
                .or_else(|| listen_addresses(&Options::default(), &settings, 1).err())
                .unwrap()
                .to_string();
            assert!(why.contains(value), "{why}");
        }
    }
}
