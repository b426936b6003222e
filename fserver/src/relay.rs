//! One peer whose link does not end with one run of fserver: the child of tcpserver and the keeper of old links sit
//! between the peer and the running server and pass the bytes on. While no server runs they are a plain announcer,
//! as pistopserver was; when one appears the peer joins it.
//!
//! What always holds: a peer in lines is never told the end of the link because a server restarts or dies. A peer in
//! frames is: it was told why, and connects again by itself.

use protocol::control::{Join, Reply, Request};
use protocol::line::{self, ClientLine, ServerLine, TooLong};
use protocol::session::{Broken, Heard, Session};
use runner::framing;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

/// How often a lone announcer looks for a server, so that one which runs only briefly is not missed.
const JOIN_EVERY: Duration = Duration::from_millis(100);
/// How long a server may take to answer that the peer counts.
const JOIN_WITHIN: Duration = Duration::from_secs(2);
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

/// What is known of the conversation. The client speaks lines until the *server* has taken up its offer of frames.
#[derive(Default)]
struct Talk {
    pending: Vec<u8>,
    server: Session<ServerLine>,
    hello: Vec<u8>,
    farewell: bool,
    complained: bool,
}

impl Talk {
    /// Looks at a client's bytes while it speaks lines. `Ok(true)` if it quits.
    fn client_said(&mut self, bytes: &[u8]) -> Result<bool, TooLong> {
        if self.server.speaks_frames() {
            return Ok(false);
        }
        self.pending.extend_from_slice(bytes);
        let mut quits = false;
        while let Some((line, used)) = line::take(&self.pending)? {
            let said = ClientLine::parse(line);
            self.pending.drain(..used);
            quits |= said == ClientLine::Quit;
            self.note(said);
        }
        Ok(quits)
    }

    fn note(&mut self, said: ClientLine) {
        match said {
            ClientLine::Hello(_) => self.hello = said.encode(),
            ClientLine::Text(text) => tracing::info!("the peer says: {text}"),
            ClientLine::Shutdown => tracing::warn!("the peer asked for a shutdown; here that is refused"),
            ClientLine::Wait | ClientLine::Quit | ClientLine::BadHello(_) => {}
        }
    }

    /// A server that does not run is the daily case; one that we may not reach is a mistake, told once.
    fn complain(&mut self, control: &Path, why: &io::Error) {
        if why.kind() == io::ErrorKind::PermissionDenied && !self.complained {
            self.complained = true;
            let path = control.display();
            tracing::warn!("the peer does not count at {path}: {why}; start tcpserver as a user who may write to it");
        }
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
            let joined = tokio::select! {
                joined = tokio::time::timeout(JOIN_WITHIN, self.join(&mut talk)) => joined.unwrap_or(None),
                () = stop.cancelled() => return self.farewell(&talk).await,
            };
            let stretch = match joined {
                Some(server) => self.bridge(server, &mut talk, &stop).await?,
                None => self.announce(&mut talk, &stop).await?,
            };
            match stretch {
                Stretch::Over => return Ok(()),
                Stretch::Stopped => return self.farewell(&talk).await,
                Stretch::Alone if talk.server.speaks_frames() => return Ok(()),
                Stretch::Alone => tokio::time::sleep(JOIN_EVERY).await,
                Stretch::Look => {}
            }
        }
    }

    /// Asks the running server to count this peer.
    async fn join(&mut self, talk: &mut Talk) -> Option<UnixStream> {
        let connected = UnixStream::connect(&self.control).await;
        let mut server = connected.inspect_err(|why| talk.complain(&self.control, why)).ok()?;
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
                    let leaves = talk.client_said(bytes).unwrap_or(true);
                    if server.write_all(bytes).await.is_err() && !talk.farewell && !leaves {
                        return Ok(Stretch::Alone);
                    }
                    if leaves {
                        return Ok(Stretch::Over);
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
                        Err(TooLong) => {
                            tracing::warn!("the peer at {} is closed: {}", self.address, Broken::LineTooLong);
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
