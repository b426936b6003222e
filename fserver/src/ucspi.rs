//! `fserver --ucspi`: the child that tcpserver starts for each connection, on descriptors 0 and 1. It brings its peer
//! to the running fserver; with none running it announces by itself.
//!
//! The descriptors may be one socket or two pipes, so options are only tried, and no address is asked of them.

use crate::config::Config;
use crate::peers::watch_silently;
use crate::relay::Relay;
use runner::descriptor::{Duplex, adopt};
use runner::exit::Failure;
use runner::signals::Signals;
use socket2::SockRef;
use tokio_util::sync::CancellationToken;

/// Serves the peer on descriptors 0 and 1.
pub async fn run(config: Config) -> Result<(), Failure> {
    let open =
        |why: std::io::Error| Failure::Permanent(format!("--ucspi needs a peer on 0 and 1, as tcpserver gives: {why}"));
    let (read, write) = (adopt(0).map_err(open)?, adopt(1).map_err(open)?);
    // A pipe has no such options; the relay of a TLS tcpserver watches its own socket.
    let _ = watch_silently(&SockRef::from(&read), config.data_timeout);
    let peer = Duplex::new(read, write).map_err(open)?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let relay = Relay { peer, address: address(), greeted: false, control: config.control };
    relay.run(stop).await.map_err(|why| Failure::Temporary(format!("the peer's link broke: {why}")))
}

/// Cancels at SIGTERM or SIGINT.
pub async fn stop_on_signal(stop: CancellationToken) {
    match Signals::listen() {
        Ok(mut signals) => {
            signals.next().await;
            stop.cancel();
        }
        Err(why) => tracing::warn!("signals cannot be heard: {why}"),
    }
}

/// The peer's address as UCSPI tells it. Debian's tools pass a stale TCP6REMOTEIP of their caller on, so it counts only
/// where they do not say that they speak IPv4.
fn address() -> String {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let v4 = variable("PROTO").as_deref() == Some("TCP");
    let six = variable("TCP6REMOTEIP").filter(|_| !v4);
    six.or_else(|| variable("TCPREMOTEIP")).unwrap_or_else(|| "unknown".into())
}
