//! The sockets of all peers. Writing never waits: what a full window leaves over is kept, up to a cap, and sent when
//! the socket has room again. Reading needs one small task a peer and one buffer for all, so an idle peer costs about
//! a kilobyte.
//!
//! On a sealed link each message is sealed when it is sent, once and in order; what waits is sealed already. The
//! reader opens what comes; after a handshake's bytes it waits to be told what the next ones are.

use crate::gate::Enrolled;
use crate::machine::{Input, PeerId};
use bus::secure::{Opener, Sealer};
use protocol::Message;
use protocol::line::ClientLine;
use protocol::session::{Heard, Session};
use socket2::SockRef;
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc::Sender, oneshot};
use tokio::task::AbortHandle;

/// What a peer that does not read may leave unsent, in bytes: hundreds of beats, and nothing next to a machine's memory.
pub const MOST_UNSENT: usize = 64 * 1024;

/// How long somebody who is turned away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// So many may be on their way out at once; more are cut off.
const MOST_AWAY: usize = 64;

/// From so many peers on, threads save more time than they cost; the beats of one moment stay below it.
const WORTH_A_THREAD: usize = 1000;

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
    /// Bytes of a handshake, for the machine; the reader of that link waits for what its next bytes are opened with, if
    /// they are sealed.
    Handshake(Input, oneshot::Sender<Option<Box<Opener>>>),
    /// The list of paired machines was changed.
    Enrolled(Enrolled),
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

    fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Stream::Tcp(stream) => stream.poll_read_ready(context),
            Stream::Unix(stream) => stream.poll_read_ready(context),
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
    sealer: Option<Box<Sealer>>,
    /// It is turned away, and closed when this task ends.
    away: Option<AbortHandle>,
}

impl Link {
    /// Writes nothing while earlier bytes wait.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsent.is_empty() { self.stream.try_write(bytes) } else { Ok(0) }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
        self.away.iter().for_each(AbortHandle::abort);
    }
}

/// All sockets.
#[derive(Debug)]
pub struct Peers {
    links: HashMap<PeerId, Link>,
    away: usize,
    events: Sender<Event>,
}

impl Peers {
    /// No peers yet; what they say goes to `events`.
    pub fn new(events: Sender<Event>) -> Self {
        Self { links: HashMap::new(), away: 0, events }
    }

    /// Takes a new socket and begins to read from it.
    pub fn add(&mut self, peer: PeerId, stream: Stream, dead_after: Duration) {
        if let Stream::Tcp(tcp) = &stream
            && let Err(why) = watch_silently(&SockRef::from(tcp), dead_after)
        {
            tracing::debug!("no keepalive on the link of a peer: {why}");
        }
        let stream = Arc::new(stream);
        let reader = Reader { peer, stream: stream.clone(), events: self.events.clone(), ear: Ear::default() };
        let reader = tokio::spawn(reader.run()).abort_handle();
        self.links
            .insert(peer, Link { stream, reader, unsent: Vec::new(), half_close: false, sealer: None, away: None });
    }

    /// The way into the loop.
    pub fn events(&self) -> Sender<Event> {
        self.events.clone()
    }

    /// Whatever is sent from here on is sealed.
    pub fn seal(&mut self, peer: PeerId, sealer: Sealer) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.sealer = Some(Box::new(sealer));
        }
    }

    /// Sends what the socket takes now and keeps the rest. A peer over the cap, or with a broken link, is told to the
    /// machine as ended.
    pub fn send(&mut self, peer: PeerId, bytes: &[u8]) -> Option<Input> {
        match self.links.get_mut(&peer)? {
            Link { half_close: true, .. } => None,
            Link { sealer: None, .. } => self.send_as_is(peer, bytes),
            Link { sealer: Some(sealer), .. } => {
                let mut sealed = Vec::new();
                sealer.seal(bytes, &mut sealed);
                self.send_as_is(peer, &sealed)
            }
        }
    }

    fn send_as_is(&mut self, peer: PeerId, bytes: &[u8]) -> Option<Input> {
        let sent = self.links.get(&peer)?.write(bytes);
        self.sent(peer, bytes, sent)
    }

    /// Sends the same to each of these, a great many on all cores at once: nearly all of the time is the kernel's, which
    /// walks its network stack anew for every peer.
    pub fn send_all(&mut self, peers: &[PeerId], bytes: &[u8]) -> Vec<Input> {
        if peers.len() < WORTH_A_THREAD {
            return peers.iter().filter_map(|&peer| self.send(peer, bytes)).collect();
        }
        let is_plain = |peer: &&PeerId| self.links.get(peer).is_none_or(|link| link.sealer.is_none());
        let (plain, sealed): (Vec<PeerId>, Vec<PeerId>) = peers.iter().partition(is_plain);
        let unfinished = self.write_on_all_cores(&plain, bytes);
        let ended = unfinished.into_iter().filter_map(|(peer, sent)| self.sent(peer, bytes, sent)).collect::<Vec<_>>();
        ended.into_iter().chain(sealed.into_iter().filter_map(|peer| self.send(peer, bytes))).collect()
    }

    fn write_on_all_cores(&self, peers: &[PeerId], bytes: &[u8]) -> Vec<(PeerId, io::Result<usize>)> {
        let links = &self.links;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let mut shares = peers.chunks(peers.len().div_ceil(cores).max(1));
            let own = shares.next().unwrap_or_default();
            let start = |share| thread::Builder::new().spawn_scoped(scope, move || write(links, share, bytes));
            let others: Vec<_> = shares.map(|share| (share, start(share))).collect();
            let mut unfinished = write(links, own, bytes);
            for (share, thread) in others {
                unfinished.extend(match thread {
                    Ok(thread) => thread.join().expect("writing to sockets does not panic"),
                    // A machine that is out of threads still tells everybody.
                    Err(_) => write(links, share, bytes),
                });
            }
            unfinished
        })
    }

    /// What follows from one write.
    fn sent(&mut self, peer: PeerId, bytes: &[u8], sent: io::Result<usize>) -> Option<Input> {
        let link = self.links.get_mut(&peer)?;
        if !link.unsent.is_empty() {
            return Self::keep(link, peer, bytes);
        }
        match sent {
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
        let ended = self.send_as_is(peer, &unsent);
        if self.links.get(&peer).is_some_and(|link| link.half_close && link.unsent.is_empty()) {
            self.half_close(peer);
        }
        ended
    }

    /// Tells the other end that nothing more follows, once everything is sent.
    pub fn half_close(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.half_close = true;
        if let Some(sealer) = link.sealer.take() {
            let mut last = Vec::new();
            sealer.end(&mut last);
            // A link that is broken, or over its cap, has no last word.
            let _ = self.send_as_is(peer, &last);
        }
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.unsent.is_empty() {
            let _ = link.stream.socket().shutdown(Shutdown::Write);
        }
    }

    /// Says nothing more, and closes soon even if the other end does not.
    /// A crowd of those is not waited for.
    pub fn turn_away(&mut self, peer: PeerId) {
        if self.away >= MOST_AWAY {
            return self.reset(peer);
        }
        self.half_close(peer);
        let Some(link) = self.links.get_mut(&peer) else { return };
        let events = self.events.clone();
        let close = tokio::spawn(async move {
            tokio::time::sleep(LAST_WORDS).await;
            let _ = events.send(Event::Input(Input::Ended(peer, None))).await;
        });
        link.away = Some(close.abort_handle());
        self.away += 1;
    }

    fn remove(&mut self, peer: PeerId) -> Option<Link> {
        let link = self.links.remove(&peer)?;
        self.away -= usize::from(link.away.is_some());
        Some(link)
    }

    /// Closes a socket; what was not sent is lost.
    pub fn close(&mut self, peer: PeerId) {
        self.remove(peer);
    }

    /// Closes by reset, so that the other end sees an error and not an end.
    pub fn reset(&mut self, peer: PeerId) {
        if let Some(link) = self.remove(peer) {
            let _ = link.stream.socket().set_linger(Some(Duration::ZERO));
        }
    }

    /// Hands out the socket of a peer that is to live on elsewhere.
    pub fn release(&mut self, peer: PeerId) -> Option<Arc<Stream>> {
        self.remove(peer).map(|link| link.stream.clone())
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

/// Writes to each of these; those to whom not everything was sent, and what came of it.
fn write(links: &HashMap<PeerId, Link>, peers: &[PeerId], bytes: &[u8]) -> Vec<(PeerId, io::Result<usize>)> {
    let results = peers.iter().filter_map(|&peer| Some((peer, links.get(&peer)?.write(bytes))));
    results.filter(|(_, sent)| !matches!(sent, Ok(count) if *count == bytes.len())).collect()
}

/// What the kernel keeps for a peer that does not read is bounded, too; and TCP itself watches a peer that owes us
/// nothing: an old client is silent for days.
pub fn watch_silently(socket: &SockRef<'_>, dead_after: Duration) -> io::Result<()> {
    let third = (dead_after / 3).max(Duration::from_secs(1));
    socket.set_tcp_nodelay(true)?;
    socket.set_send_buffer_size(MOST_UNSENT)?;
    socket.set_tcp_keepalive(&socket2::TcpKeepalive::new().with_time(third).with_interval(third).with_retries(2))?;
    socket.set_tcp_user_timeout(Some(dead_after))
}

/// What is heard on one link, and how.
#[derive(Default)]
struct Ear {
    session: Session<ClientLine>,
    opener: Option<Box<Opener>>,
}

impl Ear {
    /// Takes the bytes of one read, but for those behind a handshake's, which are left in `bytes`. On a sealed link a
    /// handshake is a message like any other.
    fn hear(&mut self, bytes: &mut &[u8], heard: &mut Vec<Heard<ClientLine>>) -> Result<(), String> {
        let (session, mut result) = (&mut self.session, Ok(()));
        let Some(opener) = &mut self.opener else {
            while let Some(thing) = session.next(bytes).map_err(|why| why.to_string())? {
                heard.push(thing);
                if ends_with_handshake(heard) {
                    break;
                }
            }
            return Ok(());
        };
        let opened = opener.receive(bytes, |plain| {
            if result.is_ok() {
                result = session.receive(plain, |thing| heard.push(thing));
            }
        });
        *bytes = &[];
        opened.map_err(|why| why.to_string())?;
        result.map_err(|why| why.to_string())
    }

    /// Why an end of file is none of the peer's making.
    fn cut(&self) -> Option<String> {
        let finished = self.opener.as_ref()?.finish();
        finished.err().map(|why| format!("has a broken link: {why}"))
    }
}

fn ends_with_handshake(heard: &[Heard<ClientLine>]) -> bool {
    matches!(heard.last(), Some(Heard::Message(Message::Handshake(_))))
}

/// What one read gave, beside what was said.
enum Taken {
    /// More may follow.
    More,
    /// What was said ends with a handshake, and behind it came these bytes.
    Handshake(Box<(Vec<Heard<ClientLine>>, Vec<u8>)>),
    /// The link is over; for a clean end there are no words.
    End(Option<Box<str>>),
}

/// What waits for room at the loop.
type Waits = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What reads one peer. There is one of these for each peer, so nothing large may live in it across a wait.
struct Reader {
    peer: PeerId,
    stream: Arc<Stream>,
    events: Sender<Event>,
    ear: Ear,
}

impl Reader {
    /// Reads until the link ends.
    #[expect(clippy::manual_async_fn, reason = "an async fn would hold the reader twice")]
    fn run(mut self) -> impl Future<Output = ()> + Send {
        async move {
            let why = loop {
                if let Err(why) = poll_fn(|context| self.stream.poll_readable(context)).await {
                    break Some(broken(&why));
                }
                let (mut taken, waits) = self.turn();
                if let Some(waits) = waits {
                    waits.await;
                }
                if let Taken::Handshake(heard) = taken {
                    taken = Box::pin(self.shake(*heard)).await;
                }
                if let Taken::End(why) = taken {
                    break why;
                }
            };
            let over = Event::Input(Input::Ended(self.peer, why.map(String::from)));
            let _ = Box::pin(self.events.send(over)).await;
        }
    }

    /// One read; what was said goes to the loop.
    fn turn(&mut self) -> (Taken, Option<Waits>) {
        let mut heard = Vec::new();
        let taken = BUFFER.with_borrow_mut(|buffer| self.take(buffer, &mut heard));
        match taken {
            Taken::Handshake(rest) => (Taken::Handshake(Box::new((heard, rest.1))), None),
            taken => (taken, tell(self.peer, heard, &self.events)),
        }
    }

    fn take(&mut self, buffer: &mut [u8], heard: &mut Vec<Heard<ClientLine>>) -> Taken {
        let mut bytes = match self.stream.try_read(buffer) {
            Ok(0) => return Taken::End(self.ear.cut().map(Into::into)),
            Ok(count) => &buffer[..count],
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => return Taken::More,
            Err(why) => return Taken::End(Some(broken(&why))),
        };
        match self.ear.hear(&mut bytes, heard) {
            Ok(()) if self.ear.opener.is_none() && ends_with_handshake(heard) => {
                Taken::Handshake(Box::new((Vec::new(), bytes.to_vec())))
            }
            Ok(()) => Taken::More,
            Err(why) => closed(&why),
        }
    }

    /// What was heard ends with a handshake: asks what the rest of the bytes is, and hears that too.
    async fn shake(&mut self, (mut heard, rest): (Vec<Heard<ClientLine>>, Vec<u8>)) -> Taken {
        let (mut bytes, mut result, peer) = (&rest[..], Ok(()), self.peer);
        while result.is_ok() && self.ear.opener.is_none() && ends_with_handshake(&heard) {
            let handshake = heard.pop().expect("it ends with one");
            done(tell(peer, std::mem::take(&mut heard), &self.events)).await;
            let (answer, answered) = oneshot::channel();
            let _ = self.events.send(Event::Handshake(Input::Heard(peer, handshake), answer)).await;
            // Without an answer the loop has ended, and this task ends with it.
            self.ear.opener = answered.await.unwrap_or_default();
            result = self.ear.hear(&mut bytes, &mut heard);
        }
        done(tell(peer, heard, &self.events)).await;
        result.map_or_else(|why| closed(&why), |()| Taken::More)
    }
}

fn broken(why: &io::Error) -> Box<str> {
    format!("has a broken link: {why}").into()
}

fn closed(why: &str) -> Taken {
    Taken::End(Some(format!("is closed: {why}").into()))
}

/// Tells the loop at once, or gives what waits for room there.
fn tell(peer: PeerId, heard: Vec<Heard<ClientLine>>, events: &Sender<Event>) -> Option<Waits> {
    let mut heard = heard.into_iter().map(move |thing| Event::Input(Input::Heard(peer, thing)));
    let full = heard.by_ref().find_map(|event| match events.try_send(event) {
        Err(TrySendError::Full(event)) => Some(event),
        Ok(()) | Err(TrySendError::Closed(_)) => None,
    })?;
    let events = events.clone();
    Some(Box::pin(async move {
        for event in std::iter::once(full).chain(heard) {
            let _ = events.send(event).await;
        }
    }))
}

async fn done(waits: Option<Waits>) {
    if let Some(waits) = waits {
        waits.await;
    }
}

#[cfg(test)]
mod tests;
