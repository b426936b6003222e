//! Under tcpclient: the link is there, on descriptors 6 and 7, as one socket or as two pipes. No address is asked of
//! them and no option has to be settable; what is known of the other end, tcpclient says in variables.

use runner::descriptor::adopt;
use runner::exit::Failure;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

/// The descriptors of the link; to be taken before anything else is opened.
///
/// # Errors
/// They are not there; the message names tcpclient.
pub fn descriptors() -> Result<(OwnedFd, OwnedFd), Failure> {
    let missing = |why| Failure::Permanent(format!("--ucspi needs a link on 6 and 7, as tcpclient gives: {why}"));
    Ok((adopt(6).map_err(missing)?, adopt(7).map_err(missing)?))
}

/// The server's address. Debian's tools pass a stale TCP6REMOTEIP of their caller on, so it counts only where they do
/// not say that they speak IPv4.
pub fn remote_address() -> Option<String> {
    of_family("REMOTEIP")
}

/// The server's address with its port, if both are known.
pub fn remote() -> Option<SocketAddr> {
    let address: IpAddr = remote_address()?.parse().ok()?;
    Some(SocketAddr::new(address, of_family("REMOTEPORT")?.parse().ok()?))
}

/// This machine's own address on the link.
pub fn local() -> Option<IpAddr> {
    of_family("LOCALIP")?.parse().ok()
}

fn of_family(what: &str) -> Option<String> {
    let variable = |name: String| std::env::var(name).ok().filter(|text| !text.is_empty());
    let v4 = variable("PROTO".into()).as_deref() == Some("TCP");
    let six = variable(format!("TCP6{what}")).filter(|_| !v4);
    six.or_else(|| variable(format!("TCP{what}")))
}
