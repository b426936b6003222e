//! UDP: tells by multicast that this server came up, and answers probes. A client whose TCP link has gone silent asks
//! here whether the server still runs; the answer comes from the main loop, so it proves that the loop lives.

use protocol::datagram::{Datagram, MAX_DATAGRAM};
use protocol::{Epoch, HostName};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::Sender;

/// When the first announcements go out: soon, and again for those whom the first one missed.
const FIRST: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(300), Duration::from_secs(1)];
/// How often a server in service announces itself, for clients that came up late.
const EVERY: Duration = Duration::from_secs(10);

/// A probe, and the socket and address to answer.
#[derive(Debug)]
pub struct Probe {
    /// What the answer must repeat.
    pub nonce: u64,
    /// Whom to answer.
    pub from: SocketAddr,
    /// Through which socket, so that the answer comes from the address that was asked.
    pub socket: Arc<UdpSocket>,
}

impl Probe {
    /// Sends the answer; a full socket drops it, the next probe will do.
    pub fn answer(&self, epoch: Epoch) {
        let _ = self.socket.try_send_to(&Datagram::Here { nonce: self.nonce, epoch }.encode(), self.from);
    }
}

/// Listens for probes on the port of a TCP listener. Without it the server works, only with less patience of its clients.
pub fn listen(address: SocketAddr, probes: Sender<Probe>) {
    match bind(address) {
        Ok(socket) => drop(tokio::spawn(hear(Arc::new(socket), probes))),
        Err(why) => tracing::warn!("no probes are answered on UDP {address}: {why}"),
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    // An fclient on the same machine listens for announcements on the same port of the group's address.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

async fn hear(socket: Arc<UdpSocket>, probes: Sender<Probe>) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, from)) => {
                if let Some(Datagram::Probe { nonce }) = Datagram::decode(&buffer[..length]) {
                    let _ = probes.try_send(Probe { nonce, from, socket: socket.clone() });
                }
            }
            Err(why) => {
                tracing::debug!("a probe could not be read: {why}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Announces for ever, on every interface with an IPv4 address.
pub async fn announce(group: SocketAddrV4, server: HostName, epoch: Epoch) {
    let datagram = Datagram::Up { server, epoch }.encode();
    let mut told = false;
    let (mut early, mut elapsed) = (FIRST.into_iter(), Duration::ZERO);
    loop {
        let next = early.next().map_or(EVERY, |at| at - elapsed);
        elapsed = (elapsed + next).min(FIRST[FIRST.len() - 1]);
        tokio::time::sleep(next).await;
        if let Err(why) = send_everywhere(group, &datagram)
            && !told
        {
            told = true;
            tracing::warn!("not announced to {group}: {why}; clients find this server by trying");
        }
    }
}

fn send_everywhere(group: SocketAddrV4, datagram: &[u8]) -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    let mut result = Err(io::Error::other("no interface has an IPv4 address"));
    for address in own_addresses()? {
        SockRef::from(&socket).set_multicast_if_v4(&address)?;
        result = match socket.send_to(datagram, group) {
            Ok(_) => Ok(()),
            Err(why) => result.or(Err(why)),
        };
    }
    result
}

fn own_addresses() -> io::Result<Vec<Ipv4Addr>> {
    let address = |interface: nix::ifaddrs::InterfaceAddress| Some(interface.address?.as_sockaddr_in()?.ip());
    Ok(nix::ifaddrs::getifaddrs()?.filter_map(address).collect())
}
