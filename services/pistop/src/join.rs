//! `pistop pair --server HOST`: pairs this machine. It proves that it knows the code, has the server prove the same, and
//! then keeps the server's key where fclient looks for it.

use crate::config::PairFlags;
use crate::words::say;
use bus::knock::{Knock, Unheard};
use bus::secure::{Code, Joiner, KeyFile, PinnedServer};
use protocol::HostName;
use runner::exit::Failure;
use runner::settings::{Setting, Settings, Sources};
use std::io::{IsTerminal, Write, stdin, stdout};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const CONFIG: &str = "/etc/pistop/fclient.toml";
const PORT: u16 = 5555;
/// How long all of it may take: the server waits for its disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// The settings, which are fclient's.
const SETTINGS: &[Setting] = &[
    Setting { key: "state-dir", default: "/var/lib/pistop/fclient", help: "where key and server are kept" },
    Setting { key: "name", default: "", help: "our name; empty for that of the machine" },
];

/// Joins, and says what follows from it.
pub async fn run(server: &str, flags: &PairFlags, variables: Option<PathBuf>) -> Result<(), Failure> {
    let (host, port) = place(server)?;
    let (name, state) = own(flags, variables)?;
    let code = code(flags)?;
    make(&state)?;
    let key = KeyFile::within(&state).load_or_make().map_err(permanent)?;
    let own = key.public().fingerprint();
    let joined = timeout(PATIENCE, join((&host, port), name.clone(), &code, &key)).await;
    let pinned = joined.unwrap_or_else(|_| {
        let remedy = "is it a pistop server, and new enough?";
        Err(Failure::Temporary(format!("{host}:{port} gives no answer in {} s; {remedy}", PATIENCE.as_secs())))
    })?;
    pinned.store(&state).map_err(permanent)?;
    let (server, print) = (&pinned.name, pinned.key.fingerprint());
    say(&format!("{name} is paired with {server}. The key of {server} is {print}, that of {name} is {own}."));
    say("From now on fclient here believes nobody else. If it runs, it links anew within a second, sealed.");
    Ok(())
}

async fn join(
    place: (&str, u16),
    name: HostName,
    code: &Code,
    key: &bus::secure::SecretKey,
) -> Result<PinnedServer, Failure> {
    let (host, port) = place;
    let stream = TcpStream::connect(place).await.map_err(|why| {
        Failure::Temporary(format!(
            "{host}:{port} is not reached: {why}; does fserver run there, and is the name right?"
        ))
    })?;
    let unheard = |why: Unheard| Failure::Permanent(format!("{host}:{port} does not pair this machine: {why}"));
    let failed = |why: bus::secure::Failure| Failure::Permanent(format!("{host}:{port}: {why}"));
    let (mut knock, hellos) = Knock::at(stream, name).await.map_err(unheard)?;
    let (joiner, first) = Joiner::new(code, key, &hellos).map_err(|why| failed(why.into()))?;
    knock.say(first).await.map_err(unheard)?;
    let (waits, last) = joiner.receive(&knock.answer().await.map_err(unheard)?).map_err(failed)?;
    knock.say(last).await.map_err(unheard)?;
    waits.receive(&knock.answer().await.map_err(unheard)?).map_err(failed)
}

/// `HOST`, `HOST:PORT`, `[V6]:PORT`, or an IPv6 address alone.
fn place(text: &str) -> Result<(String, u16), Failure> {
    let bad = || Failure::Permanent(format!("`{text}` is no server; write HOST or HOST:PORT, as in attic:5555"));
    let bare = text.parse::<IpAddr>().is_ok();
    let (host, port) = match text.rsplit_once(':').filter(|_| !bare) {
        Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        None => (text, PORT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(['[', ']', ' ']) { Err(bad()) } else { Ok((host.to_owned(), port)) }
}

/// This machine's name, and where fclient keeps its state.
fn own(flags: &PairFlags, variables: Option<PathBuf>) -> Result<(HostName, PathBuf), Failure> {
    let usual = || Path::new(CONFIG).exists().then(|| CONFIG.into());
    let state_dir = flags.state_dir.as_ref().map(|path| ("state-dir", path.display().to_string()));
    let name = flags.name.as_ref().map(|name| ("name", name.clone()));
    let sources = Sources {
        config: flags.config.clone().or_else(usual),
        variables,
        environment: std::env::vars_os().collect(),
        flags: state_dir.into_iter().chain(name).collect(),
    };
    let settings = Settings::load_shared(SETTINGS, sources)?;
    let machine = || nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = settings.text("name").map_or_else(machine, str::to_owned);
    let name = HostName::parse(&name).map_err(|why| settings.bad("name", why.to_string()))?;
    let state = settings.path("state-dir").ok_or_else(|| settings.bad("state-dir", "a path is needed".into()))?;
    Ok((name, state))
}

/// The code as it was given, or as it is typed now.
fn code(flags: &PairFlags) -> Result<Code, Failure> {
    let typed = match &flags.code {
        Some(code) => code.clone(),
        None => typed()?,
    };
    typed.parse().map_err(|why: bus::secure::pairing::BadCode| Failure::Permanent(why.to_string()))
}

fn typed() -> Result<String, Failure> {
    if stdin().is_terminal() {
        print!("The code that the server shows: ");
        let _ = stdout().flush();
    }
    let mut line = String::new();
    let read = stdin().read_line(&mut line);
    read.map(|_| line).map_err(|why| Failure::Permanent(format!("no code can be read: {why}; give it with --code")))
}

/// Fclient makes it at its first start, for its user alone; this may be before that.
fn make(state: &Path) -> Result<(), Failure> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    let remedy = "become root, or the user that fclient runs as";
    made.map_err(|why| Failure::Permanent(format!("{}: {why}; {remedy}", state.display())))
}

fn permanent(why: bus::secure::Fault) -> Failure {
    Failure::Permanent(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_as_for_fclient() {
        let read = |text: &str| place(text).unwrap();
        assert_eq!(read("attic"), ("attic".into(), 5555));
        assert_eq!(read("attic:7"), ("attic".into(), 7));
        assert_eq!(read("[fd00::1]:7"), ("fd00::1".into(), 7));
        assert_eq!(read("fd00::1"), ("fd00::1".into(), 5555));
        assert!(place("attic:x").is_err() && place(":7").is_err());
    }
}
