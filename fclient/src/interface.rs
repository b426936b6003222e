//! Is this machine's own way to the server up? Asked before a server is accused: an unplugged cable, a lost Wi-Fi or
//! an address that is gone is our own trouble.

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the own link is up.
    pub up: bool,
    /// In words.
    pub evidence: String,
    /// The own address is no longer this machine's.
    pub moved: bool,
}

/// Looks at the interface that carries `local`, our address on the link, or, if that is not known, the one that leads
/// to the server. A server with several addresses need be within reach at one of them.
pub fn look(local: Option<IpAddr>, server: &[SocketAddr]) -> Finding {
    let routes: Vec<_> = server.iter().copied().map(route_to).collect();
    let routed = routes.iter().find_map(|route| route.as_ref().ok()).copied();
    if let (None, Some(Err(why))) = (routed, routes.first()) {
        return down(format!("this machine has no route to the server: {why}"));
    }
    let interfaces: Vec<_> = getifaddrs().map(Iterator::collect).unwrap_or_default();
    match local.or(routed) {
        Some(address) => look_at(address.to_canonical(), &interfaces),
        None => look_at_any(&interfaces),
    }
}

/// Our address on the way to the server; connecting a UDP socket sends nothing.
fn route_to(server: SocketAddr) -> io::Result<IpAddr> {
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

fn look_at(address: IpAddr, interfaces: &[InterfaceAddress]) -> Finding {
    let Some(found) = interfaces.iter().find(|interface| address_of(interface) == Some(address)) else {
        return Finding { moved: true, ..down(format!("the address {address} is no longer this machine's")) };
    };
    let name = &found.interface_name;
    match (found.flags.contains(InterfaceFlags::IFF_UP), carries(found)) {
        (true, true) => Finding { up: true, evidence: format!("{name} with {address} is up"), moved: false },
        (true, false) => down(format!("{name} with {address} has no carrier")),
        (false, _) => down(format!("{name} with {address} is switched off")),
    }
}

/// Nothing is known of the way to the server: any interface that works will do.
fn look_at_any(interfaces: &[InterfaceAddress]) -> Finding {
    let works = |i: &&InterfaceAddress| {
        !i.flags.contains(InterfaceFlags::IFF_LOOPBACK) && carries(i) && address_of(i).is_some()
    };
    match interfaces.iter().find(works) {
        Some(found) => Finding { up: true, evidence: format!("{} is up", found.interface_name), moved: false },
        None => down("no interface of this machine is up".into()),
    }
}

fn carries(interface: &InterfaceAddress) -> bool {
    interface.flags.intersects(InterfaceFlags::IFF_LOOPBACK)
        || interface.flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING)
}

fn address_of(interface: &InterfaceAddress) -> Option<IpAddr> {
    let address = interface.address.as_ref()?;
    let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
}

fn down(evidence: String) -> Finding {
    Finding { up: false, evidence, moved: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_up_and_a_strange_address_is_not_ours() {
        let lo = look(Some([127, 0, 0, 1].into()), &[]);
        assert!(lo.up && lo.evidence.contains("lo"), "{lo:?}");
        let strange = look(Some([203, 0, 113, 9].into()), &[]);
        assert!(!strange.up && strange.moved && strange.evidence.contains("203.0.113.9"), "{strange:?}");
    }

    #[test]
    fn the_way_to_the_server_tells_which_interface_counts() {
        // No interface has the number of this scope.
        let nowhere = "[fe80::1%4294967295]:5555".parse().unwrap();
        let found = look(None, &[nowhere, ([127, 0, 0, 1], 5555).into()]);
        assert!(found.up && found.evidence.contains("127.0.0.1"), "{found:?}");
        let found = look(None, &[nowhere]);
        assert!(!found.up && found.evidence.contains("no route"), "{found:?}");
    }
}
