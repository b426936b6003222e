//! Listening sockets, and new links from them. An error of `accept` is logged and waited out; a full house leaves new
//! links in the kernel's queue, as tcpserver does.

use runner::exit::Failure;
use socket2::{Domain, Protocol, Socket, Type};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

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

/// All listening sockets. The caller takes a link only while it has room for one, so a cap is never overrun by links
/// that were taken on stock.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
    first: usize,
    failing: bool,
    pause: Option<Instant>,
}

impl Listeners {
    /// Takes links from these.
    pub fn new(sockets: Vec<TcpListener>) -> Self {
        Self { sockets, first: 0, failing: false, pause: None }
    }

    /// The next link. May be dropped and called again at any time.
    pub async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            if let Some(until) = self.pause {
                tokio::time::sleep_until(until).await;
                self.pause = None;
            }
            match poll_fn(|context| self.poll(context)).await {
                Ok(link) => {
                    self.failing = false;
                    return link;
                }
                Err(why) => self.failed(&why),
            }
        }
    }

    /// Asks each socket, beginning with another one each time, so that none has to wait for a busy one.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.sockets.len();
        for at in 0..count {
            let socket = &self.sockets[(self.first + at) % count];
            if let Poll::Ready(link) = socket.poll_accept(context) {
                self.first = (self.first + at + 1) % count;
                return Poll::Ready(link);
            }
        }
        Poll::Pending
    }

    /// The same trouble is told once and not twice a second.
    fn failed(&mut self, why: &io::Error) {
        if !self.failing {
            tracing::warn!(
                "cannot take a new link: {why}; trying on (if files are short, raise the limit with ulimit -n)"
            );
        }
        self.failing = true;
        self.pause = Some(Instant::now() + PAUSE);
    }
}
