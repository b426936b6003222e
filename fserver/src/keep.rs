//! Keeps the links of old clients while the service restarts. An old client takes the end of its link for the server's
//! shutdown and may power itself off; so before a restart fserver hands those sockets to a process of its own, `fserver
//! --keep`, which relays them to the next run as soon as it answers.

use crate::peers::Stream;
use crate::relay::Relay;
use crate::ucspi::stop_on_signal;
use runner::descriptor::{MAX_DESCRIPTORS, adopt, receive_fds, send_fds};
use runner::exit::Failure;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A link to be kept, and the peer's address for people.
pub type Kept = (Stream, String);

/// How long the keeper may take to say that it has everything.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Starts the keeper, hands it these links, and waits until it has them. It is this very program, also when its file has
/// been replaced by an update.
pub fn start(links: &[Kept], control: &Path) -> io::Result<()> {
    let (mut ours, theirs) = StdUnixStream::pair()?;
    Command::new("/proc/self/exe")
        .arg("--keep")
        .arg(control)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .process_group(0)
        .spawn()?;
    for some in links.chunks(MAX_DESCRIPTORS) {
        let addresses: Vec<&str> = some.iter().map(|(_, address)| address.as_str()).collect();
        let descriptors: Vec<BorrowedFd<'_>> = some.iter().map(|(stream, _)| stream.descriptor()).collect();
        send_fds(&ours, addresses.join("\n").as_bytes(), &descriptors)?;
    }
    ours.shutdown(Shutdown::Write)?;
    ours.set_read_timeout(Some(TAKEN_WITHIN))?;
    ours.read_exact(&mut [0])
}

/// The keeper: relays every link it was given, to whoever answers at `control`, until the last one has ended.
pub async fn run(control: PathBuf) -> Result<(), Failure> {
    let failed = |why: io::Error| Failure::Permanent(format!("--keep is started by fserver alone: {why}"));
    let mut parent = StdUnixStream::from(adopt(0).map_err(failed)?);
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let relays = TaskTracker::new();
    loop {
        let (addresses, links) = match receive_fds(&parent) {
            Ok(some) => some,
            Err(why) if relays.is_empty() => return Err(failed(why)),
            Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(why) => {
                tracing::warn!("not all links came through: {why}");
                break;
            }
        };
        let addresses = String::from_utf8_lossy(&addresses).into_owned();
        for (link, address) in links.into_iter().zip(addresses.split('\n')) {
            match peer(link) {
                Ok(peer) => {
                    let relay = Relay { peer, address: address.into(), greeted: true, control: control.clone() };
                    relays.spawn(relay.run(stop.clone()));
                }
                Err(why) => tracing::warn!("the link of {address} cannot be kept: {why}"),
            }
        }
    }
    parent.write_all(b"k").map_err(failed)?;
    drop(parent);
    tracing::info!("keeping {} links of old clients until fserver is back", relays.len());
    relays.close();
    relays.wait().await;
    Ok(())
}

fn peer(link: OwnedFd) -> io::Result<tokio::net::TcpStream> {
    let stream = std::net::TcpStream::from(link);
    stream.set_nonblocking(true)?;
    tokio::net::TcpStream::from_std(stream)
}
