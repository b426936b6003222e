//! Hears announcements: a server that came up says so by multicast, on every interface.
//!
//! A datagram is a hint and nothing more: it makes this client try the one server that it was told to follow. Without
//! multicast everything works, only later.

use nix::ifaddrs::getifaddrs;
use protocol::datagram::{Datagram, MAX_DATAGRAM};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often we look whether interfaces have come or gone.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the group is joined again even if none has: a membership may be lost without a trace.
const REJOIN_EVERY: Duration = Duration::from_secs(30);
/// A socket that fails is not asked again at once.
const PAUSE: Duration = Duration::from_millis(200);

/// Sends a word to `heard` for each announcement, for ever; if that cannot be, says so once and ends.
pub async fn listen(group: SocketAddrV4, heard: Sender<()>) {
    match bind(group) {
        Ok(socket) => drop(tokio::join!(hear(&socket, heard), keep_joined(&socket, group))),
        Err(why) => tracing::warn!("announcements on {group} are not heard ({why}); the server is found by trying"),
    }
}

/// Several programs of a machine may listen to one group.
fn bind(group: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&group.into())?;
    UdpSocket::from_std(socket.into())
}

async fn hear(socket: &UdpSocket, heard: Sender<()>) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) if matches!(Datagram::decode(&buffer[..length]), Some(Datagram::Up { .. })) => {
                // A full box holds words enough.
                let _ = heard.try_send(());
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn keep_joined(socket: &UdpSocket, group: SocketAddrV4) {
    let (mut known, mut joined, mut told) = (BTreeSet::new(), Instant::now(), false);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let addresses = own_addresses();
        if addresses == known && joined.elapsed() < REJOIN_EVERY {
            continue;
        }
        let any = addresses.iter().filter(|address| join(socket, group, address)).count() > 0;
        if !any && !told {
            tracing::warn!("no interface takes part in {group}; the server is found by trying");
        }
        (known, joined, told) = (addresses, Instant::now(), !any);
    }
}

/// Whether the interface with this address takes part; one that does already says so by an error.
fn join(socket: &UdpSocket, group: SocketAddrV4, interface: &Ipv4Addr) -> bool {
    match SockRef::from(socket).join_multicast_v4(group.ip(), interface) {
        Ok(()) => true,
        Err(why) => why.kind() == io::ErrorKind::AddrInUse,
    }
}

fn own_addresses() -> BTreeSet<Ipv4Addr> {
    let address = |interface: nix::ifaddrs::InterfaceAddress| Some(interface.address?.as_sockaddr_in()?.ip());
    getifaddrs().map(|all| all.filter_map(address).collect()).unwrap_or_default()
}
