//! One peer whose link does not end with one run of fserver: the child of tcpserver and the keeper of old links sit
//! between the peer and the running server and pass the bytes on. While no server runs they are a plain announcer,
//! as pistopserver was; when one appears the peer joins it.
//!
//! What always holds: a peer in lines is never told the end of the link because a server restarts or dies. A peer in
//! frames is: it was told why, and connects again by itself.

use protocol::control::{Join, Reply, Request};
use protocol::line::{ClientLine, ServerLine};
use protocol::session::{Broken, Heard, Session};
use runner::framing;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// How often a lone announcer looks for a server.
const JOIN_EVERY: Duration = Duration::from_millis(500);
/// How long the last words may take to be fetched.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A peer on its own descriptors.
#[derive(Debug)]
pub struct Relay<P> {
    /// Its link.
    pub peer: P,
    /// Its address as UCSPI tells it, or `unknown`.
    pub address: String,
    /// It has been greeted.
    pub greeted: bool,
    /// Where the server's local socket is.
    pub control: PathBuf,
}

/// What one stretch of the way ended with.
enum Stretch {
    /// The peer has left, or must not stay.
    Over,
    /// The server is gone and has not said goodbye.
    Alone,
    /// Time to look for a server.
    Look,
    /// We are told to end.
    Stopped,
}

/// What is known of the conversation.
#[derive(Default)]
struct Talk {
    client: Session<ClientLine>,
    server: Session<ServerLine>,
    hello: Vec<u8>,
    farewell: bool,
}

impl Talk {
    /// Looks at a client's bytes while it speaks lines. `Ok(true)` if it quits.
    fn client_said(&mut self, bytes: &[u8]) -> Result<bool, Broken> {
        let (mut quits, hello) = (false, &mut self.hello);
        self.client.receive(bytes, |heard| match heard {
            Heard::Line(ClientLine::Quit) => quits = true,
            Heard::Line(line @ ClientLine::Hello(_)) => *hello = line.encode(),
            Heard::Line(ClientLine::Text(text)) => tracing::info!("the peer says: {text}"),
            Heard::Line(ClientLine::Shutdown) => tracing::warn!("the peer asked for a shutdown; refused"),
            Heard::Line(_) | Heard::Message(_) | Heard::Unknown(_) => {}
        })?;
        Ok(quits)
    }

    fn server_said(&mut self, bytes: &[u8]) {
        if self.server.speaks_frames() {
            return;
        }
        let farewell = &mut self.farewell;
        let _ = self.server.receive(bytes, |heard| *farewell |= heard == Heard::Line(ServerLine::Shutdown));
    }
}

impl<P: AsyncRead + AsyncWrite + Unpin> Relay<P> {
    /// Serves the peer until it has left or the house is told to go.
    pub async fn run(mut self, stop: CancellationToken) -> io::Result<()> {
        let mut talk = Talk::default();
        loop {
            let stretch = match self.join().await {
                Some(server) => self.bridge(server, &mut talk, &stop).await?,
                None => self.announce(&mut talk, &stop).await?,
            };
            match stretch {
                Stretch::Over => return Ok(()),
                Stretch::Stopped => return self.farewell(&talk).await,
                Stretch::Alone if talk.server.speaks_frames() => return Ok(()),
                Stretch::Alone | Stretch::Look => {}
            }
        }
    }

    /// Asks the running server to count this peer.
    async fn join(&mut self) -> Option<UnixStream> {
        let mut server = UnixStream::connect(&self.control).await.ok()?;
        let join = Join { address: self.address.clone(), greeted: self.greeted };
        framing::write(&mut server, &Request::Join(join)).await.ok()?;
        let reply = framing::read::<Reply>(&mut server).await.ok()??;
        (reply == Reply::Joined).then_some(server)
    }

    /// Passes bytes both ways.
    async fn bridge(
        &mut self,
        mut server: UnixStream,
        talk: &mut Talk,
        stop: &CancellationToken,
    ) -> io::Result<Stretch> {
        self.greeted = true;
        if server.write_all(&talk.hello).await.is_err() {
            return Ok(Stretch::Alone);
        }
        let (mut from_peer, mut from_server) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                read = self.peer.read(&mut from_peer) => {
                    let bytes = &from_peer[..read?];
                    if bytes.is_empty() {
                        return Ok(Stretch::Over);
                    }
                    if !talk.server.speaks_frames() && talk.client_said(bytes).is_err() {
                        return Ok(Stretch::Over);
                    }
                    if server.write_all(bytes).await.is_err() && !talk.farewell {
                        return Ok(Stretch::Alone);
                    }
                }
                read = server.read(&mut from_server) => {
                    let bytes = &from_server[..read.unwrap_or(0)];
                    if bytes.is_empty() {
                        return if talk.farewell { self.wait_for_the_end(stop).await } else { Ok(Stretch::Alone) };
                    }
                    talk.server_said(bytes);
                    self.peer.write_all(bytes).await?;
                }
                () = stop.cancelled() => return Ok(Stretch::Stopped),
            }
        }
    }

    /// Everything is said; the peer closes when it has let go.
    async fn wait_for_the_end(&mut self, stop: &CancellationToken) -> io::Result<Stretch> {
        let _ = self.peer.shutdown().await;
        let mut rest = [0; 256];
        loop {
            tokio::select! {
                read = self.peer.read(&mut rest) => if read? == 0 { return Ok(Stretch::Over) },
                () = stop.cancelled() => return Ok(Stretch::Over),
            }
        }
    }

    /// Without a server: greets, listens, and looks for one.
    async fn announce(&mut self, talk: &mut Talk, stop: &CancellationToken) -> io::Result<Stretch> {
        if !self.greeted {
            self.greeted = true;
            self.peer.write_all(&ServerLine::Greeting(self.address.clone()).encode()).await?;
        }
        let look = tokio::time::sleep(JOIN_EVERY);
        tokio::pin!(look);
        let mut buffer = [0; 4096];
        loop {
            tokio::select! {
                read = self.peer.read(&mut buffer) => match read? {
                    0 => return Ok(Stretch::Over),
                    n => match talk.client_said(&buffer[..n]) {
                        Ok(false) => {}
                        Ok(true) => return Ok(Stretch::Over),
                        Err(why) => {
                            tracing::warn!("the peer at {} is closed: {why}", self.address);
                            return Ok(Stretch::Over);
                        }
                    },
                },
                () = &mut look => return Ok(Stretch::Look),
                () = stop.cancelled() => return Ok(Stretch::Stopped),
            }
        }
    }

    /// We end: a peer in lines is told so, as pistopserver did.
    async fn farewell(mut self, talk: &Talk) -> io::Result<()> {
        if talk.server.speaks_frames() {
            return Ok(());
        }
        self.peer.write_all(&ServerLine::Shutdown.encode()).await?;
        let never = CancellationToken::new();
        let _ = tokio::time::timeout(LAST_WORDS, self.wait_for_the_end(&never)).await;
        Ok(())
    }
}
