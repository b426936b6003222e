//! One attempt to reach the server: its name becomes addresses, and each is tried in turn. If this machine is paired, what
//! answers there has to prove that it is the server.

use crate::config::Config;
use crate::link::Link;
use crate::prove::Prover;
use bus::secure::{PinnedServer, Trust};
use protocol::{Epoch, HostName};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What came of an attempt.
pub struct Attempted {
    /// Where the server was looked for; empty if its name could not be resolved.
    pub addresses: Vec<SocketAddr>,
    /// The link, or what stood in its way.
    pub reached: Result<Reached, Obstacle>,
}

/// A link.
pub struct Reached {
    /// The link itself.
    pub link: Link,
    /// Where the server is, if the link tells.
    pub server: Option<SocketAddr>,
    /// Our own address on it.
    pub local: Option<IpAddr>,
    /// Which server it is, and which run of it, if it proved that.
    pub proven: Option<(HostName, Epoch)>,
}

/// What stands in the way, in words.
#[derive(Debug)]
pub enum Obstacle {
    /// Nobody answers.
    Unreached(String),
    /// Somebody does, and does not prove that he is the server.
    Unproven(String),
}

/// An attempt under way; dropped, it is given up.
pub struct Attempt(JoinHandle<Attempted>);

impl Attempt {
    /// Begins one, for the server that this machine trusts.
    pub fn begin(config: &Config, trust: Trust) -> Self {
        let plan = Plan::of(config, trust);
        Self(tokio::spawn(plan.attempt()))
    }

    /// The same over a link that is there.
    pub fn over(stream: impl crate::link::Stream + 'static, config: &Config, trust: Trust) -> Self {
        let plan = Plan::of(config, trust);
        Self(tokio::spawn(async move {
            let reached = plan.prove(stream, "the other end of this link").await;
            Attempted { addresses: Vec::new(), reached }
        }))
    }

    /// Its end. Nothing is lost if the future is dropped.
    pub async fn ended(&mut self) -> Attempted {
        (&mut self.0).await.unwrap_or_else(|why| nowhere(format!("the attempt itself failed: {why}")))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Plan {
    host: String,
    port: u16,
    longest: Duration,
    patience: Duration,
    prover: Prover,
    trust: Trust,
}

impl Plan {
    fn of(config: &Config, trust: Trust) -> Plan {
        let prover = Prover { name: config.name.clone(), state_dir: config.state_dir.clone() };
        let (host, port, longest, patience) = (config.host.clone(), config.port, config.timeout, config.data_timeout);
        Plan { host, port, longest, patience, prover, trust }
    }

    async fn attempt(self) -> Attempted {
        let host = &self.host;
        let addresses: Vec<_> = match timeout(self.longest, lookup_host((&**host, self.port))).await {
            Ok(Ok(addresses)) => addresses.collect(),
            Ok(Err(why)) => {
                return nowhere(format!("{host}: {why}; is the name right, and is it in DNS or /etc/hosts?"));
            }
            Err(_) => {
                return nowhere(format!("{host}: nobody resolves the name; give HOST as an address if DNS is slow"));
            }
        };
        let reached = self.first_of(&addresses).await;
        Attempted { addresses, reached }
    }

    /// The first that answers, and if need be proves itself.
    async fn first_of(&self, addresses: &[SocketAddr]) -> Result<Reached, Obstacle> {
        let mut last = Obstacle::Unreached("the name has no address".to_owned());
        for &address in addresses {
            match self.connect(address).await {
                Err(why) => last = Obstacle::Unreached(why),
                Ok(stream) => {
                    let (server, local) = (stream.peer_addr().ok(), stream.local_addr().ok().map(|local| local.ip()));
                    match self.prove(stream, &address.to_string()).await {
                        Ok(reached) => return Ok(Reached { server, local, ..reached }),
                        Err(why) => last = why,
                    }
                }
            }
        }
        Err(last)
    }

    async fn connect(&self, address: SocketAddr) -> Result<TcpStream, String> {
        match timeout(self.longest, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => watch(&stream, self.patience).map(|()| stream).map_err(|why| format!("{address}: {why}")),
            Ok(Err(why)) => Err(format!("{address}: {why}")),
            Err(_) => Err(format!("{address}: no answer in {:.1} s", self.longest.as_secs_f64())),
        }
    }

    /// Without a pinned server any link will do.
    async fn prove(&self, stream: impl crate::link::Stream + 'static, place: &str) -> Result<Reached, Obstacle> {
        let pinned: &PinnedServer = match &self.trust {
            Trust::Unpaired => {
                return Ok(Reached { link: Link::new(stream), server: None, local: None, proven: None });
            }
            Trust::Pinned(pinned) => pinned,
        };
        match self.prover.prove(stream, pinned).await {
            Ok((stream, proven)) => {
                let whom = Some((proven.server.clone(), proven.epoch));
                Ok(Reached { link: Link::sealed(stream, proven), server: None, local: None, proven: whom })
            }
            Err(why) => {
                let server = &pinned.name;
                Err(Obstacle::Unproven(format!(
                    "the server at {place} does not prove that it is {server}, with which this machine is paired: {why}; \
                     nothing that it says is believed"
                )))
            }
        }
    }
}

fn nowhere(why: String) -> Attempted {
    Attempted { addresses: Vec::new(), reached: Err(Obstacle::Unreached(why)) }
}

/// An old server says nothing for days, so TCP itself has to notice when it is no longer there.
fn watch(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let step = (patience / 4).max(Duration::from_secs(1));
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(step).with_interval(step))?;
    socket.set_tcp_user_timeout(Some(patience))
}

/// The same for a link that tcpclient made, as far as it can be done: on a pipe it cannot.
pub fn watch_if_socket(fd: &impl std::os::fd::AsFd, patience: Duration) {
    let socket = SockRef::from(fd);
    let step = (patience / 4).max(Duration::from_secs(1));
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(step).with_interval(step));
    let _ = socket.set_tcp_user_timeout(Some(patience));
}
