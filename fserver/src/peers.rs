//! The sockets of all peers. Writing never waits: what a full window leaves over is kept, up to a cap, and sent when
//! the socket has room again. Reading needs no task: one epoll watches all sockets, and the loop reads those of which it
//! says so, into one buffer. So an idle peer costs here a socket and some two hundred bytes.
//!
//! On a sealed link each message is sealed when it is sent, once and in order; what waits is sealed already. What
//! comes behind a handshake is heard when the handshake has been answered, since it may be sealed.

mod stream;
mod watch;

use crate::gate::Enrolled;
use crate::machine::{Input, PeerId};
use bus::secure::{Opener, Sealed, Sealer};
use protocol::Message;
use protocol::line::ClientLine;
use protocol::session::{Heard, Session};
use socket2::SockRef;
use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::thread;
use std::time::Duration;
pub use stream::Stream;
use tokio::sync::mpsc::Sender;
use tokio::task::AbortHandle;
pub use watch::Ready;
use watch::Watch;

/// What a peer that does not read may leave unsent, in bytes: hundreds of beats, and nothing next to a machine's memory.
pub const MOST_UNSENT: usize = 64 * 1024;

/// How long somebody who is turned away may take to read why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// So many may be on their way out at once; more are cut off.
const MOST_AWAY: usize = 64;

/// From so many peers on, threads save more time than they cost; the beats of one moment stay below it.
const WORTH_A_THREAD: usize = 1000;

/// One read takes at most so much.
pub const READ_BUFFER: usize = 16 * 1024;

/// What the loop hears from its tasks.
#[derive(Debug)]
pub enum Event {
    /// For the machine as it is.
    Input(Input),
    /// The list of paired machines was changed.
    Enrolled(Enrolled),
}

/// What one read gave.
#[derive(Debug)]
pub enum Read {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet.
    Nothing,
    /// The link is over; for a clean end there are no words.
    End(Option<String>),
}

/// There is one of these for each peer, on the heap, in a piece of 96 bytes.
#[derive(Debug)]
struct Link {
    stream: Stream,
    session: Session<ClientLine>,
    cipher: Option<Box<Cipher>>,
    unsent: Vec<u8>,
    half_close: bool,
    /// It is turned away, and closed when this task ends.
    away: Option<Away>,
}

/// With what a link is sealed.
#[derive(Debug)]
struct Cipher {
    /// Until its last word is said.
    sealer: Option<Sealer>,
    opener: Opener,
}

impl Link {
    /// Writes nothing while earlier bytes wait.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsent.is_empty() { self.stream.write(bytes) } else { Ok(0) }
    }

    fn sealer(&mut self) -> Option<&mut Sealer> {
        self.cipher.as_mut().and_then(|cipher| cipher.sealer.as_mut())
    }

    /// Sends what the socket takes now and keeps the rest.
    fn send(&mut self, peer: PeerId, bytes: &[u8], watch: &Watch) -> Option<Input> {
        match self.sealer() {
            None => self.send_as_is(peer, bytes, watch),
            Some(sealer) => {
                let mut sealed = Vec::new();
                sealer.seal(bytes, &mut sealed);
                self.send_as_is(peer, &sealed, watch)
            }
        }
    }

    fn send_as_is(&mut self, peer: PeerId, bytes: &[u8], watch: &Watch) -> Option<Input> {
        let sent = self.write(bytes);
        self.sent(peer, bytes, sent, watch)
    }

    /// What follows from one write.
    fn sent(&mut self, peer: PeerId, bytes: &[u8], sent: io::Result<usize>, watch: &Watch) -> Option<Input> {
        if !self.unsent.is_empty() {
            return self.keep(peer, bytes);
        }
        match sent {
            Ok(sent) if sent == bytes.len() => None,
            Ok(sent) => self.wait_for_room(peer, &bytes[sent..], watch),
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => self.wait_for_room(peer, bytes, watch),
            Err(why) => Some(broken(peer, &why)),
        }
    }

    fn keep(&mut self, peer: PeerId, bytes: &[u8]) -> Option<Input> {
        if self.unsent.len() + bytes.len() > MOST_UNSENT {
            let text = format!("does not read: {} bytes wait for it, over the cap of {MOST_UNSENT}", self.unsent.len());
            return Some(Input::Ended(peer, Some(text)));
        }
        self.unsent.extend_from_slice(bytes);
        None
    }

    fn wait_for_room(&mut self, peer: PeerId, rest: &[u8], watch: &Watch) -> Option<Input> {
        let refused = self.keep(peer, rest);
        let watched = watch.change(peer, &self.stream, true);
        refused.or_else(|| watched.err().map(|why| broken(peer, &why)))
    }

    /// What is heard up to a handshake, behind which the bytes are left. On a sealed link a handshake is a message like
    /// any other.
    fn hear(&mut self, bytes: &mut &[u8], heard: &mut Vec<Heard<ClientLine>>) -> Result<(), String> {
        let session = &mut self.session;
        let Some(cipher) = &mut self.cipher else {
            while let Some(thing) = session.next(bytes).map_err(|why| why.to_string())? {
                let is_handshake = matches!(thing, Heard::Message(Message::Handshake(_)));
                heard.push(thing);
                if is_handshake {
                    break;
                }
            }
            return Ok(());
        };
        let mut result = Ok(());
        let opened = cipher.opener.receive(bytes, |plain| {
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
        let finished = self.cipher.as_ref()?.opener.finish();
        finished.err().map(|why| format!("has a broken link: {why}"))
    }
}

/// The task that closes a link which is turned away. It ends with the link.
#[derive(Debug)]
struct Away(AbortHandle);

impl Drop for Away {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// All sockets.
#[derive(Debug)]
pub struct Peers {
    links: HashMap<PeerId, Box<Link>>,
    watch: Watch,
    away: usize,
    events: Sender<Event>,
}

impl Peers {
    /// No peers yet; the end of those that are turned away goes to `events`.
    ///
    /// # Errors
    /// The kernel has no epoll for us.
    pub fn new(events: Sender<Event>) -> io::Result<Self> {
        Ok(Self { links: HashMap::new(), watch: Watch::new()?, away: 0, events })
    }

    /// Takes a new socket. One that cannot be watched is told to the machine as ended.
    pub fn add(&mut self, peer: PeerId, stream: Stream, dead_after: Duration) -> Option<Input> {
        if let Stream::Tcp(tcp) = &stream
            && let Err(why) = watch_silently(&SockRef::from(tcp), dead_after)
        {
            tracing::debug!("no keepalive on the link of a peer: {why}");
        }
        let watched = self.watch.add(peer, &stream);
        let (session, unsent, half_close) = Default::default();
        self.links.insert(peer, Box::new(Link { stream, session, cipher: None, unsent, half_close, away: None }));
        watched.err().map(|why| broken(peer, &why))
    }

    /// Waits until some peers say something, or have room again.
    pub async fn ready(&mut self) -> Vec<Ready> {
        self.watch.ready().await
    }

    /// So many are about to be told something that they answer at once; the answers of a crowd are heard together.
    pub fn expect_answers(&mut self, count: usize) {
        self.watch.expect_answers(count);
    }

    /// One read.
    pub fn read(&self, peer: PeerId, buffer: &mut [u8]) -> Read {
        let Some(link) = self.links.get(&peer) else { return Read::Nothing };
        match link.stream.read(buffer) {
            Ok(0) => Read::End(link.cut()),
            Ok(count) => Read::Bytes(count),
            Err(why) if matches!(why.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Read::Nothing,
            Err(why) => Read::End(Some(format!("has a broken link: {why}"))),
        }
    }

    /// What was said in the bytes of one read, up to a handshake; the bytes behind it are left, and are to be heard when
    /// it has been answered.
    ///
    /// # Errors
    /// It is nothing that a peer says; the link is over.
    pub fn hear(&mut self, peer: PeerId, bytes: &mut &[u8]) -> (Vec<Heard<ClientLine>>, Result<(), String>) {
        let mut heard = Vec::new();
        let Some(link) = self.links.get_mut(&peer) else {
            *bytes = &[];
            return (heard, Ok(()));
        };
        let result = link.hear(bytes, &mut heard);
        (heard, result)
    }

    /// The way into the loop.
    pub fn events(&self) -> Sender<Event> {
        self.events.clone()
    }

    /// Whatever is sent and heard from here on is sealed.
    pub fn seal(&mut self, peer: PeerId, Sealed { sealer, opener }: Sealed) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.cipher = Some(Box::new(Cipher { sealer: Some(sealer), opener }));
        }
    }

    /// Sends what the socket takes now and keeps the rest. A peer over the cap, or with a broken link, is told to the
    /// machine as ended.
    pub fn send(&mut self, peer: PeerId, bytes: &[u8]) -> Option<Input> {
        let link = self.links.get_mut(&peer)?;
        if link.half_close {
            return None;
        }
        link.send(peer, bytes, &self.watch)
    }

    /// Sends the same to each of these, a great many on all cores at once: nearly all of the time is the kernel's, which
    /// walks its network stack anew for every peer.
    pub fn send_all(&mut self, peers: &[PeerId], bytes: &[u8]) -> Vec<Input> {
        if peers.len() < WORTH_A_THREAD {
            return peers.iter().filter_map(|&peer| self.send(peer, bytes)).collect();
        }
        let is_plain = |peer: &&PeerId| self.links.get(peer).is_none_or(|link| link.cipher.is_none());
        let (plain, sealed): (Vec<PeerId>, Vec<PeerId>) = peers.iter().partition(is_plain);
        let unfinished = self.write_on_all_cores(&plain, bytes);
        let follows = |(peer, sent)| self.links.get_mut(&peer)?.sent(peer, bytes, sent, &self.watch);
        let ended = unfinished.into_iter().filter_map(follows).collect::<Vec<_>>();
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

    /// The socket has room again.
    pub fn writable(&mut self, peer: PeerId) -> Option<Input> {
        let link = self.links.get_mut(&peer)?;
        let unsent = std::mem::take(&mut link.unsent);
        if let Err(why) = self.watch.change(peer, &link.stream, false) {
            return Some(broken(peer, &why));
        }
        let ended = link.send_as_is(peer, &unsent, &self.watch);
        if link.half_close && link.unsent.is_empty() {
            self.half_close(peer);
        }
        ended
    }

    /// Tells the other end that nothing more follows, once everything is sent.
    pub fn half_close(&mut self, peer: PeerId) {
        let Some(link) = self.links.get_mut(&peer) else { return };
        link.half_close = true;
        if let Some(sealer) = link.cipher.as_mut().and_then(|cipher| cipher.sealer.take()) {
            let mut last = Vec::new();
            sealer.end(&mut last);
            // A link that is broken, or over its cap, has no last word.
            let _ = link.send_as_is(peer, &last, &self.watch);
        }
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
        link.away = Some(Away(close.abort_handle()));
        self.away += 1;
    }

    fn remove(&mut self, peer: PeerId) -> Option<Box<Link>> {
        let link = self.links.remove(&peer)?;
        self.watch.remove(&link.stream);
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
    pub fn release(&mut self, peer: PeerId) -> Option<Stream> {
        self.remove(peer).map(|link| link.stream)
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
fn write(links: &HashMap<PeerId, Box<Link>>, peers: &[PeerId], bytes: &[u8]) -> Vec<(PeerId, io::Result<usize>)> {
    let results = peers.iter().filter_map(|&peer| Some((peer, links.get(&peer)?.write(bytes))));
    results.filter(|(_, sent)| !matches!(sent, Ok(count) if *count == bytes.len())).collect()
}

fn broken(peer: PeerId, why: &io::Error) -> Input {
    Input::Ended(peer, Some(format!("has a broken link: {why}")))
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

#[cfg(test)]
mod tests;
