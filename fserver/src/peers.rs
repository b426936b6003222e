//! The sockets of all peers. Writing never waits: what a full window leaves over is kept, up to a cap, and sent when
//! the socket has room again. Reading needs one small task a peer and one buffer for all, so an idle peer costs about
//! a kilobyte.

use crate::machine::{Input, PeerId};
use protocol::line::ClientLine;
use protocol::session::Session;
use socket2::SockRef;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::Sender;
use tokio::task::AbortHandle;

/// What a peer that does not read may leave unsent, in bytes: hundreds of beats, and nothing next to a machine's memory.
pub const MOST_UNSENT: usize = 64 * 1024;

/// How long somebody who is turned away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// One read takes at most so much.
const READ_BUFFER: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<[u8; READ_BUFFER]> = const { RefCell::new([0; READ_BUFFER]) };
}

/// What the loop hears from its tasks.
#[derive(Debug)]
pub enum Event {
    /// For the machine as it is.
    Input(Input),
    /// A socket has room again.
    Writable(PeerId),
}

/// A peer's socket.
#[derive(Debug)]
pub enum Stream {
    /// From the network.
    Tcp(TcpStream),
    /// Through a `--ucspi` child or the keeper.
    Unix(UnixStream),
}

impl Stream {
    async fn ready(&self, interest: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.ready(interest).await.map(drop),
            Stream::Unix(stream) => stream.ready(interest).await.map(drop),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_read(buffer),
            Stream::Unix(stream) => stream.try_read(buffer),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// The other end's address for people.
    pub fn remote(&self) -> String {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().map(|peer| peer.ip().to_canonical().to_string()),
            Stream::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
        .unwrap_or_else(|_| "unknown".into())
    }

    /// The descriptor, to be handed to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Stream::Tcp(stream) => SockRef::from(stream),
            Stream::Unix(stream) => SockRef::from(stream),
        }
    }
}

#[derive(Debug)]
struct Link {
    stream: Arc<Stream>,
    reader: AbortHandle,
    unsent: Vec<u8>,
    half_close: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// All sockets.
#[derive(Debug)]
pub struct Peers {
    links: HashMap<PeerId, Link>,
    events: Sender<Event>,
}

impl Peers {
    /// No peers yet; what they say goes to `events`.
    pub fn new(events: Sender<Event>) -> Self {
        Self { links: HashMap::new(), events }
    }

    /// Takes a new socket and begins to read from it.
    pub fn add(&mut self, peer: PeerId, stream: Stream, dead_after: Duration) {
        if let Stream::Tcp(tcp) = &stream
            && let Err(why) = watch_silently(&SockRef::from(tcp), dead_after)
        {
            tracing::debug!("no keepalive on the link of a peer: {why}");
        }
        let stream = Arc::new(stream);
        let reader = tokio::spawn(read(peer, stream.clone(), self.events.clone())).abort_handle();
        self.links.insert(peer, Link { stream, reader, unsent: Vec::new(), half_close: false });
    }

    /// Sends what the socket takes now and keeps the rest. A peer over the cap, or with a broken link, is told to the
    /// machine as ended.
    pub fn send(&mut self, peer: PeerId, bytes: &[u8]) -> Option<Input> {
        let link = self.links.get_mut(&peer)?;
        if !link.unsent.is_empty() {
            return Self::keep(link, peer, bytes);
        }
        match link.stream.try_write(bytes) {
            Ok(sent) if sent == bytes.len() => None,
            Ok(sent) => self.wait_for_room(peer, &bytes[sent..]),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(peer, bytes),
            Err(why) => Some(Input::Ended(peer, Some(format!("has a broken link: {why}")))),
        }
    }

    fn keep(link: &mut Link, peer: PeerId, bytes: &[u8]) -> Option<Input> {
        if link.unsent.len() + bytes.len() > MOST_UNSENT {
            let text = format!("does not read: {} bytes wait for it, over the cap of {MOST_UNSENT}", link.unsent.len());
            return Some(Input::Ended(peer, Some(text)));
        }
        link.unsent.extend_from_slice(bytes);
        None
    }

    fn wait_for_room(&mut self, peer: PeerId, rest: &[u8]) -> Option<Input> {
        let link = self.links.get_mut(&peer)?;
        let refused = Self::keep(link, peer, rest);
        let (stream, events) = (link.stream.clone(), self.events.clone());
        tokio::spawn(async move {
            if stream.ready(Interest::WRITABLE).await.is_ok() {
                let _ = events.send(Event::Writable(peer)).await;
            }
        });
        refused
    }

    /// The socket has room again.
    pub fn writable(&mut self, peer: PeerId) -> Option<Input> {
        let unsent = std::mem::take(&mut self.links.get_mut(&peer)?.unsent);
        let ended = self.send(peer, &unsent);
        if self.links.get(&peer).is_some_and(|link| link.half_close && link.unsent.is_empty()) {
            self.half_close(peer);
        }
        ended
    }

    /// Tells the other end that nothing more follows, once everything is sent.
    pub fn half_close(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.half_close = true;
        if link.unsent.is_empty() {
            let _ = link.stream.socket().shutdown(Shutdown::Write);
        }
    }

    /// Says nothing more, and closes soon even if the other end does not.
    pub fn turn_away(&mut self, peer: PeerId) {
        self.half_close(peer);
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(LAST_WORDS).await;
            let _ = events.send(Event::Input(Input::Ended(peer, None))).await;
        });
    }

    /// Closes a socket; what was not sent is lost.
    pub fn close(&mut self, peer: PeerId) {
        self.links.remove(&peer);
    }

    /// Closes by reset, so that the other end sees an error and not an end.
    pub fn reset(&mut self, peer: PeerId) {
        if let Some(link) = self.links.remove(&peer) {
            let _ = link.stream.socket().set_linger(Some(Duration::ZERO));
        }
    }

    /// Hands out the socket of a peer that is to live on elsewhere.
    pub fn release(&mut self, peer: PeerId) -> Option<Arc<Stream>> {
        self.links.remove(&peer).map(|link| link.stream.clone())
    }

    /// Tells all that nothing more follows.
    pub fn half_close_all(&mut self) {
        let peers: Vec<PeerId> = self.links.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.half_close(peer));
    }

    /// Whether no link is left.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }
}

/// What the kernel keeps for a peer that does not read is bounded, too; and TCP itself watches a peer that owes us nothing: an old client is silent for days.
pub fn watch_silently(socket: &SockRef<'_>, dead_after: Duration) -> io::Result<()> {
    let third = (dead_after / 3).max(Duration::from_secs(1));
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(MOST_UNSENT)?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(third).with_interval(third).with_retries(2))?;
    socket.set_tcp_user_timeout(Some(dead_after))
}

/// Reads one peer until it ends.
async fn read(peer: PeerId, stream: Arc<Stream>, events: Sender<Event>) {
    let mut session = Session::<ClientLine>::default();
    let why = loop {
        if let Err(why) = stream.ready(Interest::READABLE).await {
            break Some(format!("has a broken link: {why}"));
        }
        let mut heard = Vec::new();
        let taken = BUFFER.with_borrow_mut(|buffer| {
            stream.try_read(buffer).map(|n| (n, session.receive(&buffer[..n], |thing| heard.push(thing))))
        });
        for thing in heard {
            let _ = events.send(Event::Input(Input::Heard(peer, thing))).await;
        }
        match taken {
            Ok((0, _)) => break None,
            Ok((_, Ok(()))) => {}
            Ok((_, Err(broken))) => break Some(format!("is closed: {broken}")),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {}
            Err(why) => break Some(format!("has a broken link: {why}")),
        }
    };
    let _ = events.send(Event::Input(Input::Ended(peer, why))).await;
}
