//! Listening sockets, and the task that takes new links from each. An error of `accept` is logged and waited out; a
//! full house leaves new links in the kernel's queue, as tcpserver does.

use runner::exit::Failure;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// How many links may wait in the kernel: a whole house that comes up in the same instant.
const BACKLOG: i32 = 4096;
/// How long a failed accept is waited out.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens one listening socket; the message names the address and the remedy.
pub fn open(address: SocketAddr) -> Result<TcpListener, Failure> {
    bind(address).map_err(|why| {
        let hint = match why.kind() {
            io::ErrorKind::AddrInUse => {
                "another fserver or tcpserver has it; stop that one, or use --listen with another port"
            }
            io::ErrorKind::PermissionDenied => "use a port over 1023 or start as root",
            io::ErrorKind::AddrNotAvailable => "this machine has no such address; see `ip address`",
            _ => "see --listen",
        };
        Failure::Temporary(format!("cannot listen on {address}: {why}; {hint}"))
    })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking().cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes links for ever, while `open` says so.
pub async fn accept(
    listener: TcpListener,
    links: mpsc::Sender<(TcpStream, SocketAddr)>,
    mut open: watch::Receiver<bool>,
) {
    loop {
        if open.wait_for(|open| *open).await.is_err() {
            return;
        }
        match listener.accept().await {
            Ok(link) => {
                if links.send(link).await.is_err() {
                    return;
                }
            }
            Err(why) => {
                tracing::warn!(
                    "cannot take a new link: {why}; trying on (if files are short, raise the limit with ulimit -n)"
                );
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
