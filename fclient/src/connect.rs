//! One attempt to reach the server: its name becomes addresses, and each is tried in turn.

use crate::config::Config;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What came of an attempt.
#[derive(Debug)]
pub struct Attempted {
    /// Where the server was looked for; empty if its name could not be resolved.
    pub addresses: Vec<SocketAddr>,
    /// The connection, or what stood in its way.
    pub stream: Result<TcpStream, String>,
}

/// An attempt under way; dropped, it is given up.
#[derive(Debug)]
pub struct Attempt(JoinHandle<Attempted>);

impl Attempt {
    /// Begins one.
    pub fn begin(config: &Config) -> Self {
        let (host, port, longest, patience) = (config.host.clone(), config.port, config.timeout, config.data_timeout);
        Self(tokio::spawn(async move { attempt(&host, port, longest, patience).await }))
    }

    /// Its end. Nothing is lost if the future is dropped.
    pub async fn ended(&mut self) -> Attempted {
        let failed =
            |why| Attempted { addresses: Vec::new(), stream: Err(format!("the attempt itself failed: {why}")) };
        (&mut self.0).await.unwrap_or_else(failed)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn attempt(host: &str, port: u16, longest: Duration, patience: Duration) -> Attempted {
    let addresses: Vec<_> = match timeout(longest, lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(why)) => return nowhere(format!("{host}: {why}; is the name right, and is it in DNS or /etc/hosts?")),
        Err(_) => return nowhere(format!("{host}: nobody resolves the name; give HOST as an address if DNS is slow")),
    };
    let stream = first_of(&addresses, longest, patience).await;
    Attempted { addresses, stream }
}

fn nowhere(why: String) -> Attempted {
    Attempted { addresses: Vec::new(), stream: Err(why) }
}

async fn first_of(addresses: &[SocketAddr], longest: Duration, patience: Duration) -> Result<TcpStream, String> {
    let mut last = "the name has no address".to_owned();
    for &address in addresses {
        match timeout(longest, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                watch(&stream, patience).map_err(|why| format!("{address}: {why}"))?;
                return Ok(stream);
            }
            Ok(Err(why)) => last = format!("{address}: {why}"),
            Err(_) => last = format!("{address}: no answer in {:.1} s", longest.as_secs_f64()),
        }
    }
    Err(last)
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
