//! The wire of the house: a bridge with one tap for each machine, in the network namespace in which this program already is
//! (see `walls`). Nothing goes outside.

use crate::shell;
use std::io;

/// The address of this program on the wire.
const OURS: &str = "192.168.2.254/24";

/// Lays the bridge.
///
/// # Errors
/// `ip` failed.
pub fn lay() -> io::Result<()> {
    shell::words("ip link set lo up")?;
    shell::words("ip link add br0 type bridge")?;
    shell::words(&format!("ip address add {OURS} dev br0"))?;
    shell::words("ip link set br0 up").map(|_| ())
}

/// Plugs a machine in; the name of its tap.
///
/// # Errors
/// `ip` failed, most likely because there is no `/dev/net/tun`.
pub fn plug(machine: &str) -> io::Result<String> {
    let tap = format!("to-{machine}");
    shell::words(&format!("ip tuntap add {tap} mode tap"))?;
    shell::words(&format!("ip link set {tap} master br0 up"))?;
    Ok(tap)
}
